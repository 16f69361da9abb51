"""The road network as kernels read it: LaneTables and WalkTables packed for the cache, and what can be known before.

A row of `point` is half a cache line that holds all of a lane's point. Of a town, computed once: how fast a curve may
be taken, which lanes lead nowhere, which lights stop the traffic over a crossing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.roads.tables import LaneTables, WalkTables

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

# columns of Roads.point
R_X, R_Y, R_Z, R_YAW, R_COS, R_SIN, R_HALF, R_BOUND = range(8)
# columns of Roads.lane_f
LN_LENGTH, LN_SPACING, LN_LIMIT, LN_DENSITY = range(4)
# columns of Roads.lane_i; then the successors
(
    LN_FIRST, LN_COUNT, LN_JUNCTION, LN_LEFT, LN_RIGHT, LN_CONTROL, LN_LIGHT, LN_TURN, LN_ENDS, LN_SUCCESSORS,
    LN_PREDECESSORS, LN_CONFLICT, LN_CONFLICT_END, LN_OPEN, LN_NEXT,
) = range(15)  # fmt: skip
LN_BEFORE = LN_NEXT + 8
LN_GOALS_LEFT, LN_GOALS_RIGHT = LN_BEFORE + 8, LN_BEFORE + 9
"""Bits: which of the left (right) neighbour's lanes to go on lead where none of the own leads."""
LANE_INTS = 32
"""Two cache lines a lane; what is read in every step lies in the first."""
# columns of Roads.conflict_f and conflict_i
C_BEGIN, C_END, C_OTHER_BEGIN, C_OTHER_END = range(4)
C_LANE, C_YIELD = range(2)
# columns of Roads.edge_i and edge_f
G_FROM, G_TO, G_CROSSING, G_JUNCTION, G_LIGHT, G_LIGHT_END = range(6)
G_LENGTH, G_HALF, G_COS, G_SIN, G_Z, G_RISE, G_KERB, G_FAR_KERB, G_DROP, G_FAR_DROP = range(10)

SIDE_COMFORT = 2.2
"""m/s^2 across that a built-in driver accepts in a curve."""
SLOW_DOWN = 1.5
"""m/s^2 of slowing down for a curve."""


class Lanes(NamedTuple):
    """Lanes and their points; kernels that need no more get this alone (fewer arguments compile and run faster)."""

    point: F32
    """[P, 8]"""
    lane_f: F32
    """[L, 4]"""
    lane_i: I32
    """[L, LANE_INTS]"""


class Conflicts(NamedTuple):
    """Shared areas of connecting lanes: rows LN_CONFLICT : LN_CONFLICT_END."""

    real: F32
    whole: I32


class Grid(NamedTuple):
    """Which points are near a place."""

    first: I32
    point: I32
    lane: I32
    """[P] lane of each point"""
    frame: F32
    """[5] origin x, y; cell; cells in x, y"""


class Lights(NamedTuple):
    """Traffic lights and their junctions."""

    of_junction: I32
    """[J + 1] rows of `order`"""
    order: I32
    """Lights by junction."""
    group: I32
    """[S] place in the junction's cycle"""
    groups: I32
    """[J] groups in the junction's cycle"""


class Walk(NamedTuple):
    """The graph of sidewalks and crossings."""

    vertex: F32
    """[V, 3]"""
    vertex_first: I32
    vertex_edge: I32
    edge_i: I32
    edge_f: F32
    light: I32
    """Lights whose traffic a crossing meets on its way to them: rows G_LIGHT : G_LIGHT_END."""


class Roads(NamedTuple):
    """All of it."""

    lanes: Lanes
    conflicts: Conflicts
    grid: Grid
    lights: Lights
    walk: Walk
    start: I32
    """Lanes where traffic may start: outside junctions, leading somewhere."""


