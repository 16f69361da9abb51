"""Rays through the world: which bodies and which parts of the town they meet, in order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.sensors.labels import Tag
from sim.server.actors import Actor
from sim.server.arguments import Vec
from sim.server.blueprints import Kind
from sim.server.bodies import Bodies

if TYPE_CHECKING:
    from sim.sensors.lidar import RayCaster

BEHIND = 0.01
"""Metres behind a hit at which the same ray goes on."""
MOST_HITS = 256
"""Surfaces of the town that one ray is followed through."""


class Hit(NamedTuple):
    """What a ray meets: metres from its start, the point, the CityObjectLabel, and the actor (None for the town)."""

    distance: float
    point: Vec
    label: int
    actor: Actor | None


class Rays:
    """Casts rays against the bodies of an episode."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def cast(self, start: Vec, end: Vec, radius: float = 0.0, skip: int = 0) -> list[Hit]:
        """Bodies on the way from start to end, nearest first. `radius` thickens the ray; `skip` is an actor."""
        along = Vec(*(b - a for a, b in zip(start, end)))
        length = math.sqrt(along.x**2 + along.y**2 + along.z**2)
        if length < 1e-9:
            return []
        found = [hit for hit in self._bodies_hit(start, along, length, radius) if hit.actor and hit.actor.id != skip]
        return sorted(found, key=lambda hit: hit.distance)

    def nearest_actor(
        self, start: Vec, end: Vec, radius: float, skip: int, moving_only: bool
    ) -> tuple[Actor, float] | None:
        """The first actor on the way and how far, None for none; the town does not count."""
        for hit in self.cast(start, end, radius, skip):
            if hit.actor is not None and (not moving_only or hit.actor.kind in (Kind.VEHICLE, Kind.WALKER)):
                return hit.actor, hit.distance
        return None

    def top_of(self, vehicle: Actor) -> float:
        """Height of a vehicle's roof, metres."""
        group = self._bodies.world.state.vehicles
        return float(group.z[0, vehicle.slot] + 2 * group.half_height[0, vehicle.slot])

    def _bodies_hit(self, start: Vec, along: Vec, length: float, radius: float) -> Iterator[Hit]:
        state = self._bodies.world.state
        for group, who in (
            (state.vehicles, self._bodies.of_vehicle),
            (state.walkers, self._bodies.of_walker),
            (state.statics, self._bodies.of_prop),
        ):
            if not who:
                continue
            slots = np.fromiter(who, np.intp, len(who))
            cos, sin = group.cos[0, slots].astype(float), group.sin[0, slots].astype(float)
            dx, dy = start.x - group.x[0, slots], start.y - group.y[0, slots]
            tall = group.half_height[0, slots]
            origin = np.stack([dx * cos + dy * sin, dy * cos - dx * sin, start.z - group.z[0, slots] - tall])
            way = np.stack([along.x * cos + along.y * sin, along.y * cos - along.x * sin, np.full(len(slots), along.z)])
            half = np.stack([group.half_length[0, slots], group.half_width[0, slots], tall]) + radius
            with np.errstate(divide="ignore", invalid="ignore"):
                one, two = (-half - origin) / way, (half - origin) / way
            enter = np.nanmax(np.minimum(one, two), axis=0)
            leave = np.nanmin(np.maximum(one, two), axis=0)
            outside = ((way == 0) & (np.abs(origin) > half)).any(axis=0)
            for i in np.flatnonzero((enter <= leave) & (leave >= 0) & (enter <= 1) & ~outside):
                actor, t = who[int(slots[i])], max(float(enter[i]), 0.0)
                point = Vec(*(a + t * b for a, b in zip(start, along)))
                yield Hit(t * length, point, actor.tags[0] if actor.tags else int(Tag.UNLABELED), actor)


def town_hits(caster: RayCaster, start: Vec, end: Vec) -> list[Hit]:
    """What of the town lies between two points, nearest first: each thing once, however many faces the ray goes
    through, and each kind of ground.
    """
    origin = np.array(start, float)
    along = np.array(end, float) - origin
    length = float(np.linalg.norm(along))
    if length < 1e-9:
        return []
    way, gone = along / length, 0.0
    hits: list[Hit] = []
    seen: set[tuple[int, int]] = set()
    for _ in range(MOST_HITS):
        found = caster.cast((origin + gone * way).astype(np.float32), way[None].astype(np.float32), length - gone)
        if not np.isfinite(found.distance[0]):
            break
        gone += float(found.distance[0])
        what = int(found.instance[0]), int(found.tag[0])
        if what not in seen:
            hits.append(Hit(gone, Vec(*(origin + gone * way).tolist()), what[1], None))
            seen.add(what)
        gone += BEHIND
        if gone >= length:
            break
    return hits
