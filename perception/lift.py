"""From boxes in a picture to objects on the road: ground plane, usual sizes, the network's depth, and lidar.

Each way of telling an object's depth has its own error; they are weighed by it (inverse variance of the logarithm).
Lidar points inside a box, where there are some, overrule the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.classes import LIGHT, SIZES
from perception.data import rotation
from perception.output import Detections

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SIZE_ERROR = 0.13
"""Relative error of the depth that an object's usual height gives."""
NETWORK_ERROR = 0.08
"""Relative error of the depth that a network says."""
PIXEL = 1.0
"""Error of a box's lower edge, pixels of the recorded picture."""
SLOPE = 0.012
"""Error of the ground plane, as a slope: roads rise and cars pitch."""
EDGE = 2.0
"""Pixels from the picture's border within which a box is cut off."""
LIDAR_POINTS = 3
"""Points in a box that are enough to trust lidar."""
GROUND = 0.3
"""Points lower than this above the road belong to the road, metres."""


@dataclass(frozen=True)
class CameraModel:
    """A camera as info.json gives it: pose in the ego frame, pixels, horizontal field of view (radians)."""

    pose: tuple[float, ...]
    width: int
    height: int
    fov: float

    @staticmethod
    def of(info: dict[str, Any]) -> CameraModel:
        """From a camera of info.json."""
        return CameraModel(tuple(info["pose"]), int(info["width"]), int(info["height"]), float(info["fov"]))

    @property
    def focal(self) -> float:
        """Pixels of the recorded picture."""
        return self.width / (2 * math.tan(self.fov / 2))

    def rays(self, pixels: F64) -> F64:
        """[N, 3] of pixels [N, 2], in the ego frame, 1 m long along the optical axis."""
        u = (pixels[:, 0] - self.width / 2) / self.focal
        v = (pixels[:, 1] - self.height / 2) / self.focal
        local = np.stack([np.ones_like(u), u, -v], -1)
        turned: F64 = local @ rotation(*self.pose[3:]).T
        return turned

    def project(self, points: F64) -> tuple[F64, F64]:
        """Pixels [N, 2] and depths [N] of points [N, 3] in the ego frame; depth at or below 0 is behind the camera."""
        seen = (points - np.array(self.pose[:3])) @ rotation(*self.pose[3:])
        ahead = np.maximum(seen[:, 0], 1e-6)
        pixels = np.stack([self.width / 2 + self.focal * seen[:, 1] / ahead,
                           self.height / 2 - self.focal * seen[:, 2] / ahead], -1)  # fmt: skip
        return pixels, seen[:, 0]


@dataclass(frozen=True)
class Lifted:
    """N objects in the ego frame: labels [N] (place in CLASSES), centre [N, 3], half_extent [N, 3], yaw [N] (nan where

    it is not known), scores [N], error [N]: relative error of the distance, as estimated.
    """

    labels: NDArray[np.int64]
    centre: F32
    half_extent: F32
    yaw: F32
    scores: F32
    error: F32

    def __len__(self) -> int:
        return len(self.labels)


def lift(found: Detections, camera: CameraModel, scale: tuple[float, float], lidar: F32 | None = None) -> Lifted:
    """Objects of a picture in the ego frame.

    scale: pixels of the scaled picture a recorded one, across and down. lidar: [N, 4] points of the ego frame.
    """
    boxes = found.boxes.astype(np.float64) / np.array([*scale, *scale])
    size = SIZES[found.labels].astype(np.float64).reshape(-1, 3)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    bearing = np.arctan2((middle[:, 0] - camera.width / 2) / camera.focal, 1.0)
    yaw = found.alpha.astype(np.float64) + bearing + camera.pose[5]
    # half of what the object reaches along the view: its centre lies so far behind its face
    seen = np.where(np.isfinite(found.alpha), found.alpha, 0.0)
    behind = (np.abs(np.cos(seen)) * size[:, 0] + np.abs(np.sin(seen)) * size[:, 1]) / 2
    depth, error = _depth(found, boxes, size, behind, camera)
    if lidar is not None and len(lidar):
        measured = _lidar_depth(boxes, camera, lidar, depth)
        sure = np.isfinite(measured)
        depth = np.where(sure, measured + behind, depth)
        error = np.where(sure, 0.3 / np.maximum(depth, 1.0), error)
    centre = np.array(camera.pose[:3]) + camera.rays(middle) * depth[:, None]
    single = np.float32
    return Lifted(
        found.labels, centre.astype(single), (size / 2).astype(single), _turn(yaw).astype(single), found.scores,
        error.astype(single),
    )  # fmt: skip


