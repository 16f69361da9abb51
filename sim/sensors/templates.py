"""The small meshes that actors are put together from: bodies, wheels, people, props, each fine and coarse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.sensors.labels import Tag
from sim.sensors.mesh import Geometry, Mesh
from sim.sensors.meshes import people, props, two_wheelers, vehicles, wheels
from sim.sensors.meshes.designs import DESIGNS, TRUCK_CAB, Body

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
PEDAL_PHASES = 8
CARS = (Body.SEDAN, Body.HATCHBACK, Body.SUV, Body.VAN, Body.TRUCK, Body.BUS)
BODIES = len(Body)


@dataclass(frozen=True)
class Templates:
    """Every template one after another: `mesh`; `vertex`, `triangle` [n + 1] where each begins; `low`, `high` [n, 3]

    boxes. Numbers of templates, the last index 0 coarse and 1 fine: `body` [8, 2] (cars and larger), `wheel` [8, 2],
    `motorcycle` [looks, 2], `bicycle` [looks, phases, 2], `walker` [looks, phases + 1 (standing), 2], `prop`
    [shapes, 2]. By kind: `spots` [8, 4, 2] x, y of the wheels, `wheels` [8] their number, `radius` [8].
    """

    mesh: Geometry
    vertex: NDArray[np.int64]
    triangle: NDArray[np.int64]
    low: F32
    high: F32
    body: I32
    wheel: I32
    motorcycle: I32
    bicycle: I32
    walker: I32
    prop: I32
    spots: F32
    wheels: I32
    radius: F32


def _wheels() -> tuple[F32, I32, F32]:
    spots, number, radius = (
        np.zeros((BODIES, 4, 2), np.float32),
        np.zeros(BODIES, np.int32),
        np.zeros(BODIES, np.float32),
    )
    for body in CARS:
        d = DESIGNS.get(body, TRUCK_CAB)
        track = d.width / 2 - (0.095 if d.wheel < 0.4 else 0.145)
        spots[body] = [(x, y) for x in d.axles for y in (-track, track)]
        number[body], radius[body] = 4, d.wheel
    for body, key in ((Body.MOTORCYCLE, "motorcycle"), (Body.BICYCLE, "bicycle")):
        half = two_wheelers.WHEELBASE[key] / 2
        spots[body, :2] = [(-half, 0.0), (half, 0.0)]
        number[body], radius[body] = 2, two_wheelers.RADIUS[key]
    return spots, number, radius


def make_templates() -> tuple[Templates, Mesh]:
    """All forms of all bodies, wheels, people and props (about 230 small meshes), and their triangles' looks."""
    meshes: list[Mesh] = []

    def add(mesh: Mesh) -> int:
        meshes.append(mesh)
        return len(meshes) - 1

    body, wheel = np.zeros((BODIES, 2), np.int32), np.zeros((BODIES, 2), np.int32)
    motorcycle = np.zeros((people.LOOKS, 2), np.int32)
    bicycle = np.zeros((people.LOOKS, PEDAL_PHASES, 2), np.int32)
    walker = np.zeros((people.LOOKS, people.PHASES + 1, 2), np.int32)
    prop = np.zeros((len(props.Shape), 2), np.int32)
    for fine in (True, False):
        for kind in CARS:
            body[kind, int(fine)] = add(vehicles.body(kind, fine))
            d = DESIGNS.get(kind, TRUCK_CAB)
            tag = {Body.TRUCK: Tag.TRUCK, Body.BUS: Tag.BUS}.get(kind, Tag.CAR)
            wheel[kind, int(fine)] = add(wheels.wheel(d.wheel, 0.21 if d.wheel < 0.4 else 0.30, tag, fine))
        for look in range(people.LOOKS):
            motorcycle[look, int(fine)] = add(two_wheelers.motorcycle(look, fine))
            for phase in range(PEDAL_PHASES if fine else 1):
                made = add(two_wheelers.bicycle(look, phase, PEDAL_PHASES, fine))
                bicycle[look, phase if fine else slice(None), int(fine)] = made
            for phase in range(people.PHASES + 1):
                walker[look, phase, int(fine)] = add(people.walker(look, phase, fine))
        wheel[Body.MOTORCYCLE, int(fine)] = add(wheels.wheel(0.31, 0.13, Tag.MOTORCYCLE, fine))
        wheel[Body.BICYCLE, int(fine)] = add(wheels.wheel(0.34, 0.035, Tag.BICYCLE, fine, thin=True))
        for shape in props.Shape:
            prop[shape, int(fine)] = add(props.prop(shape, fine))
    vertex = np.cumsum([0, *(len(m.position) for m in meshes)])
    triangle = np.cumsum([0, *(m.size for m in meshes)])
    names = ("position", "normal", "face", "uv", "material", "semantic", "instance", "color")
    mesh = Mesh(*(np.concatenate([getattr(m, name) for m in meshes]) for name in names))
    low = np.array([m.position.min(0) for m in meshes], np.float32)
    high = np.array([m.position.max(0) for m in meshes], np.float32)
    return Templates(
        mesh.bare(), vertex, triangle, low, high, body, wheel, motorcycle, bicycle, walker, prop, *_wheels()
    ), mesh  # fmt: skip
