# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Who is where on the lane graph in this step: lists by lane and by entrance, rebuilt each step, never part of a state."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.lanes import F32, I32
from sim.world.maths import F, kernel
from sim.world.roads import Roads

SIGHT = F(80.0)
"""Metres ahead that a driver looks for an entrance."""


class Scratch(NamedTuple):
    """Work space of a thread for one world at a time."""

    head: I32
    """[L] first vehicle (least s) on each lane, -1 none."""
    after: I32
    """[N] the next vehicle ahead on the same lane."""
    waiting: I32
    """[L] first of the vehicles that will enter this connecting lane next."""
    waiting_after: I32
    """[N]"""
    entrance: I32
    """[N] the connecting lane that a vehicle will enter next, -1 none in sight."""
    to_line: F32
    """[N] metres from its front bumper to that entrance's stop line."""
    hazard: I32
    """[H, 2] kind (0 vehicle, 1 pedestrian, 2 obstacle) and slot of what is not an orderly vehicle on its lane."""
    pair: I32
    """[max(N, K)] ids of the nearest objects; contacts of the last step."""
    distance: F32
    """[K] the same."""
    lights_left: F32
    """[J] seconds left of each junction's stage."""


@kernel
def new_scratch(lanes: int, vehicles: int, walkers: int, statics: int, nearest: int, junctions: int) -> Scratch:
    """Empty lists."""
    return Scratch(
        np.full(lanes, -1, np.int32),
        np.full(vehicles, -1, np.int32),
        np.full(lanes, -1, np.int32),
        np.full(vehicles, -1, np.int32),
        np.full(vehicles, -1, np.int32),
        np.zeros(vehicles, np.float32),
        np.zeros((vehicles + walkers + statics, 2), np.int32),
        np.zeros(max(nearest, vehicles), np.int32),
        np.zeros(nearest, np.float32),
        np.zeros(junctions, np.float32),
    )


@kernel
def find_entrance(roads: Roads, vf: F32, vi: I32, i: int) -> tuple[int, float]:
    """(connecting lane, metres from the front bumper to its stop line) of the next junction on the path."""
    lane = vi[f.V_LANE, i]
    distance = roads.lane_f[lane, r.LN_LENGTH] - vf[f.S, i] - vf[f.HALF_LENGTH, i]
    for n in range(3):
        following = vi[f.V_NEXT1 + n, i]
        if following < 0 or distance > SIGHT:
            break
        junction = roads.lane_i[following, r.LN_JUNCTION]
        if junction >= 0 and junction != roads.lane_i[lane, r.LN_JUNCTION]:
            return following, distance
        lane = following
        distance += roads.lane_f[lane, r.LN_LENGTH]
    return np.int32(-1), SIGHT


@kernel
def fill_lists(roads: Roads, t: Scratch, vf: F32, vi: I32, pi: I32, oi: I32) -> int:
    """Fill the lists for a world; returns the number of hazards. Undo with `clear_lists`."""
    hazards = 0
    for i in range(vf.shape[1]):
        t.entrance[i] = -1
        t.after[i] = -1
        mode = vi[f.V_MODE, i]
        if mode == f.ABSENT:
            continue
        lane = vi[f.V_LANE, i]
        half = F(1.75)
        listed = lane >= 0
        if listed:
            p = roads.lane_i[lane, r.LN_FIRST]
            half = roads.point[p, r.R_HALF]
            listed = mode == f.TRAFFIC or (abs(vf[f.LAT, i]) < half and abs(vf[f.HEADING, i]) < F(1.2))
        if listed:
            s = vf[f.S, i]
            j = t.head[lane]
            if j < 0 or s < vf[f.S, j]:
                t.after[i] = j
                t.head[lane] = i
            else:
                while t.after[j] >= 0 and vf[f.S, t.after[j]] <= s:
                    j = t.after[j]
                t.after[i] = t.after[j]
                t.after[j] = i
            if mode != f.PARKED:
                entrance, distance = find_entrance(roads, vf, vi, i)
                if entrance >= 0:
                    t.entrance[i] = entrance
                    t.to_line[i] = distance
                    t.waiting_after[i] = t.waiting[entrance]
                    t.waiting[entrance] = i
        if (
            not listed
            or vi[f.V_CHANGE_LANE, i] >= 0
            or roads.lane_i[lane, r.LN_JUNCTION] >= 0
            or vf[f.S, i] < vf[f.HALF_LENGTH, i]
            or (
                mode != f.TRAFFIC and (abs(vf[f.LAT, i]) + vf[f.HALF_WIDTH, i] > half or abs(vf[f.HEADING, i]) > F(0.4))
            )
        ):
            t.hazard[hazards, 0] = 0
            t.hazard[hazards, 1] = i
            hazards += 1
    for j in range(pi.shape[1]):
        # those who walk or wait on a sidewalk do not concern drivers
        if pi[f.P_MODE, j] != f.ABSENT and (pi[f.P_STATE, j] >= 2 or pi[f.P_MODE, j] != f.TRAFFIC):
            t.hazard[hazards, 0] = 1
            t.hazard[hazards, 1] = j
            hazards += 1
    for j in range(oi.shape[1]):
        if oi[f.O_MODE, j] != f.ABSENT:
            t.hazard[hazards, 0] = 2
            t.hazard[hazards, 1] = j
            hazards += 1
    return hazards


@kernel
def clear_lists(t: Scratch, vi: I32) -> None:
    """Empty the lists that `fill_lists` filled; a lane left since is known by V_CHANGE_LANE."""
    for i in range(vi.shape[1]):
        lane = vi[f.V_LANE, i]
        if lane >= 0:
            t.head[lane] = -1
        if vi[f.V_CHANGE_LANE, i] >= 0:
            t.head[vi[f.V_CHANGE_LANE, i]] = -1
        if t.entrance[i] >= 0:
            t.waiting[t.entrance[i]] = -1
