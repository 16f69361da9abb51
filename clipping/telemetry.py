"""What every update did, kept where it happened and brought to the host in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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
        self._rows: list[Any] = []
        self._buffer: Tensor | None = None
        self._filled = 0
        self._records: deque[Record] = deque(maxlen=KEPT)
        self._drained = 0

    def layout(self, groups: list[str], modules: list[str]) -> None:
        """Name what the rows hold beyond the whole; empty for a single group and no modules."""
        self.groups, self.modules = groups, modules

    def add(self, row: Any) -> bool:
        """Keep one row: a tuple of floats, or a 1-d tensor on a device. True when it is time to drain."""
        if not isinstance(row, Tensor):
            self._rows.append(row)
            return len(self._rows) >= self.size
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
        rows = np.array(self._rows, np.float64)
        self._rows = []
        return rows

    def keep(self, rows: np.ndarray) -> list[Record]:
        """The rows as records, which :meth:`drain` and :meth:`recent` give out later."""
        out, width = [], len(FIELDS)
        for row in rows.tolist():
            self.step += 1
            record: Record = {"step": self.step, **_named(row[:width])}
            if self.groups:
                record["groups"] = {
                    name: _named(row[width * (g + 1) : width * (g + 2)]) for g, name in enumerate(self.groups)
                }
            if self.modules:
                record["modules"] = dict(zip(self.modules, row[len(row) - len(self.modules) :]))
            out.append(record)
        self._records.extend(out)
        return out

    def drain(self) -> list[Record]:
        """The records since the last call."""
        new = [r for r in self._records if r["step"] > self._drained]
        self._drained = self.step
        return new

    def recent(self) -> list[Record]:
        """The last records, drained or not."""
        return list(self._records)

    def rewind(self, step: int) -> None:
        """Count on from ``step``, as after loading a checkpoint."""
        self._records.clear()
        self.step = self._drained = step


def _named(row: Sequence[float]) -> Record:
    return {name: bool(v) if name in FLAGS else v for name, v in zip(FIELDS, row)}


class Histogram:
    """Counts of norms in bins of an eighth of an octave, from 2^-40 to 2^40."""

    PER_OCTAVE = 8
    LOWEST = -40

    def __init__(self) -> None:
        self._counts = np.zeros(2 * -self.LOWEST * self.PER_OCTAVE, np.int64)

    def add(self, norms: np.ndarray) -> None:
        """Count ``norms``; zeros and non-finite ones are left out."""
        good = norms[np.isfinite(norms) & (norms > 0.0)]
        bins = np.floor((np.log2(good) - self.LOWEST) * self.PER_OCTAVE).astype(np.int64)
        np.add.at(self._counts, np.clip(bins, 0, len(self._counts) - 1), 1)

    def bins(self) -> tuple[np.ndarray, np.ndarray]:
        """(counts [n], edges [n + 1]) over the range that has counts; empty arrays before the first norm."""
        used = np.flatnonzero(self._counts)
        if not len(used):
            return np.zeros(0, np.int64), np.zeros(0)
        low, high = used[0], used[-1] + 1
        edges = 2.0 ** (np.arange(low, high + 1) / self.PER_OCTAVE + self.LOWEST)
        return self._counts[low:high].copy(), edges

    def state_dict(self) -> dict[int, int]:
        return {int(i): int(self._counts[i]) for i in np.flatnonzero(self._counts)}

    def load_state_dict(self, state: dict[int, int]) -> None:
        self._counts[:] = 0
        for i, n in state.items():
            self._counts[int(i)] = n
