"""Trees and bushes in three levels of detail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material, Mesh
from sim.sensors.meshes.shapes import tube

_LEAVES = {0: (800, 0.17), 1: (170, 0.36), 2: (0, 0.0)}
"""Level of detail -> number of leaf clusters of a tree and their half length."""
_BUSH_LEAVES = {0: (260, 0.10), 1: (60, 0.20), 2: (0, 0.0)}
F64 = NDArray[np.float64]


def _crown(
    rng: np.random.Generator,
    mb: Builder,
    centre: np.ndarray,
    radii: np.ndarray,
    color: np.ndarray,
    rings: int,
    sides: int,
) -> None:
    """A lumpy ball, the shaded inside of the foliage."""
    t = np.linspace(0, np.pi, rings + 1)[:, None]
    a = np.arange(sides)[None] * 2 * np.pi / sides
    unit = np.stack([np.sin(t) * np.cos(a), np.sin(t) * np.sin(a), np.cos(t) + 0 * a], -1)
    bump = 1 + 0.16 * (rng.random((rings + 1, sides, 1)) - 0.5)
    bump[0], bump[-1] = 1, 1
    mb.grid(unit * bump * radii + centre, Material.LEAF, color, closed=True)


def tree(seed: int, detail: int, conifer: bool = False) -> Mesh:
    """A tree of 5 to 8 m at the origin; `detail` 0 near, 1 middle, 2 far. A seed is one tree at any detail."""
    rng = np.random.default_rng([seed, 17])
    mb = Builder()
    mb.semantic = Tag.VEGETATION
    trunk = rng.uniform(1.9, 2.7)
    r = rng.uniform(1.5, 2.2)
    green = np.array([0.105, 0.20, 0.045]) * rng.uniform(0.8, 1.15) + np.array([0.06, 0.02, 0]) * rng.random()
    bark = (0.20, 0.15, 0.11)
    sides = (9, 6, 4)[detail]
    if conifer:
        trunk, green = 0.8, np.array([0.045, 0.11, 0.045]) * rng.uniform(0.8, 1.2)
    lean = rng.uniform(-0.15, 0.15, 2)
    top = np.array([lean[0], lean[1], trunk + 0.9])
    tube(
        mb,
        np.array([(0, 0, -0.1), (0, 0, 0.25), (*lean * 0.4, trunk * 0.5), top]),
        [0.24, 0.17, 0.14, 0.09],
        sides,
        Material.BARK,
        bark,
    )
    if conifer:
        _conifer(mb, rng, np.random.default_rng([seed, 31]), top, detail, green)
        return mb.build()
    lumps = [(top + (0, 0, r * 0.75), np.array([r, r, r * 0.82]))]
    for k in range(5):
        a = k * 2.4 + rng.uniform(-0.4, 0.4)
        q = rng.uniform(0.48, 0.68) * r
        lumps.append(
            (
                top + (np.cos(a) * r * 0.72, np.sin(a) * r * 0.72, r * rng.uniform(0.35, 1.15)),
                np.array([q, q, q * 0.85]),
            )
        )
    if detail < 2:
        for centre, _ in lumps[1:5]:
            tube(
                mb,
                [top - (0, 0, 0.7), (top + centre) / 2 - (0, 0, 0.1), centre],
                [0.07, 0.05, 0.025],
                5,
                Material.BARK,
                bark,
            )
    rings, around = ((5, 8), (4, 6), (3, 5))[detail]
    shrink = (0.80, 0.86, 1.0)[detail]
    dark = (0.55, 0.62, 0.85)[detail]
    for centre, radii in lumps:
        _crown(rng, mb, centre, radii * shrink, green * dark, rings, around)
    count, size = _LEAVES[detail]
    _foliage(np.random.default_rng([seed, 31]), mb, lumps, count, size, green)
    return mb.build()


def _conifer(mb: Builder, rng: np.random.Generator, leaves: np.random.Generator, top: F64, detail: int,
             green: F64) -> None:  # fmt: skip
    """Five skirts of branches, one above the other, with fronds that point outwards and down."""
    foot = np.array([*top[:2], 0.75])
    sides = (10, 8, 6)[detail]
    ring = np.arange(sides) * 2 * np.pi / sides
    count, size = _LEAVES[detail]
    tiers = [(foot + (0, 0, 1.12 * k), 1.75 - 0.31 * k) for k in range(5)]
    shares = np.array([reach for _, reach in tiers])
    for (at, reach), share in zip(tiers, shares / shares.sum()):
        edge = reach * (1 + 0.12 * (rng.random(sides) - 0.5))
        rows = [
            at + np.stack([r * edge * np.cos(ring), r * edge * np.sin(ring), z + 0 * ring], -1)
            for r, z in ((0.02, 1.75), (0.42, 0.95), (0.90, 0.12), (0.35, 0.20))
        ]
        mb.grid(np.array(rows), Material.LEAF, green * (0.60, 0.66, 0.85)[detail], closed=True)
        n = int(count * share)
        if not n:
            continue
        down, a = np.sqrt(leaves.random(n)), leaves.uniform(0, 2 * np.pi, n)
        away = np.stack([np.cos(a), np.sin(a), 0 * a], -1)
        place = at + away * (reach * down * leaves.uniform(0.92, 1.06, n))[:, None]
        place[:, 2] += 1.75 - 1.62 * down
        along = away - (0, 0, 0.55) + 0.3 * leaves.normal(size=(n, 3))
        _kites(mb, leaves, place, along, 0.75 * away + (0, 0, 0.65), size * 0.95, 0.34, green)


def _foliage(leaves: np.random.Generator, mb: Builder, lumps: list[tuple[F64, F64]], count: int, size: float,
             green: F64) -> None:  # fmt: skip
    """`count` clusters of leaves around lumps (centre, radii), tangential to them, tips hanging a little."""
    if not count:
        return
    volume = np.array([radii[0] ** 2 for _, radii in lumps])
    which = leaves.choice(len(lumps), count, p=volume / volume.sum())
    d = leaves.normal(size=(count, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    middle = np.array([c for c, _ in lumps])[which]
    reach = np.array([q for _, q in lumps])[which]
    at = middle + d * reach * leaves.uniform(0.80, 1.07, (count, 1))
    u = np.cross(d, leaves.normal(size=(count, 3)))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    u += d * leaves.uniform(-0.5, 0.6, (count, 1)) - (0, 0, 0.2)
    _kites(mb, leaves, at, u, d, size, 0.55, green)


def _kites(mb: Builder, leaves: np.random.Generator, at: F64, u: F64, d: F64, size: float, width: float,
           green: F64) -> None:  # fmt: skip
    """Kite-shaped leaf clusters at points [n, 3] along u [n, 3], lit as a surface that faces d [n, 3]."""
    count = len(at)
    v = np.cross(u, d + 0.4 * leaves.normal(size=(count, 3)))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    s = size * leaves.uniform(0.6, 1.4, (count, 1))
    corner = np.stack(
        [at - u * s, at + v * s * width + u * s * 0.1, at + u * s * 1.1, at - v * s * width + u * s * 0.1], 1
    )
    base = np.arange(count)[:, None] * 4
    face = np.concatenate([base + [0, 1, 2], base + [0, 2, 3]])
    normal = np.repeat(d + (0, 0, 0.25) + 0.35 * leaves.normal(size=(count, 3)), 4, 0)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    shade = green * leaves.uniform(0.7, 1.5, (count, 1)) * (1 + 0.1 * leaves.normal(size=(count, 3)))
    mb.add(
        corner.reshape(-1, 3),
        face,
        Material.LEAF,
        np.tile(np.clip(shade, 0, 1), (2, 1)),
        np.zeros((2 * count, 3, 2)),
        normal,
    )


def bush(seed: int, detail: int) -> Mesh:
    """A bush of about a metre."""
    rng = np.random.default_rng([seed, 23])
    mb = Builder()
    mb.semantic = Tag.VEGETATION
    green = np.array([0.09, 0.17, 0.05]) * rng.uniform(0.8, 1.2)
    lumps = []
    for _ in range(3):
        at = np.array([*rng.uniform(-0.4, 0.4, 2), 0.35])
        radii = np.array([0.6, 0.6, 0.55]) * rng.uniform(0.7, 1.1)
        _crown(rng, mb, at, radii, green * (0.7, 0.8, 1.0)[detail], (6, 4, 3)[detail], (9, 7, 5)[detail])
        lumps.append((at, radii * 1.05))
    count, size = _BUSH_LEAVES[detail]
    _foliage(np.random.default_rng([seed, 37]), mb, lumps, count, size, green)
    return mb.build()
