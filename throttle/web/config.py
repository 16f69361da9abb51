"""What the page shows and where it is served."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from contracts import UserError


@dataclass(frozen=True)
class LiveConfig:
    """What the page shows and how."""

    server: str = ""
    """Host:port of a running CARLA server to watch; empty starts a world of its own with traffic."""
    town: str = "Alder"
    """Town of its own world."""
    vehicles: int = 40
    """Vehicles of its own world."""
    walkers: int = 30
    """Pedestrians of its own world."""
    seed: int = 0
    """Of its own world's traffic."""
    width: int = 640
    """Of the camera's picture, pixels."""
    height: int = 360
    """Of the camera's picture, pixels."""
    rate: float = 10.0
    """Pictures a second of simulated time."""

    def __post_init__(self) -> None:
        self.address()
        if not (64 <= self.width <= 1920 and 64 <= self.height <= 1080):
            raise UserError(f"a picture of {self.width} x {self.height} is not between 64 x 64 and 1920 x 1080")
        if not 0.5 <= self.rate <= 20.0:
            raise UserError(f"rate: {self.rate:g} is not in 0.5..20")
        if not (0 <= self.vehicles <= 200 and 0 <= self.walkers <= 200):
            raise UserError("vehicles and walkers must be from 0 to 200")

    def address(self) -> tuple[str, int] | None:
        """Host and port to watch; None for a world of its own. Raises UserError."""
        if not self.server:
            return None
        host, _, port = self.server.rpartition(":")
        if not host or not port.isdigit() or not 1 <= int(port) <= 65534:
            raise UserError(f"server: '{self.server}' is not host:port")
        return host, int(port)


@dataclass(frozen=True)
class WebConfig:
    """Where the page is and what it shows."""

    live: LiveConfig = field(default_factory=LiveConfig)
    """The world."""
    host: str = "127.0.0.1"
    """Address to listen on. Anyone who reaches it controls the world: others only in networks you trust."""
    port: int = 8080
    """Port to listen on; 0 takes any."""
    runs: Path | None = None
    """Folder of runs whose progress the page shows."""
    datasets: Path | None = None
    """Folder of data sets whose progress the page shows."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UserError(f"port: {self.port} is not in 0..65535")
