"""Where a search trains: in this process, or in several that die with it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any


class Pool:
    """Calls in this process with one job, in processes that die with this one otherwise."""

    def __init__(self, jobs: int) -> None:
        self._pool: ProcessPoolExecutor | None = None
        if jobs > 1:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(jobs, context, initializer=_die_with, initargs=(os.getpid(),))

    def __enter__(self) -> Callable[..., Future[float]]:
        return self._here if self._pool is None else self._pool.submit

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool is not None:
            if kind is not None:  # what runs would be waited for, minutes perhaps
                for process in self._pool._processes.values():
                    process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    def _here(function: Callable[..., float], *arguments: Any) -> Future[float]:
        future: Future[float] = Future()
        future.set_result(function(*arguments))
        return future


def _die_with(parent: int) -> None:  # pragma: no cover - runs in its own process
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is answered by the parent
    if os.getppid() != parent:
        os._exit(1)
