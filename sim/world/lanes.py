# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Where vehicles are on the lane graph: projection, the lanes that follow, points of the path ahead."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.world import fields as f
from sim.world import roads as r
from sim.world.maths import F, kernel, part, wrap
from sim.world.random import choice
from sim.world.roads import Grid, Lanes

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
FAR = F(1e9)
LONG = F(3.2)
"""Half length in metres from which a vehicle avoids turning off, as its rear cuts corners."""
GOAL_SIGHT = F(35.0)
"""Metres of a lane that a driver needs to change to its neighbour for a turn."""
HEADING_WEIGHT = F(8.0)
"""m^2 that a lane at right angles is put farther away when a pose looks for its lane."""


@part
def project(roads: Lanes, lane: int, s: float, x: float, y: float) -> tuple[float, float, int]:
    """(s, metres to the right, point) of a place beside `lane`, starting the search from `s`.

    Steps from point to point towards the foot of the perpendicular; s may leave [0, length] by the last piece.
    """
    first = roads.lane_i[lane, r.LN_FIRST]
    last = roads.lane_i[lane, r.LN_COUNT] - np.int32(1)
    spacing = roads.lane_f[lane, r.LN_SPACING]
    density = roads.lane_f[lane, r.LN_DENSITY]
    along = F(0.0)
    lat = F(0.0)
    k = np.int32(0)
    previous = np.int32(-1)
    for _ in range(40):
        k = min(max(np.int32(s * density + F(0.5)), np.int32(0)), last)
        p = first + k
        dx = x - roads.point[p, r.R_X]
        dy = y - roads.point[p, r.R_Y]
        cos = roads.point[p, r.R_COS]
        sin = roads.point[p, r.R_SIN]
        along = dx * cos + dy * sin
        lat = dy * cos - dx * sin
        s = F(k) * spacing + along
        if abs(along) <= spacing * F(0.6) or k == previous:
            break
        if (along > F(0.0) and k == last) or (along < F(0.0) and k == 0):
            break
        previous = k
    return s, lat, first + k


@kernel
def nearest_lane(
    roads: Lanes, grid: Grid, x: float, y: float, z: float, cos: float, sin: float
) -> tuple[int, float, float]:
    """(lane, s, metres to the right of its centre) of the lane that suits a pose best; lane -1 far from every lane.

    Distance counts less the heading: of two lanes that cross or run side by side the one of the same direction wins.
    """
    cell = grid.frame[2]
    nx = np.int32(grid.frame[3])
    ny = np.int32(grid.frame[4])
    cx = np.int32(math.floor((x - grid.frame[0]) / cell))
    cy = np.int32(math.floor((y - grid.frame[1]) / cell))
    if cx < 0 or cy < 0 or cx >= nx or cy >= ny:
        return np.int32(-1), F(0.0), F(0.0)
    c = cy * nx + cx
    best = FAR
    found = np.int32(-1)
    for row in range(grid.first[c], grid.first[c + 1]):
        p = grid.point[row]
        dx = x - roads.point[p, r.R_X]
        dy = y - roads.point[p, r.R_Y]
        dz = z - roads.point[p, r.R_Z]
        cost = dx * dx + dy * dy + dz * dz
        if cost < best:
            cost += HEADING_WEIGHT * (F(1.0) - roads.point[p, r.R_COS] * cos - roads.point[p, r.R_SIN] * sin)
            if cost < best:
                best = cost
                found = p
    if found < 0:
        return np.int32(-1), F(0.0), F(0.0)
    lane = grid.lane[found]
    start = F(found - roads.lane_i[lane, r.LN_FIRST]) * roads.lane_f[lane, r.LN_SPACING]
    s, lat, _ = project(roads, lane, start, x, y)
    return lane, clamp_s(roads, lane, s), lat


@kernel
def clamp_s(roads: Lanes, lane: int, s: float) -> float:
    """s within the lane."""
    return min(max(s, F(0.0)), roads.lane_f[lane, r.LN_LENGTH])


@part
def draw_next(roads: Lanes, lane: int, k: int, tick: int, stream: int, long: bool) -> int:
    """A random lane that follows `lane` and leads on, -1 for none; straight on for a long vehicle where that is."""
    if lane < 0:
        return np.int32(-1)
    n = roads.lane_i[lane, r.LN_OPEN]
    if n <= 0:
        return np.int32(-1)
    pick = choice(k, tick, stream, n)
    if long:
        for _ in range(n):
            if roads.lane_i[roads.lane_i[lane, r.LN_NEXT + pick], r.LN_TURN] == 0:
                break
            pick = (pick + 1) % n
    return roads.lane_i[lane, r.LN_NEXT + pick]


