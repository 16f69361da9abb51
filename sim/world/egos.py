# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Egos: where they are on their routes, and every event that a driving metric counts."""

from __future__ import annotations

import math

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.events import play_scenario, watch_emergency
from sim.world.junctions import LIGHT_CONTROL, STOP_CONTROL
from sim.world.lanes import F32, I32, find_lane, project, set_lane_pose
from sim.world.maths import F, kernel, part, wrap
from sim.world.roads import Grid, Lanes

LEVEL = F(3.0)
"""Metres of height beyond which a lane is another level (a bridge)."""
TOLERANCE = F(0.5)
"""Metres beside the lanes that do not count as outside."""
JUNCTION_TOLERANCE = F(1.5)
"""Metres that a junction's paved ground reaches beyond its connecting lanes."""
STANDING = F(0.1)
"""m/s below which a vehicle stands."""
STOP_ZONE = F(8.0)
"""Metres before a stop sign's line where standing counts."""
LINE_SIGHT = 60
"""Metres ahead that lights and stop signs are known."""
AROUND = F(60.0)
"""Metres around within which traffic counts for the minimum speed."""
STRAYED = F(0.3)
"""Share of the route's length outside its lanes that ends the route."""


@kernel
def ground(roads: Lanes, grid: Grid, x: float, y: float, z: float, cos: float, sin: float) -> tuple[float, float]:
    """Metres outside the nearest driving lane (negative inside): of any direction, and of the own direction only."""
    any_lane = F(50.0)
    own = F(50.0)
    cell = grid.frame[2]
    nx = np.int32(grid.frame[3])
    ny = np.int32(grid.frame[4])
    cx = np.int32(math.floor((x - grid.frame[0]) / cell))
    cy = np.int32(math.floor((y - grid.frame[1]) / cell))
    if cx < 0 or cy < 0 or cx >= nx or cy >= ny:
        return any_lane, own
    c = cy * nx + cx
    for row in range(grid.first[c], grid.first[c + 1]):
        p = grid.point[row]
        dx = x - roads.point[p, r.R_X]
        dy = y - roads.point[p, r.R_Y]
        pc = roads.point[p, r.R_COS]
        ps = roads.point[p, r.R_SIN]
        lane = grid.lane[p]
        aside = abs(dx * pc + dy * ps) > F(0.75) * roads.lane_f[lane, r.LN_SPACING]
        if aside or abs(z - roads.point[p, r.R_Z]) > LEVEL:
            continue
        beyond = abs(dy * pc - dx * ps) - roads.point[p, r.R_HALF]
        if roads.lane_i[lane, r.LN_JUNCTION] >= 0:
            beyond -= JUNCTION_TOLERANCE
        any_lane = min(any_lane, beyond)
        if pc * cos + ps * sin > F(-0.2):
            own = min(own, beyond)
    return any_lane, own


@kernel
def next_line(roads: Lanes, ei: I32, route_lane: I32, e: int, start: int) -> int:
    """First route point from `start` on at which a lane with a light or a stop sign is entered; -2 for none."""
    for n in range(max(start, 1), ei[f.E_ROUTE_POINTS, e]):
        lane = route_lane[n]
        if lane != route_lane[n - 1]:
            control = roads.lane_i[lane, r.LN_CONTROL]
            if control in (LIGHT_CONTROL, STOP_CONTROL):
                return n
    return np.int32(-2)


@part
def locate(roads: Lanes, grid: Grid, vf: F32, vi: I32, ef: F32, ei: I32, route: F32, route_lane: I32, e: int) -> None:
    """Progress, offset and heading error on the route, and the ego's lane."""
    k = ei[f.E_PROGRESS, e]
    last = ei[f.E_ROUTE_POINTS, e] - 2
    x = vf[f.X, e]
    y = vf[f.Y, e]
    along = F(0.0)
    offset = F(0.0)
    for _ in range(60):
        ux = route[k + 1, 0] - route[k, 0]
        uy = route[k + 1, 1] - route[k, 1]
        size = max(math.sqrt(ux * ux + uy * uy), F(1e-3))
        dx = x - route[k, 0]
        dy = y - route[k, 1]
        along = (dx * ux + dy * uy) / size
        offset = (dy * ux - dx * uy) / size
        if along >= size and k < last:
            k += 1
        elif along < F(-0.5) and k > 0:
            k -= 1
        else:
            break
    ei[f.E_PROGRESS, e] = k
    ef[f.E_ALONG, e] = F(k) + along
    ef[f.E_OFFSET, e] = offset
    ef[f.E_ERROR, e] = wrap(vf[f.YAW, e] - route[k, 2])
    ef[f.E_SPEED_LIMIT, e] = route[k, 5]
    # on its route an ego's lane is the route's; elsewhere it is searched for
    if abs(offset) < route[k, 3] and abs(ef[f.E_ERROR, e]) < F(1.2):
        lane = route_lane[k]
        s, lat, p = project(roads, lane, route[k, 4] + along, x, y)
        vi[f.V_LANE, e] = lane
        set_lane_pose(roads, vf, e, lane, s, p, lat)
        found = 0
        before = lane
        n = k + 1
        vi[f.V_NEXT1, e] = -1
        vi[f.V_NEXT2, e] = -1
        vi[f.V_NEXT3, e] = -1
        while found < 3 and n <= last and n < k + 60:
            following = route_lane[n]
            if following != before:
                # a lane change leads to no next lane
                if following != roads.lane_i[before, r.LN_LEFT] and following != roads.lane_i[before, r.LN_RIGHT]:
                    vi[f.V_NEXT1 + found, e] = following
                    found += 1
                before = following
            n += 2
    else:
        find_lane(roads, grid, vf, vi, e)


