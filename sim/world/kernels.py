# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""The kernels that World calls: reset, step and observe, parallel over worlds.

Worlds are dealt out in blocks, each with its own work space. No world reads another, and random numbers depend on the
world and its tick alone, so the result does not depend on the number of threads.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from sim.world import fields as f
from sim.world import roads as r
from sim.world.collide import overlap, respond
from sim.world.dynamics import advance, turn_wheel
from sim.world.egos import judge, locate, next_line, show_line
from sim.world.emergency import make_way
from sim.world.lane_change import consider
from sim.world.lanes import F32, I32, find_lane, follow_lane
from sim.world.maths import F, kernel, parallel_kernel, part, sincos, wrap
from sim.world.observe import TruthArrays, observe_ego
from sim.world.random import key
from sim.world.roads import Conflicts, Grid, Lanes, Lights, Roads, Walk
from sim.world.scratch import ENTRANCE, TOUCHED, Scratch, clear_lists, fill_lists, new_scratch
from sim.world.signals import reset_signals, step_signals
from sim.world.spawn import clear_vehicle, place_traffic, start_ego
from sim.world.state import Buffers
from sim.world.traffic import decide, move_traffic
from sim.world.walkers import DOWN, place_walker, step_walker

BLOCK = 8
"""Worlds that share one work space."""
STUCK_LIMIT = F(240.0)
"""Seconds at a standstill after which a built-in vehicle is taken away (and counted): what traffic cannot resolve."""
LIGHT_SIGHT = F(40.0)
LOOK = 3
"""Steps between two looks of a driver at the others of a junction."""


@part
def move_vehicle(vf: F32, vi: I32, i: int, dt: float, substeps: int) -> None:
    """Advance vehicle i of one world by dt in substeps, from its pedals and wheel."""
    step = dt / F(substeps)
    flags = vi[f.V_FLAGS, i]
    sin_pitch, _ = sincos(vf[f.PITCH, i])
    start = vf[f.SPEED, i]
    for _ in range(substeps):
        vf[f.WHEEL, i] = turn_wheel(
            vf[f.WHEEL, i], vf[f.STEER, i], vf[f.SPEED, i], vf[f.MAX_WHEEL, i], vf[f.WHEEL_RATE, i], step
        )
        speed, side, rate = advance(
            vf[f.SPEED, i], vf[f.SIDE_SPEED, i], vf[f.YAW_RATE, i], vf[f.WHEEL, i], vf[f.THROTTLE, i], vf[f.BRAKE, i],
            (flags & f.REVERSE) != 0, (flags & f.HAND_BRAKE) != 0, sin_pitch, vf[f.MASS, i], vf[f.INERTIA, i],
            vf[f.WHEELBASE, i], vf[f.MU, i], vf[f.POWER, i], vf[f.FORCE, i], vf[f.BRAKE_FORCE, i], vf[f.DRAG, i],
            vf[f.ROLL, i], vf[f.TOP_SPEED, i], step,
        )  # fmt: skip
        turn = F(0.5) * (vf[f.YAW_RATE, i] + rate) * step
        sin, cos = sincos(vf[f.YAW, i] + F(0.5) * turn)
        along = F(0.5) * (vf[f.SPEED, i] + speed)
        across = F(0.5) * (vf[f.SIDE_SPEED, i] + side)
        vf[f.SIDE_ACCEL, i] = (side - vf[f.SIDE_SPEED, i]) / step + speed * rate
        vf[f.X, i] += (along * cos - across * sin) * step
        vf[f.Y, i] += (along * sin + across * cos) * step
        vf[f.YAW, i] = wrap(vf[f.YAW, i] + turn)
        vf[f.SPEED, i] = speed
        vf[f.SIDE_SPEED, i] = side
        vf[f.YAW_RATE, i] = rate
    vf[f.ACCEL, i] = (vf[f.SPEED, i] - start) / dt
    vf[f.SIN, i], vf[f.COS, i] = sincos(vf[f.YAW, i])


@part
def take_control(control: F32, vf: F32, e: int) -> None:
    """Pedals and wheel of an ego; what is not finite counts as 0."""
    for c in range(3):
        value = control[e, c]
        low = F(-1.0) if c == 2 else F(0.0)
        if not (value >= low):
            value = low if value < low else F(0.0)
        vf[f.THROTTLE + c, e] = min(value, F(1.0))


