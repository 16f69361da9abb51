"""A CARLA-compatible server of our own, and traffic in it, as child processes that end with this one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from contracts import UserError
from sim.processes import die_with_parent, last_words

PATIENCE = 20.0
"""Seconds a server may take to end."""


class Child:
    """A process that says in its first line that it is ready, and ends with this one."""

    def __init__(self, command: list[str], threads: int = 0) -> None:
        """Start it and read its first line into `line` ("" where it ended). threads: of Numba, 0 for all cores."""
        environment = dict(os.environ)
        if threads:
            environment["NUMBA_NUM_THREADS"] = str(threads)
        parent = os.getpid()
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self._said, preexec_fn=lambda: die_with_parent(parent),
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.line = self._process.stdout.readline().strip()

    def alive(self) -> bool:
        """The process runs."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """The signal that ended it, else the last line that it wrote to stderr."""
        self._process.wait()
        self._said.seek(0)
        return last_words(self._process, self._said.read())

    def stop(self) -> None:
        """End it, by force where it does not end in time."""
        if self.alive():
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()


class OwnServer:
    """`throttle sim serve` on a free port of 127.0.0.1; a context. Raises UserError where it does not start."""

    def __init__(self, town: str, maps: Path | None = None, threads: int = 0) -> None:
        """maps: folder of further towns. threads: Numba threads of the server, 0 for all cores."""
        self.town, self.maps, self.threads = town, maps, threads
        self.port = 0
        self._children: list[Child] = []

    def __enter__(self) -> OwnServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it (anew) and wait until clients may come: a minute or so after an installation, while it compiles.

        The thread that calls this must outlive the server.
        """
        self.stop()
        command = ["throttle.cli", "sim", "serve", "--port", "0", "--town", self.town]
        if self.maps is not None:
            command += ["--maps", str(self.maps)]
        server = Child(command, self.threads)
        self._children.append(server)
        found = re.search(r":(\d+)$", server.line)
        if not found:
            raise UserError(f"the simulator did not start: {server.last_words()}")
        self.port = int(found[1])

    def add_traffic(self, vehicles: int, walkers: int, seed: int) -> None:
        """Let a process of its own put traffic there. Raises UserError where it cannot."""
        traffic = Child(["throttle.web.traffic", *map(str, (self.port, vehicles, walkers, seed))], 1)
        self._children.append(traffic)
        if traffic.line != "ready":
            raise UserError(f"there is no traffic: {traffic.last_words()}")

    def alive(self) -> bool:
        """All its processes run."""
        return all(child.alive() for child in self._children)

    def stop(self) -> None:
        """End it."""
        while self._children:
            self._children.pop().stop()
