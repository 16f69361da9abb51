"""Walkers that are pushed: what impulses, forces and target velocities add to their walk, until friction has taken it.

A walker's velocity in the world is that of its walk plus that of its slide. The slide loses friction x g m/s each
second; a turn that was given loses what friction under a disc of the body's width takes.
"""

from __future__ import annotations

import math

from sim.server.actors import Actor, Registry, WalkerData
from sim.server.arguments import Vec
from sim.server.sensors import GRAVITY
from sim.world import fields as f
from sim.world.world import World

MASS = 75.0
"""kg; what the world takes pedestrians to weigh in collisions."""
FRICTION = 0.6
"""Of soles on the ground."""
FASTEST = 1000.0
"""m/s and rad/s of the hardest push."""


class Slides:
    """The walkers of an episode that were pushed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sliding: dict[int, tuple[Actor, WalkerData]] = {}

    def push(self, actor: Actor, walker: WalkerData, impulse: Vec, spin: float = 0.0) -> None:
        """Impulse in N s (world axes) and N m s about the vertical; both in the plane."""
        if actor.slot >= 0:
            vx, vy, turn = walker.slide
            inertia = 0.5 * MASS * self._radius(actor) ** 2
            self._begin(actor, walker, vx + impulse.x / MASS, vy + impulse.y / MASS, turn + spin / inertia)

    def set_velocity(self, actor: Actor, walker: WalkerData, velocity: Vec) -> None:
        """Let a walker have this velocity now, m/s in world axes, whatever its walk is."""
        walk = walker.walk()
        self._begin(actor, walker, velocity.x - walk.x, velocity.y - walk.y, walker.slide[2])

    def set_spin(self, actor: Actor, walker: WalkerData, degrees: float) -> None:
        """Let a walker turn at this rate now, degrees/s."""
        self._begin(actor, walker, *walker.slide[:2], math.radians(degrees))

    def _begin(self, actor: Actor, walker: WalkerData, *slide: float) -> None:
        vx, vy, turn = (min(max(value, -FASTEST), FASTEST) for value in slide)
        walker.slide = (vx, vy, turn)
        self._sliding[actor.id] = (actor, walker)

    def forget(self, actor: Actor) -> None:
        """It is gone."""
        self._sliding.pop(actor.id, None)

    def before_step(self) -> None:
        """Give the world's walkers their velocities."""
        for actor, walker in self._sliding.values():
            self._write(actor, walker)

    def after_step(self, registry: Registry, dt: float) -> None:
        """Turn them, take what friction takes, and let go those that slide no more."""
        for actor, walker in list(self._sliding.values()):
            walker.slide = vx, vy, turn = self._later(actor, walker, dt)
            registry.snapshot.rows["wz"][actor.row] = math.degrees(turn)
            self._write(actor, walker)
            if vx == vy == turn == 0.0:
                del self._sliding[actor.id]

    def _later(self, actor: Actor, walker: WalkerData, dt: float) -> tuple[float, float, float]:
        """The slide after dt seconds, in which the body turned. One that is placed from outside does not slide."""
        body = self._world.state.buffers
        if body.pi[0, f.P_MODE, actor.slot] != f.EXTERNAL:
            return 0.0, 0.0, 0.0
        (vx, vy, turn), row = walker.slide, body.pf[0, :, actor.slot]
        yaw = math.remainder(float(row[f.YAW]) + turn * dt, 2 * math.pi)
        row[f.YAW], row[f.COS], row[f.SIN] = yaw, math.cos(yaw), math.sin(yaw)
        speed, lost = math.hypot(vx, vy), FRICTION * GRAVITY * dt
        share = max(0.0, 1.0 - lost / speed) if speed > 0.0 else 0.0
        # the friction's moment 2/3 mu m g r against the moment of inertia m r^2 / 2
        slower = 4.0 / 3.0 * FRICTION * GRAVITY / self._radius(actor) * dt
        return vx * share, vy * share, math.copysign(max(0.0, abs(turn) - slower), turn)

    def _radius(self, actor: Actor) -> float:
        return max(float(self._world.state.buffers.pf[0, f.HALF_WIDTH, actor.slot]), 0.1)

    def _write(self, actor: Actor, walker: WalkerData) -> None:
        row, walk = self._world.state.buffers.pf[0, :, actor.slot], walker.walk()
        row[f.P_VX], row[f.P_VY] = walk.x + walker.slide[0], walk.y + walker.slide[1]
