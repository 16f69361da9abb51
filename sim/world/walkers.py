# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Pedestrians: along sidewalks, over crossings when they may, sometimes where they should not."""

from __future__ import annotations

import math

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.lanes import F32, I32, nearest_lane
from sim.world.maths import F, arctan2, kernel, part
from sim.world.random import choice, uniform
from sim.world.roads import Grid, Lanes, Walk

WALKING, AT_KERB, CROSSING, STEPPED_OUT, DOWN = range(5)
NO_ROAD = F(1e9)
"""P_ROAD_Z of who is on the graph."""
DOWN_TIME = F(20.0)
"""Seconds that one who was hit lies before walking on elsewhere."""
KERB_PATIENCE = F(12.0)
"""Seconds after which a pedestrian relies on drivers who can stop."""


@part
def face(pf: F32, j: int, vx: float, vy: float) -> None:
    """Set velocity, and the heading that goes with it."""
    dx = vx - pf[f.P_VX, j]
    dy = vy - pf[f.P_VY, j]
    if dx * dx + dy * dy < F(1e-4):
        return  # within a centimetre a second: straight on
    pf[f.P_VX, j] = vx
    pf[f.P_VY, j] = vy
    speed = math.sqrt(vx * vx + vy * vy)
    pf[f.P_SPEED, j] = speed
    if speed > F(0.05):
        pf[f.YAW, j] = arctan2(vy, vx)
        pf[f.COS, j] = vx / speed
        pf[f.SIN, j] = vy / speed


@kernel
def crossing_is_safe(walk: Walk, vf: F32, vi: I32, li: I32, pf: F32, pi: I32, j: int, edge: int) -> bool:
    """The light allows it and every moving vehicle leaves time (or, for who has waited long, can stop)."""
    for row in range(walk.edge_i[edge, r.G_LIGHT], walk.edge_i[edge, r.G_LIGHT_END]):
        if li[f.L_STATE, walk.light[row]] != f.RED:
            return False
    length = walk.edge_f[edge, r.G_LENGTH]
    cos = walk.edge_f[edge, r.G_COS]
    sin = walk.edge_f[edge, r.G_SIN]
    start = walk.edge_i[edge, r.G_FROM]
    need = length / pf[f.P_WISH, j]
    patient = pf[f.P_WAIT, j] < KERB_PATIENCE
    half = walk.edge_f[edge, r.G_HALF]
    for i in range(vf.shape[1]):
        if vi[f.V_MODE, i] == f.ABSENT:
            continue
        dx = vf[f.X, i] - walk.vertex[start, 0]
        dy = vf[f.Y, i] - walk.vertex[start, 1]
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


@part
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
def next_edge(walk: Walk, pi: I32, j: int, k: int, tick: int) -> None:
    """Choose where to go on from the vertex reached; back only where there is no other way."""
    vertex = pi[f.P_TO, j]
    first = walk.vertex_first[vertex]
    n = walk.vertex_first[vertex + 1] - first
    pick = choice(k, tick, 70000 + 8 * j, n)
    if n > 1 and walk.vertex_edge[first + pick] == pi[f.P_EDGE, j]:
        pick = (pick + 1 + choice(k, tick, 70001 + 8 * j, n - 1)) % n
    edge = walk.vertex_edge[first + pick]
    pi[f.P_EDGE, j] = edge
    pi[f.P_TO, j] = walk.edge_i[edge, r.G_TO] if walk.edge_i[edge, r.G_FROM] == vertex else walk.edge_i[edge, r.G_FROM]


@part
def goal(walk: Walk, pf: F32, pi: I32, j: int) -> tuple[float, float]:
    """The place that a pedestrian walks to: the end of its edge, on its own side of it."""
    edge = pi[f.P_EDGE, j]
    to = pi[f.P_TO, j]
    sign = F(1.0) if walk.edge_i[edge, r.G_TO] == to else F(-1.0)
    side = pf[f.P_SIDE, j] * walk.edge_f[edge, r.G_HALF]
    x = walk.vertex[to, 0] - sign * walk.edge_f[edge, r.G_SIN] * side
    y = walk.vertex[to, 1] + sign * walk.edge_f[edge, r.G_COS] * side
    return x, y


