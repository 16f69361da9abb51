"""Which lane is nearest to a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.roads.lane_graph import LaneKey

if TYPE_CHECKING:
    from sim.roads.network import RoadNetwork

SPACING = 1.0
REFINE_TOLERANCE = 1e-4
CHORD_ERROR = 0.05


@dataclass(frozen=True)
class LanePlace:
    """A place on a lane: road and section index, lane id, s along the road, t to the left of the reference line."""

    road: int
    section: int
    lane: int
    s: float
    t: float = 0.0

    @property
    def key(self) -> LaneKey:
        """Road index, section index, lane id."""
        return self.road, self.section, self.lane


class LaneIndex:
    """Lane centre lines as short straight pieces; a query measures all of them at once."""

    def __init__(self, network: RoadNetwork, types: frozenset[str] | None) -> None:
        self._network = network
        self._keys: list[LaneKey] = []
        begin, end, stations, owner = [], [], [], []
        for key in network.lane_keys(types):
            section = network.section(key[0], key[1])
            pieces = max(1, int(np.ceil((section.end - section.s) / SPACING)))
            s = np.linspace(section.s, max(section.s, section.end - 1e-9), pieces + 1)
            pose = network.poses(key, s)
            if pose.width.max() <= 0.0:
                continue
            points = np.stack([pose.x, pose.y, pose.z], axis=1)
            begin.append(points[:-1])
            end.append(points[1:])
            stations.append(np.stack([s[:-1], s[1:]], axis=1))
            owner.append(np.full(pieces, len(self._keys)))
            self._keys.append(key)
        self._begin = np.concatenate(begin) if begin else np.zeros((0, 3))
        self._step = (np.concatenate(end) - self._begin) if begin else np.zeros((0, 3))
        self._square = np.maximum((self._step**2).sum(axis=1), 1e-12)
        self._plane_square = np.maximum((self._step[:, :2] ** 2).sum(axis=1), 1e-12)
        self._stations = np.concatenate(stations) if begin else np.zeros((0, 2))
        self._owner = np.concatenate(owner) if begin else np.zeros(0, np.int64)

    def nearest(self, x: float, y: float, z: float | None) -> LanePlace | None:
        """The nearest place; None where there are no lanes."""
        if not len(self._begin):
            return None
        axes, square = (2, self._plane_square) if z is None else (3, self._square)
        target = np.array([x, y, 0.0 if z is None else z])[:axes]
        offset = target - self._begin[:, :axes]
        step = self._step[:, :axes]
        share = np.clip(np.einsum("ij,ij->i", offset, step) / square, 0.0, 1.0)
        gap = offset - share[:, None] * step
        square_gap = np.einsum("ij,ij->i", gap, gap)
        best = float(np.sqrt(square_gap.min()))
        # Pieces are chords: a lane that looks a little farther may be nearer in truth.
        close = np.flatnonzero(square_gap <= (best + CHORD_ERROR) ** 2)
        close = close[np.argsort(square_gap[close], kind="stable")]
        _, first = np.unique(self._owner[close], return_index=True)
        found: tuple[float, LanePlace] | None = None
        for piece in close[np.sort(first)].tolist():
            low, high = self._stations[piece]
            key = self._keys[self._owner[piece]]
            distance, place = self._refine(key, low + share[piece] * (high - low), x, y, z)
            if found is None or distance < found[0] - 1e-9:
                found = distance, place
        return found[1] if found else None

    def _refine(self, key: LaneKey, s: float, x: float, y: float, z: float | None) -> tuple[float, LanePlace]:
        """Distance and place on the true curve: the secant method on the point's offset along the tangent."""
        section = self._network.section(key[0], key[1])
        sign = 1.0 if key[2] < 0 else -1.0
        step, before = 0.0, 0.0
        for _ in range(8):
            pose = self._network.poses(key, np.array([s]))
            dx, dy = x - pose.x[0], y - pose.y[0]
            along = sign * float(dx * np.cos(pose.yaw[0]) + dy * np.sin(pose.yaw[0]))
            if abs(along) < REFINE_TOLERANCE:
                break
            # Near the centre of a tight curve the offset falls slower than s moves.
            rate = (before - along) / step if step else 1.0
            before, last = along, s
            s += float(np.clip(along / np.clip(rate, 0.1, 3.0), -SPACING, SPACING))
            s = float(np.clip(s, section.s, max(section.s, section.end - 1e-9)))
            step = s - last
            if abs(step) < 1e-9:
                break
        x0, y0, heading = self._network.lines.evaluate(key[0], np.array([s]))
        t = -(x - x0[0]) * np.sin(heading[0]) + (-y - y0[0]) * np.cos(heading[0])
        rise = 0.0 if z is None else z - pose.z[0]
        return float(np.sqrt(dx * dx + dy * dy + rise * rise)), LanePlace(key[0], key[1], key[2], s, float(t))
