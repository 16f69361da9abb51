"""A small detector of vehicles: Adam 0.001, batch 128, entries in [l, u] or global norm 5.

Scenes of the three rendered towns in which no vehicle is too small for their 48 pixels, split by the seed into training
and test. One box per cell of a 6 x 6 grid: whether a vehicle's centre lies in the cell, where, and how large it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from throttle.recipes.base import Recipe, Task, planes
from throttle.recipes.crops import SIZES, Boxes, streets

GRID = 6
CELL = SIZES["streets"] / GRID
LEAST = 6.0  # pixels of the shorter side of every box
TEST = 120


def encode(boxes: Boxes) -> Tensor:
    """Boxes [n, 4] -> target [5, GRID, GRID]: presence, centre within the cell, log of width and height / CELL."""
    target = torch.zeros(5, GRID, GRID)
    for left, top, right, bottom in boxes:
        x, y = (left + right) / 2 / CELL, (top + bottom) / 2 / CELL
        column, row = min(int(x), GRID - 1), min(int(y), GRID - 1)
        size = np.log([(right - left) / CELL, (bottom - top) / CELL])
        target[:, row, column] = torch.tensor([1.0, x - column, y - row, *size])
    return target


def decode(output: Tensor) -> tuple[Boxes, npt.NDArray[np.float32]]:
    """Network output [5, GRID, GRID] -> boxes [GRID^2, 4] (px) and scores [GRID^2]."""
    row, column = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    x, y = (column + output[1]) * CELL, (row + output[2]) * CELL
    wide, high = (output[3:].clamp(-4, 4).exp() * CELL).unbind(0)
    boxes = torch.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], -1)
    return boxes.reshape(-1, 4).numpy(), output[0].sigmoid().flatten().numpy()


def detection_loss(output: Tensor, target: Tensor) -> Tensor:
    """Presence by cross-entropy over all cells, place and size by smooth L1 over cells that hold a vehicle."""
    present = target[:, 0]
    presence = nn.functional.binary_cross_entropy_with_logits(output[:, 0], present)
    off = nn.functional.smooth_l1_loss(output[:, 1:], target[:, 1:], reduction="none").sum(1)
    return 5 * presence + (off * present).sum() / present.sum().clamp_min(1)


def overlap(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union of boxes [n, 4] and [m, 4] -> [n, m]."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clip(0).prod(-1)
    area = [(c[:, 2:] - c[:, :2]).prod(-1) for c in (a, b)]
    union = area[0][:, None] + area[1][None] - both
    return np.asarray(both / np.maximum(union, 1e-9), np.float32)


def average_precision(
    found: list[tuple[Boxes, npt.NDArray[np.float32]]], truth: list[Boxes], least: float = 0.5
) -> float:
    """Area under precision over recall; a truth is found once, by the highest score that overlaps it by `least`."""
    hits: list[tuple[float, bool]] = []
    for (boxes, scores), wanted in zip(found, truth):
        free = np.ones(len(wanted), bool)
        overlaps = overlap(boxes, wanted)
        for i in np.argsort(-scores, kind="stable"):
            match = np.where(free, overlaps[i], -1.0)
            best = int(match.argmax()) if len(match) else -1
            hit = best >= 0 and bool(match[best] >= least)
            if hit:
                free[best] = False
            hits.append((float(scores[i]), hit))
    hits.sort(key=lambda h: -h[0])
    right = np.cumsum([h for _, h in hits])
    precision = right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(right, prepend=0)
    return float((envelope * steps).sum() / max(1, sum(len(t) for t in truth)))


def load_streets(seed: int) -> tuple[npt.NDArray[np.uint8], list[Boxes]]:
    """The scenes without vehicles under LEAST pixels [n, 48, 48, 3] and their boxes, shuffled by the seed."""
    (first, boxes), (second, more) = streets("train"), streets("test")
    scenes, every = np.concatenate([first, second]), [*boxes, *more]
    large = [k for k, b in enumerate(every) if float((b[:, 2:] - b[:, :2]).min()) >= LEAST]
    rows = np.random.default_rng(seed).permutation(large)
    return scenes[rows], [every[row] for row in rows]


@dataclass(frozen=True)
class VehicleDetector(Recipe):
    name: ClassVar[str] = "vehicle-detector"
    question: ClassVar[str] = (
        "What do a range of entries and a global norm of 5 do to a small vehicle detector under Adam?"
    )
    seeds: ClassVar[int] = 3
    error_name: ClassVar[str] = "1 - average precision (overlap .5)"

    samples: int = 500

    def task(self, seed: int) -> Task:
        scenes, boxes = load_streets(seed)
        test, truth = planes(scenes[:TEST]), boxes[:TEST]
        scenes, boxes = scenes[TEST:][: self.samples], boxes[TEST:][: self.samples]
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(24, 48, 3, 2, 1), nn.ReLU(), nn.Conv2d(48, 48, 3, 1, 1), nn.ReLU(), nn.Conv2d(48, 5, 1),
        )  # fmt: skip

        def error(model: nn.Module, sigma: float) -> float:
            noise = torch.randn(test.shape, generator=torch.Generator().manual_seed(10_000 + seed))
            with torch.no_grad():
                outputs = model(test + sigma * noise)
            if not bool(outputs.isfinite().all()):
                return 1.0
            return 1.0 - average_precision([decode(o) for o in outputs], truth)

        return Task(model, detection_loss, (planes(scenes), torch.stack([encode(b) for b in boxes])), error)


RECIPES: dict[str, Recipe] = {
    "vehicle-detector": VehicleDetector(
        "adam", 0.001, ("value=-0.01..0.01", "norm=5"),
        epochs=120, batch=128, goal=0.5, factors=(1.0, 10.0), noises=(0.0, 0.02, 0.05, 0.1),
    ),
}  # fmt: skip
