"""Hands out routes to worker processes, each with a server; keeps every outcome in a file of its own; counts.

A worker whose server dies may die with it (the Traffic Manager takes its process along): server and worker are started
again and the route is begun again, at most `tries` times; then it counts as failed. No route is dropped.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from contracts import UserError
from sim.driving.referee import KINDS
from sim.metrics import VERSIONS, Route, benchmark
from sim.processes import start_deaf
from sim.recorder.hosted import HostedServer
from throttle.drive.config import DriveConfig, Job, Stack, jobs
from throttle.drive.episode import failed
from throttle.runs import write_atomic

Show = Callable[[str, float, int, int], None]
"""Told (name of the route, its completion 0..1, routes done, of all)."""


@dataclass
class _Slot:
    """A worker, its server and what it does."""

    number: int
    server: HostedServer | None = None
    process: Any = None
    pipe: Connection | None = None
    job: Job | None = None
    ready: bool = False


class Benchmark:
    """All routes of a configuration, in the folder of its run."""

    def __init__(self, config: DriveConfig, stacks: dict[str, Stack], path: Path) -> None:
        """stacks: config.arms() with the folders of their runs."""
        self.config, self.stacks, self.path = config, stacks, path
        self.clips = path / "clips"
        self.todo = [job for job in jobs(config) if self.outcome(job) is None]
        self.all = len(list(jobs(config)))
        self._tried: dict[str, int] = {}
        cores = len(os.sched_getaffinity(0))
        # a worker and its server take turns, so two of them keep two cores busy; more cores also draw pictures faster
        few = max(1, min(cores, 2), cores // 2)
        self.workers = 1 if config.server else min(config.workers or few, max(1, len(self.todo)))

    def file(self, job: Job) -> Path:
        """Where a route's outcome is."""
        return self.path / "routes" / f"{job.key}.json"

    def outcome(self, job: Job) -> dict[str, Any] | None:
        """What came of a route, None where it is not driven yet."""
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads(self.file(job).read_text(encoding="utf-8"))
            return found
        return None

    def run(self, show: Show, stop: Callable[[], bool]) -> bool:
        """Drive what is not driven yet; True when all is. Raises UserError for what a person must mend."""
        self.clips.mkdir(exist_ok=True)
        waiting = list(self.todo)
        slots = [_Slot(k) for k in range(self.workers)]
        try:
            while (waiting or any(slot.job for slot in slots)) and not stop():
                for slot in slots:
                    if slot.pipe is None and waiting:
                        self._start(slot)
                    if slot.ready and slot.job is None and waiting and slot.pipe is not None:
                        slot.job = waiting.pop(0)
                        slot.pipe.send(slot.job)
                busy: list[Any] = [slot.pipe for slot in slots if slot.pipe is not None]
                for pipe in wait(busy, timeout=0.5):
                    slot = next(s for s in slots if s.pipe is pipe)
                    self._hear(slot, waiting, show)
                for slot in slots:
                    # a client that waits for a server that is gone waits for long; what was said before counts
                    gone = slot.server is not None and not slot.server.alive()
                    if gone and slot.pipe is not None and not slot.pipe.poll():
                        self._lost(slot, waiting, "the server ended")
        finally:
            for slot in slots:
                self._end(slot)
        return not any(self.outcome(job) is None for job in jobs(self.config))

    def _start(self, slot: _Slot) -> None:
        config = self.config
        if config.server:
            host, port = config.address()
        else:
            threads = max(1, len(os.sched_getaffinity(0)) // self.workers)
            slot.server = HostedServer(config.towns[0], self.path, slot.number, config.maps, threads)
            host, port = "127.0.0.1", slot.server.port
        from throttle.drive.worker import work

        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        log = self.path / f"worker-{slot.number}.log"
        slot.process = context.Process(
            target=work,
            args=(theirs, os.getpid(), config, self.stacks, self.clips, log, host, port, 8000 + 50 * slot.number),
            daemon=True,
        )
        start_deaf(slot.process)
        theirs.close()
        slot.pipe, slot.ready = mine, False

    def _hear(self, slot: _Slot, waiting: list[Job], show: Show) -> None:
        assert slot.pipe is not None
        try:
            kind, *rest = slot.pipe.recv()
        except (EOFError, ConnectionResetError):
            kind, rest = "lost", ["the process ended without a word"]
        if kind == "ready":
            slot.ready = True
        elif kind == "at" and slot.job is not None:
            show(slot.job.key, float(rest[0]), self._done(), self.all)
        elif kind == "done" and slot.job is not None:
            self._keep(slot.job, rest[0])
            show(slot.job.key, 1.0, self._done(), self.all)
            slot.job = None
        elif kind == "bad":
            raise UserError(str(rest[0]))
        elif kind == "lost":
            self._lost(slot, waiting, str(rest[0]))

    def _lost(self, slot: _Slot, waiting: list[Job], why: str) -> None:
        """The route is begun again, or counts as failed."""
        job, before = slot.job, slot.ready
        self._end(slot)
        key = job.key if job is not None else f"start of worker {slot.number}"
        self._tried[key] = self._tried.get(key, 0) + 1
        if self._tried[key] < self.config.tries:
            if job is not None:
                waiting.insert(0, job)
            return
        if job is None or not before:
            raise UserError(f"the server cannot be used: {why}")
        self._keep(job, failed(job, why, 0.0))

    def _keep(self, job: Job, outcome: dict[str, Any]) -> None:
        file = self.file(job)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, json.dumps(outcome, indent=1))

    def _done(self) -> int:
        return sum(1 for _ in (self.path / "routes").glob("*/*.json"))

    @staticmethod
    def _end(slot: _Slot) -> None:
        if slot.pipe is not None:
            with suppress(OSError):
                slot.pipe.send(None)
            slot.pipe.close()
        if slot.process is not None:
            slot.process.join(0.5)
            if slot.process.is_alive():
                slot.process.kill()
                slot.process.join()
        if slot.server is not None:
            slot.server.stop()
        slot.server = slot.process = slot.pipe = slot.job = None
        slot.ready = False

    # -- results ------------------------------------------------------------------------------------------------------

    def results(self) -> dict[str, Any]:
        """arm -> stack, figures and outcomes of its routes; those not driven yet count as failed."""
        found: dict[str, Any] = {}
        for arm, stack in self.stacks.items():
            mine = [job for job in jobs(self.config) if job.arm == arm]
            outcomes = [outcome for job in mine if (outcome := self.outcome(job)) is not None]
            found[arm] = {
                "stack": {"perception": stack.perception, "planner": stack.planner, "control": stack.control},
                "figures": figures(outcomes, len(mine)),
                "routes": outcomes,
            }
        return found