@kernel
def judge(
    roads: Lanes,
    grid: Grid,
    vf: F32,
    vi: I32,
    li: I32,
    ef: F32,
    ei: I32,
    route: F32,
    route_lane: I32,
    e: int,
    touched: int,
    dt: float,
) -> None:
    """Count the events of this step. `touched`: V_TOUCH before the step."""  # fmt: skip
    speed = vf[f.SPEED, e]
    ei[f.E_STEPS, e] += 1
    ef[f.E_TIME, e] += dt
    moved = abs(speed) * dt
    ef[f.E_DISTANCE, e] += moved
    ef[f.E_JERK, e] = (vf[f.ACCEL, e] - ef[f.E_PREVIOUS_ACCEL, e]) / dt
    ef[f.E_PREVIOUS_ACCEL, e] = vf[f.ACCEL, e]

    fresh = vi[f.V_TOUCH, e] & ~touched
    if fresh != 0:
        if abs(speed) < STANDING:
            ei[f.E_HITS_FORGIVEN, e] += 1
        else:
            ei[f.E_HIT_VEHICLE, e] += fresh & 1
            ei[f.E_HIT_WALKER, e] += (fresh >> 1) & 1
            ei[f.E_HIT_STATIC, e] += (fresh >> 2) & 1

    if ei[f.E_ROUTE_POINTS, e] < 2:
        return
    locate(roads, grid, vf, vi, ef, ei, route, route_lane, e)
    play_scenario(ef, ei, e, dt)
    offset = ef[f.E_OFFSET, e]

    # lanes: on the route's own lane nothing needs to be looked up
    off_road = False
    wrong = False
    outside = False
    k = ei[f.E_PROGRESS, e]
    if abs(offset) > route[k, 3] or abs(ef[f.E_ERROR, e]) > F(1.2):
        beyond, own = ground(roads, grid, vf[f.X, e], vf[f.Y, e], vf[f.Z, e], vf[f.COS, e], vf[f.SIN, e])
        off_road = beyond > F(0.0)
        wrong = not off_road and own > TOLERANCE and ei[f.E_SCENARIO, e] < 2
        outside = beyond > TOLERANCE or wrong
    if off_road and ei[f.E_IS_OFF_ROAD, e] == 0:
        ei[f.E_OFF_ROAD, e] += 1
    if wrong and ei[f.E_IS_WRONG_WAY, e] == 0:
        ei[f.E_WRONG_WAY, e] += 1
    ei[f.E_IS_OFF_ROAD, e] = np.int32(off_road)
    ei[f.E_IS_WRONG_WAY, e] = np.int32(wrong)
    ei[f.E_IS_OUTSIDE, e] = np.int32(outside)
    if outside:
        ef[f.E_OUTSIDE, e] += moved
        if ef[f.E_OUTSIDE, e] > STRAYED * ef[f.E_LENGTH, e]:
            ei[f.E_STRAYED, e] = 1

    # stop lines
    if ei[f.E_STOP_POINT, e] == -1:
        ei[f.E_STOP_POINT, e] = next_line(roads, ei, route_lane, e, k + 1)
    front = ef[f.E_ALONG, e] + vf[f.HALF_LENGTH, e]
    line = ei[f.E_STOP_POINT, e]
    if line >= 0 and front >= F(line):
        lane = route_lane[line]
        on_route = abs(offset) < F(8.0) and abs(ef[f.E_ERROR, e]) < F(1.6)
        if on_route and roads.lane_i[lane, r.LN_CONTROL] == LIGHT_CONTROL:
            light = roads.lane_i[lane, r.LN_LIGHT]
            if light >= 0 and li[f.L_STATE, light] == f.RED:
                ei[f.E_RED_LIGHT, e] += 1
        elif on_route and ei[f.E_STOP_HONOURED, e] == 0:
            ei[f.E_STOP_SIGN, e] += 1
        line = next_line(roads, ei, route_lane, e, line + 1)
        ei[f.E_STOP_POINT, e] = line
        ei[f.E_STOP_HONOURED, e] = 0
    show_line(roads, li, ef, ei, route_lane, e)
    if line >= 0 and abs(speed) < STANDING and F(line) - front < STOP_ZONE:
        ei[f.E_STOP_HONOURED, e] = 1

    # progress
    length = max(ef[f.E_LENGTH, e], F(1.0))
    if abs(offset) < F(30.0):
        done = min(ef[f.E_ALONG, e] / length, F(1.0))
        if done > ef[f.E_COMPLETION, e]:
            ef[f.E_ALLOWED, e] += (
                (done - ef[f.E_COMPLETION, e]) * length / (F(0.1) * max(ef[f.E_SPEED_LIMIT, e], F(1.0)))
            )
            ef[f.E_COMPLETION, e] = done
    else:
        ei[f.E_DEVIATED, e] = 1
    end = ei[f.E_ROUTE_POINTS, e] - 1
    dx = route[end, 0] - vf[f.X, e]
    dy = route[end, 1] - vf[f.Y, e]
    if ef[f.E_COMPLETION, e] > F(0.99) and dx * dx + dy * dy < F(100.0):
        ei[f.E_COMPLETED, e] = 1
    ef[f.E_BLOCKED, e] = ef[f.E_BLOCKED, e] + dt if abs(speed) < STANDING else F(0.0)
    if ef[f.E_BLOCKED, e] >= F(180.0):
        ei[f.E_STALLED, e] = 1
    if ef[f.E_TIME, e] > ef[f.E_ALLOWED, e]:
        ei[f.E_TIMEOUT, e] = 1
    check_speed(vf, vi, ef, ei, e)
    flags = np.int32(0)
    for j in range(vf.shape[1]):
        flags |= vi[f.V_FLAGS, j]
    if (flags & f.EMERGENCY) != 0 or ei[f.E_EMERGENCY, e] != 0:
        watch_emergency(roads, vf, vi, ef, ei, e, dt)


