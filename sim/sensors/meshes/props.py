"""What stands in the way: cones, barriers, bins, boxes, benches. CARLA's `static.prop.*` by the shape they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum

import numpy as np

from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material, Mesh
from sim.sensors.meshes.shapes import ball, box, disc, tube

WHITE = (1.0, 1.0, 1.0)
"""Takes the actor's paint (with Material.PAINT)."""
_STEEL = (0.20, 0.21, 0.22)
_WOOD = (0.27, 0.16, 0.085)
_DARK = (0.03, 0.03, 0.032)


class Shape(IntEnum):
    """Shape of a prop."""

    CARTON = 0
    CONE = 1
    BARRIER = 2
    POST = 3
    BOARD = 4
    SIGN = 5
    CABINET = 6
    BARREL = 7
    BIN = 8
    BENCH = 9
    CHAIR = 10
    TABLE = 11
    BAG = 12
    HEAP = 13
    POT = 14
    BALE = 15
    ROOFED = 16
    FRAME = 17
    FOUNTAIN = 18
    TRAMPOLINE = 19
    BICYCLE = 20


TAGS: dict[Shape, Tag] = {
    Shape.SIGN: Tag.TRAFFIC_SIGN, Shape.CABINET: Tag.STATIC, Shape.BENCH: Tag.STATIC, Shape.ROOFED: Tag.STATIC,
    Shape.FRAME: Tag.STATIC, Shape.FOUNTAIN: Tag.STATIC, Shape.BICYCLE: Tag.BICYCLE, Shape.POST: Tag.STATIC,
}  # fmt: skip
"""Semantic tag by shape: what is fixed is Static; everything that is not named here can be moved and is Dynamic."""

_NAMES: tuple[tuple[Shape, str], ...] = (
    (Shape.CONE, "constructioncone trafficcone"),
    (Shape.POST, "chainbarrierend gardenlamp"),
    (Shape.BARRIER, "streetbarrier chainbarrier"),
    (Shape.SIGN, "streetsign"),
    (Shape.BOARD, "advertisement warning trafficwarning calibrator"),
    (Shape.CABINET, "atm vendingmachine container clothcontainer glasscontainer kiosk shop01 foodcart mailbox"),
    (Shape.BARREL, "barrel colacan wateringcan"),
    (Shape.BIN, "bin trashcan"),
    (Shape.BENCH, "bench swingcouch"),
    (Shape.CHAIR, "plasticchair"),
    (Shape.TABLE, "table plastictable maptable barbeque"),
    (Shape.BAG, "trashbag plasticbag shoppingbag purse motorhelmet bikehelmet gnome"),
    (Shape.HEAP, "dirtdebris garbage brokentile platformgarbage ironplank mobile"),
    (Shape.POT, "plantpot"),
    (Shape.BALE, "haybale"),
    (Shape.ROOFED, "busstop pergola"),
    (Shape.FRAME, "swing slide clothesline bikeparking shoppingcart"),
    (Shape.FOUNTAIN, "fountain streetfountain"),
    (Shape.TRAMPOLINE, "trampoline"),
    (Shape.BICYCLE, "omafiets"),
)
"""Beginnings of the names after `static.prop.`; the longest that fits counts, what none fits is a CARTON."""


def shape_of(name: str) -> Shape:
    """The shape of `static.prop.<name>`."""
    plain = name.removeprefix("static.prop.").replace(" ", "").lower()
    fits = [(len(start), shape) for shape, names in _NAMES for start in names.split() if plain.startswith(start)]
    return max(fits)[1] if fits else Shape.CARTON


def paint_of(name: str) -> tuple[float, float, float]:
    """Linear RGB of the parts of a prop that take a colour: the same for a name."""
    shape = shape_of(name)
    if shape in (Shape.CONE, Shape.BARRIER):
        return 0.72, 0.13, 0.02
    code = sum(ord(c) * (k + 3) for k, c in enumerate(name))
    tones = {
        Shape.CARTON: ((0.36, 0.24, 0.13), (0.30, 0.19, 0.10), (0.24, 0.22, 0.20)),
        Shape.BAG: ((0.02, 0.022, 0.025), (0.45, 0.44, 0.42), (0.03, 0.10, 0.05)),
        Shape.BALE: ((0.50, 0.37, 0.13),),
        Shape.POT: ((0.36, 0.14, 0.07), (0.30, 0.29, 0.27)),
    }.get(shape, ((0.05, 0.13, 0.08), (0.05, 0.10, 0.22), (0.30, 0.05, 0.04), (0.33, 0.33, 0.34), (0.45, 0.30, 0.04)))
    return tones[code % len(tones)]


