# Numba kernels over plain arrays: types are those of the arrays.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""The ego's path as the expert sees it: points 1 m apart along the route, from some metres behind the ego on.

A path is [POINTS, 7]: x, y, cos, sin, half width of the lane, speed bound (m/s), lane. Its place u is measured from the
ego's foot on the route: point n lies at u = n - BEHIND.
"""

from __future__ import annotations

import math

from sim.driving.jit import entry, part
from sim.driving.lanes import pose_at, project
from sim.world import roads as r

X, Y, COS, SIN, HALF, BOUND, LANE = range(7)
BEHIND = 40
AHEAD = 190
POINTS = BEHIND + AHEAD + 1
SLOW_DOWN = 2.4
"""m/s^2 of slowing down for a bend or a lower limit."""
FASTEST_BEND = 1e-4


@part
def trace(route, route_lane, count, along, side, share_of_limit, path):
    """Write the path for a place on a route [R, 6] of `count` points; straight on where it ends.

    side: m/s^2 accepted across. share_of_limit: of the speed limit that is driven.
    """
    for n in range(POINTS):
        at = along + n - BEHIND
        k = min(max(math.floor(at), 0), count - 2)
        t = at - k
        ux, uy = route[k + 1, 0] - route[k, 0], route[k + 1, 1] - route[k, 1]
        size = max(math.hypot(ux, uy), 1e-3)
        path[n, X] = route[k, 0] + t * ux
        path[n, Y] = route[k, 1] + t * uy
        path[n, COS], path[n, SIN] = ux / size, uy / size
        m = min(k + 1, count - 1) if t > 0.5 else k
        path[n, HALF] = route[m, 3]
        path[n, BOUND] = share_of_limit * route[m, 5]
        path[n, LANE] = route_lane[m]
    bend(path, side)


@part
def bend(path, side):
    """Lower the bounds to what bends and the way to slow down for them allow."""
    for n in range(2, POINTS - 2):
        turn = path[n - 2, COS] * path[n + 2, SIN] - path[n - 2, SIN] * path[n + 2, COS]
        curvature = abs(turn) / 4.0
        if curvature > FASTEST_BEND:
            path[n, BOUND] = min(path[n, BOUND], math.sqrt(side / curvature))
    for n in range(POINTS - 2, -1, -1):
        path[n, BOUND] = min(path[n, BOUND], math.sqrt(path[n + 1, BOUND] ** 2 + 2.0 * SLOW_DOWN))


@part
def shift(path, along, begin, end, aside, ramp):
    """Move the path `aside` m to the right between places `begin` and `end` of the route, over ramps of `ramp` m."""
    for n in range(POINTS):
        at = along + n - BEHIND
        if begin - ramp < at < end + ramp:
            share = 1.0
            if at < begin:
                share = (at - begin + ramp) / ramp
            elif at > end:
                share = (end + ramp - at) / ramp
            share = share * share * (3.0 - 2.0 * share)
            path[n, X] -= aside * share * path[n, SIN]
            path[n, Y] += aside * share * path[n, COS]
    for n in range(1, POINTS - 1):
        ux, uy = path[n + 1, X] - path[n - 1, X], path[n + 1, Y] - path[n - 1, Y]
        size = math.hypot(ux, uy)
        if size > 1e-3:
            path[n, COS], path[n, SIN] = ux / size, uy / size


@part
def nearest_point(path, x, y, guess):
    """Index of the path's point nearest to a place; a search downhill from `guess`, over all points where it is -1."""
    best = guess
    if guess < 0:
        best, least = 0, 1e12
        for n in range(0, POINTS, 4):
            d = (path[n, X] - x) ** 2 + (path[n, Y] - y) ** 2
            if d < least:
                best, least = n, d
    least = (path[best, X] - x) ** 2 + (path[best, Y] - y) ** 2
    while best + 1 < POINTS:
        d = (path[best + 1, X] - x) ** 2 + (path[best + 1, Y] - y) ** 2
        if d >= least:
            break
        best, least = best + 1, d
    while best > 0:
        d = (path[best - 1, X] - x) ** 2 + (path[best - 1, Y] - y) ** 2
        if d >= least:
            break
        best, least = best - 1, d
    return best


