"""The pictures of one step as files and COCO records."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.recorder.labels import Thing, label
from sim.recorder.schema import FAR_DEPTH, CameraInfo, lidar_path, picture_path
from sim.recorder.writer import Shot

JPEG_QUALITY = 92
PNG_LEVEL = 3
_KINDS = {"rgb": "images", "semantic": "semantic", "instance": "instance", "depth": "depth"}


@dataclass(frozen=True)
class Picture:
    """What one camera gave: rgb [H, W, 3] uint8 BLUE first; semantic [H, W] uint8 CARLA tags; instance [H, W] int32,
    any ids; depth [H, W] float32 metres along the optical axis. None where the camera has no such output."""

    rgb: NDArray[np.uint8] | None = None
    semantic: NDArray[np.uint8] | None = None
    instance: NDArray[np.int32] | None = None
    depth: NDArray[np.float32] | None = None


def make_shot(
    episode: int,
    frame: int,
    cameras: dict[str, CameraInfo],
    pictures: dict[str, Picture],
    lidar: NDArray[np.float32] | None,
    things: list[Thing],
    about: dict[str, Any],
) -> Shot:
    """Files and records of a step.

    lidar: [N, 4] in the ego frame. about: further keys of every image record (town, weather, ego_speed). Cameras
    without semantic, instance and depth have no annotations.
    """
    shot = Shot()
    scan = lidar_path(episode, frame)
    if lidar is not None:
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(lidar, np.float32))
        shot.files[scan] = buffer.getvalue()
    for name, camera in cameras.items():
        picture = pictures[name]
        places = {output: picture_path(_KINDS[output], name, episode, frame) for output in camera.outputs}
        annotations: list[dict[str, Any]] = []
        if picture.rgb is not None:
            shot.files[places["rgb"]] = _encode(".jpg", picture.rgb)
        if picture.semantic is not None:
            shot.files[places["semantic"]] = _encode(".png", picture.semantic)
        if picture.depth is not None:
            shot.files[places["depth"]] = _encode(".png", depth_code(picture.depth))
        if picture.semantic is not None and picture.depth is not None and picture.instance is not None:
            annotations, tracks = label(camera, picture.semantic, picture.instance, picture.depth, things)
            shot.files[places["instance"]] = _encode(".png", tracks)
        record = {
            "file_name": places.get("rgb", ""), "width": camera.width, "height": camera.height, "camera": name,
            "episode_index": episode, "frame_index": frame, **about,
            **{key: path for key, path in places.items() if key != "rgb" and path in shot.files},
        }  # fmt: skip
        if lidar is not None:
            record["lidar"] = scan
        shot.images.append({**record, "annotations": annotations})
    return shot


def depth_code(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Metres as centimetres, FAR_DEPTH for what is farther."""
    return np.minimum(np.rint(depth * np.float32(100)), FAR_DEPTH).astype(np.uint16)


def _encode(kind: str, picture: NDArray[Any]) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    if kind == ".png":  # runs of equal values: smaller and faster than matching, for labels and depth alike
        options = [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    done, data = cv2.imencode(kind, picture, options)
    if not done:
        raise ValueError(f"a picture of {picture.shape} {picture.dtype} cannot be written as {kind}")
    return bytes(data)