def _carton(mb: Builder, s: int) -> None:
    box(mb, (0, 0, 0.3), (0.3, 0.3, 0.3), Material.PAINT, WHITE)
    box(mb, (0, 0, 0.601), (0.3, 0.03, 0.001), Material.PLAIN, (0.45, 0.36, 0.24))


def _cone(mb: Builder, s: int) -> None:
    box(mb, (0, 0, 0.02), (0.21, 0.21, 0.02), Material.RUBBER, _DARK)
    for low, high, material, color in ((0.04, 0.28, Material.PAINT, WHITE), (0.28, 0.44, Material.PLAIN, (0.75,) * 3),
                                       (0.44, 0.70, Material.PAINT, WHITE)):  # fmt: skip
        radius = [0.16 - 0.19 * (z - 0.04) for z in (low, high)]
        tube(mb, [(0, 0, low), (0, 0, high)], radius, s, material, color, caps=high == 0.70)


def _barrier(mb: Builder, s: int) -> None:
    for y in (-0.45, 0.45):
        box(mb, (y, 0, 0.5), (0.03, 0.03, 0.5), Material.METAL, _STEEL)
        box(mb, (y, 0, 0.03), (0.04, 0.19, 0.03), Material.METAL, _STEEL)
    for z in (0.50, 0.90):
        for k in range(6):
            color = WHITE if k % 2 else (0.75, 0.75, 0.75)
            box(mb, (-0.52 + 0.207 * k, 0, z), (0.1035, 0.02, 0.11), Material.PAINT if k % 2 else Material.PLAIN, color)


def _post(mb: Builder, s: int) -> None:
    tube(mb, [(0, 0, 0), (0, 0, 0.8)], [0.06, 0.05], s, Material.METAL, _STEEL)
    ball(mb, (0, 0, 0.82), (0.09, 0.09, 0.08), Material.METAL, (0.3, 0.3, 0.31), 4, s)


def _board(mb: Builder, s: int) -> None:
    for x in (-0.5, 0.5):
        box(mb, (x, 0, 0.5), (0.03, 0.06, 0.5), Material.METAL, _STEEL)
    box(mb, (0, 0, 1.0), (0.62, 0.04, 0.6), Material.METAL, _DARK)
    for side in (-1, 1):
        box(mb, (0, side * 0.045, 1.0), (0.57, 0.004, 0.55), Material.PAINT, WHITE)
        box(mb, (0, side * 0.05, 1.12), (0.42, 0.003, 0.16), Material.PLAIN, (0.68, 0.68, 0.66))


def _sign(mb: Builder, s: int) -> None:
    tube(mb, [(0, 0, 0), (0, 0, 2.0)], 0.03, s, Material.METAL, (0.42, 0.42, 0.43))
    for side in (-1, 1):
        disc(mb, (0, side * 0.035, 2.05), (0, side, 0), 0.34, 2 * s, Material.PLAIN if side < 0 else Material.METAL,
             (0.5, 0.03, 0.03) if side < 0 else (0.38, 0.38, 0.39), (0.0, 0.0))  # fmt: skip
    disc(mb, (0, -0.04, 2.05), (0, -1, 0), 0.27, 2 * s, Material.PLAIN, (0.78, 0.78, 0.78), (0.0, 0.0))


def _cabinet(mb: Builder, s: int) -> None:
    box(mb, (0, 0, 0.04), (0.47, 0.42, 0.04), Material.PLAIN, _DARK)
    box(mb, (0, 0, 0.95), (0.5, 0.45, 0.87), Material.PAINT, WHITE)
    box(mb, (0, 0, 1.85), (0.52, 0.47, 0.03), Material.METAL, _STEEL)
    for side in (-1, 1):
        box(mb, (0, side * 0.455, 1.15), (0.40, 0.006, 0.45), Material.GLASS, (0.05, 0.06, 0.065))


def _barrel(mb: Builder, s: int) -> None:
    tube(
        mb, [(0, 0, 0), (0, 0, 0.3), (0, 0, 0.6), (0, 0, 0.9)], [0.28, 0.30, 0.30, 0.28], s, Material.PAINT, WHITE, True
    )
    for z in (0.3, 0.6):
        tube(mb, [(0, 0, z - 0.015), (0, 0, z + 0.015)], 0.306, s, Material.METAL, _STEEL)


def _bin(mb: Builder, s: int) -> None:
    tube(mb, [(0, 0, 0), (0, 0, 0.85)], [0.26, 0.30], s, Material.PAINT, WHITE)
    tube(mb, [(0, 0, 0.85), (0, 0, 0.93)], [0.32, 0.32], s, Material.METAL, _STEEL)
    ball(mb, (0, 0, 0.93), (0.30, 0.30, 0.08), Material.PLAIN, _DARK, 4, s)


