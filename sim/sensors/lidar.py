"""Lidar, semantic lidar and radar: rays against a two-level hierarchy of the static scene and the actors.

The attributes, their defaults and the laws of intensity, drop-off and noise are those that CARLA documents: intensity
exp(-a d) of distance d; of all points a share `dropoff_general_rate` is lost, and of points whose intensity is below
`dropoff_intensity_limit` more, from none at the limit to `dropoff_zero_intensity` at intensity 0.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from sim.sensors.actors import Actors, rotations
from sim.sensors.bvh import WIDE, build, widen
from sim.sensors.jit import SERIAL, hash01, single
from sim.sensors.packets import cast
from sim.sensors.parts import Parts, parts_of
from sim.sensors.scene.town import Scene

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Pose:
    """Where a sensor is: metres, radians (pitch up, roll clockwise)."""

    x: float = 0.0
    y: float = 0.0
    z: float = 2.4
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0

    def origin(self) -> F32:
        """[3] in the world."""
        return np.array([self.x, self.y, self.z], np.float32)

    def rotation(self) -> F32:
        """[3, 3] sensor -> world."""
        return rotations(*(np.array([a], np.float32) for a in (self.roll, self.pitch, self.yaw)))[0]


@dataclass(frozen=True)
class Lidar:
    """CARLA's attributes of sensor.lidar.ray_cast (angles in degrees as there)."""

    channels: int = 32
    range: float = 10.0
    points_per_second: int = 56000
    rotation_frequency: float = 10.0
    upper_fov: float = 10.0
    lower_fov: float = -30.0
    horizontal_fov: float = 360.0
    atmosphere_attenuation_rate: float = 0.004
    dropoff_general_rate: float = 0.45
    dropoff_intensity_limit: float = 0.8
    dropoff_zero_intensity: float = 0.4
    noise_stddev: float = 0.0

    def __post_init__(self) -> None:
        if self.channels < 1 or self.points_per_second < 1 or self.range <= 0 or self.rotation_frequency <= 0:
            raise UserError("lidar: channels, range, points_per_second and rotation_frequency must be positive")
        if not 0 < self.horizontal_fov <= 360 or self.lower_fov > self.upper_fov:
            raise UserError("lidar: horizontal_fov must be in (0, 360] and lower_fov not above upper_fov")
        for name in ("dropoff_general_rate", "dropoff_intensity_limit", "dropoff_zero_intensity"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"lidar: {name} must be between 0 and 1")

    def directions(self, start: float, dt: float) -> tuple[F32, F32]:
        """Unit rays [channels * n, 3] of `dt` seconds, channel by channel, and the rotation [3, 3] that turns them into

        the sensor's frame for a sweep that begins at angle `start` (radians). One tick of 1 / rotation_frequency is a
        whole turn. The rays are shared: not to be written to.
        """
        n = max(1, round(self.points_per_second * dt / self.channels))
        sweep = math.radians(self.horizontal_fov) * min(1.0, self.rotation_frequency * dt)
        c, s = math.cos(start), math.sin(start)
        rays = _fan(self.channels, self.upper_fov, self.lower_fov, n, sweep)
        return rays, np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)


@lru_cache(maxsize=32)
def _fan(channels: int, upper: float, lower: float, n: int, sweep: float) -> F32:
    """Rays [channels * n, 3] of a sweep from angle 0."""
    across = sweep * np.arange(n) / n
    up = np.radians(np.linspace(upper, lower, channels))[:, None]
    rays = np.stack([np.cos(up) * np.cos(across), np.cos(up) * np.sin(across), np.sin(up) + 0 * across], -1)
    return np.ascontiguousarray(rays.reshape(-1, 3), np.float32)


@dataclass(frozen=True)
class Radar:
    """CARLA's attributes of sensor.other.radar (angles in degrees)."""

    horizontal_fov: float = 30.0
    vertical_fov: float = 30.0
    range: float = 100.0
    points_per_second: int = 1500


@dataclass(frozen=True)
class Hits:
    """What n rays met: distance (inf for nothing), point in the world, actor id or static instance, tag, cosine."""

    distance: F32
    point: F32
    instance: I32
    tag: NDArray[np.uint8]
    cosine: F32
    actor: I32
    """Row of Actors, -1 for static things."""


