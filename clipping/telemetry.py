"""What every update did, kept where it happened and brought to the host in batches."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from clipping.strategies.base import precision

FIELDS = ("norm", "norm_after", "coef", "threshold", "clipped", "skipped", "nonfinite")
FLAGS = ("clipped", "skipped", "nonfinite")
KEPT = 65_536  # records kept for drain() and summary(); all of them are in the sinks and the histogram
Record = dict[str, Any]


class Sink(Protocol):
    """Where drained records go."""

    def write(self, subsystem: str, batch: Batch) -> None:
        """Take a batch of updates, oldest first."""

    def close(self) -> None:
        """Finish what was written."""


class Recorder:
    """Rows of numbers, one an update: the fields of the whole, then of each group, then the norm of each module."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.groups: list[str] = []
        self.modules: list[str] = []
        self.step = 0
        self._numbers = array("d")  # host rows, one after the other
        self._count = 0
        self._buffer: Tensor | None = None
        self._filled = 0
        self._batches: deque[Batch] = deque()
        self._drained = 0

    def layout(self, groups: list[str], modules: list[str]) -> None:
        """Name what the rows hold beyond the whole; empty for a single group and no modules."""
        self.groups, self.modules = groups, modules

    def add(self, row: Any) -> bool:
        """Keep one row: a tuple of floats, or a 1-d tensor on a device. True when it is time to drain."""
        if not isinstance(row, Tensor):
            self._numbers.extend(row)
            self._count += 1
            return self._count >= self.size
        if self._buffer is None or self._buffer.shape[1] != row.numel():
            self._buffer = torch.zeros(self.size, row.numel(), dtype=precision(row.device), device=row.device)
        self._buffer[self._filled].copy_(row)
        self._filled += 1
        return self._filled >= self.size

    def take(self) -> Batch | None:
        """All rows since the last call in one transfer, None if there are none; they stay for :meth:`drain`, the oldest
        batches making room."""
        if self._filled and self._buffer is not None:
            rows = self._buffer[: self._filled].to("cpu", torch.float64, copy=True)
        elif self._count:
            rows = torch.frombuffer(self._numbers, dtype=torch.float64).view(self._count, -1)
        else:
            return None
        self._numbers, self._count, self._filled = array("d"), 0, 0
        batch = Batch(self.step + 1, rows, self.groups, self.modules)
        self._batches.append(batch)
        self.step += len(rows)
        while self.step - self._batches[0].first >= KEPT and len(self._batches) > 1:
            self._batches.popleft()
        return batch

    def drain(self) -> list[Record]:
        """The records since the last call."""
        new = [b for b in self._batches if b.first + len(b) - 1 > self._drained]
        records = [r for b in new for r in b if r["step"] > self._drained]
        self._drained = self.step
        return records

    def recent(self) -> Tensor:
        """float64 [updates, fields]: FIELDS of the last updates, drained or not."""
        parts = [b.rows[:, : len(FIELDS)] for b in self._batches]
        return torch.cat(parts) if parts else torch.zeros(0, len(FIELDS), dtype=torch.float64)

    def rewind(self, step: int) -> None:
        """Count on from ``step``, as after loading a checkpoint."""
        self._batches.clear()
        self.step = self._drained = step


@dataclass
class Batch:
    """Updates as they were drained; iterating gives their records.

    Attributes:
        first: the number of the first update.
        rows: float64 [updates, numbers]: FIELDS of the whole, FIELDS of each group, the norm of each module.
        groups, modules: their names, empty where there are none.
    """

    first: int
    rows: Tensor
    groups: list[str]
    modules: list[str]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Record]:
        """The rows as records, with ``groups`` and ``modules`` where there are any."""
        width = len(FIELDS)
        for step, row in enumerate(self.rows.tolist(), self.first):
            record: Record = {"step": step, **_named(row[:width])}
            if self.groups:
                record["groups"] = {
                    name: _named(row[width * (g + 1) : width * (g + 2)]) for g, name in enumerate(self.groups)
                }
            if self.modules:
                record["modules"] = dict(zip(self.modules, row[len(row) - len(self.modules) :]))
            yield record

    @property
    def last(self) -> int:
        """The number of the last update."""
        return self.first + len(self) - 1

    def names(self) -> list[str]:
        """A name for each column of ``rows``: a field, ``group/field``, ``module/name``."""
        parts = [*FIELDS, *(f"{group}/{field}" for group in self.groups for field in FIELDS)]
        return [*parts, *(f"module/{name or 'root'}" for name in self.modules)]


def _named(row: Sequence[float]) -> Record:
    return {name: bool(v) if name in FLAGS else v for name, v in zip(FIELDS, row)}


class Histogram:
    """Counts of norms in bins of an eighth of an octave, from 2^-40 to 2^40."""

    PER_OCTAVE = 8
    LOWEST = -40

    def __init__(self) -> None:
        self._counts = torch.zeros(2 * -self.LOWEST * self.PER_OCTAVE, dtype=torch.int64)
        self._waiting: list[Tensor] = []

    def add(self, norms: Tensor) -> None:
        """Count ``norms``, float64 [n] on the host; zeros and non-finite ones are left out."""
        self._waiting.append(norms)
        if len(self._waiting) >= 64:  # many at once cost little each
            self._count()

    def _count(self) -> None:
        if not self._waiting:
            return
        norms = torch.cat(self._waiting)
        self._waiting = []
        good = norms[norms.isfinite() & (norms > 0.0)]
        bins = ((good.log2() - self.LOWEST) * self.PER_OCTAVE).floor().long()
        size = len(self._counts)
        self._counts += torch.bincount(bins.clamp(0, size - 1), minlength=size)

    def bins(self) -> tuple[list[int], list[float]]:
        """(counts [n], edges [n + 1]) over the range that has counts; empty lists before the first norm."""
        self._count()
        used = self._counts.nonzero().flatten().tolist()
        if not used:
            return [], []
        low, high = used[0], used[-1] + 1
        edges = [2.0 ** (i / self.PER_OCTAVE + self.LOWEST) for i in range(low, high + 1)]
        return self._counts[low:high].tolist(), edges

    def state_dict(self) -> dict[int, int]:
        self._count()
        return {i: int(self._counts[i]) for i in self._counts.nonzero().flatten().tolist()}

    def load_state_dict(self, state: dict[int, int]) -> None:
        self._counts.zero_()
        self._waiting = []
        for i, n in state.items():
            self._counts[int(i)] = n
