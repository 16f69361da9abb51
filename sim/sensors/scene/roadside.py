"""The two sides of a road, along which a town is dressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.sensors.scene.profile import Profile
from sim.sensors.scene.surfaces import PAVED_TYPES, WALK_TYPES

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """One side of a road section: kerb and outer edge as points, direction away from the road."""

    kerb: F64
    outer: F64
    out: F64
    along: F64
    has_walk: bool


def sides(profile: Profile) -> list[Side]:
    """Left and right side of a section outside junctions."""
    found = []
    s = profile.s - profile.s[0]
    for sign in (1, -1):
        lanes = [i for i in profile.section.lanes if i * sign > 0]
        lanes.sort(key=abs)
        paved = [i for i in lanes if profile.section.lanes[i].type in PAVED_TYPES]
        walk = [i for i in lanes if profile.section.lanes[i].type in WALK_TYPES]
        edge = profile.edges[paved[-1]][1] if paved else profile.edges[0][1]
        outer = profile.edges[walk[-1]][1] if walk else edge
        out = np.stack([-sign * np.sin(profile.heading), -sign * np.cos(profile.heading)], -1)
        found.append(Side(profile.at(edge), profile.at(outer), out, s, bool(walk)))
    return found


def place_on(side: Side, line: F64, d: float) -> tuple[F64, F64]:
    """Point on a line [n, 3] of the side at d metres along the road, and the direction away from the road."""
    p = np.array([np.interp(d, side.along, line[:, k]) for k in range(3)])
    o = np.array([np.interp(d, side.along, side.out[:, k]) for k in range(2)])
    return p, o / max(float(np.hypot(*o)), 1e-9)


def rectangle(centre: F64, out: F64, depth: float, width: float) -> F64:
    across = np.array([-out[1], out[0]])
    return np.array(
        [centre + a * out * depth / 2 + b * across * width / 2 for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
    )
