# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Lane changes by MOBIL (Kesting, Treiber, Helbing 2007), those for a turn, and those that a driver must make.

Who has chosen a turn that only the neighbour lane leads to (lanes.choose_goal) changes as soon as that is safe, and
takes another turn where it was not in time. Near the end of a lane nobody leaves the one that leads to his turn.
"""

from __future__ import annotations

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.lanes import F32, I32, draw_beyond, draw_path, project, set_lane_pose
from sim.world.maths import F, kernel
from sim.world.roads import Lanes
from sim.world.scratch import AFTER, HEAD, Scratch
from sim.world.traffic import NO_GAP, idm, leader_ahead, wished_speed

SAFE_BRAKING = F(-3.0)
"""m/s^2 that a change may cost the new follower."""
GAIN = F(0.3)
"""m/s^2 that a change must bring."""
PAUSE = F(4.0)
"""Seconds between two changes."""
TURN_SIGHT = F(80.0)
"""Metres before the end of a lane within which drivers keep to the lane for their turn."""
LAST_CHANCE = F(12.0)
"""Metres before the end of a lane from which it is too late to change for a turn."""
END_SIGHT = F(150.0)
"""Metres before the end of a lane at which its drivers want to leave it."""


@kernel
def follow(vf: F32, i: int, wish: float, gap: float, leader: float) -> float:
    """IDM with i's own parameters."""
    return idm(vf[f.SPEED, i], wish, gap, leader, vf[f.URGE, i], vf[f.COMFORT, i], vf[f.HEADWAY, i], vf[f.MIN_GAP, i])


@kernel
def neighbours(t: Scratch, vf: F32, lane: int, s: float, i: int) -> tuple[int, int]:
    """(vehicle behind, vehicle ahead) of place s on a lane, -1 for none."""
    behind = np.int32(-1)
    j = t.heads[HEAD, lane]
    while j >= 0 and vf[f.S, j] <= s:
        if j != i:
            behind = j
        j = t.links[AFTER, j]
    return behind, j


@kernel
def advantage(roads: Lanes, t: Scratch, vf: F32, vi: I32, i: int, target: int, wish: float, must: bool) -> float:
    """MOBIL's gain of changing to lane `target`, m/s^2; below GAIN where it is not safe or not worth it."""
    no = F(-100.0)
    s, _lat, _p = project(roads, target, vf[f.S, i], vf[f.X, i], vf[f.Y, i])
    length = roads.lane_f[target, r.LN_LENGTH]
    half = vf[f.HALF_LENGTH, i]
    if s < half + F(1.0) or s > length - half - F(3.0):
        return no
    if roads.lane_i[target, r.LN_ENDS] == 1 and roads.lane_i[vi[f.V_LANE, i], r.LN_ENDS] == 0:
        return no
    behind, ahead = neighbours(t, vf, target, s, i)
    space = F(0.5) if must else F(1.5)
    mine = follow(vf, i, wish, NO_GAP, F(0.0))
    if ahead >= 0:
        gap = vf[f.S, ahead] - vf[f.HALF_LENGTH, ahead] - s - half
        if gap < space:
            return no
        mine = follow(vf, i, wish, gap, vf[f.SPEED, ahead])
        if mine < (F(-5.0) if must else SAFE_BRAKING):
            return no
    elif length - s < F(30.0):
        # what comes after the end of the target lane counts as well
        for n in range(roads.lane_i[target, r.LN_SUCCESSORS]):
            j = t.heads[HEAD, roads.lane_i[target, r.LN_NEXT + n]]
            if j >= 0 and length - s + vf[f.S, j] - vf[f.HALF_LENGTH, j] - half < F(2.0):
                return no
    cost = F(0.0)
    if behind < 0 and s < F(30.0):
        for n in range(roads.lane_i[target, r.LN_PREDECESSORS]):
            source = roads.lane_i[target, r.LN_BEFORE + n]
            j = t.heads[HEAD, source]
            while j >= 0 and t.links[AFTER, j] >= 0:
                j = t.links[AFTER, j]
            if j >= 0:
                behind = j
                gap = s + roads.lane_f[source, r.LN_LENGTH] - vf[f.S, j] - vf[f.HALF_LENGTH, j] - half
                if gap < space or follow(vf, j, vf[f.SPEED, j] + F(1.0), gap, vf[f.SPEED, i]) < SAFE_BRAKING:
                    return no
    elif behind >= 0:
        gap = s - half - vf[f.S, behind] - vf[f.HALF_LENGTH, behind]
        if gap < space:
            return no
        after = follow(vf, behind, vf[f.SPEED, behind] + F(1.0), gap, vf[f.SPEED, i])
        # who must change accepts that the follower brakes harder, most of all where both are slow
        if after < (F(-5.0) if must else SAFE_BRAKING):
            return no
        cost = max(-after, F(0.0))
    if must:
        return F(10.0)
    leader, gap = leader_ahead(roads, t, vf, vi, i, F(80.0))
    now = follow(vf, i, wish, gap, vf[f.SPEED, leader]) if leader >= 0 else follow(vf, i, wish, NO_GAP, F(0.0))
    return mine - now - vf[f.POLITE, i] * cost


@kernel
def consider(roads: Lanes, t: Scratch, vf: F32, vi: I32, i: int, k: int, tick: int) -> bool:
    """Change lanes if that is possible and pays; True where vehicle i changed. The lists still show the old lane."""
    lane = vi[f.V_LANE, i]
    left = roads.lane_i[lane, r.LN_LEFT]
    right = roads.lane_i[lane, r.LN_RIGHT]
    rest = roads.lane_f[lane, r.LN_LENGTH] - vf[f.S, i]
    must = roads.lane_i[lane, r.LN_ENDS] == 1 and rest < END_SIGHT
    goal = vi[f.V_GOAL, i] - 1
    wanted = goal >= 0 and not must and rest > LAST_CHANCE
    if roads.lane_i[lane, r.LN_JUNCTION] >= 0 or (
        not must and ((rest < F(25.0) and not wanted) or vf[f.SPEED, i] < F(2.0))
    ):
        return False
    if vi[f.V_GOAL, i] < 0 and not must and rest < TURN_SIGHT:
        return False
    if vf[f.SPEED, i] < F(0.3) and rest > F(12.0):
        return False
    wish = wished_speed(roads, vf, vi, i)
    best = F(-50.0) if wanted else GAIN
    target = np.int32(-1)
    for side in range(2):
        other = left if side == 0 else right
        if other < 0 or (wanted and other != goal):
            continue
        # to leave a lane that ends helps only where the other goes on
        gain = advantage(roads, t, vf, vi, i, other, wish, must and roads.lane_i[other, r.LN_ENDS] == 0)
        if gain > best:
            best = gain
            target = other
    if target < 0:
        return False
    s, lat, p = project(roads, target, vf[f.S, i], vf[f.X, i], vf[f.Y, i])
    vi[f.V_CHANGE_LANE, i] = lane
    vi[f.V_LANE, i] = target
    set_lane_pose(roads, vf, i, target, s, p, lat)
    if wanted:
        vi[f.V_NEXT1, i] = vi[f.V_GOAL_NEXT, i]
        vi[f.V_GOAL, i] = -1
        draw_beyond(roads, vf, vi, i, k, tick)
    else:
        draw_path(roads, vf, vi, i, k, tick)
        vi[f.V_GOAL, i] = 0
    vi[f.V_GRANT, i] = -1
    vf[f.CHANGE_TIMER, i] = PAUSE
    return True
