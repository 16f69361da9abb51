# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Fresh worlds: traffic in free places, egos at the start of a random route. Nothing of the old world stays."""

from __future__ import annotations

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.emergency import HURRY
from sim.world.lanes import F32, I32, choose_goal, draw_next, draw_path, draw_turn, has_goals, set_lane_pose
from sim.world.maths import F, arctan, kernel, sincos, wrap
from sim.world.random import choice, uniform
from sim.world.roads import Lanes

TRIES = 12
VAN = 1
"""sim.world.presets.BodyType of emergency vehicles."""
KEEP, SHORTEST_CHANGE, LONGEST_CHANGE = F(5.0), F(25.0), F(35.0)
"""Metres of an ego's route on the old and on the new lane at least, and of the change between them."""
ROOM = F(5.0)
"""Metres kept free between vehicles that are put into a world."""


@kernel
def clear_vehicle(vf: F32, vi: I32, i: int) -> None:
    """Empty a slot: every field as in a new world."""
    for row in range(vf.shape[0]):
        vf[row, i] = F(0.0)
    for row in range(vi.shape[0]):
        vi[row, i] = 0
    vf[f.COS, i] = F(1.0)
    for row in (f.V_LANE, f.V_NEXT1, f.V_NEXT2, f.V_NEXT3, f.V_GRANT, f.V_CHANGE_LANE):
        vi[row, i] = -1


@kernel
def fill_vehicle(presets: F32, vf: F32, vi: I32, i: int, kind: int, mode: int) -> None:
    """A fresh vehicle of a body type in slot i, its pose still to be set."""
    clear_vehicle(vf, vi, i)
    for row in range(vf.shape[0]):
        vf[row, i] = presets[kind, row]
    vi[f.V_KIND, i] = kind
    vi[f.V_MODE, i] = mode


@kernel
def put_on_lane(roads: Lanes, vf: F32, vi: I32, i: int, lane: int, s: float) -> None:
    """Set the pose of vehicle i to place s of a lane."""
    spacing = roads.lane_f[lane, r.LN_SPACING]
    first = roads.lane_i[lane, r.LN_FIRST]
    n = min(np.int32(s / spacing), roads.lane_i[lane, r.LN_COUNT] - np.int32(2))
    p = first + n
    t = s / spacing - F(n)
    vf[f.X, i] = roads.point[p, r.R_X] + t * (roads.point[p + 1, r.R_X] - roads.point[p, r.R_X])
    vf[f.Y, i] = roads.point[p, r.R_Y] + t * (roads.point[p + 1, r.R_Y] - roads.point[p, r.R_Y])
    vf[f.YAW, i] = roads.point[p, r.R_YAW]
    vf[f.SIN, i], vf[f.COS, i] = sincos(vf[f.YAW, i])
    vi[f.V_LANE, i] = lane
    set_lane_pose(roads, vf, i, lane, s, p, F(0.0))


@kernel
def is_free(vf: F32, vi: I32, of: F32, oi: I32, i: int, room: float) -> bool:
    """No body is within `room` metres of vehicle i's."""
    for j in range(vf.shape[1]):
        if j != i and vi[f.V_MODE, j] != f.ABSENT:
            dx = vf[f.X, j] - vf[f.X, i]
            dy = vf[f.Y, j] - vf[f.Y, i]
            reach = vf[f.HALF_LENGTH, i] + vf[f.HALF_LENGTH, j] + room
            if dx * dx + dy * dy < reach * reach:
                return False
    for j in range(of.shape[1]):
        if oi[f.O_MODE, j] != f.ABSENT:
            dx = of[f.X, j] - vf[f.X, i]
            dy = of[f.Y, j] - vf[f.Y, i]
            reach = vf[f.HALF_LENGTH, i] + of[f.HALF_LENGTH, j] + room
            if dx * dx + dy * dy < reach * reach:
                return False
    return True


