# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Pedestrians: along sidewalks, over crossings when they may, sometimes where they should not."""

from __future__ import annotations

import math

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.lanes import F32, I32, nearest_lane
from sim.world.maths import F, arctan2, kernel
from sim.world.random import choice, uniform
from sim.world.roads import Roads

WALKING, AT_KERB, CROSSING, STEPPED_OUT, DOWN = range(5)
DOWN_TIME = F(20.0)
"""Seconds that one who was hit lies before walking on elsewhere."""
KERB_PATIENCE = F(12.0)
"""Seconds after which a pedestrian relies on drivers who can stop."""


@kernel
def face(pf: F32, j: int, vx: float, vy: float) -> None:
    """Set velocity, and the heading that goes with it."""
    pf[f.P_VX, j] = vx
    pf[f.P_VY, j] = vy
    speed = math.sqrt(vx * vx + vy * vy)
    pf[f.P_SPEED, j] = speed
    if speed > F(0.05):
        pf[f.YAW, j] = arctan2(vy, vx)
        pf[f.COS, j] = vx / speed
        pf[f.SIN, j] = vy / speed


@kernel
def crossing_is_safe(roads: Roads, vf: F32, vi: I32, li: I32, pf: F32, pi: I32, j: int, edge: int) -> bool:
    """The light allows it and every moving vehicle leaves time (or, for who has waited long, can stop)."""
    for row in range(roads.edge_i[edge, r.G_LIGHT], roads.edge_i[edge, r.G_LIGHT_END]):
        if li[f.L_STATE, roads.edge_light[row]] != f.RED:
            return False
    length = roads.edge_f[edge, r.G_LENGTH]
    cos = roads.edge_f[edge, r.G_COS]
    sin = roads.edge_f[edge, r.G_SIN]
    start = roads.edge_i[edge, r.G_FROM]
    need = length / pf[f.P_WISH, j]
    patient = pf[f.P_WAIT, j] < KERB_PATIENCE
    half = roads.edge_f[edge, r.G_HALF]
    for i in range(vf.shape[1]):
        if vi[f.V_MODE, i] == f.ABSENT:
            continue
        dx = vf[f.X, i] - roads.vertex[start, 0]
        dy = vf[f.Y, i] - roads.vertex[start, 1]
        along = dx * cos + dy * sin
        across = dy * cos - dx * sin
        if along < F(-8.0) or along > length + F(8.0) or abs(across) > F(60.0):
            continue
        speed = vf[f.SPEED, i]
        toward = (vf[f.SIN, i] * cos - vf[f.COS, i] * sin) * speed
        rest = abs(across) - vf[f.HALF_LENGTH, i] - half
        if rest < F(0.0):
            if along > F(-1.0) and along < length + F(1.0):
                return False
            continue
        closing = -toward if across > F(0.0) else toward
        if closing < F(0.3):
            continue
        if patient:
            if rest / closing < need + F(1.0):
                return False
        elif rest < closing * closing / F(5.0) + closing:
            return False
    return True


@kernel
def vehicle_in_the_way(vf: F32, vi: I32, x: float, y: float) -> bool:
    """A vehicle's body is at a place (.4 m of room)."""
    for i in range(vf.shape[1]):
        if vi[f.V_MODE, i] == f.ABSENT:
            continue
        dx = x - vf[f.X, i]
        dy = y - vf[f.Y, i]
        reach = vf[f.HALF_LENGTH, i] + F(2.0)
        if dx * dx + dy * dy > reach * reach:
            continue
        if abs(dx * vf[f.COS, i] + dy * vf[f.SIN, i]) < vf[f.HALF_LENGTH, i] + F(0.4) and abs(
            dy * vf[f.COS, i] - dx * vf[f.SIN, i]
        ) < vf[f.HALF_WIDTH, i] + F(0.4):
            return True
    return False


@kernel
def next_edge(roads: Roads, pi: I32, j: int, k: int, tick: int) -> None:
    """Choose where to go on from the vertex reached; back only where there is no other way."""
    vertex = pi[f.P_TO, j]
    first = roads.vertex_first[vertex]
    n = roads.vertex_first[vertex + 1] - first
    pick = choice(k, tick, 70000 + 8 * j, n)
    if n > 1 and roads.vertex_edge[first + pick] == pi[f.P_EDGE, j]:
        pick = (pick + 1 + choice(k, tick, 70001 + 8 * j, n - 1)) % n
    edge = roads.vertex_edge[first + pick]
    pi[f.P_EDGE, j] = edge
    pi[f.P_TO, j] = (
        roads.edge_i[edge, r.G_TO] if roads.edge_i[edge, r.G_FROM] == vertex else roads.edge_i[edge, r.G_FROM]
    )


