# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Who may enter a junction.

A vehicle asks for its connecting lane before it reaches the stop line and gets a grant when its light and sign allow
it, when there is room behind the junction (the box stays free), and when no vehicle that holds a grant or is inside
meets it on a shared area at the same time. To who has the right of way it leaves a gap as well. Vehicles ask one after
another, so two never get conflicting grants in one step; what is granted always leaves the junction, so nobody inside
waits for somebody before it, and a crossing cannot lock. Who has stood for long no longer waits for those who stand.
"""

from __future__ import annotations

import math

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.lanes import F32, I32
from sim.world.maths import F, kernel, part
from sim.world.roads import Conflicts, Lanes
from sim.world.scratch import AFTER, ENTRANCE, HEAD, WAITING, WAITING_AFTER, Scratch

# why a vehicle does not go faster
FREE, LEADER, LIGHT, STOP, YIELD, ROOM, VEHICLE, WALKER, OBSTACLE, END = range(10)
LIGHT_CONTROL, STOP_CONTROL = 1, 2

PATIENCE = F(4.0)
"""Seconds at the line after which those who stand as well are no longer waited for."""
COMFORT_STOP = F(3.0)
"""m/s^2: a yellow light is obeyed by who can stop so."""
HARD_STOP = F(6.0)
AFTER_THEM, BEFORE_THEM = F(0.4), F(1.6)
"""Seconds left between two who use the same area."""


@part
def travel_time(distance: float, speed: float, accel: float, top: float) -> float:
    """Seconds for a distance, accelerating up to `top`."""
    if distance <= F(0.0):
        return F(0.0)
    if speed >= top:
        return distance / max(speed, F(0.1))
    run = (top * top - speed * speed) / (F(2.0) * accel)
    if distance <= run:
        return (math.sqrt(speed * speed + F(2.0) * accel * distance) - speed) / accel
    return (top - speed) / accel + (distance - run) / top


@part
def passing_speed(roads: Lanes, lane: int) -> float:
    """m/s at which a connecting lane is driven."""
    p = roads.lane_i[lane, r.LN_FIRST] + roads.lane_i[lane, r.LN_COUNT] // 2
    return max(F(0.9) * roads.point[p, r.R_BOUND], F(2.0))


@part
def apart(begin: float, end: float, other_begin: float, other_end: float) -> bool:
    """Two stays on a shared area leave each other time."""
    return other_end + AFTER_THEM < begin or end + BEFORE_THEM < other_begin


@part
def arrives(roads: Lanes, vf: F32, vi: I32, j: int, lane: int, enter: float, leave: float) -> tuple[float, float]:
    """Seconds until vehicle j, bound for or on `lane`, comes to `enter` metres and has gone `leave` metres."""
    speed = max(vf[f.SPEED, j], F(0.0))
    if vi[f.V_MODE, j] != f.TRAFFIC and speed < F(1.0):
        # nobody knows whether it will go
        return (F(0.0) if enter <= F(0.0) else F(3.0)), F(60.0)
    top = max(passing_speed(roads, lane), speed * F(0.5))
    urge = F(0.6) * vf[f.URGE, j]
    return travel_time(enter, speed, urge, top), travel_time(leave, speed, urge, top)


@kernel
def conflicts_free(
    roads: Lanes, conflicts: Conflicts, t: Scratch, vf: F32, vi: I32, li: I32, i: int, lane: int, before: float
) -> bool:
    """No shared area of connecting `lane` is or will be in use. `before`: metres from i's front bumper to its begin."""
    own_before = roads.lane_i[lane, r.LN_BEFORE]
    speed = vf[f.SPEED, i]
    urge = F(0.6) * vf[f.URGE, i]
    top = passing_speed(roads, lane)
    size = F(2.0) * vf[f.HALF_LENGTH, i]
    impatient = vf[f.WAIT, i] > PATIENCE + F(0.05) * F(i)
    for c in range(roads.lane_i[lane, r.LN_CONFLICT], roads.lane_i[lane, r.LN_CONFLICT_END]):
        other = conflicts.whole[c, r.C_LANE]
        inside = t.heads[HEAD, other]
        outside = t.heads[WAITING, other]
        if inside < 0 and outside < 0:
            continue
        if roads.lane_i[other, r.LN_BEFORE] == own_before and own_before >= 0:
            continue  # the same queue: it is followed, not crossed
        begin = travel_time(before + conflicts.real[c, r.C_BEGIN], speed, urge, top)
        end = travel_time(before + conflicts.real[c, r.C_END] + size, speed, urge, top)
        other_begin = conflicts.real[c, r.C_OTHER_BEGIN]
        other_end = conflicts.real[c, r.C_OTHER_END]
        j = inside
        while j >= 0:
            leave = other_end - vf[f.S, j] + vf[f.HALF_LENGTH, j] + F(0.5)
            if leave > F(0.0) and j != i:
                enter = other_begin - vf[f.S, j] - vf[f.HALF_LENGTH, j]
                first, last = arrives(roads, vf, vi, j, other, enter, leave)
                if not apart(begin, end, first, last):
                    return False
            j = t.links[AFTER, j]
        gives_way = conflicts.whole[c, r.C_YIELD]
        control = roads.lane_i[other, r.LN_CONTROL]
        state = np.int32(f.GREEN)
        if control == LIGHT_CONTROL and roads.lane_i[other, r.LN_LIGHT] >= 0:
            state = li[f.L_STATE, roads.lane_i[other, r.LN_LIGHT]]
        j = outside
        while j >= 0:
            if j != i:
                held = vi[f.V_GRANT, j] == other
                matters = held
                if not held:
                    matters = gives_way >= 0 and state == f.GREEN
                    standing = vf[f.SPEED, j] < F(0.5)
                    if standing and impatient:
                        matters = False
                    if gives_way == 0:
                        # equals: who came to its line first
                        matters = matters and standing and vf[f.WAIT, j] > vf[f.WAIT, i]
                    if control == STOP_CONTROL and vi[f.V_STOPPED, j] == 0 and vi[f.V_MODE, j] == f.TRAFFIC:
                        matters = False
                if matters:
                    enter = t.to_line[j] + other_begin
                    leave = t.to_line[j] + other_end + F(2.0) * vf[f.HALF_LENGTH, j] + F(0.5)
                    first, last = arrives(roads, vf, vi, j, other, enter, leave)
                    if not apart(begin, end, first, last):
                        return False
            j = t.links[WAITING_AFTER, j]
    return True


