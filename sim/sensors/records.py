"""What shader and labels read of a triangle: four whole numbers, two of which point into tables that many share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.sensors.mesh import Geometry, Material, Mesh

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
LOOK, UV, INSTANCE, GROUP = 0, 1, 2, 3
"""Places in a record: row of the looks, row of the uv, instance id, group."""
CHUNK = 1 << 18

_PATTERNED = (
    Material.ASPHALT, Material.FACADE, Material.KERB, Material.SHOP, Material.SIGNAL, Material.LAMP, Material.BODY_SIDE,
    Material.CABIN_SIDE, Material.WINDSCREEN, Material.SIGN,
)  # fmt: skip
"""Materials that are drawn by their uv; the others need none."""
_EVEN = (Material.ASPHALT, Material.PAVING, Material.GRASS, Material.LEAF)
"""Materials whose look depends on the place alone: all triangles of a thing are one group."""
_OWN = (Material.SIGN, Material.SIGNAL, Material.LAMP, Material.STREET_LAMP, Material.WATER)
"""Materials whose uv means something else on every triangle."""


class LookBook:
    """Collects the looks and the uv of meshes; equal looks are kept once."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._uv: list[F32] = [np.zeros((1, 6), np.float32)]
        self._rows = 1

    def enter(self, mesh: Mesh) -> I32:
        """[T, 2]: row of the looks and row of the uv (0: none) of each triangle."""
        out = np.zeros((mesh.size, 2), np.int32)
        look = np.concatenate([mesh.color, mesh.material[:, None]], 1, dtype=np.float32, casting="unsafe")
        heads = np.flatnonzero(np.concatenate([[True], (look[1:] != look[:-1]).any(1)])[: mesh.size])
        numbers = [self._numbers.setdefault(row.tobytes(), len(self._numbers)) for row in look[heads]]
        out[:, 0] = np.repeat(np.array(numbers, np.int32), np.diff([*heads, mesh.size]))
        patterned = np.isin(mesh.material, _PATTERNED)
        count = int(patterned.sum())
        out[patterned, 1] = self._rows + np.arange(count, dtype=np.int32)
        self._uv.append(mesh.uv[patterned].reshape(-1, 6))
        self._rows += count
        return out

    def looks(self) -> F32:
        """[n, 4] linear red, green, blue and Material."""
        return np.frombuffer(b"".join(self._numbers), np.float32).reshape(-1, 4).copy()

    def uv(self) -> F32:
        """[m, 6] u, v of three corners."""
        return np.concatenate(self._uv)


def _hash(*parts: NDArray[np.int64]) -> NDArray[np.int32]:
    h = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        h = (h ^ part.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(29)
    return (h & np.uint64(0x7FFFFFFF)).astype(np.int32)


def group(mesh: Geometry, records: I32, looks: F32) -> None:
    """Fill the groups of `records` [T, 4]: triangles of one group look alike where they meet.

    One shading in a pixel will do for all of them. Same thing, material and colour, and normals within about a quarter
    of a radian of one another.
    """
    materials = looks[:, 3].astype(np.int64)
    tints = np.round(looks[:, :3] * 64.0).astype(np.int64) @ np.array([1 << 20, 1 << 10, 1])
    evens, owns = np.isin(materials, _EVEN), np.isin(materials, _OWN)
    tints[evens] = 0
    for begin in range(0, mesh.size, CHUNK):
        rows = slice(begin, min(begin + CHUNK, mesh.size))
        v = mesh.position[mesh.face[rows]]
        n = np.cross(v[:, 1] - v[:, 0], v[:, 2] - v[:, 0])
        n /= np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-20)
        facing = np.round(n * 3.0).astype(np.int64) @ np.array([49, 7, 1])
        look = records[rows, LOOK]
        facing[evens[look]] = 0
        own = np.where(owns[look], np.arange(rows.start, rows.stop) + 1, 0)
        instance = records[rows, INSTANCE].astype(np.int64)
        records[rows, GROUP] = _hash(instance, materials[look], facing, tints[look], own)
