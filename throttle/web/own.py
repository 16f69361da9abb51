"""A CARLA-compatible server of our own, as a child process that ends with this one."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from contracts import UserError

PATIENCE = 20.0
"""Seconds a server may take to end."""


class OwnServer:
    """`throttle sim serve` on a free port of 127.0.0.1; a context. Raises UserError where it does not start."""

    def __init__(self, town: str, maps: Path | None = None, threads: int = 0) -> None:
        """maps: folder of further towns. threads: Numba threads of the server, 0 for all cores."""
        self.town, self.maps, self.threads = town, maps, threads
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the server

    def __enter__(self) -> OwnServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until clients may come (a minute or so after an installation, while it compiles)."""
        self.stop()
        command = [sys.executable, "-m", "throttle.cli", "sim", "serve", "--port", "0", "--town", self.town]
        if self.maps is not None:
            command += ["--maps", str(self.maps)]
        environment = dict(os.environ)
        if self.threads:
            environment["NUMBA_NUM_THREADS"] = str(self.threads)
        parent = os.getpid()
        self._said.seek(0)
        self._said.truncate()
        self._process = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._said,
            preexec_fn=lambda: _die_with(parent), start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r":(\d+)$", line.strip())
        if not found:
            self._process.wait()
            self._said.seek(0)
            last = (self._said.read().strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"the simulator did not start: {last.removeprefix('throttle: ')}")
        self.port = int(found[1])

    def alive(self) -> bool:
        """The process runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _die_with(parent: int) -> None:  # pragma: no cover - runs between fork and exec
    """Let the kernel end this process with its parent, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
