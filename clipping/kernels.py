"""Compiled passes over gradients on the CPU: norm, scale, clamp and unit-wise clipping of a whole list in one call.

Optional: without Numba, :func:`available` is False and torch does the same work with the same accuracy. The kernels
read float32 memory through addresses, so one call serves all tensors; large lists are shared among
``torch.get_num_threads()`` threads (:mod:`clipping.team`). Results do not depend on the thread count.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from clipping import team

with contextlib.suppress(ImportError):  # without it there is no Numba either, and torch does the work
    import numpy as np

BLOCK = 1 << 18  # entries a thread takes at a time
SHARED = 1 << 19  # entries below which one thread does everything

_lock = threading.Lock()
_compiled: Any = None


def available() -> bool:
    """Whether the compiled kernels can be used; compiles (or loads from the cache) on the first call."""
    global _compiled
    if _compiled is None:
        with _lock:
            if _compiled is None:
                _compiled = _load()
    return _compiled is not False


def _load() -> Any:
    if os.environ.get("CLIPPING_KERNELS") == "0":
        return False
    try:
        from clipping import _numba
    except (ImportError, RuntimeError, OSError):  # no Numba, or one that cannot work here (no cache folder)
        return False
    return _numba


class Job:
    """The tables of one kind of pass, as the compiled functions read them (the words of clipping._numba)."""

    def __init__(self, grads: np.ndarray, tensor: np.ndarray, start: np.ndarray, length: np.ndarray) -> None:
        """``grads`` int64 [tensors], filled at every step; the others int64 [blocks]: which tensor, from which entry,
        how many entries."""
        self.tensor, self.entries = tensor, int(length.sum())
        self.before, self.after = np.zeros(len(tensor)), np.zeros(len(tensor))
        self.coefs = np.ones(len(grads), np.float32)
        ends = np.cumsum(length)
        whole = np.arange(BLOCK, self.entries, BLOCK)
        cuts = np.unique(np.concatenate([[0], np.searchsorted(ends, whole), [len(tensor)]])).astype(np.int64)
        self.words = np.zeros(_compiled.WORDS, np.int64)
        self.numbers = self.words.view(np.float64)
        self.address = self.words.ctypes.data
        self._sums = self.before.ctypes.data, self.after.ctypes.data
        self.words[_compiled.SHARES], self.words[_compiled.BLOCKS] = len(cuts) - 1, len(tensor)
        for word, table in (
            (_compiled.CUTS, cuts),
            (_compiled.GRADS, grads),
            (_compiled.TENSOR, tensor),
            (_compiled.START, start),
            (_compiled.LENGTH, length),
            (_compiled.BEFORE, self.before),
            (_compiled.AFTER, self.after),
            (_compiled.COEFS, self.coefs),
        ):
            self.words[word] = table.ctypes.data
        self._kept = (cuts, grads, tensor, start, length)  # what the addresses point to

    def run(self, function: Any) -> None:
        """Go over all blocks, with as many threads as torch uses if there is work for them."""
        self.words[_compiled.NEXT] = 0
        team.run(function, self.address, torch.get_num_threads() if self.entries >= SHARED else 1)

    def sums(self) -> tuple[float, float]:
        """The sums of ``before`` and ``after``."""
        add, blocks = _compiled.total.ctypes, len(self.tensor)
        return add(self._sums[0], blocks), add(self._sums[1], blocks)


class Kernel:
    """The kernels over one list of tensors. ``load`` it anew at every step: gradients move."""

    def __init__(self) -> None:
        self._numels: list[int] = []
        self._addresses = np.zeros(0, np.int64)
        self._pack: Callable[..., None] = struct.Struct("").pack_into
        self._job: Any = None  # a Job from the first load on
        self._units: Job | None = None
        self._rows: list[int] = []

    def load(self, tensors: Sequence[Tensor]) -> bool:
        """Take the addresses of ``tensors``; False if one of them is not float32 in one piece of CPU memory."""
        kind, single = Tensor, torch.float32  # (locals: this loop is most of what a small network pays)
        for x in tensors:
            # Subclasses (fake, functional, distributed tensors) may have no memory at their address.
            if type(x) is not kind or x.dtype is not single or not x.is_cpu or not (x.is_contiguous() or _dense(x)):
                return False
        addresses, numels = list(map(kind.data_ptr, tensors)), list(map(kind.numel, tensors))
        if numels != self._numels:
            self._tabulate(numels)
        self._pack(self._addresses, 0, *addresses)  # (faster than numpy's assignment)
        return True

    def _tabulate(self, numels: list[int]) -> None:
        blocks = [
            (k, start, min(BLOCK, n - start)) for k, n in enumerate(numels) for start in range(0, n, BLOCK) if n > 0
        ]
        table = np.array(blocks, np.int64).reshape(-1, 3)
        self._addresses = np.zeros(len(numels), np.int64)
        self._pack = struct.Struct(f"={len(numels)}q").pack_into
        self._job = Job(self._addresses, *(np.ascontiguousarray(table[:, i]) for i in range(3)))
        self._numels, self._units = numels, None

    def sum_squares(self) -> float:
        """The sum of squares of all entries; per tensor afterwards from :meth:`per_tensor`."""
        job = self._job
        if job.entries < SHARED:
            return float(_compiled.squares_total.ctypes(job.address))
        job.run(_compiled.squares)
        return job.sums()[0]

    def per_tensor(self) -> Tensor:
        """float64 [tensors], the sums of squares of the last :meth:`sum_squares`."""
        job = self._job
        return torch.from_numpy(np.bincount(job.tensor, job.before, len(self._numels)))

    def scale(self, coef: float) -> None:
        """Multiply every entry by ``coef``."""
        self._job.coefs.fill(coef)
        self._job.run(_compiled.scale)

    def scale_each(self, coefs: Sequence[float]) -> None:
        """Multiply the entries of tensor k by ``coefs[k]`` in float32; tensors with 1.0 are not touched."""
        self._job.coefs[:] = coefs
        self._job.run(_compiled.scale)

    def clamp(self, lower: float, upper: float) -> tuple[float, float]:
        """Clamp every entry to [lower, upper]; the sums of squares before and after, in one pass."""
        job = self._job
        job.numbers[_compiled.LOW], job.numbers[_compiled.HIGH] = lower, upper
        job.run(_compiled.clamp)
        return job.sums()

    def units(self, weights: Sequence[Tensor | None], ratio: float, eps: float) -> tuple[float, float] | None:
        """Hold every row of dimension 0 to ``ratio * max(norm of the weight's row, eps)``.

        Args:
            weights: for each tensor its parameter; None leaves it as it is.

        Returns:
            the sums of squares before and after; None, with nothing done, if a weight lies otherwise in memory.
        """
        if any(w is not None and not (w.dtype is torch.float32 and w.is_contiguous()) for w in weights):
            return None
        rows = [max(len(w), 1) if w is not None and w.ndim > 1 else 1 for w in weights]
        if self._units is None or rows != self._rows:
            cols = np.array(self._numels, np.int64) // rows
            start = np.concatenate([np.arange(n, dtype=np.int64) * c for n, c in zip(rows, cols)])
            tensor = np.repeat(np.arange(len(rows), dtype=np.int64), rows)
            self._units, self._rows = Job(self._addresses, tensor, start, np.repeat(cols, rows)), rows
        job = self._units
        theirs = np.array([0 if w is None else w.data_ptr() for w in weights], np.int64)
        job.words[_compiled.WEIGHTS] = theirs.ctypes.data
        job.numbers[_compiled.LOW], job.numbers[_compiled.HIGH] = ratio, eps
        job.run(_compiled.units)
        return job.sums()


def _dense(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) if x.ndim == 4 else False
