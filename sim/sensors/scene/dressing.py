"""Dresses a town by rule and seed: buildings along the roads, trees, lamps, furniture, lights, signs, a skyline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.roads.network import RoadNetwork
from sim.sensors.mesh import Mesh
from sim.sensors.meshes import buildings, furniture, plants
from sim.sensors.meshes.furniture import LAMP_ARM
from sim.sensors.meshes.shapes import turn
from sim.sensors.scene.assembly import Collector
from sim.sensors.scene.occupancy import Occupancy
from sim.sensors.scene.placed import Placed
from sim.sensors.scene.profile import KERB
from sim.sensors.scene.roadside import Side, place_on, rectangle, sides
from sim.sensors.scene.signals import lights_and_signs
from sim.sensors.scene.surfaces import Ground

F64 = NDArray[np.float64]
TREES = 10
"""Kinds of trees."""
AVENUE_TREES = 520
"""At most about this many trees stand along the roads of a town."""


def _stock() -> dict[str, list[list[Mesh]]]:
    """Every prop in fine, middle and coarse form."""

    def two(make: Callable[[bool], Mesh]) -> list[list[Mesh]]:
        return [[make(True), make(False)]]

    return {
        "tree": [[plants.tree(k, d, conifer=k % 5 == 4) for d in range(3)] for k in range(TREES)],
        "bush": [[plants.bush(k, d) for d in range(3)] for k in range(4)],
        "lamp": two(furniture.street_lamp),
        "bench": two(furniture.bench),
        "bin": two(furniture.bin_),
        "hydrant": two(furniture.hydrant),
        "bollard": two(furniture.bollard),
        "shelter": two(furniture.shelter),
    }


def _street_furniture(parts: Collector, placed: Placed, stock: dict[str, list[list[Mesh]]], side: Side,
                      rng: np.random.Generator, taken: Occupancy, offset: float, trees: float) -> None:  # fmt: skip
    """Lamps, trees, benches, bins and hydrants along one side of a road."""
    length = float(side.along[-1])
    lift = KERB if side.has_walk else -0.05

    def put(kind: str, d: float, base: F64, away: float, yaw_shift: float, radius: float, which: int = 0) -> F64 | None:
        p, out = place_on(side, base, d)
        at = p + np.array([*out * away, lift])
        if not taken.take_if_free(at, radius):
            return None
        yaw = float(np.arctan2(-out[1], -out[0])) + yaw_shift
        parts.prop(stock[kind][which % len(stock[kind])], turn(yaw, at), placed.take())
        return at

    for d in np.arange(8.0 + offset, length - 5, 27.0):
        at = put("lamp", d, side.kerb, 0.75, 0.0, 0.2)
        if at is not None:
            _, out = place_on(side, side.kerb, d)
            placed.lamps.append(np.array([*(at[:2] - out * LAMP_ARM), at[2] + 7.2]))
    edge, gap = (side.outer, 1.3) if side.has_walk else (side.kerb, 3.0)
    lift = -0.05
    for d in np.arange(4.0, length - 3, 8.5):
        if rng.random() < trees:
            put(
                "tree",
                d + rng.uniform(-1.5, 1.5),
                edge,
                gap + rng.uniform(-0.2, 0.5),
                rng.uniform(0, 6.28),
                0.5,
                int(rng.integers(TREES)),
            )
        elif rng.random() < 0.5 * trees:
            put("bush", d, edge, gap, rng.uniform(0, 6.28), 0.6, int(rng.integers(4)))
    if not side.has_walk:
        return
    lift = KERB
    for d in np.arange(11.0, length - 6, 19.0):
        kind = rng.random()
        if kind < 0.45:
            put("bench", d, side.outer, -0.45, 0.0, 0.5)
            put("bin", d + 1.6, side.outer, -0.4, 0.0, 0.3)
        elif kind < 0.6:
            put("hydrant", d, side.kerb, 0.5, 0.0, 0.25)
        elif kind < 0.68:
            put("shelter", d + 4, side.outer, 0.55, 0.0, 1.0)


def _buildings(parts: Collector, placed: Placed, side: Side, rng: np.random.Generator, taken: Occupancy,
               density: float) -> None:  # fmt: skip
    """A row of buildings behind one side of a road, without gaps where it can."""
    length = float(side.along[-1])
    d = rng.uniform(0, 3)
    while d < length - 5:
        family = rng.random() > density
        width = rng.uniform(9, 13) if family else rng.uniform(11, 21)
        width = min(width, length - d)
        if width < 7:
            break
        depth = rng.uniform(8, 10) if family else rng.uniform(12, 17)
        setback = rng.uniform(5.5, 8.5) if family else rng.uniform(3.0, 3.8)
        p, out = place_on(side, side.outer, d + width / 2)
        for shrink in (1.0, 0.75):
            w = width * shrink
            centre = p[:2] + out * (setback + depth / 2)
            footprint = rectangle(centre, out, depth, w)
            if w < 7 or not taken.free(rectangle(centre + out * 0.0, out, depth + 2.4, w - 0.1)):
                continue
            if rng.random() < 0.07:  # leave a little park
                break
            taken.take(footprint)
            taken.take(rectangle(p[:2] + out * setback / 2, out, max(setback - 3.2, 0.1), w))
            storeys = int(rng.integers(2, 6 + int(4 * density)))
            yaw = float(np.arctan2(-out[1], -out[0]))
            kind = "house" if family else ("town" if rng.random() < 0.85 else "offices")
            built = buildings.place(
                kind,
                int(rng.integers(1 << 30)),
                (*centre, p[2]),
                yaw,
                (depth / 2, w / 2 - 0.01),
                storeys,
                placed.take(),
            )
            parts.solid.append(built.build())
            break
        d += width + (rng.uniform(3, 6) if family else 0.02)


def _greenery(parts: Collector, placed: Placed, stock: dict[str, list[list[Mesh]]], rng: np.random.Generator,
              taken: Occupancy, low: F64, high: F64, ground: float) -> None:  # fmt: skip
    """Trees and bushes in clumps over the free land."""
    area = float(np.prod(high - low))
    for _ in range(int(min(area / 900, 260))):
        clump = rng.uniform(low - 40, high + 40)
        for _ in range(int(rng.integers(1, 4))):
            at = clump + rng.normal(0, 7, 2)
            if taken.take_if_free(at, 1.3):
                kind = "tree" if rng.random() < 0.75 else "bush"
                which = int(rng.integers(len(stock[kind])))
                scale = float(rng.uniform(0.85, 1.35))
                parts.prop(stock[kind][which], turn(rng.uniform(0, 6.28), (*at, ground - 0.07), scale), placed.take())


def _plant_islands(parts: Collector, placed: Placed, stock: dict[str, list[list[Mesh]]], rng: np.random.Generator,
                   taken: Occupancy, ground: Ground) -> None:  # fmt: skip
    """A tree in the middle of every island that is large enough, and a ring of bushes around it."""
    for island, z in ground.islands:
        middle = np.array(island.centroid.coords[0])
        gap = np.hypot(*(np.array(island.exterior.coords) - middle).T)
        if gap.min() < 5.0:
            continue
        for k in range(9):
            reach = 0.0 if k == 0 else 0.42 * float(gap.min())
            spot = middle + reach * np.array([np.cos(k * np.pi / 4), np.sin(k * np.pi / 4)])
            if taken.take_if_free(spot, 0.6):
                kind = "tree" if k == 0 else "bush"
                form = stock[kind][int(rng.integers(len(stock[kind])))]
                parts.prop(form, turn(rng.uniform(0, 6.28), (*spot, z)), placed.take())


def _skyline(
    parts: Collector, placed: Placed, rng: np.random.Generator, taken: Occupancy, low: F64, high: F64, ground: float
) -> None:
    """Taller blocks around the town, so that streets do not end in an empty horizon."""
    centre, half = (low + high) / 2, (high - low) / 2
    for ring, gap in ((0, 55.0), (1, 120.0)):
        reach = half + gap
        around = int(2 * (reach[0] + reach[1]) * 2 / (34 + 14 * ring))
        for k in range(around):
            t = (k + rng.uniform(-0.3, 0.3)) / around * 4 % 4
            side, u = int(t), (t % 1) * 2 - 1
            p = [(u, -1), (1, u), (-u, 1), (-1, -u)][side] * reach + centre + rng.uniform(-10, 10, 2)
            if rng.random() < 0.25:
                continue
            out = centre - p
            out /= np.linalg.norm(out)
            size = rng.uniform(14, 24, 2)
            foot = rectangle(p, out, size[0], size[1])
            if not taken.free(foot):
                continue
            taken.take(foot)
            yaw, storeys = float(np.arctan2(out[1], out[0])), int(rng.integers(4, 13 + 4 * ring))
            seed, plot = int(rng.integers(1 << 30)), (float(size[0]) / 2, float(size[1]) / 2)
            built = buildings.place("offices", seed, (*p, ground), yaw, plot, storeys, placed.take())
            parts.solid.append(built.build())


def dress(parts: Collector, ground: Ground, network: RoadNetwork, seed: int) -> tuple[Placed, F64]:
    """Everything that stands in the town; the same for the same map and seed. Returns lamps and traffic lights."""
    rng = np.random.default_rng([seed, 41])
    placed = Placed()
    stock = _stock()
    points = np.concatenate(ground.heights)
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    level = float(np.median(points[:, 2]))
    taken = Occupancy(low - 220, high + 220)
    taken.mark(ground.roadway, 0.4)
    walkable = Occupancy(low - 220, high + 220)
    walkable.mark(ground.roadway, 0.1)
    taken.mark(ground.walkway, 0.1)
    lights = lights_and_signs(parts, placed, network)
    for light in lights:
        walkable.take_if_free(light, 1.0)
    # so many trees that the largest town still fits in memory
    length = sum(float(p.s[-1] - p.s[0]) for p in ground.profiles)
    trees = min(0.62, AVENUE_TREES / max(2 * length / 8.5, 1.0))
    centre = (low + high) / 2
    extent = float(np.linalg.norm(high - low)) / 2
    for profile in ground.profiles:
        if profile.s[-1] - profile.s[0] < 8:
            continue
        for k, side in enumerate(sides(profile)):
            middle = side.kerb[len(side.kerb) // 2, :2]
            density = float(np.clip(1.15 - np.linalg.norm(middle - centre) / max(extent, 1.0) * 0.8, 0.25, 1.0))
            _buildings(parts, placed, side, rng, taken, density)
            _street_furniture(parts, placed, stock, side, rng, walkable, 13.5 * k, trees)
    _skyline(parts, placed, rng, taken, low, high, level)
    _greenery(parts, placed, stock, rng, taken, low, high, level)
    _plant_islands(parts, placed, stock, rng, walkable, ground)
    return placed, lights