@kernel
def place_traffic(
    roads: Lanes,
    starts: I32,
    presets: F32,
    shares: F32,
    vf: F32,
    vi: I32,
    of: F32,
    oi: I32,
    i: int,
    k: int,
    tick: int,
    factor: float,
    emergency: float,
    moving: bool,
) -> bool:
    """Put a fresh built-in vehicle into a random free place; False (and an empty slot) where none was found.

    factor: share of the speed limit that drivers want; emergency: share of them that are emergency vehicles.
    """
    draw = uniform(k, tick, 50000 + 64 * i)
    kind = 0
    while kind < len(shares) - 1 and draw >= shares[kind]:
        kind += 1
    on_duty = emergency > F(0.0) and uniform(k, tick, 50060 + 64 * i) < emergency
    if on_duty:
        kind = VAN
    fill_vehicle(presets, vf, vi, i, kind, f.TRAFFIC)
    for attempt in range(TRIES):
        stream = 50001 + 64 * i + 4 * attempt
        lane = starts[choice(k, tick, stream, len(starts))]
        length = roads.lane_f[lane, r.LN_LENGTH]
        margin = vf[f.HALF_LENGTH, i] + F(1.0)
        if length < F(2.0) * margin:
            continue
        s = margin + uniform(k, tick, stream + 1) * (length - F(2.0) * margin)
        put_on_lane(roads, vf, vi, i, lane, s)
        if is_free(vf, vi, of, oi, i, ROOM):
            draw_path(roads, vf, vi, i, k, tick + 1)
            vf[f.WISH, i] = factor * (F(0.85) + F(0.3) * uniform(k, tick, stream + 2))
            if on_duty:
                vi[f.V_FLAGS, i] = f.EMERGENCY
                vf[f.WISH, i] = HURRY
            if has_goals(roads, lane):
                choose_goal(roads, vf, vi, i, k, tick + 1)
            vf[f.CHANGE_TIMER, i] = F(3.0) * uniform(k, tick, stream + 3)
            if moving:
                p = roads.lane_i[lane, r.LN_FIRST]
                vf[f.SPEED, i] = F(0.5) * min(roads.point[p, r.R_BOUND], vf[f.TOP_SPEED, i])
                rest = length - s
                vf[f.SPEED, i] = min(vf[f.SPEED, i], F(0.4) * rest)
            return True
    clear_vehicle(vf, vi, i)
    return False


@kernel
def change_over(
    roads: Lanes, route: F32, route_lane: I32, begin: int, end: int, lane: int, other: int, entry: float
) -> None:
    """Lead the route's points begin..end, which lie on `lane` from s = entry on, over to its neighbour `other`."""
    ratio = roads.lane_f[other, r.LN_LENGTH] / roads.lane_f[lane, r.LN_LENGTH]
    stretch = min(roads.lane_f[lane, r.LN_LENGTH] - entry - F(2.0) * KEEP, LONGEST_CHANGE)
    first = roads.lane_i[other, r.LN_FIRST]
    last = roads.lane_i[other, r.LN_COUNT] - np.int32(2)
    for n in range(begin, end):
        u = min(max((route[n, 4] - entry - KEEP) / stretch, F(0.0)), F(1.0))
        s = route[n, 4] * ratio
        q = s * roads.lane_f[other, r.LN_DENSITY]
        m = min(np.int32(q), last)
        p = first + m
        t = q - F(m)
        dx = roads.point[p, r.R_X] + t * (roads.point[p + 1, r.R_X] - roads.point[p, r.R_X]) - route[n, 0]
        dy = roads.point[p, r.R_Y] + t * (roads.point[p + 1, r.R_Y] - roads.point[p, r.R_Y]) - route[n, 1]
        share = u * u * (F(3.0) - F(2.0) * u)
        sin, cos = sincos(route[n, 2])
        slope = (dy * cos - dx * sin) * F(6.0) * u * (F(1.0) - u) / stretch
        turn = wrap(roads.point[p, r.R_YAW] - route[n, 2])
        route[n, 0] += share * dx
        route[n, 1] += share * dy
        route[n, 2] = wrap(route[n, 2] + share * turn + arctan(slope))
        if share >= F(0.5):
            route[n, 3] = roads.point[p, r.R_HALF]
            route[n, 4] = s
            route[n, 5] = roads.lane_f[other, r.LN_LIMIT]
            route_lane[n] = other


