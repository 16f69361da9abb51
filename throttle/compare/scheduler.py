"""Runs jobs over the cores of this machine: as many processes as cores, each doing one job after another."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from sim.processes import start_deaf
from throttle.stopping import StopSignal

log = logging.getLogger(__name__)
Show = Callable[[str, int, int, dict[str, float]], None]
"""show(name, step, total, figures)"""


class Work(Protocol):
    """What is done to a job, in a worker; a module's function."""

    def __call__(
        self, job: Any, show: Callable[[int, int, dict[str, float]], None], stop: Callable[[], bool]
    ) -> None: ...


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def run_here(work: Work, jobs: Sequence[tuple[str, Any]], at_once: int, show: Show) -> dict[str, str]:
    """Do all jobs (name, job), `at_once` at a time; returns name -> what went wrong, for those that failed.

    A worker keeps what it imported and compiled for its next job. One that dies is replaced, and its job has failed;
    the others go on. Raises KeyboardInterrupt after Ctrl-C or a SIGTERM, once all workers have saved and ended.
    """
    waiting, failed = list(jobs), dict[str, str]()
    workers: dict[Connection, _Worker] = {}
    with StopSignal() as stop:
        told = False
        while waiting or workers:
            if stop() and not told:
                told = True
                waiting.clear()
                for worker in workers.values():
                    worker.process.terminate()  # it saves, and ends
            while waiting and len(workers) < at_once:
                worker = _Worker(work)
                worker.give(*waiting.pop(0))
                workers[worker.pipe] = worker
            for ready in wait(list(workers), timeout=0.5):
                assert isinstance(ready, Connection)
                worker = workers[ready]
                try:
                    kind, content = ready.recv()
                except (EOFError, ConnectionResetError):
                    worker.process.join()
                    del workers[ready]
                    if worker.name and not told:
                        failed[worker.name] = f"its process died (exit code {worker.process.exitcode})"
                    continue
                if kind == "progress":
                    show(worker.name, *content)
                    continue
                if kind == "failed":
                    failed[worker.name] = content
                    log.warning("%s failed: %s", worker.name, content)
                worker.name = ""
                with contextlib.suppress(OSError):  # of a worker that died just now: its end is read next
                    if waiting:
                        worker.give(*waiting.pop(0))
                    else:
                        worker.pipe.send(None)
        if stop():
            raise KeyboardInterrupt
    return failed


class _Worker:
    """A process that does jobs; `name` is that of the job in hand, empty between jobs."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, os.getpid()))
        start_deaf(self.process)
        theirs.close()
        self.name = ""

    def give(self, name: str, job: Any) -> None:
        self.name = name
        self.pipe.send(job)


def _serve(pipe: Connection, work: Work, parent: int) -> None:  # pragma: no cover - runs in its own process
    """Do the jobs that come through the pipe, in a process that dies with its parent."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        return
    with StopSignal(signal.SIGTERM) as stop:
        while (job := pipe.recv()) is not None:
            try:
                work(job, lambda step, total, figures: pipe.send(("progress", (step, total, figures))), stop)
            except KeyboardInterrupt:  # asked a second time
                return
            except Exception as error:
                if stop():
                    return
                log.debug("%s", traceback.format_exc())
                pipe.send(("failed", f"{type(error).__name__}: {' '.join(str(error).split())}"))
            else:
                pipe.send(("done", None))
