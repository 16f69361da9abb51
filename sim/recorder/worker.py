"""A process that records one episode after another for `sim.recorder.recording`. It may be killed at any moment."""

from __future__ import annotations

import signal
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic

import numba

from contracts import UserError
from sim.client import ClientConfig, ServerLost, connect
from sim.recorder.agenda import agenda
from sim.recorder.config import RecordConfig
from sim.recorder.episode import DELTA, record_episode
from sim.recorder.hosted import die_with_parent
from sim.recorder.writer import EpisodeWriter

REPORT_EVERY = 0.5
"""Seconds between two messages about how far an episode is."""


def work(
    pipe: Connection, parent: int, root: Path, config: RecordConfig, host: str, port: int, manager_port: int,
    hosted: bool,
) -> None:  # fmt: skip
    """Serve: receive episode numbers, record them; send ("at", episode, rows, pictures), ("done", episode),
    ("bad", text) for what a person must mend, ("lost", text) where the server is gone."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    numba.set_num_threads(1)
    episodes = agenda(config)
    options = ClientConfig(
        host=host, port=port, delta=DELTA, timeout=120.0 if hosted else 30.0, manager_port=manager_port
    )
    try:
        with connect(options) as sim:
            exact = hosted or 'vendor="Throttle"' in sim.map.to_opendrive()[:2000]
            pipe.send(("ready",))
            while True:
                index = pipe.recv()
                if index is None:
                    return
                writer = EpisodeWriter(root, index)
                last = 0.0

                def report(rows: int, images: int, index: int = index) -> None:
                    nonlocal last
                    if monotonic() - last > REPORT_EVERY:
                        last = monotonic()
                        pipe.send(("at", index, rows, images))

                record_episode(sim, config, episodes[index], writer, exact, report)
                pipe.send(("done", index))
    except (EOFError, BrokenPipeError):
        return
    except UserError as error:
        pipe.send(("bad", str(error)))
    except OSError as error:
        pipe.send(("bad", f"{error.filename or root}: {error.strerror or error}"))
    except (ServerLost, RuntimeError) as error:
        text = str(error) if isinstance(error, ServerLost) else traceback.format_exc()
        pipe.send(("lost", text))
