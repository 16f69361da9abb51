"""Running one compiled pass on as many threads as torch uses: torch's own, where that can be done.

After each of its operations torch's OpenMP threads go on spinning for a while, waiting for the next one. Threads of
our own would have to share the cores with them. So the pass is handed to the same team,
through the same OpenMP library that torch has loaded. Where torch has none, a pool of Python threads does it (a pass
releases the GIL). Numba's own threads are not used, because one of its threading layers aborts the process when two
Python threads meet in it.
"""

from __future__ import annotations

import ctypes
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

_lock = threading.Lock()
_fork: Any = None  # OpenMP's GOMP_parallel(function, data, threads, flags); False where there is none
_pool: ThreadPoolExecutor | None = None


def _load() -> Any:
    if "backend: OpenMP" not in torch.__config__.parallel_info():
        return False
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            # Looked up through torch's library, the symbol is that of the OpenMP library that torch itself uses.
            fork = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / name)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        fork.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        fork.restype = None
        return fork
    return False


def _after_fork() -> None:
    """Threads do not survive a fork, and an OpenMP team of the parent would be waited for without end."""
    global _fork, _pool
    _fork, _pool = False, None


os.register_at_fork(after_in_child=_after_fork)


def run(function: Any, job: int, threads: int) -> None:
    """Call the compiled ``function`` (a numba cfunc of one address) with ``job`` on ``threads`` threads at once."""
    global _fork, _pool
    if threads < 2:
        function.ctypes(job)
        return
    if _fork is None:
        with _lock:
            if _fork is None:
                _fork = _load()
    if _fork:
        _fork(function.address, job, threads, 0)
        return
    if _pool is None:
        with _lock:
            _pool = _pool or ThreadPoolExecutor(max(os.cpu_count() or 1, 2), "clipping")
    others = [_pool.submit(function.ctypes, job) for _ in range(threads - 1)]
    function.ctypes(job)
    for other in others:
        other.result()
