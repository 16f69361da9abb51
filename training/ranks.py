"""More processes for one training: this one is rank 0, the others are started beside it and end with it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE")


@contextmanager
def other_ranks(devices: int, work: Callable[..., object], arguments: tuple[Any, ...]) -> Iterator[None]:
    """Run `work(*arguments)` in `devices` - 1 further processes while the block runs as rank 0.

    Ranks find one another through the environment variables that torch.distributed reads. Arguments are copied, not
    shared: pickled by value, so that no two processes train the same memory.
    """
    if devices == 1:
        yield
        return
    before = {name: os.environ.get(name) for name in NAMES}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0", "WORLD_SIZE": str(devices)}
    payload = pickle.dumps((work, arguments))
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_run, args=(payload, place, rank), daemon=False) for rank in range(1, devices)]
    try:
        for process in others:
            process.start()
        os.environ.update(place, LOCAL_RANK="0")
        yield
        for process in others:
            process.join(60)
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _run(payload: bytes, place: dict[str, str], rank: int) -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # rank 0 hears it and tells the others
    os.environ.update(place, LOCAL_RANK=str(rank))
    work, arguments = pickle.loads(payload)
    work(*arguments)
