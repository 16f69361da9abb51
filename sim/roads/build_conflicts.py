"""Where connecting lanes of a junction share ground, and who gives way there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.roads.build_control import EntranceControl
from sim.roads.lane_graph import LaneKey
from sim.roads.model import F64
from sim.roads.tables import F32, I32, ConflictKind, StopControl

if TYPE_CHECKING:
    from sim.roads.network import RoadNetwork

SWEPT_HALF_WIDTH = 1.2
"""Half the strip that a vehicle sweeps, metres; a narrower lane is swept whole but for 0.1 m a side."""
CLEARANCE = 3.5
"""Lanes whose heights differ by more do not meet."""


@dataclass(frozen=True)
class Conflicts:
    """Columns conflict_* of LaneTables."""

    first: I32
    lane: I32
    begin: F32
    end: F32
    other_begin: F32
    other_end: F32
    gives_way: I32
    kind: I32


def conflicts(
    network: RoadNetwork,
    keys: list[LaneKey],
    shapes: list[F64],
    leading: list[list[int]],
    following: list[list[int]],
    junction: I32,
    turn: I32,
    control: EntranceControl,
) -> Conflicts:
    """All pairs of connecting lanes of a junction whose swept strips touch, each pair in both rows."""
    rows: list[tuple[int, int, float, float, float, float, int, int]] = []
    ways = _Priorities(network, keys, shapes, leading, junction, turn, control)
    members: dict[int, list[int]] = {}
    for k in np.flatnonzero(junction >= 0):
        members.setdefault(int(junction[k]), []).append(int(k))
    for lanes in members.values():
        boxes = np.array([(*shapes[k][:, :2].min(axis=0), *shapes[k][:, :2].max(axis=0)) for k in lanes])
        margin = 2 * SWEPT_HALF_WIDTH
        for i, a in enumerate(lanes):
            near = np.flatnonzero(
                (boxes[:, :2] <= boxes[i, 2:] + margin).all(axis=1)
                & (boxes[:, 2:] >= boxes[i, :2] - margin).all(axis=1)
            )
            for b in (lanes[j] for j in near if j > i):
                # Pieces of one way follow one another; they do not conflict.
                if b in following[a] or a in following[b]:
                    continue
                shared = _shared(shapes[a], shapes[b])
                if shared is None:
                    continue
                kind = ConflictKind.CROSS
                if set(leading[a]) & set(leading[b]):
                    kind = ConflictKind.DIVERGE
                elif set(following[a]) & set(following[b]):
                    kind = ConflictKind.MERGE
                gives_way = 0 if kind == ConflictKind.DIVERGE else ways.gives_way(a, b)
                begin, end, other_begin, other_end = shared
                rows.append((a, b, begin, end, other_begin, other_end, gives_way, int(kind)))
                rows.append((b, a, other_begin, other_end, begin, end, -gives_way, int(kind)))
    rows.sort(key=lambda row: (row[0], row[2], row[1]))
    table = np.array(rows, np.float64).reshape(-1, 8)
    return Conflicts(
        first=np.searchsorted(table[:, 0], np.arange(len(keys) + 1)).astype(np.int32),
        lane=table[:, 1].astype(np.int32),
        begin=table[:, 2].astype(np.float32),
        end=table[:, 3].astype(np.float32),
        other_begin=table[:, 4].astype(np.float32),
        other_end=table[:, 5].astype(np.float32),
        gives_way=table[:, 6].astype(np.int32),
        kind=table[:, 7].astype(np.int32),
    )


def _shared(a: F64, b: F64) -> tuple[float, float, float, float] | None:
    """Stretch of a and stretch of b in which their swept strips touch, None where they nowhere do."""
    half_a = np.clip(a[:, 4] / 2 - 0.1, 0.3, SWEPT_HALF_WIDTH)
    half_b = np.clip(b[:, 4] / 2 - 0.1, 0.3, SWEPT_HALF_WIDTH)
    gap = (a[:, None, 0] - b[None, :, 0]) ** 2 + (a[:, None, 1] - b[None, :, 1]) ** 2
    touch = (gap < (half_a[:, None] + half_b[None, :]) ** 2) & (np.abs(a[:, None, 2] - b[None, :, 2]) < CLEARANCE)
    if not touch.any():
        return None
    along_a, along_b = np.flatnonzero(touch.any(axis=1)), np.flatnonzero(touch.any(axis=0))
    return float(a[along_a[0], 5]), float(a[along_a[-1], 5]), float(b[along_b[0], 5]), float(b[along_b[-1], 5])


class _Priorities:
    """Right of way, in this order: the junction's priorities, signs, ramps, straight before turning, from the right."""

    def __init__(
        self,
        network: RoadNetwork,
        keys: list[LaneKey],
        shapes: list[F64],
        leading: list[list[int]],
        junction: I32,
        turn: I32,
        control: EntranceControl,
    ) -> None:
        self.network, self.keys, self.shapes, self.turn = network, keys, shapes, turn
        self.leading, self.junction, self.control = leading, junction, control.control
        self.stated = [set(junction.priorities) for junction in network.junctions]

    def gives_way(self, a: int, b: int) -> int:
        """1: a gives way to b, -1: b to a, 0: equal."""
        stated = self.stated[self.junction[a]]
        if stated:
            roads_a, roads_b = self._roads(a), self._roads(b)
            over_a = any((high, low) in stated for high in roads_b for low in roads_a)
            over_b = any((high, low) in stated for high in roads_a for low in roads_b)
            if over_a != over_b:
                return 1 if over_a else -1
        waits_a, waits_b = self._waits(a), self._waits(b)
        if waits_a != waits_b:
            return 1 if waits_a > waits_b else -1
        ramp_a, ramp_b = self._ramp(a), self._ramp(b)
        if ramp_a != ramp_b:
            return 1 if ramp_a else -1
        straight_a, straight_b = self.turn[a] == 0, self.turn[b] == 0
        if straight_a != straight_b:
            return -1 if straight_a else 1
        # How b comes from a's point of view: its heading less a's. -90 degrees: from the right; 180: from ahead.
        difference = float(self.shapes[b][0, 3] - self.shapes[a][0, 3])
        difference = (difference + math.pi) % (2 * math.pi) - math.pi
        if abs(abs(difference) - math.pi) < math.radians(45):  # oncoming: turning left waits
            return int(self.turn[b] - self.turn[a] > 0) - int(self.turn[a] - self.turn[b] > 0)
        if abs(difference) < math.radians(45):
            return 0
        return 1 if difference < 0 else -1

    def _roads(self, lane: int) -> set[str]:
        """Ids of the connecting road and of the roads that lead into it."""
        return {self.network.roads[self.keys[k][0]].id for k in (lane, *self.leading[lane])}

    def _waits(self, lane: int) -> int:
        return {int(StopControl.YIELD): 1, int(StopControl.STOP_SIGN): 2}.get(int(self.control[lane]), 0)

    def _ramp(self, lane: int) -> bool:
        types = {self.network.lane(self.keys[k]).type for k in (lane, *self.leading[lane])}
        return bool(types & {"onRamp", "entry"})