def _aligned(array: NDArray) -> NDArray:
    """A copy that starts on a cache line, so that no row of 32 or 128 bytes lies on one line more than it must."""
    room = np.empty(array.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _bounds(t: LaneTables) -> F32:
    """[P] m/s at which each point of a lane may be passed: speed limit, curvature, slowing down for both in time."""
    bound = np.empty(len(t.x))
    for lane, (first, count) in enumerate(zip(t.first_point, t.point_count)):
        yaw = np.unwrap(t.yaw[first : first + count].astype(np.float64))
        curvature = np.abs(np.gradient(yaw, float(t.spacing[lane]))) if count > 1 else np.zeros(count)
        if count > 4:
            curvature = np.convolve(np.pad(curvature, 2, mode="edge"), np.ones(5) / 5, mode="valid")
        v = np.minimum(t.speed_limit[lane], np.sqrt(SIDE_COMFORT / np.maximum(curvature, 1e-4)))
        for k in range(count - 2, -1, -1):
            v[k] = min(v[k], math.sqrt(v[k + 1] ** 2 + 2 * SLOW_DOWN * float(t.spacing[lane])))
        bound[first : first + count] = v
    return bound.astype(np.float32)


def _dead_ends(t: LaneTables) -> NDArray[np.bool_]:
    """[L] every way on ends where the road ends (lane changes not counted)."""
    dead = t.successors[:, 0] < 0
    while True:
        following = np.where(t.successors >= 0, dead[t.successors], True).all(axis=1)
        if (following == dead).all():
            return dead
        dead = following | dead


def _crossing_lights(t: LaneTables, w: WalkTables) -> list[list[int]]:
    """For each edge the lights that hold back the traffic over it: those of the arm that it crosses."""
    lights: list[list[int]] = [[] for _ in range(len(w.edge_from))]
    for edge in np.flatnonzero(w.edge_crossing):
        for row in range(w.crossing_first[edge], w.crossing_first[edge + 1]):
            lane = w.crossing_lane[row]
            if t.junction[lane] < 0:
                bound = [int(t.light[n]) for n in t.successors[lane] if n >= 0]
            else:
                # behind the stop line: the arm that the lane starts from, not the one that it leads to
                bound = [int(t.light[lane])] if w.crossing_begin[row] < 0.4 * t.length[lane] else []
            lights[edge].extend(light for light in bound if light >= 0)
    return [sorted(set(rows)) for rows in lights]


def _goals(t: LaneTables, lane_i: I32) -> None:
    """Write LN_GOALS_LEFT and LN_GOALS_RIGHT: where a change of lanes leads to another road behind the junction."""

    def leads(lane: int) -> set[tuple[int, bool]]:
        behind = [int(n) for n in t.successors[lane] if n >= 0] if t.junction[lane] >= 0 else [lane]
        return {(int(t.road[n]), bool(t.lane[n] > 0)) for n in behind}

    lane_i[:, LN_GOALS_LEFT], lane_i[:, LN_GOALS_RIGHT] = 0, 0
    for lane in np.flatnonzero(t.junction < 0):
        own: set[tuple[int, bool]] = set()
        for n in range(lane_i[lane, LN_OPEN]):
            own |= leads(lane_i[lane, LN_NEXT + n])
        for side, column in ((LN_LEFT, LN_GOALS_LEFT), (LN_RIGHT, LN_GOALS_RIGHT)):
            other = lane_i[lane, side]
            for n in range(lane_i[other, LN_OPEN] if other >= 0 else 0):
                if leads(lane_i[other, LN_NEXT + n]) - own:
                    lane_i[lane, column] |= 1 << n


def pack(t: LaneTables, walk: WalkTables | None) -> Roads:
    """Pack the tables. Without `walk` there is no place for pedestrians."""
    lanes = len(t.length)
    f4, i4 = np.float32, np.int32
    none = np.zeros(0, i4)
    nothing = np.zeros(0, f4)
    zero = np.zeros(1, i4)
    w = walk or WalkTables(
        nothing,
        nothing,
        nothing,
        none,
        none,
        nothing,
        none,
        np.zeros(0, np.bool_),
        np.zeros((0, 2), f4),
        np.zeros((0, 2), f4),
        zero,
        none,
        zero,
        none,
        nothing,
        nothing,
    )
    by_edge = _crossing_lights(t, w)
    dead = _dead_ends(t)

    point = np.stack([t.x, t.y, t.z, t.yaw, np.cos(t.yaw), np.sin(t.yaw), t.half_width, _bounds(t)], axis=1)
    lane_i = np.full((lanes, LANE_INTS), -1, i4)
    lane_i[:, LN_FIRST], lane_i[:, LN_COUNT], lane_i[:, LN_JUNCTION] = t.first_point, t.point_count, t.junction
    lane_i[:, LN_LEFT] = np.where(t.may_change_left, t.left, -1)
    lane_i[:, LN_RIGHT] = np.where(t.may_change_right, t.right, -1)
    lane_i[:, LN_CONTROL], lane_i[:, LN_LIGHT], lane_i[:, LN_TURN] = t.control, t.light, t.turn
    lane_i[:, LN_ENDS] = dead
    for lane in range(lanes):
        # ways that lead on come first, so that a random driver draws among the first LN_OPEN
        following = sorted((int(n) for n in t.successors[lane] if n >= 0), key=lambda n: bool(dead[n]))
        lane_i[lane, LN_NEXT : LN_NEXT + len(following)] = following
        lane_i[lane, LN_SUCCESSORS] = len(following)
        lane_i[lane, LN_OPEN] = sum(not dead[n] for n in following) or len(following)
        before = [int(n) for n in t.predecessors[lane] if n >= 0]
        lane_i[lane, LN_BEFORE : LN_BEFORE + len(before)] = before
        lane_i[lane, LN_PREDECESSORS] = len(before)
    lane_i[:, LN_CONFLICT], lane_i[:, LN_CONFLICT_END] = t.conflict_first[:-1], t.conflict_first[1:]
    _goals(t, lane_i)
    lane_f = np.stack([t.length, t.spacing, t.speed_limit, 1 / t.spacing], axis=1)

    start = np.flatnonzero((t.junction < 0) & ~dead & (t.length > 8.0))
    if not len(start):
        start = np.flatnonzero(t.length > 2.0)
    order = np.argsort(t.light_junction, kind="stable").astype(i4)
    per_junction = np.searchsorted(t.light_junction[order], np.arange(len(t.group_count) + 1)).astype(i4)
    dx, dy = w.x[w.edge_to] - w.x[w.edge_from], w.y[w.edge_to] - w.y[w.edge_from]
    length = np.maximum(np.hypot(dx, dy), 1e-3)
    # height at the begin and rise a metre; both kerbs, from the begin; how far the road lies below at both
    rise = np.column_stack([w.z[w.edge_from], (w.z[w.edge_to] - w.z[w.edge_from]) / length])
    kerbs = np.column_stack([w.edge_kerb[:, 0], length - w.edge_kerb[:, 1], w.edge_drop])
    lights = np.cumsum([0] + [len(rows) for rows in by_edge])
    edge_i = np.stack([w.edge_from, w.edge_to, w.edge_crossing, w.edge_junction, lights[:-1], lights[1:]], axis=1)

    def real(array: NDArray) -> F32:
        return np.ascontiguousarray(array, f4)

    def whole(array: NDArray) -> I32:
        return np.ascontiguousarray(array, i4)

    return Roads(
        lanes=Lanes(_aligned(real(point)), _aligned(real(lane_f)), _aligned(lane_i)),
        conflicts=Conflicts(
            real(np.stack([t.conflict_begin, t.conflict_end, t.conflict_other_begin, t.conflict_other_end], axis=1)),
            whole(np.stack([t.conflict_lane, t.conflict_yield], axis=1)),
        ),
        grid=Grid(
            whole(t.grid_first),
            whole(t.grid_point),
            whole(t.point_lane),
            real(np.array([t.grid_origin[0], t.grid_origin[1], t.grid_cell, t.grid_size[0], t.grid_size[1]])),
        ),
        lights=Lights(per_junction, order, whole(t.light_group), whole(t.group_count)),
        walk=Walk(
            real(np.stack([w.x, w.y, w.z], axis=1)),
            whole(w.vertex_first),
            whole(w.vertex_edge),
            whole(edge_i),
            real(np.column_stack([length, w.edge_half_width, dx / length, dy / length, rise, kerbs])),
            whole(np.array([light for rows in by_edge for light in rows], i4)),
        ),
        start=whole(start),
    )
