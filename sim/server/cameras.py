"""Sensors that look at the scene: cameras, lidars and radar, rendered by `sim.sensors` in the server's own thread.

Their scenes are those of `sim.server.stage`. Which photographic attributes have no effect, and why: docs/sensors.md.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from sim.sensors import encodings
from sim.sensors import lidar as beams
from sim.sensors.actors import Actors
from sim.sensors.camera import Camera, Lens
from sim.sensors.labels import Tag
from sim.server.actors import Actor
from sim.server.arguments import Pose
from sim.server.errors import CallError
from sim.server.sensors import Moment, SensorSource
from sim.server.stage import Stage, all_threads, stage_of
from sim.server.town import Town

MAX_PIXELS = 4096 * 2160
MAX_BEAMS = 4_000_000
"""Points a second of the largest lidar or radar."""
CONTROL = np.zeros((len(Tag), 3), np.uint8)
"""RGB of each tag in the control pictures that CARLA makes for Cosmos; black where it has no colour."""
for _tag, _colour in {
    Tag.ROAD_LINE: (98, 183, 249), Tag.TRAFFIC_SIGN: (131, 175, 155), Tag.TRAFFIC_LIGHT: (252, 157, 155),
    Tag.CAR: (255, 0, 0), Tag.TRUCK: (0, 0, 255), Tag.BUS: (0, 0, 255), Tag.PEDESTRIAN: (0, 255, 0),
    Tag.MOTORCYCLE: (255, 255, 0), Tag.BICYCLE: (255, 255, 0), Tag.RIDER: (255, 255, 0), Tag.POLE: (66, 40, 144),
}.items():  # fmt: skip
    CONTROL[_tag] = _colour
EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("polarity", "u1")])


def _exposure(sensor: Actor) -> float:
    """Stops of compensation. In manual mode those of iso, fstop and shutter_speed (1/s) come on top, against their
    defaults; in histogram mode the renderer's own exposure follows the weather.
    """
    number, stops = sensor.number, sensor.number("exposure_compensation", 0.0)
    if sensor.attributes.get("exposure_mode", "histogram").lower() != "manual":
        return stops
    iso, fstop, shutter = (
        max(number(name, d), 1e-3) for name, d in (("iso", 100.0), ("fstop", 1.4), ("shutter_speed", 200.0))
    )
    return min(max(stops + math.log2(iso / 100.0 * (1.4 / fstop) ** 2 * 200.0 / shutter), -16.0), 16.0)


def _turns(pose: Pose) -> dict[str, Any]:
    """A pose as the renderer takes it."""
    roll, pitch, yaw = (math.radians(a) for a in (pose.roll, pose.pitch, pose.yaw))
    return {"x": pose.x, "y": pose.y, "z": pose.z, "roll": roll, "pitch": pitch, "yaw": yaw}


class Rendered(SensorSource):
    """A sensor that looks at the town's scene."""

    def __init__(self, town: Town) -> None:
        self._scene = stage_of(town)

    def ready(self) -> bool:
        """The scene stands."""
        return self._scene.done()

    @property
    def _stage(self) -> Stage:
        return self._scene.result()


class Picture(Rendered):
    """A camera of one output."""

    def __init__(self, sensor: Actor, town: Town, output: str, encode: Callable[[dict[str, NDArray]], NDArray]) -> None:
        number = sensor.number
        width, height = int(number("image_size_x", 800)), int(number("image_size_y", 600))
        if width * height > MAX_PIXELS:
            raise CallError(f"{sensor.type_id}: {width} x {height} is more than {MAX_PIXELS} pixels")
        processed = sensor.attributes.get("enable_postprocess_effects", "true").lower() != "false"
        lens = Lens(**{name: number(f"lens_{name}", value) for name, value in vars(Lens()).items()})
        self._camera = Camera(
            width=width, height=height, fov=number("fov", 90.0), exposure=_exposure(sensor), lens=lens,
            bloom=number("bloom_intensity", 0.675) if processed else 0.0, gamma=number("gamma", 2.2),
            noise=Camera.noise if processed else 0.0,
        )  # fmt: skip
        self._outputs = ("semantic", "instance") if output == "instance" else (output,)
        self._encode = encode
        super().__init__(town)
        self._previous: tuple[Camera, Actors] | None = None

    def render(self, sensor: Actor, moment: Moment) -> dict[str, NDArray]:
        """The outputs of this tick."""
        pose = moment.registry.pose(sensor)
        camera = replace(self._camera, **_turns(pose))
        if self._outputs != ("flow",):
            holder = -sensor.id if sensor.arm is not None else sensor.parent
            place = (holder, sensor.relative or pose, camera.width, camera.height, camera.fov, camera.lens)
            return self._stage.picture(place, camera, self._outputs, moment)
        actors = self._stage.actors(moment)
        with all_threads():
            found = self._stage.renderer.render(
                camera, actors, outputs=self._outputs, time=moment.elapsed, previous=self._previous
            )
        self._previous = camera, actors
        return found

    def head(self) -> bytes:
        """Width, height, field of view."""
        return struct.pack("<IIf", self._camera.width, self._camera.height, self._camera.fov)

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """One picture."""
        return [self.head() + np.ascontiguousarray(self._encode(self.render(sensor, moment))).tobytes()]


