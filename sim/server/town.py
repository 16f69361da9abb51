"""The town that an episode plays in: what the server takes from the road network."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from sim.roads.network import RoadNetwork
from sim.roads.tables import LaneTables, WalkTables
from sim.server.arguments import Pose
from sim.server.geodesy import GeoReference


@dataclass(frozen=True)
class Sign:
    """A light or sign as an actor: its OpenDRIVE id, CARLA type and where it stands."""

    signal: str
    type_id: str
    pose: Pose


@dataclass(frozen=True, eq=False)
class Town:
    """A map, ready to serve. `lights[i]` is light i of `tables`."""

    name: str
    xodr: str
    network: RoadNetwork
    tables: LaneTables
    walk: WalkTables | None
    spawn_points: list[Pose]
    lights: list[Sign]
    signs: list[Sign] = field(default_factory=list)
    geo: GeoReference = field(default_factory=GeoReference)

    navigation: bytes | None = None
    """The navigation mesh as the client reads it, None where the town has no sidewalks."""

    @property
    def navigation_file(self) -> str:
        """Its name: clients cache files by name for ever, so it carries a hash of the content."""
        return f"Nav/{self.name}-{zlib.crc32(self.navigation or b''):08x}.bin"

    @property
    def map_name(self) -> str:
        """As MapInfo has it."""
        return f"Carla/Maps/{self.name}"
