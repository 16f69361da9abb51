# Numba kernels over plain arrays: types are those of the arrays.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Kernels that ask the packed lane tables (sim.world.roads): which lane is here, what follows, where is s."""

from __future__ import annotations

import math

from sim.driving.jit import part
from sim.world import roads as r

ANGLED = 8.0
"""m^2 that a lane at right angles is put farther away when a pose looks for its lane."""
LEVEL = 3.0
"""Metres of height from which a lane is another level."""


@part
def project(lanes, lane, s, x, y):
    """(s, metres to the right of the centre, index of the nearest point) of a place beside a lane, searched from s."""
    first, last = lanes.lane_i[lane, r.LN_FIRST], lanes.lane_i[lane, r.LN_COUNT] - 1
    spacing = lanes.lane_f[lane, r.LN_SPACING]
    along, lat, k, before = 0.0, 0.0, 0, -1
    for _ in range(40):
        k = min(max(int(s / spacing + 0.5), 0), last)
        p = first + k
        dx, dy = x - lanes.point[p, r.R_X], y - lanes.point[p, r.R_Y]
        cos, sin = lanes.point[p, r.R_COS], lanes.point[p, r.R_SIN]
        along, lat = dx * cos + dy * sin, dy * cos - dx * sin
        s = k * spacing + along
        if abs(along) <= 0.6 * spacing or k == before or (along > 0.0 and k == last) or (along < 0.0 and k == 0):
            break
        before = k
    return s, lat, first + k


@part
def nearest(lanes, grid, x, y, z, cos, sin):
    """(lane, s, metres to the right) of the lane that suits a pose best, lane -1 far from all."""
    cell = grid.frame[2]
    nx, ny = int(grid.frame[3]), int(grid.frame[4])
    cx, cy = math.floor((x - grid.frame[0]) / cell), math.floor((y - grid.frame[1]) / cell)
    if cx < 0 or cy < 0 or cx >= nx or cy >= ny:
        return -1, 0.0, 0.0
    best, found = 1e9, -1
    for row in range(grid.first[cy * nx + cx], grid.first[cy * nx + cx + 1]):
        p = grid.point[row]
        dx, dy = x - lanes.point[p, r.R_X], y - lanes.point[p, r.R_Y]
        cost = dx * dx + dy * dy
        if cost < best and abs(z - lanes.point[p, r.R_Z]) < LEVEL:
            cost += ANGLED * (1.0 - lanes.point[p, r.R_COS] * cos - lanes.point[p, r.R_SIN] * sin)
            if cost < best:
                best, found = cost, p
    if found < 0:
        return -1, 0.0, 0.0
    lane = grid.lane[found]
    s, lat, _ = project(lanes, lane, (found - lanes.lane_i[lane, r.LN_FIRST]) * lanes.lane_f[lane, r.LN_SPACING], x, y)
    return lane, min(max(s, 0.0), lanes.lane_f[lane, r.LN_LENGTH]), lat


@part
def paved(lanes, grid, x, y, z, room):
    """Whether a place lies on a driving lane of any direction, `room` metres inside its edge."""
    cell = grid.frame[2]
    nx, ny = int(grid.frame[3]), int(grid.frame[4])
    cx, cy = math.floor((x - grid.frame[0]) / cell), math.floor((y - grid.frame[1]) / cell)
    if cx < 0 or cy < 0 or cx >= nx or cy >= ny:
        return False
    for row in range(grid.first[cy * nx + cx], grid.first[cy * nx + cx + 1]):
        p = grid.point[row]
        dx, dy = x - lanes.point[p, r.R_X], y - lanes.point[p, r.R_Y]
        cos, sin = lanes.point[p, r.R_COS], lanes.point[p, r.R_SIN]
        if abs(dx * cos + dy * sin) < 0.75 * lanes.lane_f[grid.lane[p], r.LN_SPACING] and (
            abs(dy * cos - dx * sin) < lanes.point[p, r.R_HALF] - room and abs(z - lanes.point[p, r.R_Z]) < LEVEL
        ):
            return True
    return False


@part
def pose_at(lanes, lane, s, lat):
    """(x, y, cos, sin) at s on a lane, `lat` metres to the right of its centre; straight on beyond its ends."""
    spacing = lanes.lane_f[lane, r.LN_SPACING]
    k = min(max(int(s / spacing), 0), lanes.lane_i[lane, r.LN_COUNT] - 2)
    p = lanes.lane_i[lane, r.LN_FIRST] + k
    t = s / spacing - k
    cos = lanes.point[p, r.R_COS] + min(max(t, 0.0), 1.0) * (lanes.point[p + 1, r.R_COS] - lanes.point[p, r.R_COS])
    sin = lanes.point[p, r.R_SIN] + min(max(t, 0.0), 1.0) * (lanes.point[p + 1, r.R_SIN] - lanes.point[p, r.R_SIN])
    size = max(math.hypot(cos, sin), 1e-6)
    cos, sin = cos / size, sin / size
    x = lanes.point[p, r.R_X] + t * (lanes.point[p + 1, r.R_X] - lanes.point[p, r.R_X]) - lat * sin
    y = lanes.point[p, r.R_Y] + t * (lanes.point[p + 1, r.R_Y] - lanes.point[p, r.R_Y]) + lat * cos
    return x, y, cos, sin


@part
def bound_at(lanes, lane, s):
    """m/s at which the lane may be passed at s."""
    k = min(max(int(s / lanes.lane_f[lane, r.LN_SPACING] + 0.5), 0), lanes.lane_i[lane, r.LN_COUNT] - 1)
    return float(lanes.point[lanes.lane_i[lane, r.LN_FIRST] + k, r.R_BOUND])


@part
def straight_on(lanes, lane):
    """The lane that follows: the one straight on where there are several, -1 for none."""
    n = lanes.lane_i[lane, r.LN_SUCCESSORS]
    for k in range(n):
        following = lanes.lane_i[lane, r.LN_NEXT + k]
        if lanes.lane_i[following, r.LN_TURN] == 0:
            return following
    return lanes.lane_i[lane, r.LN_NEXT] if n > 0 else -1
