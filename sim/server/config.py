"""How the server runs: its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from contracts import UserError


@dataclass(frozen=True)
class ServeConfig:
    """How the server runs."""

    town: str = "Alder"
    """Town to begin with: the name of one that ships or lies in `maps`, or the path of an .xodr file."""
    port: int = 2000
    """Port of the calls; streams use the next one. 0 takes any two."""
    host: str = "127.0.0.1"
    """Address to listen on. Anyone who reaches it controls the server: other addresses only in networks you trust."""
    maps: Path | None = None
    """Folder of further .xodr files to offer."""
    rate: float = 20.0
    """Ticks a second of asynchronous time."""
    vehicles: int = 256
    """Places for vehicles."""
    walkers: int = 256
    """Places for walkers."""
    props: int = 256
    """Places for props."""
    prepare: bool = True
    """Have the town's scene and the renderer ready before clients come; else the first camera waits for them."""
    recordings: Path = field(default_factory=lambda: Path("recordings"))
    """Folder of recordings, made when the first one is."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65534:
            raise UserError(f"port: {self.port} is not in 0..65534")
        if not 1.0 <= self.rate <= 1000.0:
            raise UserError(f"rate: {self.rate:g} is not in 1..1000")
        for name in ("vehicles", "walkers", "props"):
            if not 1 <= getattr(self, name) <= 4096:
                raise UserError(f"{name}: {getattr(self, name)} is not in 1..4096")
