"""WalkerState commands: where a client's navigation has its walkers now, written for many at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.server.actors import Actor
from sim.server.arguments import Vec
from sim.server.frames import wrap_degrees
from sim.world import fields as f

if TYPE_CHECKING:
    from sim.server.episode import Episode

Stride = tuple[float, float, float, float, float, float, float]
"""x, y, z in metres, pitch, yaw, roll in degrees, speed in m/s."""
SET_WALKER_STATE = 7
"""Number of the command."""
SANE = 1e6
FASTEST = 20.0
"""m/s"""


def well_formed(actors: dict[int, Actor], command: Any) -> tuple[Actor, Stride] | None:
    """What a batch's WalkerState says, without the checks' error texts: None for whatever is not in order.

    A client sends one for each walker that its AI leads in every tick.
    """
    try:
        [[kind, [actor, [[x, y, z], [pitch, yaw, roll]], speed]]] = command
    except (ValueError, TypeError):
        return None
    stride = (x, y, z, pitch, yaw, roll, speed)
    if type(kind) is not int or kind != SET_WALKER_STATE or type(actor) is not int:
        return None
    if not all(type(value) is float and -SANE < value < SANE for value in stride):
        return None
    found = actors.get(actor)
    if found is None or found.walker is None:
        return None
    return found, stride


def apply(episode: Episode, given: list[tuple[Actor, Stride]]) -> None:
    """Place walkers, which stay there until they are placed again; where one comes twice, the last place counts."""
    slots, rows = [actor.slot for actor, _ in given], [actor.row for actor, _ in given]
    table = []
    for actor, (x, y, z, pitch, yaw, roll, speed) in given:
        turn = math.radians(yaw)
        cos, sin, pace = math.cos(turn), math.sin(turn), min(max(speed, 0.0), FASTEST)
        if actor.walker is not None:
            actor.walker.direction, actor.walker.speed = Vec(cos, sin, 0.0), pace
        angles = wrap_degrees(pitch), wrap_degrees(yaw), wrap_degrees(roll)
        table.append((x, y, z, *angles, math.remainder(turn, 2 * math.pi), cos, sin, pace))
    x, y, z, pitch, yaw, roll, turn, cos, sin, pace = np.array(table).T
    b, walkers = episode.world.state.buffers, episode.registry.snapshot.walkers
    body = b.pf[0]
    body[f.X, slots], body[f.Y, slots] = x, y
    body[f.Z, slots] = z.astype(np.float32) - body[f.P_HALF_HEIGHT, slots]
    body[f.YAW, slots], body[f.COS, slots], body[f.SIN, slots] = turn, cos, sin
    body[f.P_VX, slots], body[f.P_VY, slots], body[f.P_SPEED, slots] = cos * pace, sin * pace, pace
    b.pi[0, f.P_MODE, slots] = f.KINEMATIC
    walkers["dx"][rows], walkers["dy"][rows], walkers["dz"][rows] = cos, sin, 0.0
    walkers["speed"][rows], walkers["jump"][rows] = pace, 0
    motion = episode.registry.snapshot.rows
    motion["x"][rows], motion["y"][rows], motion["z"][rows] = x, y, z
    motion["pitch"][rows], motion["yaw"][rows], motion["roll"][rows] = pitch, yaw, roll
