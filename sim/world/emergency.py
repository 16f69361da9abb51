# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Emergency vehicles on duty in the built-in traffic, and drivers who make way for them.

They want 1.25 times the speed limit, take curves that much faster, and pass red lights and stop signs as soon as the
junction is free for them. Drivers ahead of one on its lane keep to the right and crawl; it passes, up to .7 m over the
edge of its lane, whoever leaves it that much room. Egos are passed on the same terms.
"""

from __future__ import annotations

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.lanes import F32, I32
from sim.world.maths import F, kernel
from sim.world.roads import Lanes
from sim.world.scratch import AFTER, HEAD, Scratch

HURRY = F(1.25)
"""Times the limit that they want to drive."""
WARNED = F(40.0)
"""Metres ahead of one within which drivers make way."""
CRAWL = F(2.0)
"""m/s of who makes way."""
PASSING = F(5.0)
"""m/s at which somebody on the same lane is passed."""
OVER = F(0.7)
"""Metres over the edge of its lane that one of them drives to pass."""
ASIDE = F(0.3)
"""Metres over the other edge that drivers go to make way."""
CLEARANCE = F(0.3)
MARGIN = F(2.0)
"""Metres between bumpers before the way back to the middle of the lane."""


@kernel
def make_way(roads: Lanes, t: Scratch, vf: F32, vi: I32) -> None:
    """Write SHIFT, which is 0, where drivers make way and where emergency vehicles pass. The lists are filled."""
    for i in range(vf.shape[1]):
        if vi[f.V_MODE, i] != f.TRAFFIC or (vi[f.V_FLAGS, i] & f.EMERGENCY) == 0:
            continue
        lane = vi[f.V_LANE, i]
        before = vf[f.S, i]
        for k in range(2):
            if lane < 0 or roads.lane_i[lane, r.LN_JUNCTION] >= 0:
                break
            half = roads.point[roads.lane_i[lane, r.LN_FIRST], r.R_HALF]
            j = t.heads[HEAD, lane]
            while j >= 0:
                ahead = vf[f.S, j] - before
                size = vf[f.HALF_LENGTH, j] + vf[f.HALF_LENGTH, i] + MARGIN
                if j != i and ahead > -size and ahead < WARNED:
                    if vi[f.V_MODE, j] == f.TRAFFIC and (vi[f.V_FLAGS, j] & f.EMERGENCY) == 0:
                        vf[f.SHIFT, j] = max(half - vf[f.HALF_WIDTH, j] + ASIDE, F(0.0))
                    if k == 0 and passable(roads, vf, vi, i, j, lane):
                        room = vf[f.LAT, j] - vf[f.HALF_WIDTH, j] - CLEARANCE - vf[f.HALF_WIDTH, i]
                        vf[f.SHIFT, i] = min(vf[f.SHIFT, i], room)
                j = t.links[AFTER, j]
            before -= roads.lane_f[lane, r.LN_LENGTH]
            lane = vi[f.V_NEXT1, i]


@kernel
def passable(roads: Lanes, vf: F32, vi: I32, i: int, j: int, lane: int) -> bool:
    """Emergency vehicle i has room to the left of slow vehicle j on its lane."""
    if vf[f.SPEED, j] > PASSING or vi[f.V_CHANGE_LANE, i] >= 0:
        return False
    half = roads.point[roads.lane_i[lane, r.LN_FIRST], r.R_HALF]
    return half + OVER + vf[f.LAT, j] - vf[f.HALF_WIDTH, j] > F(2.0) * vf[f.HALF_WIDTH, i] + CLEARANCE


@kernel
def beside(roads: Lanes, vf: F32, vi: I32, i: int, j: int, gap: float) -> bool:
    """Emergency vehicle i need not stop behind j, `gap` metres ahead: it has pulled out, or still has way to do so."""
    lane = vi[f.V_LANE, i]
    if vi[f.V_LANE, j] != lane or not passable(roads, vf, vi, i, j, lane):
        return False
    free = vf[f.LAT, j] - vf[f.HALF_WIDTH, j] - vf[f.LAT, i] - vf[f.HALF_WIDTH, i]
    return free > F(0.1) or gap > F(5.0)


@kernel
def leader_past(
    roads: Lanes, t: Scratch, vf: F32, vi: I32, i: int, leader: int, gap: float
) -> tuple[int, float, float]:
    """(vehicle, free metres, m/s) that bounds emergency vehicle i, who drives past those that make way."""
    limit = F(1e6)
    if vf[f.SHIFT, i] < F(-0.1) or abs(vf[f.LAT, i]) > F(0.6):
        limit = PASSING
    while leader >= 0 and beside(roads, vf, vi, i, leader, gap):
        limit = PASSING
        leader = t.links[AFTER, leader]
        if leader < 0:
            return np.int32(-1), F(1e6), limit
        gap = vf[f.S, leader] - vf[f.HALF_LENGTH, leader] - vf[f.S, i] - vf[f.HALF_LENGTH, i]
    return leader, gap, limit
