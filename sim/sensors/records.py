"""What the shader reads of a triangle, side by side in memory: STRIDE numbers, of which the last three are whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.sensors.mesh import Material, Mesh

F32 = NDArray[np.float32]
STRIDE = 12
UV, COLOR, MATERIAL, INSTANCE, GROUP = 0, 6, 9, 10, 11
"""Places in a record: u, v of three corners; r, g, b; Material; instance; group."""
CHUNK = 1 << 18

_EVEN = (Material.ASPHALT, Material.PAVING, Material.GRASS, Material.LEAF)
"""Materials whose look depends on the place alone: all triangles of a thing are one group."""
_OWN = (Material.SIGN, Material.SIGNAL, Material.LAMP, Material.STREET_LAMP, Material.WATER)
"""Materials whose uv means something else on every triangle."""


def _hash(*parts: NDArray[np.int64]) -> NDArray[np.int32]:
    h = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        h = (h ^ part.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(29)
    return (h & np.uint64(0x7FFFFFFF)).astype(np.int32)


def groups(mesh: Mesh) -> NDArray[np.int32]:
    """[T]: triangles of one group look alike where they meet, so that one shading in a pixel will do for all of them.

    Same thing, material and colour, and normals within about a quarter of a radian of one another.
    """
    out = np.empty(mesh.size, np.int32)
    for begin in range(0, mesh.size, CHUNK):
        rows = slice(begin, min(begin + CHUNK, mesh.size))
        v = mesh.position[mesh.face[rows]]
        n = np.cross(v[:, 1] - v[:, 0], v[:, 2] - v[:, 0])
        n /= np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-20)
        facing = np.round(n * 3.0).astype(np.int64) @ np.array([49, 7, 1])
        tint = np.round(mesh.color[rows] * 64.0).astype(np.int64) @ np.array([1 << 20, 1 << 10, 1])
        material = mesh.material[rows].astype(np.int64)
        even, own = np.isin(material, _EVEN), np.isin(material, _OWN)
        facing[even], tint[even] = 0, 0
        own_id = np.where(own, np.arange(rows.start, rows.stop) + 1, 0)
        out[rows] = _hash(mesh.instance[rows].astype(np.int64), material, facing, tint, own_id)
    return out


def records(*meshes: Mesh) -> F32:
    """[T * STRIDE]: the records of all triangles, one mesh after another."""
    out = np.empty((sum(m.size for m in meshes), STRIDE), np.float32)
    whole = out.view(np.int32)
    begin = 0
    for m in meshes:
        rows = slice(begin, begin + m.size)
        out[rows, UV : UV + 6] = m.uv.reshape(-1, 6)
        out[rows, COLOR : COLOR + 3] = m.color
        whole[rows, MATERIAL], whole[rows, INSTANCE], whole[rows, GROUP] = m.material, m.instance, groups(m)
        begin += m.size
    return out.ravel()
