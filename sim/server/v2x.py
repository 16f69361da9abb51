"""V2X sensors: cooperative awareness messages (CAM, ETSI EN 302 637-2) and messages of the client's own, by radio.

A message that is sent in a tick is received in the same one, by every other sensor of its kind that the channel lets
hear it. Streams carry the client's C++ structs as they lie in memory (little-endian, 8-byte longs).
"""

from __future__ import annotations

import math
import struct
from abc import abstractmethod

import numpy as np

from sim.server.actors import Actor
from sim.server.arguments import Vec
from sim.server.blueprints import Kind
from sim.server.frames import axes, into
from sim.server.radio import Channel, Path
from sim.server.sensors import Moment, SensorSource

CUSTOM_BYTES = 100
"""Length of a custom message; shorter ones are filled with zeros."""
OUTBOX = 256
"""Custom messages of one sensor that wait for the next tick; more are dropped."""
PROTOCOL, MESSAGE_CAM, MESSAGE_CUSTOM = 2, 2, 0
UNAVAILABLE = {"semi_axis": 4095, "heading": 3601, "altitude": 15, "acceleration": 161, "curvature": 30001}


def _struct(size: int, *fields: tuple[str, str | tuple[str, int], int]) -> np.dtype:
    names, formats, offsets = zip(*fields)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


_HEAD = (("power", "<f4", 0), ("version", "<i8", 8), ("message", "<i8", 16), ("station", "<i8", 24))
CAM = _struct(
    464, *_HEAD, ("generation", "<i8", 32), ("station_type", "<i8", 40), ("latitude", "<i8", 48),
    ("longitude", "<i8", 56), ("ellipse", ("<i8", 3), 64), ("altitude", "<i8", 88), ("altitude_confidence", "<i8", 96),
    ("high", "<i8", 104), ("heading", ("<i8", 2), 112), ("speed", ("<i8", 2), 128), ("direction", "<i8", 144),
    ("length", ("<i8", 2), 152), ("width", "<i8", 168), ("along", ("<i8", 2), 176), ("curvature", ("<i8", 2), 192),
    ("curvature_mode", "<i8", 208), ("yaw_rate", ("<i8", 2), 216), ("has_across", "u1", 272),
    ("across", ("<i8", 2), 280), ("has_up", "u1", 296), ("up", ("<i8", 2), 304), ("low", "<i8", 408),
    ("role", "<i8", 416), ("lights", "u1", 424),
)  # fmt: skip
"""A received CAM. Degrees in 1e-7 (position) and 0.1 (heading), cm/s, 0.1 m, 0.1 m/s^2, 0.01 degrees/s; what has two
numbers is (value, confidence)."""
POWER = struct.Struct("<f")
CUSTOM = _struct(136, *_HEAD, ("text", f"V{CUSTOM_BYTES}", 32))
"""A received custom message."""
STATION_TYPES = {"bicycle": 2, "motorcycle": 4, "car": 5, "bus": 6, "van": 7, "truck": 7}
EMERGENCY, ROAD_SIDE_UNIT = 10, 15
LAMPS = ((2, 7), (4, 6), (32, 5), (16, 4), (64, 2), (128, 1), (1, 0))
"""VehicleLightState flag -> bit of exteriorLights: low beam, high beam, left, right, reverse, fog, parking."""
LOW_PERIOD, UNIT_PERIOD = 0.5, 0.5
"""Seconds between two low-frequency containers, and between two messages of a road-side unit."""
HEADING, WAY, SPEED = 4.0, 4.0, 0.5
"""Degrees, metres and m/s after which a vehicle speaks before its time."""
REPEATS = 3
"""Messages at a raised rate before it falls back to the slowest."""


