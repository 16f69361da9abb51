"""Rays through the world: which bodies and which ground they meet, in order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sim.roads.tables import LaneTables
from sim.server.actors import Actor
from sim.server.arguments import Vec
from sim.server.blueprints import Kind, Label
from sim.server.bodies import Bodies

ROADSIDE = 8.0
"""Metres beside a lane within which its height is taken for the ground's."""


class Hit(NamedTuple):
    """What a ray meets: metres from its start, the point, the CityObjectLabel, and the actor (None for ground)."""

    distance: float
    point: Vec
    label: int
    actor: Actor | None


class Rays:
    """Casts rays against the bodies of an episode and the ground of its town."""

    def __init__(self, tables: LaneTables, bodies: Bodies) -> None:
        self._tables, self._bodies = tables, bodies

    def cast(self, start: Vec, end: Vec, radius: float = 0.0, skip: int = 0) -> list[Hit]:
        """Everything on the way from start to end, nearest first. `radius` thickens the ray; `skip` is an actor."""
        along = Vec(*(b - a for a, b in zip(start, end)))
        length = math.sqrt(along.x**2 + along.y**2 + along.z**2)
        if length < 1e-9:
            return []
        found = [hit for hit in self._bodies_hit(start, along, length, radius) if hit.actor and hit.actor.id != skip]
        ground = self._ground(start, along, length)
        return sorted([*found, *ground], key=lambda hit: hit.distance)

    def nearest_actor(
        self, start: Vec, end: Vec, radius: float, skip: int, moving_only: bool
    ) -> tuple[Actor, float] | None:
        """The first actor on the way and how far, None for none; the ground does not count."""
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
                yield Hit(t * length, point, actor.tags[0] if actor.tags else int(Label.NONE), actor)

    def ground(self, x: float, y: float) -> tuple[float, int]:
        """(height, label) of the ground: that of the nearest lane, roads on it, terrain beside it."""
        t = self._tables
        if not len(t.x):
            return 0.0, Label.TERRAIN
        distance = np.hypot(t.x - x, t.y - y)
        nearest = int(distance.argmin())
        label = (
            Label.ROADS if distance[nearest] <= t.half_width[nearest] + 0.5 * float(t.spacing.max()) else Label.TERRAIN
        )
        return float(t.z[nearest]), label

    def _ground(self, start: Vec, along: Vec, length: float) -> list[Hit]:
        """Where the ray comes down through the ground (heights are taken twice: at its start and where that hits)."""
        if along.z == 0:
            return []
        height, _ = self.ground(start.x, start.y)
        for _ in range(3):
            t = (height - start.z) / along.z
            if not 0 <= t <= 1:
                return []
            x, y = start.x + t * along.x, start.y + t * along.y
            height, label = self.ground(x, y)
        return [Hit(t * length, Vec(x, y, height), label, None)]
