# Numba kernels over plain arrays: types are those of the arrays.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Where others will be in the next seconds, as stretches of the ego's path that they cover at each moment.

A vehicle follows its lane, along every way that may be its own, at the speed that bends and the limit allow; it stops
at its line where a light, a sign or the ego's right of way holds it. A pedestrian goes on as it goes. What has left the
lanes goes straight on.

A body is a row [BODY]: x, y, z, cos, sin, half length, half width, velocity x, y. A forecast is two rows [STEPS + 1]:
from and to in u (see sim.driving.path) every .25 s from now on, FAR and -FAR while it is off the path.
"""

from __future__ import annotations

from sim.driving import path as p
from sim.driving.jit import part
from sim.driving.lanes import bound_at, nearest, pose_at, project, straight_on
from sim.world import fields as f
from sim.world import roads as r
from sim.world.junctions import LIGHT_CONTROL, STOP_CONTROL

B_X, B_Y, B_Z, B_COS, B_SIN, B_LENGTH, B_WIDTH, B_VX, B_VY = range(9)
BODY = 9
STEPS = 24
PERIOD = 0.25
FAR = 1e6
MOST_WAYS = 6
"""Ways through junctions that are looked at for one vehicle."""
CHAIN = 6
"""Lanes of a way."""
URGE = 1.5
"""m/s^2 with which others are taken to gain speed."""
SIBLING = 0.8
"""Metres from the centre of a connecting lane within which a vehicle may be on it."""
AT_LINE = 7.0
"""Metres from a line within which who stands is the first of its queue."""
STANDING = 0.3
"""m/s"""
HARD_RED, HARD_YELLOW, HARD_YIELD = 7.0, 3.5, 4.0
"""m/s^2 that others brake with for a red light, a yellow one, for who has the right of way."""
SIDEWAYS, SIDEWAYS_TIME = 0.3, 2.0
"""m/s across a lane from which a vehicle is taken to go on so, and for how many seconds."""

SETTLE_TIME, SETTLE_WAY = 4.0, 8.0
"""Seconds, and at least metres of way, in which a vehicle comes back to the middle of its lane."""


@part
def ways(lanes, grid, body, out):
    """Write (lane, s, lat, branch) [MOST_WAYS, 4] of the ways that may be the vehicle's; returns how many, 0 off lanes.

    branch: which successor it takes where its lane first forks, -1 where it does not.
    """
    lane, s, lat = nearest(lanes, grid, body[B_X], body[B_Y], body[B_Z], body[B_COS], body[B_SIN])
    if lane < 0:
        return 0
    _, _, cos, sin = pose_at(lanes, lane, s, 0.0)
    if cos * body[B_COS] + sin * body[B_SIN] < 0.5 or abs(lat) > 3.0:
        return 0
    n = 0
    if lanes.lane_i[lane, r.LN_JUNCTION] >= 0 and lanes.lane_i[lane, r.LN_PREDECESSORS] > 0:
        before = lanes.lane_i[lane, r.LN_BEFORE]
        for k in range(lanes.lane_i[before, r.LN_SUCCESSORS]):
            other = lanes.lane_i[before, r.LN_NEXT + k]
            at, aside, q = project(lanes, other, s, body[B_X], body[B_Y])
            heading = lanes.point[q, r.R_COS] * body[B_COS] + lanes.point[q, r.R_SIN] * body[B_SIN]
            if n < MOST_WAYS and (other == lane or (abs(aside) < SIBLING and heading > 0.95)):
                out[n, 0], out[n, 1], out[n, 2], out[n, 3] = other, at, aside, -1
                n += 1
        if n > 0:
            return n
    # where the way ahead first forks
    fork, hops = lane, 0
    while lanes.lane_i[fork, r.LN_SUCCESSORS] == 1 and hops < CHAIN - 2:
        fork = lanes.lane_i[fork, r.LN_NEXT]
        hops += 1
    branches = min(max(lanes.lane_i[fork, r.LN_SUCCESSORS], 1), MOST_WAYS)
    for k in range(branches):
        out[n, 0], out[n, 1], out[n, 2], out[n, 3] = lane, s, lat, k if branches > 1 else -1
        n += 1
    return n


@part
def chain_of(lanes, lane, branch, chain):
    """Write the lanes [CHAIN] that follow from `lane` on, -1 behind the last; `branch` as `ways` gives it."""
    forked = branch < 0
    for k in range(CHAIN):
        chain[k] = lane
        if lane < 0:
            continue
        n = lanes.lane_i[lane, r.LN_SUCCESSORS]
        if n > 1 and not forked:
            lane = lanes.lane_i[lane, r.LN_NEXT + min(branch, n - 1)]
            forked = True
        else:
            lane = straight_on(lanes, lane)


@part
def right_of_way(lanes, conflicts, mine, count, other):
    """1: the ego on one of its connecting lanes `mine` gives way to `other`, -1: the other does, 0: equals, 2: they
    do not meet."""
    found = 2
    for k in range(count):
        for c in range(lanes.lane_i[mine[k], r.LN_CONFLICT], lanes.lane_i[mine[k], r.LN_CONFLICT_END]):
            if conflicts.whole[c, r.C_LANE] == other:
                way = conflicts.whole[c, r.C_YIELD]
                if found == 2 or way > found:
                    found = way
    return found


@part
def held_at(lanes, conflicts, chain, s, body, speed, lights, mine, count, ego_goes, patient):
    """Metres that a vehicle may go on along its way before what holds it at a junction's line; FAR for no hold.

    mine [count]: the connecting lanes that the ego is on or will take next. ego_goes: it is in the junction or nothing
    but others holds it, so others give way to it where they must. patient: it does not yet pass before who stands.
    """
    distance = lanes.lane_f[chain[0], r.LN_LENGTH] - s
    stands = speed < STANDING
    if stands and not patient:
        return 0.0  # wherever it is: also with its nose over a line
    for k in range(1, CHAIN):
        lane = chain[k]
        if lane < 0 or distance > 100.0:
            return 0.0 if stands and lanes.lane_i[chain[0], r.LN_JUNCTION] < 0 else FAR
        if lanes.lane_i[lane, r.LN_JUNCTION] >= 0 and lanes.lane_i[chain[k - 1], r.LN_JUNCTION] < 0:
            rest = distance - body[B_LENGTH]
            if rest < -1.0:
                return FAR
            needed = speed * speed / (2.0 * max(rest, 0.1))
            control, light = lanes.lane_i[lane, r.LN_CONTROL], lanes.lane_i[lane, r.LN_LIGHT]
            if control == LIGHT_CONTROL and light >= 0:
                if lights[light] == f.RED and (needed < HARD_RED or speed < 1.0):
                    return distance
                if lights[light] == f.YELLOW and (needed < HARD_YELLOW or speed < 1.0):
                    return distance
            way = right_of_way(lanes, conflicts, mine, count, lane)
            if stands and rest > AT_LINE:
                return distance  # not the first of its queue
            if control == STOP_CONTROL and not stands and needed < HARD_YIELD and rest > 0.5:
                return distance
            if ego_goes and way == -1 and (needed < HARD_YIELD or stands):
                return distance
            return FAR
        distance += lanes.lane_f[lane, r.LN_LENGTH]
    return FAR


@part
def follow(lanes, chain, s, lat, body, speed, across, hold, path, strip, low, high):
    """Forecast a vehicle along a chain of lanes; returns its speed along the ego's path where it first covers it."""
    at, v, k, base, guess = s, speed, 0, 0.0, -1
    first_speed = 0.0
    seen = False
    reach = s + hold - body[B_LENGTH] - 0.5
    total = s
    for t in range(STEPS + 1):
        if t > 0:
            bound = bound_at(lanes, chain[k], at)
            if total >= reach - 0.05 or (speed < STANDING and hold < FAR):
                v = 0.0
            elif v < bound:
                v = min(v + URGE * PERIOD, bound)
            elif v > 1.1 * bound:
                v = max(v - 2.5 * PERIOD, bound)
            moved = min(v * PERIOD, max(reach - total, 0.0))
            total += moved
            at = total - base
            while k + 1 < CHAIN and chain[k + 1] >= 0 and at > lanes.lane_f[chain[k], r.LN_LENGTH]:
                base += lanes.lane_f[chain[k], r.LN_LENGTH]
                at = total - base
                k += 1
        aside = lat
        if abs(across) > SIDEWAYS:
            aside = lat + across * min(t * PERIOD, SIDEWAYS_TIME)
        elif t > 0:  # back to the middle of its lane as it goes; who stands stays where it is
            aside = lat * max(1.0 - min(t * PERIOD / SETTLE_TIME, (total - s) / SETTLE_WAY), 0.0)
        if total <= s:  # as it stands, which may be aslant in its lane
            x, y, cos, sin = body[B_X], body[B_Y], body[B_COS], body[B_SIN]
        else:
            x, y, cos, sin = pose_at(lanes, chain[k], at, aside)
        guess = p.nearest_point(path, x, y, guess)
        low[t], high[t] = p.occupied(path, guess, x, y, cos, sin, body[B_LENGTH], body[B_WIDTH], strip)
        if not seen and high[t] > low[t]:
            seen = True
            first_speed = v * (cos * path[guess, p.COS] + sin * path[guess, p.SIN])
    return first_speed


@part
def drift(body, seconds, path, strip, low, high):
    """Forecast a body that goes straight on for some seconds; returns its speed along the path where it covers it."""
    guess = -1
    first_speed = 0.0
    seen = False
    for t in range(STEPS + 1):
        low[t], high[t] = FAR, -FAR
        if t * PERIOD > seconds:
            continue
        x, y = body[B_X] + body[B_VX] * t * PERIOD, body[B_Y] + body[B_VY] * t * PERIOD
        guess = p.nearest_point(path, x, y, guess)
        low[t], high[t] = p.occupied(path, guess, x, y, body[B_COS], body[B_SIN], body[B_LENGTH], body[B_WIDTH], strip)
        if not seen and high[t] > low[t]:
            seen = True
            first_speed = body[B_VX] * path[guess, p.COS] + body[B_VY] * path[guess, p.SIN]
    return first_speed


@part
def speed_of(body):
    """m/s along its heading."""
    return body[B_VX] * body[B_COS] + body[B_VY] * body[B_SIN]


@part
def across_of(lanes, lane, s, body):
    """m/s to the right across the lane."""
    _, _, cos, sin = pose_at(lanes, lane, s, 0.0)
    return body[B_VY] * cos - body[B_VX] * sin