@kernel
def draw_path(roads: Lanes, vf: F32, vi: I32, i: int, k: int, tick: int) -> None:
    """Draw all lanes after the present one anew."""
    long = vf[f.HALF_LENGTH, i] > LONG
    vi[f.V_NEXT1, i] = draw_next(roads, vi[f.V_LANE, i], k, tick, 64 * i + 1, long)
    draw_beyond(roads, vf, vi, i, k, tick)


@kernel
def draw_beyond(roads: Lanes, vf: F32, vi: I32, i: int, k: int, tick: int) -> None:
    """Draw the lanes after the next one anew."""
    long = vf[f.HALF_LENGTH, i] > LONG
    vi[f.V_NEXT2, i] = draw_next(roads, vi[f.V_NEXT1, i], k, tick, 64 * i + 2, long)
    vi[f.V_NEXT3, i] = draw_next(roads, vi[f.V_NEXT2, i], k, tick, 64 * i + 3, long)


@kernel
def draw_turn(roads: Lanes, lane: int, k: int, tick: int, stream: int) -> tuple[int, int]:
    """(neighbour lane, lane to take from its end) of a random turn; -1, -1 where it is one that `lane` leads to.

    Every turn is as likely: those that the lane itself leads to and those that only a neighbour leads to.
    """
    left = roads.lane_i[lane, r.LN_GOALS_LEFT]
    right = roads.lane_i[lane, r.LN_GOALS_RIGHT]
    own = roads.lane_i[lane, r.LN_OPEN]
    others = np.int32(0)
    for n in range(8):
        others += ((left >> n) & 1) + ((right >> n) & 1)
    pick = choice(k, tick, stream, own + others) - own
    for n in range(16):
        bits = left if n < 8 else right
        if (bits >> (n & 7)) & 1:
            if pick == 0:
                other = roads.lane_i[lane, r.LN_LEFT if n < 8 else r.LN_RIGHT]
                return other, roads.lane_i[other, r.LN_NEXT + (n & 7)]
            pick -= 1
    return np.int32(-1), np.int32(-1)


@kernel
def choose_goal(roads: Lanes, vf: F32, vi: I32, i: int, k: int, tick: int) -> None:
    """On a lane whose neighbour leads elsewhere: choose a turn, and with it the lane to be on in time."""
    vi[f.V_GOAL, i] = 0
    lane = vi[f.V_LANE, i]
    rest = roads.lane_f[lane, r.LN_LENGTH] - vf[f.S, i]
    if rest < GOAL_SIGHT or vf[f.HALF_LENGTH, i] > LONG:
        return
    other, onward = draw_turn(roads, lane, k, tick, 64 * i + 5)
    vi[f.V_GOAL, i] = other + 1 if other >= 0 else -1
    vi[f.V_GOAL_NEXT, i] = onward


@part
def has_goals(roads: Lanes, lane: int) -> bool:
    """A neighbour of the lane leads where it does not."""
    return roads.lane_i[lane, r.LN_GOALS_LEFT] | roads.lane_i[lane, r.LN_GOALS_RIGHT] != 0


@part
def set_lane_pose(roads: Lanes, vf: F32, i: int, lane: int, s: float, p: int, lat: float) -> None:
    """Write s, lat, heading, height and pitch for a vehicle on a lane."""
    vf[f.S, i] = s
    vf[f.LAT, i] = lat
    cos = roads.point[p, r.R_COS]
    sin = roads.point[p, r.R_SIN]
    vf[f.HEADING, i] = wrap(vf[f.YAW, i] - roads.point[p, r.R_YAW])
    spacing = roads.lane_f[lane, r.LN_SPACING]
    first = roads.lane_i[lane, r.LN_FIRST]
    along = s - F(p - first) * spacing
    q = p + np.int32(1) if p < first + roads.lane_i[lane, r.LN_COUNT] - 1 else p - np.int32(1)
    rise = (roads.point[q, r.R_Z] - roads.point[p, r.R_Z]) / (spacing if q > p else -spacing)
    vf[f.Z, i] = roads.point[p, r.R_Z] + rise * along
    vf[f.PITCH, i] = rise * (cos * vf[f.COS, i] + sin * vf[f.SIN, i])


