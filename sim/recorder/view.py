"""Pictures of a dataset: contact sheets with boxes and masks, an episode as video or as a rerun recording."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from contracts import LightState, UserError
from sim.recorder.reader import Dataset

Image = NDArray[np.uint8]
COLORS = (
    (80, 160, 255), (255, 150, 60), (255, 220, 60), (200, 90, 255), (90, 230, 220), (255, 70, 90), (120, 255, 90),
    (255, 255, 255),
)  # fmt: skip
"""RGB of each category."""
_LIGHTS = {"green": (60, 255, 90), "yellow": (255, 210, 40), "red": (255, 60, 50)}
FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotated(data: Dataset, image: dict[str, Any], boxes: list[dict[str, Any]], scale: int = 1) -> Image:
    """A picture with masks, boxes and names drawn, `scale` times its size."""
    rgb = data.rgb(image["file_name"])
    picture = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    for box in sorted(boxes, key=lambda b: -float(b["distance"])):
        color = COLORS[int(box["category_id"]) - 1]
        if box.get("state") in _LIGHTS:
            color = _LIGHTS[box["state"]]
        code = {**box["segmentation"], "counts": box["segmentation"]["counts"].encode()}
        mask = cv2.resize(rle.decode(code), (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_NEAREST) > 0
        picture[mask] = (0.6 * picture[mask] + 0.4 * np.array(color)).astype(np.uint8)
        x, y, w, h = (int(v * scale) for v in box["bbox"])
        cv2.rectangle(picture, (x, y), (x + w, y + h), color, 1)
        text = f"{box['distance']:.0f}m"
        if box["visibility"] < 0.995:
            text += f" {100 * box['visibility']:.0f}%"
        text += f" {box.get('sign', '')}" + ("!" if box.get("binding") else "")
        cv2.putText(picture, text.strip(), (x, max(y - 2, 8)), FONT, 0.32, color, 1, cv2.LINE_AA)
    return picture


def contact_sheet(data: Dataset, split: str, count: int = 24, columns: int = 4, scale: int = 1) -> Image:
    """`count` pictures of a split, evenly spread. Raises DatasetError where it has none."""
    coco = data.coco(split)
    images = coco["images"]
    if not images:
        raise UserError(f"{data.root}: the split {split} has no pictures")
    chosen = [images[int(k)] for k in np.unique(np.linspace(0, len(images) - 1, count).astype(int))]
    of: dict[int, list[dict[str, Any]]] = {}
    for box in coco["annotations"]:
        of.setdefault(box["image_id"], []).append(box)
    tiles = []
    for image in chosen:
        tile = annotated(data, image, of.get(image["id"], []), scale)
        caption = (
            f"{image['town']} {image['weather']} {image['episode_index']}/{image['frame_index']} {image['camera']}"
        )
        cv2.rectangle(tile, (0, 0), (tile.shape[1], 13), (0, 0, 0), -1)
        cv2.putText(tile, caption, (3, 10), FONT, 0.34, (255, 255, 255), 1, cv2.LINE_AA)
        tiles.append(tile)
    return grid(tiles, columns)


def grid(tiles: list[Image], columns: int) -> Image:
    """Pictures in rows; smaller ones are padded with black."""
    height, width = max(t.shape[0] for t in tiles), max(t.shape[1] for t in tiles)
    rows = math.ceil(len(tiles) / columns)
    sheet = np.zeros((rows * (height + 2), min(columns, len(tiles)) * (width + 2), 3), np.uint8)
    for k, tile in enumerate(tiles):
        y, x = (k // columns) * (height + 2), (k % columns) * (width + 2)
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def bird(row: dict[str, Any], size: int = 320, span: float = 60.0) -> Image:
    """A driving row from above: ego, objects, route, plan; `span` metres across, ahead is up."""
    picture = np.full((size, size, 3), 24, np.uint8)
    zoom = size / span

    def at(points: Any) -> NDArray[np.int32]:
        p = np.asarray(points, float).reshape(-1, 2)
        return np.stack([size / 2 + p[:, 1] * zoom, size * 0.75 - p[:, 0] * zoom], -1).astype(np.int32)

    cv2.polylines(picture, [at(row["route"])], False, (90, 90, 90), 3)
    cv2.polylines(picture, [at([0.0, 0.0, *row["plan.path"]])], False, (70, 200, 255), 2)
    for k, kind in enumerate(row["objects.kind"]):
        centre, half = row["objects.centre"][2 * k : 2 * k + 2], row["objects.half_extent"][2 * k : 2 * k + 2]
        yaw = row["objects.yaw"][k]
        cv2.fillPoly(picture, [at(_corners(centre, half, yaw))], COLORS[kind] if kind < len(COLORS) else (128,) * 3)
    cv2.fillPoly(picture, [at(_corners((0, 0), (row["ego"][4] / 2, row["ego"][5] / 2), 0.0))], (255, 255, 255))
    light = LightState(row["light"])
    lines = [
        f"{row['timestamp']:6.1f} s   {3.6 * row['ego'][0]:4.0f} km/h   limit {3.6 * row['speed_limit']:.0f}",
        f"{row['reason']}{'  noise' if row['perturbed'] else ''}  {' '.join(row['events'])}",
    ]
    if math.isfinite(row["stop_distance"]):
        lines.append(f"{'stop sign' if row['stop_sign'] else light.name.lower()} in {row['stop_distance']:.0f} m")
    for k, line in enumerate(lines):
        cv2.putText(picture, line, (4, 14 + 14 * k), FONT, 0.4, (230, 230, 230), 1, cv2.LINE_AA)
    return picture


def _corners(centre: Any, half: Any, yaw: float) -> NDArray[np.float64]:
    c, s = math.cos(yaw), math.sin(yaw)
    offsets = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * np.asarray(half, float)
    return np.asarray(centre, float) + offsets @ np.array([[c, s], [-s, c]])


def video(data: Dataset, episode: int, path: Path) -> None:
    """An episode as mp4 at its own speed: from above and, where there are pictures, the first camera beside."""
    import imageio_ffmpeg

    rows = data.driving(episode).to_pylist()
    shots, boxes = _shots(data, episode)
    size = 320
    writer, beside = None, np.zeros((size, 0, 3), np.uint8)
    try:
        for row in rows:
            image = shots.get(row["frame_index"])
            if image is not None:
                tile = annotated(data, image, boxes.get(image["id"], []), 2)
                width = round(tile.shape[1] * size / tile.shape[0] / 16) * 16
                beside = cv2.resize(tile, (width, size), interpolation=cv2.INTER_AREA).astype(np.uint8)
            frame = np.concatenate([beside, bird(row, size)], 1)
            if writer is None:
                writer = imageio_ffmpeg.write_frames(
                    str(path), (frame.shape[1], frame.shape[0]), fps=data.info["fps"], macro_block_size=1
                )
                writer.send(None)
            writer.send(np.ascontiguousarray(frame))
    finally:
        if writer is not None:
            writer.close()


def _shots(data: Dataset, episode: int) -> tuple[dict[int, dict[str, Any]], dict[int, list[dict[str, Any]]]]:
    """frame -> image of the first camera, image id -> annotations; of one episode."""
    if not data.info["cameras"]:
        return {}, {}
    split = data.episodes[episode]["split"]
    first = next(iter(data.info["cameras"]))
    coco = data.coco(split)
    images = [i for i in coco["images"] if i["episode_index"] == episode and i["camera"] == first]
    ids = {image["id"] for image in images}
    boxes: dict[int, list[dict[str, Any]]] = {}
    for box in coco["annotations"]:
        if box["image_id"] in ids:
            boxes.setdefault(box["image_id"], []).append(box)
    return {image["frame_index"]: image for image in images}, boxes


def rerun(data: Dataset, episode: int, path: Path) -> None:
    """An episode as .rrd for the rerun viewer (extra `rerun`). Raises UserError where the extra is missing."""
    try:
        import rerun as rr
    except ImportError as error:
        raise UserError("the rerun viewer is not installed: in the clone, pip install '.[rerun]'") from error
    recording = rr.RecordingStream("throttle", recording_id=f"{data.root.name}-{episode}")
    recording.save(str(path))
    shots, boxes = _shots(data, episode)
    for row in data.driving(episode).to_pylist():
        recording.set_time("time", duration=float(row["timestamp"]))
        n = len(row["objects.kind"])
        if n:
            centre = np.reshape(row["objects.centre"], (n, 2))
            half = np.reshape(row["objects.half_extent"], (n, 2))
            turns = [rr.RotationAxisAngle(axis=(0, 0, -1), radians=yaw) for yaw in row["objects.yaw"]]
            # rerun is right-handed: y to the left
            recording.log(
                "ego/objects",
                rr.Boxes3D(
                    centers=np.column_stack([centre[:, 0], -centre[:, 1], np.full(n, 0.8)]),
                    half_sizes=np.column_stack([half, np.full(n, 0.8)]),
                    rotation_axis_angles=turns,
                    colors=[COLORS[k] if k < len(COLORS) else (128, 128, 128) for k in row["objects.kind"]],
                ),
            )
        for name, color in (("route", (120, 120, 120)), ("plan.path", (70, 200, 255))):
            points = np.reshape(row[name], (-1, 2))
            line = np.column_stack([points[:, 0], -points[:, 1], np.zeros(len(points))])
            recording.log(f"ego/{name}", rr.LineStrips3D([line], colors=[color]))
        recording.log("speed", rr.Scalars([float(row["ego"][0])]))
        image = shots.get(row["frame_index"])
        if image is not None:
            recording.log("camera", rr.Image(annotated(data, image, boxes.get(image["id"], []))))
            if "lidar" in image:
                points = data.lidar(image["lidar"])[:, :3]
                recording.log("ego/lidar", rr.Points3D(points * np.array([1, -1, 1], np.float32), radii=0.05))
    recording.flush()