@part
def set_height(walk: Walk, pf: F32, pi: I32, j: int) -> None:
    """Height of the ground: that of the sidewalk, or of the road between the kerbs and beside the sidewalk."""
    edge = pi[f.P_EDGE, j]
    a = walk.edge_i[edge, r.G_FROM]
    dx = pf[f.X, j] - walk.vertex[a, 0]
    dy = pf[f.Y, j] - walk.vertex[a, 1]
    length = walk.edge_f[edge, r.G_LENGTH]
    along = dx * walk.edge_f[edge, r.G_COS] + dy * walk.edge_f[edge, r.G_SIN]
    along = min(max(along, F(0.0)), length)
    z = walk.edge_f[edge, r.G_Z] + along * walk.edge_f[edge, r.G_RISE]
    if walk.edge_i[edge, r.G_CROSSING] != 0:
        if along > walk.edge_f[edge, r.G_KERB] and along < walk.edge_f[edge, r.G_FAR_KERB]:
            drop = walk.edge_f[edge, r.G_DROP]
            z -= drop + (walk.edge_f[edge, r.G_FAR_DROP] - drop) * along / length
    elif pf[f.P_ROAD_Z, j] < NO_ROAD:
        across = dy * walk.edge_f[edge, r.G_COS] - dx * walk.edge_f[edge, r.G_SIN]
        if abs(across) > walk.edge_f[edge, r.G_HALF]:
            z = pf[f.P_ROAD_Z, j]
        elif pi[f.P_STATE, j] == WALKING:
            pf[f.P_ROAD_Z, j] = NO_ROAD
    pf[f.Z, j] = z


@kernel
def join_edge(walk: Walk, pf: F32, pi: I32, j: int) -> None:
    """Back onto the nearest sidewalk after a walk over the road."""
    best = F(1e9)
    found = np.int32(0)
    for edge in range(walk.edge_i.shape[0]):
        if walk.edge_i[edge, r.G_CROSSING] != 0:
            continue
        a = walk.edge_i[edge, r.G_FROM]
        dx = pf[f.X, j] - walk.vertex[a, 0]
        dy = pf[f.Y, j] - walk.vertex[a, 1]
        along = dx * walk.edge_f[edge, r.G_COS] + dy * walk.edge_f[edge, r.G_SIN]
        along = min(max(along, F(0.0)), walk.edge_f[edge, r.G_LENGTH])
        dx -= along * walk.edge_f[edge, r.G_COS]
        dy -= along * walk.edge_f[edge, r.G_SIN]
        d = dx * dx + dy * dy
        if d < best:
            best = d
            found = np.int32(edge)
    pi[f.P_EDGE, j] = found
    pi[f.P_TO, j] = walk.edge_i[found, r.G_TO]
    pi[f.P_STATE, j] = WALKING