class RayCaster:
    """Casts rays into a scene with actors; `update` once a frame, then any number of casts."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._actors = Actors.of([], np.zeros((0, 6)))
        self.update(self._actors)

    def update(self, actors: Actors) -> None:
        """Take over the actors' poses."""
        self._actors = actors
        t = self.scene.templates
        # the fine forms up to the range of any lidar: what is hit is what a near camera shows
        self._parts: Parts = parts_of(actors, t, None)
        k = len(self._parts.template)
        if not k:
            self._nodes, self._children = np.zeros(WIDE, np.float32), np.zeros(4, np.int32)
            self._order, self._inverse = np.zeros(0, np.int32), np.zeros((0, 3, 4), np.float32)
            return
        m = self._parts.matrix
        low, high = t.low[self._parts.template], t.high[self._parts.template]
        middle, half = (low + high) / 2, (high - low) / 2
        centre = (m[:, :, :3] @ middle[..., None])[..., 0] + m[:, :, 3]
        reach = (np.abs(m[:, :, :3]) @ half[..., None])[..., 0] + np.float32(1e-4)
        boxes, links, self._order = build(centre - reach, centre + reach, 1)
        self._nodes, self._children = widen(boxes, links)
        turned = np.linalg.inv(m[:, :, :3].astype(np.float64))
        self._inverse = np.concatenate([turned, -turned @ m[:, :, 3:]], 2).astype(np.float32)

    def cast(self, origin: F32, direction: F32, far: float, ignore: int = 0) -> Hits:
        """Nearest hits of rays [n, 3] (unit directions). Hits of the actor with id `ignore` count as nothing."""
        distance, triangle, part = self.trace(origin, direction, far, ignore)
        origins = np.broadcast_to(np.asarray(origin, np.float32), direction.shape)
        return self._read(origins, direction, distance, triangle, part)

    def trace(
        self, origin: F32, direction: F32, far: float, ignore: int = 0, turn: F32 | None = None
    ) -> tuple[F32, I32, I32]:
        """Distances [n] (`far` for nothing), triangles [n] (-1 for nothing) and parts [n] of what `cast` meets.

        `turn` [3, 3] turns the directions into the world (without it they are there).
        """
        tree = self.scene.tree
        n = len(direction)
        distance, triangle, part = np.empty(n, np.float32), np.empty(n, np.int32), np.empty(n, np.int32)
        inverse, order = self._inverse, self._order
        if ignore and len(order):
            own = self._actors.id[self._parts.actor] == ignore
            if own.any():  # a matrix that sends every ray past the template
                inverse = inverse.copy()
                inverse[own, :, :3], inverse[own, :, 3] = 0.0, 1e6
        cast(
            tree.nodes, tree.children, tree.corners, tree.order, *self.scene.template_trees, self._nodes,
            self._children, order, inverse, self._parts.template, np.asarray(origin, np.float32).reshape(-1, 3),
            np.ascontiguousarray(direction), np.eye(3, dtype=np.float32) if turn is None else turn, np.float32(far),
            distance, triangle, part,
        )  # fmt: skip
        return distance, triangle, part

    def _read(self, origin: F32, direction: F32, distance: F32, triangle: I32, part: I32) -> Hits:
        scene, parts = self.scene, self._parts
        hit, moving = triangle >= 0, part >= 0
        statics = scene.static.mesh.size
        source = np.zeros(len(triangle), np.int64)
        still = hit & ~moving
        source[still] = scene.lidar_ids[triangle[still]]
        source[moving] = statics + triangle[moving]
        actor = np.full(len(triangle), -1, np.int32)
        actor[moving] = parts.actor[part[moving]]
        instance = np.where(hit, scene.instance[source], 0)
        instance[moving] = self._actors.id[actor[moving]]
        tag = np.where(hit, scene.semantic[source], 0).astype(np.uint8)
        m, t = scene.static.mesh, scene.templates.mesh
        corner = np.empty((len(triangle), 3, 3), np.float32)
        corner[~moving] = m.position[m.face[np.where(still, source, 0)[~moving]]]
        if moving.any():
            base = scene.templates.vertex[parts.template[part[moving]]][:, None]
            corner[moving] = t.position[t.face[triangle[moving]] + base]
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        if moving.any():
            rotation = parts.matrix[part[moving], :, :3]
            normal[moving] = (rotation @ normal[moving][..., None])[..., 0]
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)
        cosine = np.abs((normal * direction).sum(1)).astype(np.float32)
        far = np.where(hit, distance, np.float32(np.inf)).astype(np.float32)
        point = origin + direction * np.where(hit, distance, 0)[:, None]
        return Hits(far, point.astype(np.float32), instance.astype(np.int32), tag, cosine, actor)