def _bench(mb: Builder, s: int) -> None:
    for k in range(3):
        box(mb, (0, -0.16 + 0.15 * k, 0.45), (0.85, 0.06, 0.022), Material.BARK, _WOOD)
    for k in range(2):
        box(mb, (0, 0.27 + 0.02 * k, 0.62 + 0.18 * k), (0.85, 0.02, 0.07), Material.BARK, _WOOD)
    for x in (-0.7, 0.7):
        box(mb, (x, 0.04, 0.22), (0.03, 0.26, 0.22), Material.METAL, _DARK)
        box(mb, (x, 0.28, 0.62), (0.03, 0.02, 0.24), Material.METAL, _DARK)


def _chair(mb: Builder, s: int) -> None:
    box(mb, (0, 0, 0.42), (0.26, 0.26, 0.02), Material.PAINT, WHITE)
    box(mb, (-0.25, 0, 0.66), (0.02, 0.25, 0.22), Material.PAINT, WHITE)
    for x in (-0.23, 0.23):
        for y in (-0.23, 0.23):
            box(mb, (x, y, 0.2), (0.02, 0.02, 0.2), Material.PAINT, WHITE)


def _table(mb: Builder, s: int) -> None:
    box(mb, (0, 0, 0.73), (0.8, 0.5, 0.025), Material.BARK, _WOOD)
    for x in (-0.7, 0.7):
        for y in (-0.4, 0.4):
            box(mb, (x, y, 0.355), (0.03, 0.03, 0.355), Material.METAL, _DARK)


def _bag(mb: Builder, s: int) -> None:
    ball(mb, (0, 0, 0.24), (0.30, 0.28, 0.24), Material.PAINT, WHITE, 5, s)
    tube(mb, [(0, 0, 0.42), (0, 0, 0.52), (0, 0, 0.60)], [0.09, 0.04, 0.08], s, Material.PAINT, WHITE)


def _heap(mb: Builder, s: int) -> None:
    rng = np.random.default_rng(5)
    for _ in range(9 if s > 6 else 4):
        x, y = rng.uniform(-0.62, 0.62, 2)
        half = rng.uniform((0.07, 0.07, 0.015), (0.22, 0.22, 0.05))
        color = np.array([0.22, 0.20, 0.17]) * rng.uniform(0.6, 1.6)
        box(mb, (x, y, half[2]), half, Material.CONCRETE, color, float(rng.uniform(0, 3.1)))


def _pot(mb: Builder, s: int) -> None:
    tube(mb, [(0, 0, 0), (0, 0, 0.42)], [0.26, 0.36], s, Material.PAINT, WHITE)
    for k in range(3 if s > 6 else 1):
        a = 2.1 * k
        ball(
            mb, (0.12 * np.cos(a), 0.12 * np.sin(a), 0.62), (0.24, 0.24, 0.26), Material.LEAF, (0.09, 0.19, 0.045), 5, s
        )


def _bale(mb: Builder, s: int) -> None:
    tube(mb, [(0, -0.7, 0.6), (0, 0.7, 0.6)], 0.6, 2 * s, Material.BARK, (0.50, 0.37, 0.13), True)


def _roofed(mb: Builder, s: int) -> None:
    for x in (-1.85, 1.85):
        for y in (-0.65, 0.65):
            tube(mb, [(x, y, 0), (x, y, 2.55)], 0.045, s, Material.METAL, _STEEL)
    box(mb, (0, 0, 2.62), (2.0, 0.8, 0.07), Material.METAL, (0.2, 0.2, 0.21))
    box(mb, (0, 0.68, 1.35), (1.8, 0.015, 0.95), Material.GLASS, (0.05, 0.07, 0.07))
    box(mb, (0, 0.45, 0.5), (1.2, 0.2, 0.025), Material.BARK, _WOOD)


def _frame(mb: Builder, s: int) -> None:
    for x in (-1.5, 1.5):
        tube(mb, [(x, -0.8, 0), (x, 0, 2.2)], 0.04, s, Material.PAINT, WHITE)
        tube(mb, [(x, 0.8, 0), (x, 0, 2.2)], 0.04, s, Material.PAINT, WHITE)
    tube(mb, [(-1.5, 0, 2.2), (1.5, 0, 2.2)], 0.04, s, Material.PAINT, WHITE)
    for x in (-0.6, 0.6):
        for dy in (-0.18, 0.18):
            tube(mb, [(x, dy, 0.55), (x, 0, 2.18)], 0.01, 4, Material.METAL, _STEEL)
        box(mb, (x, 0, 0.53), (0.2, 0.2, 0.02), Material.RUBBER, _DARK)


