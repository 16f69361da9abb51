"""A camera's place and optics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from sim.sensors.view import View, view_rotation

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Lens:
    """Radial distortion by CARLA's attributes [lens_k, lens_kcube, ...] and their defaults, which distort nothing.

    CARLA gives no formula. Here a pixel at (u, v), each -1..1 from the middle to the picture's edges, shows what the
    pinhole camera sees at u (1 + x_size a), v (1 + y_size a) with a = circle_multiplier r^circle_falloff
    (k r^2 + kcube r^3) and r = 1 in the corners. What lies outside the pinhole's picture is black and unlabelled.
    """

    circle_falloff: float = 5.0
    circle_multiplier: float = 0.0
    k: float = -1.0
    kcube: float = 0.0
    x_size: float = 0.08
    y_size: float = 0.08

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not math.isfinite(getattr(self, name)):
                raise UserError(f"camera: lens_{name} {getattr(self, name)} is not a finite number")
        if not 0 <= self.circle_falloff <= 10 or not 0 <= self.circle_multiplier <= 10:
            raise UserError("camera: lens_circle_falloff and lens_circle_multiplier must be between 0 and 10")

    @property
    def distorts(self) -> bool:
        """Whether it changes anything."""
        return self.circle_multiplier != 0 and (self.k != 0 or self.kcube != 0) and (self.x_size, self.y_size) != (0, 0)

    def bend(self, picture: NDArray) -> NDArray:
        """A picture [H, W, ...] as it is behind the lens: colours are interpolated, everything else is not."""
        if not self.distorts:
            return picture
        x, y = _sources(self, picture.shape[1], picture.shape[0])
        colour = picture.dtype == np.uint8 and picture.ndim == 3
        if colour:
            return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT))
        i, j = np.round(x).astype(np.int32), np.round(y).astype(np.int32)
        inside = (i >= 0) & (j >= 0) & (i < picture.shape[1]) & (j < picture.shape[0])
        out = np.zeros_like(picture)
        out[inside] = picture[j[inside], i[inside]]
        return out


@lru_cache(maxsize=8)
def _sources(lens: Lens, width: int, height: int) -> tuple[F32, F32]:
    """Pixel coordinates x, y [H, W] of the pinhole picture that each pixel shows."""
    u, v = np.meshgrid((np.arange(width) + 0.5) / width * 2 - 1, (np.arange(height) + 0.5) / height * 2 - 1)
    r = np.sqrt((u * u + v * v) / 2)
    a = lens.circle_multiplier * r**lens.circle_falloff * (lens.k * r**2 + lens.kcube * r**3)
    x = (u * (1 + lens.x_size * a) + 1) / 2 * width - 0.5
    y = (v * (1 + lens.y_size * a) + 1) / 2 * height - 0.5
    return x.astype(np.float32), y.astype(np.float32)


@dataclass(frozen=True)
class Camera:
    """A camera's place and optics. CARLA's attribute in brackets where its name differs.

    Position in metres, angles in radians (pitch up, roll clockwise), `fov` horizontal in degrees. `exposure` is stops
    of compensation [exposure_compensation], `bloom` [bloom_intensity], `gamma`; `noise` the standard deviation of the
    sensor's noise in levels of 255. `lens` distorts all outputs alike (see Lens).
    """

    width: int = 640
    height: int = 360
    fov: float = 90.0
    x: float = 0.0
    y: float = 0.0
    z: float = 1.6
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0
    exposure: float = 0.0
    bloom: float = 0.675
    gamma: float = 2.2
    noise: float = 0.8
    lens: Lens = Lens()

    def __post_init__(self) -> None:
        if not (8 <= self.width <= 8192 and 8 <= self.height <= 8192):
            raise UserError(f"camera: a picture of {self.width} x {self.height} pixels is not between 8 and 8192")
        if not 1.0 <= self.fov <= 170.0:
            raise UserError(f"camera: fov {self.fov:g} is not between 1 and 170 degrees")
        if not 0.5 <= self.gamma <= 5.0:
            raise UserError(f"camera: gamma {self.gamma:g} is not between 0.5 and 5")

    def view(self) -> View:
        """Its pinhole view, before the lens."""
        rotation = view_rotation(self.yaw, self.pitch, self.roll)
        position = np.array([self.x, self.y, self.z], np.float32)
        return View.perspective(rotation, position, self.width, self.height, math.radians(self.fov))