@kernel
def think(roads: Roads, b: Buffers, t: Scratch, w: int, k: int, tick: int, dt: float) -> None:
    """The decisions of all built-in vehicles of world w: accelerations, grants, one lane change."""
    vf, vi, pf, pi, of, oi = b.vf[w], b.vi[w], b.pf[w], b.pi[w], b.of[w], b.oi[w]
    jf, li = b.jf[w], b.li[w]
    for j in range(jf.shape[1]):
        t.lights_left[j] = jf[f.J_STAGE_TIME, j] - jf[f.J_ELAPSED, j]
    hazards = fill_lists(roads.lanes, t, vf, vi, pf, pi, of, oi)
    flags = np.int32(0)
    for i in range(vf.shape[1]):
        flags |= vi[f.V_FLAGS, i]
        vf[f.SHIFT, i] = F(0.0)
    if (flags & f.EMERGENCY) != 0:
        make_way(roads.lanes, t, vf, vi)
    changed = False
    for i in range(vf.shape[1]):
        mode = vi[f.V_MODE, i]
        if mode == f.ABSENT or mode == f.PARKED:
            continue
        entrance = t.links[ENTRANCE, i]
        light = -1
        if entrance >= 0 and t.to_line[i] < LIGHT_SIGHT:
            light = roads.lanes.lane_i[entrance, r.LN_LIGHT]
        vi[f.V_LIGHT, i] = li[f.L_STATE, light] if light >= 0 else f.LIGHT_NONE
        if mode != f.TRAFFIC:
            continue
        standing = vf[f.SPEED, i] < F(0.1)
        vf[f.STUCK, i] = vf[f.STUCK, i] + dt if standing else F(0.0)
        vf[f.HELD, i] = vf[f.HELD, i] + dt if standing and vi[f.V_GRANT, i] >= 0 else F(0.0)
        if standing and entrance >= 0 and t.to_line[i] < F(6.0):
            vf[f.WAIT, i] += dt
        decide(
            roads.lanes, roads.conflicts, t, vf, vi, pf, pi, of, li, t.lights_left, hazards, i, (tick + i) % LOOK == 0
        )
        vf[f.CHANGE_TIMER, i] -= dt
        lane = vi[f.V_LANE, i]
        if vi[f.V_CHANGE_LANE, i] >= 0 and abs(vf[f.LAT, i]) < F(0.5):
            vi[f.V_CHANGE_LANE, i] = -1
        if vf[f.CHANGE_TIMER, i] < F(0.0):
            # think again in a second, unless the change is done
            vf[f.CHANGE_TIMER, i] = F(1.0)
            if (
                not changed
                and vi[f.V_CHANGE_LANE, i] < 0
                and (roads.lanes.lane_i[lane, r.LN_LEFT] >= 0 or roads.lanes.lane_i[lane, r.LN_RIGHT] >= 0)
            ):
                changed = consider(roads.lanes, t, vf, vi, i, k, tick)
    clear_lists(t, vi)


@kernel
def move(
    roads: Roads, presets: F32, shares: F32, b: Buffers, w: int, k: int, tick: int, dt: float, substeps: int
) -> None:
    """Move everything in world w and find the lanes again."""
    vf, vi, pf, pi = b.vf[w], b.vi[w], b.pf[w], b.pi[w]
    of, oi, li, wf = b.of[w], b.oi[w], b.li[w], b.wf
    egos = b.ei.shape[2]
    for i in range(vf.shape[1]):
        mode = vi[f.V_MODE, i]
        if mode == f.TRAFFIC:
            x = vf[f.X, i]
            y = vf[f.Y, i]
            move_traffic(roads.lanes, vf, vi, i, dt)
            moved = vf[f.X, i] != x or vf[f.Y, i] != y
            ended = moved and follow_lane(roads.lanes, vf, vi, i, k, tick)
            stuck = vf[f.STUCK, i] > STUCK_LIMIT
            if ended or stuck:
                b.wi[w, f.W_EXITS if ended else f.W_REMOVED] += 1
                place_traffic(
                    roads.lanes, roads.start, presets, shares, vf, vi, of, oi, i, k, tick, wf[w, f.W_SPEED_FACTOR],
                    wf[w, f.W_EMERGENCY], True,
                )  # fmt: skip
        elif mode == f.EXTERNAL:
            move_vehicle(vf, vi, i, dt, substeps)
            if i >= egos or b.ei[w, f.E_ROUTE_POINTS, i] < 2:
                find_lane(roads.lanes, roads.grid, vf, vi, i)
        elif mode == f.KINEMATIC or (mode == f.PARKED and vi[f.V_LANE, i] < 0):
            find_lane(roads.lanes, roads.grid, vf, vi, i)
    for j in range(pf.shape[1]):
        if pi[f.P_MODE, j] == f.TRAFFIC:
            if step_walker(roads.lanes, roads.grid, roads.walk, vf, vi, pf, pi, li, j, k, tick, dt, wf[w, f.W_JAYWALK]):
                place_walker(roads.walk, pf, pi, j, k, tick)
        elif pi[f.P_MODE, j] == f.EXTERNAL:
            pf[f.X, j] += pf[f.P_VX, j] * dt
            pf[f.Y, j] += pf[f.P_VY, j] * dt


