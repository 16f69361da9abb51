"""Perception's metrics: COCO's through torchmetrics and pycocotools, nuScenes' in 3-D, mIoU, confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from perception.classes import CLASSES, IGNORE, TRAIN_IDS
from perception.output import Detections

GAPS = (0.5, 1.0, 2.0, 4.0)
"""Metres between centres within which nuScenes calls a detection a hit."""
POINTS = 101  # recalls at which nuScenes reads precision
LOW = 0.1  # recall and precision below which nuScenes counts nothing


@dataclass(frozen=True)
class Truth:
    """Boxes [N, 4] (left, top, right, bottom) and labels [N] of a picture; ignore [N]: neither hit nor miss."""

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.bool_]


def coco(found: Sequence[Detections], truth: Sequence[Truth]) -> dict[str, float]:
    """COCO's metrics: map (50:95), map50, map75, map_small, map_medium, map_large, mar100, and map50/<class>.

    A class without an object in `truth` is left out. Boxes must be in pixels of the recorded picture.
    """
    if not any((~t.ignore).any() for t in truth):
        return {"map": math.nan, "map50": math.nan}
    # all pictures are here already: without this, rank 0 of several would wait for the others
    metric = MeanAveragePrecision(backend="pycocotools", class_metrics=False, sync_on_compute=False)
    metric.warn_on_many_detections = False
    predictions = [
        {"boxes": torch.from_numpy(d.boxes), "scores": torch.from_numpy(d.scores), "labels": torch.from_numpy(d.labels)}
        for d in found
    ]
    targets = [
        {
            "boxes": torch.from_numpy(t.boxes),
            "labels": torch.from_numpy(t.labels),
            "iscrowd": torch.from_numpy(t.ignore.astype(np.int64)),
        }
        for t in truth
    ]
    metric.update(predictions, targets)
    values: dict[str, Any] = metric.compute()
    names = {"map": "map", "map_50": "map50", "map_75": "map75", "map_small": "map_small", "map_medium": "map_medium",
             "map_large": "map_large", "mar_100": "mar100"}  # fmt: skip
    return {mine: _number(values[theirs]) for theirs, mine in names.items()}


def coco_by_class(found: Sequence[Detections], truth: Sequence[Truth]) -> dict[str, float]:
    """map50 of each class that occurs."""
    out = {}
    for label, name in enumerate(CLASSES):
        mine = [
            Truth(t.boxes[t.labels == label], t.labels[t.labels == label], t.ignore[t.labels == label]) for t in truth
        ]
        if any((~t.ignore).any() for t in mine):
            out[name] = coco([_only(d, label) for d in found], mine)["map50"]
    return out


def _only(found: Detections, label: int) -> Detections:
    rows = found.labels == label
    return Detections(**{n: getattr(found, n)[rows] for n in found.__dataclass_fields__ if n != "semantic"})


def _number(value: Tensor) -> float:
    number = float(value)
    return math.nan if number < 0 else number  # COCO says -1 where there is nothing to find


# -- segmentation -----------------------------------------------------------------------------------------------------


def confusion(found: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int = len(TRAIN_IDS)) -> NDArray[np.int64]:
    """[classes, classes] pixels of each true class (row) by the class found (column); ignored pixels are left out."""
    counted = truth != IGNORE
    pairs = truth[counted].astype(np.int64) * classes + found[counted]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """[classes] intersection over union; nan for a class that neither occurs nor is found."""
    hits = np.diag(matrix).astype(np.float64)
    union = matrix.sum(0) + matrix.sum(1) - hits
    return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)


def mean_iou(matrix: NDArray[np.int64]) -> float:
    """Mean over the classes that occur in the truth."""
    occurs = matrix.sum(1) > 0
    return float(np.mean(iou(matrix)[occurs])) if occurs.any() else math.nan


# -- 3-D --------------------------------------------------------------------------------------------------------------


@dataclass
class Placed:
    """Objects of one picture on the ground: labels [N], centres [N, 2] metres (ego frame), scores [N] (1 for truth).

    ignore [N]: true objects that are neither to be found nor to be left alone; None for none.
    """

    labels: NDArray[np.int64]
    centres: NDArray[np.float32]
    scores: NDArray[np.float32]
    ignore: NDArray[np.bool_] | None = None

    def of(self, label: int, ignored: bool = False) -> NDArray[np.int64]:
        """Rows of one class, those to be ignored or the others."""
        left_out = np.zeros(len(self.labels), np.bool_) if self.ignore is None else self.ignore
        return np.flatnonzero((self.labels == label) & (left_out == ignored))


@dataclass
class Map3d:
    """nuScenes' average precision by centre distance."""

    ap: dict[str, dict[float, float]] = field(default_factory=dict)
    """Class -> gap in metres -> average precision."""
    error: dict[str, float] = field(default_factory=dict)
    """Class -> mean distance of centres of the hits within 2 m, metres; nan without a hit."""

    @property
    def mean(self) -> float:
        """mAP: mean over classes and gaps."""
        values = [v for by_gap in self.ap.values() for v in by_gap.values()]
        return float(np.mean(values)) if values else math.nan

    def at(self, gap: float) -> float:
        """Mean over classes at one gap."""
        values = [by_gap[gap] for by_gap in self.ap.values()]
        return float(np.mean(values)) if values else math.nan


