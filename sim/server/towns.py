"""Where towns come from: those that ship, a folder of .xodr files, a text that a client sent."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from contracts import UserError
from sim.roads.model import Signal
from sim.roads.network import RoadNetwork
from sim.roads.tables import LaneTables
from sim.server import navmesh
from sim.server.arguments import Pose
from sim.server.geodesy import parse as parse_geo_reference
from sim.server.town import Sign, Town

SPAWN_SPACING = 24.0
"""Metres between recommended spawn points along a lane."""
SPAWN_MARGIN = 8.0
"""Metres that a spawn point keeps from the ends of its lane."""
SPAWN_LIFT = 0.3
STOP, YIELD, SPEED = "206", "205", "274"
"""Types of the OpenDRIVE signs that CARLA knows as actors."""
MPH = 1.609344


class TownLibrary:
    """Finds and builds towns; a town that was built once is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise UserError(f"{folder}: no such folder of maps")
        self._paths: dict[str, Path] = {}
        shipped = Path(str(files("sim.roads"))) / "towns"
        for place in (shipped, folder):
            if place is not None:
                self._paths |= {path.stem: path for path in sorted(place.glob("*.xodr"))}
        self._built: dict[str, Town] = {}

    def names(self) -> list[str]:
        """Of all towns."""
        return sorted(self._paths)

    def load(self, name: str) -> Town:
        """A town by name (any case) or the path of a file; raises UserError.

        "X_Opt", CARLA's layered form of a town, is X under that name where there is no file of it.
        """
        known = {key.lower(): key for key in self._paths}
        short, plain = known.get(name.lower()), known.get(name.lower().removesuffix("_opt"))
        if short is not None:
            if short not in self._built:
                self._built[short] = self.read(self._paths[short])
            return self._built[short]
        if plain is not None:
            layered = f"{plain}_Opt"
            if layered not in self._built:
                self._built[layered] = replace(self.load(plain), name=layered)
            return self._built[layered]
        path = Path(name)
        if path.suffix != ".xodr":
            raise UserError(f"map '{name[:80]}' not found; there are: {', '.join(self.names())}")
        return self.read(path)

    def read(self, path: Path) -> Town:
        """Build a town from a file; raises UserError."""
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error
        return build(path.stem, text, RoadNetwork.parse(text, str(path)))

    def parse(self, name: str, xodr: str) -> Town:
        """Build a town from OpenDRIVE text; raises UserError."""
        return build(name, xodr, RoadNetwork.parse(xodr, name))


def build(name: str, xodr: str, network: RoadNetwork) -> Town:
    """What the server needs of a road network."""
    tables = network.lane_tables()
    lights = [_sign(network, network.signals[int(i)], "traffic.traffic_light") for i in tables.light_signal]
    taken = {int(i) for i in tables.light_signal}
    signs = []
    for i, signal in enumerate(network.signals):
        kind = _sign_type(signal)
        if i not in taken and kind is not None:
            signs.append(_sign(network, signal, kind))
    geo = parse_geo_reference(network.map.geo_reference)
    walk = network.walk_tables()
    return Town(name, xodr, network, tables, walk, spawn_points(tables), lights, signs, geo, navmesh.build(walk))


def _sign_type(signal: Signal) -> str | None:
    """CARLA's type id of a sign, None for signals that are no actors."""
    if signal.type == STOP:
        return "traffic.stop"
    if signal.type == YIELD:
        return "traffic.yield"
    if signal.type == SPEED and signal.value:
        shown = signal.value
        if signal.unit == "mph":
            shown = signal.value * 3.6 / MPH
        elif signal.unit in ("km/h", "m/s"):
            shown = signal.value * 3.6
        return f"traffic.speed_limit.{round(shown)}"
    return None


def _sign(network: RoadNetwork, signal: Signal, type_id: str) -> Sign:
    """Where a signal stands; its actor looks at the traffic that it binds."""
    x, y, z, yaw = network.stand(signal)
    return Sign(signal.id, type_id, Pose(x, y, z, 0.0, math.degrees(yaw)))


def spawn_points(tables: LaneTables) -> list[Pose]:
    """Places in the middle of lanes outside junctions, apart from one another, in the tables' order."""
    found: list[Pose] = []
    for lane in range(len(tables.length)):
        length = float(tables.length[lane])
        if tables.junction[lane] >= 0 or length < 2 * SPAWN_MARGIN or tables.successors[lane][0] < 0:
            continue
        count = 1 + int((length - 2 * SPAWN_MARGIN) // SPAWN_SPACING)
        begin = (length - (count - 1) * SPAWN_SPACING) / 2
        for k in range(count):
            step = round((begin + k * SPAWN_SPACING) / float(tables.spacing[lane]))
            point = int(tables.first_point[lane]) + min(step, int(tables.point_count[lane]) - 1)
            x, y, z = (float(axis[point]) for axis in (tables.x, tables.y, tables.z))
            # the slope as a vehicle there will have it: towards the next point, at a lane's end from the one before
            last = int(tables.first_point[lane] + tables.point_count[lane]) - 1
            upper = min(point + 1, last)
            rise = float(tables.z[upper] - tables.z[upper - 1]) / float(tables.spacing[lane])
            pitch, yaw = math.degrees(rise), math.degrees(float(tables.yaw[point]))
            found.append(Pose(x, y, z + SPAWN_LIFT, pitch, yaw, 0.0))
    return found