@kernel
def note(b: Buffers, w: int, kind: int, i: int, other: int, j: int, impulse: tuple[float, float, float, float]) -> None:
    """Add a contact to the list while there is room."""
    n = b.wi[w, f.W_CONTACTS]
    if n >= b.contact.shape[1]:
        return
    b.contact[w, n, 0] = kind
    b.contact[w, n, 1] = i
    b.contact[w, n, 2] = other
    b.contact[w, n, 3] = j
    b.contact_impulse[w, n, 0] = impulse[0]
    b.contact_impulse[w, n, 1] = impulse[1]
    b.contact_impulse[w, n, 2] = impulse[2]
    b.contact_impulse[w, n, 3] = impulse[3]
    b.wi[w, f.W_CONTACTS] = n + 1


@kernel
def collide(b: Buffers, w: int, response: bool) -> None:
    """Find all contacts of vehicles with vehicles, pedestrians and obstacles; write touch bits; push if asked to."""
    vf, vi, pf, pi, of, oi = b.vf[w], b.vi[w], b.pf[w], b.pi[w], b.of[w], b.oi[w]
    b.wi[w, f.W_CONTACTS] = 0
    nothing = (F(0.0), F(0.0), F(0.0), F(0.0))
    n = vf.shape[1]
    for i in range(n):
        vi[f.V_TOUCH, i] = 0
    for j in range(pf.shape[1]):
        pi[f.P_TOUCH, j] = 0
    obstacles = 0
    for j in range(of.shape[1]):
        oi[f.O_TOUCH, j] = 0
        if oi[f.O_MODE, j] != f.ABSENT:
            obstacles = j + 1
    for i in range(n):
        if vi[f.V_MODE, i] == f.ABSENT:
            continue
        x, y = vf[f.X, i], vf[f.Y, i]
        size = vf[f.HALF_LENGTH, i] + vf[f.HALF_WIDTH, i]
        for j in range(i + 1, n):
            dx = vf[f.X, j] - x
            dy = vf[f.Y, j] - y
            reach = size + vf[f.HALF_LENGTH, j] + vf[f.HALF_WIDTH, j]
            if dx * dx + dy * dy > reach * reach or vi[f.V_MODE, j] == f.ABSENT:
                continue
            if overlap(vf, i, vf, j) > F(0.0):
                vi[f.V_TOUCH, i] |= 1
                vi[f.V_TOUCH, j] |= 1
                impulse = nothing
                if response:
                    # what is moved from outside pushes and is not pushed
                    first, second = i, j
                    if vi[f.V_MODE, i] == f.KINEMATIC:
                        first, second = j, i
                    vx = vf[f.SPEED, second] * vf[f.COS, second] - vf[f.SIDE_SPEED, second] * vf[f.SIN, second]
                    vy = vf[f.SPEED, second] * vf[f.SIN, second] + vf[f.SIDE_SPEED, second] * vf[f.COS, second]
                    impulse = respond(
                        vf, first, vf, second, vx, vy, vf[f.MASS, second], vf[f.INERTIA, second],
                        vi[f.V_MODE, second] != f.KINEMATIC,
                    )  # fmt: skip
                    if first != i:
                        impulse = (-impulse[0], -impulse[1], impulse[2], impulse[3])
                note(b, w, 0, i, 0, j, impulse)
        for j in range(pf.shape[1]):
            dx = pf[f.X, j] - x
            dy = pf[f.Y, j] - y
            reach = size + F(1.0)
            if dx * dx + dy * dy > reach * reach or pi[f.P_MODE, j] == f.ABSENT:
                continue
            if overlap(vf, i, pf, j) > F(0.0):
                vi[f.V_TOUCH, i] |= 2
                pi[f.P_TOUCH, j] |= 1
                closing = vf[f.SPEED, i] * vf[f.SPEED, i] + vf[f.SIDE_SPEED, i] * vf[f.SIDE_SPEED, i]
                mass = F(75.0)
                impulse = nothing
                if response and closing > F(0.01):
                    speed = vf[f.SPEED, i]
                    impulse = (
                        -mass * speed * vf[f.COS, i], -mass * speed * vf[f.SIN, i], pf[f.X, j], pf[f.Y, j],
                    )  # fmt: skip
                    vf[f.SPEED, i] -= speed * mass / (vf[f.MASS, i] + mass)
                if closing > F(1.0) and pi[f.P_MODE, j] == f.TRAFFIC and pi[f.P_STATE, j] != DOWN:
                    pi[f.P_STATE, j] = DOWN
                    pf[f.P_WAIT, j] = F(0.0)
                note(b, w, 0, i, 1, j, impulse)
        for j in range(obstacles):
            dx = of[f.X, j] - x
            dy = of[f.Y, j] - y
            reach = size + of[f.HALF_LENGTH, j] + of[f.HALF_WIDTH, j]
            if dx * dx + dy * dy > reach * reach or oi[f.O_MODE, j] == f.ABSENT:
                continue
            if overlap(vf, i, of, j) > F(0.0):
                vi[f.V_TOUCH, i] |= 4
                oi[f.O_TOUCH, j] |= 1
                impulse = nothing
                if response and vi[f.V_MODE, i] != f.KINEMATIC:
                    impulse = respond(vf, i, of, j, F(0.0), F(0.0), F(1.0), F(1.0), False)
                note(b, w, 0, i, 2, j, impulse)


