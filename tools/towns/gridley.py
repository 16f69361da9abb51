"""Gridley: a grid city with arterials, one-way streets and parking bays."""

from __future__ import annotations

from dataclasses import dataclass

from tools.towns.places import Point, lay
from tools.towns.roads import Arm
from tools.towns.town import Town

COLUMNS = (0.0, 95.0, 200.0, 285.0, 410.0, 520.0, 620.0)
ROWS = (0.0, 105.0, 190.0, 300.0, 390.0, 515.0, 610.0)
LAST = 6
ARTERIAL = (1, 4)
"""Rows and columns with two lanes a direction."""
NORTHBOUND, SOUTHBOUND, EASTBOUND = 2, 3, 3
"""One-way columns, and a one-way row."""
PARKING = (2, 5)
"""Rows and columns with parking bays."""


@dataclass(frozen=True)
class Kind:
    name: str
    forward: int = 1
    backward: int = 1
    speed: float = 30.0
    parking: bool = False


def _kind(vertical: bool, index: int) -> Kind:
    """What runs along a column (north) or a row (east)."""
    ordinal = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh")[index]
    name = f"{ordinal} {'Avenue' if vertical else 'Street'}"
    if index in ARTERIAL:
        return Kind(name, 2, 2, 50.0)
    if index in (0, LAST):
        return Kind(name, speed=50.0)
    if vertical and index == NORTHBOUND:
        return Kind(name, 2, 0)
    if vertical and index == SOUTHBOUND:
        return Kind(name, 0, 2)
    if not vertical and index == EASTBOUND:
        return Kind(name, 1, 0)
    return Kind(name, parking=index in PARKING)


def _half(kind: Kind) -> float:
    return 1.75 * (kind.forward + kind.backward)


def _trim(column: int, row: int) -> float:
    """From the middle of a crossing to its stop lines."""
    return max(_half(_kind(True, column)), _half(_kind(False, row))) + 14.0


def build() -> Town:
    """Gridley, 620 x 610 m between the outer streets."""
    town = Town("Gridley", 40.8, -96.7)
    arms: dict[tuple[int, int], dict[str, Arm]] = {(i, j): {} for i in range(LAST + 1) for j in range(LAST + 1)}
    corners = {(0, 0), (0, LAST), (LAST, 0), (LAST, LAST)}
    at: dict[tuple[int, int], Point] = {(i, j): (COLUMNS[i], ROWS[j]) for i, j in arms}

    def add(kind: Kind, a: tuple[int, int], b: tuple[int, int], leaving: str, coming: str) -> None:
        road = lay(
            town, kind.name, [at[a], at[b]], [], (_trim(*a), _trim(*b)), kind.speed,
            forward=kind.forward, backward=kind.backward, parking=(kind.parking, kind.parking),
        )  # fmt: skip
        arms[a][leaving], arms[b][coming] = Arm(road, False), Arm(road, True)

    for i in range(LAST + 1):
        for j in range(LAST):
            if not corners & {(i, j), (i, j + 1)}:
                add(_kind(True, i), (i, j), (i, j + 1), "north", "south")
            if not corners & {(j, i), (j + 1, i)}:
                add(_kind(False, i), (j, i), (j + 1, i), "east", "west")
    # The four corners are bends: one street from the last crossing before the corner to the first one after it.
    for corner, a, b, leaving, coming in (
        ((0, 0), (0, 1), (1, 0), "south", "west"),
        ((LAST, 0), (LAST - 1, 0), (LAST, 1), "east", "south"),
        ((LAST, LAST), (LAST, LAST - 1), (LAST - 1, LAST), "north", "east"),
        ((0, LAST), (1, LAST), (0, LAST - 1), "west", "north"),
    ):
        road = lay(town, "Ring Road", [at[a], at[corner], at[b]], [30.0], (_trim(*a), _trim(*b)), 50.0)
        arms[a][leaving], arms[b][coming] = Arm(road, False), Arm(road, True)
    for (i, j), found in arms.items():
        if found:
            _cross(town, i, j, found)
    return town


def _cross(town: Town, i: int, j: int, found: dict[str, Arm]) -> None:
    """Lights where arterials meet each other or the ring road, stops on minor streets; else the right goes first."""
    names = list(found)
    place = {name: n for n, name in enumerate(names)}
    avenue, road = _kind(True, i), _kind(False, j)
    rank_avenue, rank_road = _rank(i), _rank(j)
    name = f"{road.name} and {avenue.name}"
    crosswalks = list(range(len(names)))
    if rank_avenue + rank_road >= 3:
        phases = [[place[n]] for n in ("north", "east", "south", "west") if n in place]
        town.crossing(name, list(found.values()), phases=phases, crosswalks=crosswalks)
        return
    signs = {}
    if rank_avenue != rank_road:
        minor = ("north", "south") if rank_avenue < rank_road else ("east", "west")
        signs = {place[n]: "stop" for n in minor if n in place}
    town.crossing(name, list(found.values()), signs=signs, crosswalks=crosswalks)


def _rank(index: int) -> int:
    if index in ARTERIAL:
        return 2
    return 1 if index in (0, LAST) else 0
