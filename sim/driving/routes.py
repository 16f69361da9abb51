"""Named routes of a town: drawn from a seed, split into train, validation and test without a route in two splits.

A route's split follows from the lanes on which it begins and ends, so no two splits have a pair in common. Towns in
HELD_OUT are for tests: nothing is trained in them unless a configuration says so.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from sim.roads.network import RoadNetwork
from sim.roads.routing import Route
from sim.roads.tables import LaneTables, StopControl

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
LENGTHS = {"Marlin": (300.0, 1500.0)}
"""Shortest and longest routes of a town, metres; 150 to 600 of any other."""
HELD_OUT = ("Marlin",)
"""Towns that no training sees by default."""
SHARES = (70, 15, 15)
"""Percent of all pairs of lanes for each split."""
MARGIN = 8.0
"""Metres kept from a lane's end where a route begins or ends."""
TRIES = 2000
"""Draws for one route before giving up."""
CHANGES = 0.3
"""Share of the routes that end on a lane beside, where there is one: they change lanes."""
CONTROLS = {"light": StopControl.LIGHT, "stop": StopControl.STOP_SIGN, "yield": StopControl.YIELD}
"""What a route may be asked to pass."""


@dataclass(frozen=True)
class NamedRoute:
    """A route with a name that its town, split, seed and number make."""

    name: str
    town: str
    split: Split
    route: Route

    @property
    def start(self) -> tuple[float, float, float, float]:
        """x, y, z, yaw where it begins."""
        r = self.route
        return float(r.x[0]), float(r.y[0]), float(r.z[0]), float(r.yaw[0])

    @property
    def end(self) -> tuple[float, float]:
        """x, y of the target."""
        return float(self.route.x[-1]), float(self.route.y[-1])


def town_name(network: RoadNetwork) -> str:
    """Name of a network's town."""
    return network.name.split("/")[-1].removesuffix(".xodr")


def split_of(town: str, start: int, goal: int) -> Split:
    """The split of all routes from one lane to another."""
    number = zlib.crc32(f"{town}:{start}:{goal}".encode()) % 100
    return SPLITS[0] if number < SHARES[0] else SPLITS[1] if number < SHARES[0] + SHARES[1] else SPLITS[2]


def named_routes(
    network: RoadNetwork,
    split: Split,
    count: int,
    seed: int = 0,
    shortest: float | None = None,
    longest: float | None = None,
    passing: str = "",
) -> list[NamedRoute]:
    """The first `count` routes of a split: the same for the same arguments, and the first n of more are those of n.

    Lengths in metres, the town's LENGTHS without them. passing: one of CONTROLS that the routes come through, as far as
    the town has such; a list of its own, with its letter in the names. Raises UserError where there are too few routes.
    """
    if split not in SPLITS:
        raise UserError(f"split: '{split}' is none of {', '.join(SPLITS)}")
    low, high = LENGTHS.get(town_name(network), (150.0, 600.0))
    shortest, longest = shortest or low, longest or high
    if not 10.0 <= shortest <= longest:
        raise UserError(f"route lengths from {shortest:g} to {longest:g} m: not a range from 10 m on")
    town, tables, router = town_name(network), network.lane_tables(), network.router()
    governed = tables.control == CONTROLS[passing] if passing else np.zeros(len(tables.control), np.bool_)
    free = not governed.any()  # any route will do
    lanes = np.flatnonzero((tables.junction < 0) & (tables.length > 2.5 * MARGIN))
    weight = tables.length[lanes].astype(np.float64)
    rng = np.random.default_rng([seed, SPLITS.index(split), zlib.crc32(town.encode()), *map(ord, passing[:1])])
    found: list[NamedRoute] = []
    seen: set[tuple[int, int, int]] = set()
    tries = 0
    while len(found) < count:
        tries += 1
        if tries > TRIES and free:
            raise UserError(f"{town} has no {count} {split} routes of {shortest:g} to {longest:g} m")
        free, tries = free or tries > TRIES, tries % (TRIES + 1)
        start = int(rng.choice(lanes, p=weight / weight.sum()))
        s = float(rng.uniform(MARGIN, tables.length[start] - MARGIN))
        end = _wander(tables, rng, start, s, float(rng.uniform(shortest, longest)))
        if end is None or split_of(town, start, end[0]) != split:
            continue
        # long lanes hold many different routes between the same two
        key = (start, end[0], int(s // 100.0))
        if key in seen:
            continue
        route = router.route(_pose(tables, start, s), _pose(tables, *end))
        if not shortest <= route.length <= longest or not (free or governed[route.lanes].any()):
            continue
        seen.add(key)
        tries = 0
        found.append(NamedRoute(f"{town}-{split}-{seed}-{passing[:1]}{len(found):03d}", town, split, route))
    return found


def _wander(
    tables: LaneTables, rng: np.random.Generator, lane: int, s: float, length: float
) -> tuple[int, float] | None:
    """A place (lane, s) outside junctions about `length` metres on along random lanes; None where the way ends."""
    rest = length - (float(tables.length[lane]) - s)
    if rest < 0.0:
        s += length
    while rest >= 0.0:
        following = tables.successors[lane][tables.successors[lane] >= 0]
        if not len(following):
            return None
        lane = int(rng.choice(following))
        s = rest
        rest -= float(tables.length[lane])
    beside = [int(side[lane]) for side, may in _sides(tables) if side[lane] >= 0 and may[lane]]
    if beside and rng.random() < CHANGES:
        lane = beside[int(rng.integers(len(beside)))]
    if tables.junction[lane] >= 0 or tables.length[lane] < 2.5 * MARGIN:
        return None
    return lane, float(np.clip(s, MARGIN, tables.length[lane] - MARGIN))


def _sides(tables: LaneTables) -> tuple[tuple[NDArray, NDArray], ...]:
    return (tables.left, tables.may_change_left), (tables.right, tables.may_change_right)


def _pose(tables: LaneTables, lane: int, s: float) -> tuple[float, float, float]:
    k = int(tables.first_point[lane]) + int(s / tables.spacing[lane])
    return float(tables.x[k]), float(tables.y[k]), float(tables.yaw[k])