@kernel
def way_inside(
    roads: Lanes, conflicts: Conflicts, t: Scratch, vf: F32, vi: I32, i: int, lane: int, front: float
) -> float:
    """Metres that vehicle i may go on connecting `lane` before it must let another inside pass; large for no limit.

    Grants rest on forecasts. Where one failed (somebody stepped in front of a car), who will be at the shared area
    first goes first and the other stops before it, so that the two do not meet in it. `front`: s of i's front bumper on
    the lane, negative before it.
    """
    free = F(1e6)
    own_before = roads.lane_i[lane, r.LN_BEFORE]
    pace = max(vf[f.SPEED, i], F(1.5))
    for c in range(roads.lane_i[lane, r.LN_CONFLICT], roads.lane_i[lane, r.LN_CONFLICT_END]):
        other = conflicts.whole[c, r.C_LANE]
        j = t.heads[HEAD, other]
        if j < 0:
            continue
        rest = conflicts.real[c, r.C_BEGIN] - front
        if rest < F(0.0) or roads.lane_i[other, r.LN_BEFORE] == own_before:
            continue
        while j >= 0:
            if vf[f.S, j] - vf[f.HALF_LENGTH, j] < conflicts.real[c, r.C_OTHER_END]:
                their_rest = conflicts.real[c, r.C_OTHER_BEGIN] - vf[f.S, j] - vf[f.HALF_LENGTH, j]
                mine = rest / pace
                theirs = their_rest / max(vf[f.SPEED, j], F(1.5))
                if theirs < mine or (theirs == mine and j < i):
                    free = min(free, rest)
            j = t.links[AFTER, j]
    return free


@kernel
def room_behind(roads: Lanes, t: Scratch, vf: F32, vi: I32, i: int, entrance: int) -> bool:
    """The road after the junction has place for i and for all who are already on their way there."""
    lane = entrance
    junction = roads.lane_i[entrance, r.LN_JUNCTION]
    found = False
    rest = np.int32(0)
    for n in range(1, 4):
        lane = vi[f.V_NEXT1 + n - 1, i]
        if lane < 0:
            return True
        if lane == entrance:
            found = True
        elif found and roads.lane_i[lane, r.LN_JUNCTION] != junction:
            rest = n
            break
    if rest == 0:
        return True
    need = F(2.0) * vf[f.HALF_LENGTH, i] + F(2.0)
    # those inside or granted who leave by the same lane
    for p in range(roads.lane_i[lane, r.LN_PREDECESSORS]):
        source = roads.lane_i[lane, r.LN_BEFORE + p]
        if roads.lane_i[source, r.LN_JUNCTION] < 0:
            continue
        j = t.heads[HEAD, source]
        while j >= 0:
            if j != i:
                need += F(2.0) * vf[f.HALF_LENGTH, j] + F(2.0)
            j = t.links[AFTER, j]
        j = t.heads[WAITING, source]
        while j >= 0:
            if j != i and vi[f.V_GRANT, j] == source:
                need += F(2.0) * vf[f.HALF_LENGTH, j] + F(2.0)
            j = t.links[WAITING_AFTER, j]
    room = F(0.0)
    for n in range(rest, 4):
        lane = vi[f.V_NEXT1 + n - 1, i]
        if lane < 0:
            return True
        j = t.heads[HEAD, lane]
        if j >= 0:
            # a moving queue makes room while we drive
            room += vf[f.S, j] - vf[f.HALF_LENGTH, j] + F(2.0) * max(vf[f.SPEED, j] - F(1.0), F(0.0))
            return room > need
        room += roads.lane_f[lane, r.LN_LENGTH]
        if room > need:
            return True
    return room > need


