"""Actors put together from their templates: which template stands where."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sim.sensors.actors import PROP, WALKER, Actors, rotations
from sim.sensors.jit import PARALLEL
from sim.sensors.mesh import Geometry
from sim.sensors.meshes import people
from sim.sensors.meshes.designs import DESIGNS, TRUCK_CAB, Body
from sim.sensors.scene.assembly import ranges
from sim.sensors.templates import CARS, PEDAL_PHASES, Templates
from sim.sensors.view import View

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
FINE_RANGE = 38.0
"""Up to this distance actors show their fine form, metres."""
_WIDTH = np.array([DESIGNS.get(body, TRUCK_CAB).width for body in CARS], np.float32)


@dataclass(frozen=True)
class Parts:
    """K posed templates: which one, whose (row of Actors), and its 3 x 4 matrix local -> world."""

    template: I32
    actor: I32
    matrix: F32

    def spheres(self, templates: Templates) -> tuple[F32, F32]:
        """Centres [K, 3] and radii [K] of spheres around the parts."""
        low, high = templates.low[self.template], templates.high[self.template]
        m = self.matrix
        centre = np.einsum("kij,kj->ki", m[:, :, :3], (low + high) / 2) + m[:, :, 3]
        stretch = np.sqrt((m[:, :, :3] ** 2).sum(1).max(1))
        return centre.astype(np.float32), (np.linalg.norm(high - low, axis=1) / 2 * stretch).astype(np.float32)


@dataclass(frozen=True)
class Posed:
    """Triangles of K parts as they are numbered behind the static ones: part k has first[k] .. first[k + 1]."""

    centre: F32
    radius: F32
    first: NDArray[np.int64]

    def visible(self, view: View) -> I32:
        """Ids of the triangles of parts that may be seen."""
        seen = view.touches(self.centre, self.radius)
        return ranges(self.first[:-1][seen], self.first[1:][seen])


def _main_templates(actors: Actors, t: Templates, fine: I32) -> I32:
    """[N] template of each actor's body, person or prop."""
    kind, look, way = actors.kind, actors.look % people.LOOKS, actors.travelled
    step = (way / people.STRIDE * people.PHASES).astype(np.int32) % people.PHASES
    turn = (np.maximum(way, 0.0) / 5.5 * PEDAL_PHASES).astype(np.int32) % PEDAL_PHASES
    out = t.body[np.minimum(kind, Body.BUS), fine]
    out = np.where(kind == Body.MOTORCYCLE, t.motorcycle[look, fine], out)
    out = np.where(kind == Body.BICYCLE, t.bicycle[look, turn, fine], out)
    out = np.where(kind == WALKER, t.walker[look, np.where(way < 0, people.PHASES, step), fine], out)
    return np.where(kind >= PROP, t.prop[np.clip(kind - PROP, 0, len(t.prop) - 1), fine], out).astype(np.int32)


def _scales(actors: Actors, t: Templates, template: I32) -> F32:
    """[N, 3] that stretch the templates to the actors' own boxes, where they have any."""
    n, kind, size = len(actors), actors.kind, actors.size
    out = np.ones((n, 3), np.float32)
    own = t.high[template] - t.low[template]
    car = (kind < Body.MOTORCYCLE) & (size[:, 0] > 0)
    # without the mirrors, and from the ground up
    body = np.stack([own[:, 0], _WIDTH[np.minimum(kind, Body.BUS)], t.high[template, 2]], 1)
    out[car] = size[car] / body[car]
    prop = (kind >= PROP) & (size[:, 0] > 0)
    out[prop] = size[prop] / own[prop]
    walker = (kind == WALKER) & (size[:, 2] > 0)
    out[walker] = size[walker, 2:] / np.float32(1.76)
    return out


