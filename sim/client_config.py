"""Where a CARLA server is and how `sim.client` uses it; reaching its port, and a free one for a Traffic Manager."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from time import monotonic, sleep

from contracts import UserError

PROBE_SECONDS = 2.0
"""How long one attempt to reach a port may take."""


@dataclass(frozen=True)
class ClientConfig:
    """Where the server is and how to use it. Times in seconds."""

    host: str = "127.0.0.1"
    """Address of the server."""
    port: int = 2000
    """Port of its calls; streams use the next one."""
    town: str | None = None
    """Town to load; the one that is there without it."""
    delta: float | None = 0.05
    """Fixed step of synchronous mode; None leaves the server's clock alone."""
    timeout: float = 20.0
    """Longest wait for one answer. Loading a town on a real server takes tens of seconds."""
    startup: float = 120.0
    """How long to wait for a server that is starting."""
    retries: int = 3
    """How often `run` starts an episode again after losing the server."""
    rendering: bool = True
    """False asks a real server to skip rendering (cameras then give nothing)."""
    manager_port: int = 8000
    """First port to try for the Traffic Manager; the next free one is taken."""
    observe: bool = False
    """Only look: settings stay as they are, now and at the end (needs `delta` None)."""
    restart: str = ""
    """Command that restarts the server, such as "docker restart carla": when it is lost, and every `restart_every`."""
    restart_every: int = 0
    """Episodes (calls of `load`) after which a server that leaks memory is restarted; 0 never."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65534:
            raise UserError(f"port: {self.port} is not in 1..65534")
        if self.delta is not None and not 1e-3 <= self.delta <= 1.0:
            raise UserError(f"delta: {self.delta:g} is not in 0.001..1 seconds")
        for name in ("timeout", "startup"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name}: must be more than 0 seconds")
        if self.observe and (self.delta is not None or self.town is not None):
            raise UserError("observe: needs delta None and no town")
        if self.retries < 0 or self.restart_every < 0:
            raise UserError("retries and restart_every must not be negative")
        if self.restart_every and not self.restart:
            raise UserError("restart_every: needs the command that restarts the server in 'restart'")


def wait_for_server(host: str, port: int, seconds: float) -> None:
    """Return once the port accepts connections; raises UserError after `seconds`.

    The CARLA client itself never tries again after a refused connection, so the port is probed first.
    """
    end = monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), min(PROBE_SECONDS, seconds)).close()
            return
        except OSError as error:
            if monotonic() + 0.2 > end:
                reason = error.strerror or str(error)
                hint = "start one with 'throttle sim serve'"
                raise UserError(f"no CARLA server at {host}:{port} ({reason}); {hint}") from error
        sleep(0.2)


def free_port(first: int) -> int:
    """The first port from `first` on that nobody on this machine uses; any free one after a hundred."""
    for port in [*range(first, min(first + 100, 65535)), 0]:
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError("no free port for the Traffic Manager")