def nuscenes(found: Sequence[Placed], truth: Sequence[Placed], classes: Sequence[int]) -> Map3d:
    """nuScenes' metric (its detection task, docs of 2019): the most certain detection first takes the nearest true

    object that is left within the gap; AP is the mean over recalls above .1 of precision less .1, over .9. A detection
    that takes none and is within the gap of an object to be ignored does not count.
    """
    out = Map3d()
    for label in classes:
        total = sum(len(t.of(label)) for t in truth)
        if not total:
            continue
        name = CLASSES[label]
        out.ap[name] = {}
        for gap in GAPS:
            hits, distances = _matches(found, truth, label, gap)
            out.ap[name][gap] = average_precision(hits, total)
            if gap == 2.0:
                out.error[name] = float(np.mean(distances)) if len(distances) else math.nan
    return out


def _matches(
    found: Sequence[Placed], truth: Sequence[Placed], label: int, gap: float
) -> tuple[NDArray[np.bool_], list[float]]:
    """Of all detections of a class, the most certain first: whether each is a hit; and the hits' distances."""
    every = [(float(d.scores[k]), n, int(k)) for n, d in enumerate(found) for k in d.of(label)]
    every.sort(key=lambda item: (-item[0], item[1], item[2]))
    left = [set(t.of(label).tolist()) for t in truth]
    hits, distances = [], []
    for _, picture, k in every:
        rows, here, place = sorted(left[picture]), truth[picture], found[picture].centres[k]
        away = np.linalg.norm(here.centres[rows] - place, axis=1)
        hit = bool(len(rows)) and bool(away.min() < gap)
        if hit:
            nearest = int(np.argmin(away))
            left[picture].discard(rows[nearest])
            distances.append(float(away[nearest]))
        elif (np.linalg.norm(here.centres[here.of(label, True)] - place, axis=1) < gap).any():
            continue
        hits.append(hit)
    return np.array(hits, np.bool_), distances


def average_precision(hits: NDArray[np.bool_], total: int) -> float:
    """nuScenes' AP of detections sorted by score, of `total` true objects."""
    if not len(hits) or not total:
        return 0.0
    true = np.cumsum(hits)
    precision, recall = true / np.arange(1, len(hits) + 1), true / total
    grid = np.linspace(0, 1, POINTS)
    read = np.interp(grid, recall, precision, right=0.0)[round(100 * LOW) + 1 :] - LOW
    return float(np.mean(np.clip(read, 0, None))) / (1 - LOW)