@kernel
def step_world(
    roads: Roads,
    presets: F32,
    shares: F32,
    b: Buffers,
    t: Scratch,
    control: F32,
    w: int,
    dt: float,
    substeps: int,
    response: bool,
) -> None:
    """One step of world w."""  # fmt: skip
    vf, vi = b.vf[w], b.vi[w]
    egos = b.ei.shape[2]
    k = key(b.wi[w, f.W_SEED], b.wi[w, f.W_EPISODE])
    tick = b.wi[w, f.W_TICK] + 1
    for e in range(control.shape[1]):
        if vi[f.V_MODE, e] == f.EXTERNAL:
            take_control(control[w], vf, e)
    step_signals(roads.lights, b.jf[w], b.ji[w], b.lf[w], b.li[w], dt)
    think(roads, b, t, w, k, tick, dt)
    for e in range(egos):
        t.links[TOUCHED, e] = vi[f.V_TOUCH, e]
    move(roads, presets, shares, b, w, k, tick, dt, substeps)
    collide(b, w, response)
    for e in range(egos):
        if vi[f.V_MODE, e] != f.ABSENT:
            judge(
                roads.lanes,
                roads.grid,
                vf,
                vi,
                b.li[w],
                b.ef[w],
                b.ei[w],
                b.route[w, e],
                b.route_lane[w, e],
                e,
                t.links[TOUCHED, e],
                dt,
            )
    b.wi[w, f.W_TICK] = tick
    b.wf[w, f.W_TIME] += dt


