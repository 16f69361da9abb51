"""The road network as kernels read it: LaneTables and WalkTables packed for the cache, and what can be known before.

A row of `point` is half a cache line that holds all of a lane's point. Of a town, computed once: how fast a curve may
be taken, which lanes lead nowhere, where crossings meet lanes, which lights stop the traffic over a crossing.
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
LN_LENGTH, LN_SPACING, LN_LIMIT, LN_PITCH = range(4)
# columns of Roads.lane_i; then the successors
(
    LN_FIRST, LN_COUNT, LN_JUNCTION, LN_LEFT, LN_RIGHT, LN_CONTROL, LN_LIGHT, LN_TURN, LN_ENDS, LN_SUCCESSORS,
    LN_PREDECESSORS, LN_CONFLICT, LN_CONFLICT_END, LN_CROSS, LN_CROSS_END, LN_OPEN, LN_NEXT,
) = range(17)  # fmt: skip
LN_BEFORE = LN_NEXT + 8
LANE_INTS = LN_BEFORE + 8
# columns of Roads.conflict_f and conflict_i
C_BEGIN, C_END, C_OTHER_BEGIN, C_OTHER_END = range(4)
C_LANE, C_YIELD = range(2)
# columns of Roads.edge_i and edge_f
G_FROM, G_TO, G_CROSSING, G_JUNCTION, G_LIGHT, G_LIGHT_END = range(6)
G_LENGTH, G_HALF, G_COS, G_SIN = range(4)

SIDE_COMFORT = 2.2
"""m/s^2 across that a built-in driver accepts in a curve."""
SLOW_DOWN = 1.5
"""m/s^2 of slowing down for a curve."""


class Roads(NamedTuple):
    """Flat arrays; see the column names above."""

    point: F32
    """[P, 8]"""
    point_lane: I32
    lane_f: F32
    """[L, 4]"""
    lane_i: I32
    """[L, LANE_INTS]"""
    start: I32
    """Lanes where traffic may start: outside junctions, leading somewhere."""
    conflict_f: F32
    conflict_i: I32
    light_i: I32
    """[S, 2] junction, group"""
    light_f: F32
    """[S, 3] x, y, yaw"""
    groups: I32
    """[J] groups in the junction's cycle"""
    junction_light: I32
    """[J + 1] rows of `light_order`"""
    light_order: I32
    """Lights by junction."""
    grid_first: I32
    grid_point: I32
    grid_f: F32
    """[3] origin x, y, cell"""
    grid_i: I32
    """[2] cells in x, y"""
    vertex: F32
    """[V, 3]"""
    vertex_first: I32
    vertex_edge: I32
    edge_i: I32
    edge_f: F32
    edge_light: I32
    """Lights whose traffic a crossing meets before their stop line: rows G_LIGHT : G_LIGHT_END."""
    cross_edge: I32
    """Crossings by lane: rows LN_CROSS : LN_CROSS_END."""
    cross_s: F32
    """Where on the lane."""


def _bounds(t: LaneTables) -> F32:
    """[P] m/s at which each point of a lane may be passed: speed limit, curvature, and slowing down for both in time."""
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


def _crossings(t: LaneTables, w: WalkTables) -> tuple[list[list[tuple[float, int]]], list[list[int]]]:
    """For each lane the (s, edge) of the crossings over it; for each edge the lights that stop traffic over it."""
    by_lane: list[list[tuple[float, int]]] = [[] for _ in range(len(t.length))]
    by_edge: list[list[int]] = [[] for _ in range(len(w.edge_from))]
    start = np.ones(len(t.x), np.bool_)
    start[t.first_point + t.point_count - 1] = False
    index = np.flatnonzero(start)
    ax, ay = t.x[index].astype(np.float64), t.y[index].astype(np.float64)
    bx, by = t.x[index + 1].astype(np.float64), t.y[index + 1].astype(np.float64)
    for edge in np.flatnonzero(w.edge_crossing):
        px, py = float(w.x[w.edge_from[edge]]), float(w.y[w.edge_from[edge]])
        qx, qy = float(w.x[w.edge_to[edge]]), float(w.y[w.edge_to[edge]])
        near = np.flatnonzero((np.abs(ax - (px + qx) / 2) < 40) & (np.abs(ay - (py + qy) / 2) < 40))
        dx, dy, ex, ey = bx[near] - ax[near], by[near] - ay[near], qx - px, qy - py
        cross = dx * ey - dy * ex
        with np.errstate(divide="ignore", invalid="ignore"):
            along = ((px - ax[near]) * ey - (py - ay[near]) * ex) / cross
            across = ((px - ax[near]) * dy - (py - ay[near]) * dx) / cross
        hit = near[(along >= 0) & (along < 1) & (across >= 0) & (across <= 1)]
        for k in hit:
            lane = int(t.point_lane[index[k]])
            place = float(index[k] - t.first_point[lane]) * float(t.spacing[lane])
            by_lane[lane].append((place, int(edge)))
            for successor in t.successors[lane]:
                if successor >= 0 and t.light[successor] >= 0 and t.junction[lane] < 0:
                    by_edge[edge].append(int(t.light[successor]))
            # a crossing behind the stop line, on the connecting lane itself, belongs to the arm it starts from
            if t.light[lane] >= 0 and place < 0.5 * t.length[lane]:
                by_edge[edge].append(int(t.light[lane]))
    return [sorted(rows) for rows in by_lane], [sorted(set(rows)) for rows in by_edge]