@part
def show_line(roads: Lanes, li: I32, ef: F32, ei: I32, route_lane: I32, e: int) -> None:
    """What the ego knows of the stop line ahead."""
    line = ei[f.E_STOP_POINT, e]
    ef[f.E_STOP_DISTANCE, e] = F(np.inf)
    ei[f.E_LIGHT, e] = f.LIGHT_NONE
    ei[f.E_STOP_SIGN_AHEAD, e] = 0
    if line < 0:
        return
    rest = F(line) - ef[f.E_ALONG, e]
    if rest > F(LINE_SIGHT):
        return
    lane = route_lane[line]
    if roads.lane_i[lane, r.LN_CONTROL] == LIGHT_CONTROL:
        light = roads.lane_i[lane, r.LN_LIGHT]
        if light >= 0:
            ei[f.E_LIGHT, e] = li[f.L_STATE, light]
            ef[f.E_STOP_DISTANCE, e] = max(rest, F(0.0))
    elif ei[f.E_STOP_HONOURED, e] == 0:
        ei[f.E_STOP_SIGN_AHEAD, e] = 1
        ef[f.E_STOP_DISTANCE, e] = max(rest, F(0.0))


@part
def check_speed(vf: F32, vi: I32, ef: F32, ei: I32, e: int) -> None:
    """Minimum speed: at each quarter of the route, own mean speed against that of the traffic around."""
    total = F(0.0)
    n = 0
    for j in range(vf.shape[1]):
        if j != e and vi[f.V_MODE, j] == f.TRAFFIC:
            dx = vf[f.X, j] - vf[f.X, e]
            dy = vf[f.Y, j] - vf[f.Y, e]
            if dx * dx + dy * dy < AROUND * AROUND:
                total += vf[f.SPEED, j]
                n += 1
    if n > 0:
        ef[f.E_CHECK_SPEED, e] += max(vf[f.SPEED, e], F(0.0))
        ef[f.E_CHECK_TRAFFIC, e] += total / F(n)
    if ei[f.E_SPEED_CHECKS, e] < 4 and ef[f.E_COMPLETION, e] >= F(0.25) * F(ei[f.E_SPEED_CHECKS, e] + 1) - F(0.01):
        share = F(1.0)
        if ef[f.E_CHECK_TRAFFIC, e] > F(0.0):
            share = min(ef[f.E_CHECK_SPEED, e] / ef[f.E_CHECK_TRAFFIC, e], F(1.0))
        ef[f.E_SPEED_SHARE, e] += share
        ei[f.E_SPEED_CHECKS, e] += 1
        ef[f.E_CHECK_SPEED, e] = F(0.0)
        ef[f.E_CHECK_TRAFFIC, e] = F(0.0)