@part
def step_walker(
    roads: Lanes,
    grid: Grid,
    walk: Walk,
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
        if (tick + j) % 4 == 0 and crossing_is_safe(walk, vf, vi, li, pf, pi, j, edge):
            pi[f.P_STATE, j] = CROSSING
            pf[f.P_WAIT, j] = F(0.0)
        return False
    if state == STEPPED_OUT:
        pf[f.P_AHEAD, j] -= pf[f.P_WISH, j] * dt
        vx = pf[f.COS, j] * pf[f.P_WISH, j]
        vy = pf[f.SIN, j] * pf[f.P_WISH, j]
        if pf[f.P_AHEAD, j] <= F(0.0):
            join_edge(walk, pf, pi, j)
    else:
        gx, gy = goal(walk, pf, pi, j)
        dx = gx - pf[f.X, j]
        dy = gy - pf[f.Y, j]
        rest = math.sqrt(dx * dx + dy * dy)
        pf[f.P_AHEAD, j] = rest
        if rest < F(0.3):
            pi[f.P_STATE, j] = WALKING
            next_edge(walk, pi, j, k, tick)
            if walk.edge_i[pi[f.P_EDGE, j], r.G_CROSSING] != 0:
                pi[f.P_STATE, j] = AT_KERB
                pf[f.P_WAIT, j] = F(0.0)
            return False
        pace = pf[f.P_WISH, j] * (F(1.2) if state == CROSSING else F(1.0))
        vx = dx / rest * pace
        vy = dy / rest * pace
        # whether to step out is drawn once in ten steps
        stray = state == WALKING and jaywalk > F(0.0) and (tick + j) % 10 == 0
        if stray and uniform(k, tick, 70002 + 8 * j) < F(10.0) * jaywalk * dt / F(60.0):
            lane, _s, lat = nearest_lane(roads, grid, pf[f.X, j], pf[f.Y, j], pf[f.Z, j], pf[f.COS, j], pf[f.SIN, j])
            if lane >= 0 and abs(lat) < F(8.0) and roads.lane_i[lane, r.LN_JUNCTION] < 0:
                p = roads.lane_i[lane, r.LN_FIRST] + np.int32(_s / roads.lane_f[lane, r.LN_SPACING])
                sign = F(-1.0) if lat > F(0.0) else F(1.0)
                vx = -sign * roads.point[p, r.R_SIN] * pf[f.P_WISH, j]
                vy = sign * roads.point[p, r.R_COS] * pf[f.P_WISH, j]
                pf[f.P_AHEAD, j] = F(2.0) * abs(lat) + F(6.0)
                pf[f.P_ROAD_Z, j] = roads.point[p, r.R_Z]
                pi[f.P_STATE, j] = STEPPED_OUT
    if pi[f.P_STATE, j] >= CROSSING:
        if vehicle_in_the_way(vf, vi, pf[f.X, j] + F(0.6) * vx, pf[f.Y, j] + F(0.6) * vy):
            # round what stands there after a while, by the other side where that leads nowhere
            pf[f.P_WAIT, j] += dt
            if pf[f.P_WAIT, j] < F(2.0):
                face(pf, j, F(0.0), F(0.0))
                return False
            side = F(1.0) if ((np.int32(pf[f.P_WAIT, j] * F(0.25)) + j) & 1) == 0 else F(-1.0)
            vx, vy = -vy * side, vx * side
            if vehicle_in_the_way(vf, vi, pf[f.X, j] + F(0.4) * vx, pf[f.Y, j] + F(0.4) * vy):
                face(pf, j, F(0.0), F(0.0))
                return False
        else:
            pf[f.P_WAIT, j] = max(pf[f.P_WAIT, j] - dt, F(0.0))
    face(pf, j, vx, vy)
    pf[f.X, j] += vx * dt
    pf[f.Y, j] += vy * dt
    set_height(walk, pf, pi, j)
    return False


@kernel
def place_walker(walk: Walk, pf: F32, pi: I32, j: int, k: int, tick: int) -> None:
    """Put a fresh built-in pedestrian on a random sidewalk; leave the slot empty where there is none."""
    for row in range(pf.shape[0]):
        pf[row, j] = F(0.0)
    for row in range(pi.shape[0]):
        pi[row, j] = 0
    pf[f.COS, j] = F(1.0)
    edges = walk.edge_i.shape[0]
    if edges == 0:
        return
    for attempt in range(16):
        edge = choice(k, tick, 80000 + 32 * j + attempt, edges)
        if walk.edge_i[edge, r.G_CROSSING] == 0:
            a = walk.edge_i[edge, r.G_FROM]
            share = uniform(k, tick, 81000 + 8 * j)
            pi[f.P_MODE, j] = f.TRAFFIC
            pi[f.P_EDGE, j] = edge
            pi[f.P_TO, j] = walk.edge_i[edge, r.G_TO]
            pf[f.P_SIDE, j] = F(0.2) + F(0.6) * uniform(k, tick, 81001 + 8 * j)
            side = pf[f.P_SIDE, j] * walk.edge_f[edge, r.G_HALF]
            along = share * walk.edge_f[edge, r.G_LENGTH]
            pf[f.COS, j] = walk.edge_f[edge, r.G_COS]
            pf[f.SIN, j] = walk.edge_f[edge, r.G_SIN]
            pf[f.YAW, j] = arctan2(pf[f.SIN, j], pf[f.COS, j])
            pf[f.X, j] = walk.vertex[a, 0] + along * pf[f.COS, j] - side * pf[f.SIN, j]
            pf[f.Y, j] = walk.vertex[a, 1] + along * pf[f.SIN, j] + side * pf[f.COS, j]
            pf[f.P_ROAD_Z, j] = NO_ROAD
            set_height(walk, pf, pi, j)
            pf[f.HALF_LENGTH, j] = F(0.3)
            pf[f.HALF_WIDTH, j] = F(0.3)
            pf[f.P_HALF_HEIGHT, j] = F(0.9)
            pf[f.P_WISH, j] = F(1.1) + F(0.6) * uniform(k, tick, 81002 + 8 * j)
            return
