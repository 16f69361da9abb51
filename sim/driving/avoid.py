# Numba kernels over plain arrays: types are those of the arrays.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Going round what stands in the lane: to which side, from where to where, and whether the way is free now."""

from __future__ import annotations

from sim.driving import path as p
from sim.driving.forecast import B_COS, B_LENGTH, B_SIN, B_VX, B_VY, B_WIDTH, B_X, B_Y
from sim.driving.jit import part
from sim.driving.lanes import paved

# memory of one ego: begin and end (metres along the route), metres to the right, length of the ramps (0: not active)
BEGIN, END, SIDE, LEFT_RAMP = range(4)
AVOID = 4
STATIC = 6
ROOM = 0.55
"""Metres kept beside what is passed."""
WAIT_VEHICLE, WAIT_LONG = 4.0, 15.0
"""Seconds that a vehicle stands ahead before the ego passes it: one that stands alone, one that may queue."""
ASIDE = 1.0
"""Metres to the side that suffice where only a corner is in the way: that is passed in a junction, too."""
QUEUE, AT_JUNCTION = 14.0, 15.0
"""Metres ahead of a vehicle within which another, or a junction, explains why it stands."""
CROSSING = 10.0
"""Metres ahead of a vehicle within which a pedestrian on the road explains why it stands."""
STAND_OFF = 9.0
"""Metres kept at rest to what stands for no reason that will pass: room to steer round it."""
STEER, EASY = 1.5, 0.5
"""Metres of way that moving aside by a metre takes, after the first EASY metres: nearer there is no way round."""
PACE = 4.0
"""m/s at which the ego passes."""
PEDESTRIAN = 5
# why a vehicle stands: nothing explains it, others just ahead of it do, a pedestrian, a junction
ALONE, QUEUES, PERSON, JUNCTION_AHEAD = range(4)


@part
def queue_of(path, bodies, kinds, number, lead):
    """(why, u where the last of them ends) of vehicle `lead`: ALONE, or QUEUES or PERSON just ahead of it."""
    n = p.nearest_point(path, bodies[lead, B_X], bodies[lead, B_Y], -1)
    at, end = float(n - p.BEHIND), float(n - p.BEHIND) + bodies[lead, B_LENGTH]
    why, found = ALONE, True
    while found:
        found = False
        for b in range(number):
            if b == lead or kinds[b] > PEDESTRIAN:
                continue
            n = p.nearest_point(path, bodies[b, B_X], bodies[b, B_Y], -1)
            u = float(n - p.BEHIND)
            aside = (bodies[b, B_Y] - path[n, p.Y]) * path[n, p.COS] - (bodies[b, B_X] - path[n, p.X]) * path[n, p.SIN]
            if n >= p.POINTS - 1 or u <= at or abs(aside) > 2.0:
                continue
            if kinds[b] == PEDESTRIAN:
                if u - end < CROSSING:
                    why = PERSON
            elif u - at < QUEUE:
                at, end = u, u + bodies[b, B_LENGTH]
                why, found = max(why, QUEUES), True
                break
    return why, end


@part
def why_stands(lanes, path, bodies, kinds, number, lead, entry):
    """(why, u where the last of a queue ends) of body `lead`. entry: u of the next junction."""
    if kinds[lead] == STATIC:
        return ALONE, -1.0
    n = p.nearest_point(path, bodies[lead, B_X], bodies[lead, B_Y], -1)
    at = n - p.BEHIND
    if at < entry < at + AT_JUNCTION or p.junction_of(lanes, path, n) >= 0:
        return JUNCTION_AHEAD, -1.0
    why, end = queue_of(path, bodies, kinds, number, lead)
    if why != ALONE and end + AT_JUNCTION > entry > at:
        return JUNCTION_AHEAD, end
    return why, end


