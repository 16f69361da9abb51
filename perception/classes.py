"""What perception names: object classes, light states, segmentation classes; the sizes that objects usually have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts import LightState
from sim.sensors.labels import Tag

CLASSES = ("car", "truck", "bus", "motorcycle", "bicycle", "pedestrian", "traffic light", "traffic sign")
"""The classes of a detection; the place in the tuple is its number, COCO's category less 1."""
LIGHT, SIGN = CLASSES.index("traffic light"), CLASSES.index("traffic sign")
MOVERS = LIGHT
"""Classes below this are `contracts.ObjectClass` of the same number."""

STATES = ("green", "yellow", "red", "off", "back")
"""States of a traffic light as a picture shows it; `back` does not face the camera."""
LIGHT_OF = {0: LightState.GREEN, 1: LightState.YELLOW, 2: LightState.RED}

TRAIN_IDS = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
"""Cityscapes' 19 classes in the order of their trainIds."""
IGNORE = 255
"""Label of pixels that Cityscapes does not evaluate."""

_TRAIN_ID = {
    Tag.ROAD: 0, Tag.ROAD_LINE: 0, Tag.SIDEWALK: 1, Tag.BUILDING: 2, Tag.WALL: 3, Tag.FENCE: 4, Tag.POLE: 5,
    Tag.TRAFFIC_LIGHT: 6, Tag.TRAFFIC_SIGN: 7, Tag.VEGETATION: 8, Tag.TERRAIN: 9, Tag.SKY: 10, Tag.PEDESTRIAN: 11,
    Tag.RIDER: 12, Tag.CAR: 13, Tag.TRUCK: 14, Tag.BUS: 15, Tag.TRAIN: 16, Tag.MOTORCYCLE: 17, Tag.BICYCLE: 18,
}  # fmt: skip
TAG_TO_TRAIN_ID: NDArray[np.uint8] = np.full(256, IGNORE, np.uint8)
"""[256] CARLA 0.9.16's semantic tag -> Cityscapes' trainId, IGNORE where Cityscapes has no such class."""
for _tag, _number in _TRAIN_ID.items():
    TAG_TO_TRAIN_ID[int(_tag)] = _number

SIZES: NDArray[np.float32] = np.array(
    [
        (4.4, 1.85, 1.55), (8.0, 2.6, 3.2), (11.5, 2.7, 3.2), (2.2, 0.8, 1.5), (1.8, 0.6, 1.6), (0.5, 0.6, 1.75),
        (0.4, 0.4, 1.0), (0.1, 0.8, 0.8),
    ],
    np.float32,
)  # fmt: skip
"""[8, 3] usual length, width, height of each class, metres; two-wheelers with their rider."""