@part
def ask(
    roads: Lanes, conflicts: Conflicts, t: Scratch, vf: F32, vi: I32, li: I32, lights_left: F32, i: int, due: bool
) -> tuple[int, float]:
    """(reason, metres to the stop line): FREE if vehicle i may enter its next junction, else why it must stop there.

    `lights_left` [J]: seconds left of each junction's stage. `due`: look at the others anew; in between (some tenths of
    a second) what was found last stands.
    """
    entrance = t.links[ENTRANCE, i]
    distance = t.to_line[i]
    if entrance < 0:
        return FREE, distance
    speed = vf[f.SPEED, i]
    if distance > speed * speed / (F(2.0) * COMFORT_STOP) + F(1.5) * speed + F(8.0):
        vi[f.V_GRANT, i] = -1
        return FREE, distance
    control = roads.lane_i[entrance, r.LN_CONTROL]
    if (vi[f.V_FLAGS, i] & f.EMERGENCY) != 0:
        control = np.int32(0)  # no light and no sign holds it, only those who are in its way
    light = roads.lane_i[entrance, r.LN_LIGHT]
    if light >= 0 and control == LIGHT_CONTROL:
        state = li[f.L_STATE, light]
        stopping = speed * speed / (F(2.0) * max(distance, F(0.1)))
        if state == f.RED and (stopping < HARD_STOP + F(2.0) or vi[f.V_GRANT, i] < 0):
            vi[f.V_GRANT, i] = -1
            return LIGHT, distance
        if state == f.YELLOW:
            late = distance + F(0.5) > (lights_left[roads.lane_i[entrance, r.LN_JUNCTION]] - F(0.2)) * speed
            if stopping < COMFORT_STOP or (late and stopping < HARD_STOP):
                vi[f.V_GRANT, i] = -1
                return LIGHT, distance
    if vi[f.V_GRANT, i] == entrance:
        if vf[f.HELD, i] > F(3.0) and distance > F(0.0):
            vi[f.V_GRANT, i] = -1  # held up before the line: let others go
        elif (
            not due
            or speed * speed > F(2.0) * COMFORT_STOP * distance
            or conflicts_free(roads, conflicts, t, vf, vi, li, i, entrance, distance)
        ):
            return FREE, distance
        else:
            vi[f.V_GRANT, i] = -1  # what was forecast has not come true
            return YIELD, distance
    # only the first of a queue asks, or who follows one that goes
    j = t.links[AFTER, i]
    if j >= 0 and t.links[ENTRANCE, j] >= 0 and vi[f.V_GRANT, j] < 0:
        return LEADER, distance
    if control == STOP_CONTROL:
        if vi[f.V_STOPPED, i] == 0:
            if speed < F(0.1) and distance < F(2.5):
                vi[f.V_STOPPED, i] = 1
            return STOP, distance
        if vf[f.WAIT, i] < F(0.8):
            return STOP, distance
    if not due:
        return YIELD, distance
    if not room_behind(roads, t, vf, vi, i, entrance):
        return ROOM, distance
    before = distance
    lane = entrance
    junction = roads.lane_i[entrance, r.LN_JUNCTION]
    found = False
    for n in range(1, 4):
        lane = vi[f.V_NEXT1 + n - 1, i]
        if lane < 0:
            break
        found = found or lane == entrance
        if found:
            if roads.lane_i[lane, r.LN_JUNCTION] != junction:
                break
            if not conflicts_free(roads, conflicts, t, vf, vi, li, i, lane, before):
                return YIELD, distance
            before += roads.lane_f[lane, r.LN_LENGTH]
    vi[f.V_GRANT, i] = entrance
    return FREE, distance
