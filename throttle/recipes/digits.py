"""Three classifiers of handwritten digits (scikit-learn's 1797 images of 8 x 8, which ship with it).

- mlp-per-tensor: 32-64-64-10, every tensor's gradient limited to norm 1.0. Pairs of columns are averaged for 32 inputs.
- mlp-value: 784-64-10, Adam, every entry limited to 0.05. The images are enlarged to 28 x 28.
- conv-norm: two convolutions, SGD 0.01 with momentum 0.9, global norm 1.0, on the same enlarged images.

All end in logits, which is what cross-entropy expects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from throttle.recipes.base import Recipe, Task, wrong_share

TRAIN = 1400


def load_digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shuffled by the seed: train images [1400, 1, 8, 8] in 0..1 and labels, test images [397, 1, 8, 8] and labels."""
    from sklearn.datasets import load_digits as bundled

    images, labels = bundled(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    x = torch.from_numpy(images[order]).float().reshape(-1, 1, 8, 8) / 16
    y = torch.from_numpy(labels[order]).long()
    return x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]


@dataclass(frozen=True)
class DigitsRecipe(Recipe):
    """A digit classifier; subclasses say how images become inputs and what the network is."""

    error_name: ClassVar[str] = "wrong digits (share)"

    def inputs(self, images: Tensor) -> Tensor:
        """[N, 1, 8, 8] -> what the network takes."""
        return nn.functional.interpolate(images, (28, 28), mode="bilinear")

    def network(self) -> nn.Module:
        raise NotImplementedError

    def task(self, seed: int) -> Task:
        x, y, test, truth = load_digits(seed)
        torch.manual_seed(seed)
        data = (self.inputs(x), y)
        return Task(self.network(), nn.functional.cross_entropy, data, wrong_share(self.inputs(test), truth, seed))


@dataclass(frozen=True)
class PerTensor(DigitsRecipe):
    name: ClassVar[str] = "mlp-per-tensor"
    question: ClassVar[str] = "What does a per-tensor norm of 1.0 do to a 32-64-64-10 net?"

    def inputs(self, images: Tensor) -> Tensor:
        return images.reshape(-1, 8, 4, 2).mean(-1).flatten(1)

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


@dataclass(frozen=True)
class ByValue(DigitsRecipe):
    name: ClassVar[str] = "mlp-value"
    question: ClassVar[str] = "What does a value clip of 0.05 do to a 784-64-10 net under Adam?"

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


@dataclass(frozen=True)
class ConvNorm(DigitsRecipe):
    name: ClassVar[str] = "conv-norm"
    question: ClassVar[str] = "What does a global norm of 1.0 do to a small convolutional net under SGD with momentum?"

    def network(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(16 * 25, 10),
        )  # fmt: skip


RECIPES: dict[str, Recipe] = {
    # The text gives no optimiser for the first: plain SGD 0.1, where the length of a gradient matters.
    "mlp-per-tensor": PerTensor("sgd", 0.1, ("tensor=1",), epochs=40, batch=32, goal=0.3, factors=(1.0, 3.0, 10.0)),
    "mlp-value": ByValue("adam", 0.001, ("value=0.05",), epochs=15, batch=32, goal=0.1),
    "conv-norm": ConvNorm("momentum", 0.01, ("norm=1",), epochs=8, batch=32, goal=0.1),
}
