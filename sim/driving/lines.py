# Numba kernels over plain arrays: types are those of the arrays.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""The lines ahead on the path: lights and stop signs that hold the ego, the junction it comes to, its ways there."""

from __future__ import annotations

from sim.driving import path as p
from sim.driving.forecast import FAR
from sim.driving.jit import part
from sim.driving.profile import AT, GAP, LIGHT, PACE, STOP_SIGN, WHY
from sim.world import fields as f
from sim.world import roads as r
from sim.world.junctions import LIGHT_CONTROL, STOP_CONTROL

BEFORE_LINE = 0.6
"""Metres between the front bumper and a line that is stopped at."""
YELLOW = 2.7
"""m/s^2: a yellow light is obeyed by who can stop so."""
MOST_AHEAD, MOST_MINE = 40, 8
"""Constraints ahead, and connecting lanes of the path, that are kept."""


@part
def lines(lanes, path, half, speed, honoured_at, lights, ahead, count):
    """Add the stop lines that hold the ego; returns (constraints, u of the junction's entry ahead or FAR, u where that
    junction ends, whether light or sign hold the ego there, u where the junction that the ego is in ends).

    honoured_at: u of the line of a stop sign that has been honoured, FAR for none.
    """
    entry, leave, held, inside = FAR, FAR, False, -FAR
    n = p.BEHIND
    if p.junction_of(lanes, path, n) >= 0 or p.junction_of(lanes, path, n + int(half)) >= 0:
        n += int(half)
        while n < p.POINTS - 1 and p.junction_of(lanes, path, n) >= 0:
            n += 1
        inside = n - p.BEHIND
    for m in range(p.BEHIND + 1, p.POINTS):
        lane = int(path[m, p.LANE])
        if lane == int(path[m - 1, p.LANE]):
            continue
        u = float(m - p.BEHIND)
        if u < half - 1.0 or lanes.lane_i[lane, r.LN_JUNCTION] < 0:
            continue
        fresh = p.junction_of(lanes, path, m - 1) < 0
        control, light = lanes.lane_i[lane, r.LN_CONTROL], lanes.lane_i[lane, r.LN_LIGHT]
        stop = False
        rest = max(u - half, 0.05)
        why = LIGHT
        if control == LIGHT_CONTROL and light >= 0 and u > half:
            stop = lights[light] == f.RED
            if lights[light] == f.YELLOW:
                stop = speed * speed / (2.0 * rest) < YELLOW
        elif control == STOP_CONTROL and abs(u - honoured_at) > 1.5 and u > half:
            stop, why = True, STOP_SIGN
        if stop and count < MOST_AHEAD:
            ahead[count, AT], ahead[count, PACE], ahead[count, GAP], ahead[count, WHY] = u - BEFORE_LINE, 0.0, 0.3, why
            count += 1
        if fresh and entry == FAR and u > half:
            entry, held = u, stop
            k = m
            while k < p.POINTS - 1 and p.junction_of(lanes, path, k) >= 0:
                k += 1
            leave = k - p.BEHIND
    return count, entry, leave, held, inside


@part
def own_ways(lanes, path, until, mine):
    """Write the connecting lanes of the path from the ego's rear to u = `until`; returns how many."""
    count, last = 0, -1
    for m in range(p.BEHIND - 3, min(int(until) + p.BEHIND + 1, p.POINTS)):
        lane = int(path[m, p.LANE])
        if lane != last and lanes.lane_i[lane, r.LN_JUNCTION] >= 0 and count < MOST_MINE:
            mine[count] = lane
            count += 1
        last = lane
    return count
