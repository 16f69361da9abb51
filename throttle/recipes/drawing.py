"""Traffic-sign crops and street scenes with vehicles, drawn with OpenCV: small, deterministic, plainly drawings.

They stand in for rendered crops where no simulator is at hand: enough variation (place, size, turn, light, blur,
clutter) that a small network has something to learn, and no claim to look like the street.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

SIGNS = ("stop", "yield", "no entry", "priority", "crossing", "30", "60", "90")
RED, WHITE, BLACK = (200, 30, 40), (240, 240, 240), (20, 20, 20)
YELLOW, BLUE = (240, 200, 30), (40, 80, 190)


def _polygon(corners: int, radius: float, start: float, centre: float) -> npt.NDArray[np.int32]:
    angles = start + 2 * math.pi * np.arange(corners) / corners
    return np.stack([centre + radius * np.cos(angles), centre + radius * np.sin(angles)], 1).round().astype(np.int32)


def _sign(kind: str, size: int) -> tuple[Image, Image]:
    """One sign, upright, [size, size, 3], and its mask [size, size] (255 where the sign is)."""
    picture, mask = np.zeros((size, size, 3), np.uint8), np.zeros((size, size), np.uint8)
    middle, radius = size / 2, 0.46 * size
    centre, full = (size // 2, size // 2), (255,)
    if kind in ("stop", "yield", "priority", "crossing"):
        corners, start = {
            "stop": (8, math.pi / 8),
            "yield": (3, math.pi / 2),
            "priority": (4, 0.0),
            "crossing": (4, math.pi / 4),
        }[kind]
        inner = {"stop": RED, "yield": WHITE, "priority": YELLOW, "crossing": BLUE}[kind]
        cv2.fillPoly(mask, [_polygon(corners, radius, start, middle)], full)
        cv2.fillPoly(picture, [_polygon(corners, radius, start, middle)], RED if kind == "yield" else WHITE)
        cv2.fillPoly(picture, [_polygon(corners, (0.6 if kind == "yield" else 0.85) * radius, start, middle)], inner)
        if kind == "crossing":
            cv2.fillPoly(picture, [_polygon(3, 0.5 * radius, -math.pi / 2, middle)], WHITE)
    else:
        cv2.circle(mask, centre, int(radius), full, -1)
        cv2.circle(picture, centre, int(radius), RED, -1)
        if kind == "no entry":
            wide, high = int(0.65 * radius), int(0.2 * radius)
            cv2.rectangle(
                picture, (centre[0] - wide, centre[1] - high), (centre[0] + wide, centre[1] + high), WHITE, -1
            )
        else:
            cv2.circle(picture, centre, int(0.75 * radius), WHITE, -1)
    if kind in ("stop", "30", "60", "90"):
        text, colour = (kind.upper(), WHITE) if kind == "stop" else (kind, BLACK)
        scale = size / (75 if kind == "stop" else 55)
        (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 2)
        cv2.putText(
            picture, text, (int(middle - wide / 2), int(middle + high / 2)), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2
        )
    return picture, mask


def _light_and_blur(picture: Image, rng: np.random.Generator) -> Image:
    bright = picture.astype(np.float32) * rng.uniform(0.4, 1.1) + rng.uniform(-15, 15)
    noisy = cv2.GaussianBlur(bright, (3, 3), rng.uniform(0.1, 1.0)) + rng.normal(0, 8, picture.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def sign_crops(count: int, seed: int, size: int = 32) -> tuple[Image, npt.NDArray[np.int64]]:
    """Crops [count, size, size, 3] (RGB) and classes [count], indices into SIGNS. The same seed, the same bytes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(SIGNS), count)
    drawn = {kind: _sign(kind, 64) for kind in SIGNS}
    crops = np.empty((count, size, size, 3), np.uint8)
    for i, label in enumerate(labels):
        picture, mask = drawn[SIGNS[label]]
        back = cv2.resize(
            rng.integers(30, 220, (4, 4, 3), dtype=np.uint8), (size, size), interpolation=cv2.INTER_LINEAR
        )
        scale = rng.uniform(0.55, 0.95) * size / 64
        warp = cv2.getRotationMatrix2D((32, 32), rng.uniform(-15, 15), scale)
        warp[:, 2] += size / 2 - 32 + rng.uniform(-0.1, 0.1, 2) * size
        warp[0, :2] *= rng.uniform(0.75, 1.0)  # seen from the side
        front = cv2.warpAffine(picture, warp, (size, size), flags=cv2.INTER_AREA)
        share = cv2.warpAffine(mask, warp, (size, size))[..., None] / 255.0
        crops[i] = _light_and_blur((front * share + back * (1 - share)).astype(np.uint8), rng)
    return crops, labels