@single(**SERIAL)
def _returns(rays, turn, columns, distance, triangle, attenuation, general, limit, zero, stddev, seed, points, counts):
    """Fill points [n, 4] and counts [channels] with what comes back; returns the number of points."""
    n = 0
    counts[:] = 0
    for i in range(rays.shape[0]):
        if triangle[i] < 0 or hash01(i, seed, 1) < general:
            continue
        d = distance[i]
        intensity = math.exp(-attenuation * d)
        if intensity < limit and hash01(i, seed, 2) < (1.0 - intensity / limit) * zero:
            continue
        if stddev > 0.0:  # Box and Muller's normal deviates
            d += (
                stddev
                * math.sqrt(-2.0 * math.log(max(hash01(i, seed, 3), 1e-7)))
                * math.cos(6.2831853 * hash01(i, seed, 4))
            )
        for a in range(3):
            points[n, a] = d * (turn[a, 0] * rays[i, 0] + turn[a, 1] * rays[i, 1] + turn[a, 2] * rays[i, 2])
        points[n, 3] = intensity
        counts[i // columns] += 1
        n += 1
    return n


def scan(caster: RayCaster, lidar: Lidar, pose: Pose, dt: float, start: float = 0.0, seed: int = 0,
         ignore: int = 0) -> tuple[F32, I32]:  # fmt: skip
    """One tick of a lidar: points [n, 4] x, y, z in the sensor's frame and intensity, channel by channel; [channels]
    number of points of each. `start`: angle at which the sweep begins, radians; `seed`: of drop-off and noise."""
    rays, turn = lidar.directions(start, dt)
    distance, triangle, _ = caster.trace(pose.origin(), rays, lidar.range, ignore, pose.rotation() @ turn)
    points, counts = np.empty((len(rays), 4), np.float32), np.empty(lidar.channels, np.int32)
    law = (lidar.atmosphere_attenuation_rate, lidar.dropoff_general_rate, lidar.dropoff_intensity_limit,
           lidar.dropoff_zero_intensity, lidar.noise_stddev)  # fmt: skip
    folded = (seed ^ (seed >> 31) ^ (seed >> 62)) & 0x7FFFFFFF
    n = _returns(rays, turn, len(rays) // lidar.channels, distance, triangle, *(np.float32(v) for v in law), folded,
                 points, counts)  # fmt: skip
    return points[:n], counts


SEMANTIC_POINT = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("cos", "<f4"), ("instance", "<u4"), ("tag", "<u4")]
)
"""A point of the semantic lidar as CARLA streams it."""


def semantic_scan(caster: RayCaster, lidar: Lidar, pose: Pose, dt: float, start: float = 0.0,
                  ignore: int = 0) -> tuple[NDArray[np.void], I32]:  # fmt: skip
    """One tick of a semantic lidar: SEMANTIC_POINT [n] without drop-off or noise, and [channels] points of each."""
    rays, turn = lidar.directions(start, dt)
    local: F32 = np.asarray(rays @ turn.T, np.float32)
    world: F32 = np.asarray(local @ pose.rotation().T, np.float32)
    hits = caster.cast(pose.origin(), world, lidar.range, ignore)
    keep = np.isfinite(hits.distance)
    out = np.empty(int(keep.sum()), SEMANTIC_POINT)
    at = local[keep] * hits.distance[keep, None]
    out["x"], out["y"], out["z"] = at.T
    out["cos"], out["instance"], out["tag"] = hits.cosine[keep], hits.instance[keep], hits.tag[keep]
    return out, keep.reshape(lidar.channels, -1).sum(1).astype(np.int32)


def radar_scan(caster: RayCaster, radar: Radar, pose: Pose, dt: float, velocity: F32, seed: int = 0,
               ignore: int = 0) -> F32:  # fmt: skip
    """One tick of a radar: detections [n, 4] velocity towards (-) or away (+), altitude, azimuth, depth, as CARLA has
    them (m/s, radians, metres). `velocity` [3]: the sensor's own, m/s in the world."""
    n = max(1, round(radar.points_per_second * dt))
    rng = np.random.default_rng(seed)
    radius, turn = np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    azimuth = radius * np.cos(turn) * math.radians(radar.horizontal_fov) / 2
    altitude = radius * np.sin(turn) * math.radians(radar.vertical_fov) / 2
    local = np.stack([np.cos(altitude) * np.cos(azimuth), np.cos(altitude) * np.sin(azimuth), np.sin(altitude)], -1)
    world = local.astype(np.float32) @ pose.rotation().T
    hits = caster.cast(pose.origin(), world, radar.range, ignore)
    keep = np.isfinite(hits.distance)
    moving = np.zeros((n, 3), np.float32)
    rows = hits.actor >= 0
    moving[rows] = caster._actors.velocity[hits.actor[rows]]
    speed = ((moving - velocity) * world).sum(1)
    return np.stack([speed, altitude, azimuth, hits.distance], -1)[keep].astype(np.float32)
