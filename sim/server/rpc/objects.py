"""The static scene: boxes, environment objects, textures, rays."""

from __future__ import annotations

from typing import Any

from sim.sensors.labels import Tag
from sim.server.actors import Actor
from sim.server.arguments import Vec, boolean, integer, items, location, number, vector
from sim.server.blueprints import ANY, Kind
from sim.server.errors import CallError
from sim.server.frames import axes, rotate
from sim.server.landscape import FIRST_ID, Thing
from sim.server.rays import Hit, town_hits
from sim.server.rpc.table import Style, method, needs_scene, value, void
from sim.server.simulation import Simulation


def _labelled(sim: Simulation, label: int) -> list[Actor]:
    """Lights, signs and props that carry a label (255: all of them)."""
    standing = sim.episode.registry.of_kind(Kind.LIGHT, Kind.SIGN, Kind.PROP)
    return [actor for actor in standing if label == ANY or (actor.tags and actor.tags[0] == label)]


def _things(sim: Simulation, label: int) -> list[Thing]:
    """The scene's own things that carry a label; the server calls this once the scene stands."""
    from sim.server.stage import stage_of  # takes a second to load

    return [thing for thing in stage_of(sim.episode.town).result().things if label == ANY or thing.label == label]


def _world_box(sim: Simulation, actor: Actor) -> list[Any]:
    pose = sim.episode.registry.pose(actor)
    centre = rotate(axes(pose.pitch, pose.yaw, pose.roll), Vec(*actor.box[0]))
    at = [pose.x + centre.x, pose.y + centre.y, pose.z + centre.z]
    return [at, list(actor.box[1]), [pose.pitch, pose.yaw, pose.roll], actor.id]


def _box(thing: Thing) -> list[Any]:
    return [list(thing.centre), list(thing.half), [0.0, 0.0, 0.0], 0]


@needs_scene
@value
def get_all_level_BBs(sim: Simulation, label: Any) -> list[Any]:
    """World boxes of what stands in the town: traffic lights, signs, props, and the scene's buildings, poles, trees."""
    wanted = integer(label, 0, 255, "label")
    return [
        *(_world_box(sim, actor) for actor in _labelled(sim, wanted)), *(_box(thing) for thing in _things(sim, wanted)),
    ]  # fmt: skip


@needs_scene
@value
def get_environment_objects(sim: Simulation, label: Any) -> list[Any]:
    """The same as objects: [transform, box, id, name, label]."""
    wanted = integer(label, 0, 255, "label")
    return [
        [sim.episode.registry.pose(a).wire(), _world_box(sim, a), a.id, _name(a), a.tags[0] if a.tags else 0]
        for a in _labelled(sim, wanted)
    ] + [
        [[list(thing.centre), [0.0, 0.0, 0.0]], _box(thing), thing.id, _name_of(thing), thing.label]
        for thing in _things(sim, wanted)
    ]


def _name(actor: Actor) -> str:
    return f"{actor.type_id.replace('.', '_')}_{actor.id}"


def _name_of(thing: Thing) -> str:
    return f"{Tag(thing.label).name.title()}_{thing.id - FIRST_ID}"


@void
def enable_environment_objects(sim: Simulation, ids: Any, enabled: Any) -> None:
    """Let things through props that are switched off; nothing else has a body to switch."""
    on = boolean(enabled)
    for number_ in items(ids, 0, "ids"):
        actor = sim.episode.registry.actors.get(integer(number_, 0, (1 << 64) - 1))
        if actor is not None and actor.kind is Kind.PROP:
            sim.episode.set_collisions(actor, on)


@needs_scene
@value
def get_names_of_all_objects(sim: Simulation) -> list[str]:
    """Names of the environment objects."""
    return [_name(actor) for actor in _labelled(sim, ANY)] + [_name_of(t) for t in _things(sim, ANY)]


@method(Style.VOID, "apply_color_texture_to_objects", "apply_float_color_texture_to_objects")
def apply_texture(sim: Simulation, names: Any, material: Any, texture: Any) -> None:
    """Refused: surfaces here have no textures to replace."""
    raise CallError("this server cannot replace textures")


@needs_scene
@value
def project_point(sim: Simulation, start: Any, direction: Any, distance: Any) -> list[Any]:
    """[hit, [point, label]] of the first thing in a direction within a distance, metres."""
    origin, way, far = location(start), vector(direction), number(distance, "distance")
    length = (way.x**2 + way.y**2 + way.z**2) ** 0.5
    nothing = [False, [[0.0, 0.0, 0.0], int(Tag.UNLABELED)]]
    if length < 1e-9 or not 0 < far < 1e7:
        return nothing
    hits = _cast(sim, origin, Vec(*(a + far * b / length for a, b in zip(origin, way))))
    return [True, [list(hits[0].point), hits[0].label]] if hits else nothing


@needs_scene
@value
def cast_ray(sim: Simulation, start: Any, end: Any) -> list[Any]:
    """[point, label] of everything between two points."""
    return [[list(hit.point), hit.label] for hit in _cast(sim, location(start), location(end))]


def _cast(sim: Simulation, start: Vec, end: Vec) -> list[Hit]:
    """Bodies and parts of the town between two points, nearest first; the server calls this once the scene stands."""
    from sim.server.stage import stage_of  # takes a second to load

    town = town_hits(stage_of(sim.episode.town).result().fixed, start, end)
    return sorted([*sim.episode.rays.cast(start, end), *town], key=lambda hit: hit.distance)
