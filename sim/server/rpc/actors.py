"""Actors: the library, spawning, destroying, placing, switching."""

from __future__ import annotations

from typing import Any

from sim.server.actors import Actor
from sim.server.arguments import Pose, Vec, boolean, integer, items, location, text, transform
from sim.server.blueprints import WIRE, Kind
from sim.server.errors import CallError
from sim.server.rpc.table import Style, method, value, void
from sim.server.simulation import Simulation

MAX_IDS = 100_000


@value
def get_actor_definitions(sim: Simulation) -> list[Any]:
    """The blueprint library."""
    return WIRE


@value
def get_actors_by_id(sim: Simulation, ids: Any) -> list[Any]:
    """Those of the actors that live."""
    wanted = items(ids, 0, "ids")
    if len(wanted) > MAX_IDS:
        raise CallError("too many ids")
    actors = sim.episode.registry.actors
    return [actors[i].wire() for i in wanted if type(i) is int and i in actors]


@value
def get_spectator(sim: Simulation) -> list[Any]:
    """The spectator's actor."""
    return sim.episode.spectator.wire()


def spawn(sim: Simulation, description: Any, pose: Any, parent: int = 0, attachment: int = 0) -> Actor:
    """Spawn from wire values."""
    uid, name, given = items(description, 3, "description")[:3]
    described = [integer(uid), text(name), items(given, 0, "attributes")]
    return sim.episode.spawn(described, transform(pose), parent, attachment)


@value
def spawn_actor(sim: Simulation, description: Any, pose: Any) -> list[Any]:
    """A new actor at a pose."""
    return spawn(sim, description, pose).wire()


@value
def spawn_actor_with_parent(
    sim: Simulation, description: Any, pose: Any, parent: Any, attachment: Any = 0, socket: Any = ""
) -> list[Any]:
    """A new actor that moves with its parent, rigidly or on a spring arm. No actor has sockets to name."""
    text(socket)
    return spawn(sim, description, pose, integer(parent), integer(attachment)).wire()


@value
def destroy_actor(sim: Simulation, actor: Any) -> bool:
    """Take an actor out of the world."""
    found = sim.episode.registry.actors.get(integer(actor))
    if found is None:
        raise CallError("unable to destroy actor: not found")
    sim.episode.destroy(found)
    return True


@void
def set_actor_transform(sim: Simulation, actor: Any, pose: Any) -> None:
    """Teleport; relative to its parent where it has one."""
    place(sim, sim.episode.registry.live(actor), transform(pose))


@void
def set_actor_location(sim: Simulation, actor: Any, where: Any) -> None:
    """Teleport, keeping the rotation."""
    found, spot = sim.episode.registry.live(actor), location(where)
    now = found.relative if found.parent and found.relative else sim.episode.registry.pose(found)
    place(sim, found, now._replace(x=spot.x, y=spot.y, z=spot.z))


def place(sim: Simulation, actor: Actor, pose: Pose) -> None:
    """Move an actor, or change where an attached one sits on its parent."""
    registry = sim.episode.registry
    if actor.parent and actor.parent in registry.actors:
        actor.relative = pose
        pose = registry.hung(actor, sim.episode.rays)
    sim.episode.place(actor, pose)


@void
def set_actor_simulate_physics(sim: Simulation, actor: Any, enabled: Any) -> None:
    """Without physics an actor moves by being placed only."""
    found, on = sim.episode.registry.live(actor), boolean(enabled)
    if found.vehicle is not None:
        found.vehicle.simulated = on
    sim.episode.bodies.set_mode(found, on)


@void
def set_actor_collisions(sim: Simulation, actor: Any, enabled: Any) -> None:
    """Let others pass through it, or not."""
    sim.episode.set_collisions(sim.episode.registry.live(actor), boolean(enabled))


@void
def set_actor_enable_gravity(sim: Simulation, actor: Any, enabled: Any) -> None:
    """Without it a vehicle's wheels press on nothing: no grip, no rolling resistance. Bodies stay on the ground."""
    found = sim.episode.registry.live(actor)
    falls = boolean(enabled)
    if found.vehicle is not None:
        found.vehicle.gravity = falls
        sim.episode.refresh_physics(found)


@void
def set_actor_dead(sim: Simulation, actor: Any) -> None:
    """A walker stops for good; a vehicle brakes for good."""
    found = sim.episode.registry.live(actor)
    if found.kind is Kind.WALKER:
        sim.episode.walk(found, Vec(1.0, 0.0, 0.0), 0.0, False)
    elif found.kind is Kind.VEHICLE:
        sim.episode.bodies.pedals(found.slot, 0.0, 0.0, 1.0, True, False)


@void
def set_actor_autopilot(sim: Simulation, actor: Any, enabled: Any) -> None:
    """Kept; the driving is done by the client's Traffic Manager."""
    found = sim.episode.registry.live(actor)
    if found.vehicle is not None:
        found.vehicle.autopilot = boolean(enabled)


@value
def get_actor_bounding_box(sim: Simulation, actor: Any) -> list[Any]:
    """Box in the actor's frame; also of one destroyed a moment ago, for the Traffic Manager."""
    return sim.episode.registry.known(actor).box


@value
def get_actor_component_names(sim: Simulation, actor: Any) -> list[str]:
    """An actor is one component here."""
    sim.episode.registry.known(actor)
    return ["root"]


@method(Style.VALUE, "get_actor_bone_names", "get_actor_socket_names")
def no_names(sim: Simulation, actor: Any) -> list[str]:
    """Bodies have no skeleton."""
    sim.episode.registry.known(actor)
    return []


@value
def get_actor_component_world_transform(sim: Simulation, actor: Any, component: Any) -> list[Any]:
    """That of the actor."""
    text(component)
    return sim.episode.registry.pose(sim.episode.registry.known(actor)).wire()


@value
def get_actor_component_relative_transform(sim: Simulation, actor: Any, component: Any) -> list[Any]:
    """Nothing: the one component is the root."""
    text(component)
    sim.episode.registry.known(actor)
    return Pose().wire()


@method(
    Style.VALUE,
    "get_actor_bone_world_transforms", "get_actor_bone_relative_transforms",
    "get_actor_socket_world_transforms", "get_actor_socket_relative_transforms",
)  # fmt: skip
def no_transforms(sim: Simulation, actor: Any) -> list[Any]:
    """Bodies have no skeleton."""
    sim.episode.registry.known(actor)
    return []
