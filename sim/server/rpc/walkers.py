"""Walkers: control and pose. Their AI runs in the client, which sends where each one is."""

from __future__ import annotations

from typing import Any

from sim.server import strides
from sim.server.actors import Actor, WalkerData
from sim.server.arguments import Pose, boolean, clamped, items, number, text, transform, vector
from sim.server.errors import CallError
from sim.server.frames import compose
from sim.server.rpc.table import value, void
from sim.server.simulation import Simulation
from sim.server.strides import FASTEST

BONES = ("crl_root", "crl_hips__C", "crl_spine__C", "crl_Head__C")
"""A walker is a box: four bones along its axis stand for a skeleton."""
_HEIGHTS = (0.0, 0.5, 0.65, 0.9)


def live(sim: Simulation, actor: Any) -> tuple[Actor, WalkerData]:
    """A living walker."""
    found = sim.episode.registry.live(actor)
    if found.walker is None:
        raise CallError(f"actor {found.id} is not a walker")
    return found, found.walker


@void
def apply_control_to_walker(sim: Simulation, actor: Any, control: Any) -> None:
    """Direction (world axes), speed in m/s, jump; kept until the next."""
    found, _ = live(sim, actor)
    given = items(control, 3, "walker control")
    sim.episode.walk(found, vector(given[0]), clamped(given[1], 0.0, FASTEST), boolean(given[2]))


def set_walker_state(sim: Simulation, actor: Any, pose: Any, speed: Any) -> None:
    """Where the client's navigation has a walker now, and how fast it walks."""
    found, _ = live(sim, actor)
    strides.apply(sim.episode, [(found, (*transform(pose), number(speed)))])


@value
def get_bones_transform(sim: Simulation, actor: Any) -> list[Any]:
    """[[name, world, component, relative]...] of four bones."""
    found = sim.episode.registry.known(actor)
    if found.walker is None or found.blueprint is None:
        raise CallError(f"actor {found.id} is not a walker")
    tall, here = 2 * found.blueprint.half[2], sim.episode.registry.pose(found)
    rows, below = [], 0.0
    for name, height in zip(BONES, _HEIGHTS):
        lift = tall * (height - 0.5)
        bone = found.walker.bones.get(name, Pose(z=lift))
        relative = bone._replace(z=bone.z - below)
        rows.append([name, compose(here, bone).wire(), bone.wire(), relative.wire()])
        below = bone.z
    return [rows]


@void
def set_bones_transform(sim: Simulation, actor: Any, bones: Any) -> None:
    """Kept and reported; bodies are boxes."""
    _, walker = live(sim, actor)
    for row in items(items(bones, 1, "bones")[0], 0, "bones")[:1000]:
        name, pose = items(row, 2, "bone")[:2]
        walker.bones[text(name)[:64]] = transform(pose)


@void
def blend_pose(sim: Simulation, actor: Any, blend: Any) -> None:
    """Kept."""
    live(sim, actor)[1].blend = number(blend)


@void
def get_pose_from_animation(sim: Simulation, actor: Any) -> None:
    """Back to the walker's own pose."""
    live(sim, actor)[1].bones.clear()
