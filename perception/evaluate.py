"""Evaluate a network on a split: boxes, 3-D, segmentation, lights, signs; by class, distance, weather, town, camera."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou

from perception import binding, metrics
from perception.classes import CLASSES, IGNORE, LIGHT, SIGN, STATES, TRAIN_IDS
from perception.data import Frames
from perception.lift import CameraModel, lift
from perception.metrics import Placed, Truth
from perception.output import Detections
from training import Draw

DISTANCES = ((0.0, 20.0), (20.0, 40.0), (40.0, 80.0))
"""Metres from the ego: the bins of results by distance."""
FAR_3D = 50.0
"""3-D metrics look at objects as far as this, metres (as nuScenes for cars)."""
SHOWN = 0.3
"""Score from which a detection counts among the hits and misses of a picture, and is drawn."""
HIT = 0.5
"""Overlap (IoU) with a true box of the same class from which a detection is a hit."""
BATCH = 16
Change = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]
Scan = Callable[[NDArray[np.float32], int], NDArray[np.float32]]


class Predictor(Protocol):
    """A network, or a baseline: images [B, 3, H, W] uint8 and their focal lengths to detections."""

    def predict(self, images: torch.Tensor, focals: list[float]) -> list[Detections]:
        """What the pictures show."""
        ...


@dataclass
class Seen:
    """What a predictor found in every picture of a set, and the truth. Boxes in pixels of the recorded picture."""

    found: list[Detections]
    truth: list[Truth]
    distances: list[NDArray[np.float64]]
    """Of the true objects, metres."""
    placed: list[Placed]
    true_places: list[Placed]
    matrices: list[NDArray[np.int64] | None]
    """Confusion of the segmentation of each picture; None where there is no mask."""


@dataclass
class Evaluation:
    """All figures of one predictor on one set. Every table is name -> figures."""

    name: str
    pictures: int
    overall: dict[str, float]
    by_class: dict[str, dict[str, float]] = field(default_factory=dict)
    by_distance: dict[str, dict[str, float]] = field(default_factory=dict)
    by_weather: dict[str, dict[str, float]] = field(default_factory=dict)
    by_town: dict[str, dict[str, float]] = field(default_factory=dict)
    by_camera: dict[str, dict[str, float]] = field(default_factory=dict)
    segments: dict[str, float] = field(default_factory=dict)
    """IoU of each of Cityscapes' classes that occurs."""
    lights: dict[str, dict[str, int]] = field(default_factory=dict)
    """True state -> state told -> how often; "missed" where the light was not found."""
    signs: dict[str, dict[str, int]] = field(default_factory=dict)
    binding: dict[str, dict[str, int]] = field(default_factory=dict)
    """What binds the ego by what was told, in pictures (see `binding.compare`)."""
    worst: list[tuple[float, int]] = field(default_factory=list)
    """(quality 0..1, picture), the worst first."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; figures that do not exist are None."""
        return _plain(dict(self.__dict__))  # type: ignore[no-any-return]


def evaluate(
    name: str,
    predictor: Predictor,
    frames: Frames,
    progress: Callable[[int, int], None] = lambda done, total: None,
    change: Change | None = None,
    scan: Scan | None = None,
    details: bool = True,
) -> Evaluation:
    """All figures of `predictor` on `frames`.

    Objects that `frames.ignored` names are neither hits nor misses; only map50_all counts every annotated object.
    change: alters each scaled picture [H, W, 3] (given its number) before it is looked at; scan: each lidar scan.
    details: also the tables by class, distance, weather, town and camera, and the worst pictures.
    """
    seen = look(predictor, frames, progress, change, scan)
    every = list(range(len(frames)))
    out = Evaluation(name, len(frames), _figures(seen, every))
    plain = [Truth(t.boxes, t.labels, np.zeros(len(t.labels), np.bool_)) for t in seen.truth]
    out.overall["map50_all"] = metrics.coco(seen.found, plain)["map50"]
    out.lights, out.signs = _posts(seen, frames, every)
    out.overall["light_accuracy"] = _accuracy(out.lights)
    out.overall["sign_accuracy"] = _accuracy(out.signs)
    out.binding, figures = binding.compare(seen.found, frames)
    out.overall |= figures
    if not details:
        return out
    total = _sum(seen.matrices, every)
    if total is not None:
        values, occurs = metrics.iou(total), total.sum(1) > 0
        out.segments = {TRAIN_IDS[k]: float(values[k]) for k in np.flatnonzero(occurs)}
    out.by_class = _by_class(seen)
    out.by_distance = {f"{a:.0f}-{b:.0f} m": _at_distance(seen, a, b) for a, b in DISTANCES}
    for table, key in ((out.by_weather, "weather"), (out.by_town, "town"), (out.by_camera, "camera")):
        groups: dict[str, list[int]] = {}
        for k, record in enumerate(frames.records):
            groups.setdefault(str(record.get(key, "")), []).append(k)
        for group, rows in sorted(groups.items()):
            table[group] = {**_figures(seen, rows), "pictures": float(len(rows))}
    out.worst = sorted((_quality(seen, k), k) for k in every)
    return out


