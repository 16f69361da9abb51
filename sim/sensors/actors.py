"""What moves: the state of actors as sensors see it, and their templates posed into a frame."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sim.sensors.jit import PARALLEL
from sim.sensors.labels import Tag
from sim.sensors.mesh import Mesh
from sim.sensors.meshes import people, two_wheelers, vehicles
from sim.sensors.meshes.vehicles import Body, Lamp

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
WALKER = 100
"""`kind` of a pedestrian; below it a kind is a Body."""
FINE_RANGE = 38.0
"""Up to this distance actors show their fine form, metres."""
LAMP_BITS = {lamp: 1 << int(lamp) for lamp in Lamp}
PEDAL_PHASES = 8
PAINTS = np.array(
    [[0.36, 0.02, 0.02], [0.02, 0.05, 0.20], [0.55, 0.55, 0.56], [0.015, 0.015, 0.018], [0.16, 0.17, 0.18],
     [0.68, 0.68, 0.66], [0.04, 0.13, 0.08], [0.48, 0.28, 0.02], [0.02, 0.10, 0.30], [0.25, 0.04, 0.025],
     [0.30, 0.28, 0.24], [0.08, 0.09, 0.11]], np.float32,
)  # fmt: skip


@dataclass
class Actors:
    """N actors in the world frame (z: the ground below them). Build with `Actors.of`."""

    id: I32
    """[N] instance ids, 1 .. 32767."""
    kind: I32
    """[N] Body, or WALKER."""
    look: I32
    """[N] which clothes a person wears."""
    pose: F32
    """[N, 6] x, y, z, roll, pitch, yaw; radians, pitch up, roll clockwise seen from behind."""
    size: F32
    """[N, 3] length, width, height of the actor's box: templates are scaled to it; 0 keeps the template's own."""
    paint: F32
    """[N, 3] linear RGB."""
    lamps: I32
    """[N] bits 1 << Lamp."""
    steer: F32
    """[N] angle of the front wheels, radians, positive right."""
    travelled: F32
    """[N] metres driven or walked: turns wheels, pedals and legs. A standing person has a negative value."""
    velocity: F32
    """[N, 3] m/s, for radar."""

    @staticmethod
    def of(kind: list[int] | I32, pose: NDArray, **more: NDArray) -> Actors:
        """Actors of these kinds and poses [N, 3] (x, y, yaw) or [N, 6]; other fields may be given, else defaults."""
        kinds = np.asarray(kind, np.int32)
        n = len(kinds)
        p = np.asarray(pose, np.float32).reshape(n, -1 if n else 6)
        if p.shape[1] == 3:
            p = np.stack([p[:, 0], p[:, 1], 0 * p[:, 0], 0 * p[:, 0], 0 * p[:, 0], p[:, 2]], 1)
        ids = np.arange(1, n + 1, dtype=np.int32)
        values: dict[str, NDArray] = {
            "id": ids,
            "look": ids * 7 % people.LOOKS,
            "size": np.zeros((n, 3), np.float32),
            "paint": PAINTS[(ids * 5 + ids // 7) % len(PAINTS)],
            "lamps": np.zeros(n, np.int32),
            "steer": np.zeros(n, np.float32),
            "travelled": np.where(kinds == WALKER, -1.0, 0.0).astype(np.float32),
            "velocity": np.zeros((n, 3), np.float32),
        }
        for name, value in more.items():
            values[name] = np.asarray(value, values[name].dtype)
        return Actors(kind=kinds, pose=np.ascontiguousarray(p), **values)

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True)
class Templates:
    """Every template one after another: `mesh`; `vertex`, `triangle` [n + 1] where each begins;

    `low`, `high` [n, 3] boxes; `index` finds one by its name."""

    mesh: Mesh
    vertex: NDArray[np.int64]
    triangle: NDArray[np.int64]
    low: F32
    high: F32
    index: dict[tuple[object, ...], int]


def make_templates() -> Templates:
    """All forms of all bodies, wheels and people (about 190 small meshes)."""
    forms: dict[tuple[object, ...], Mesh] = {}
    for fine in (True, False):
        for body in (Body.SEDAN, Body.HATCHBACK, Body.SUV, Body.VAN, Body.TRUCK, Body.BUS):
            forms["body", body, fine] = vehicles.body(body, fine)
            d = vehicles.DESIGNS.get(body, vehicles.TRUCK_CAB)
            tag = {Body.TRUCK: Tag.TRUCK, Body.BUS: Tag.BUS}.get(body, Tag.CAR)
            forms["wheel", body, fine] = vehicles.wheel(d.wheel, 0.21 if d.wheel < 0.4 else 0.30, tag, fine)
        for look in range(people.LOOKS):
            forms["motorcycle", look, fine] = two_wheelers.motorcycle(look, fine)
            for phase in range(PEDAL_PHASES if fine else 1):
                forms["bicycle", look, phase, fine] = two_wheelers.bicycle(look, phase, PEDAL_PHASES, fine)
            for phase in range(people.PHASES + 1):
                forms["walker", look, phase, fine] = people.walker(look, phase, fine)
        forms["wheel", Body.MOTORCYCLE, fine] = vehicles.wheel(0.31, 0.13, Tag.MOTORCYCLE, fine)
        forms["wheel", Body.BICYCLE, fine] = vehicles.wheel(0.34, 0.035, Tag.BICYCLE, fine, thin=True)
    meshes = list(forms.values())
    vertex = np.cumsum([0, *(len(m.position) for m in meshes)])
    triangle = np.cumsum([0, *(m.size for m in meshes)])
    mesh = Mesh(
        np.concatenate([m.position for m in meshes]),
        np.concatenate([m.normal for m in meshes]),
        np.concatenate([m.face for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
        np.concatenate([m.material for m in meshes]),
        np.concatenate([m.semantic for m in meshes]),
        np.concatenate([m.instance for m in meshes]),
        np.concatenate([m.color for m in meshes]),
    )
    low = np.array([m.position.min(0) for m in meshes], np.float32)
    high = np.array([m.position.max(0) for m in meshes], np.float32)
    return Templates(mesh, vertex, triangle, low, high, {name: k for k, name in enumerate(forms)})


def rotations(roll: F32, pitch: F32, yaw: F32) -> F32:
    """[N, 3, 3] local -> world (columns: forward, right, up), CARLA's convention."""
    cr, sr, cp, sp, cy, sy = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    forward = np.stack([cy * cp, sy * cp, sp], -1)
    right = np.stack([cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, -cp * sr], -1)
    up = np.stack([-cy * sp * cr - sy * sr, -sy * sp * cr + cy * sr, cp * cr], -1)
    return np.stack([forward, right, up], -1).astype(np.float32)


