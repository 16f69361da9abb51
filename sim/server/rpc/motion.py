"""Velocities, impulses and forces on what moves by the world's physics: vehicles and walkers, in the plane."""

from __future__ import annotations

import math
from typing import Any

from sim.server.actors import Actor
from sim.server.arguments import Vec, vector
from sim.server.errors import CallError
from sim.server.frames import axes, rotate
from sim.server.rpc.table import void
from sim.server.simulation import Simulation


def moving(sim: Simulation, actor: Any) -> Actor:
    """A living vehicle or walker."""
    found = sim.episode.registry.live(actor)
    if found.vehicle is None and found.walker is None:
        raise CallError(f"actor {found.id} ({found.type_id}) does not move by physics")
    return found


@void
def set_actor_target_velocity(sim: Simulation, actor: Any, velocity: Any) -> None:
    """Velocity in world axes, m/s, from now on subject to physics."""
    found, wanted = moving(sim, actor), vector(velocity)
    if found.walker is not None:
        sim.episode.slides.set_velocity(found, found.walker, wanted)
    else:
        sim.episode.bodies.set_velocity(found, wanted)


@void
def set_actor_target_angular_velocity(sim: Simulation, actor: Any, spin: Any) -> None:
    """Degrees/s; the world turns about the vertical only."""
    found, degrees = moving(sim, actor), vector(spin).z
    if found.walker is not None:
        sim.episode.slides.set_spin(found, found.walker, degrees)
    else:
        sim.episode.bodies.set_spin(found, degrees)


@void
def enable_actor_constant_velocity(sim: Simulation, actor: Any, velocity: Any) -> None:
    """Hold a velocity in the vehicle's own axes, m/s."""
    sim.episode.keep_velocity(vehicle(sim, actor), vector(velocity))


@void
def disable_actor_constant_velocity(sim: Simulation, actor: Any) -> None:
    """Let physics have it again."""
    sim.episode.keep_velocity(vehicle(sim, actor), None)


def vehicle(sim: Simulation, actor: Any) -> Actor:
    """A living vehicle."""
    found = sim.episode.registry.live(actor)
    if found.vehicle is None:
        raise CallError(f"actor {found.id} ({found.type_id}) is not a vehicle")
    return found


def push(sim: Simulation, actor: Actor, impulse: Vec, spin: float) -> None:
    """Impulse in N s (world axes) and N m s about the vertical."""
    if actor.walker is not None:
        sim.episode.slides.push(actor, actor.walker, impulse, spin)
    else:
        sim.episode.bodies.push(actor, impulse, spin)


def push_centre(sim: Simulation, actor: Any, force: Any, seconds: float) -> None:
    """An impulse (1 s) or a force for one tick, at the centre of mass."""
    found, f = moving(sim, actor), vector(force)
    push(sim, found, Vec(f.x * seconds, f.y * seconds, 0.0), 0.0)


def push_at(sim: Simulation, actor: Any, force: Any, where: Any, seconds: float) -> None:
    """An impulse or force at a point in the actor's frame, metres."""
    found, f, at = moving(sim, actor), vector(force), vector(where)
    arm = rotate(axes(0.0, sim.episode.registry.pose(found).yaw, 0.0), at)
    push(sim, found, Vec(f.x * seconds, f.y * seconds, 0.0), (arm.x * f.y - arm.y * f.x) * seconds)


def twist(sim: Simulation, actor: Any, torque: Any, seconds: float) -> None:
    """An angular impulse (kg m^2 degrees/s, as Unreal has it), or a torque for one tick."""
    found = moving(sim, actor)
    push(sim, found, Vec(0.0, 0.0, 0.0), math.radians(vector(torque).z) * seconds)


def tick_seconds(sim: Simulation) -> float:
    """How long a force of one tick acts."""
    return sim.settings.fixed_delta or 1.0 / sim.rate


@void
def add_actor_impulse(sim: Simulation, actor: Any, impulse: Any) -> None:
    """N s at the centre of mass."""
    push_centre(sim, actor, impulse, 1.0)


@void
def add_actor_force(sim: Simulation, actor: Any, force: Any) -> None:
    """N at the centre of mass, for one tick."""
    push_centre(sim, actor, force, tick_seconds(sim))


@void
def add_actor_impulse_at_location(sim: Simulation, actor: Any, impulse: Any, where: Any) -> None:
    """N s at a point of the actor."""
    push_at(sim, actor, impulse, where, 1.0)


@void
def add_actor_force_at_location(sim: Simulation, actor: Any, force: Any, where: Any) -> None:
    """N at a point of the actor, for one tick."""
    push_at(sim, actor, force, where, tick_seconds(sim))


@void
def add_actor_angular_impulse(sim: Simulation, actor: Any, impulse: Any) -> None:
    """About the vertical."""
    twist(sim, actor, impulse, 1.0)


@void
def add_actor_torque(sim: Simulation, actor: Any, torque: Any) -> None:
    """About the vertical, for one tick."""
    twist(sim, actor, torque, tick_seconds(sim))
