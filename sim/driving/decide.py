# Numba kernels over plain arrays: types are those of the arrays.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""The expert's decision for one ego: path, what binds it, speed. See sim.driving.expert for the door to it."""

from __future__ import annotations

import math

import numpy as np

from contracts.plan import PATH_POINTS, SPEED_STEPS
from sim.driving import path as p
from sim.driving.avoid import (
    AVOID,
    BEGIN,
    END,
    JUNCTION_AHEAD,
    LEFT_RAMP,
    QUEUES,
    SIDE,
    STAND_OFF,
    go_round,
    why_stands,
)
from sim.driving.forecast import (
    B_COS,
    B_LENGTH,
    B_SIN,
    B_VX,
    B_VY,
    B_WIDTH,
    B_X,
    B_Y,
    B_Z,
    CHAIN,
    FAR,
    MOST_WAYS,
    STANDING,
    STEPS,
    across_of,
    chain_of,
    drift,
    follow,
    held_at,
    speed_of,
    ways,
)
from sim.driving.jit import part
from sim.driving.lines import BEFORE_LINE, MOST_AHEAD, MOST_MINE, lines, own_ways
from sim.driving.profile import AT, FREE, GAP, JUNCTION, LEAD, OBSTACLE, PACE, WALKER, WHY, meets, play
from sim.driving.yielding import clears, escape, waits_at

PEDESTRIAN, STATIC = 5, 6
SIDE_ACCELERATION = 3.4
"""m/s^2 accepted in bends."""
STRIP, WALKER_STRIP = 0.3, 0.6
"""Metres beside the ego's body within which the path must be free: of vehicles and things, of pedestrians."""
MOST_FORECASTS = 48
ROUNDS = 8
"""Plays until the ego yields to all it must."""
PATIENCE, IMPATIENCE = 3.0, 20.0
"""Seconds of waiting after which who stands as well is not waited for, and after which smaller gaps are taken."""
# memory of one ego
WAIT, STALL = AVOID, AVOID + 1
MEMORY = AVOID + 2
# state of an ego
E_X, E_Y, E_Z, E_COS, E_SIN, E_SPEED, E_LENGTH, E_WIDTH, E_ALONG, E_OFFSET = range(10)
EGO = 10


