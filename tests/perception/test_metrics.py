"""Metrics against answers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perception.classes import IGNORE
from perception.metrics import Placed, Truth, average_precision, coco, coco_by_class, confusion, iou, mean_iou, nuscenes
from perception.model import nothing
from perception.output import Detections


def told(boxes: list[list[float]], labels: list[int], scores: list[float]) -> Detections:
    count = len(labels)
    values = {name: np.zeros(count, value.dtype) for name, value in nothing().items()}
    values |= {"boxes": np.array(boxes, np.float32).reshape(-1, 4), "labels": np.array(labels, np.int64)}
    values["scores"] = np.array(scores, np.float32)
    return Detections(**values)


def true(boxes: list[list[float]], labels: list[int], ignore: list[bool] | None = None) -> Truth:
    left_out = np.array(ignore or [False] * len(labels), np.bool_)
    return Truth(np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), left_out)


A, B, C = [0.0, 0, 40, 40], [100.0, 0, 140, 40], [200.0, 0, 240, 40]


def test_coco_by_hand() -> None:
    perfect = coco([told([A, B], [0, 1], [0.9, 0.8])], [true([A, B], [0, 1])])
    assert perfect["map"] == pytest.approx(1.0)
    assert perfect["map_medium"] == pytest.approx(1.0)
    assert math.isnan(perfect["map_small"])
    # one of two found, nothing wrong: precision 1 up to recall .5, so 51 of 101 recall points
    assert coco([told([A], [0], [0.9])], [true([A, B], [0, 0])])["map50"] == pytest.approx(51 / 101)
    # a false one before the two right ones: precision 1/2 at recall .5, 2/3 at recall 1, and so 2/3 everywhere
    wrong_first = coco([told([C, A, B], [0, 0, 0], [0.9, 0.8, 0.7])], [true([A, B], [0, 0])])
    assert wrong_first["map50"] == pytest.approx(2 / 3)
    # shifted by 9 of 40: IoU 31/49, right at .5, .55 and .6, wrong at the other seven
    shifted = coco([told([[9.0, 0, 49, 40]], [0], [0.9])], [true([A], [0])])
    assert shifted["map50"] == pytest.approx(1.0)
    assert shifted["map"] == pytest.approx(0.3)
    # what is to be ignored is neither hit nor miss
    assert coco([told([A, B], [0, 0], [0.9, 0.8])], [true([A, B], [0, 0], [False, True])])["map50"] == pytest.approx(
        1.0
    )
    by_class = coco_by_class([told([A, C], [0, 1], [0.9, 0.9])], [true([A, B], [0, 1])])
    assert by_class == {"car": pytest.approx(1.0), "truck": pytest.approx(0.0)}
    assert math.isnan(coco([told([A], [0], [0.5])], [true([], [])])["map"])


def places(centres: list[list[float]], labels: list[int], scores: list[float] | None = None) -> Placed:
    many = scores or [1.0] * len(labels)
    return Placed(np.array(labels, np.int64), np.array(centres, np.float32).reshape(-1, 2), np.array(many, np.float32))


def test_nuscenes_by_hand() -> None:
    truth = [places([[10, 0], [20, 0]], [0, 0])]
    found = [places([[10, 0.7], [20, 3.0], [50, 0]], [0, 0, 0], [0.9, 0.8, 0.1])]
    result = nuscenes(found, truth, range(6))
    assert list(result.ap) == ["car"]
    # at 1 m and 2 m one of two is found: precision 1 at the 39 recalls .11 to .49, 1/3 at .5 (three were told)
    one_of_two = (39 * (1 - 0.1) + 1 / 3 - 0.1) / 90 / 0.9
    assert result.ap["car"][0.5] == 0.0
    assert result.ap["car"][1.0] == pytest.approx(one_of_two)
    assert result.ap["car"][2.0] == result.ap["car"][1.0]
    # at 4 m both: 1 up to recall .99, 2/3 at 1
    assert result.ap["car"][4.0] == pytest.approx((89 * 0.9 + 2 / 3 - 0.1) / 90 / 0.9)
    assert result.error["car"] == pytest.approx(0.7)
    assert result.mean == pytest.approx(np.mean([0, one_of_two, one_of_two, result.ap["car"][4.0]]))
    # what is to be ignored is no miss, and near it nothing is false; far from it something is
    ignored = Placed(truth[0].labels, truth[0].centres, truth[0].scores, np.array([False, True]))
    spared = nuscenes([places([[10, 0.7], [20, 0.5]], [0, 0], [0.8, 0.9])], [ignored], [0])
    assert spared.ap["car"][1.0] == pytest.approx(1.0)
    assert spared.ap["car"][0.5] == 0.0
    # the surer of two at one object is the hit, the other is wrong, in whichever order they come
    double = nuscenes([places([[10, 0.4], [10, 0.1]], [0, 0], [0.9, 0.8])], [places([[10, 0]], [0])], [0])
    assert double.error["car"] == pytest.approx(0.4)
    assert average_precision(np.array([True]), 1) == pytest.approx(1.0)
    # precision rises evenly from 0 to 1/2: half of each recall
    rising = np.clip(np.arange(11, 101) / 200 - 0.1, 0, None).mean() / 0.9
    assert average_precision(np.array([False, True]), 1) == pytest.approx(rising)


def test_segmentation_by_hand() -> None:
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, IGNORE]], np.uint8)
    found = np.array([[0, 0, 1, 0], [0, 1, 1, 5]], np.uint8)
    matrix = confusion(found, truth)
    assert matrix.sum() == 7
    assert matrix[0, 0] == 3
    assert matrix[1, 0] == 1
    values = iou(matrix)
    assert values[0] == pytest.approx(3 / 5)
    assert values[1] == pytest.approx(2 / 4)
    assert np.isnan(values[2])
    assert mean_iou(matrix) == pytest.approx((3 / 5 + 2 / 4) / 2)
    assert math.isnan(mean_iou(np.zeros((19, 19), np.int64)))
