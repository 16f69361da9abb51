# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Traffic lights: each junction's groups take turns, green, yellow, all red."""

from __future__ import annotations

from sim.world import fields as f
from sim.world.lanes import F32, I32
from sim.world.maths import F, kernel
from sim.world.random import uniform
from sim.world.roads import Lights

GREEN_TIME, YELLOW_TIME, RED_TIME = F(10.0), F(3.0), F(2.0)


@kernel
def show(lights: Lights, ji: I32, li: I32, junction: int) -> None:
    """Write the states of a junction's lights from its stage."""
    for row in range(lights.of_junction[junction], lights.of_junction[junction + 1]):
        light = lights.order[row]
        state = f.RED
        if lights.group[light] == ji[f.J_GROUP, junction]:
            if ji[f.J_STAGE, junction] == 0:
                state = f.GREEN
            elif ji[f.J_STAGE, junction] == 1:
                state = f.YELLOW
        li[f.L_STATE, light] = state


@kernel
def stage_time(lights: Lights, ji: I32, lf: F32, junction: int) -> float:
    """Seconds of a junction's present stage: the longest that a light of the group has."""
    longest = F(0.1)
    for row in range(lights.of_junction[junction], lights.of_junction[junction + 1]):
        light = lights.order[row]
        if lights.group[light] == ji[f.J_GROUP, junction]:
            longest = max(longest, lf[ji[f.J_STAGE, junction], light])
    return longest


@kernel
def step_signals(lights: Lights, jf: F32, ji: I32, lf: F32, li: I32, dt: float) -> None:
    """Advance all cycles of a world. A state set from outside lasts until the junction's stage changes."""
    for j in range(len(lights.groups)):
        if lights.groups[j] == 0 or ji[f.J_FROZEN, j] != 0:
            continue
        jf[f.J_ELAPSED, j] += dt
        if jf[f.J_ELAPSED, j] < jf[f.J_STAGE_TIME, j]:
            continue
        jf[f.J_ELAPSED, j] = F(0.0)
        ji[f.J_STAGE, j] += 1
        if ji[f.J_STAGE, j] == 3:
            ji[f.J_STAGE, j] = 0
            ji[f.J_GROUP, j] = (ji[f.J_GROUP, j] + 1) % lights.groups[j]
        jf[f.J_STAGE_TIME, j] = stage_time(lights, ji, lf, j)
        show(lights, ji, li, j)


@kernel
def reset_signals(lights: Lights, jf: F32, ji: I32, lf: F32, li: I32, k: int) -> None:
    """Default times; every junction somewhere in its cycle."""
    for light in range(li.shape[1]):
        lf[f.L_GREEN, light] = GREEN_TIME
        lf[f.L_YELLOW, light] = YELLOW_TIME
        lf[f.L_RED, light] = RED_TIME
        li[f.L_STATE, light] = f.RED
    for j in range(len(lights.groups)):
        jf[f.J_ELAPSED, j] = F(0.0)
        ji[f.J_GROUP, j] = 0
        ji[f.J_STAGE, j] = 0
        ji[f.J_FROZEN, j] = 0
        if lights.groups[j] > 0:
            ji[f.J_GROUP, j] = min(int(uniform(k, 0, 9000 + 2 * j) * F(lights.groups[j])), lights.groups[j] - 1)
            jf[f.J_STAGE_TIME, j] = stage_time(lights, ji, lf, j)
            jf[f.J_ELAPSED, j] = uniform(k, 0, 9001 + 2 * j) * F(0.8) * jf[f.J_STAGE_TIME, j]
            show(lights, ji, li, j)