def figures(outcomes: list[dict[str, Any]], planned: int) -> dict[str, float]:
    """Means over all planned routes: completion, success, scores and penalties of every version; latencies."""
    routes = [Route(**outcome["counts"]) for outcome in outcomes]
    found: dict[str, float] = {"routes": float(planned), "driven": float(len(outcomes))}
    if not routes:
        return found
    for version in VERSIONS:
        part = benchmark(routes, version, planned)
        found[f"driving_score/{version}"] = part.pop("driving_score")
        found[f"penalty/{version}"] = part.pop("penalty")
        found |= part
    seconds = sum(outcome["seconds"] for outcome in outcomes)
    found["mean_speed"] = sum(route.distance for route in routes) / max(seconds, 1e-9)
    for kind in KINDS:
        found[f"events/{kind}"] = float(sum(getattr(route, kind) for route in routes))
    found["acceleration"] = sum(o["comfort"]["acceleration"] for o in outcomes) / len(outcomes)
    found["jerk"] = sum(o["comfort"]["jerk"] for o in outcomes) / len(outcomes)
    for part in sorted({name for outcome in outcomes for name in outcome["latency"]}):
        each = [outcome["latency"][part] for outcome in outcomes if part in outcome["latency"]]
        found[f"latency/{part}"] = sum(row["median"] for row in each) / len(each)
        found[f"latency_p95/{part}"] = max(row["p95"] for row in each)
    return found