@part
def occupied(path, n, x, y, cos, sin, half_length, half_width, strip):
    """(from, to) in u of the stretch of the path, `strip` metres to each side, that a box covers; to < from for none.

    n: the path's point nearest to the box, where the path is taken as straight. The box is clipped to the strip.
    """
    c = cos * path[n, COS] + sin * path[n, SIN]
    s = sin * path[n, COS] - cos * path[n, SIN]
    dx, dy = x - path[n, X], y - path[n, Y]
    a = dx * path[n, COS] + dy * path[n, SIN]
    b = dy * path[n, COS] - dx * path[n, SIN]
    low, high = 1e9, -1e9
    if abs(b) > strip + half_length * abs(s) + half_width * abs(c):
        return low, high
    for edge in range(4):
        # corners of the box in turn
        la = half_length if edge in (0, 3) else -half_length
        wa = half_width if edge in (0, 1) else -half_width
        lb = half_length if edge in (2, 3) else -half_length
        wb = half_width if edge in (0, 3) else -half_width
        pa, pb = a + la * c - wa * s, b + la * s + wa * c
        qa, qb = a + lb * c - wb * s, b + lb * s + wb * c
        t0, t1 = 0.0, 1.0
        d = qb - pb
        if abs(d) < 1e-9:
            if abs(pb) > strip:
                continue
        else:
            ta, tb = (-strip - pb) / d, (strip - pb) / d
            t0, t1 = max(t0, min(ta, tb)), min(t1, max(ta, tb))
            if t0 > t1:
                continue
        first, last = pa + t0 * (qa - pa), pa + t1 * (qa - pa)
        low, high = min(low, min(first, last)), max(high, max(first, last))
    u = n - BEHIND
    return low + u, high + u


@part
def junction_of(lanes, path, n):
    """Junction of the path's point, -1 outside."""
    return lanes.lane_i[int(path[n, LANE]), r.LN_JUNCTION]


@part
def smooth_change(lanes, route, route_lane, count, at, seconds):
    """Stretch the lane change at point `at` of a route [R, 6] to what takes `seconds` at the speed limit."""
    before, after = route_lane[at - 1], route_lane[at]
    begin = at
    while begin > 0 and route_lane[begin - 1] == before:
        begin -= 1
    end = at
    while end + 1 < count and lanes.lane_i[route_lane[end + 1], r.LN_JUNCTION] < 0 and route_lane[end + 1] == after:
        end += 1
    want = max(seconds * route[at, 5], 30.0)
    first, last = max(at - want / 2, begin + 1.0), min(at + want / 2, end - 1.0)
    # what is missing on one side is taken on the other
    last = min(max(last, first + want), end - 1.0)
    first = max(min(first, last - want), begin + 1.0)
    if last - first < 20.0:
        return
    for n in range(int(first), int(last) + 1):
        share = min(max((n - first) / (last - first), 0.0), 1.0)
        share = share * share * (3.0 - 2.0 * share)
        x, y = float(route[n, 0]), float(route[n, 1])
        s0, _, _ = project(lanes, before, 1e-3 + lanes.lane_f[before, r.LN_LENGTH] * 0.5, x, y)
        s1, _, _ = project(lanes, after, 1e-3 + lanes.lane_f[after, r.LN_LENGTH] * 0.5, x, y)
        x0, y0, _, _ = pose_at(lanes, before, s0, 0.0)
        x1, y1, _, _ = pose_at(lanes, after, s1, 0.0)
        route[n, 0] = x0 + share * (x1 - x0)
        route[n, 1] = y0 + share * (y1 - y0)


@entry
def smooth_changes(lanes, route, route_lane, count, seconds):
    """Stretch all lane changes of a route [R, 6] in place."""
    for at in range(1, count):
        before, after = route_lane[at - 1], route_lane[at]
        if before == after:
            continue
        follows = False
        for k in range(lanes.lane_i[before, r.LN_SUCCESSORS]):
            follows = follows or lanes.lane_i[before, r.LN_NEXT + k] == after
        if not follows and lanes.lane_i[before, r.LN_JUNCTION] < 0 and lanes.lane_i[after, r.LN_JUNCTION] < 0:
            smooth_change(lanes, route, route_lane, count, at, seconds)