@part
def decide(
    lanes,
    conflicts,
    grid,
    route,
    route_lane,
    points,
    stop_point,
    honoured,
    ego,
    bodies,
    kinds,
    number,
    lights,
    memory,
    dt,
    out_path,
    out_speed,
):
    """Plan for one ego: writes path [20, 2] and speed [8]; returns what bounds its speed.

    route, route_lane: rows as sim.driving.route.route_rows, of `points` points. stop_point, honoured: the next line and
    whether its stop sign has been honoured. ego [EGO]; bodies [number, BODY] and kinds around it; lights [S] states;
    memory [MEMORY] of this ego, dt seconds after the last call.
    """  # fmt: skip
    half, width, speed, along = ego[E_LENGTH], ego[E_WIDTH], max(ego[E_SPEED], 0.0), ego[E_ALONG]
    path = np.empty((p.POINTS, 7))
    p.trace(route, route_lane, points, along, SIDE_ACCELERATION, 1.0, path)
    if memory[LEFT_RAMP] > 0.0:
        if along > memory[END] + memory[LEFT_RAMP] + 3.0:
            memory[LEFT_RAMP] = 0.0
        else:
            p.shift(path, along, memory[BEGIN], memory[END], memory[SIDE], memory[LEFT_RAMP])
            p.bend(path, SIDE_ACCELERATION)

    ahead = np.empty((MOST_AHEAD, 4))
    honoured_at = stop_point - along if honoured and stop_point >= 0 else FAR
    count, entry, leave, held, inside = lines(lanes, path, half, speed, honoured_at, lights, ahead, 0)
    mine = np.empty(MOST_MINE, np.int64)
    ours = own_ways(lanes, path, leave if entry < 60.0 else max(inside, 0.0), mine)
    ego_goes = not held
    patient = memory[WAIT] < PATIENCE

    low = np.empty((MOST_FORECASTS, STEPS + 1))
    high = np.empty((MOST_FORECASTS, STEPS + 1))
    pace, hold = np.empty(MOST_FORECASTS), np.empty(MOST_FORECASTS)
    why = np.empty(MOST_FORECASTS, np.int64)
    yields = np.zeros(MOST_FORECASTS, np.bool_)
    ignored = np.zeros(MOST_FORECASTS, np.bool_)
    others = 0
    way, chain = np.empty((MOST_WAYS, 4)), np.empty(CHAIN, np.int64)
    blocked, standing_lead, lead_at, lead_row = FAR, -1, FAR, -1
    for b in range(number):
        body = bodies[b]
        dx, dy = body[B_X] - ego[E_X], body[B_Y] - ego[E_Y]
        distance = math.hypot(dx, dy)
        pace_of = math.hypot(body[B_VX], body[B_VY])
        if distance > min(200.0, 45.0 + 6.0 * speed + 6.0 * pace_of) or abs(body[B_Z] - ego[E_Z]) > 4.0:
            continue
        kind = kinds[b]
        strip = width + (WALKER_STRIP if kind == PEDESTRIAN else STRIP)
        n = p.nearest_point(path, body[B_X], body[B_Y], -1)
        first, last = p.occupied(
            path, n, body[B_X], body[B_Y], body[B_COS], body[B_SIN], body[B_LENGTH], body[B_WIDTH], strip
        )
        same = body[B_COS] * path[n, p.COS] + body[B_SIN] * path[n, p.SIN]
        along_path = body[B_VX] * path[n, p.COS] + body[B_VY] * path[n, p.SIN]
        now = last > first
        if now and last < half and first < -half:
            continue  # behind, on the ego's own way: it follows
        if now and first < half and last < half + 0.5:
            continue  # beside or under the ego
        leads = now and (kind == STATIC or (kind != PEDESTRIAN and (same > 0.5 or pace_of < STANDING)))
        if leads:
            row = -1
            if count < MOST_AHEAD:
                row = count
                ahead[count, AT], ahead[count, PACE] = first, max(along_path, 0.0)
                ahead[count, GAP] = 2.0
                ahead[count, WHY] = OBSTACLE if kind == STATIC else LEAD
                count += 1
            if along_path < 1.5 and first < blocked:
                blocked = first
            if first < lead_at:
                lead_at, lead_row = first, row
                standing_lead = b if pace_of < STANDING else -1
            continue
        if kind == STATIC:
            continue
        if kind == PEDESTRIAN:
            if others >= MOST_FORECASTS:
                continue
            pace[others] = drift(body, 4.0, path, strip, low[others], high[others])
            why[others] = WALKER
            if pace_of > 0.2 or now:
                others += clears(low[others], high[others])
            continue
        v = max(speed_of(body), 0.0)
        found = ways(lanes, grid, body, way)
        if found == 0:
            if pace_of > STANDING and others < MOST_FORECASTS:
                pace[others] = drift(body, 3.0, path, strip, low[others], high[others])
                why[others] = LEAD
                others += clears(low[others], high[others])
            continue
        for k in range(found):
            if others >= MOST_FORECASTS:
                break
            lane = int(way[k, 0])
            chain_of(lanes, lane, int(way[k, 3]), chain)
            stop = held_at(lanes, conflicts, chain, way[k, 1], body, v, lights, mine, ours, ego_goes, patient)
            side = across_of(lanes, lane, way[k, 1], body)
            pace[others] = follow(
                lanes, chain, way[k, 1], way[k, 2], body, v, side, stop, path, strip, low[others], high[others]
            )
            why[others] = JUNCTION
            others += clears(low[others], high[others])

    why_lead, queue_end = JUNCTION_AHEAD, -1.0
    if standing_lead >= 0:
        why_lead, queue_end = why_stands(lanes, path, bodies, kinds, number, standing_lead, entry)
        if why_lead <= QUEUES and lead_row >= 0:
            ahead[lead_row, GAP] = STAND_OFF

    # do not stop in a junction: wait before it while the road behind it is full
    if entry < FAR and blocked < leave + 2.0 * half + 2.0 and blocked > entry and count < MOST_AHEAD and ours > 0:
        ahead[count, AT], ahead[count, PACE], ahead[count, GAP], ahead[count, WHY] = entry - BEFORE_LINE, 0.0, 0.3, LEAD
        count += 1
    for j in range(others):
        hold[j] = waits_at(low[j], high[j], pace[j], why[j], speed, half, entry, leave)

    place, velocity = np.empty(STEPS + 1), np.empty(STEPS + 1)
    slack = 1 if memory[WAIT] < IMPATIENCE else 0
    if inside > 0.0 and speed > 1.0:
        slack = 0
    accel, reason = 0.0, FREE
    met = -1
    for _ in range(ROUNDS):
        accel, reason = play(
            path, speed, half, ahead, count, low, high, pace, yields, hold, why, others, place, velocity
        )
        met, _when = meets(place, velocity, half, low, high, pace, others, ignored, slack, 0.5)
        if met < 0:
            break
        if yields[met]:
            ignored[met] = True
        yields[met] = True
    accel, reason = escape(
        path, speed, half, low, high, pace, others, ignored, accel, reason, why, ahead, count, place, velocity
    )

    waits = speed < STANDING and accel < 0.3 and reason in (JUNCTION, WALKER)
    if waits:
        memory[WAIT] += dt
    elif speed > 2.0:
        memory[WAIT] = 0.0
    stalled = standing_lead >= 0 and lead_at < half + 40.0
    memory[STALL] = memory[STALL] + dt if stalled else 0.0
    if stalled and memory[LEFT_RAMP] <= 0.0:
        go_round(
            lanes, grid, path, ego, bodies, kinds, number, standing_lead, why_lead, queue_end, memory, along
        )  # fmt: skip
    write(path, ego, velocity, out_path, out_speed)
    return reason


@part
def write(path, ego, velocity, out_path, out_speed):
    """The Plan in the ego frame."""
    for n in range(PATH_POINTS):
        dx, dy = path[p.BEHIND + 1 + n, p.X] - ego[E_X], path[p.BEHIND + 1 + n, p.Y] - ego[E_Y]
        out_path[n, 0] = dx * ego[E_COS] + dy * ego[E_SIN]
        out_path[n, 1] = dy * ego[E_COS] - dx * ego[E_SIN]
    for t in range(SPEED_STEPS):
        out_speed[t] = velocity[t + 1]