@dataclass(frozen=True)
class Parts:
    """K posed templates: which one, whose (row of Actors), and its 3 x 4 matrix local -> world."""

    template: I32
    actor: I32
    matrix: F32


def parts_of(actors: Actors, templates: Templates, eye: F32 | None, detail: float = 1.0) -> Parts:
    """Bodies, wheels and people of all actors; fine forms near `eye` [3] (everywhere without one).

    `detail` scales how far they reach.
    """
    n = len(actors)
    turn = rotations(actors.pose[:, 3], actors.pose[:, 4], actors.pose[:, 5])
    near = np.ones(n, bool)
    if eye is not None and n:
        near = np.linalg.norm(actors.pose[:, :3] - eye, axis=1) < FINE_RANGE * detail
    template: list[int] = []
    owner: list[int] = []
    matrices: list[F32] = []
    wheels: list[tuple[float, ...]] = []
    wheel_row: list[int] = []

    def place(name: tuple[object, ...], row: int, base: F32) -> None:
        template.append(templates.index[name])
        owner.append(row)
        matrices.append(np.concatenate([base, actors.pose[row, :3, None]], 1))

    for row in range(n):
        kind, fine = int(actors.kind[row]), bool(near[row])
        base = turn[row]
        way = float(actors.travelled[row])
        look = int(actors.look[row]) % people.LOOKS
        if kind == WALKER:
            phase = people.PHASES if way < 0 else int(way / people.STRIDE * people.PHASES) % people.PHASES
            name: tuple[object, ...] = ("walker", look, phase, fine)
        elif kind == Body.MOTORCYCLE:
            name = ("motorcycle", look, fine)
        elif kind == Body.BICYCLE:
            name = ("bicycle", look, int(max(way, 0.0) / 5.5 * PEDAL_PHASES) % PEDAL_PHASES if fine else 0, fine)
        else:
            name = ("body", Body(kind), fine)
        t = templates.index[name]
        if actors.size[row, 0] > 0 and kind < Body.MOTORCYCLE:
            own = templates.high[t] - templates.low[t]
            own[1] = vehicles.DESIGNS.get(Body(kind), vehicles.TRUCK_CAB).width
            own[2] = templates.high[t, 2]
            base = base * (actors.size[row] / own)
        elif actors.size[row, 2] > 0 and kind == WALKER:
            base = base * (actors.size[row, 2] / np.float32(1.76))
        place(name, row, base)
        if kind == WALKER:
            continue
        body = Body(kind)
        steer = float(actors.steer[row])
        if body in (Body.MOTORCYCLE, Body.BICYCLE):
            key = "motorcycle" if body == Body.MOTORCYCLE else "bicycle"
            radius, half = two_wheelers.RADIUS[key], two_wheelers.WHEELBASE[key] / 2
            spots = [(-half, 0.0), (half, 0.0)]
        else:
            d = vehicles.DESIGNS.get(body, vehicles.TRUCK_CAB)
            radius = d.wheel
            track = d.width / 2 - (0.095 if d.wheel < 0.4 else 0.145)
            spots = [(x, y) for x in d.axles for y in (-track, track)]
        number = templates.index["wheel", body, fine]
        for x, y in spots:
            wheel_row.append(len(template))
            template.append(number)
            owner.append(row)
            wheels.append((x, y, radius, steer if x > 0 else 0.0, way / radius))
            matrices.append(base)
    placed = np.zeros((len(template), 3, 4), np.float32)
    for k, m in enumerate(matrices):
        placed[k, :, : m.shape[1]] = m
    if wheels:
        w = np.array(wheels, np.float32)
        rows = np.array(wheel_row)
        base = placed[rows, :, :3]
        cs, ss, cw, sw = np.cos(w[:, 3]), np.sin(w[:, 3]), np.cos(w[:, 4]), np.sin(w[:, 4])
        # steering about z after rolling about y
        local = np.stack([cs * cw, -ss, cs * sw, ss * cw, cs, ss * sw, -sw, 0 * cs, cw], -1).reshape(-1, 3, 3)
        placed[rows, :, :3] = base @ local
        placed[rows, :, 3] = (base @ w[:, :3, None])[..., 0] + actors.pose[np.array(owner)[rows], :3]
    return Parts(np.array(template, np.int32), np.array(owner, np.int32), placed)


@njit(**PARALLEL)
def pose_parts(template, actor, matrix, t_vertex, t_triangle, t_position, t_normal, t_face, v_first, f_first,
               vertex_base, position, normal, face, source, owner, t_source):  # fmt: skip
    """Write the parts' world vertices at vertex_base + v_first[k] and their faces, sources and owners at f_first[k]."""
    for k in prange(template.shape[0]):
        t = template[k]
        m = matrix[k]
        v = vertex_base + v_first[k]
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
            source[j] = t_source + i
            owner[j] = actor[k]
