"""Runs jobs on a Ray cluster. Each trains in a folder of its node's own and sends that folder back when it is over.

The nodes need this package installed and nothing else: no shared disk. A run that was cut short begins anew, finished
ones are not repeated.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import shutil
import socket
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts import UserError
from throttle.compare.scheduler import Show
from throttle.compare.worker import Job, work
from throttle.stopping import StopSignal

CONNECT_SECONDS = 5.0
RETRIES = 2
"""How often a run is begun anew whose node went away."""
log = logging.getLogger(__name__)


class Board:
    """Where the runs on all nodes say how far they are; lives in the cluster as an actor."""

    def __init__(self) -> None:
        self.said: dict[str, tuple[int, int, dict[str, float]]] = {}

    def tell(self, name: str, step: int, total: int, figures: dict[str, float]) -> None:
        """Called by a run."""
        self.said[name] = (step, total, figures)

    def take(self) -> dict[str, tuple[int, int, dict[str, float]]]:
        """What was said since the last call."""
        said, self.said = self.said, {}
        return said


def on_node(job: Job, board: Any) -> tuple[str, bytes]:  # pragma: no cover - runs on a node
    """Do a job on whatever node this is: the node's id, and the run's folder as a tar archive."""
    import ray

    told = 0.0

    def show(step: int, total: int, figures: dict[str, float]) -> None:
        nonlocal told
        if time.monotonic() - told > 1.0 or step >= total:
            told = time.monotonic()
            board.tell.remote(job.run.name, step, total, figures)

    with tempfile.TemporaryDirectory(prefix="throttle-") as folder:
        work(dataclasses.replace(job, folder=Path(folder)), show, lambda: False)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            tar.add(Path(folder) / job.run.name, arcname=job.run.name)
    return ray.get_runtime_context().get_node_id(), packed.getvalue()


def run_on_cluster(address: str, jobs: Sequence[Job], show: Show) -> dict[str, str]:
    """Do all jobs on the cluster at `address` ("local": one on this machine), a core each.

    Returns name -> what went wrong, for those that failed. Raises UserError without Ray or without a cluster,
    KeyboardInterrupt when the user stops it: what is over by then is kept.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--ray needs Ray: in the clone, pip install '.[ray]'") from None
    mine = not ray.is_initialized()
    if mine:
        _probe(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(f"--ray {address}: {' '.join(str(error).split())}") from None
    try:
        return _drive(ray, jobs, show)
    finally:
        if mine:
            ray.shutdown()


def _probe(address: str) -> None:
    """Raise UserError where nobody listens: Ray's own client may end the whole process over it."""
    host, _, port = address.rsplit("/", 1)[-1].rpartition(":")
    if not port.isdigit():
        return  # "local", "auto": Ray looks by itself
    try:
        socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"--ray {address}: no Ray cluster there ({error})") from None


def _drive(ray: Any, jobs: Sequence[Job], show: Show) -> dict[str, str]:
    board = ray.remote(num_cpus=0)(Board).remote()
    task = ray.remote(num_cpus=1, max_retries=RETRIES)(on_node)
    running = {task.remote(job, board): job for job in jobs}
    failed: dict[str, str] = {}
    with StopSignal() as stop:
        while running:
            if stop():
                for reference in running:
                    ray.cancel(reference, force=True)
                raise KeyboardInterrupt
            ready, _ = ray.wait(list(running), num_returns=1, timeout=0.5)
            for name, said in ray.get(board.take.remote()).items():
                show(name, *said)
            for reference in ready:
                job = running.pop(reference)
                try:
                    node, packed = ray.get(reference)
                except ray.exceptions.RayError as error:
                    why = getattr(error, "cause", None) or error
                    failed[job.run.name] = f"{type(why).__name__}: {' '.join(str(why).split())[:300]}"
                    log.warning("%s failed: %s", job.run.name, failed[job.run.name])
                else:
                    _unpack(packed, job.path)
                    (job.path / "node.txt").write_text(node + "\n", encoding="utf-8")
    return failed


def _unpack(packed: bytes, path: Path) -> None:
    """Put a run's folder where it belongs, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".incoming-") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(folder, filter="data")
        shutil.rmtree(path, ignore_errors=True)
        (Path(folder) / path.name).rename(path)
