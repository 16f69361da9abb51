"""A convolutional classifier of traffic signs: Adam 0.001, batch 128, entries in [l, u] or global norm 5.

It learns from crops of two rendered towns and is tested in a third, which it never saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from throttle.recipes.base import Recipe, Task, planes, some, wrong_share
from throttle.recipes.crops import SIGNS, signs


@dataclass(frozen=True)
class SignClassifier(Recipe):
    name: ClassVar[str] = "sign-classifier"
    question: ClassVar[str] = (
        "What do a range of entries and a global norm of 5 do to a traffic-sign classifier under Adam?"
    )
    seeds: ClassVar[int] = 3
    error_name: ClassVar[str] = "wrong signs (share)"

    samples: int = 1024

    def task(self, seed: int) -> Task:
        (crops, labels), (unseen, truth) = signs("train"), signs("test")
        rows = some(len(crops), self.samples, seed)
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, len(SIGNS)),
        )  # fmt: skip
        error = wrong_share(planes(unseen), torch.from_numpy(truth), seed)
        return Task(model, nn.functional.cross_entropy, (planes(crops[rows]), torch.from_numpy(labels[rows])), error)


RECIPES: dict[str, Recipe] = {
    "sign-classifier": SignClassifier("adam", 0.001, ("value=-0.01..0.01", "norm=5"), epochs=30, batch=128, goal=0.3),
}
