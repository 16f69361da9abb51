"""A process that drives one route after another. It may be killed, or fall with its server, at any moment."""

from __future__ import annotations

import signal
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic

import numba

from contracts import UserError
from sim.client import ClientConfig, ServerLost, connect
from sim.processes import die_with_parent, keep_client_quiet
from throttle.drive.config import DriveConfig, Job, Stack
from throttle.drive.episode import drive
from throttle.drive.parts import DT, Parts, load_parts

REPORT_EVERY = 0.5
"""Seconds between two messages about how far a route is."""


def work(
    pipe: Connection, parent: int, config: DriveConfig, stacks: dict[str, Stack], folder: Path, log: Path, host: str,
    port: int, manager_port: int,
) -> None:  # fmt: skip
    """Serve: receive jobs, drive them; send ("ready",), ("at", completion), ("done", outcome), ("bad", text) for what a
    person must mend, ("lost", text) where the server is gone."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    numba.set_num_threads(1)
    import torch

    torch.set_num_threads(1)
    loaded: dict[str, Parts] = {}
    # a picture may take its time in a server of our own that compiles
    options = ClientConfig(host=host, port=port, delta=DT, timeout=240.0, manager_port=manager_port)
    try:
        keep_client_quiet(log)
        with connect(options) as sim:
            pipe.send(("ready",))
            while True:
                job: Job | None = pipe.recv()
                if job is None:
                    return
                if job.arm not in loaded:
                    loaded[job.arm] = load_parts(stacks[job.arm], config.sense_every)
                last = 0.0

                def report(completion: float) -> None:
                    nonlocal last
                    if monotonic() - last > REPORT_EVERY:
                        last = monotonic()
                        pipe.send(("at", completion))

                pipe.send(("done", drive(sim, config, job, loaded[job.arm], folder, report)))
    except (EOFError, BrokenPipeError):
        return
    except UserError as error:
        pipe.send(("bad", str(error)))
    except OSError as error:
        pipe.send(("bad", f"{error.filename or folder}: {error.strerror or error}"))
    except ServerLost as error:
        pipe.send(("lost", str(error)))
    except RuntimeError as error:
        pipe.send(("lost", f"{type(error).__name__}: {error}"))
