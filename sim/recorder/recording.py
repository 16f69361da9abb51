"""A whole recording: workers side by side, what was left by a kill taken up again, everything written at the end."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO

from contracts import UserError
from sim.processes import start_deaf
from sim.recorder import schema
from sim.recorder.agenda import Assignment, agenda
from sim.recorder.card import write_card
from sim.recorder.config import RecordConfig
from sim.recorder.sensors import frame_bytes
from sim.recorder.worker import work
from sim.recorder.writer import begin, committed, finalise, size_of

LEAVE = 10
"""Seconds that a worker has to clean up on a server before it is killed."""
STRIKES = 3
"""Times in a row that a worker may end before its episode is one step further."""
ROW_BYTES = 1000.0
MEAN_SPEED = 5.0
"""m/s of an ego in traffic, for the estimate."""
MEAN_SHARE = 0.75
"""Of the longest episode, that episodes take on average at most."""
RESERVE = 1.3
"""Disk that must be free, as a multiple of the estimate."""


@dataclass(frozen=True)
class Where:
    """The server and the workers.

    Args:
        host: address of a CARLA server that runs, with --port
        port: its port; 0 starts a server of our own for each worker
        workers: episodes recorded at once; 0 for one a core (one alone on a given server)
        maps: folder of further .xodr towns for servers of our own
    """

    host: str = "127.0.0.1"
    port: int = 0
    workers: int = 0
    maps: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65534 or not 0 <= self.workers <= 64:
            raise UserError("record: port is 0..65534, workers 0..64")
        if self.port and self.workers > 1:
            raise UserError("record: a server has one clock, so one worker; leave 'workers' at 0")
        if self.maps and not Path(self.maps).is_dir():
            raise UserError(f"record: maps: there is no folder {self.maps}")

    def crew(self, episodes: int) -> int:
        """How many workers."""
        if self.port:
            return 1
        return max(1, min(self.workers or len(os.sched_getaffinity(0)), episodes))


@dataclass(frozen=True)
class Estimate:
    """What a recording will be, about: rows and pictures of all episodes, bytes on disk."""

    rows: int
    images: int
    size: float


def estimate(config: RecordConfig) -> Estimate:
    """From the lengths of episodes and the sizes of sensors."""
    seconds = min(config.seconds * MEAN_SHARE, 0.5 * (config.shortest + config.longest) / MEAN_SPEED)
    rows = config.episodes * seconds * config.fps
    shots = rows / config.image_every if config.sensors() else 0.0
    return Estimate(round(rows), round(shots * len(config.cameras)), rows * ROW_BYTES + shots * frame_bytes(config))


@dataclass
class State:
    """How far a recording is: rows and pictures in all, episodes done, of how many; restarts of workers."""

    total: int
    done: set[int] = field(default_factory=set)
    rows: dict[int, int] = field(default_factory=dict)
    images: dict[int, int] = field(default_factory=dict)
    restarts: int = 0


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: connection.Connection
    number: int
    episode: int | None = None
    ready: bool = False
    town: str = ""


class Recording:
    """A dataset that is being recorded into a folder, new or left by a recording of the same config."""

    def __init__(self, root: Path, config: RecordConfig, where: Where | None = None) -> None:
        """Open the folder and take its lock. Raises UserError where it holds something else or is in use."""
        self.root, self.config, self.where = root, config, where or Where()
        self.agenda = agenda(config)
        self.info = schema.Info(
            fps=float(config.fps),
            image_every=config.image_every,
            towns=tuple(sorted({a.town for a in self.agenda})),
            cameras={name: camera.info() for name, camera in config.cameras.items()},
            lidar=config.lidar.info(),
            episodes=config.episodes,
            config=config.to_json(),
        )
        self._check_folder()
        self.complete = schema.is_complete(root)
        self.state = State(config.episodes, set(committed(root, config.episodes)))
        self._strikes: dict[int, tuple[int, int]] = {}
        self._lock: TextIO | None = None

    def _check_folder(self) -> None:
        import json

        path = self.root / "meta/info.json"
        if path.is_file():
            try:
                before = json.loads(path.read_bytes())
            except ValueError as error:
                raise UserError(f"{path}: {error}") from error
            # an option that came later was at its default
            before["config"] = {**RecordConfig().to_json(), **before.get("config", {})}
            if json.loads(json.dumps(before)) != json.loads(json.dumps(self.info.to_json())):
                raise UserError(f"{self.root} holds a recording of another configuration; choose another folder")
        elif self.root.is_dir() and any(self.root.iterdir()):
            raise UserError(f"{self.root} is not empty and holds no recording; choose another folder")

    def missing_disk(self) -> float:
        """Bytes that the disk lacks, 0 where there is enough."""
        parent = next(p for p in (self.root, *self.root.resolve().parents) if p.exists())
        left = len(self.agenda) - len(self.state.done)
        wanted = estimate(self.config).size * left / len(self.agenda) * RESERVE
        return max(0.0, wanted - shutil.disk_usage(parent).free)

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self, progress: Callable[[State], None], stop: Callable[[], bool]) -> bool:
        """Record what is missing; True when the dataset is complete, False when `stop` ended it.

        Raises UserError for what a person must mend: no server, a full disk, a route that is not there.
        """
        if self.complete:
            return True
        begin(self.root, self.info)
        self._take_lock()
        try:
            waiting = [a for a in self.agenda if a.index not in self.state.done]
            if waiting and not self._record(waiting, progress, stop):
                return False
            write_card(self.root, self.info, self.agenda)
            finalise(self.root, self.info)
        finally:
            self._free_lock()
        return True

    def _take_lock(self) -> None:
        self._lock = open(self.root / "meta/lock", "w")  # noqa: SIM115 - held as long as the recording
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{self.root} is being recorded by another process") from error

    def _free_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            (self.root / "meta/lock").unlink(missing_ok=True)

    def _record(self, waiting: list[Assignment], progress: Callable[[State], None], stop: Callable[[], bool]) -> bool:
        workers = [self._start(k) for k in range(self.where.crew(len(waiting)))]
        try:
            while len(self.state.done) < self.state.total:
                if stop():
                    return False
                connection.wait([w.pipe for w in workers] + [w.process.sentinel for w in workers], 0.5)
                gone = [worker for worker in workers if not self._hear(worker, waiting)]
                workers = [worker for worker in workers if worker not in gone]
                workers += [fresh for worker in gone if (fresh := self._again(worker, waiting))]
                progress(self.state)
        finally:
            for worker in workers:
                self._end(worker)
        return True

    def _start(self, number: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        threads = max(1, len(os.sched_getaffinity(0)) // self.where.crew(len(self.agenda)))
        process = context.Process(
            target=work, name=f"record-{number}",
            args=(theirs, os.getpid(), self.root, self.config, (self.where.host, self.where.port), self.where.maps,
                  number, threads),
        )  # fmt: skip
        start_deaf(process)
        theirs.close()
        return _Worker(process, ours, number)

    def _hear(self, worker: _Worker, waiting: list[Assignment]) -> bool:
        """Take in what a worker says and give it work; False when it is gone."""
        try:
            while worker.pipe.poll():
                message: tuple[Any, ...] = worker.pipe.recv()
                if message[0] == "bad":
                    raise UserError(message[1])
                if message[0] == "lost":
                    self._last_words = message[1]
                    return False
                self._note(worker, message, waiting)
        except (EOFError, OSError):
            return False
        return worker.process.is_alive()

    _last_words = ""

    def _note(self, worker: _Worker, message: tuple[Any, ...], waiting: list[Assignment]) -> None:
        if message[0] == "at":
            _, index, rows, images = message
            self.state.rows[index], self.state.images[index] = rows, images
            return
        if message[0] == "done":
            self.state.done.add(message[1])
        worker.ready, worker.episode = True, None
        if waiting:
            # a town that the worker knows needs no building
            busy = {a.town for a in waiting}
            choice = next((a for a in waiting if a.town == worker.town), None)
            choice = choice or (waiting[0] if worker.number % 2 == 0 or len(busy) == 1 else waiting[-1])
            waiting.remove(choice)
            worker.episode, worker.town = choice.index, choice.town
            worker.pipe.send(choice.index)
        else:
            worker.pipe.send(None)

    def _again(self, worker: _Worker, waiting: list[Assignment]) -> _Worker | None:
        """A worker in the place of one that ended; its episode is taken up where the journal is. None: no work."""
        self._end(worker)
        if worker.episode is None and not waiting:
            return None
        index = -1 if worker.episode is None else worker.episode
        if worker.episode is not None:
            waiting.insert(0, self.agenda[worker.episode])
        journal = self.root / schema.journal_path(index)
        reached = journal.stat().st_size if journal.is_file() else 0
        strikes, before = self._strikes.get(index, (0, -1))
        strikes = strikes + 1 if reached <= before else 1
        self._strikes[index] = strikes, reached
        if strikes >= STRIKES:
            what = self._last_words.strip().splitlines()[-1] if self._last_words else "it says nothing"
            raise UserError(
                f"episode {index} failed {strikes} times at the same place: {what} "
                f"(logs: {self.root}/meta/parts/server-*.log)"
            )
        self.state.restarts += 1
        return self._start(worker.number)

    @staticmethod
    def _end(worker: _Worker) -> None:
        if worker.process.is_alive():
            worker.process.terminate()
            worker.process.join(LEAVE)
            if worker.process.is_alive():
                worker.process.kill()
        worker.process.join()
        worker.pipe.close()

    def size(self) -> int:
        """Bytes written so far."""
        return size_of(self.root)
