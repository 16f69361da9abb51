"""Samples in an order that depends on seed and position alone, so that a run goes on exactly where it was killed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from contracts import UserError
from training.ranks import end_with_parent


class Draw(NamedTuple):
    """What a data set is asked for: a sample, and the seed of its augmentation (None: no augmentation)."""

    item: int
    seed: int | None


@dataclass(frozen=True)
class Data:
    """A training set, a validation set, and how samples become a batch.

    The sets have `__len__` and `__getitem__(draw: Draw)`, and random numbers in them come from `draw.seed` alone.
    collate: samples -> batch; None: torch's own.
    """

    train: Dataset[Any]
    validation: Dataset[Any] | None = None
    collate: Callable[[list[Any]], Any] | None = None


def length(data: Dataset[Any]) -> int:
    """Number of samples."""
    return len(data)  # type: ignore[arg-type]


def draws(samples: int, seed: int, position: int, count: int) -> list[Draw]:
    """`count` draws from `position` of an endless stream: every sample once an epoch, each epoch in another order."""
    found: list[Draw] = []
    while count > len(found):
        epoch, place = divmod(position + len(found), samples)
        order = np.random.default_rng((seed, epoch)).permutation(samples)[place : place + count - len(found)]
        start = epoch * samples + place
        seeds = (np.uint64(seed) << np.uint64(40)) + np.arange(start, start + len(order), dtype=np.uint64)
        found += [Draw(int(item), int(number)) for item, number in zip(order, seeds)]
    return found


class Stream:
    """The training batches of one process: `DataLoader` over draws, and how long the training waited for it.

    position: batches already used. total: batches of the whole training, 0 for no end.
    """

    def __init__(self, data: Data, batch: int, seed: int, rank: int, ranks: int, workers: int, total: int) -> None:
        self.data, self.batch, self.seed = data, batch, seed
        self.rank, self.ranks, self.workers, self.total = rank, ranks, workers, total
        self.position = 0
        self.waited = 0.0
        if not length(data.train):
            raise UserError("the training set is empty")

    def batches(self) -> Iterator[list[Draw]]:
        """The draws of this process, batch by batch, from `position` on."""
        samples, number = length(self.data.train), self.position
        while not self.total or number < self.total:
            chosen = draws(samples, self.seed, number * self.batch, self.batch)
            yield chosen[self.rank :: self.ranks]
            number += 1

    def __iter__(self) -> Iterator[Any]:
        loader = iter(_loader(self.data.train, self.batches(), self.data, self.workers))
        while True:
            began = time.perf_counter()
            batch = next(loader, None)
            self.waited += time.perf_counter() - began
            if batch is None:
                return
            yield batch


def validation_batches(data: Data, batch: int, rank: int, ranks: int, workers: int) -> tuple[Any, int]:
    """This process' share of the validation batches, and how many there are in all.

    Every process gets equally many (a sharded model needs all of them at each pass); the last ones may be repeats.
    """
    assert data.validation is not None
    samples = length(data.validation)
    total = math.ceil(samples / batch)
    share = math.ceil(total / ranks)
    numbers = [(rank + ranks * k) % total for k in range(share)] if total else []
    chosen = ([Draw(i, None) for i in range(n * batch, min(samples, (n + 1) * batch))] for n in numbers)
    return _loader(data.validation, chosen, data, workers), total


def _loader(dataset: Dataset[Any], batches: Iterator[list[Draw]], data: Data, workers: int) -> DataLoader[Any]:
    # its own generator: a loader draws a number when it starts, and a resumed run starts one more
    return DataLoader(
        dataset,
        batch_sampler=_Once(batches),
        num_workers=workers,
        collate_fn=data.collate,
        generator=torch.Generator(),
        worker_init_fn=_start_worker,
    )


def _start_worker(number: int) -> None:
    # A worker shares the open files of the run: left alone after a kill, it would hold the run's lock.
    end_with_parent()
    torch.set_num_threads(1)


class _Once:
    """Batches of draws as DataLoader wants them; its own type for a sampler says nothing of what a sampler yields."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return self.batches
