"""VehicleControl: read from the wire, and written into the world and the snapshot, for one vehicle or many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim.server.actors import Actor
from sim.server.arguments import boolean, integer, items, number
from sim.world import fields as f

if TYPE_CHECKING:
    from sim.server.episode import Episode

Control = tuple[float, float, float, bool, bool, bool, int]
"""Throttle 0..1, steer -1..1, brake 0..1, hand brake, reverse, manual gear shift, gear: the order of the wire. Pedals
and wheel are held to their ranges when they are written."""
APPLY_VEHICLE_CONTROL = 2
"""Number of the command."""
SANE = 1e6


def parse(value: Any) -> Control:
    """From the wire; raises CallError."""
    given = items(value, 7, "control")
    throttle, steer, brake = (max(-SANE, min(SANE, number(v, "control"))) for v in given[:3])
    hand_brake, reverse, manual = (boolean(v, "control") for v in given[3:6])
    return throttle, steer, brake, hand_brake, reverse, manual, integer(given[6], -100, 100, "gear")


def well_formed(actors: dict[int, Actor], command: Any) -> tuple[Actor, Control] | None:
    """What a batch's ApplyVehicleControl says, without the checks' error texts: None for whatever is not in order.

    A Traffic Manager sends one for each of its vehicles in every tick.
    """
    try:
        [[kind, [actor, [throttle, steer, brake, hand_brake, reverse, manual, gear]]]] = command
    except (ValueError, TypeError):
        return None
    if not (
        type(kind) is int and kind == APPLY_VEHICLE_CONTROL and type(actor) is int
        and type(throttle) is float and -SANE < throttle < SANE and type(steer) is float and -SANE < steer < SANE
        and type(brake) is float and -SANE < brake < SANE and type(hand_brake) is bool and type(reverse) is bool
        and type(manual) is bool and type(gear) is int and -100 <= gear <= 100
    ):  # fmt: skip
        return None
    found = actors.get(actor)
    if found is None or found.vehicle is None:
        return None
    return found, (throttle, steer, brake, hand_brake, reverse, manual, gear)


def apply(episode: Episode, given: list[tuple[Actor, Control]]) -> None:
    """Let vehicles keep these controls from now on; where one comes twice, the last one counts."""
    for actor, _ in given:
        vehicle = actor.vehicle
        if vehicle is not None and vehicle.ackermann is not None:
            episode.follow_ackermann(actor, None)
        if vehicle is not None and not vehicle.sticky:
            episode.let_go_after_step(actor)
    slots, rows = [actor.slot for actor, _ in given], [actor.row for actor, _ in given]
    table = np.array([control for _, control in given], np.float32).T
    throttle, steer, brake = table[0].clip(0.0, 1.0), table[1].clip(-1.0, 1.0), table[2].clip(0.0, 1.0)
    hand_brake, reverse, manual, gear = table[3] > 0, table[4] > 0, table[5] > 0, table[6]
    b = episode.world.state.buffers
    backwards = np.where(manual, gear < 0, reverse)
    b.vf[0, f.THROTTLE, slots] = np.where(manual & (gear == 0), np.float32(0.0), throttle)
    b.vf[0, f.STEER, slots], b.vf[0, f.BRAKE, slots] = steer, brake
    b.vi[0, f.V_FLAGS, slots] = backwards * f.REVERSE + hand_brake * f.HAND_BRAKE
    union = episode.registry.snapshot.vehicles
    union["throttle"][rows], union["steer"][rows], union["brake"][rows] = throttle, steer, brake
    union["hand_brake"][rows], union["reverse"][rows], union["manual"][rows] = hand_brake, reverse, manual
    if manual.any():
        union["gear"][rows] = np.where(manual, gear, union["gear"][rows])
