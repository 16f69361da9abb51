"""A camera's view: where it is, which way it looks, and its pinhole in pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """A camera: world -> camera rotation (rows: right, down, forward), position, pinhole in pixels.

    `orthographic` cameras (shadow maps) use `fx`, `fy` as pixels per metre and see every depth.
    """

    rotation: F32
    position: F32
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    near: float = 0.05
    orthographic: bool = False

    @staticmethod
    def perspective(rotation: F32, position: F32, width: int, height: int, fov: float) -> View:
        """`fov`: horizontal field of view, radians."""
        f = width / 2 / math.tan(fov / 2)
        return View(rotation, position, f, f, width / 2, height / 2, width, height)

    def touches(self, centre: F32, radius: F32) -> NDArray[np.bool_]:
        """Which spheres (centres [n, 3], radii [n]) may lie in the picture."""
        x, y, z = ((centre - self.position) @ self.rotation.T).T
        left, right = self.cx / self.fx, (self.width - self.cx) / self.fx
        top, bottom = self.cy / self.fy, (self.height - self.cy) / self.fy
        if self.orthographic:
            inside = (x < right + radius) & (-x < left + radius) & (y < bottom + radius) & (-y < top + radius)
            return np.asarray(inside)
        inside = z > self.near - radius
        for along, edge in ((x, right), (-x, left), (y, bottom), (-y, top)):
            inside &= along < edge * z + radius * math.hypot(1.0, edge)
        return np.asarray(inside)


def view_rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> F32:
    """World -> camera rotation [3, 3] of a camera looking along `yaw` (x towards y), `pitch` up, `roll` clockwise."""
    cy, sy, cp, sp, cr, sr = (g(a) for a in (yaw, pitch, roll) for g in (math.cos, math.sin))
    forward = np.array([cy * cp, sy * cp, sp])
    right = np.array([cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, -cp * sr])
    up = np.array([-cy * sp * cr - sy * sr, -sy * sp * cr + cy * sr, cp * cr])
    return np.stack([right, -up, forward]).astype(np.float32)
