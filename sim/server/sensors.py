"""Sensors that push measurements: collision, obstacle, GNSS and IMU; and the seam for the others.

A source is made when its actor is spawned and asked after every tick whose turn it is, if somebody listens. Cameras,
lidars and radars are in `sim.server.cameras`, V2X in `sim.server.v2x`, loaded when the first of them is spawned.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from sim.server import codec
from sim.server.actors import Actor, Registry
from sim.server.arguments import Vec
from sim.server.errors import CallError
from sim.server.frames import axes, into
from sim.server.geodesy import GeoReference
from sim.server.town import Town

if TYPE_CHECKING:
    from sim.server.episode import Episode

COLLISION, DEPTH, NORMALS, DVS, GNSS, IMU, LANE_INVASION, OBSTACLE, OPTICAL_FLOW, RADAR = range(10)
SEMANTIC_LIDAR, LIDAR, RSS, RGB, SEMANTIC, INSTANCE, COSMOS, WORLD_OBSERVER = range(10, 18)
V2X, V2X_CUSTOM = 20, 21

SENSOR_INDEX = {
    "sensor.other.collision": COLLISION,
    "sensor.camera.depth": DEPTH,
    "sensor.camera.normals": NORMALS,
    "sensor.camera.dvs": DVS,
    "sensor.other.gnss": GNSS,
    "sensor.other.imu": IMU,
    "sensor.other.obstacle": OBSTACLE,
    "sensor.camera.optical_flow": OPTICAL_FLOW,
    "sensor.other.radar": RADAR,
    "sensor.lidar.ray_cast_semantic": SEMANTIC_LIDAR,
    "sensor.lidar.ray_cast": LIDAR,
    "sensor.camera.rgb": RGB,
    "sensor.camera.semantic_segmentation": SEMANTIC,
    "sensor.camera.instance_segmentation": INSTANCE,
    "sensor.camera.cosmos_visualization": COSMOS,
    "sensor.other.v2x": V2X,
    "sensor.other.v2x_custom": V2X_CUSTOM,
}
"""Type index in the stream header, by blueprint. A wrong one crashes the client."""
CLIENT_SIDE = frozenset({"sensor.other.lane_invasion", "sensor.other.rss"})
"""Computed in the client: no stream."""
GRAVITY = 9.81


class Contact(NamedTuple):
    """What a tick's collision did to `actor`: the impulse on it in N s (world axes) and the other one."""

    actor: Actor
    other: Actor
    impulse: Vec


class Moment(NamedTuple):
    """What a source may look at after a tick."""

    episode: Episode
    registry: Registry
    frame: int
    elapsed: float
    dt: float
    contacts: list[Contact]
    geo: GeoReference
    gravity: float
    nearest_hit: Callable[[Vec, Vec, float, int, bool], tuple[Actor | None, float] | None]
    """(from, to, radius in m, actor to leave out, moving actors only) -> what is hit first and how far, or None."""


class SensorSource(ABC):
    """One spawned sensor."""

    def ready(self) -> bool:
        """It can measure now; a rendered one waits for the town's scene."""
        return True

    @abstractmethod
    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """The messages of this tick (the part after the stream header), usually one; empty for none."""


Source = TypeVar("Source", bound=SensorSource)


class Collision(SensorSource):
    """One message per contact of the parent."""

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """[self, other, impulse]"""
        return [
            codec.payload([hit.actor.wire(), hit.other.wire(), list(hit.impulse)])
            for hit in moment.contacts
            if hit.actor.id == sensor.parent
        ]


class Obstacle(SensorSource):
    """What lies ahead within `distance`, found with a sphere of `hit_radius`."""

    def __init__(self, sensor: Actor) -> None:
        self._distance = max(sensor.number("distance", 5.0), 0.0)
        self._radius = max(sensor.number("hit_radius", 0.5), 0.0)
        self._moving_only = sensor.attributes.get("only_dynamics", "false") == "true"

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """[self, other, distance]"""
        parent = moment.registry.actors.get(sensor.parent)
        pose = moment.registry.pose(sensor)
        forward = axes(pose.pitch, pose.yaw, pose.roll)[0]
        start = Vec(pose.x, pose.y, pose.z)
        end = Vec(*(a + self._distance * b for a, b in zip(start, forward)))
        hit = moment.nearest_hit(start, end, self._radius, sensor.parent, self._moving_only)
        if hit is None or hit[0] is None or parent is None:
            return []
        return [codec.payload([parent.wire(), hit[0].wire(), hit[1]])]


class Gnss(SensorSource):
    """Latitude and longitude in degrees, altitude in metres, with the noise of the blueprint's attributes."""

    def __init__(self, sensor: Actor) -> None:
        self._rng = np.random.default_rng(_seed(sensor))
        self._bias = [sensor.number(f"noise_{n}_bias", 0.0) for n in ("lat", "lon", "alt")]
        self._deviation = [abs(sensor.number(f"noise_{n}_stddev", 0.0)) for n in ("lat", "lon", "alt")]

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """[latitude, longitude, altitude]"""
        pose = moment.registry.pose(sensor)
        exact = moment.geo.locate(pose.x, pose.y, pose.z)
        noise = self._rng.standard_normal(3)
        values = [float(v + b + d * n) for v, b, d, n in zip(exact, self._bias, self._deviation, noise)]
        return [codec.double_payload(values)]


