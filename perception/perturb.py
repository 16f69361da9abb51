"""Pictures as a worse camera or worse weather gives them, and lidar as a worse sensor does, each in five severities."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Random = np.random.Generator

SEVERITIES: dict[str, tuple[float, ...]] = {
    "noise": (8, 16, 28, 42, 60),
    "blur": (0.8, 1.3, 2.0, 3.0, 4.5),
    "brightness": (0.75, 0.55, 0.4, 0.27, 0.17),
    "fog": (0.2, 0.35, 0.5, 0.65, 0.8),
    "jpeg": (40, 25, 15, 9, 5),
    "occlusion": (0.05, 0.1, 0.18, 0.28, 0.4),
}
"""Of pictures: standard deviation of the noise in levels of 255; standard deviation of the blur in pixels; factor of
the brightness; share of the light that the fog gives; JPEG quality; share of the picture that dirt covers."""
LIDAR: dict[str, tuple[float, ...]] = {
    "lidar_drop": (0.2, 0.4, 0.6, 0.8, 0.95),
    "lidar_noise": (0.05, 0.1, 0.2, 0.4, 0.8),
}
"""Of lidar: share of the points that are lost; standard deviation of each coordinate, metres."""


def perturb(picture: U8, kind: str, severity: int, seed: int) -> U8:
    """A picture [H, W, 3] as it looks at a severity from 0 (unchanged) to 5; the same for the same seed."""
    if severity == 0:
        return picture
    changed = _WAYS[kind](picture, SEVERITIES[kind][severity - 1], np.random.default_rng((seed, severity)))
    return np.clip(changed, 0, 255).astype(np.uint8)


def perturb_lidar(points: F32, kind: str, severity: int, seed: int) -> F32:
    """Points [N, 4] at a severity from 0 to 5."""
    if severity == 0:
        return points
    random, amount = np.random.default_rng((seed, severity)), LIDAR[kind][severity - 1]
    if kind == "lidar_drop":
        return points[random.random(len(points)) >= amount]
    noisy = points.copy()
    noisy[:, :3] += random.normal(0, amount, (len(points), 3)).astype(np.float32)
    return noisy


def _noise(picture: U8, amount: float, random: Random) -> F32:
    return picture.astype(np.float32) + random.normal(0, amount, picture.shape).astype(np.float32)


def _blur(picture: U8, amount: float, random: Random) -> F32:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), amount), np.float32)


def _brightness(picture: U8, amount: float, random: Random) -> F32:
    return picture.astype(np.float32) * np.float32(amount)


def _fog(picture: U8, amount: float, random: Random) -> F32:
    # far things, which are high in the picture of a driving car, lose more; the fog has soft billows
    height, width = picture.shape[:2]
    billows = cv2.resize(random.random((4, 6), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    depth = np.clip(1.25 - 0.9 * np.linspace(0, 1, height, dtype=np.float32), 0, 1)[:, None]
    share = np.clip(amount * depth * (0.8 + 0.4 * billows), 0, 1)[..., None]
    return picture * (1 - share) + 205 * share


def _jpeg(picture: U8, amount: float, random: Random) -> F32:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(amount)])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)


def _occlusion(picture: U8, amount: float, random: Random) -> F32:
    out = picture.astype(np.float32)
    height, width = picture.shape[:2]
    covered = np.zeros((height, width), np.uint8)
    while covered.mean() < amount:
        centre = (int(random.integers(0, width)), int(random.integers(0, height)))
        axes = (int(random.integers(width // 24, width // 10)), int(random.integers(height // 24, height // 8)))
        cv2.ellipse(covered, centre, axes, float(random.integers(0, 180)), 0, 360, 1, -1)
    out[covered > 0] = (72, 64, 52)
    return out


_WAYS: dict[str, Callable[[U8, float, Random], F32]] = {
    "noise": _noise, "blur": _blur, "brightness": _brightness, "fog": _fog, "jpeg": _jpeg, "occlusion": _occlusion,
}  # fmt: skip
