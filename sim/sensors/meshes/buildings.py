"""Town houses, offices, family houses and sheds from a rectangle, a height and a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material
from sim.sensors.meshes.shapes import box, turn

STOREY = 3.2
SHOP_HEIGHT = 4.0
_WALLS = np.array(
    [[0.36, 0.15, 0.10], [0.46, 0.37, 0.28], [0.55, 0.51, 0.45], [0.32, 0.31, 0.30], [0.48, 0.27, 0.16],
     [0.26, 0.15, 0.12], [0.58, 0.53, 0.41], [0.35, 0.38, 0.42], [0.50, 0.43, 0.38]]
)  # fmt: skip


def _prism(
    mb: Builder,
    half: tuple[float, float],
    z0: float,
    z1: float,
    side: Material,
    top: Material,
    color: ArrayLike,
    cap: ArrayLike,
) -> None:
    """Four walls with uv in metres and a flat top."""
    hx, hy = half
    ring = [(hx, -hy), (hx, hy), (-hx, hy), (-hx, -hy)]
    start = 0.0
    for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1]):
        w = float(np.hypot(x1 - x0, y1 - y0))
        mb.quad([(x0, y0, z0), (x1, y1, z0), (x1, y1, z1), (x0, y0, z1)], side, color,
                [(start, 0), (start + w, 0), (start + w, z1 - z0), (start, z1 - z0)])  # fmt: skip
        start = 0.0
    mb.quad([(x, y, z1) for x, y in ring], top, cap)


def town_house(
    mb: Builder, half: tuple[float, float], storeys: int, rng: np.random.Generator, shop: bool, balconies: bool
) -> None:
    """A block with its front along +x (the street), around the origin; shops on the ground floor if `shop`."""
    color = _WALLS[rng.integers(len(_WALLS))] * rng.uniform(0.85, 1.1)
    hx, hy = half
    base = SHOP_HEIGHT if shop else STOREY
    height = base + STOREY * storeys
    _prism(
        mb,
        half,
        -0.3,
        base,
        Material.SHOP if shop else Material.FACADE,
        Material.PLAIN,
        color * (0.8 if shop else 0.9),
        color,
    )
    if shop:
        box(mb, (0, 0, base + 0.10), (hx + 0.22, hy + 0.05, 0.12), Material.CONCRETE, color * 0.5 + 0.14)
        if rng.random() < 0.6:
            tint = np.array([[0.30, 0.04, 0.04], [0.04, 0.12, 0.06], [0.05, 0.08, 0.22], [0.45, 0.40, 0.30]])[
                rng.integers(4)
            ]
            for y in np.arange(-hy + 1.2, hy - 1.2, 4.4):
                mb.quad(
                    [(hx, y, 3.0), (hx, y + 3.2, 3.0), (hx + 1.1, y + 3.2, 2.6), (hx + 1.1, y, 2.6)],
                    Material.CLOTH,
                    tint,
                )
    _prism(mb, half, base, height, Material.FACADE, Material.ROOF, color, (0.3, 0.3, 0.3))
    box(mb, (0, 0, height + 0.05), (hx + 0.3, hy + 0.06, 0.2), Material.CONCRETE, color * 0.6 + 0.16)
    for side in (-1, 1):
        box(mb, (side * (hx - 0.15), 0, height + 0.55), (0.15, hy, 0.4), Material.PLAIN, color * 0.9)
        box(mb, (0, side * (hy - 0.15), height + 0.55), (hx, 0.15, 0.4), Material.PLAIN, color * 0.9)
    for _ in range(2):
        at = (*(rng.uniform(-0.5, 0.5, 2) * (hx, hy)), height + 0.9)
        box(mb, at, (rng.uniform(0.5, 1.3), rng.uniform(0.5, 1.3), 0.8), Material.PLAIN, (0.42, 0.42, 0.42))
    if balconies:
        for k in range(storeys):
            for y in np.arange(-hy + 2.2, hy - 1.4, 4.6):
                z = base + k * STOREY + 0.12
                box(mb, (hx + 0.5, y, z), (0.5, 1.05, 0.07), Material.CONCRETE, (0.48, 0.48, 0.46))
                box(mb, (hx + 0.98, y, z + 0.5), (0.02, 1.05, 0.45), Material.METAL, (0.05, 0.05, 0.055))


def family_house(mb: Builder, half: tuple[float, float], rng: np.random.Generator) -> None:
    """One or two storeys under a pitched roof, with a chimney."""
    color = np.clip(_WALLS[rng.integers(len(_WALLS))] * 0.6 + 0.28, 0, 0.8)
    tiles = np.array([[0.28, 0.10, 0.06], [0.16, 0.13, 0.12], [0.22, 0.09, 0.07]])[rng.integers(3)]
    hx, hy = half
    height = STOREY * int(rng.integers(1, 3))
    _prism(mb, half, -0.3, height, Material.FACADE, Material.PLAIN, color, color)
    ridge = height + 0.62 * hx
    o = 0.45
    for side in (-1, 1):
        drop = o * (ridge - height) / hx
        mb.quad([(side * (hx + o), -hy - o, height - drop), (side * (hx + o), hy + o, height - drop),
                 (0, hy + o, ridge), (0, -hy - o, ridge)],
                Material.ROOF, tiles)  # fmt: skip
        mb.add(
            [(-hx, side * hy, height), (hx, side * hy, height), (0, side * hy, ridge - 0.05)],
            [[0, 1, 2]],
            Material.PLAIN,
            color,
        )
    box(mb, (-hx * 0.3, hy * 0.4, ridge), (0.3, 0.3, 0.8), Material.PLAIN, (0.28, 0.13, 0.09))
    box(mb, (hx + 0.02, -hy * 0.3, 1.05), (0.05, 0.5, 1.05), Material.BARK, (0.12, 0.07, 0.04))


def shed(mb: Builder, half: tuple[float, float], rng: np.random.Generator) -> None:
    """A flat hall."""
    color = np.array([0.45, 0.46, 0.47]) * rng.uniform(0.75, 1.1)
    height = rng.uniform(5, 8)
    _prism(mb, half, -0.3, height, Material.CONCRETE, Material.ROOF, color, (0.3, 0.3, 0.3))
    box(mb, (0, 0, height + 0.1), (half[0] + 0.1, half[1] + 0.1, 0.15), Material.METAL, (0.2, 0.22, 0.25))
    for y in np.arange(-half[1] + 3, half[1] - 2, 6.5):
        box(mb, (half[0] + 0.02, y, 1.8), (0.03, 1.6, 1.8), Material.METAL, (0.28, 0.30, 0.33))


def place(
    kind: str, seed: int, at: ArrayLike, yaw: float, half: tuple[float, float], storeys: int, instance: int
) -> Builder:
    """A building of `kind` (town, offices, house, shed) at `at` whose front looks along `yaw`, as a builder."""
    rng = np.random.default_rng([seed, 5])
    local = Builder()
    local.semantic, local.instance = Tag.BUILDING, instance
    if kind == "house":
        family_house(local, half, rng)
    elif kind == "shed":
        shed(local, half, rng)
    else:
        town_house(
            local,
            half,
            storeys,
            rng,
            shop=kind == "town" and rng.random() < 0.75,
            balconies=kind == "town" and rng.random() < 0.5,
        )
    out = Builder()
    out.put(local.build(), turn(yaw, at))
    return out
