"""Pictures with what was found and what was missed drawn on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from perception.classes import CLASSES, TRAIN_IDS
from perception.data import Frames
from perception.evaluate import SHOWN, Predictor, look, match
from sim.sensors.labels import PALETTE, Tag
from training import Draw

HIT, FALSE, MISSED = (60, 220, 60), (240, 60, 50), (250, 210, 40)
"""RGB of a detection that is right, one that is not, and a true object that was not found."""
_TAGS = [Tag.ROAD, Tag.SIDEWALK, Tag.BUILDING, Tag.WALL, Tag.FENCE, Tag.POLE, Tag.TRAFFIC_LIGHT, Tag.TRAFFIC_SIGN,
         Tag.VEGETATION, Tag.TERRAIN, Tag.SKY, Tag.PEDESTRIAN, Tag.RIDER, Tag.CAR, Tag.TRUCK, Tag.BUS, Tag.TRAIN,
         Tag.MOTORCYCLE, Tag.BICYCLE]  # fmt: skip
COLOURS: NDArray[np.uint8] = PALETTE[[int(t) for t in _TAGS]]
"""[19, 3] RGB of each trainId."""
assert len(COLOURS) == len(TRAIN_IDS)


def save_worst(predictor: Predictor, frames: Frames, items: list[int], folder: Path) -> list[Path]:
    """A picture for each item: boxes on the recorded picture (green right, red wrong, yellow missed), below it the

    segmentation. Returns where they lie.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for rank, item in enumerate(items, 1):
        picture = draw(predictor, frames, item)
        record = frames.records[item]
        path = folder / f"{rank:02d}-{record['camera']}-{record['episode_index']:06d}-{record['frame_index']:06d}.jpg"
        if not cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88]):
            raise UserError(f"{path}: cannot be written")
        paths.append(path)
    return paths


def draw(predictor: Predictor, frames: Frames, item: int) -> NDArray[np.uint8]:
    """[H, W, 3] RGB of one picture with what the predictor finds."""
    one = frames.only([item])
    seen = look(predictor, one)
    picture = np.ascontiguousarray(one.original(0))
    pairs, false, missed = match(seen.found[0], seen.truth[0], SHOWN)
    found, truth = seen.found[0], seen.truth[0]
    for j in missed:
        _box(picture, truth.boxes[j], MISSED, CLASSES[truth.labels[j]])
    for rows, colour in ((false, FALSE), ([k for k, _ in pairs], HIT)):
        for k in rows:
            _box(picture, found.boxes[k], colour, f"{CLASSES[found.labels[k]]} {found.scores[k]:.2f}")
    sample = one[Draw(0, None)]
    semantic = predictor.predict(sample.image[None], [float(sample.target["focal"])])[0].semantic
    if semantic is None:
        return picture
    size = (picture.shape[1], picture.shape[0])
    mask = cv2.resize(COLOURS[semantic], size, interpolation=cv2.INTER_NEAREST)
    return np.concatenate([picture, mask]).astype(np.uint8)


def _box(picture: NDArray[np.uint8], box: NDArray[np.float32], colour: tuple[int, int, int], text: str) -> None:
    left, top, right, bottom = (round(float(v)) for v in box)
    cv2.rectangle(picture, (left, top), (right, bottom), colour, 1)
    cv2.putText(picture, text, (left, max(8, top - 2)), cv2.FONT_HERSHEY_SIMPLEX, 0.32, colour, 1, cv2.LINE_AA)