class Dvs(Picture):
    """Events where the logarithm of the brightness changed by more than a threshold since the last tick."""

    def __init__(self, sensor: Actor, town: Town) -> None:
        super().__init__(sensor, town, "rgb", lambda out: out["rgb"])
        self._up = max(sensor.number("positive_threshold", 0.3), 0.01)
        self._down = max(sensor.number("negative_threshold", 0.3), 0.01)
        self._floor = max(sensor.number("log_eps", 0.001), 1e-6)
        self._last: NDArray[np.float32] | None = None
        self._time = 0.0

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """All events of the tick, in the order of their time; none in the first."""
        rgb = self.render(sensor, moment)["rgb"].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        now = np.log(rgb / 255 + self._floor)
        before, since = self._last, self._time
        self._last, self._time = now, moment.elapsed
        if before is None:
            return [self.head()]
        change = now - before
        y, x = np.nonzero((change > self._up) | (change < -self._down))
        events = np.zeros(len(x), EVENT)
        step = change[y, x]
        share = np.where(step > 0, self._up, self._down) / np.abs(step)
        events["x"], events["y"], events["polarity"] = x, y, step > 0
        events["t"] = ((since + share * (moment.elapsed - since)) * 1e9).astype(np.int64)
        return [self.head() + events[np.argsort(events["t"], kind="stable")].tobytes()]


class Beams(Rendered):
    """A lidar, semantic or not."""

    def __init__(self, sensor: Actor, town: Town, semantic: bool) -> None:
        fields = beams.Lidar.__dataclass_fields__
        values: dict[str, Any] = {}
        for name, declared in fields.items():
            if name in sensor.attributes:
                number = sensor.number(name, 0.0)
                values[name] = int(number) if declared.type in ("int", int) else number
        self._lidar = beams.Lidar(**values)
        if self._lidar.points_per_second > MAX_BEAMS or self._lidar.channels > 1024:
            raise CallError(f"{sensor.type_id}: more than {MAX_BEAMS} points a second or 1024 channels")
        super().__init__(town)
        self._semantic = semantic
        self._angle = 0.0
        self._seed = int(sensor.number("noise_seed", 0.0)) & 0xFFFF

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """One tick's part of the turn."""
        pose = beams.Pose(**_turns(moment.registry.pose(sensor)))
        caster = self._stage.rays(moment)
        points: NDArray
        with all_threads():
            if self._semantic:
                points, counts = beams.semantic_scan(caster, self._lidar, pose, moment.dt, self._angle)
            else:
                seed = (self._seed << 32) + moment.episode.ticks
                points, counts = beams.scan(caster, self._lidar, pose, moment.dt, self._angle, seed)
        self._angle += math.radians(self._lidar.horizontal_fov) * min(1.0, self._lidar.rotation_frequency * moment.dt)
        self._angle = math.remainder(self._angle, 2 * math.pi)
        head = struct.pack("<fI", self._angle % (2 * math.pi), self._lidar.channels)
        return [head + counts.astype("<u4").tobytes() + np.ascontiguousarray(points).tobytes()]


class Radar(Rendered):
    """Random rays in a cone, with the speed of what they meet."""

    def __init__(self, sensor: Actor, town: Town) -> None:
        number = sensor.number
        self._radar = beams.Radar(
            number("horizontal_fov", 30.0), number("vertical_fov", 30.0), number("range", 100.0),
            int(number("points_per_second", 1500)),
        )  # fmt: skip
        if not 1 <= self._radar.points_per_second <= MAX_BEAMS or self._radar.range <= 0:
            raise CallError(f"{sensor.type_id}: range and points_per_second must be positive and sensible")
        super().__init__(town)
        self._seed = int(sensor.number("noise_seed", 0.0)) & 0xFFFF

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """[velocity, azimuth, altitude, depth] each."""
        row = moment.registry.snapshot.rows[sensor.row]
        own = np.array([row["vx"], row["vy"], row["vz"]], np.float32)
        pose = beams.Pose(**_turns(moment.registry.pose(sensor)))
        seed = (self._seed << 32) + moment.episode.ticks
        found = beams.radar_scan(
            self._stage.rays(moment), self._radar, pose, moment.dt, own, seed, 1 + (sensor.parent - 1) % 32767
        )
        return [np.ascontiguousarray(found[:, [0, 2, 1, 3]]).tobytes()]


_PICTURES: dict[str, tuple[str, Callable[[dict[str, NDArray]], NDArray]]] = {
    "sensor.camera.rgb": ("rgb", lambda out: encodings.encode_rgb(out["rgb"])),
    "sensor.camera.depth": ("depth", lambda out: encodings.encode_depth(out["depth"])),
    "sensor.camera.semantic_segmentation": ("semantic", lambda out: encodings.encode_semantic(out["semantic"])),
    "sensor.camera.cosmos_visualization": (
        "semantic", lambda out: encodings.encode_rgb(CONTROL[out["semantic"]]),
    ),
    "sensor.camera.instance_segmentation": (
        "instance", lambda out: encodings.encode_instance(out["semantic"], out["instance"]),
    ),
    "sensor.camera.normals": ("normal", lambda out: encodings.encode_normal(out["normal"])),
    "sensor.camera.optical_flow": ("flow", lambda out: out["flow"].astype("<f4")),
}  # fmt: skip


def make(sensor: Actor, town: Town) -> SensorSource | None:
    """The source of a rendered sensor, None for another blueprint; raises CallError at attributes that cannot be."""
    try:
        if sensor.type_id in _PICTURES:
            return Picture(sensor, town, *_PICTURES[sensor.type_id])
        if sensor.type_id == "sensor.camera.dvs":
            return Dvs(sensor, town)
        if sensor.type_id in ("sensor.lidar.ray_cast", "sensor.lidar.ray_cast_semantic"):
            return Beams(sensor, town, sensor.type_id.endswith("semantic"))
        if sensor.type_id == "sensor.other.radar":
            return Radar(sensor, town)
    except UserError as error:
        raise CallError(f"{sensor.type_id}: {error}") from error
    return None
