"""What an OpenDRIVE file says, as plain records (OpenDRIVE frame: y left, headings counter-clockwise, degrees nowhere).

Piecewise cubics are arrays [n, 5] of rows (s, a, b, c, d) in rising s: value a + b d + c d^2 + d d^3 of the distance
from the row's s. For lanes s is counted from the start of the section.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

DRIVING_TYPES = frozenset(
    {"driving", "bidirectional", "entry", "exit", "onRamp", "offRamp", "connectingRamp", "bus", "taxi", "HOV"}
)
"""Lane types that vehicles drive."""
DRIVING_ONLY = frozenset({"driving"})
"""What carla.LaneType.Driving means."""


@dataclass(frozen=True)
class RoadMark:
    """A marking along the outer edge of a lane (of the centre line for lane 0)."""

    s: float
    """From the start of the section."""
    kind: str
    """none, solid, broken, solid solid, solid broken, broken solid, broken broken, curb, botts dots, ..."""
    color: str
    width: float
    lane_change: str
    """increase, decrease, both or none: the direction of lane ids in which crossing is allowed."""
    weight: str = "standard"


@dataclass(frozen=True)
class Lane:
    """A lane of a section. `predecessor` and `successor` are lane ids along rising s, 0 where there is no link."""

    id: int
    type: str
    level: bool
    width: F64
    marks: tuple[RoadMark, ...]
    heights: F64
    """[n, 3] s, inner, outer: height of the lane's edges above the road plane."""
    speeds: F64
    """[n, 2] s, m/s."""
    predecessor: int = 0
    successor: int = 0


@dataclass(frozen=True)
class Section:
    """Lanes between two stations of a road."""

    s: float
    end: float
    lanes: dict[int, Lane]
    """By id, from left to right (falling id)."""


@dataclass(frozen=True)
class Link:
    """What a road joins at one end."""

    is_junction: bool
    id: str
    contact: str
    """start or end of the other road, empty for a junction."""


@dataclass(frozen=True)
class Signal:
    """A light or sign beside a road, or painted on it."""

    id: str
    name: str
    road: int
    s: float
    t: float
    z_offset: float
    h_offset: float
    orientation: str
    dynamic: bool
    country: str
    type: str
    subtype: str
    value: float | None
    """In m/s where the signal gives a speed with a unit, else as written."""
    unit: str
    height: float
    width: float
    text: str
    validity: tuple[tuple[int, int], ...] | None
    """Lane id ranges, None where the file names none."""
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True)
class SignalReference:
    """A signal of elsewhere that also binds this road."""

    id: str
    road: int
    s: float
    t: float
    orientation: str
    validity: tuple[tuple[int, int], ...] | None


@dataclass(frozen=True)
class Outline:
    """Corners [n, 4] of an object: u, v, z, height from its origin where `local`, else s, t, dz, height on its road."""

    local: bool
    corners: F64


@dataclass(frozen=True)
class RoadObject:
    """A thing on or beside a road: crosswalk, building, pole."""

    id: str
    name: str
    type: str
    road: int
    s: float
    t: float
    z_offset: float
    heading: float
    pitch: float
    roll: float
    orientation: str
    length: float
    width: float
    radius: float
    height: float
    outlines: tuple[Outline, ...]
    repeats: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Road:
    """A road: reference line, profiles, lane sections and what stands along it."""

    id: str
    name: str
    length: float
    junction: str
    """Id of the junction that it crosses, "-1" outside junctions."""
    predecessor: Link | None
    successor: Link | None
    sections: tuple[Section, ...]
    elevation: F64
    superelevation: F64
    lane_offset: F64
    speeds: F64
    """[n, 2] s, m/s; NaN where a type record gives no speed."""
    line: int
    """Of the file."""


@dataclass(frozen=True)
class Connection:
    """One way through a junction: lane pairs from an incoming to a connecting road."""

    incoming: str
    connecting: str
    contact: str
    lane_links: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Junction:
    """Where roads cross or merge."""

    id: str
    name: str
    connections: tuple[Connection, ...]
    priorities: tuple[tuple[str, str], ...]
    """(road that goes first, road that waits)."""
    controllers: tuple[tuple[str, int], ...]
    """(controller id, sequence)."""


@dataclass(frozen=True)
class Controller:
    """Signals that switch together."""

    id: str
    name: str
    sequence: int
    signals: tuple[str, ...]


@dataclass
class RoadMap:
    """A whole file."""

    name: str
    roads: list[Road] = field(default_factory=list)
    junctions: list[Junction] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    references: list[SignalReference] = field(default_factory=list)
    objects: list[RoadObject] = field(default_factory=list)
    controllers: list[Controller] = field(default_factory=list)
    geo_reference: str = ""


def cubic(rows: F64, s: F64) -> F64:
    """Value of piecewise cubics at s; 0 where there are no rows. Before the first row its first value holds."""
    if len(rows) == 0:
        return np.zeros_like(s)
    if len(rows) == 1:
        r = rows[0]
        d = np.maximum(s - r[0], 0.0)
        return r[1] + d * (r[2] + d * (r[3] + d * r[4]))
    r = rows[np.clip(np.searchsorted(rows[:, 0], s, side="right") - 1, 0, None)]
    d = np.maximum(s - r[..., 0], 0.0)
    return r[..., 1] + d * (r[..., 2] + d * (r[..., 3] + d * r[..., 4]))


def cubic_slope(rows: F64, s: F64) -> F64:
    """Derivative of piecewise cubics at s."""
    if len(rows) == 0:
        return np.zeros_like(s)
    if len(rows) == 1:
        one = rows[0]
        d = np.maximum(s - one[0], 0.0)
        return one[2] + d * (2 * one[3] + 3 * d * one[4])
    r = rows[np.clip(np.searchsorted(rows[:, 0], s, side="right") - 1, 0, None)]
    d = np.maximum(s - r[..., 0], 0.0)
    return r[..., 2] + d * (2 * r[..., 3] + 3 * d * r[..., 4])


def wrap(angle: F64) -> F64:
    """Angles in [-pi, pi)."""
    return np.mod(angle + np.pi, 2 * np.pi) - np.pi
