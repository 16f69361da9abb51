"""Friction triggers (static.trigger.friction): boxes in which wheels have another tire_friction."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sim.server.actors import Actor
from sim.server.physics import FRICTION, WHEELS

if TYPE_CHECKING:
    from sim.server.episode import Episode

FRICTION_TRIGGER = "static.trigger.friction"


@dataclass
class _Trigger:
    actor: Actor
    half: tuple[float, float, float]
    friction: float
    before: dict[int, list[float]] = field(default_factory=dict)
    """tire_friction of each wheel that the vehicles inside had outside, by actor id."""


class FrictionTriggers:
    """The triggers of an episode. A vehicle is inside while its origin is."""

    def __init__(self) -> None:
        self._triggers: list[_Trigger] = []
        self._gone: list[_Trigger] = []

    def add(self, actor: Actor) -> None:
        """A trigger came: attributes friction and extent_x, extent_y, extent_z (half the box, cm)."""
        x, y, z = (abs(actor.number(f"extent_{axis}", 1.0)) / 100.0 for axis in "xyz")
        self._triggers.append(_Trigger(actor, (x, y, z), max(actor.number("friction", 3.5), 0.0)))

    def forget(self, actor: Actor) -> None:
        """An actor is gone: a trigger, whose vehicles get their grip back at the next step, or a vehicle."""
        self._gone += [trigger for trigger in self._triggers if trigger.actor is actor]
        self._triggers = [trigger for trigger in self._triggers if trigger.actor is not actor]
        for trigger in self._triggers:
            trigger.before.pop(actor.id, None)

    def update(self, episode: Episode) -> None:
        """Change the grip of vehicles that entered or left a box."""
        while self._gone:
            self._leave(episode, self._gone.pop(), set())
        if not self._triggers:
            return
        rows = np.array([actor.row for actor in episode.bodies.of_vehicle.values()], np.intp)
        s = episode.registry.snapshot.rows
        places = np.stack([s["x"][rows], s["y"][rows], s["z"][rows]], 1)
        for trigger in self._triggers:
            pose = episode.registry.pose(trigger.actor)
            yaw = math.radians(pose.yaw)
            dx, dy = places[:, 0] - pose.x, places[:, 1] - pose.y
            along, across = dx * math.cos(yaw) + dy * math.sin(yaw), dy * math.cos(yaw) - dx * math.sin(yaw)
            x, y, z = trigger.half
            inside = (abs(along) <= x) & (abs(across) <= y) & (abs(places[:, 2] - pose.z) <= z)
            there = {episode.registry.by_row[row].id for row in rows[inside]}
            self._leave(episode, trigger, there)
            for number in sorted(there - set(trigger.before)):
                actor = episode.registry.actors[number]
                if actor.vehicle is not None:
                    wheels = actor.vehicle.physics[WHEELS]
                    trigger.before[number] = [wheel[FRICTION] for wheel in wheels]
                    _grip(episode, actor, [trigger.friction] * len(wheels))

    @staticmethod
    def _leave(episode: Episode, trigger: _Trigger, there: set[int]) -> None:
        for number in sorted(set(trigger.before) - there):
            before = trigger.before.pop(number)
            actor = episode.registry.actors.get(number)
            if actor is not None:
                _grip(episode, actor, before)


def _grip(episode: Episode, actor: Actor, friction: list[float]) -> None:
    """Give the wheels of a vehicle these frictions; its control is copied, the default one is shared."""
    if actor.vehicle is None:
        return
    physics = list(actor.vehicle.physics)
    physics[WHEELS] = [[value, *wheel[1:]] for value, wheel in zip(friction, physics[WHEELS])]
    actor.vehicle.physics = physics
    episode.refresh_physics(actor)
