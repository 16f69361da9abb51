"""OpenDRIVE to a road network: lanes, junctions, signals, routes; and the towns that ship.

    from sim import roads

    network = roads.load("Alder")              # a shipped town by name, or the path of any .xodr
    tables = network.lane_tables()             # flat arrays for the world's kernels (sim/roads/tables.py)
    walks = network.walk_tables()              # sidewalks and crossings as a graph
    place = network.waypoint(x, y)             # the driving lane at a point, as carla.Map.get_waypoint
    pose = network.pose(place)                 # its pose, CARLA frame
    route = network.router().route((x0, y0, yaw0), (x1, y1, None))   # points 1 m apart and the lanes in order


Everything outside the reader is in the CARLA frame. Broken input is a RoadError, an impossible route a RouteError.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sim.roads.errors import RoadError, RouteError
from sim.roads.lane_index import LanePlace
from sim.roads.network import Poses, RoadNetwork
from sim.roads.routing import Route, Router

__all__ = ["LanePlace", "Poses", "RoadError", "RoadNetwork", "Route", "RouteError", "Router", "check_towns", "load",
           "towns"]  # fmt: skip

TOWNS = Path(__file__).parent / "towns"


def towns() -> dict[str, Path]:
    """The shipped towns by name."""
    return {path.stem: path for path in sorted(TOWNS.glob("*.xodr"))}


def check_towns(names: Iterable[str], maps: str = "") -> None:
    """Raise RoadError for a name that is neither a shipped town nor an .xodr file of the folder `maps`."""
    known = [*towns(), *(path.stem for path in sorted(Path(maps).glob("*.xodr") if maps else []))]
    for name in names:
        if name not in known and name.removesuffix("_Opt") not in known:
            raise RoadError(f"no town '{name}'; there are {', '.join(known)} (--maps FOLDER adds its .xodr files)")


def load(name_or_path: str | Path) -> RoadNetwork:
    """Read a shipped town by name, or any OpenDRIVE file by path; RoadError where there is none or it is broken."""
    shipped = towns()
    if str(name_or_path) in shipped:
        return RoadNetwork.load(shipped[str(name_or_path)])
    path = Path(name_or_path)
    if not path.exists():
        raise RoadError(f"{path}: neither a file nor a shipped town ({', '.join(shipped) or 'none'})")
    return RoadNetwork.load(path)
