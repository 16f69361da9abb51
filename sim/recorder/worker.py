"""A process that records one episode after another for `sim.recorder.recording`. It may be killed at any moment.

Where no server's address is given it starts one of its own and ends with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contracts import UserError
from sim.processes import die_with_parent
from sim.recorder.config import RecordConfig
from sim.recorder.hosted import HostedServer

REPORT_EVERY = 0.3
"""Seconds between two messages about how far an episode is."""
SERVER_GONE = 70
"""Exit code of a worker whose server ended."""


def work(
    pipe: Connection, parent: int, root: Path, config: RecordConfig, where: tuple[str, int], maps: str, number: int,
    threads: int,
) -> None:  # fmt: skip
    """Serve: receive episode numbers, record them; None ends it.

    Sends ("ready",), ("at", episode, rows, pictures), ("done", episode) after the last of these, ("bad", text) for what
    a person must mend, ("lost", text) for the rest. where: host and port; port 0 for a server of its own.
    """
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    server = None
    _say_into(root / f"meta/parts/worker-{number}.log")
    # the client keeps navigation meshes in its home: two at once must not write the same file
    home = root.resolve() / f"meta/parts/home-{number}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    os.environ["HOME"] = str(home)
    try:
        host, port = where
        if not port:
            server = HostedServer((*config.towns, *config.test_towns)[0], root / "meta/parts", number, maps, threads)
            host, port = "127.0.0.1", server.port
            threading.Thread(target=_watch, args=(server,), daemon=True).start()
        _serve(pipe, root, config, host, port, server is not None, 9000 + 200 * number)
    except (EOFError, BrokenPipeError):
        pass
    except UserError as error:
        pipe.send(("bad", str(error)))
    except OSError as error:
        pipe.send(("bad", f"{error.filename or root}: {error.strerror or error}"))
    except Exception as error:  # the parent tries again, a few times
        pipe.send(("lost", "".join(traceback.format_exception(error)[-3:])))
    finally:
        if server is not None:
            server.stop()


def _leave(*_: object) -> None:
    """End tidily, once: a second signal must not cut short the cleaning up of somebody's server."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def _say_into(path: Path) -> None:
    """What the CARLA client prints would disturb the progress bar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def _watch(server: HostedServer) -> None:
    """A client that waits for a server that is gone waits for long: end at once instead."""
    while server.wanted:
        if not server.alive():
            os._exit(SERVER_GONE)
        time.sleep(0.2)


def _serve(
    pipe: Connection, root: Path, config: RecordConfig, host: str, port: int, hosted: bool, manager_port: int
) -> None:
    # only now: these read the home folder
    import numba

    from sim.client import ClientConfig, connect
    from sim.recorder.agenda import agenda
    from sim.recorder.episode import DELTA, record_episode
    from sim.recorder.writer import EpisodeWriter

    numba.set_num_threads(1)
    episodes = agenda(config)
    options = ClientConfig(
        host=host, port=port, delta=DELTA, timeout=300.0 if hosted else 60.0, manager_port=manager_port
    )
    with connect(options) as sim:
        exact = hosted or 'vendor="Throttle"' in sim.map.to_opendrive()[:2000]
        pipe.send(("ready",))
        while True:
            index = pipe.recv()
            if index is None:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # cleaning up is next
                return
            report = _Report(pipe, index)
            record_episode(sim, config, episodes[index], EpisodeWriter(root, index), exact, report)
            report.send()
            pipe.send(("done", index))


class _Report:
    def __init__(self, pipe: Connection, index: int) -> None:
        self._pipe, self._index, self._last = pipe, index, 0.0
        self._reached = 0, 0

    def __call__(self, rows: int, images: int) -> None:
        self._reached = rows, images
        if time.monotonic() - self._last > REPORT_EVERY:
            self.send()

    def send(self) -> None:
        """Say how far it is."""
        self._last = time.monotonic()
        message: tuple[Any, ...] = ("at", self._index, *self._reached)
        self._pipe.send(message)