@kernel
def goal(roads: Roads, pf: F32, pi: I32, j: int) -> tuple[float, float]:
    """The place that a pedestrian walks to: the end of its edge, on its own side of it."""
    edge = pi[f.P_EDGE, j]
    to = pi[f.P_TO, j]
    sign = F(1.0) if roads.edge_i[edge, r.G_TO] == to else F(-1.0)
    side = pf[f.P_SIDE, j] * roads.edge_f[edge, r.G_HALF]
    x = roads.vertex[to, 0] - sign * roads.edge_f[edge, r.G_SIN] * side
    y = roads.vertex[to, 1] + sign * roads.edge_f[edge, r.G_COS] * side
    return x, y


@kernel
def join_edge(roads: Roads, pf: F32, pi: I32, j: int) -> None:
    """Back onto the nearest sidewalk after a walk over the road."""
    best = F(1e9)
    found = np.int32(0)
    for edge in range(roads.edge_i.shape[0]):
        if roads.edge_i[edge, r.G_CROSSING] != 0:
            continue
        a = roads.edge_i[edge, r.G_FROM]
        dx = pf[f.X, j] - roads.vertex[a, 0]
        dy = pf[f.Y, j] - roads.vertex[a, 1]
        along = dx * roads.edge_f[edge, r.G_COS] + dy * roads.edge_f[edge, r.G_SIN]
        along = min(max(along, F(0.0)), roads.edge_f[edge, r.G_LENGTH])
        dx -= along * roads.edge_f[edge, r.G_COS]
        dy -= along * roads.edge_f[edge, r.G_SIN]
        d = dx * dx + dy * dy
        if d < best:
            best = d
            found = np.int32(edge)
    pi[f.P_EDGE, j] = found
    pi[f.P_TO, j] = roads.edge_i[found, r.G_TO]
    pi[f.P_STATE, j] = WALKING