@kernel
def sample_route(
    roads: Lanes, route: F32, route_lane: I32, lane: int, s: float, length: float, k: int, stream: int
) -> int:
    """Write a random route of `length` metres from place s of a lane; returns its points, 1 m apart.

    Where a neighbour lane leads to other turns, the route may change to it (see lanes.draw_turn).
    """
    most = min(np.int32(length) + np.int32(1), np.int32(route.shape[0]))
    n = 0
    step = 0
    while n < most:
        spacing = roads.lane_f[lane, r.LN_SPACING]
        first = roads.lane_i[lane, r.LN_FIRST]
        last = roads.lane_i[lane, r.LN_COUNT] - np.int32(2)
        end = roads.lane_f[lane, r.LN_LENGTH]
        other = np.int32(-1)
        onward = np.int32(-1)
        if has_goals(roads, lane) and end - s > F(2.0) * KEEP + SHORTEST_CHANGE:
            other, onward = draw_turn(roads, lane, k, step, stream + 1)
        begin = n
        entry = s
        while s < end and n < most:
            m = min(np.int32(s / spacing), last)
            p = first + m
            t = s / spacing - F(m)
            route[n, 0] = roads.point[p, r.R_X] + t * (roads.point[p + 1, r.R_X] - roads.point[p, r.R_X])
            route[n, 1] = roads.point[p, r.R_Y] + t * (roads.point[p + 1, r.R_Y] - roads.point[p, r.R_Y])
            route[n, 2] = roads.point[p, r.R_YAW]
            route[n, 3] = roads.point[p, r.R_HALF]
            route[n, 4] = s
            route[n, 5] = roads.lane_f[lane, r.LN_LIMIT]
            route_lane[n] = lane
            s += F(1.0)
            n += 1
        s -= end
        if other >= 0:
            change_over(roads, route, route_lane, begin, n, lane, other, entry)
            lane = onward
        else:
            lane = draw_next(roads, lane, k, step, stream, False)
        step += 1
        if lane < 0:
            break
    return n


@kernel
def start_ego(
    roads: Lanes,
    starts: I32,
    presets: F32,
    vf: F32,
    vi: I32,
    of: F32,
    oi: I32,
    ef: F32,
    ei: I32,
    route: F32,
    route_lane: I32,
    e: int,
    k: int,
    length: float,
) -> None:
    """A car at the start of a fresh random route; the longest of some draws where none is long enough."""
    for row in range(ef.shape[0]):
        ef[row, e] = F(0.0)
    for row in range(ei.shape[0]):
        ei[row, e] = 0
    fill_vehicle(presets, vf, vi, e, 0, f.EXTERNAL)
    best = 0
    best_try = 0
    for attempt in range(TRIES + 1):
        # the last pass repeats the best draw
        pick = attempt if attempt < TRIES else best_try
        stream = 40000 + 256 * e + 8 * pick
        lane = starts[choice(k, 0, stream, len(starts))]
        s = uniform(k, 0, stream + 1) * max(roads.lane_f[lane, r.LN_LENGTH] - F(12.0), F(1.0))
        put_on_lane(roads, vf, vi, e, lane, s + min(F(3.0), roads.lane_f[lane, r.LN_LENGTH] - s))
        free = is_free(vf, vi, of, oi, e, ROOM)
        n = sample_route(roads, route[e], route_lane[e], lane, s, length, k, stream + 2)
        score = n + (10000 if free else 0)
        if score > best:
            best = score
            best_try = pick
        ei[f.E_ROUTE_POINTS, e] = n
        if free and n > np.int32(length):
            break
    ef[f.E_LENGTH, e] = F(ei[f.E_ROUTE_POINTS, e] - 1)
    ef[f.E_ALLOWED, e] = F(300.0)
    ei[f.E_STOP_POINT, e] = -1
    for n in range(ei[f.E_ROUTE_POINTS, e], route.shape[1]):
        for c in range(6):
            route[e, n, c] = F(0.0)
        route_lane[e, n] = -1
