"""A scene as flat arrays: static triangles in square cells, with levels of detail."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.sensors.jit import SERIAL
from sim.sensors.mesh import Geometry, Mesh
from sim.sensors.records import INSTANCE, LookBook
from sim.sensors.view import View

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
CELL = 32.0
DETAIL_NEAR, DETAIL_MIDDLE = 42.0, 120.0
"""Distance of a cell's box up to which props show their finest and middle form, metres."""
PROP_RANGE = 420.0
FINE_MAP = 4.0
"""Pixels per metre of a map from which on it shows props in their middle form; coarser ones show the coarse form."""
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
        distance, seen = np.empty(len(self.low), np.float32), np.empty(len(self.low), np.bool_)
        edges = (view.cx / view.fx, (view.width - view.cx) / view.fx, view.cy / view.fy,
                 (view.height - view.cy) / view.fy)  # fmt: skip
        _look(
            self.low, self.high, view.rotation, view.position, *(np.float32(v) for v in (*edges, view.near, far)),
            view.orthographic, distance, seen,
        )  # fmt: skip
        if view.orthographic:
            level = np.full(len(distance), 2 if view.fx > FINE_MAP else 3)
        else:
            detail = detail_of(view)
            level = np.where(distance < DETAIL_NEAR * detail, 1, np.where(distance < DETAIL_MIDDLE * detail, 2, 3))
        keep = np.flatnonzero(seen)
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
def _look(low, high, rot, pos, left, right, top, bottom, near, far, ortho, distance, seen):
    """Fill in, of boxes low, high [cells, 3], their distance from `pos` and whether they may be seen.

    `left` .. `bottom`: the picture's edges at depth 1, or in metres of an orthographic view.
    """
    beyond = np.empty(6, np.int64)
    for k in range(len(low)):
        square = np.float32(0)
        for a in range(3):
            gap = max(max(low[k, a] - pos[a], pos[a] - high[k, a]), np.float32(0))
            square += gap * gap
        distance[k] = np.sqrt(square)
        # how many of its corners lie beyond each edge
        beyond[:] = 0
        for corner in range(8):
            x = (high[k, 0] if corner & 1 else low[k, 0]) - pos[0]
            y = (high[k, 1] if corner & 2 else low[k, 1]) - pos[1]
            z = (high[k, 2] if corner & 4 else low[k, 2]) - pos[2]
            u = rot[0, 0] * x + rot[0, 1] * y + rot[0, 2] * z
            v = rot[1, 0] * x + rot[1, 1] * y + rot[1, 2] * z
            w = rot[2, 0] * x + rot[2, 1] * y + rot[2, 2] * z
            scale = np.float32(1) if ortho else w
            beyond[0] += u > right * scale
            beyond[1] += -u > left * scale
            beyond[2] += v > bottom * scale
            beyond[3] += -v > top * scale
            beyond[4] += not ortho and w < near
            beyond[5] += not ortho and w > far
        seen[k] = beyond.max() < 8


@njit(**SERIAL)
def _count_up(begin: NDArray[np.int64], end: NDArray[np.int64], out: I32) -> None:
    n = 0
    for k in range(len(begin)):
        for value in range(begin[k], end[k]):
            out[n] = value
            n += 1


@njit(**SERIAL)
def _boxes(position: F32, face: I32, place: NDArray[np.int64], low: F32, high: F32) -> None:
    """Widen the boxes low, high [cells, 3] to hold the triangles whose cells are `place` [T]."""
    for t in range(len(face)):
        cell = place[t]
        for c in range(3):
            for a in range(3):
                x = position[face[t, c], a]
                low[cell, a] = min(low[cell, a], x)
                high[cell, a] = max(high[cell, a], x)


def assemble(parts: Collector, book: LookBook) -> tuple[Static, I32, NDArray[np.uint8]]:
    """Sort everything into cells; also records [T, 4] (see sim.sensors.records; the groups are not yet filled in) and

    semantic tags [T].
    """
    pieces: list[tuple[Mesh, NDArray[np.float64], int | None, int]] = [
        (mesh, np.eye(3, 4), None, 0) for mesh in parts.solid
    ]
    pieces += [(*prop, 1 + level) for level in range(DETAILS) for prop in parts.props[level]]
    v_total, t_total = (sum(n) for n in zip(*((len(p[0].position), p[0].size) for p in pieces)))
    position, normal = np.empty((v_total, 3), np.float32), np.empty((v_total, 3), np.float32)
    face, records = np.empty((t_total, 3), np.int32), np.empty((t_total, 4), np.int32)
    semantic, which = np.empty(t_total, np.uint8), np.empty(t_total, np.uint8)
    anchor = np.empty((t_total, 2), np.float32)
    low = np.full(2, np.inf, np.float32)
    entered: dict[int, I32] = {}
    v = t = 0
    for mesh, matrix, number, level in pieces:
        corners, rows = slice(v, v + len(mesh.position)), slice(t, t + mesh.size)
        position[corners], normal[corners] = mesh.moved(matrix)
        face[rows] = mesh.face + np.int32(v)
        if id(mesh) not in entered:
            entered[id(mesh)] = book.enter(mesh)
        records[rows, :2] = entered[id(mesh)]
        records[rows, INSTANCE] = mesh.instance if number is None else number
        semantic[rows], which[rows] = mesh.semantic, level
        middle = position[face[rows]].mean(1)[:, :2]
        low = np.minimum(low, middle.min(0, initial=np.inf))
        # a prop must not be torn apart by a cell's border: it goes where its first triangle is
        anchor[rows] = middle if number is None else middle[:1]
        v, t = corners.stop, rows.stop
    cell = np.maximum(np.floor((anchor - low) / CELL).astype(np.int64), 0)
    name = cell[:, 0] * (cell[:, 1].max() + 1) + cell[:, 1]
    del anchor, cell
    used, place = np.unique(name, return_inverse=True)
    box_low = np.full((len(used), 3), np.inf, np.float32)
    box_high = np.full((len(used), 3), -np.inf, np.float32)
    _boxes(position, face, place, box_low, box_high)
    key = place * LEVELS + which
    order = np.argsort(key, kind="stable")
    first = np.searchsorted(key[order], np.arange(len(used) * LEVELS + 1))
    table = np.stack([first[k : k + len(used) * LEVELS : LEVELS] for k in range(LEVELS)], 1)
    table = np.concatenate([table, first[LEVELS : len(used) * LEVELS + 1 : LEVELS][:, None]], 1)
    static = Static(Geometry(position, normal, np.take(face, order, 0)), table, box_low, box_high)
    return static, np.take(records, order, 0), semantic[order]
