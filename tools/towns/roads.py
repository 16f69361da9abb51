"""Roads with lanes, and the places where they end (arms of junctions)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tools.towns.curves import Pose, Track

Cubic = tuple[float, float, float, float, float]
"""s, a, b, c, d: a + b ds + c ds^2 + d ds^3 from s on."""


def ramp(s: float, length: float, start: float, end: float) -> Cubic:
    """A smooth step from `start` to `end` over `length`, level at both ends."""
    rise = end - start
    return (s, start, 0.0, 3 * rise / length**2, -2 * rise / length**3)


def value(cubics: list[Cubic], s: float) -> float:
    """The piecewise cubic at s."""
    s0, a, b, c, d = next((q for q in reversed(cubics) if q[0] <= s + 1e-9), cubics[0])
    ds = s - s0
    return a + ds * (b + ds * (c + ds * d))


@dataclass(frozen=True)
class Mark:
    """A road mark from `s` (within the section) on; `change` is OpenDRIVE's laneChange."""

    kind: str = "none"
    color: str = "white"
    change: str = "none"
    s: float = 0.0
    width: float = 0.12


@dataclass(frozen=True)
class Lane:
    """One lane of a section. Lanes of one side that share a `key` continue one another, through junctions too."""

    key: str
    kind: str
    width: list[Cubic]
    marks: list[Mark]
    height: float = 0.0


def lane(key: str, kind: str, width: float, *marks: Mark, height: float = 0.0) -> Lane:
    """A lane of constant width."""
    return Lane(key, kind, [(0.0, width, 0.0, 0.0, 0.0)], list(marks) or [Mark()], height)


@dataclass
class Section:
    """Lanes from `s` on, each side from the centre outwards."""

    s: float
    left: list[Lane]
    right: list[Lane]
    center: list[Mark] = field(default_factory=lambda: [Mark()])

    def ids(self) -> dict[int, Lane]:
        return {i + 1: q for i, q in enumerate(self.left)} | {-i - 1: q for i, q in enumerate(self.right)}


@dataclass
class Signal:
    """A light or sign beside a road."""

    id: int
    name: str
    s: float
    t: float
    z: float
    h_offset: float
    orientation: str
    dynamic: bool
    type: str
    subtype: str
    value: float
    unit: str
    text: str
    height: float
    width: float
    lanes: tuple[int, int]


@dataclass
class Reference:
    """Where a signal binds: the lanes `lanes` of this road at s."""

    signal: int
    s: float
    lanes: tuple[int, int]


@dataclass
class Crosswalk:
    id: int
    s: float
    corners: list[tuple[float, float]]
    """(u ahead, v left) of the road's pose at s."""


@dataclass(frozen=True)
class End:
    """What a road meets: element type, id and, for a road, which end of it."""

    kind: str
    id: int
    contact: str = ""


@dataclass
class Road:
    """A reference line with lane sections. `links` hold lane ids (own -> other's) at the start and at the end."""

    id: int
    name: str
    track: Track
    sections: list[Section]
    speed: float
    """km/h"""
    kind: str = "town"
    offset: list[Cubic] = field(default_factory=lambda: [(0.0, 0.0, 0.0, 0.0, 0.0)])
    elevation: list[Cubic] = field(default_factory=lambda: [(0.0, 0.0, 0.0, 0.0, 0.0)])
    junction: int = -1
    predecessor: End | None = None
    successor: End | None = None
    links_start: dict[int, int] = field(default_factory=dict)
    links_end: dict[int, int] = field(default_factory=dict)
    signals: list[Signal] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    crosswalks: list[Crosswalk] = field(default_factory=list)

    @property
    def length(self) -> float:
        return self.track.length

    def section(self, s: float) -> Section:
        return next(q for q in reversed(self.sections) if q.s <= s + 1e-9)

    def edges(self, s: float, section: Section | None = None) -> dict[int, tuple[float, float]]:
        """Lane id -> (t of the inner edge, t of the outer edge) at s."""
        section = section or self.section(s)
        found: dict[int, tuple[float, float]] = {}
        for side, lanes in ((1, section.left), (-1, section.right)):
            t = value(self.offset, s)
            for i, q in enumerate(lanes):
                outer = t + side * value(q.width, s - section.s)
                found[side * (i + 1)] = (t, outer)
                t = outer
        return found


@dataclass(frozen=True)
class Arm:
    """One end of a road, seen by who drives off it: `pose` points away from the road."""

    road: Road
    at_end: bool

    @property
    def s(self) -> float:
        return self.road.length if self.at_end else 0.0

    @property
    def section(self) -> Section:
        return self.road.sections[-1 if self.at_end else 0]

    @property
    def pose(self) -> Pose:
        return self.road.track.end if self.at_end else self.road.track.start.back()

    @property
    def z(self) -> float:
        return value(self.road.elevation, self.s)

    @property
    def contact(self) -> str:
        return "end" if self.at_end else "start"

    @property
    def angle(self) -> float:
        """Direction from the junction towards the road."""
        return self.pose.back().h % (2 * math.pi)

    def span(self, lane_id: int, towards: bool) -> tuple[float, float]:
        """(left, right) edges of a lane, positive to the left of who drives `towards` the junction or away from it."""
        edges = self.road.edges(self.s, self.section)[lane_id]
        sign = 1 if self.at_end == towards else -1
        a, b = sign * edges[0], sign * edges[1]
        return max(a, b), min(a, b)

    def side(self, towards: bool) -> list[int]:
        """Ids of the lanes on the side that drives `towards` the junction (or away), from the centre outwards."""
        right = self.at_end == towards
        return (
            [-i - 1 for i in range(len(self.section.right))]
            if right
            else [i + 1 for i in range(len(self.section.left))]
        )

    def driving(self, towards: bool) -> list[int]:
        """Driving lanes of that side, from left to right."""
        ids = self.section.ids()
        return [i for i in self.side(towards) if ids[i].kind == "driving"]

    def find(self, key: str, towards: bool) -> int | None:
        """The lane with `key` on that side."""
        ids = self.section.ids()
        return next((i for i in self.side(towards) if ids[i].key == key), None)

    def roadway(self, towards: bool = True) -> tuple[float, float]:
        """(left, right) edge of everything that vehicles use, as seen driving `towards` the junction."""
        ids = self.section.ids()
        spans = [self.span(i, towards) for i, q in ids.items() if q.kind != "sidewalk" and q.kind != "median"]
        return max(a for a, _ in spans), min(b for _, b in spans)
