"""A dataset of painted pictures: coloured boxes on a road, so that every label is known exactly."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from perception.classes import CLASSES, LIGHT, SIGN, SIZES
from perception.lift import CameraModel
from sim.recorder.schema import CameraInfo, Info, lidar_path, picture_path
from sim.recorder.writer import EpisodeWriter, Shot, begin, finalise

WIDTH, HEIGHT = 192, 96
POSE = (1.3, 0.0, 1.7, 0.0, 0.0, 0.0)
FRONT = CameraInfo(POSE, WIDTH, HEIGHT, math.radians(90))
CAMERA = CameraModel(POSE, WIDTH, HEIGHT, math.radians(90))
COLOURS = [(230, 40, 40), (40, 220, 60), (50, 60, 235), (230, 220, 40), (220, 60, 220), (50, 220, 220), (20, 20, 20),
           (250, 250, 250)]  # fmt: skip
LAMPS = {"green": (0, 255, 90), "yellow": (255, 210, 0), "red": (255, 0, 0)}
TAGS = [14, 15, 16, 18, 19, 12, 7, 8]
SIGN_TYPES = ("stop", "yield")


def outline(centre: NDArray[np.float64], size: NDArray[np.float64], yaw: float = 0.0) -> NDArray[np.float64]:
    """[4] left, top, right, bottom of a 3-D box (size: length, width, height) in the picture."""
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) / 2
    d = signs * size
    cos, sin = math.cos(yaw), math.sin(yaw)
    corners = np.stack([d[:, 0] * cos - d[:, 1] * sin, d[:, 0] * sin + d[:, 1] * cos, d[:, 2]], 1) + centre
    pixels, _ = CAMERA.project(corners)
    return np.concatenate([pixels.min(0), pixels.max(0)])


def scene(random: np.random.Generator) -> list[dict[str, Any]]:
    """Objects that do not hide one another: class, 3-D box, state or type."""
    found: list[dict[str, Any]] = []
    for _ in range(12):
        label = int(random.integers(0, 8))
        x, y = random.uniform(9, 26), random.uniform(-9, 9)
        size = SIZES[label].astype(float)
        if label in (LIGHT, SIGN):
            size = size * 2.0
        z = size[2] / 2 if label < LIGHT else 3.5
        box = outline(np.array([x, y, z]), size)
        if box[0] < 1 or box[2] > WIDTH - 1 or box[1] < 1 or box[3] > HEIGHT - 1 or min(box[2:] - box[:2]) < 5:
            continue
        if any(min(box[2], o["box"][2]) + 3 > max(box[0], o["box"][0]) for o in found):
            continue
        extra: dict[str, Any] = {}
        if label == LIGHT:
            extra = {"state": str(random.choice(list(LAMPS))), "binding": abs(y) < 4}
        if label == SIGN:
            extra = {"sign": str(random.choice(SIGN_TYPES)), "binding": False}
        found.append({"label": label, "centre": (x, y, z), "size": size, "box": box, "extra": extra})
    return found[:5]


def paint(objects: list[dict[str, Any]], random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """RGB picture and CARLA tags."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    tags = np.zeros((HEIGHT, WIDTH), np.uint8)
    rgb[: HEIGHT // 2], tags[: HEIGHT // 2] = (140, 180, 230), 11
    rgb[HEIGHT // 2 :], tags[HEIGHT // 2 :] = (95, 95, 100), 1
    rgb += random.normal(0, 6, rgb.shape)
    for thing in sorted(objects, key=lambda o: -o["centre"][0]):
        left, top, right, bottom = (round(v) for v in thing["box"])
        rgb[top:bottom, left:right] = COLOURS[thing["label"]]
        tags[top:bottom, left:right] = TAGS[thing["label"]]
        if "state" in thing["extra"]:
            rgb[top + 1 : bottom - 1, left + 1 : right - 1] = LAMPS[thing["extra"]["state"]]
        if thing["extra"].get("sign") == "stop":
            rgb[top + 1 : bottom - 1, left + 1 : right - 1] = (200, 90, 0)
    return rgb.clip(0, 255).astype(np.uint8), tags


def make(root: Path, pictures: int = 8, lidar: bool = False, train: int = 1) -> Path:
    """Episodes of so many pictures each: `train` to train, validation (the same pictures as the first) and test."""
    kinds = [("train", 1), ("validation", 1), ("test", 2), *(("train", 3 + k) for k in range(train - 1))]
    info = Info(10.0, 1, ("Alder", "Marlin"), {"front": FRONT}, episodes=len(kinds))
    begin(root, info)
    for index, (split, seed) in enumerate(kinds):
        writer = EpisodeWriter(root, index)
        random = np.random.default_rng(seed)
        for frame in range(pictures):
            objects = scene(random) if frame != 2 else []
            rgb, tags = paint(objects, random)
            town, weather = ("Marlin" if split == "test" else "Alder"), ("ClearNoon", "WetNoon")[frame % 2]
            shot = Shot()
            record: dict[str, Any] = {
                "file_name": picture_path("images", "front", index, frame), "width": WIDTH, "height": HEIGHT,
                "camera": "front", "episode_index": index, "frame_index": frame, "town": town, "weather": weather,
                "semantic": picture_path("semantic", "front", index, frame), "ego_speed": 0.0,
            }  # fmt: skip
            shot.files[record["file_name"]] = bytes(cv2.imencode(".jpg", rgb[..., ::-1])[1])
            shot.files[record["semantic"]] = bytes(cv2.imencode(".png", tags)[1])
            if lidar:
                record["lidar"] = lidar_path(index, frame)
                buffer = io.BytesIO()
                np.save(buffer, scan(objects))
                shot.files[record["lidar"]] = buffer.getvalue()
            shot.images.append({**record, "annotations": [annotation(k + 1, o) for k, o in enumerate(objects)]})
            writer.add(row(index, frame, stop=14.0), shot)
        writer.commit(
            {"episode_index": index, "split": split, "town": town, "route": split, "weather": "mixed", "density": 0.0,
             "scenario": "", "seed": seed, "length": 1.0, "completion": 1.0, "driving_score": 1.0, "ended": "limit"}
        )  # fmt: skip
    finalise(root, info)
    return root


def scan(objects: list[dict[str, Any]]) -> NDArray[np.float32]:
    """Points [N, 4] on the faces of objects that look at the ego, and on the road."""
    points = [[x, y, 0.0, 0.5] for x in np.arange(4, 40, 1.0) for y in np.arange(-10, 10, 1.0)]
    for thing in objects:
        (x, y, z), (length, width, height) = thing["centre"], thing["size"]
        for a in np.linspace(-0.45, 0.45, 9):
            points += [[x - length / 2, y + a * width, z + b * height, 0.5] for b in np.linspace(-0.45, 0.45, 9)]
    return np.array(points, np.float32)


def annotation(track: int, thing: dict[str, Any]) -> dict[str, Any]:
    left, top, right, bottom = (round(v) for v in thing["box"])
    x, y, z = thing["centre"]
    return {
        "category_id": thing["label"] + 1, "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top), "iscrowd": 0, "track_id": track, "centre": [x, y, z],
        "half_extent": [float(v) / 2 for v in thing["size"]], "yaw": 0.0, "velocity": [0.0, 0.0],
        "distance": math.hypot(x, y), "visibility": 1.0, "truncated": False, **thing["extra"],
    }  # fmt: skip


def row(episode: int, frame: int, stop: float) -> dict[str, Any]:
    lists = ("objects.kind", "objects.id", "objects.centre", "objects.half_extent", "objects.velocity", "objects.yaw",
             "lights", "lights.place", "signs", "signs.place", "events")  # fmt: skip
    return {
        "episode_index": episode, "frame_index": frame, "timestamp": frame / 10, "pose": [0.0] * 6, "ego": [0.0] * 6,
        **{name: [] for name in lists}, "route": [0.0] * 128, "light": 3, "stop_distance": stop, "speed_limit": 13.9,
        "stop_sign": False, "plan.path": [0.0] * 40, "plan.speed": [0.0] * 8, "control": [0.0] * 3,
        "applied": [0.0] * 3, "perturbed": False, "reason": "free", "image": True,
    }  # fmt: skip


assert len(COLOURS) == len(CLASSES)