def pack(t: LaneTables, walk: WalkTables | None) -> Roads:
    """Pack the tables. Without `walk` there is no place for pedestrians."""
    lanes = len(t.length)
    f4, i4 = np.float32, np.int32
    none = np.zeros(0, i4)
    nothing = np.zeros(0, f4)
    w = walk or WalkTables(nothing, nothing, nothing, none, none, nothing, none, np.zeros(0, np.bool_), none, none)
    by_lane, by_edge = _crossings(t, w)
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
    crossings = np.cumsum([0] + [len(rows) for rows in by_lane])
    lane_i[:, LN_CROSS], lane_i[:, LN_CROSS_END] = crossings[:-1], crossings[1:]
    last = t.first_point + t.point_count - 1
    pitch = np.arctan2(t.z[last] - t.z[t.first_point], t.length)
    lane_f = np.stack([t.length, t.spacing, t.speed_limit, pitch], axis=1)

    start = np.flatnonzero((t.junction < 0) & ~dead & (t.length > 8.0))
    if not len(start):
        start = np.flatnonzero(t.length > 2.0)
    order = np.argsort(t.light_junction, kind="stable").astype(i4)
    per_junction = np.searchsorted(t.light_junction[order], np.arange(len(t.group_count) + 1)).astype(i4)
    dx, dy = w.x[w.edge_to] - w.x[w.edge_from], w.y[w.edge_to] - w.y[w.edge_from]
    length = np.maximum(np.hypot(dx, dy), 1e-3)
    lights = np.cumsum([0] + [len(rows) for rows in by_edge])
    edge_i = np.stack([w.edge_from, w.edge_to, w.edge_crossing, w.edge_junction, lights[:-1], lights[1:]], axis=1)

    def real(array: NDArray) -> F32:
        return np.ascontiguousarray(array, f4)

    def whole(array: NDArray) -> I32:
        return np.ascontiguousarray(array, i4)

    return Roads(
        point=real(point),
        point_lane=whole(t.point_lane),
        lane_f=real(lane_f),
        lane_i=lane_i,
        start=whole(start),
        conflict_f=real(
            np.stack([t.conflict_begin, t.conflict_end, t.conflict_other_begin, t.conflict_other_end], axis=1)
        ),
        conflict_i=whole(np.stack([t.conflict_lane, t.conflict_yield], axis=1)),
        light_i=whole(np.stack([t.light_junction, t.light_group], axis=1)),
        light_f=real(np.stack([t.light_x, t.light_y, t.light_yaw], axis=1)),
        groups=whole(t.group_count),
        junction_light=per_junction,
        light_order=order,
        grid_first=whole(t.grid_first),
        grid_point=whole(t.grid_point),
        grid_f=real(np.array([t.grid_origin[0], t.grid_origin[1], t.grid_cell])),
        grid_i=whole(t.grid_size),
        vertex=real(np.stack([w.x, w.y, w.z], axis=1)),
        vertex_first=whole(w.vertex_first) if len(w.x) else np.zeros(1, i4),
        vertex_edge=whole(w.vertex_edge),
        edge_i=whole(edge_i),
        edge_f=real(np.stack([length, w.edge_half_width, dx / length, dy / length], axis=1)),
        edge_light=whole(np.array([light for rows in by_edge for light in rows], i4)),
        cross_edge=whole(np.array([edge for rows in by_lane for _, edge in rows], i4)),
        cross_s=real(np.array([s for rows in by_lane for s, _ in rows], f4)),
    )