def _fountain(mb: Builder, s: int) -> None:
    stone = (0.42, 0.41, 0.39)
    tube(mb, [(0, 0, 0), (0, 0, 0.55)], [2.0, 2.2], 2 * s, Material.CONCRETE, stone)
    tube(mb, [(0, 0, 0.55), (0, 0, 0.5)], [2.2, 1.9], 2 * s, Material.CONCRETE, stone)
    disc(mb, (0, 0, 0.42), (0, 0, 1), 1.92, 2 * s, Material.GLASS, (0.04, 0.08, 0.10), (0.0, 0.0))
    tube(mb, [(0, 0, 0.4), (0, 0, 1.7)], [0.28, 0.14], s, Material.CONCRETE, stone)
    tube(mb, [(0, 0, 1.6), (0, 0, 1.8)], [0.2, 0.9], s, Material.CONCRETE, stone)
    ball(mb, (0, 0, 2.0), (0.25, 0.25, 0.4), Material.CONCRETE, stone, 5, s)


def _trampoline(mb: Builder, s: int) -> None:
    disc(mb, (0, 0, 0.82), (0, 0, 1), 1.32, 2 * s, Material.RUBBER, _DARK, (0.0, 0.0))
    tube(mb, [(0, 0, 0.80), (0, 0, 0.86)], [1.5, 1.5], 2 * s, Material.PAINT, WHITE)
    tube(mb, [(0, 0, 0.86), (0, 0, 0.83)], [1.5, 1.3], 2 * s, Material.PAINT, WHITE)
    for k in range(6):
        a = np.pi / 3 * k
        at = np.array([np.cos(a), np.sin(a)]) * 1.4
        tube(mb, [(*at, 0), (*at, 0.82)], 0.03, 5, Material.METAL, _STEEL)


def _bicycle(mb: Builder, s: int) -> None:
    a = np.linspace(0, 2 * np.pi, 2 * s + 1)
    for x in (-0.55, 0.55):
        tube(mb, np.stack([x + 0.33 * np.cos(a), 0 * a, 0.345 + 0.33 * np.sin(a)], 1), 0.015, 5, Material.RUBBER, _DARK)
    joints = {"rear": (-0.55, 0, 0.34), "crank": (-0.08, 0, 0.30), "seat": (-0.2, 0, 0.82), "head": (0.38, 0, 0.84),
              "front": (0.55, 0, 0.34)}  # fmt: skip
    for p, q in (("rear", "crank"), ("crank", "seat"), ("seat", "rear"), ("seat", "head"), ("crank", "head"),
                 ("head", "front")):  # fmt: skip
        tube(mb, [joints[p], joints[q]], 0.017, 5, Material.PAINT, WHITE)
    box(mb, (-0.22, 0, 0.9), (0.12, 0.06, 0.03), Material.RUBBER, _DARK)
    tube(mb, [(0.32, -0.26, 1.02), (0.38, 0, 1.0), (0.32, 0.26, 1.02)], 0.014, 5, Material.METAL, _STEEL)


_MAKERS: dict[Shape, Callable[[Builder, int], None]] = {
    Shape.CARTON: _carton, Shape.CONE: _cone, Shape.BARRIER: _barrier, Shape.POST: _post, Shape.BOARD: _board,
    Shape.SIGN: _sign, Shape.CABINET: _cabinet, Shape.BARREL: _barrel, Shape.BIN: _bin, Shape.BENCH: _bench,
    Shape.CHAIR: _chair, Shape.TABLE: _table, Shape.BAG: _bag, Shape.HEAP: _heap, Shape.POT: _pot, Shape.BALE: _bale,
    Shape.ROOFED: _roofed, Shape.FRAME: _frame, Shape.FOUNTAIN: _fountain, Shape.TRAMPOLINE: _trampoline,
    Shape.BICYCLE: _bicycle,
}  # fmt: skip


def prop(shape: Shape, fine: bool) -> Mesh:
    """A prop of its usual size, its box on the ground around the origin; its long side along x, as CARLA's have it."""
    mb = Builder()
    mb.semantic = TAGS.get(shape, Tag.DYNAMIC)
    _MAKERS[shape](mb, 12 if fine else 6)
    mesh = mb.build()
    low, high = mesh.position.min(0), mesh.position.max(0)
    foot = np.array([*(low + high)[:2] / 2, low[2]], np.float32)
    return replace(mesh, position=mesh.position - foot)
