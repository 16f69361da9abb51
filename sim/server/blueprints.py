"""The blueprint library: definitions as a client gets them, and what the server needs to know of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sim.sensors.labels import Tag
from sim.sensors.meshes.props import TAGS, shape_of
from sim.server.catalogue import (
    CHILDREN,
    OLD_GENERATION,
    PROPS,
    SENSORS,
    USES_WHEELCHAIR,
    VEHICLES,
    WALKERS,
    VehicleModel,
)
from sim.world.presets import BodyType


class Kind(IntEnum):
    """What an actor is to the server."""

    OTHER = 0
    VEHICLE = 1
    WALKER = 2
    SENSOR = 3
    PROP = 4
    CONTROLLER = 5
    LIGHT = 6
    SIGN = 7
    SPECTATOR = 8


ANY = 255
"""The CityObjectLabel that stands for all; the others are sensors' tags."""
BOOL, INT, FLOAT, STRING, COLOR = 1, 2, 3, 4, 5
_TYPES = {"bool": BOOL, "int": INT, "float": FLOAT, "str": STRING}
_TAGS: dict[BodyType, tuple[Tag, ...]] = {
    BodyType.CAR: (Tag.CAR,),
    BodyType.VAN: (Tag.CAR,),
    BodyType.TRUCK: (Tag.TRUCK,),
    BodyType.BUS: (Tag.BUS,),
    BodyType.MOTORCYCLE: (Tag.MOTORCYCLE, Tag.RIDER),
    BodyType.BICYCLE: (Tag.BICYCLE, Tag.RIDER),
}
"""What pictures show of a vehicle, its own tag first."""


@dataclass(frozen=True)
class Blueprint:
    """One thing that can be spawned. `half`: half extents in metres; `tags`: semantic tags that pictures show it in,
    its own first; `attributes`: id -> (type, default).
    """

    uid: int
    id: str
    kind: Kind
    half: tuple[float, float, float]
    tags: bytes
    wire: list[Any] = field(repr=False)
    attributes: dict[str, tuple[int, str]] = field(repr=False)
    vehicle: VehicleModel | None = None


def _attribute(
    name: str, kind: int, value: str, recommended: tuple[str, ...] = (), modifiable: bool = True, restrict: bool = False
) -> list[Any]:
    return [name, kind, value, list(recommended), modifiable, restrict]


def _fixed(name: str, kind: int, value: str) -> list[Any]:
    return _attribute(name, kind, value, (value,), False)


def _role(value: str) -> list[Any]:
    return _attribute("role_name", STRING, value, (value, "autopilot", "scenario", "hero", "ego_vehicle"))


def _vehicle_attributes(model: VehicleModel) -> list[list[Any]]:
    rows = [
        _fixed("object_type", STRING, ""),
        _fixed("base_type", STRING, model.base_type),
        _fixed("special_type", STRING, model.special_type),
        _fixed("generation", INT, str(model.generation)),
        _fixed("has_dynamic_doors", BOOL, "true" if model.doors else "false"),
        _fixed("has_lights", BOOL, "true" if model.lights else "false"),
        _fixed("number_of_wheels", INT, str(model.wheels)),
        _attribute("sticky_control", BOOL, "true"),
        _attribute("terramechanics", BOOL, "false"),
        _attribute("color", COLOR, model.colors[0], model.colors),
        _role("autopilot"),
    ]
    if model.wheels == 2:
        rows.insert(-1, _attribute("driver_id", INT, "0", tuple(str(n) for n in range(14))))
    return rows


def _walker_attributes(number: int) -> list[list[Any]]:
    age = "child" if number in CHILDREN else "adult"
    walk, run = ("1.1", "2.2") if age == "child" else ("1.4", "2.8")
    return [
        _fixed("gender", STRING, "male" if number % 2 else "female"),
        _fixed("age", STRING, age),
        _fixed("generation", INT, "1" if number <= OLD_GENERATION else "2"),
        _fixed("can_use_wheelchair", BOOL, "true" if number in USES_WHEELCHAIR else "false"),
        _attribute("use_wheelchair", BOOL, "false"),
        _attribute("speed", FLOAT, walk, ("0.0", walk, run)),
        _attribute("is_invincible", BOOL, "true"),
        _role("pedestrian"),
    ]


def _library() -> list[Blueprint]:
    found: list[Blueprint] = []

    def add(
        name: str, kind: Kind, half: tuple[float, float, float], tags: tuple[Tag, ...], rows: list[list[Any]],
        vehicle: VehicleModel | None = None,
    ) -> None:  # fmt: skip
        uid = len(found) + 1
        wire = [uid, name, name.replace(".", ","), rows]
        known = {row[0]: (row[1], row[2]) for row in rows}
        found.append(Blueprint(uid, name, kind, half, bytes(tags), wire, known, vehicle))

    for model in VEHICLES:
        add(model.id, Kind.VEHICLE, model.half, _TAGS[model.body], _vehicle_attributes(model), model)
    for number in range(1, WALKERS + 1):
        half = (0.15, 0.15, 0.55) if number in CHILDREN else (0.19, 0.19, 0.93)
        name = f"walker.pedestrian.{number:04d}"
        add(name, Kind.WALKER, half, (Tag.PEDESTRIAN,), _walker_attributes(number))
    for name, attributes in SENSORS.items():
        # scripts take the first recommended value for the default
        rows = [_attribute(key, _TYPES[kind], value, (value,)) for key, kind, value in attributes]
        add(name, Kind.SENSOR, (0.0, 0.0, 0.0), (), [*rows, _role("front")])
    add("controller.ai.walker", Kind.CONTROLLER, (0.0, 0.0, 0.0), (), [_role("default")])
    for name, size in PROPS.items():
        rows = [_fixed("size", STRING, "small" if max(size) < 0.35 else "medium" if max(size) < 1.0 else "big")]
        if name == "mesh":
            rows += [
                _attribute("mesh_path", STRING, ""),
                _attribute("scale", FLOAT, "1.0"),
                _attribute("mass", FLOAT, "0.0"),
            ]
        tag = TAGS.get(shape_of(name), Tag.DYNAMIC)
        add(f"static.prop.{name.replace(' ', '')}", Kind.PROP, size, (tag,), [*rows, _role("prop")])
    friction = [_attribute("friction", FLOAT, "3.5")] + [_attribute(f"extent_{a}", FLOAT, "1.0") for a in "xyz"]  # cm
    add("static.trigger.friction", Kind.OTHER, (1.0, 1.0, 1.0), (), [*friction, _role("trigger")])
    add("util.actor.empty", Kind.OTHER, (0.0, 0.0, 0.0), (), [_role("empty")])
    return found


LIBRARY: tuple[Blueprint, ...] = tuple(_library())
BY_ID: dict[str, Blueprint] = {blueprint.id: blueprint for blueprint in LIBRARY}
WIRE: list[Any] = [blueprint.wire for blueprint in LIBRARY]
"""The library as get_actor_definitions returns it."""
