"""Run directories: `runs/<date>-<name>/` with config, status, log and checkpoints, all written whole or not at all.

runs/2026-03-01-urban/
  config.yaml          the resolved configuration; `--config` reads it again
  status.json          state, step, times, what to do next
  run.log              what the program said
  checkpoints/<step>/  folders with a manifest; the newest `keep` stay
  metrics.csv ...      see throttle.tracking
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import json
import logging
import os
import re
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from contracts import UserError
from sim.recorder.files import digest_file, flush, flush_one, write_whole

STATES = ("running", "finished", "stopped", "diverged", "failed", "killed")
LOGGERS = ("throttle", "control", "planning", "perception", "training", "clipping", "sim")
MANIFEST = "manifest.json"
log = logging.getLogger(__name__)
_locks: weakref.WeakSet[TextIO] = weakref.WeakSet()  # of this process's runs


def _drop_locks() -> None:
    for lock in list(_locks):
        lock.close()


# A forked child (a worker that loads data) shares its parent's locks: after a kill it would go on to hold the run.
os.register_at_fork(after_in_child=_drop_locks)


def write_atomic(path: Path, text: str) -> None:
    """Replace `path` by `text`: after a crash at any moment the file holds the old or the new text, whole."""
    write_whole(path, text.encode())


@dataclass
class Status:
    """The content of status.json. state: one of STATES; "killed" is never written, a reader concludes it."""

    kind: str
    state: str
    step: int
    total: int
    created: float
    updated: float
    message: str = ""
    wandb_id: str = ""


class Run:
    """One run's folder, held by one process at a time (a file lock that dies with the process)."""

    def __init__(self, path: Path, keep: int = 3) -> None:
        """Use `Run.create` or `Run.resume`. keep: newest checkpoints that stay on disk."""
        self.path = path
        self.keep = keep
        self._lock: TextIO | None = None
        self._handler: logging.Handler | None = None
        self._written = 0.0

    # -- making and finding ---------------------------------------------------------------------------------------

    @classmethod
    def create(cls, root: Path | str, name: str, kind: str, config: Any, total: int = 0, keep: int = 3) -> Run:
        """Make a new folder for a run of `kind` ("control", "demo", ...) and take its lock.

        config: a dataclass instance, saved resolved. Raises UserError for a name that is no file name.
        """
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            raise UserError(f"a run's name has letters, digits, '.', '_' and '-' only, not '{name}'")
        root = Path(root)
        root.mkdir(parents=True, exist_ok=True)
        base = f"{datetime.date.today().isoformat()}-{name}"
        for n in range(1, 10_000):
            path = root / (base if n == 1 else f"{base}-{n}")
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                break
        return cls.create_at(path, kind, config, total, keep)

    @classmethod
    def create_at(cls, path: Path, kind: str, config: Any, total: int = 0, keep: int = 3) -> Run:
        """Make a run in exactly this folder, which may exist but must not hold a run."""
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path, keep)
        run._acquire()
        (path / "checkpoints").mkdir(exist_ok=True)
        write_atomic(path / "config.yaml", dump_config(config))
        now = time.time()
        run._write(Status(kind, "running", 0, total, now, now))
        run._open_log()
        return run

    @classmethod
    def resume(cls, path: Path, keep: int = 3) -> Run:
        """Take up an existing run. Raises UserError where another process holds it."""
        run = cls(path, keep)
        run._acquire()
        for leftover in (path / "checkpoints").glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)
        run._update(state="running", message="")
        run._open_log()
        return run

    # -- state ----------------------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """What status.json says."""
        return read_status(self.path)

    def note(self, step: int, total: int, message: str = "") -> None:
        """Record how far the run is; at most once a second reaches the disk, unless there is a message."""
        if message or time.monotonic() - self._written > 1.0:
            self._update(step=step, total=total, message=message)

    def finish(self, state: str, message: str = "", step: int | None = None) -> None:
        """Write the final state and let go of the lock."""
        if state not in STATES:
            raise ValueError(f"state must be one of {STATES}, not {state!r}")
        self._update(state=state, message=message, **({} if step is None else {"step": step}))
        log.info("run %s: %s %s", self.path, state, message)
        if self._handler is not None:
            for name in LOGGERS:
                logging.getLogger(name).removeHandler(self._handler)
            self._handler.close()
            self._handler = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def remember(self, wandb_id: str) -> None:
        """Keep the tracking service's name of this run, for a later resume."""
        self._update(wandb_id=wandb_id)

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def checkpoint(self, step: int, write: Callable[[Path], None]) -> Path:
        """Have `write` fill an empty folder, then make it the checkpoint of `step`: files synced, folder renamed."""
        folder = self.path / "checkpoints"
        final = folder / f"{step:012d}"
        temporary = folder / f".{step:012d}.{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        write(temporary)
        manifest, files = {}, sorted(file for file in temporary.rglob("*") if file.is_file())
        flush(files)
        for file in files:
            sha256, size = digest_file(file)
            manifest[str(file.relative_to(temporary))] = {"bytes": size, "sha256": sha256}
        write_atomic(temporary / MANIFEST, json.dumps(manifest, indent=1))
        if final.exists():
            shutil.rmtree(final)
        os.replace(temporary, final)
        flush_one(folder)
        for old in self.checkpoints()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)
        return final

    def checkpoints(self) -> list[Path]:
        """All checkpoints on disk, oldest first, whole or damaged."""
        return list_checkpoints(self.path)

    def latest(self) -> Path | None:
        """The newest whole checkpoint; a damaged one is reported and passed over."""
        return latest_checkpoint(self.path)

    def _acquire(self) -> None:
        self._lock = open(self.path / ".lock", "a")  # noqa: SIM115 - held as long as the run is
        for _ in range(5):  # a reader may hold it for a moment
            with contextlib.suppress(OSError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _locks.add(self._lock)
                return
            time.sleep(0.05)
        self._lock.close()
        self._lock = None
        raise UserError(f"{self.path} is in use by a process that is still running")

    def _open_log(self) -> None:
        self._handler = logging.FileHandler(self.path / "run.log", encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        for name in LOGGERS:
            logger = logging.getLogger(name)
            logger.addHandler(self._handler)
            logger.setLevel(min(logger.level or logging.INFO, logging.INFO))

    def _update(self, **changes: Any) -> None:
        self._write(dataclasses.replace(self.status, updated=time.time(), **changes))

    def _write(self, status: Status) -> None:
        write_atomic(self.path / "status.json", json.dumps(dataclasses.asdict(status), indent=1))
        self._written = time.monotonic()


def dump_config(config: Any) -> str:
    """A dataclass as YAML that `--config` reads again."""
    text: str = yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True)
    return text


def read_status(path: Path) -> Status:
    """The status of a run; a run whose process has gone without a word is "killed".

    Raises UserError where there is no run or its status cannot be read.
    """
    file = path / "status.json"
    try:
        status = Status(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not a run: {file.name}: {error}") from error
    if status.state == "running" and not _held(path):
        status.state = "killed"
    return status


def _held(path: Path) -> bool:
    """Whether a living process holds the run."""
    try:
        with open(path / ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def list_runs(root: Path | str, kind: str = "") -> Iterator[tuple[Path, Status]]:
    """All runs below `root`, the newest first; of one kind where `kind` is given."""
    found = []
    for file in Path(root).glob("*/status.json"):
        with contextlib.suppress(UserError):
            status = read_status(file.parent)
            if kind in ("", status.kind):
                found.append((file.parent, status))
    yield from sorted(found, key=lambda item: item[1].created, reverse=True)


def find_run(root: Path | str, reference: str, kind: str = "") -> Path:
    """The folder that `reference` means: a path, a name below `root`, or "last". Raises UserError."""
    if reference == "last":
        newest = next(list_runs(root, kind), None)
        if newest is None:
            raise UserError(f"there is no {kind + ' ' if kind else ''}run in {root} yet")
        return newest[0]
    for path in (Path(reference), Path(root) / reference):
        if (path / "status.json").is_file():
            status = read_status(path)
            if kind and status.kind != kind:
                raise UserError(f"{path} is a run of {status.kind}, not of {kind}")
            return path
    raise UserError(f"no run '{reference}' (looked for {reference} and {Path(root) / reference})")


def list_checkpoints(path: Path) -> list[Path]:
    """The checkpoints of the run at `path`, oldest first."""
    return sorted(p for p in (path / "checkpoints").glob("[0-9]*") if p.is_dir())


def latest_checkpoint(path: Path) -> Path | None:
    """The newest checkpoint of the run at `path` whose files are what its manifest says."""
    for folder in reversed(list_checkpoints(path)):
        damage = find_damage(folder)
        if not damage:
            return folder
        log.warning("checkpoint %s is damaged (%s); taking the one before", folder, damage)
    return None


def find_damage(folder: Path) -> str:
    """What is wrong with a checkpoint, in words; empty where it is whole."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, facts in manifest.items():
            if (folder / name).stat().st_size != facts["bytes"] or digest_file(folder / name).sha256 != facts["sha256"]:
                return f"{name} is not as it was written"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return str(error)
    return ""
