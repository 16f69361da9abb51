# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Events of an ego that last: a scenario to be passed in its time, an emergency vehicle to be let past.

Both follow CARLA's leaderboard 2.0. A scenario counts as not passed after its limit (240 s there), is over then and the
drive goes on; while it lasts, driving on the other side of the road is no fault, as an obstacle may ask for it. An
emergency vehicle has been let past once it is ahead of the ego. Who has been in its way for 15 s has failed to yield,
once for each such vehicle: in its way is an ego with the vehicle right behind it, on its lane or one that leads there,
within 30 m, with nobody between, that keeps to the middle of the lane (nearer than .4 of half its width) and does not
stand at a red light.
"""

from __future__ import annotations

from sim.world import fields as f
from sim.world import roads as r
from sim.world.lanes import F32, I32
from sim.world.maths import F, kernel, part
from sim.world.roads import Lanes

PATIENCE = F(15.0)
"""Seconds that an ego may be in the way of an emergency vehicle."""
BEHIND = F(30.0)
GONE = F(60.0)
"""Metres at which an emergency vehicle that was behind has been shaken off."""
MIDDLE = F(0.4)
ASIDE = F(0.7)
"""Metres off its lane's middle at which a vehicle between the two has made way itself."""


@part
def play_scenario(ef: F32, ei: I32, e: int, dt: float) -> None:
    """The clock of an ego's scenario (see World.set_scenario)."""
    if ei[f.E_SCENARIO, e] == 0 or ef[f.E_ALONG, e] < ef[f.E_SCENARIO_BEGIN, e]:
        return
    ei[f.E_SCENARIO, e] = 2
    ef[f.E_SCENARIO_TIME, e] += dt
    if ef[f.E_ALONG, e] >= ef[f.E_SCENARIO_END, e]:
        ei[f.E_SCENARIOS_PASSED, e] += 1
        ei[f.E_SCENARIO, e] = 0
    elif ef[f.E_SCENARIO_TIME, e] > ef[f.E_SCENARIO_LIMIT, e]:
        ei[f.E_SCENARIO_TIMEOUT, e] += 1
        ei[f.E_SCENARIO, e] = 0


@kernel
def is_behind(vf: F32, vi: I32, e: int, j: int) -> bool:
    """Vehicle j is right behind ego e: on its lane or one that leads there, within BEHIND metres, nobody between who
    has not made way.
    """
    lane = vi[f.V_LANE, e]
    theirs = vi[f.V_LANE, j]
    if lane < 0 or theirs < 0:
        return False
    dx = vf[f.X, j] - vf[f.X, e]
    dy = vf[f.Y, j] - vf[f.Y, e]
    if dx * dx + dy * dy > BEHIND * BEHIND or vf[f.COS, j] * vf[f.COS, e] + vf[f.SIN, j] * vf[f.SIN, e] < F(0.0):
        return False
    if theirs == lane:
        if vf[f.S, j] >= vf[f.S, e]:
            return False
    elif vi[f.V_NEXT1, j] != lane and vi[f.V_NEXT2, j] != lane:
        return False
    for k in range(vf.shape[1]):
        if k in (e, j) or vi[f.V_MODE, k] == f.ABSENT or abs(vf[f.LAT, k]) > ASIDE:
            continue
        if vi[f.V_LANE, k] == lane and vf[f.S, k] < vf[f.S, e] and (theirs != lane or vf[f.S, k] > vf[f.S, j]):
            return False
        if theirs != lane and vi[f.V_LANE, k] == theirs and vf[f.S, k] > vf[f.S, j]:
            return False
    return True


@kernel
def watch_emergency(roads: Lanes, vf: F32, vi: I32, ef: F32, ei: I32, e: int, dt: float) -> None:
    """Follow the encounter with an emergency vehicle, or begin one."""
    known = abs(ei[f.E_EMERGENCY, e]) - 1
    if known >= 0:
        dx = vf[f.X, known] - vf[f.X, e]
        dy = vf[f.Y, known] - vf[f.Y, e]
        ahead = dx * vf[f.COS, e] + dy * vf[f.SIN, e]
        on_duty = vi[f.V_MODE, known] != f.ABSENT and (vi[f.V_FLAGS, known] & f.EMERGENCY) != 0
        if not on_duty or ahead > F(0.0) or dx * dx + dy * dy > GONE * GONE:
            ei[f.E_EMERGENCY, e] = 0
            known = -1
    if known < 0:
        for j in range(vf.shape[1]):
            duty = (vi[f.V_FLAGS, j] & f.EMERGENCY) != 0
            if duty and j != e and vi[f.V_MODE, j] != f.ABSENT and is_behind(vf, vi, e, j):
                ei[f.E_EMERGENCY, e] = j + 1
                ef[f.E_HOLDING_UP, e] = F(0.0)
                return
        return
    if ei[f.E_EMERGENCY, e] < 0 or not is_behind(vf, vi, e, known):
        return
    half = roads.point[roads.lane_i[vi[f.V_LANE, e], r.LN_FIRST], r.R_HALF]
    held = ei[f.E_LIGHT, e] == f.RED and vf[f.SPEED, e] < F(0.1)
    if held or abs(vf[f.LAT, e]) > MIDDLE * half:
        return
    ef[f.E_HOLDING_UP, e] += dt
    if ef[f.E_HOLDING_UP, e] > PATIENCE:
        ei[f.E_YIELD_EMERGENCY, e] += 1
        ei[f.E_EMERGENCY, e] = -known - 1