def _vehicle(picture: Image, box: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    """Draw the rear of a car that fills the box (left, top, right, bottom)."""
    left, top, right, bottom = (int(v) for v in box)
    wide, high = right - left, bottom - top
    colour = tuple(int(c) for c in rng.integers(20, 255, 3))
    cabin = top + int(0.45 * high)
    cv2.rectangle(picture, (left, cabin), (right - 1, bottom - 1 - high // 8), colour, -1)
    roof = [[left + wide // 6, top], [right - 1 - wide // 6, top], [right - 1, cabin], [left, cabin]]
    cv2.fillPoly(picture, [np.array(roof, np.int32)], colour)
    glass = [
        [left + wide // 4, top + 1],
        [right - 1 - wide // 4, top + 1],
        [right - 1 - wide // 8, cabin],
        [left + wide // 8, cabin],
    ]
    cv2.fillPoly(picture, [np.array(glass, np.int32)], (60, 80, 100))
    wheel = max(1, wide // 6)
    for start in (left, right - wheel):
        cv2.rectangle(picture, (start, bottom - 1 - high // 5), (start + wheel - 1, bottom - 1), BLACK, -1)
        cv2.rectangle(picture, (start, cabin + 1), (start + wheel - 1, cabin + max(1, high // 10)), (230, 40, 40), -1)


def street_scenes(count: int, seed: int, size: int = 48, most: int = 3) -> tuple[Image, list[npt.NDArray[np.float32]]]:
    """Scenes [count, size, size, 3] (RGB) with one to `most` cars, and their boxes [n, 4] (left, top, right, bottom;
    px).

    Nearer cars are larger and lower and hide farther ones; a car of which another covers more than a third is left out.
    """
    rng = np.random.default_rng(seed)
    scenes, boxes = np.empty((count, size, size, 3), np.uint8), []
    for i in range(count):
        horizon = int(size * rng.uniform(0.25, 0.4))
        picture = np.empty((size, size, 3), np.uint8)
        picture[:horizon] = rng.integers(120, 230, 3)
        picture[horizon:] = rng.integers(70, 120, 1)
        lane = np.array([[size // 2, horizon], [size // 2 - 2, size], [size // 2 + 2, size]], np.int32)
        cv2.fillPoly(picture, [lane], WHITE)
        kept: list[npt.NDArray[np.float32]] = []
        for distance in sorted(rng.uniform(0.0, 1.0, rng.integers(1, most + 1)), reverse=True):
            wide = round(size * (0.45 - 0.28 * float(distance)))
            high = round(wide * float(rng.uniform(0.7, 0.9)))
            bottom = int(horizon + (size - horizon) * (0.95 - 0.6 * distance))
            left = int(rng.integers(0, size - wide + 1))
            box = np.array([left, max(0, bottom - high), left + wide, bottom], np.float32)
            if all(_overlap(other, box) <= 1 / 3 for other in kept):
                _vehicle(picture, box, rng)
                kept.append(box)
        scenes[i] = _light_and_blur(picture, rng)
        boxes.append(np.stack(kept))
    return scenes, boxes


def _overlap(behind: npt.NDArray[np.float32], front: npt.NDArray[np.float32]) -> float:
    """Share of the box behind that the front one covers."""
    across = np.minimum(behind[2:], front[2:]) - np.maximum(behind[:2], front[:2])
    area = float((behind[2] - behind[0]) * (behind[3] - behind[1]))
    return float(np.prod(across.clip(0))) / area