def look(
    predictor: Predictor,
    frames: Frames,
    progress: Callable[[int, int], None] = lambda done, total: None,
    change: Change | None = None,
    scan: Scan | None = None,
) -> Seen:
    """Run the predictor over a set."""
    seen = Seen([], [], [], [], [], [])
    for start in range(0, len(frames), BATCH):
        rows = range(start, min(start + BATCH, len(frames)))
        samples = [frames[Draw(k, None)] for k in rows]
        images = [s.image for s in samples]
        if change is not None:
            altered = [change(i.permute(1, 2, 0).numpy(), k) for i, k in zip(images, rows)]
            images = [torch.from_numpy(np.ascontiguousarray(a.transpose(2, 0, 1))) for a in altered]
        answers = predictor.predict(torch.stack(images), [float(s.target["focal"]) for s in samples])
        for k, sample, answer in zip(rows, samples, answers):
            _take(seen, frames, k, answer, sample.target["semantic"].numpy(), scan)
        progress(rows[-1] + 1, len(frames))
    return seen


def _take(
    seen: Seen, frames: Frames, item: int, answer: Detections, semantic: NDArray[np.uint8], scan: Scan | None
) -> None:
    across, down = frames.scale(item)
    camera = CameraModel.of(frames.camera(item))
    lidar = None
    if "lidar" in frames.records[item]:
        lidar = frames.source.lidar(frames.records[item]["lidar"])
        lidar = lidar if scan is None else scan(lidar, item)
    lifted = lift(answer, camera, (across, down), lidar)
    near = np.linalg.norm(lifted.centre[:, :2], axis=1) <= FAR_3D
    seen.placed.append(Placed(lifted.labels[near], lifted.centre[near, :2], lifted.scores[near]))
    rows = frames.annotations[item]
    box = np.array([a["bbox"] for a in rows], np.float32).reshape(-1, 4)
    boxes = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], 1)
    labels = np.array([a["category_id"] - 1 for a in rows], np.int64)
    centres = np.array([a["centre"][:2] for a in rows], np.float32).reshape(-1, 2)
    away = np.linalg.norm(centres, axis=1).astype(np.float64)
    ignore = frames.ignored(item)
    seen.truth.append(Truth(boxes, labels, ignore))
    seen.distances.append(away)
    kept = away <= FAR_3D
    ones = np.ones(int(kept.sum()), np.float32)
    seen.true_places.append(Placed(labels[kept], centres[kept], ones, ignore[kept]))
    known = answer.semantic is not None and (semantic != IGNORE).any()
    seen.matrices.append(metrics.confusion(answer.semantic, semantic) if known else None)  # type: ignore[arg-type]
    values = {n: getattr(answer, n) for n in Detections.__dataclass_fields__}
    values |= {"boxes": answer.boxes / np.array([across, down, across, down], np.float32), "semantic": None}
    seen.found.append(Detections(**values))


# -- tables -----------------------------------------------------------------------------------------------------------


def _figures(seen: Seen, rows: list[int]) -> dict[str, float]:
    """map50, map, ap3d (all gaps), ap3d_2m, miou of some pictures."""
    out = metrics.coco([seen.found[k] for k in rows], [seen.truth[k] for k in rows])
    placed = metrics.nuscenes([seen.placed[k] for k in rows], [seen.true_places[k] for k in rows], range(LIGHT))
    out["ap3d"], out["ap3d_2m"] = placed.mean, placed.at(2.0)
    total = _sum(seen.matrices, rows)
    out["miou"] = math.nan if total is None else metrics.mean_iou(total)
    return out


