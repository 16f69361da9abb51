"""Compiled passes over gradients on the CPU: norm, scale, clamp and unit-wise clipping of a whole list in one call.

Optional: without Numba, :func:`available` is False and torch does the same work with the same accuracy. The kernels
read float32 memory through addresses, so one call serves all tensors; large lists are shared among
``torch.get_num_threads()`` threads (the kernels release the GIL; Numba's own threads are not used, because one of its
threading layers aborts the process when two Python threads meet in it). Results do not depend on the thread count.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

with contextlib.suppress(ImportError):  # without it there is no Numba either, and torch does the work
    import numpy as np

BLOCK = 1 << 16  # entries a thread takes at a time
SHARED = 1 << 19  # entries below which one thread does everything

_lock = threading.Lock()
_compiled: Any = None
_pool: ThreadPoolExecutor | None = None


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


def _forget_pool() -> None:
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget_pool)  # threads do not survive a fork


def _shared(work: Callable[[int, int], object], lengths: np.ndarray, entries: int) -> None:
    """Run ``work(first, last)`` over all blocks, on as many threads as torch uses, each with as many entries."""
    global _pool
    blocks = len(lengths)
    threads = min(torch.get_num_threads(), blocks)
    if entries < SHARED or threads < 2:
        work(0, blocks)
        return
    if _pool is None:
        with _lock:
            _pool = _pool or ThreadPoolExecutor(max(os.cpu_count() or 1, 2), "clipping")
    shares = np.arange(1, threads) * (entries / threads)
    cuts = [0, *np.searchsorted(np.cumsum(lengths), shares).tolist(), blocks]
    futures = [_pool.submit(work, cuts[t], cuts[t + 1]) for t in range(1, threads)]
    work(cuts[0], cuts[1])
    for future in futures:
        future.result()


class Kernel:
    """The kernels over one list of tensors. ``load`` it anew at every step: gradients move."""

    def __init__(self) -> None:
        self._numels: list[int] = []
        self._addresses = np.zeros(0, np.int64)
        self._tensor = np.zeros(0, np.int64)  # of each block: which tensor,
        self._start = np.zeros(0, np.int64)  # the first entry,
        self._length = np.zeros(0, np.int64)  # how many entries
        self._before = np.zeros(0)
        self._after = np.zeros(0)
        self._entries = 0
        self._rows: Any = None
        self._raw: tuple[int, ...] = ()
        self._out = 0
        self._pack: Callable[..., None] = struct.Struct("").pack_into

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
        self._tensor, self._start, self._length = (np.ascontiguousarray(table[:, i]) for i in range(3))
        self._before, self._after = np.zeros(len(blocks)), np.zeros(len(blocks))
        self._addresses = np.zeros(len(numels), np.int64)
        self._pack = struct.Struct(f"={len(numels)}q").pack_into
        arrays = (self._tensor, self._start, self._length)
        self._raw = (self._addresses.ctypes.data, len(numels), *(x.ctypes.data for x in arrays), len(blocks))
        self._out = self._before.ctypes.data
        self._numels, self._entries, self._rows = numels, sum(numels), None

    def sum_squares(self) -> float:
        """The sum of squares of all entries; per tensor afterwards from :meth:`per_tensor`."""
        if self._entries < SHARED:
            return _compiled.squares_total(*self._raw, self._out)
        fixed = (self._addresses, self._tensor, self._start, self._length, self._before)
        _shared(lambda a, b: _compiled.squares(*fixed, a, b), self._length, self._entries)
        return _compiled.total(self._before)

    def per_tensor(self) -> Tensor:
        """float64 [tensors], the sums of squares of the last :meth:`sum_squares`."""
        return torch.from_numpy(_compiled.by_tensor(self._tensor, self._before, len(self._numels)))

    def scale(self, coef: float) -> None:
        """Multiply every entry by ``coef``."""
        if self._entries < SHARED:
            _compiled.scale_total(*self._raw, coef)
        else:
            self.scale_each([coef] * len(self._numels))

    def scale_each(self, coefs: Sequence[float]) -> None:
        """Multiply the entries of tensor k by ``coefs[k]`` in float32; tensors with 1.0 are not touched."""
        fixed = (self._addresses, self._tensor, self._start, self._length, np.array(coefs, np.float32))
        _shared(lambda a, b: _compiled.scale(*fixed, a, b), self._length, self._entries)

    def clamp(self, lower: float, upper: float) -> tuple[float, float]:
        """Clamp every entry to [lower, upper]; the sums of squares before and after, in one pass."""
        fixed = (self._addresses, self._tensor, self._start, self._length, self._before, self._after, lower, upper)
        if self._entries < SHARED:
            _compiled.clamp(*fixed, 0, len(self._tensor))
        else:
            _shared(lambda a, b: _compiled.clamp(*fixed, a, b), self._length, self._entries)
        return _compiled.total(self._before), _compiled.total(self._after)

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
        if self._rows is None or rows != self._rows[0]:
            cols = np.array(self._numels, np.int64) // rows
            start = np.concatenate([np.arange(n, dtype=np.int64) * c for n, c in zip(rows, cols)])
            tensor = np.repeat(np.arange(len(rows), dtype=np.int64), rows)
            self._rows = (rows, tensor, start, np.repeat(cols, rows), np.zeros(len(start)), np.zeros(len(start)))
        _, tensor, start, length, before, after = self._rows
        theirs = np.array([0 if w is None else w.data_ptr() for w in weights], np.int64)
        fixed = (self._addresses, theirs, tensor, start, length, before, after, ratio, eps)
        _shared(lambda a, b: _compiled.units(*fixed, a, b), length, self._entries)
        return _compiled.total(before), _compiled.total(after)


def _dense(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) if x.ndim == 4 else False
