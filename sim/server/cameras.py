"""Sensors that look at the scene: cameras, lidars and radar, rendered by `sim.sensors` in the server's own thread.

One scene is built per town, when the first such sensor is spawned, and kept. The actors of a tick are posed once for
all sensors. Lens distortion and the photographic attributes other than exposure, bloom and gamma have no effect.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numba
import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from sim.sensors import camera as pictures
from sim.sensors import lidar as beams
from sim.sensors.actors import LAMP_BITS, Actors
from sim.sensors.camera import Camera, Renderer
from sim.sensors.meshes.vehicles import Lamp
from sim.sensors.scene.town import scene_of
from sim.sensors.weather import Weather
from sim.sensors.world_view import actors_of, lights_of
from sim.server.actors import Actor
from sim.server.arguments import Pose
from sim.server.errors import CallError
from sim.server.sensors import Moment, SensorSource
from sim.server.town import Town
from sim.world import fields as f

MAX_PIXELS = 4096 * 2160
MAX_BEAMS = 4_000_000
"""Points a second of the largest lidar or radar."""
EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("polarity", "u1")])
LAMP_FLAGS = ((2, Lamp.HEAD), (4, Lamp.HEAD), (8, Lamp.BRAKE), (16, Lamp.RIGHT), (32, Lamp.LEFT), (64, Lamp.REVERSE))
"""Bits of VehicleLightState and the lamps they switch on."""


Place = tuple[int, Pose, int, int, float]
"""Where cameras are the same: parent (0 none), pose (relative to it), width, height, field of view."""


@dataclass
class _Shared:
    """What the cameras of one place share: this tick's pictures, and what is asked for."""

    frame: int = -1
    found: dict[str, NDArray] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    expected: set[str] = field(default_factory=set)
    develop: tuple[float, float, float] = (0.0, 0.675, 2.2)
    """Exposure, bloom and gamma of the colour camera."""


class Stage:
    """The scene of a town and its renderers; what the sensors of one tick share."""

    def __init__(self, town: Town) -> None:
        scene = scene_of(town.network, 0)
        self.renderer = Renderer(scene=scene)
        self.caster = beams.RayCaster(scene)
        self._town = town
        self._frame = -1
        self._cast = -1
        self._actors = Actors.of([], np.zeros((0, 6)))
        self._shared: dict[Place, _Shared] = {}

    def picture(self, place: Place, camera: Camera, outputs: tuple[str, ...], moment: Moment) -> dict[str, NDArray]:
        """At least these outputs of this tick. Cameras of one place share one pass over the scene.

        Drawn is what was asked for in this tick so far and what the cameras of the place asked for last time.
        """
        shared = self._shared.setdefault(place, _Shared())
        if shared.frame != moment.frame:
            shared.frame, shared.found = moment.frame, {}
            shared.expected, shared.asked = shared.asked, set()
        shared.asked |= set(outputs)
        if "rgb" in outputs:
            if shared.develop != (camera.exposure, camera.bloom, camera.gamma):
                shared.found.pop("rgb", None)
            shared.develop = camera.exposure, camera.bloom, camera.gamma
        if not set(outputs) <= set(shared.found):
            wanted = (shared.asked | shared.expected) - set(shared.found)
            exposure, bloom, gamma = shared.develop
            with _all_threads():
                shared.found |= self.renderer.render(
                    replace(camera, exposure=exposure, bloom=bloom, gamma=gamma), self.actors(moment),
                    self.weather(moment), lights_of(moment.episode.world.state), sorted(wanted), moment.elapsed,
                    moment.episode.ticks,
                )  # fmt: skip
        return shared.found

    def actors(self, moment: Moment) -> Actors:
        """Vehicles and walkers of the tick, with the ids, paint and lamps of the server's actors."""
        if self._frame == moment.frame:
            return self._actors
        self._frame = moment.frame
        episode = moment.episode
        state, bodies = episode.world.state, episode.bodies
        found = actors_of(state, self._town.tables, 0, self.weather(moment))
        who = [bodies.of_vehicle.get(int(i)) for i in np.flatnonzero(state.vehicles.mode[0] != f.ABSENT)]
        who += [bodies.of_walker.get(int(i)) for i in np.flatnonzero(state.walkers.mode[0] != f.ABSENT)]
        ids, paint, lamps = found.id.copy(), found.paint.copy(), found.lamps.copy()
        for row, actor in enumerate(who):
            if actor is None:
                continue
            ids[row] = 1 + (actor.id - 1) % 32767
            if actor.vehicle is not None:
                paint[row] = _paint(actor.attributes.get("color", ""), paint[row])
                for flag, lamp in LAMP_FLAGS:
                    if actor.vehicle.lights & flag:
                        lamps[row] |= LAMP_BITS[lamp]
        self._actors = replace(found, id=ids, paint=paint, lamps=lamps)
        return self._actors

    def rays(self, moment: Moment) -> beams.RayCaster:
        """The ray caster with this tick's actors."""
        if self._cast != moment.frame:
            self._cast = moment.frame
            self.caster.update(self.actors(moment))
        return self.caster

    @staticmethod
    def weather(moment: Moment) -> Weather:
        """The episode's weather."""
        return Weather(*moment.episode.weather)


