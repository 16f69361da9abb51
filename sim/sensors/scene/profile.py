"""Lane edges of a road as world points (CARLA frame), by station."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.roads.geometry import ReferenceLines
from sim.roads.model import Lane, Road, Section, cubic

F64 = NDArray[np.float64]

KERB = 0.15
"""Height of sidewalks above the road where the file gives none, metres."""
RAISED = frozenset({"sidewalk", "walking", "curb", "median"})


@dataclass(frozen=True)
class Profile:
    """A road section sampled at stations s [n]; `edges` maps a lane id to its inner and outer t [n], metres left."""

    road: int
    section: Section
    s: F64
    x: F64
    y: F64
    heading: F64
    elevation: F64
    bank: F64
    edges: dict[int, tuple[F64, F64]]

    def lanes(self) -> Iterator[tuple[Lane, F64, F64]]:
        """Each lane that has a width, with its inner and outer t [n]; not the middle line."""
        for i, lane in self.section.lanes.items():
            inner, outer = self.edges[i]
            if i != 0 and np.max(np.abs(outer - inner)) >= 0.02:
                yield lane, inner, outer

    def at(self, t: F64, lift: float | F64 = 0.0) -> NDArray[np.float64]:
        """World points [n, 3] at t metres left of the reference line, `lift` above the road plane."""
        side = t * np.cos(self.bank)
        x = self.x - side * np.sin(self.heading)
        y = self.y + side * np.cos(self.heading)
        return np.stack([x, -y, self.elevation + t * np.sin(self.bank) + lift], -1)

    def heights(self, lane: Lane) -> tuple[F64, F64]:
        """Height of the lane's inner and outer edge above the road plane, by the file or else by its type."""
        if len(lane.heights):
            row = np.clip(np.searchsorted(lane.heights[:, 0], self.s - self.section.s, side="right") - 1, 0, None)
            return lane.heights[row, 1], lane.heights[row, 2]
        lift = np.full(len(self.s), KERB if lane.type in RAISED else 0.0)
        return lift, lift


def sample(road: Road, index: int, lines: ReferenceLines, s: F64, section: Section) -> Profile:
    """The profile of one section at stations s, which must lie within it."""
    x, y, heading = lines.evaluate(index, s)
    # at the very end of a section the next one's records would begin
    inside = np.clip(s, section.s, max(section.s, section.end - 1e-6))
    offset = cubic(road.lane_offset, inside)
    edges: dict[int, tuple[F64, F64]] = {0: (offset, offset)}
    for ids in (sorted(i for i in section.lanes if i > 0), sorted((i for i in section.lanes if i < 0), reverse=True)):
        t = offset
        for i in ids:
            lane = section.lanes[i]
            value = np.maximum(cubic(lane.width, inside - section.s), 0.0)
            sign = 1.0 if i > 0 else -1.0
            outer = t + sign * value
            edges[i] = (t, outer)
            t = outer
    return Profile(index, section, s, x, y, heading, cubic(road.elevation, s), cubic(road.superelevation, s), edges)


def stations(road: Road, index: int, lines: ReferenceLines, begin: float, end: float, fine: float = 1.5) -> F64:
    """Where to cut a stretch: every ~1.5 m in bends, up to 8 m on straight and even parts."""
    n = max(2, int(np.ceil((end - begin) / fine)) + 1)
    s = np.linspace(begin, end, n)
    if n < 4:
        return s
    _, _, heading = lines.evaluate(index, s)
    slope = np.gradient(cubic(road.elevation, s), s)
    tilt = cubic(road.superelevation, s)
    keep, last = [0], 0
    for i in range(1, n - 1):
        bent = abs(heading[i + 1] - heading[last]) > 0.02 or abs(slope[i + 1] - slope[last]) > 0.004
        if bent or abs(tilt[i + 1] - tilt[last]) > 0.004 or s[i + 1] - s[last] > 8.0:
            keep.append(i)
            last = i
    return s[[*keep, n - 1]]
