"""A regression net on scikit-learn's diabetes data (442 patients, ten measurements, which ship with it).

Global norm 0.5, Adam 0.01. Inputs and target are standardised with the training part's mean and deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from throttle.recipes.base import Recipe, Task

TRAIN = 342


def load_diabetes(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shuffled by the seed and standardised: train [342, 10] and [342, 1], test [100, 10] and [100, 1]."""
    from sklearn.datasets import load_diabetes as bundled

    inputs, target = bundled(return_X_y=True, scaled=False)
    order = np.random.default_rng(seed).permutation(len(inputs))
    both = np.concatenate([inputs, target[:, None]], 1)[order]
    both = (both - both[:TRAIN].mean(0)) / both[:TRAIN].std(0)
    table = torch.from_numpy(both).float()
    return table[:TRAIN, :-1], table[:TRAIN, -1:], table[TRAIN:, :-1], table[TRAIN:, -1:]


@dataclass(frozen=True)
class Regression(Recipe):
    name: ClassVar[str] = "regression"
    question: ClassVar[str] = "What does a global norm of 0.5 do to a regression net under Adam?"
    error_name: ClassVar[str] = "mean squared error / variance"

    def task(self, seed: int) -> Task:
        x, y, test, truth = load_diabetes(seed)
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))

        def error(model: nn.Module, sigma: float) -> float:
            noise = torch.randn(test.shape, generator=torch.Generator().manual_seed(10_000 + seed))
            with torch.no_grad():
                value = float((model(test + sigma * noise) - truth).square().mean() / truth.var())
            return value if value == value else float("inf")

        return Task(model, nn.functional.mse_loss, (x, y), error)


RECIPES: dict[str, Recipe] = {
    "regression": Regression("adam", 0.01, ("norm=0.5",), epochs=40, batch=32, goal=0.3),
}