class Imu(SensorSource):
    """Acceleration with gravity, turn rates and compass, in the sensor's frame."""

    def __init__(self, sensor: Actor) -> None:
        self._rng = np.random.default_rng(_seed(sensor))
        self._accel = [abs(sensor.number(f"noise_accel_stddev_{n}", 0.0)) for n in "xyz"]
        self._gyro = [abs(sensor.number(f"noise_gyro_stddev_{n}", 0.0)) for n in "xyz"]
        self._bias = [sensor.number(f"noise_gyro_bias_{n}", 0.0) for n in "xyz"]

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """[accelerometer m/s^2, gyroscope rad/s, compass rad: 0 is north (-y), growing to the east]"""
        pose = moment.registry.pose(sensor)
        row = moment.registry.snapshot.rows[sensor.row]
        frame = axes(pose.pitch, pose.yaw, pose.roll)
        accel = into(frame, Vec(float(row["ax"]), float(row["ay"]), float(row["az"]) + moment.gravity))
        turn = into(frame, Vec(*(math.radians(float(row[n])) for n in ("wx", "wy", "wz"))))
        noise = self._rng.standard_normal(6)
        felt = [float(v + d * n) for v, d, n in zip(accel, self._accel, noise[:3])]
        spin = [float(v + b + d * n) for v, b, d, n in zip(turn, self._bias, self._gyro, noise[3:])]
        return [codec.payload([felt, spin, math.radians((pose.yaw + 90.0) % 360.0)])]


def _seed(sensor: Actor) -> list[int]:
    return [int(sensor.number("noise_seed", 0.0)) & 0xFFFFFFFF, sensor.id]


_MAKERS: dict[str, Callable[[Actor], SensorSource]] = {
    "sensor.other.collision": lambda _: Collision(),
    "sensor.other.obstacle": Obstacle,
    "sensor.other.gnss": Gnss,
    "sensor.other.imu": Imu,
}


def make_source(sensor: Actor, town: Town) -> SensorSource:
    """The source of a freshly spawned sensor; raises CallError where this server cannot make one."""
    if sensor.type_id in _MAKERS:
        return _MAKERS[sensor.type_id](sensor)
    if sensor.type_id.startswith("sensor.other.v2x"):
        from sim.server import v2x

        return v2x.Custom(sensor) if sensor.type_id.endswith("custom") else v2x.Cam(sensor)
    from sim.server import cameras  # the renderer takes seconds to load

    source = cameras.make(sensor, town)
    if source is None:
        raise CallError(f"{sensor.type_id} is not available on this server")
    return source


class Sensors:
    """All sensors that stream, and when each is due."""

    def __init__(self) -> None:
        self._sources: dict[int, tuple[Actor, SensorSource]] = {}
        self._due: dict[int, float] = {}
        self._period: dict[int, float] = {}

    def add(self, sensor: Actor, source: SensorSource) -> None:
        """From the next tick on."""
        self._sources[sensor.id] = (sensor, source)
        self._period[sensor.id] = max(sensor.number("sensor_tick", 0.0), 0.0)

    def remove(self, sensor: Actor) -> None:
        """No more."""
        for table in (self._sources, self._due, self._period):
            table.pop(sensor.id, None)  # type: ignore[attr-defined]

    def source(self, sensor: int) -> SensorSource | None:
        """What a sensor measures with, by the actor's id."""
        found = self._sources.get(sensor)
        return found[1] if found else None

    def of_type(self, kind: type[Source]) -> list[tuple[Actor, Source]]:
        """All sensors of one kind, in the order in which they came."""
        return [(sensor, source) for sensor, source in self._sources.values() if type(source) is kind]

    def ready(self, wanted: Callable[[int], bool]) -> bool:
        """Every sensor that somebody listens to can measure."""
        return all(source.ready() or not wanted(sensor.stream) for sensor, source in self._sources.values())

    def measure(self, moment: Moment, events: bool, wanted: Callable[[int], bool]) -> list[tuple[Actor, bytes]]:
        """(sensor, message) of all that are due: the events (collisions) or the others."""
        found = []
        for sensor, source in self._sources.values():
            if isinstance(source, Collision) is not events or not source.ready() or not self._is_due(sensor.id, moment):
                continue
            if wanted(sensor.stream):
                found += [(sensor, message) for message in source.measure(sensor, moment)]
        return found

    def _is_due(self, sensor: int, moment: Moment) -> bool:
        """Every `sensor_tick` seconds from the first tick on."""
        period = self._period[sensor]
        if period == 0.0:
            return True
        due = self._due.setdefault(sensor, moment.elapsed)
        if moment.elapsed + 1e-6 < due:
            return False
        self._due[sensor] = max(due + period, moment.elapsed - period)
        return True