@kernel
def step_walker(
    roads: Roads,
    vf: F32,
    vi: I32,
    pf: F32,
    pi: I32,
    li: I32,
    j: int,
    k: int,
    tick: int,
    dt: float,
    jaywalk: float,
) -> bool:
    """Move one built-in pedestrian; True where it should be put elsewhere (it was hit and is gone)."""  # fmt: skip
    state = pi[f.P_STATE, j]
    if state == DOWN:
        face(pf, j, F(0.0), F(0.0))
        pf[f.P_WAIT, j] += dt
        return pf[f.P_WAIT, j] > DOWN_TIME
    edge = pi[f.P_EDGE, j]
    if state == AT_KERB:
        face(pf, j, F(0.0), F(0.0))
        pf[f.P_WAIT, j] += dt
        if (tick + j) % 4 == 0 and crossing_is_safe(roads, vf, vi, li, pf, pi, j, edge):
            pi[f.P_STATE, j] = CROSSING
            pf[f.P_WAIT, j] = F(0.0)
        return False
    if state == STEPPED_OUT:
        pf[f.P_AHEAD, j] -= pf[f.P_WISH, j] * dt
        vx = pf[f.COS, j] * pf[f.P_WISH, j]
        vy = pf[f.SIN, j] * pf[f.P_WISH, j]
        if pf[f.P_AHEAD, j] <= F(0.0):
            join_edge(roads, pf, pi, j)
    else:
        gx, gy = goal(roads, pf, pi, j)
        dx = gx - pf[f.X, j]
        dy = gy - pf[f.Y, j]
        rest = math.sqrt(dx * dx + dy * dy)
        pf[f.P_AHEAD, j] = rest
        if rest < F(0.3):
            pi[f.P_STATE, j] = WALKING
            next_edge(roads, pi, j, k, tick)
            if roads.edge_i[pi[f.P_EDGE, j], r.G_CROSSING] != 0:
                pi[f.P_STATE, j] = AT_KERB
                pf[f.P_WAIT, j] = F(0.0)
            return False
        pace = pf[f.P_WISH, j] * (F(1.2) if state == CROSSING else F(1.0))
        vx = dx / rest * pace
        vy = dy / rest * pace
        if state == WALKING and jaywalk > F(0.0):
            if uniform(k, tick, 70002 + 8 * j) < jaywalk * dt / F(60.0):
                lane, _s, lat = nearest_lane(roads, pf[f.X, j], pf[f.Y, j], pf[f.COS, j], pf[f.SIN, j])
                if lane >= 0 and abs(lat) < F(8.0) and roads.lane_i[lane, r.LN_JUNCTION] < 0:
                    p = roads.lane_i[lane, r.LN_FIRST] + np.int32(_s / roads.lane_f[lane, r.LN_SPACING])
                    sign = F(-1.0) if lat > F(0.0) else F(1.0)
                    vx = -sign * roads.point[p, r.R_SIN] * pf[f.P_WISH, j]
                    vy = sign * roads.point[p, r.R_COS] * pf[f.P_WISH, j]
                    pf[f.P_AHEAD, j] = F(2.0) * abs(lat) + F(6.0)
                    pi[f.P_STATE, j] = STEPPED_OUT
    if pi[f.P_STATE, j] >= CROSSING:
        if vehicle_in_the_way(vf, vi, pf[f.X, j] + F(0.6) * vx, pf[f.Y, j] + F(0.6) * vy):
            # round what stands there after a while
            pf[f.P_WAIT, j] += dt
            if pf[f.P_WAIT, j] < F(2.0):
                face(pf, j, F(0.0), F(0.0))
                return False
            side = F(1.0) if (j & 1) == 0 else F(-1.0)
            vx, vy = -vy * side, vx * side
            if vehicle_in_the_way(vf, vi, pf[f.X, j] + F(0.4) * vx, pf[f.Y, j] + F(0.4) * vy):
                face(pf, j, F(0.0), F(0.0))
                return False
        else:
            pf[f.P_WAIT, j] = F(0.0)
    face(pf, j, vx, vy)
    pf[f.X, j] += vx * dt
    pf[f.Y, j] += vy * dt
    return False


@kernel
def place_walker(roads: Roads, pf: F32, pi: I32, j: int, k: int, tick: int) -> None:
    """Put a fresh built-in pedestrian on a random sidewalk; leave the slot empty where there is none."""
    for row in range(pf.shape[0]):
        pf[row, j] = F(0.0)
    for row in range(pi.shape[0]):
        pi[row, j] = 0
    pf[f.COS, j] = F(1.0)
    edges = roads.edge_i.shape[0]
    if edges == 0:
        return
    for attempt in range(16):
        edge = choice(k, tick, 80000 + 32 * j + attempt, edges)
        if roads.edge_i[edge, r.G_CROSSING] == 0:
            a = roads.edge_i[edge, r.G_FROM]
            share = uniform(k, tick, 81000 + 8 * j)
            pi[f.P_MODE, j] = f.TRAFFIC
            pi[f.P_EDGE, j] = edge
            pi[f.P_TO, j] = roads.edge_i[edge, r.G_TO]
            pf[f.P_SIDE, j] = F(0.2) + F(0.6) * uniform(k, tick, 81001 + 8 * j)
            side = pf[f.P_SIDE, j] * roads.edge_f[edge, r.G_HALF]
            along = share * roads.edge_f[edge, r.G_LENGTH]
            pf[f.COS, j] = roads.edge_f[edge, r.G_COS]
            pf[f.SIN, j] = roads.edge_f[edge, r.G_SIN]
            pf[f.YAW, j] = arctan2(pf[f.SIN, j], pf[f.COS, j])
            pf[f.X, j] = roads.vertex[a, 0] + along * pf[f.COS, j] - side * pf[f.SIN, j]
            pf[f.Y, j] = roads.vertex[a, 1] + along * pf[f.SIN, j] + side * pf[f.COS, j]
            pf[f.Z, j] = roads.vertex[a, 2]
            pf[f.HALF_LENGTH, j] = F(0.3)
            pf[f.HALF_WIDTH, j] = F(0.3)
            pf[f.P_HALF_HEIGHT, j] = F(0.9)
            pf[f.P_WISH, j] = F(1.1) + F(0.6) * uniform(k, tick, 81002 + 8 * j)
            return
