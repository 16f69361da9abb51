"""What every update did, kept where it happened and brought to the host in batches."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from clipping.strategies.base import precision

FIELDS = ("norm", "norm_after", "coef", "threshold", "clipped", "skipped", "nonfinite")
FLAGS = ("clipped", "skipped", "nonfinite")
KEPT = 65_536  # records kept for drain() and summary(); all of them are in the sinks and the histogram
Record = dict[str, Any]


class Sink(Protocol):
    """Where drained records go."""

    def write(self, subsystem: str, records: Sequence[Record]) -> None:
        """Take a batch of records, oldest first."""

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

    def take(self) -> np.ndarray:
        """All kept rows [updates, numbers] in one transfer; none are kept afterwards."""
        if self._filled and self._buffer is not None:
            rows = self._buffer[: self._filled].cpu().double().numpy().copy()
            self._filled = 0
            return rows
        rows = np.frombuffer(self._numbers, np.float64).reshape(self._count, -1) if self._count else np.zeros((0, 0))
        self._numbers, self._count = array("d"), 0
        return rows

    def keep(self, rows: np.ndarray) -> None:
        """Keep a batch of rows for :meth:`drain` and :meth:`recent`, the oldest batches making room."""
        self._batches.append(Batch(self.step + 1, rows, self.groups, self.modules))
        self.step += len(rows)
        while self.step - self._batches[0].first >= KEPT and len(self._batches) > 1:
            self._batches.popleft()

    def last(self) -> list[Record]:
        """The records of the newest batch."""
        return self._batches[-1].records()

    def drain(self) -> list[Record]:
        """The records since the last call."""
        new = [b for b in self._batches if b.first + len(b.rows) - 1 > self._drained]
        records = [r for b in new for r in b.records() if r["step"] > self._drained]
        self._drained = self.step
        return records

    def recent(self) -> list[Record]:
        """The last records, drained or not."""
        return [r for b in self._batches for r in b.records()]

    def rewind(self, step: int) -> None:
        """Count on from ``step``, as after loading a checkpoint."""
        self._batches.clear()
        self.step = self._drained = step


@dataclass
class Batch:
    """Rows [updates, numbers] as they were drained, the number of the first update, and what the columns are."""

    first: int
    rows: np.ndarray
    groups: list[str]
    modules: list[str]

    def records(self) -> list[Record]:
        """The rows as records, with ``groups`` and ``modules`` where there are any."""
        out, width = [], len(FIELDS)
        for step, row in enumerate(self.rows.tolist(), self.first):
            record: Record = {"step": step, **_named(row[:width])}
            if self.groups:
                record["groups"] = {
                    name: _named(row[width * (g + 1) : width * (g + 2)]) for g, name in enumerate(self.groups)
                }
            if self.modules:
                record["modules"] = dict(zip(self.modules, row[len(row) - len(self.modules) :]))
            out.append(record)
        return out


def _named(row: Sequence[float]) -> Record:
    return {name: bool(v) if name in FLAGS else v for name, v in zip(FIELDS, row)}


class Histogram:
    """Counts of norms in bins of an eighth of an octave, from 2^-40 to 2^40."""

    PER_OCTAVE = 8
    LOWEST = -40

    def __init__(self) -> None:
        self._counts = np.zeros(2 * -self.LOWEST * self.PER_OCTAVE, np.int64)
        self._waiting: list[np.ndarray] = []

    def add(self, norms: np.ndarray) -> None:
        """Count ``norms``; zeros and non-finite ones are left out."""
        self._waiting.append(norms.copy())
        if len(self._waiting) >= 64:  # many at once cost little each
            self._count()

    def _count(self) -> None:
        if not self._waiting:
            return
        norms = np.concatenate(self._waiting)
        self._waiting = []
        good = norms[np.isfinite(norms) & (norms > 0.0)]
        bins = np.floor((np.log2(good) - self.LOWEST) * self.PER_OCTAVE).astype(np.int64)
        size = len(self._counts)
        self._counts += np.bincount(np.clip(bins, 0, size - 1), minlength=size)

    def bins(self) -> tuple[np.ndarray, np.ndarray]:
        """(counts [n], edges [n + 1]) over the range that has counts; empty arrays before the first norm."""
        self._count()
        used = np.flatnonzero(self._counts)
        if not len(used):
            return np.zeros(0, np.int64), np.zeros(0)
        low, high = used[0], used[-1] + 1
        edges = 2.0 ** (np.arange(low, high + 1) / self.PER_OCTAVE + self.LOWEST)
        return self._counts[low:high].copy(), edges

    def state_dict(self) -> dict[int, int]:
        self._count()
        return {int(i): int(self._counts[i]) for i in np.flatnonzero(self._counts)}

    def load_state_dict(self, state: dict[int, int]) -> None:
        self._counts[:] = 0
        self._waiting = []
        for i, n in state.items():
            self._counts[int(i)] = n
