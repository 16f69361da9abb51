"""A convolutional classifier of drawn traffic signs: Adam 0.001, batch 128, entries in [l, u] or global norm 5."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor, nn

from throttle.recipes.base import Recipe, Task, wrong_share
from throttle.recipes.drawing import SIGNS, sign_crops


@lru_cache(maxsize=4)
def _crops(count: int, seed: int) -> tuple[Tensor, Tensor]:
    crops, labels = sign_crops(count, seed)
    return torch.from_numpy(crops).float().permute(0, 3, 1, 2).contiguous() / 255, torch.from_numpy(labels)


@dataclass(frozen=True)
class SignClassifier(Recipe):
    name: ClassVar[str] = "sign-classifier"
    question: ClassVar[str] = (
        "What do a range of entries and a global norm of 5 do to a traffic-sign classifier under Adam?"
    )
    seeds: ClassVar[int] = 3
    error_name: ClassVar[str] = "wrong signs (share)"

    samples: int = 1536

    def task(self, seed: int) -> Task:
        x, y = _crops(self.samples, 2 * seed)
        test, truth = _crops(max(1, self.samples // 2), 2 * seed + 1)
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, len(SIGNS)),
        )  # fmt: skip
        return Task(model, nn.functional.cross_entropy, (x, y), wrong_share(test, truth, seed))


RECIPES: dict[str, Recipe] = {
    "sign-classifier": SignClassifier("adam", 0.001, ("value=-0.01..0.01", "norm=5"), epochs=30, batch=128, goal=0.3),
}