@parallel_kernel
def step_worlds(
    lanes: Lanes,
    conflicts: Conflicts,
    grid: Grid,
    lights: Lights,
    walk: Walk,
    start: I32,
    presets: F32,
    shares: F32,
    b: Buffers,
    control: F32,
    dt: float,
    substeps: int,
    response: bool,
) -> None:
    """One step of all worlds."""  # fmt: skip
    worlds = b.vf.shape[0]
    for block in numba.prange((worlds + BLOCK - 1) // BLOCK):
        t = new_scratch(lanes.lane_i.shape[0], b.vf.shape[2], b.pf.shape[2] + b.of.shape[2], b.jf.shape[2])
        for w in range(block * BLOCK, min((block + 1) * BLOCK, worlds)):
            roads = Roads(lanes, conflicts, grid, lights, walk, start)
            step_world(roads, presets, shares, b, t, control, w, dt, substeps, response)


@kernel
def reset_world(roads: Roads, presets: F32, shares: F32, b: Buffers, w: int, length: float) -> None:
    """World w afresh, from its next episode's random numbers."""
    vf, vi, pf, pi, of, oi = b.vf[w], b.vi[w], b.pf[w], b.pi[w], b.of[w], b.oi[w]
    b.wi[w, f.W_EPISODE] += 1
    b.wi[w, f.W_TICK] = 0
    b.wi[w, f.W_EXITS] = 0
    b.wi[w, f.W_REMOVED] = 0
    b.wi[w, f.W_CONTACTS] = 0
    b.wf[w, f.W_TIME] = F(0.0)
    k = key(b.wi[w, f.W_SEED], b.wi[w, f.W_EPISODE])
    b.contact[w] = 0
    b.contact_impulse[w] = F(0.0)
    reset_signals(roads.lights, b.jf[w], b.ji[w], b.lf[w], b.li[w], k)
    for j in range(of.shape[1]):
        for row in range(of.shape[0]):
            of[row, j] = F(0.0)
        for row in range(oi.shape[0]):
            oi[row, j] = 0
        of[f.COS, j] = F(1.0)
    egos = b.ei.shape[2]
    for i in range(vf.shape[1]):
        clear_vehicle(vf, vi, i)
    for e in range(egos):
        start_ego(
            roads.lanes,
            roads.start,
            presets,
            vf,
            vi,
            of,
            oi,
            b.ef[w],
            b.ei[w],
            b.route[w],
            b.route_lane[w],
            e,
            k,
            length,
        )
    cars = np.int32(b.wf[w, f.W_DENSITY] * F(vf.shape[1] - egos) + F(0.5))
    for i in range(egos, egos + cars):
        place_traffic(
            roads.lanes, roads.start, presets, shares, vf, vi, of, oi, i, k, 0, b.wf[w, f.W_SPEED_FACTOR],
            b.wf[w, f.W_EMERGENCY], True,
        )  # fmt: skip
    people = np.int32(b.wf[w, f.W_WALKER_DENSITY] * F(pf.shape[1]) + F(0.5))
    for j in range(pf.shape[1]):
        place_walker(roads.walk, pf, pi, j, k, 0)
        if j >= people:
            pi[f.P_MODE, j] = f.ABSENT
    for e in range(egos):
        locate(roads.lanes, roads.grid, vf, vi, b.ef[w], b.ei[w], b.route[w, e], b.route_lane[w, e], e)
        front = np.int32(b.ef[w, f.E_ALONG, e] + vf[f.HALF_LENGTH, e]) + 1
        b.ei[w, f.E_STOP_POINT, e] = next_line(roads.lanes, b.ei[w], b.route_lane[w, e], e, front)
        show_line(roads.lanes, b.li[w], b.ef[w], b.ei[w], b.route_lane[w, e], e)


@parallel_kernel
def reset_worlds(
    lanes: Lanes,
    conflicts: Conflicts,
    grid: Grid,
    lights: Lights,
    walk: Walk,
    start: I32,
    presets: F32,
    shares: F32,
    b: Buffers,
    mask: NDArray[np.bool_],
    length: float,
) -> None:
    """Reset the worlds of `mask`."""
    for w in numba.prange(b.vf.shape[0]):
        if mask[w]:
            roads = Roads(lanes, conflicts, grid, lights, walk, start)
            reset_world(roads, presets, shares, b, w, length)


@parallel_kernel
def observe_worlds(b: Buffers, classes: I32, out: TruthArrays) -> None:
    """Write the truth of all egos."""
    worlds = b.vf.shape[0]
    for block in numba.prange((worlds + BLOCK - 1) // BLOCK):
        ids = np.zeros(out.objects.shape[2], np.int32)
        distance = np.zeros(out.objects.shape[2], np.float32)
        for w in range(block * BLOCK, min((block + 1) * BLOCK, worlds)):
            for e in range(b.ei.shape[2]):
                observe_ego(
                    ids, distance, classes, b.vf[w], b.vi[w], b.pf[w], b.pi[w], b.of[w], b.oi[w], b.ef[w], b.ei[w],
                    b.route[w, e], out, w, e,
                )  # fmt: skip
