"""The ego's cameras and lidar as CARLA sensors, and their measurements of one frame together."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic
from typing import Any

import carla
import cv2
import numpy as np
from numpy.typing import NDArray

from sim.client import ServerLost, Simulator
from sim.recorder.config import CameraConfig, RecordConfig
from sim.recorder.shot import Picture

BLUEPRINTS = {
    "rgb": "sensor.camera.rgb", "semantic": "sensor.camera.semantic_segmentation",
    "instance": "sensor.camera.instance_segmentation", "depth": "sensor.camera.depth",
}  # fmt: skip
KEPT = 4
"""Frames whose measurements wait for the others of their frame."""


class Rig:
    """All sensors of an ego, silent until `listen`.

    They measure in the tick after they were spawned and then every `period` seconds. `steady` False asks a server that
    may count differently for a measurement in each tick.
    """

    def __init__(self, sim: Simulator, ego: Any, config: RecordConfig, period: float, delta: float, steady: bool):
        self._arrived = threading.Condition()
        self._frames: dict[int, dict[str, Any]] = {}
        self._sensors: dict[str, Any] = {}
        self._sim, self._config = sim, config
        tick = {"sensor_tick": f"{period:.6f}"} if steady else {}
        for name, camera in config.cameras.items():
            place = carla.Transform(
                carla.Location(camera.x, camera.y, camera.z), carla.Rotation(pitch=camera.pitch, yaw=camera.yaw)
            )
            optics = {"image_size_x": camera.width, "image_size_y": camera.height, "fov": camera.fov}
            for output in camera.outputs:
                sensor = sim.spawn(BLUEPRINTS[output], place, attach_to=ego, **optics, **tick)
                self._sensors[f"{name}/{output}"] = sensor
        if config.lidar.enabled:
            lidar = config.lidar
            self._sensors["lidar"] = sim.spawn(
                "sensor.lidar.ray_cast", carla.Transform(carla.Location(lidar.x, 0.0, lidar.z)), attach_to=ego,
                channels=lidar.channels, range=lidar.range, upper_fov=lidar.upper, lower_fov=lidar.lower,
                points_per_second=round(lidar.points / delta), rotation_frequency=1.0 / delta, **tick,
            )  # fmt: skip
        self.listening = False

    def listen(self) -> None:
        """Measurements are sent from the next tick on."""
        self.listening = True
        if self._sensors:
            # our server makes the town's scene first: a client waits for a ray, but spins while a tick is held back
            with suppress(RuntimeError):
                self._sim.world.cast_ray(carla.Location(), carla.Location(z=1.0))
        for name, sensor in self._sensors.items():
            sensor.listen(lambda data, name=name: self._take(name, data))

    def _take(self, name: str, data: Any) -> None:
        with self._arrived:
            self._frames.setdefault(int(data.frame), {})[name] = data
            for old in sorted(self._frames)[:-KEPT]:
                del self._frames[old]
            self._arrived.notify_all()

    def stop(self) -> None:
        """No more measurements."""
        if self.listening:
            for sensor in self._sensors.values():
                sensor.stop()

    def of(self, frame: int, timeout: float) -> tuple[dict[str, Picture], NDArray[np.float32] | None]:
        """Camera name -> its pictures, and the lidar's points in the ego frame, of one frame.

        Raises ServerLost where they have not all come within `timeout` seconds.
        """
        end = monotonic() + timeout
        with self._arrived:
            while len(self._frames.get(frame, {})) < len(self._sensors):
                if not self._arrived.wait(end - monotonic()):
                    missing = sorted(set(self._sensors) - set(self._frames.get(frame, {})))
                    raise ServerLost(f"no measurement of frame {frame} from {', '.join(missing)}")
            found = self._frames.pop(frame)
        pictures = {
            name: Picture(**{output: _decode(output, found[f"{name}/{output}"]) for output in camera.outputs})
            for name, camera in self._config.cameras.items()
        }
        points = None
        if "lidar" in found:
            points = np.frombuffer(found["lidar"].raw_data, np.float32).reshape(-1, 4).copy()
            points[:, :3] += np.array([self._config.lidar.x, 0.0, self._config.lidar.z], np.float32)
        return pictures, points


def _decode(output: str, data: Any) -> NDArray[Any]:
    shape = data.height, data.width
    if output == "rgb":
        return cv2.cvtColor(np.frombuffer(data.raw_data, np.uint8).reshape(*shape, 4), cv2.COLOR_BGRA2BGR)
    pixels = np.frombuffer(data.raw_data, "<u4").reshape(shape)  # blue lowest; faster than channel by channel
    if output == "semantic":
        return (pixels >> 16).astype(np.uint8)
    if output == "instance":
        return (pixels >> 8 & 255 | (pixels & 255) << 8).astype(np.int32)
    code = (pixels >> 16 & 255 | pixels & 0xFF00 | (pixels & 255) << 16).astype(np.float32)
    return code * np.float32(1000.0 / (256**3 - 1))


def frame_bytes(config: RecordConfig) -> float:
    """About how many bytes a frame of all sensors takes on disk."""

    def camera(c: CameraConfig) -> float:
        cost = {"rgb": 0.31, "semantic": 0.05, "instance": 0.03, "depth": 0.22}
        return c.width * c.height * sum(cost[output] for output in c.outputs)

    lidar = 16.0 * 0.55 * config.lidar.points if config.lidar.enabled else 0.0
    return sum(camera(c) for c in config.cameras.values()) + lidar + 5000.0
