"""A scene as flat arrays: static triangles in square cells, with levels of detail."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.sensors.jit import SERIAL
from sim.sensors.mesh import Builder, Geometry, Mesh
from sim.sensors.raster import View

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
CELL = 32.0
DETAIL_NEAR, DETAIL_MIDDLE = 42.0, 120.0
"""Distance of a cell's box up to which props show their finest and middle form, metres."""
PROP_RANGE = 420.0
DETAILS = 3
LEVELS = 1 + DETAILS
"""Per cell: what is always drawn, then props in fine, middle and coarse form."""


@dataclass
class Collector:
    """Pieces of a scene before they are sorted into cells: solid ones, and props in their levels of detail."""

    solid: list[Mesh] = field(default_factory=list)
    props: list[list[tuple[Mesh, NDArray[np.float64], int]]] = field(default_factory=lambda: [[], [], []])

    def prop(self, forms: list[Mesh], matrix: NDArray[np.float64], instance: int) -> None:
        """A prop in three forms (fine, middle, coarse; the last may repeat) under a 3 x 4 matrix."""
        for level in range(DETAILS):
            self.props[level].append((forms[min(level, len(forms) - 1)], matrix, instance))


@dataclass(frozen=True)
class Static:
    """T triangles sorted by cell and level. `first` [cells, LEVELS + 1]: triangle ranges; `low`, `high` [cells, 3]."""

    mesh: Geometry
    first: NDArray[np.int64]
    low: F32
    high: F32

    def visible(self, view: View, far: float) -> I32:
        """Ids of the triangles that may be seen: cells that touch the view's cone, at their level of detail."""
        outside = np.zeros(len(self.low), bool)
        corners = np.stack(
            [np.where([(k >> a) & 1 for a in range(3)], self.high, self.low) for k in range(8)], 1
        )  # [cells, 8, 3]
        local = (corners - view.position) @ view.rotation.T
        left, right = view.cx / view.fx, (view.width - view.cx) / view.fx
        top, bottom = view.cy / view.fy, (view.height - view.cy) / view.fy
        x, y, z = local[..., 0], local[..., 1], local[..., 2]
        if view.orthographic:
            outside |= (x > right).all(1) | (-x > left).all(1) | (y > bottom).all(1) | (-y > top).all(1)
        else:
            outside |= (z < view.near).all(1) | (z > far).all(1) | (x > right * z).all(1) | (-x > left * z).all(1)
            outside |= (y > bottom * z).all(1) | (-y > top * z).all(1)
        gap = np.maximum(np.maximum(self.low - view.position, view.position - self.high), 0)
        distance = np.linalg.norm(gap, axis=1)
        if view.orthographic:
            level = np.full(len(distance), 2)
        else:
            detail = detail_of(view)
            level = np.where(distance < DETAIL_NEAR * detail, 1, np.where(distance < DETAIL_MIDDLE * detail, 2, 3))
        keep = np.flatnonzero(~outside)
        begin = [self.first[keep, 0]]
        end = [self.first[keep, 1]]
        near = keep if view.orthographic else keep[distance[keep] < PROP_RANGE]
        begin.append(self.first[near, level[near]])
        end.append(self.first[near, level[near] + 1])
        # nearest first: what is hidden then costs a comparison, not a write
        order = np.argsort(np.concatenate([distance[keep], distance[near]]), kind="stable")
        b, e = np.concatenate(begin)[order], np.concatenate(end)[order]
        return ranges(b, e)

    def at_level(self, level: int) -> I32:
        """Ids of everything with props at detail `level` (0 fine .. 2 coarse)."""
        b = np.concatenate([self.first[:, 0], self.first[:, 1 + level]])
        e = np.concatenate([self.first[:, 1], self.first[:, 2 + level]])
        return ranges(b, e)


def detail_of(view: View) -> float:
    """How far finer forms reach in this view: as its pixels are finer (1 at 640 pixels across 90 degrees)."""
    return min(max(view.fx / 320.0, 0.4), 2.0)


def ranges(begin: NDArray[np.int64], end: NDArray[np.int64]) -> I32:
    """All integers of the half-open ranges, in order."""
    out = np.empty(int(np.maximum(end - begin, 0).sum()), np.int32)
    _count_up(begin, end, out)
    return out


@njit(**SERIAL)
def _count_up(begin: NDArray[np.int64], end: NDArray[np.int64], out: I32) -> None:
    n = 0
    for k in range(len(begin)):
        for value in range(begin[k], end[k]):
            out[n] = value
            n += 1


def assemble(parts: Collector) -> tuple[Static, Mesh]:
    """Sort everything into cells; also the same triangles with their looks."""
    levels: list[Mesh] = []
    for level in range(LEVELS):
        builder = Builder()
        if level == 0:
            for mesh in parts.solid:
                builder.put(mesh, np.eye(3, 4))
        else:
            for mesh, matrix, number in parts.props[level - 1]:
                builder.put(mesh, matrix, number)
        levels.append(builder.build())
    offset = np.cumsum([0, *(len(m.position) for m in levels)])
    position = np.concatenate([m.position for m in levels])
    normal = np.concatenate([m.normal for m in levels])
    face = np.concatenate([m.face + np.int32(o) for m, o in zip(levels, offset)])
    which = np.repeat(np.arange(LEVELS), [m.size for m in levels])
    corners = position[face]
    middle = corners.mean(1)
    # a prop must not be torn apart by a cell's border: its triangles go where its instance's first triangle is
    instance = np.concatenate([m.instance for m in levels])
    anchor = middle[:, :2].copy()
    for row_level in range(1, LEVELS):
        rows = np.flatnonzero(which == row_level)
        if len(rows):
            _, begins, whose = np.unique(instance[rows], return_index=True, return_inverse=True)
            anchor[rows] = middle[rows[begins], :2][whose]
    low = middle[:, :2].min(0)
    cell = np.floor((anchor - low) / CELL).astype(np.int64)
    cell = np.maximum(cell, 0)
    name = cell[:, 0] * (cell[:, 1].max() + 1) + cell[:, 1]
    used, place = np.unique(name, return_inverse=True)
    order = np.lexsort((which, place))
    key = place[order] * LEVELS + which[order]
    first: NDArray[np.int64] = np.searchsorted(key, np.arange(len(used) * LEVELS + 1))
    table = np.stack([first[k : k + len(used) * LEVELS : LEVELS] for k in range(LEVELS)], 1)
    table = np.concatenate([table, first[LEVELS : len(used) * LEVELS + 1 : LEVELS][:, None]], 1)
    box_low = np.full((len(used), 3), np.inf, np.float32)
    box_high = np.full((len(used), 3), -np.inf, np.float32)
    np.minimum.at(box_low, place, corners.min(1))
    np.maximum.at(box_high, place, corners.max(1))

    def joined(name: str) -> NDArray:
        return np.ascontiguousarray(np.concatenate([getattr(m, name) for m in levels])[order])

    mesh = Mesh(position, normal, np.ascontiguousarray(face[order]), joined("uv"), joined("material"),
                joined("semantic"), joined("instance"), joined("color"))  # fmt: skip
    return Static(mesh.bare(), table, box_low, box_high), mesh