@part
def go_round(lanes, grid, path, ego, bodies, kinds, number, lead, why, last, memory, along):
    """Begin to go round body `lead` where it stands for no reason that will pass and there is room: writes `memory`.

    why, last: as `why_stands` gives them.
    """
    half, width, speed = ego[6], ego[7], max(ego[5], 0.0)
    body = bodies[lead]
    n = p.nearest_point(path, body[B_X], body[B_Y], -1)
    at = n - p.BEHIND
    if kinds[lead] != STATIC and memory[AVOID + 1] < (WAIT_LONG if why in (QUEUES, PERSON) else WAIT_VEHICLE):
        return
    c = abs(body[B_COS] * path[n, p.COS] + body[B_SIN] * path[n, p.SIN])
    s = abs(body[B_SIN] * path[n, p.COS] - body[B_COS] * path[n, p.SIN])
    long, wide = body[B_LENGTH] * c + body[B_WIDTH] * s, body[B_LENGTH] * s + body[B_WIDTH] * c
    aside = (body[B_Y] - path[n, p.Y]) * path[n, p.COS] - (body[B_X] - path[n, p.X]) * path[n, p.SIN]
    begin, end = at - long - half - 1.0, max(at + long, last) + half + 1.0
    ramp = min(max(begin - 0.5, 4.0), 12.0)
    right, left = aside + wide + width + ROOM, aside - wide - width - ROOM
    for attempt in range(2):
        side = right if (abs(right) < abs(left)) == (attempt == 0) else left
        if kinds[lead] != STATIC and why == JUNCTION_AHEAD and abs(side) > ASIDE:
            continue
        if begin < STEER * (abs(side) - EASY) or not has_ground(lanes, grid, path, ego, begin, end, side, width):
            continue
        if free_beside(path, bodies, kinds, number, lead, begin, end, side, width, half, speed, ramp):
            memory[BEGIN], memory[END], memory[SIDE], memory[LEFT_RAMP] = along + begin, along + end, side, ramp
            return


@part
def has_ground(lanes, grid, path, ego, begin, end, side, width):
    """The road is wide enough for the ego `side` metres to the right of the path."""
    u = begin
    while u <= end:
        n = min(max(int(u) + p.BEHIND, 0), p.POINTS - 1)
        for edge in (-1.0, 1.0):
            out = side + edge * (width - 0.2)
            x, y = path[n, p.X] - out * path[n, p.SIN], path[n, p.Y] + out * path[n, p.COS]
            if not paved(lanes, grid, x, y, ego[2], 0.0):
                return False
        u += 2.0
    return True


@part
def free_beside(path, bodies, kinds, number, lead, begin, end, side, width, half, speed, ramp):
    """Nobody is, or comes, where the ego would pass: not beside it, not from behind faster, not from ahead in time."""
    seconds = (end + ramp + half) / max(0.5 * (speed + PACE), 2.5) + 2.0
    for b in range(number):
        if b == lead:
            continue
        n = p.nearest_point(path, bodies[b, B_X], bodies[b, B_Y], -1)
        u = n - p.BEHIND
        aside = (bodies[b, B_Y] - path[n, p.Y]) * path[n, p.COS] - (bodies[b, B_X] - path[n, p.X]) * path[n, p.SIN]
        same = bodies[b, B_COS] * path[n, p.COS] + bodies[b, B_SIN] * path[n, p.SIN]
        if abs(aside - side) > width + bodies[b, B_WIDTH] + 0.6 + 0.5 * (kinds[b] == 5):
            continue
        if n in (0, p.POINTS - 1) or (u < -half and abs(aside) < width + 0.5):
            continue  # far away, or right behind the ego: it follows
        pace = bodies[b, B_VX] * path[n, p.COS] + bodies[b, B_VY] * path[n, p.SIN]
        reach = bodies[b, B_LENGTH] + half
        if begin - ramp - reach - 2.0 < u < end + ramp + reach + 2.0:
            return False
        if u > end and same < 0.0 and u + pace * seconds < end + ramp + reach + 4.0:
            return False
        if u < begin and pace > speed and u + pace * 4.0 > begin - ramp:
            return False
    return True
