"""Triangle meshes with materials and labels, and the builder that assembles them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Material(IntEnum):
    """What a triangle is made of; the meaning of its uv depends on it."""

    PLAIN = 0
    ASPHALT = 1
    """uv: metres along the road, metres right of the lane's centre."""
    MARKING = 2
    PAVING = 3
    GRASS = 4
    FACADE = 5
    """uv: metres along the wall, metres above its foot; windows are drawn by the shader."""
    ROOF = 6
    LEAF = 7
    BARK = 8
    PAINT = 9
    """Car paint; white triangles take the actor's colour."""
    GLASS = 10
    RUBBER = 11
    METAL = 12
    SKIN = 13
    CLOTH = 14
    KERB = 15
    """uv: metres along, metres up."""
    SHOP = 16
    """uv as FACADE: shop windows, a sign above."""
    SIGNAL = 17
    """A traffic light's lens; uv: index of the light, 0 red, 1 yellow, 2 green."""
    LAMP = 18
    """A vehicle's lamp; uv: Lamp bit number, 0."""
    STREET_LAMP = 19
    """Shines at night."""
    BODY_SIDE = 20
    """Side of a vehicle below its windows; uv: x, z in the vehicle's frame."""
    CABIN_SIDE = 21
    """Side of a vehicle at its windows; uv: x, 0 at the belt line .. 1 at the roof."""
    WINDSCREEN = 22
    """uv: -1..1 across, 0..1 from the lower to the upper edge."""
    SIGN = 23
    """Face of a traffic sign; uv: -1..1 across and up; the instance's SignFace is in `color`'s red channel."""
    CONCRETE = 24
    WATER = 25


@dataclass(frozen=True)
class Geometry:
    """V vertices, T triangles: position and unit normal [V, 3]; corner indices [T, 3]."""

    position: F32
    normal: F32
    face: I32

    @property
    def size(self) -> int:
        """Number of triangles."""
        return len(self.face)

    def flat(self) -> tuple[F32, F32, I32]:
        """Position, normal and face without rows, as the shader reads them."""
        return self.position.ravel(), self.normal.ravel(), self.face.ravel()


@dataclass(frozen=True)
class Mesh(Geometry):
    """Triangles with a look: uv per corner [T, 3, 2]; material, semantic tag, instance id [T] int32; color [T, 3]

    linear RGB.
    """

    uv: F32
    material: I32
    semantic: I32
    instance: I32
    color: F32

    def bare(self) -> Geometry:
        """The geometry alone."""
        return Geometry(self.position, self.normal, self.face)

    def moved(self, matrix: ArrayLike) -> tuple[F32, F32]:
        """Positions and normals [V, 3] under a 3 x 4 matrix (rotation, uniform scale and translation)."""
        m = np.asarray(matrix, np.float32)
        n = self.normal @ m[:, :3].T
        return self.position @ m[:, :3].T + m[:, 3], n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-12)


def vertex_normals(position: F32, face: I32) -> F32:
    """Area-weighted unit normals [V, 3]."""
    v = position[face]
    n = np.cross(v[:, 1] - v[:, 0], v[:, 2] - v[:, 0])
    out = np.zeros(position.shape, np.float64)
    for axis in range(3):
        for corner in range(3):
            out[:, axis] += np.bincount(face[:, corner], n[:, axis], len(position))
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12), np.float32)


class Builder:
    """Collects pieces; `instance` and `semantic` apply to the pieces added after they are set."""

    def __init__(self) -> None:
        self._pieces: list[tuple[NDArray, ...]] = []
        self._vertices = 0
        self.instance = 0
        self.semantic = 0
        self.triangles = 0

    def add(
        self,
        position: ArrayLike,
        face: ArrayLike,
        material: int,
        color: ArrayLike,
        uv: ArrayLike | None = None,
        normal: ArrayLike | None = None,
    ) -> None:
        """Vertices [V, 3], faces [T, 3], one material, color [3] or [T, 3], uv [T, 3, 2] (default: world x, y)."""
        p = np.asarray(position, np.float32).reshape(-1, 3)
        f = np.asarray(face, np.int32).reshape(-1, 3)
        n = vertex_normals(p, f) if normal is None else np.asarray(normal, np.float32)
        t = len(f)
        u = p[f][:, :, :2] if uv is None else np.asarray(uv, np.float32).reshape(t, 3, 2)
        whole = [np.full(t, value, np.int32) for value in (material, self.semantic, self.instance)]
        c = np.broadcast_to(np.asarray(color, np.float32), (t, 3))
        self._pieces.append((p, n, f + np.int32(self._vertices), u, *whole, c))
        self._vertices += len(p)
        self.triangles += t

    def put(
        self, mesh: Mesh, matrix: ArrayLike, instance: int | None = None, tint: ArrayLike = (1.0, 1.0, 1.0)
    ) -> None:
        """A copy of `mesh` under a 3 x 4 matrix (rotation, uniform scale and translation)."""
        p, n = mesh.moved(matrix)
        which = mesh.instance if instance is None else np.full(mesh.size, instance, np.int32)
        color = mesh.color * np.asarray(tint, np.float32)
        self._pieces.append(
            (p, n, mesh.face + np.int32(self._vertices), mesh.uv, mesh.material, mesh.semantic, which, color)
        )
        self._vertices += len(p)
        self.triangles += mesh.size

    def quad(self, corners: Sequence[ArrayLike], material: int, color: ArrayLike, uv: ArrayLike | None = None) -> None:
        """Four corners in order; uv [4, 2]."""
        order = np.array([[0, 1, 2], [0, 2, 3]])
        self.add(corners, order, material, color, None if uv is None else np.asarray(uv, np.float32)[order])  # type: ignore[arg-type]

    def grid(
        self,
        points: ArrayLike,
        material: int,
        color: ArrayLike,
        uv: ArrayLike | None = None,
        closed: bool = False,
    ) -> None:
        """A smooth surface through points [n, m, 3]; `closed` joins the last column to the first; uv [n, m, 2]."""
        p = np.asarray(points, np.float32)
        n, m = p.shape[:2]
        columns = m if closed else m - 1
        i = (np.arange(n - 1)[:, None] * m + np.arange(columns)).ravel()
        j = (np.arange(n - 1)[:, None] * m + (np.arange(columns) + 1) % m).ravel()
        f = np.concatenate([np.stack([i, j, j + m], 1), np.stack([i, j + m, i + m], 1)])
        u = np.zeros((len(f), 3, 2)) if uv is None else np.asarray(uv, np.float32).reshape(-1, 2)[f]
        self.add(p, f, material, color, u)

    def build(self) -> Mesh:
        """Everything added so far, as one mesh."""
        if not self._pieces:
            return Mesh(
                np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32),
                np.zeros((0, 3, 2), np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32),
                np.zeros((0, 3), np.float32),
            )  # fmt: skip
        joined = [np.ascontiguousarray(np.concatenate(column)) for column in zip(*self._pieces)]
        p, n, f, u, material, semantic, instance, color = joined
        return Mesh(
            p, n.astype(np.float32), f.astype(np.int32), u.astype(np.float32), material, semantic, instance,
            color.astype(np.float32),
        )  # fmt: skip