def _depth(found: Detections, boxes: F64, size: F64, behind: F64, camera: CameraModel) -> tuple[F64, F64]:
    """Depth of the centres along the optical axis [N] and its relative error [N]."""
    tall = boxes[:, 3] - boxes[:, 1]
    cut = (boxes[:, 1] <= EDGE) | (boxes[:, 3] >= camera.height - EDGE)
    foot = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], -1)
    drop = -camera.rays(foot)[:, 2]  # metres that the ray falls a metre along the axis
    on_ground = (found.labels < LIGHT) & (boxes[:, 3] < camera.height - EDGE) & (drop > 0.005)
    plane = camera.pose[2] / np.maximum(drop, 1e-6)
    ways = [
        (found.depth.astype(np.float64), np.where(np.isfinite(found.depth), NETWORK_ERROR, np.inf)),
        (camera.focal * size[:, 2] / np.maximum(tall, 1.0) + behind,
         np.where(cut, np.inf, np.hypot(SIZE_ERROR, PIXEL / np.maximum(tall, 1.0)))),
        (plane + behind, np.where(on_ground, (PIXEL / camera.focal + SLOPE) / np.maximum(drop, 1e-6), np.inf)),
    ]  # fmt: skip
    weight, total = np.zeros(len(boxes)), np.zeros(len(boxes))
    for depth, error in ways:
        mine = 1 / np.maximum(error, 1e-3) ** 2
        good = np.isfinite(depth) & np.isfinite(error)
        weight += np.where(good, mine, 0)
        total += np.where(good, mine * np.log(np.where(good, np.clip(depth, 0.5, 500), 1.0)), 0)
    # a box that says nothing (cut off above and below): as far as an object that fills the picture
    fallback = camera.focal * size[:, 2] / np.maximum(tall, 1.0)
    known = weight > 0
    depth = np.where(known, np.exp(total / np.where(known, weight, 1)), np.clip(fallback, 0.5, 500))
    return depth, np.where(known, 1 / np.sqrt(np.where(known, weight, 1)), 1.0)


def _lidar_depth(boxes: F64, camera: CameraModel, lidar: F32, expected: F64) -> F64:
    """Depth of the face of each object from the points in the middle of its box, nan where there are too few."""
    points = lidar[lidar[:, 2] > GROUND, :3].astype(np.float64)
    pixels, depth = camera.project(points)
    found = np.full(len(boxes), np.nan)
    for k, (left, top, right, bottom) in enumerate(boxes):
        x, y = 0.15 * (right - left), 0.1 * (bottom - top)
        inside = (depth > 0.5) & (pixels[:, 0] > left + x) & (pixels[:, 0] < right - x)
        inside &= (pixels[:, 1] > top + y) & (pixels[:, 1] < bottom - y)
        inside &= (depth > 0.5 * expected[k]) & (depth < 2.0 * expected[k])  # others are of what is behind or before
        if inside.sum() >= LIDAR_POINTS:
            found[k] = float(np.quantile(depth[inside], 0.2))
    return found


def _turn(angle: F64) -> F64:
    """Angles in [-pi, pi); nan stays."""
    turned: F64 = (angle + np.pi) % (2 * np.pi) - np.pi
    return turned
