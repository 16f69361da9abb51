"""Simple solids: boxes, tubes, balls, discs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.sensors.mesh import Builder

F64 = NDArray[np.float64]


def turn(yaw: float, at: ArrayLike = (0.0, 0.0, 0.0), scale: float = 1.0) -> F64:
    """3 x 4 matrix: uniform scale, rotation about z, translation."""
    c, s = np.cos(yaw) * scale, np.sin(yaw) * scale
    x, y, z = np.asarray(at, float)
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, scale, z]])


_SIDES = np.array(
    [[(1, -1, -1), (1, 1, -1), (1, 1, 1), (1, -1, 1)], [(-1, 1, -1), (-1, -1, -1), (-1, -1, 1), (-1, 1, 1)],
     [(1, 1, -1), (-1, 1, -1), (-1, 1, 1), (1, 1, 1)], [(-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1)],
     [(-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)], [(-1, 1, -1), (1, 1, -1), (1, -1, -1), (-1, -1, -1)]], float,
)  # fmt: skip
_NORMALS = np.repeat([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], 4, axis=0).astype(float)
_ACROSS = np.array([[1, 2], [1, 2], [0, 2], [0, 2], [0, 1], [0, 1]])
_UNIT_UV = np.array([(0, 0), (2, 0), (2, 2), (0, 2)], float)
_BOX_FACES = (np.arange(6)[:, None, None] * 4 + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)


def box(mb: Builder, centre: ArrayLike, half: ArrayLike, material: int, color: ArrayLike, yaw: float = 0.0) -> None:
    """A box with metre uv on every side."""
    m = turn(yaw, centre)
    h = np.asarray(half, float)
    points = (_SIDES * h).reshape(-1, 3) @ m[:, :3].T + m[:, 3]
    uv = (_UNIT_UV[None] * h[_ACROSS][:, None]).reshape(-1, 2)
    mb.add(points, _BOX_FACES, material, color, uv[_BOX_FACES], _NORMALS @ m[:, :3].T)


def tube(
    mb: Builder, path: ArrayLike, radius: ArrayLike, sides: int, material: int, color: ArrayLike, caps: bool = False
) -> None:
    """A round tube along path [n, 3] with a radius each (or [n, 2] for ellipses: across, along z or x)."""
    p = np.asarray(path, float)
    r = np.asarray(radius, float)
    r = (
        np.broadcast_to(r if r.ndim == 2 else np.reshape(r, (-1, 1)), (len(p), 2))
        if r.ndim
        else np.full((len(p), 2), r)
    )
    d = np.gradient(p, axis=0)
    d /= np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1e-9)
    mean = d.mean(0)
    up = np.array([1.0, 0, 0]) if abs(mean[2]) > 0.7 * np.linalg.norm(mean) else np.array([0, 0, 1.0])
    u = np.cross(d, up)
    u /= np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-9)
    v = np.cross(d, u)
    a = np.arange(sides) * 2 * np.pi / sides
    ring = np.cos(a)[None, :, None] * (u * r[:, :1])[:, None] + np.sin(a)[None, :, None] * (v * r[:, 1:])[:, None]
    points = p[:, None] + ring
    mb.grid(points, material, color, closed=True)
    if caps:
        i = np.arange(sides)
        for end in (0, -1):
            fan = np.stack([np.full(sides, sides), i, (i + 1) % sides], 1)
            mb.add(np.concatenate([points[end], p[end][None]]), fan, material, color, np.zeros((sides, 3, 2)))


def ball(
    mb: Builder, centre: ArrayLike, radii: ArrayLike, material: int, color: ArrayLike, rings: int = 5, sides: int = 8
) -> None:
    """An ellipsoid."""
    t = np.linspace(0, np.pi, rings + 1)[:, None]
    a = np.arange(sides)[None] * 2 * np.pi / sides
    unit = np.stack([np.sin(t) * np.cos(a), np.sin(t) * np.sin(a), np.cos(t) + 0 * a], -1)
    points = unit * np.asarray(radii, float) + np.asarray(centre, float)
    n = unit / np.asarray(radii, float)
    m = Builder()
    m.grid(points, material, color, closed=True)
    mesh = m.build()
    normal = (n / np.linalg.norm(n, axis=-1, keepdims=True)).reshape(-1, 3)
    mb.add(mesh.position, mesh.face, material, color, mesh.uv, normal)


def disc(
    mb: Builder, centre: ArrayLike, facing: ArrayLike, radius: float, sides: int, material: int, color: ArrayLike,
    uv: tuple[float, float] | None = None, phase: float = 0.0,
) -> None:  # fmt: skip
    """A flat regular polygon that faces `facing`; uv is -1..1 across and up unless one constant pair is given."""
    f = np.asarray(facing, float) / np.linalg.norm(facing)
    up = np.array([0, 0, 1.0]) if abs(f[2]) < 0.9 else np.array([1.0, 0, 0])
    right = np.cross(f, up)
    right /= np.linalg.norm(right)
    up = np.cross(right, f)
    a = np.arange(sides) * 2 * np.pi / sides + phase
    flat = np.concatenate([[[0, 0]], np.stack([np.cos(a), np.sin(a)], 1)])
    p = np.asarray(centre, float) + radius * (flat[:, :1] * right + flat[:, 1:] * up)
    i = np.arange(sides)
    face = np.stack([np.zeros(sides, int), 1 + i, 1 + (i + 1) % sides], 1)
    mb.add(p, face, material, color, np.broadcast_to(uv, (sides, 3, 2)) if uv is not None else flat[face])
