"""The page's camera: one on the server, aboard the vehicle that is followed, and only while somebody looks."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import carla
import cv2
import numpy as np

from contracts import UserError
from sim.client import Simulator

UNWATCHED = 4.0
"""Seconds without a request after which the camera is taken away."""
SCENE = 120.0
"""Seconds that the first camera in a town may take."""
QUALITY = 82
"""Of the JPEG."""
VIEWS = {
    "chase": ((-7.5, 0.0, 3.4), -10.0),
    "driver": ((0.6, 0.0, 1.45), -2.0),
    "side": ((1.0, -7.0, 1.8), -4.0),
    "top": ((-4.0, 0.0, 38.0), -78.0),
}
"""Place in the vehicle's axes (metres) and pitch (degrees); `side` looks to the right, at the vehicle."""


@dataclass(frozen=True)
class Picture:
    """One JPEG and the frame it shows."""

    frame: int
    jpeg: bytes


class Pictures:
    """Keeps the camera where it should be and the last picture at hand."""

    def __init__(self, width: int, height: int, rate: float) -> None:
        self._size, self._rate = (width, height), rate
        self._asked = -1e9
        self._latest: Picture | None = None
        self._camera: Any = None
        self._for: tuple[int, str] | None = None

    def latest(self) -> Picture | None:
        """The last picture; the camera stays on while this is called."""
        self._asked = time.monotonic()
        return self._latest

    def tend(self, sim: Simulator, vehicle: Any, view: str) -> None:
        """Put the camera where it is wanted, or take it away. Raises RuntimeError where the server refuses."""
        wanted = (
            None if time.monotonic() - self._asked > UNWATCHED else (vehicle.id if vehicle is not None else 0, view)
        )
        if wanted == self._for:
            return
        self.close(sim)
        self._for = wanted
        if wanted is None:
            return
        width, height = self._size
        place = _seat(view) if vehicle is not None else _overview(sim)
        attributes: dict[str, object] = {"image_size_x": width, "image_size_y": height, "fov": 90}
        # the server answers when the town's scene is built
        sim.client.set_timeout(SCENE)
        try:
            self._camera = sim.spawn(
                "sensor.camera.rgb", place, vehicle, sensor_tick=round(1.0 / self._rate, 3), **attributes
            )
            self._camera.listen(self._take)
        except UserError:  # a vehicle that has just gone: the next round chooses another
            self._for = None
        finally:
            sim.client.set_timeout(sim.config.timeout)

    def close(self, sim: Simulator) -> None:
        """Take the camera away."""
        camera, self._camera, self._for = self._camera, None, None
        self._latest = None
        if camera is not None:
            with suppress(RuntimeError):
                sim.destroy(camera)

    def _take(self, image: Any) -> None:
        pixels = np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)[..., :3]
        fine, data = cv2.imencode(".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if fine:
            self._latest = Picture(int(image.frame), data.tobytes())


def _seat(view: str) -> Any:
    (x, y, z), pitch = VIEWS[view]
    yaw = 90.0 if view == "side" else 0.0
    return carla.Transform(carla.Location(x, y, z), carla.Rotation(pitch=pitch, yaw=yaw))


def _overview(sim: Simulator) -> Any:
    """Over the first spawn point, where there is no vehicle to follow."""
    points = sim.map.get_spawn_points()
    if not points:
        return carla.Transform(carla.Location(0, 0, 60), carla.Rotation(pitch=-60))
    place = points[0]
    back = place.get_forward_vector()
    at = place.location - back * 30.0
    return carla.Transform(carla.Location(at.x, at.y, at.z + 28.0), carla.Rotation(pitch=-35, yaw=place.rotation.yaw))