@contextmanager
def _all_threads() -> Iterator[None]:
    """Let the renderer use every core; the world's step goes back to what it had."""
    before = numba.get_num_threads()
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    try:
        yield
    finally:
        numba.set_num_threads(before)


_STAGES: WeakKeyDictionary[Town, Stage] = WeakKeyDictionary()


def stage_of(town: Town) -> Stage:
    """The stage of a town, built at its first use."""
    if town not in _STAGES:
        _STAGES[town] = Stage(town)
    return _STAGES[town]


def _paint(color: str, default: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear RGB of an attribute such as "17,37,103"."""
    try:
        values = [min(max(int(part), 0), 255) / 255 for part in color.split(",")]
    except ValueError:
        return default
    if len(values) != 3:
        return default
    return np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values], np.float32)


def _turns(pose: Pose) -> dict[str, Any]:
    """A pose as the renderer takes it."""
    roll, pitch, yaw = (math.radians(a) for a in (pose.roll, pose.pitch, pose.yaw))
    return {"x": pose.x, "y": pose.y, "z": pose.z, "roll": roll, "pitch": pitch, "yaw": yaw}


class Picture:
    """A camera of one output."""

    def __init__(self, sensor: Actor, town: Town, output: str, encode: Callable[[dict[str, NDArray]], NDArray]) -> None:
        number = sensor.number
        width, height = int(number("image_size_x", 800)), int(number("image_size_y", 600))
        if width * height > MAX_PIXELS:
            raise CallError(f"{sensor.type_id}: {width} x {height} is more than {MAX_PIXELS} pixels")
        self._camera = Camera(
            width=width, height=height, fov=number("fov", 90.0), exposure=number("exposure_compensation", 0.0),
            bloom=number("bloom_intensity", 0.675), gamma=number("gamma", 2.2),
        )  # fmt: skip
        self._outputs = ("semantic", "instance") if output == "instance" else (output,)
        self._encode = encode
        self._stage = stage_of(town)
        self._previous: tuple[Camera, Actors] | None = None

    def render(self, sensor: Actor, moment: Moment) -> dict[str, NDArray]:
        """The outputs of this tick."""
        pose = moment.registry.pose(sensor)
        camera = replace(self._camera, **_turns(pose))
        if self._outputs != ("flow",):
            place = (sensor.parent, sensor.relative or pose, camera.width, camera.height, camera.fov)
            return self._stage.picture(place, camera, self._outputs, moment)
        actors = self._stage.actors(moment)
        with _all_threads():
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


class Beams:
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
        self._stage = stage_of(town)
        self._semantic = semantic
        self._angle = 0.0
        self._seed = int(sensor.number("noise_seed", 0.0)) & 0xFFFF

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """One tick's part of the turn."""
        pose = beams.Pose(**_turns(moment.registry.pose(sensor)))
        caster = self._stage.rays(moment)
        points: NDArray
        with _all_threads():
            if self._semantic:
                points, counts = beams.semantic_scan(caster, self._lidar, pose, moment.dt, self._angle)
            else:
                seed = (self._seed << 32) + moment.episode.ticks
                points, counts = beams.scan(caster, self._lidar, pose, moment.dt, self._angle, seed)
        self._angle += math.radians(self._lidar.horizontal_fov) * min(1.0, self._lidar.rotation_frequency * moment.dt)
        self._angle = math.remainder(self._angle, 2 * math.pi)
        head = struct.pack("<fI", self._angle % (2 * math.pi), self._lidar.channels)
        return [head + counts.astype("<u4").tobytes() + np.ascontiguousarray(points).tobytes()]


class Radar:
    """Random rays in a cone, with the speed of what they meet."""

    def __init__(self, sensor: Actor, town: Town) -> None:
        number = sensor.number
        self._radar = beams.Radar(
            number("horizontal_fov", 30.0), number("vertical_fov", 30.0), number("range", 100.0),
            int(number("points_per_second", 1500)),
        )  # fmt: skip
        if not 1 <= self._radar.points_per_second <= MAX_BEAMS or self._radar.range <= 0:
            raise CallError(f"{sensor.type_id}: range and points_per_second must be positive and sensible")
        self._stage = stage_of(town)
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
    "sensor.camera.rgb": ("rgb", lambda out: pictures.encode_rgb(out["rgb"])),
    "sensor.camera.depth": ("depth", lambda out: pictures.encode_depth(out["depth"])),
    "sensor.camera.semantic_segmentation": ("semantic", lambda out: pictures.encode_semantic(out["semantic"])),
    "sensor.camera.instance_segmentation": (
        "instance", lambda out: pictures.encode_instance(out["semantic"], out["instance"]),
    ),
    "sensor.camera.normals": ("normal", lambda out: pictures.encode_normal(out["normal"])),
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