def _sum(matrices: list[NDArray[np.int64] | None], rows: list[int]) -> NDArray[np.int64] | None:
    known = [m for m in (matrices[k] for k in rows) if m is not None]
    return np.sum(known, axis=0) if known else None


def _by_class(seen: Seen) -> dict[str, dict[str, float]]:
    flat = metrics.coco_by_class(seen.found, seen.truth)
    placed = metrics.nuscenes(seen.placed, seen.true_places, range(LIGHT))
    table: dict[str, dict[str, float]] = {}
    for label, name in enumerate(CLASSES):
        if name not in flat:
            continue
        count = sum(int(((t.labels == label) & ~t.ignore).sum()) for t in seen.truth)
        table[name] = {"objects": float(count), "map50": flat[name]}
        if name in placed.ap:
            table[name] |= {f"ap3d_{gap:g}m": value for gap, value in placed.ap[name].items()}
            table[name]["centre_error"] = placed.error[name]
    return table


def _at_distance(seen: Seen, low: float, high: float) -> dict[str, float]:
    """map50 of the objects in a range; finding one outside it is neither right nor wrong."""
    truth = [
        Truth(t.boxes, t.labels, t.ignore | ~((away >= low) & (away < high)))
        for t, away in zip(seen.truth, seen.distances)
    ]
    return {**metrics.coco(seen.found, truth), "objects": float(sum(int((~t.ignore).sum()) for t in truth))}


def match(found: Detections, truth: Truth, score: float) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pairs (detection, true object) of one picture; detections that hit nothing; true objects that were missed.

    Objects to be ignored, and what hits only them, are in none of the three.
    """
    rows = [int(k) for k in np.argsort(-found.scores, kind="stable") if found.scores[k] >= score]
    left = set(np.flatnonzero(~truth.ignore).tolist())
    overlap = box_iou(torch.from_numpy(found.boxes), torch.from_numpy(truth.boxes)).numpy()
    excused = (overlap >= HIT) & truth.ignore & (found.labels[:, None] == truth.labels)
    pairs, false = [], []
    for k in rows:
        mine = [j for j in left if truth.labels[j] == found.labels[k] and overlap[k, j] >= HIT]
        if mine:
            best = max(mine, key=lambda j: (overlap[k, j], -j))
            left.discard(best)
            pairs.append((k, best))
        elif not excused[k].any():
            false.append(k)
    return pairs, false, sorted(left)


def _posts(seen: Seen, frames: Frames, rows: Iterable[int]) -> tuple[dict[str, dict[str, int]], dict[str, Any]]:
    """Confusion of the states of lights and the types of signs."""
    lights: dict[str, dict[str, int]] = {}
    signs: dict[str, dict[str, int]] = {}
    for k in rows:
        pairs, _, missed = match(seen.found[k], seen.truth[k], 0.1)
        told = {j: d for d, j in pairs}
        for j in [*told, *missed]:
            label = int(seen.truth[k].labels[j])
            if label not in (LIGHT, SIGN):
                continue
            true = str(frames.annotations[k][j]["state" if label == LIGHT else "sign"])
            said = "missed"
            if j in told and label == LIGHT:
                said = STATES[int(seen.found[k].state[told[j]])] if seen.found[k].state[told[j]] >= 0 else "none"
            elif j in told:
                said = frames.signs[int(seen.found[k].sign[told[j]])] if seen.found[k].sign[told[j]] >= 0 else "none"
            table = (lights if label == LIGHT else signs).setdefault(true, {})
            table[said] = table.get(said, 0) + 1
    return lights, signs


def _accuracy(table: dict[str, dict[str, int]]) -> float:
    """Share of those that were found whose state or type is right."""
    found = sum(n for row in table.values() for said, n in row.items() if said != "missed")
    right = sum(row.get(true, 0) for true, row in table.items())
    return right / found if found else math.nan


def _quality(seen: Seen, k: int) -> float:
    """How good a picture was read, 0..1: mean of F1 of the boxes and the pixels that were right."""
    pairs, false, missed = match(seen.found[k], seen.truth[k], SHOWN)
    every = 2 * len(pairs) + len(false) + len(missed)
    parts = [2 * len(pairs) / every if every else 1.0]
    matrix = seen.matrices[k]
    if matrix is not None:
        parts.append(float(np.diag(matrix).sum() / max(1, matrix.sum())))
    return float(np.mean(parts))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
