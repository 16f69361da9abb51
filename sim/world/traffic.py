# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""The built-in driver: how fast, how far to the side, and the motion that follows.

Distance: the Intelligent Driver Model (Treiber, Hennecke, Helbing 2000). Steering: pure pursuit from the rear axle.
"""

from __future__ import annotations

import math

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.collide import LEVEL
from sim.world.emergency import CRAWL, HURRY, leader_past
from sim.world.junctions import END, FREE, LEADER, LIGHT, OBSTACLE, ROOM, VEHICLE, WALKER, YIELD, ask, way_inside
from sim.world.lanes import F32, I32, LONG, path_point
from sim.world.maths import GRAVITY, F, arctan, clamp, kernel, part, sincos, wrap
from sim.world.roads import Conflicts, Lanes
from sim.world.scratch import AFTER, ENTRANCE, HEAD, Scratch

HARDEST = F(8.0)
"""m/s^2: the hardest that a driver brakes."""
NO_GAP = F(1e6)
CUT = F(0.6)
"""Where along the way from its rear axle to its middle a long vehicle has the point that keeps to a right-hand bend."""
BEFORE_LINE = F(1.8)
"""Metres between the front bumper and the stop line where drivers come to rest."""


@part
def idm(
    speed: float, wish: float, gap: float, leader: float, urge: float, comfort: float, headway: float, min_gap: float
) -> float:
    """IDM acceleration, m/s^2. `gap`: free metres ahead; `leader`: speed of what is there."""
    ratio = speed / max(wish, F(0.1))
    ratio *= ratio
    free = F(1.0) - ratio * ratio
    if speed > wish:
        free = max(free, -comfort / urge)
    if gap >= NO_GAP:
        return urge * free
    desired = speed * headway + speed * (speed - leader) / (F(2.0) * math.sqrt(urge * comfort))
    share = (min_gap + max(desired, F(0.0))) / max(gap, F(0.1))
    accel = urge * (free - share * share)
    # what braking at a constant rate needs, where the model asks for less (short gaps to things that stand)
    closing = speed - leader
    if closing > F(0.0):
        needed = closing * closing / (F(2.0) * max(gap - F(0.5), F(0.05)))
        if needed > F(2.0) * comfort:
            accel = min(accel, -needed)
    return accel


@part
def leader_ahead(roads: Lanes, t: Scratch, vf: F32, vi: I32, i: int, reach: float) -> tuple[int, float]:
    """(vehicle, free metres) of the next vehicle on the path, -1 for none within `reach`."""
    own = vf[f.S, i] + vf[f.HALF_LENGTH, i]
    j = t.links[AFTER, i]
    if j >= 0:
        return j, vf[f.S, j] - vf[f.HALF_LENGTH, j] - own
    distance = roads.lane_f[vi[f.V_LANE, i], r.LN_LENGTH] - own
    for n in range(3):
        lane = vi[f.V_NEXT1 + n, i]
        if lane < 0 or distance > reach:
            break
        j = t.heads[HEAD, lane]
        if j >= 0 and j != i:
            return j, distance + vf[f.S, j] - vf[f.HALF_LENGTH, j]
        distance += roads.lane_f[lane, r.LN_LENGTH]
    return np.int32(-1), NO_GAP


@kernel
def gap_to_box(
    roads: Lanes, vf: F32, vi: I32, i: int, body: F32, j: int, vx: float, vy: float, reach: float, margin: float
) -> float:
    """Free metres along i's path to body j if it stands (or soon comes) within i's corridor, NO_GAP if not.

    body: float buffer of one world whose first eight rows are the common ones; vx, vy its velocity.
    """
    dx = body[f.X, j] - vf[f.X, i]
    dy = body[f.Y, j] - vf[f.Y, i]
    ahead = dx * vf[f.COS, i] + dy * vf[f.SIN, i]
    if ahead < F(-0.5) * vf[f.HALF_LENGTH, i]:
        return NO_GAP
    if abs(body[f.Z, j] - vf[f.Z, i]) > LEVEL:
        return NO_GAP
    d = max(ahead, F(0.0))
    lat = F(0.0)
    cos = F(1.0)
    sin = F(0.0)
    for _ in range(4):
        x, y, cos, sin, _on = path_point(roads, vf, vi, i, d)
        rx = body[f.X, j] - x
        ry = body[f.Y, j] - y
        along = rx * cos + ry * sin
        lat = ry * cos - rx * sin
        d = max(d + along, F(0.0))
        if abs(along) < F(0.3):
            break
    # extents of the box seen along the path
    c = abs(cos * body[f.COS, j] + sin * body[f.SIN, j])
    s = abs(sin * body[f.COS, j] - cos * body[f.SIN, j])
    across = body[f.HALF_LENGTH, j] * s + body[f.HALF_WIDTH, j] * c
    along = body[f.HALF_LENGTH, j] * c + body[f.HALF_WIDTH, j] * s
    # we come from our own offset and are back on our line some metres on
    lat -= vf[f.SHIFT, i] + (vf[f.LAT, i] - vf[f.SHIFT, i]) * max(F(0.0), F(1.0) - d / F(12.0))
    closing = vy * cos - vx * sin
    toward = -closing if lat > F(0.0) else closing
    corridor = vf[f.HALF_WIDTH, i] + across + margin
    if toward > F(0.0):
        corridor += F(2.0) * toward
    if abs(lat) > corridor or d < F(0.3) * vf[f.HALF_LENGTH, i]:
        return NO_GAP
    return max(d - vf[f.HALF_LENGTH, i] - along, F(0.05))


@part
def wished_speed(roads: Lanes, vf: F32, vi: I32, i: int) -> float:
    """m/s that the road allows and the driver wants, slowing down in time for the lanes that follow."""
    lane = vi[f.V_LANE, i]
    s = vf[f.S, i]
    first = roads.lane_i[lane, r.LN_FIRST]
    k = min(
        max(np.int32(s * roads.lane_f[lane, r.LN_DENSITY] + F(0.5)), np.int32(0)),
        roads.lane_i[lane, r.LN_COUNT] - np.int32(1),
    )
    hurry = HURRY if (vi[f.V_FLAGS, i] & f.EMERGENCY) != 0 else F(1.0)
    wish = min(roads.point[first + k, r.R_BOUND] * hurry, roads.lane_f[lane, r.LN_LIMIT] * vf[f.WISH, i])
    distance = roads.lane_f[lane, r.LN_LENGTH] - s
    for n in range(3):
        following = vi[f.V_NEXT1 + n, i]
        # a lane farther than the way to slow down to a standstill does not matter yet
        if following < 0 or F(2.0) * F(r.SLOW_DOWN) * distance > wish * wish:
            break
        entry = roads.point[roads.lane_i[following, r.LN_FIRST], r.R_BOUND] * hurry
        square = entry * entry + F(2.0) * F(r.SLOW_DOWN) * max(distance, F(0.0))
        if square < wish * wish:
            wish = math.sqrt(square)
        distance += roads.lane_f[following, r.LN_LENGTH]
    return min(wish, vf[f.TOP_SPEED, i])


@part
def decide(
    roads: Lanes,
    conflicts: Conflicts,
    t: Scratch,
    vf: F32,
    vi: I32,
    pf: F32,
    pi: I32,
    of: F32,
    li: I32,
    lights_left: F32,
    hazards: int,
    i: int,
    due: bool,
) -> None:
    """Choose the acceleration of traffic vehicle i: write TARGET, GAP, V_REASON. `due`: see junctions.ask."""
    speed = vf[f.SPEED, i]
    if speed == F(0.0):
        # who stands needs no thought while what holds it lasts
        before = vi[f.V_REASON, i]
        light = t.links[ENTRANCE, i]
        light = roads.lane_i[light, r.LN_LIGHT] if light >= 0 else np.int32(-1)
        if before == LIGHT and light >= 0 and li[f.L_STATE, light] == f.RED:
            vf[f.TARGET, i] = F(-1.0)
            return
        if not due and before in (YIELD, ROOM):
            vf[f.TARGET, i] = F(-1.0)
            return
    wish = wished_speed(roads, vf, vi, i)
    urge, comfort = vf[f.URGE, i], vf[f.COMFORT, i]
    headway, min_gap = vf[f.HEADWAY, i], vf[f.MIN_GAP, i]
    reach = speed * F(3.5) + F(12.0)
    reason = FREE
    best = NO_GAP
    accel = idm(speed, wish, NO_GAP, F(0.0), urge, comfort, headway, min_gap)

    leader, gap = leader_ahead(roads, t, vf, vi, i, SIGHT_AHEAD)
    if (vi[f.V_FLAGS, i] & f.EMERGENCY) != 0:
        leader, gap, most = leader_past(roads, t, vf, vi, i, leader, gap)
        accel = min(accel, idm(speed, min(wish, most), NO_GAP, F(0.0), urge, comfort, headway, min_gap))
    elif vf[f.SHIFT, i] > F(0.0):
        accel = min(accel, idm(speed, CRAWL, NO_GAP, F(0.0), urge, comfort, headway, min_gap))
    if speed == F(0.0) and leader >= 0 and gap < min_gap and vf[f.SPEED, leader] < F(0.1):
        # in a queue that stands
        vf[f.TARGET, i] = F(-1.0)
        vf[f.GAP, i] = gap
        vi[f.V_REASON, i] = LEADER
        return
    if leader >= 0:
        a = idm(speed, wish, gap, max(vf[f.SPEED, leader], F(0.0)), urge, comfort, headway, min_gap)
        best = gap
        if a < accel:
            accel, reason = a, LEADER

    why, line = ask(roads, conflicts, t, vf, vi, li, lights_left, i, due)
    if why != FREE and why != LEADER:
        a = idm(speed, wish, line + min_gap - BEFORE_LINE, F(0.0), urge, comfort, F(0.4), min_gap)
        best = min(best, line)
        if a < accel:
            accel, reason = a, why

    lane = vi[f.V_LANE, i]
    inside = roads.lane_i[lane, r.LN_JUNCTION] >= 0
    if inside or vi[f.V_GRANT, i] >= 0:
        through = lane if inside else vi[f.V_GRANT, i]
        front = vf[f.S, i] + vf[f.HALF_LENGTH, i] if inside else -line
        free = way_inside(roads, conflicts, t, vf, vi, i, through, front)
        if free < reach:
            a = idm(speed, wish, free + F(0.5), F(0.0), urge, comfort, F(0.4), F(1.0))
            if a < accel:
                accel, reason = a, YIELD

    # a lane that ends beside one that goes on: who finds no way to change waits at its end
    left = roads.lane_i[lane, r.LN_LEFT]
    right = roads.lane_i[lane, r.LN_RIGHT]
    if roads.lane_i[lane, r.LN_ENDS] == 1 and (
        (left >= 0 and roads.lane_i[left, r.LN_ENDS] == 0) or (right >= 0 and roads.lane_i[right, r.LN_ENDS] == 0)
    ):
        rest = roads.lane_f[lane, r.LN_LENGTH] - vf[f.S, i] - vf[f.HALF_LENGTH, i]
        a = idm(speed, wish, rest, F(0.0), urge, comfort, F(0.5), min_gap)
        if a < accel:
            accel, reason = a, END

    # a vehicle that changes lanes also minds whom it leaves behind
    old = vi[f.V_CHANGE_LANE, i]
    own_x = vf[f.X, i]
    own_y = vf[f.Y, i]
    limit = (reach + vf[f.HALF_LENGTH, i]) * (reach + vf[f.HALF_LENGTH, i])
    for h in range(hazards):
        dx = t.place[0, h] - own_x
        dy = t.place[1, h] - own_y
        if dx * dx + dy * dy > limit:
            continue
        kind = t.hazard[h, 0]
        j = t.hazard[h, 1]
        a = accel
        why = VEHICLE
        if kind == 0:
            if j == i:
                continue
            if j == leader:
                continue
            other = vi[f.V_LANE, j]
            gap = gap_to_box(roads, vf, vi, i, vf, j, F(0.0), F(0.0), reach, F(0.25))
            if gap < NO_GAP:
                same = max(vf[f.COS, i] * vf[f.COS, j] + vf[f.SIN, i] * vf[f.SIN, j], F(0.0))
                moving = max(vf[f.SPEED, j], F(0.0)) * same
                a = idm(speed, wish, gap, moving, urge, comfort, F(0.5), F(1.0))
                if other == lane and t.links[AFTER, j] == i:
                    a = accel
        elif kind == 1:
            gap = gap_to_box(roads, vf, vi, i, pf, j, pf[f.P_VX, j], pf[f.P_VY, j], reach, F(0.7))
            why = WALKER
            if gap < NO_GAP:
                a = idm(speed, wish, gap, F(0.0), urge, comfort, F(0.5), F(2.0))
        else:
            gap = gap_to_box(roads, vf, vi, i, of, j, F(0.0), F(0.0), reach, F(0.3))
            why = OBSTACLE
            if gap < NO_GAP:
                a = idm(speed, wish, gap, F(0.0), urge, comfort, F(0.5), F(2.0))
        if a < accel:
            accel, reason = a, why
            best = min(best, gap)
    if old >= 0 and t.heads[HEAD, old] >= 0:
        j = t.heads[HEAD, old]
        while j >= 0:
            ahead = vf[f.S, j] - vf[f.S, i]
            if j != i and ahead > F(0.0) and abs(vf[f.LAT, i]) > F(1.0):
                gap = ahead - vf[f.HALF_LENGTH, j] - vf[f.HALF_LENGTH, i]
                a = idm(speed, wish, max(gap, F(0.1)), vf[f.SPEED, j], urge, comfort, F(0.4), F(1.0))
                if a < accel:
                    accel, reason = a, LEADER
                break
            j = t.links[AFTER, j]
    vf[f.TARGET, i] = clamp(accel, -HARDEST, urge)
    vf[f.GAP, i] = best
    vi[f.V_REASON, i] = reason


SIGHT_AHEAD = F(80.0)


@part
def steer_along(roads: Lanes, vf: F32, vi: I32, i: int) -> float:
    """Wheel angle, radians, that leads the rear axle back onto the path (pure pursuit)."""
    speed = vf[f.SPEED, i]
    wheelbase = vf[f.WHEELBASE, i]
    look = F(2.5) + F(0.45) * speed + F(0.3) * wheelbase
    if vi[f.V_CHANGE_LANE, i] >= 0:
        look += F(4.0) + F(0.9) * speed
    x, y, cos, sin, _on = path_point(roads, vf, vi, i, look)
    half = F(0.5) * wheelbase
    dx = x - sin * vf[f.SHIFT, i] - vf[f.X, i]
    dy = y + cos * vf[f.SHIFT, i] - vf[f.Y, i]
    ahead = dx * vf[f.COS, i] + dy * vf[f.SIN, i] + half
    side = dy * vf[f.COS, i] - dx * vf[f.SIN, i]
    if vf[f.HALF_LENGTH, i] > LONG and side > F(0.3):
        # the middle of a long one keeps to the lane in a right-hand bend: its front swings less over the other side
        ahead -= CUT * half
    curvature = F(2.0) * side / max(ahead * ahead + side * side, F(1.0))
    return clamp(arctan(wheelbase * curvature), -vf[f.MAX_WHEEL, i], vf[f.MAX_WHEEL, i])


@part
def move_traffic(roads: Lanes, vf: F32, vi: I32, i: int, dt: float) -> None:
    """Move a built-in vehicle by its target acceleration: the kinematic bicycle within the tyres' grip."""
    grip = vf[f.MU, i] * GRAVITY
    speed = vf[f.SPEED, i]
    if speed == F(0.0) and vf[f.TARGET, i] <= F(0.0):
        vf[f.ACCEL, i] = F(0.0)
        vf[f.SIDE_ACCEL, i] = F(0.0)
        vf[f.SIDE_SPEED, i] = F(0.0)
        vf[f.YAW_RATE, i] = F(0.0)
        vf[f.THROTTLE, i] = F(0.0)
        vf[f.BRAKE, i] = F(1.0)
        return
    most = min(vf[f.FORCE, i], vf[f.POWER, i] / max(speed, F(1.0))) / vf[f.MASS, i]
    accel = clamp(vf[f.TARGET, i], -min(grip, vf[f.BRAKE_FORCE, i] / vf[f.MASS, i]), most)
    new_speed = max(speed + accel * dt, F(0.0))
    goal = steer_along(roads, vf, vi, i)
    wheel = vf[f.WHEEL, i]
    wheel += clamp(goal - wheel, -vf[f.WHEEL_RATE, i] * dt, vf[f.WHEEL_RATE, i] * dt)
    vf[f.WHEEL, i] = wheel
    sin_wheel, cos_wheel = sincos(wheel)
    mean = F(0.5) * (speed + new_speed)
    rate = mean * sin_wheel / (cos_wheel * vf[f.WHEELBASE, i])
    if abs(rate) * mean > grip:
        rate = grip / mean if rate > F(0.0) else -grip / mean
    side = rate * F(0.5) * vf[f.WHEELBASE, i]
    turn = rate * dt
    # the heading half-way, by a turn too small to need more than the second power
    half = F(0.5) * turn
    cos = vf[f.COS, i] * (F(1.0) - F(0.5) * half * half) - vf[f.SIN, i] * half
    sin = vf[f.SIN, i] * (F(1.0) - F(0.5) * half * half) + vf[f.COS, i] * half
    vf[f.X, i] += (mean * cos - side * sin) * dt
    vf[f.Y, i] += (mean * sin + side * cos) * dt
    vf[f.YAW, i] = wrap(vf[f.YAW, i] + turn)
    vf[f.SIN, i], vf[f.COS, i] = sincos(vf[f.YAW, i])
    vf[f.ACCEL, i] = (new_speed - speed) / dt
    vf[f.SIDE_ACCEL, i] = mean * rate
    vf[f.SPEED, i] = new_speed
    vf[f.SIDE_SPEED, i] = side
    vf[f.YAW_RATE, i] = rate
    # pedals as a driver would press them, for those who look
    coasting = accel > F(-0.3) and new_speed > F(0.0)
    vf[f.THROTTLE, i] = clamp(F(0.25) * accel + F(0.15), F(0.0), F(1.0)) if coasting else F(0.0)
    vf[f.BRAKE, i] = F(0.0) if coasting else clamp(F(-0.12) * accel, F(0.1), F(1.0))
    vf[f.STEER, i] = wheel / vf[f.MAX_WHEEL, i]
