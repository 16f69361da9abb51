# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Who is where on the lane graph in this step: lists by lane and by entrance, rebuilt each step, not state."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.world import fields as f
from sim.world import roads as r
from sim.world.lanes import F32, I32
from sim.world.maths import F, allocating_kernel, kernel, part
from sim.world.roads import Lanes

SIGHT = F(80.0)
"""Metres ahead that a driver looks for an entrance."""


# rows of Scratch.heads and Scratch.links
HEAD, WAITING = range(2)
AFTER, WAITING_AFTER, ENTRANCE, TOUCHED = range(4)


class Scratch(NamedTuple):
    """Work space of a thread for one world at a time."""

    heads: I32
    """[2, L] first vehicle (least s) on each lane; first of those that will enter this connecting lane next."""
    links: I32
    """[4, N] the next vehicle ahead on the same lane; the next that waits for the same entrance; the connecting lane
    that a vehicle will enter next, -1 none in sight; V_TOUCH before the step."""
    to_line: F32
    """[N] metres from the front bumper to the stop line of the next entrance."""
    hazard: I32
    """[H, 2] kind (0 vehicle, 1 pedestrian, 2 obstacle) and slot of what is not an orderly vehicle on its lane."""
    place: F32
    """[2, H] where the hazards are."""
    lights_left: F32
    """[J] seconds left of each junction's stage."""


@allocating_kernel
def new_scratch(lanes: int, vehicles: int, others: int, junctions: int) -> Scratch:
    """Empty lists."""
    return Scratch(
        np.full((2, lanes), -1, np.int32),
        np.full((4, vehicles), -1, np.int32),
        np.zeros(vehicles, np.float32),
        np.zeros((vehicles + others, 2), np.int32),
        np.zeros((2, vehicles + others), np.float32),
        np.zeros(junctions, np.float32),
    )


@part
def find_entrance(roads: Lanes, vf: F32, vi: I32, i: int) -> tuple[int, float]:
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
def fill_lists(roads: Lanes, t: Scratch, vf: F32, vi: I32, pf: F32, pi: I32, of: F32, oi: I32) -> int:
    """Fill the lists for a world; returns the number of hazards. Undo with `clear_lists`."""
    hazards = 0
    for i in range(vf.shape[1]):
        t.links[ENTRANCE, i] = -1
        t.links[AFTER, i] = -1
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
            j = t.heads[HEAD, lane]
            if j < 0 or s < vf[f.S, j]:
                t.links[AFTER, i] = j
                t.heads[HEAD, lane] = i
            else:
                while t.links[AFTER, j] >= 0 and vf[f.S, t.links[AFTER, j]] <= s:
                    j = t.links[AFTER, j]
                t.links[AFTER, i] = t.links[AFTER, j]
                t.links[AFTER, j] = i
            if mode != f.PARKED:
                entrance, distance = find_entrance(roads, vf, vi, i)
                if entrance >= 0:
                    t.links[ENTRANCE, i] = entrance
                    t.to_line[i] = distance
                    t.links[WAITING_AFTER, i] = t.heads[WAITING, entrance]
                    t.heads[WAITING, entrance] = i
        if (
            not listed
            or vi[f.V_CHANGE_LANE, i] >= 0
            or vf[f.SHIFT, i] < F(0.0)
            or roads.lane_i[lane, r.LN_JUNCTION] >= 0
            or vf[f.S, i] < vf[f.HALF_LENGTH, i]
            or (
                mode != f.TRAFFIC and (abs(vf[f.LAT, i]) + vf[f.HALF_WIDTH, i] > half or abs(vf[f.HEADING, i]) > F(0.4))
            )
        ):
            t.hazard[hazards, 0] = 0
            t.hazard[hazards, 1] = i
            t.place[0, hazards] = vf[f.X, i]
            t.place[1, hazards] = vf[f.Y, i]
            hazards += 1
    for j in range(pi.shape[1]):
        # those who walk or wait on a sidewalk do not concern drivers
        if pi[f.P_MODE, j] != f.ABSENT and (pi[f.P_STATE, j] >= 2 or pi[f.P_MODE, j] != f.TRAFFIC):
            t.hazard[hazards, 0] = 1
            t.hazard[hazards, 1] = j
            t.place[0, hazards] = pf[f.X, j]
            t.place[1, hazards] = pf[f.Y, j]
            hazards += 1
    for j in range(oi.shape[1]):
        if oi[f.O_MODE, j] != f.ABSENT:
            t.hazard[hazards, 0] = 2
            t.hazard[hazards, 1] = j
            t.place[0, hazards] = of[f.X, j]
            t.place[1, hazards] = of[f.Y, j]
            hazards += 1
    return hazards


@part
def clear_lists(t: Scratch, vi: I32) -> None:
    """Empty the lists that `fill_lists` filled; a lane left since is known by V_CHANGE_LANE."""
    for i in range(vi.shape[1]):
        lane = vi[f.V_LANE, i]
        if lane >= 0:
            t.heads[HEAD, lane] = -1
        if vi[f.V_CHANGE_LANE, i] >= 0:
            t.heads[HEAD, vi[f.V_CHANGE_LANE, i]] = -1
        if t.links[ENTRANCE, i] >= 0:
            t.heads[WAITING, t.links[ENTRANCE, i]] = -1
