"""A server in a process of its own, real CARLA clients in others, and a bare client for what no real one would send."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import msgpack
import pytest

ROOT = Path(__file__).parents[3]
HOME = tempfile.mkdtemp(prefix="carla-home-")
"""The client caches navigation meshes in its home; compiled kernels stay where they are."""
ENVIRONMENT = {
    **os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HOME": HOME,
    "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
}  # fmt: skip


QUICK = ("--port", "0", "--prepare", "false")
"""Options of a server that is soon there: the first camera waits for the scene instead."""


CLIENT = (sys.executable, "-m", "tests.sim.server.clients")
"""The real client: then a scenario, the port, and what the scenario takes."""


class ServerProcess:
    """`throttle sim serve` on a free port."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "throttle.cli", "sim", "serve", *(options or QUICK)]
        self.log = folder / "server.log"
        self.process = subprocess.Popen(
            [*command, "--recordings", str(folder / "recordings")], cwd=ROOT, env=ENVIRONMENT, text=True,
            stdout=subprocess.PIPE, stderr=self.log.open("w"),
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r":(\d+)$", line.strip())
        assert found, f"{line!r} {self.log.read_text()}"
        self.port = int(found[1])

    def stop(self) -> None:
        """End it and check that it ended as asked."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log.read_text()[-2000:]

    def memory(self) -> int:
        """Resident bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def run_client(
    port: int, scenario: str, *arguments: object, timeout: float = 120.0, **variables: str
) -> dict[str, Any]:
    """Run a scenario of `clients` with the real client; returns what it reports. variables: of its environment."""
    words = [*CLIENT, scenario, str(port), *map(str, arguments)]
    done = subprocess.run(words, cwd=ROOT, env=ENVIRONMENT | variables, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{scenario}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


class Bare:
    """A client of plain sockets."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.settimeout(300)  # the first call that needs the scene waits for it
        self._unpacker = msgpack.Unpacker(raw=False)
        self._number = 0

    def send(self, method: str, *arguments: Any, asynchronous: bool = False) -> int:
        """Send a call; returns its number."""
        self._number += 1
        self.sock.sendall(msgpack.packb([0, self._number, method, [[asynchronous], *arguments]]))
        return self._number

    def receive(self) -> tuple[int, Any, Any]:
        """The next reply: number, RPC error, result."""
        while True:
            for kind, number, error, result in self._unpacker:
                assert kind == 1
                return number, error, result
            data = self.sock.recv(1 << 16)
            assert data, "the server closed the connection"
            self._unpacker.feed(data)

    def call(self, method: str, *arguments: Any) -> Any:
        """The wrapped result of a call."""
        number = self.send(method, *arguments)
        answered, error, result = self.receive()
        assert answered == number
        assert error is None, error
        return result

    def value(self, method: str, *arguments: Any) -> Any:
        """The value of a call that succeeds."""
        ((index, value),) = self.call(method, *arguments)
        assert index == 1, value
        return value

    def synchronous(self, delta: float = 0.05) -> None:
        """Turn synchronous mode on."""
        settings = self.value("get_episode_settings")
        self.value("set_episode_settings", [True, False, [True, delta], *settings[3:]])

    def asynchronous(self) -> None:
        """Turn it off."""
        settings = self.value("get_episode_settings")
        self.value("set_episode_settings", [False, False, [False], *settings[3:]])

    def spawn(self, blueprint: str, x: float, y: float, z: float = 0.5, yaw: float = 0.0, parent: int = 0) -> list[Any]:
        """Spawn with default attributes; the Actor."""
        pose, description = [[x, y, z], [0.0, yaw, 0.0]], [0, blueprint, []]
        if parent:
            return list(self.value("spawn_actor_with_parent", description, pose, parent, 0, ""))
        return list(self.value("spawn_actor", description, pose))

    def subscribe(self, stream: int) -> Subscriber:
        """Connect to a stream, asking for its token first as a client does."""
        token = self.value("get_sensor_token", stream)[0]
        number, port = struct.unpack("<IH", token[:6])
        return Subscriber(number, port)

    def close(self) -> None:
        """Leave."""
        self.sock.close()


class Subscriber:
    """One stream connection."""

    def __init__(self, stream: int, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.sendall(struct.pack("<I", stream))

    def frame(self, timeout: float = 5.0) -> bytes | None:
        """The next payload, None where none comes in time; fails where the server closes."""
        end = monotonic() + timeout
        head = self._exactly(4, end)
        return None if head is None else self._exactly(struct.unpack("<I", head)[0], monotonic() + 5)

    def _exactly(self, count: int, end: float) -> bytes | None:
        data = b""
        while len(data) < count:
            self.sock.settimeout(max(end - monotonic(), 1e-3))
            try:
                part = self.sock.recv(count - len(data))
            except TimeoutError:
                return None
            assert part, "the server closed a stream"
            data += part
        return data


def frame_number(payload: bytes) -> int:
    """Frame of a stream payload."""
    return int(struct.unpack_from("<Q", payload, 8)[0])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all tests; each leaves it in asynchronous mode without actors of its own."""
    process = ServerProcess(tmp_path_factory.mktemp("server"))
    yield process
    process.stop()


@pytest.fixture
def bare(server: ServerProcess) -> Iterator[Bare]:
    """A bare client on a fresh episode."""
    client = Bare(server.port)
    client.call("load_new_episode", "", True, 65535)
    yield client
    client.close()


@pytest.fixture
def connect(server: ServerProcess) -> Iterator[Callable[[], Bare]]:
    """More bare clients."""
    opened: list[Bare] = []

    def make() -> Bare:
        opened.append(Bare(server.port))
        return opened[-1]

    yield make
    for client in opened:
        client.close()