@part
def follow_lane(roads: Lanes, vf: F32, vi: I32, i: int, k: int, tick: int) -> bool:
    """Bring s and lat of a lane-keeping vehicle up to its pose; True where its road has ended."""
    lane = vi[f.V_LANE, i]
    s, lat, p = project(roads, lane, vf[f.S, i] + vf[f.SPEED, i] * F(0.1), vf[f.X, i], vf[f.Y, i])
    length = roads.lane_f[lane, r.LN_LENGTH]
    entered = False
    for _ in range(3):
        if s < length:
            break
        following = vi[f.V_NEXT1, i]
        if following < 0:
            set_lane_pose(roads, vf, i, lane, length, p, lat)
            return True
        if roads.lane_i[following, r.LN_JUNCTION] < 0:
            vi[f.V_GRANT, i] = -1
        if vi[f.V_CHANGE_LANE, i] >= 0:
            vi[f.V_CHANGE_LANE, i] = -1
        vi[f.V_STOPPED, i] = 0
        vf[f.WAIT, i] = F(0.0)
        vi[f.V_GOAL, i] = 0
        entered = True
        lane = following
        vi[f.V_LANE, i] = lane
        vi[f.V_NEXT1, i] = vi[f.V_NEXT2, i]
        vi[f.V_NEXT2, i] = vi[f.V_NEXT3, i]
        long = vf[f.HALF_LENGTH, i] > LONG
        vi[f.V_NEXT3, i] = draw_next(roads, vi[f.V_NEXT2, i], k, tick, 64 * i + 4, long)
        s, lat, p = project(roads, lane, s - length, vf[f.X, i], vf[f.Y, i])
        length = roads.lane_f[lane, r.LN_LENGTH]
    set_lane_pose(roads, vf, i, lane, s, p, lat)
    if entered and has_goals(roads, lane):
        choose_goal(roads, vf, vi, i, k, tick)
    return False


@kernel
def find_lane(roads: Lanes, grid: Grid, vf: F32, vi: I32, i: int) -> None:
    """Find the lane of a vehicle that is free to go anywhere; keep the old one while it fits."""
    lane = vi[f.V_LANE, i]
    if lane >= 0:
        s, lat, p = project(roads, lane, vf[f.S, i], vf[f.X, i], vf[f.Y, i])
        cos = roads.point[p, r.R_COS] * vf[f.COS, i] + roads.point[p, r.R_SIN] * vf[f.SIN, i]
        inside = s >= F(0.0) and s <= roads.lane_f[lane, r.LN_LENGTH]
        if inside and abs(lat) < roads.point[p, r.R_HALF] and cos > F(0.3):
            set_lane_pose(roads, vf, i, lane, s, p, lat)
            return
    lane, s, lat = nearest_lane(roads, grid, vf[f.X, i], vf[f.Y, i], vf[f.Z, i], vf[f.COS, i], vf[f.SIN, i])
    if lane != vi[f.V_LANE, i]:
        vi[f.V_LANE, i] = lane
        vi[f.V_NEXT1, i] = -1
        vi[f.V_NEXT2, i] = -1
        vi[f.V_NEXT3, i] = -1
        if lane >= 0 and roads.lane_i[lane, r.LN_SUCCESSORS] == 1:
            vi[f.V_NEXT1, i] = roads.lane_i[lane, r.LN_NEXT]
    if lane >= 0:
        k = np.int32(s / roads.lane_f[lane, r.LN_SPACING] + F(0.5))
        p = roads.lane_i[lane, r.LN_FIRST] + min(k, roads.lane_i[lane, r.LN_COUNT] - np.int32(1))
        set_lane_pose(roads, vf, i, lane, s, p, lat)


@part
def path_point(roads: Lanes, vf: F32, vi: I32, i: int, distance: float) -> tuple[float, float, float, float, bool]:
    """(x, y, cos, sin, on) of the path `distance` ahead of the vehicle's s; on is False beyond the known lanes."""
    s = vf[f.S, i] + distance
    lane = vi[f.V_LANE, i]
    on = True
    for n in range(1, 4):
        length = roads.lane_f[lane, r.LN_LENGTH]
        if s <= length:
            break
        following = vi[f.V_NEXT1 + n - 1, i]
        if following < 0:
            break
        s -= length
        lane = following
    q = s * roads.lane_f[lane, r.LN_DENSITY]
    if q > F(roads.lane_i[lane, r.LN_COUNT] - 1):
        on = False
    k = min(np.int32(q), roads.lane_i[lane, r.LN_COUNT] - np.int32(2))
    p = roads.lane_i[lane, r.LN_FIRST] + k
    # beyond the end it runs straight on
    t = q - F(k)
    x = roads.point[p, r.R_X] + t * (roads.point[p + 1, r.R_X] - roads.point[p, r.R_X])
    y = roads.point[p, r.R_Y] + t * (roads.point[p + 1, r.R_Y] - roads.point[p, r.R_Y])
    return x, y, roads.point[p, r.R_COS], roads.point[p, r.R_SIN], on