def parts_of(actors: Actors, templates: Templates, eye: F32 | None, detail: float = 1.0) -> Parts:
    """Bodies, people and props of all actors that are shown, then wheels.

    Fine forms near `eye` [3], or everywhere without one; `detail` scales how far they reach.
    """
    t, kind, pose = templates, actors.kind, actors.pose
    n = len(actors)
    fine = np.ones(n, np.int32)
    if eye is not None:
        fine = (np.linalg.norm(pose[:, :3] - eye, axis=1) < FINE_RANGE * detail).astype(np.int32)
    template = _main_templates(actors, t, fine)
    base = rotations(pose[:, 3], pose[:, 4], pose[:, 5]) * _scales(actors, t, template)[:, None]
    wheeled = np.flatnonzero(kind < WALKER)
    row = np.repeat(wheeled, t.wheels[kind[wheeled]])
    place = np.arange(len(row)) - np.repeat(np.cumsum(t.wheels[kind[wheeled]]) - t.wheels[kind[wheeled]],
                                            t.wheels[kind[wheeled]])  # fmt: skip
    k = kind[row]
    at, radius = t.spots[k, place], t.radius[k]
    steer = np.where(at[:, 0] > 0, actors.steer[row], 0)
    roll = actors.travelled[row] / radius
    cs, ss, cw, sw = np.cos(steer), np.sin(steer), np.cos(roll), np.sin(roll)
    # steering about z after rolling about y
    local = np.stack([cs * cw, -ss, cs * sw, ss * cw, cs, ss * sw, -sw, 0 * cs, cw], -1).reshape(-1, 3, 3)
    hub = np.stack([at[:, 0], at[:, 1], radius], 1)
    matrix = np.empty((n + len(row), 3, 4), np.float32)
    matrix[:n, :, :3], matrix[:n, :, 3] = base, pose[:, :3]
    matrix[n:, :, :3] = base[row] @ local
    matrix[n:, :, 3] = np.einsum("kij,kj->ki", base[row], hub) + pose[row, :3]
    template = np.concatenate([template, t.wheel[k, fine[row]]])
    actor = np.concatenate([np.arange(n), row]).astype(np.int32)
    shown = actors.shown[actor]
    return Parts(template[shown], actor[shown], matrix[shown])


class Moving:
    """The triangles of posed parts: `mesh`, and for each its `source` (row in the scene's records, where the templates'

    begin at `base`) and its `owner` (row of Actors). The arrays are longer than needed, and written anew for each
    picture.
    """

    def __init__(self, base: int) -> None:
        self._base = base
        self.triangles = 0
        self._reserve(64, 64)

    def _reserve(self, vertices: int, faces: int) -> None:
        self.mesh = Geometry(
            np.zeros((vertices, 3), np.float32), np.zeros((vertices, 3), np.float32), np.zeros((faces, 3), np.int32)
        )
        self.source, self.owner = np.zeros(faces, np.int32), np.zeros(faces, np.int32)

    def pose(self, parts: Parts, t: Templates) -> NDArray[np.int64]:
        """Take over the triangles of `parts`; returns where those of each begin [K + 1]."""
        vertex = np.concatenate([[0], np.cumsum((t.vertex[1:] - t.vertex[:-1])[parts.template])])
        first = np.concatenate([[0], np.cumsum((t.triangle[1:] - t.triangle[:-1])[parts.template])])
        self.triangles = int(first[-1])
        m = self.mesh
        if int(vertex[-1]) > len(m.position) or self.triangles > m.size:
            self._reserve(int(vertex[-1]) * 5 // 4 + 64, self.triangles * 5 // 4 + 64)
            m = self.mesh
        if self.triangles:
            _pose_parts(
                parts.template, parts.actor, parts.matrix, t.vertex, t.triangle, t.mesh.position, t.mesh.normal,
                t.mesh.face, vertex, first, m.position, m.normal, m.face, self._base, self.source, self.owner,
            )  # fmt: skip
        return first


@njit(**PARALLEL)
def _pose_parts(template, actor, matrix, t_vertex, t_triangle, t_position, t_normal, t_face, v_first, f_first,
                position, normal, face, base, source, owner):  # fmt: skip
    """Write the parts' world vertices at v_first[k] and their faces, sources and owners at f_first[k]."""
    for k in prange(template.shape[0]):
        t = template[k]
        m = matrix[k]
        v = v_first[k]
        for i in range(t_vertex[t], t_vertex[t + 1]):
            j = v + i - t_vertex[t]
            for r in range(3):
                position[j, r] = (
                    m[r, 0] * t_position[i, 0] + m[r, 1] * t_position[i, 1] + m[r, 2] * t_position[i, 2] + m[r, 3]
                )
                normal[j, r] = m[r, 0] * t_normal[i, 0] + m[r, 1] * t_normal[i, 1] + m[r, 2] * t_normal[i, 2]
        for i in range(t_triangle[t], t_triangle[t + 1]):
            j = f_first[k] + i - t_triangle[t]
            for c in range(3):
                face[j, c] = t_face[i, c] + v
            source[j] = base + i
            owner[j] = actor[k]