class V2x(SensorSource):
    """What both kinds share: the channel, and who hears whom."""

    def __init__(self, sensor: Actor) -> None:
        self.channel = Channel(sensor)
        self._frame = -1
        self._sent: list[bytes] = []

    def sent(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """The messages that this sensor sends in this tick."""
        if self._frame != moment.frame:
            self._frame = moment.frame
            # as bytes: a copy of a struct would not copy what lies between its fields
            self._sent = [message.tobytes() for message in self.speak(sensor, moment)]
        return self._sent

    @abstractmethod
    def speak(self, sensor: Actor, moment: Moment) -> list[np.ndarray]:
        """The messages of a new tick."""

    def measure(self, sensor: Actor, moment: Moment) -> list[bytes]:
        """All messages heard in this tick, in one message; none where there are none."""
        heard = []
        here = moment.registry.pose(sensor)
        for other, source in moment.episode.sensors.of_type(type(self)):
            said = source.sent(other, moment) if other is not sensor else []
            if not said:
                continue
            there = moment.registry.pose(other)
            path = Path.between(moment.episode.rays, there, here, (sensor.parent, other.parent))
            power = self.channel.received(source.channel.power, path)
            if power is not None:
                heard += [POWER.pack(power) + message[POWER.size :] for message in said]
        return [b"".join(heard)] if heard else []


class Cam(V2x):
    """Cooperative awareness: a vehicle, or a road-side unit (any other parent, or none), says where it is."""

    def __init__(self, sensor: Actor) -> None:
        super().__init__(sensor)
        number = sensor.number
        self._rng = np.random.default_rng([int(number("noise_seed", 0.0)) & 0xFFFFFFFF, sensor.id, 1])
        self._least, self._most = max(number("gen_cam_min", 0.1), 0.0), max(number("gen_cam_max", 1.0), 0.0)
        self._fixed = sensor.attributes.get("fixed_rate", "false").lower() == "true"
        self._interval, self._repeats = self._most, 0
        self._last: tuple[float, Vec, float, float] | None = None
        """Time, place, heading (degrees) and speed of the last message."""
        self._low = -math.inf

    def speak(self, sensor: Actor, moment: Moment) -> list[np.ndarray]:
        """One message, when it is time."""
        parent = moment.registry.actors.get(sensor.parent)
        vehicle = parent if parent is not None and parent.kind is Kind.VEHICLE else None
        body = vehicle or parent or sensor
        pose = moment.registry.pose(body)
        row = moment.registry.snapshot.rows[body.row]
        facing = axes(pose.pitch, pose.yaw, pose.roll)
        speed = into(facing, Vec(float(row["vx"]), float(row["vy"]), float(row["vz"]))).x
        now = (moment.elapsed, Vec(pose.x, pose.y, pose.z), pose.yaw, speed)
        if not self._due(now, vehicle is not None):
            return []
        self._last = now
        message = np.zeros((), CAM)
        message["version"], message["message"], message["station"] = PROTOCOL, MESSAGE_CAM, body.id
        message["generation"] = round(moment.elapsed * 1000) % 65536
        self._place(message, sensor, body, moment)
        message["station_type"] = _station_type(vehicle)
        if vehicle is None:
            message["high"] = 2
            return [message]
        self._motion(message, sensor, vehicle, moment, speed)
        if moment.elapsed - self._low >= LOW_PERIOD - 1e-6:
            self._low = moment.elapsed
            message["low"] = 1
            message["role"] = 6 if _special(vehicle) == "emergency" else 12 if _special(vehicle) == "taxi" else 0
            flags = vehicle.vehicle.lights if vehicle.vehicle else 0
            message["lights"] = sum(1 << bit for flag, bit in LAMPS if flags & flag)
        return [message]

    def _due(self, now: tuple[float, Vec, float, float], moves: bool) -> bool:
        """The rules of EN 302 637-2, 6.1.3."""
        if self._last is None:
            return True
        waited = now[0] - self._last[0] + 1e-6
        if not moves:
            return waited >= UNIT_PERIOD
        if waited < self._least:
            return False
        turned = abs((now[2] - self._last[2] + 180.0) % 360.0 - 180.0)
        way = math.dist(now[1], self._last[1])
        if self._fixed or turned > HEADING or way > WAY or abs(now[3] - self._last[3]) > SPEED:
            self._interval, self._repeats = min(waited, self._most), 0
            return True
        if waited < self._interval:
            return False
        self._repeats += 1
        if self._repeats >= REPEATS:
            self._interval = self._most
        return True

    def _noise(self, sensor: Actor, name: str) -> float:
        """A bias and a normal error, as the sensor's attributes have them."""
        deviation = abs(sensor.number(f"noise_{name}_stddev", 0.0))
        return sensor.number(f"noise_{name}_bias", 0.0) + deviation * float(self._rng.standard_normal())

    def _place(self, message: np.ndarray, sensor: Actor, body: Actor, moment: Moment) -> None:
        pose = moment.registry.pose(body)
        latitude, longitude, altitude = moment.geo.locate(pose.x, pose.y, pose.z)
        message["latitude"] = round((latitude + self._noise(sensor, "lat")) * 1e7)
        message["longitude"] = round((longitude + self._noise(sensor, "lon")) * 1e7)
        message["altitude"] = round((altitude + self._noise(sensor, "alt")) * 100)
        message["ellipse"] = UNAVAILABLE["semi_axis"], UNAVAILABLE["semi_axis"], UNAVAILABLE["heading"]
        message["altitude_confidence"] = UNAVAILABLE["altitude"]

    def _motion(self, message: np.ndarray, sensor: Actor, vehicle: Actor, moment: Moment, speed: float) -> None:
        pose, row = moment.registry.pose(vehicle), moment.registry.snapshot.rows[vehicle.row]
        errors = [abs(sensor.number(f"noise_accel_stddev_{axis}", 0.0)) for axis in "xyz"]
        exact = Vec(float(row["ax"]), float(row["ay"]), float(row["az"]) + moment.gravity)
        felt = Vec(
            *(
                value + error * float(self._rng.standard_normal())
                for value, error in zip(into(axes(pose.pitch, pose.yaw, pose.roll), exact), errors)
            )
        )
        message["high"] = 1
        heading = (pose.yaw + 90.0 + self._noise(sensor, "head")) % 360.0
        message["heading"] = round(heading * 10) % 3600, 10
        error = abs(sensor.number("noise_vel_stddev_x", 0.0)) * float(self._rng.standard_normal())
        message["speed"] = min(round(abs(speed + error) * 100), 16382), 3
        message["direction"] = 0 if speed >= 0 else 1
        half = vehicle.box[1]
        message["length"], message["width"] = (min(round(half[0] * 20), 1022), 4), min(round(half[1] * 20), 61)
        message["along"] = _acceleration(felt.x), 102
        message["curvature"], message["curvature_mode"] = (UNAVAILABLE["curvature"], 7), 0
        # positive to the left there, to the right in the world
        rate = -round((float(row["wz"]) + math.degrees(self._noise(sensor, "yawrate"))) * 100)
        message["yaw_rate"] = rate if abs(rate) <= 32766 else 32767, 8
        message["has_across"], message["across"] = 1, (_acceleration(-felt.y), 102)
        message["has_up"], message["up"] = 1, (_acceleration(felt.z), 102)


class Custom(V2x):
    """What the client's program hands over with `send`."""

    def __init__(self, sensor: Actor) -> None:
        super().__init__(sensor)
        self._outbox: list[bytes] = []

    def post(self, text: str) -> None:
        """Send at the next tick."""
        if len(self._outbox) < OUTBOX:
            self._outbox.append(text.encode("utf-8", "surrogateescape")[:CUSTOM_BYTES])

    def speak(self, sensor: Actor, moment: Moment) -> list[np.ndarray]:
        """What was posted since the last tick."""
        found = []
        for text in self._outbox:
            message = np.zeros((), CUSTOM)
            message["version"], message["message"], message["station"] = PROTOCOL, MESSAGE_CUSTOM, sensor.parent
            message["text"] = text.ljust(CUSTOM_BYTES, b"\0")
            found.append(message)
        self._outbox = []
        return found


def _acceleration(value: float) -> int:
    """In 0.1 m/s^2."""
    steps = round(value * 10)
    return steps if abs(steps) <= 160 else UNAVAILABLE["acceleration"]


def _special(vehicle: Actor) -> str:
    return vehicle.attributes.get("special_type", "") or (
        vehicle.blueprint.attributes["special_type"][1] if vehicle.blueprint else ""
    )


def _station_type(vehicle: Actor | None) -> int:
    if vehicle is None or vehicle.blueprint is None or vehicle.blueprint.vehicle is None:
        return ROAD_SIDE_UNIT
    if _special(vehicle) == "emergency":
        return EMERGENCY
    return STATION_TYPES.get(vehicle.blueprint.vehicle.base_type, 0)
