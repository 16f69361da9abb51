"""Vanishing gradients: does clipping help a deep sigmoid net whose first layers receive almost no gradient?

The other end of the same product of Jacobians that explodes in recurrent nets. ReLU with matching initial weights
stands beside it, the usual cure.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from throttle.experiments.base import Experiment, Results, Trial
from throttle.experiments.training import attach, seen

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _grad_norm(layer: nn.Linear) -> float:
    return float(layer.weight.grad.norm()) if layer.weight.grad is not None else 0.0


@dataclass(frozen=True)
class Vanishing(Experiment):
    """Arms: activation x clip; each at its best learning rate of a few."""

    name: ClassVar[str] = "vanishing"
    question: ClassVar[str] = "Does clipping cure vanishing gradients?"
    columns: ClassVar[tuple[str, ...]] = ("loss", "first_to_last", "clipped")

    activations: tuple[str, ...] = ("sigmoid", "relu")
    clips: tuple[str, ...] = ("none", "tau=1", "tau=0.1", "tau=0.01")
    rates: tuple[float, ...] = (0.03, 0.3)
    depth: int = 12
    width: int = 32
    steps: int = 300

    @property
    def arms(self) -> tuple[str, ...]:
        return (*(f"sigmoid, {clip}" for clip in self.clips), "relu, none")

    def _train(self, kind: str, clip: str, seed: int, rate: float) -> Trial:
        torch.manual_seed(seed)
        sizes = [8, *[self.width] * self.depth, 1]
        linears = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        for linear in linears:
            (nn.init.kaiming_normal_(linear.weight) if kind == "relu" else nn.init.xavier_normal_(linear.weight))
            nn.init.zeros_(linear.bias)
        optimizer = torch.optim.SGD([p for linear in linears for p in linear.parameters()], lr=rate)
        clipper = attach(clip, optimizer)

        def net(h: Tensor) -> Tensor:
            for linear in linears[:-1]:
                h = torch.relu(linear(h)) if kind == "relu" else torch.sigmoid(linear(h))
            return linears[-1](h)

        ratio, losses = 0.0, []
        for step in range(self.steps):
            x = torch.randn(64, 8)
            y = torch.tanh(x.sum(1, keepdim=True))
            optimizer.zero_grad()
            loss = (net(x) - y).square().mean() / y.square().mean()  # a constant answer gives about 1
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            if step == 0:
                ratio = _grad_norm(linears[0]) / _grad_norm(linears[-1])
        tail = losses[-max(1, self.steps // 10) :]
        return {"loss": sum(tail) / len(tail), "first_to_last": ratio, "rate": rate, **seen(clipper)}

    def trial(self, arm: str, seed: int) -> Trial:
        kind, clip = arm.split(", ")
        tried = [self._train(kind, clip, seed, rate) for rate in self.rates]
        return min(tried, key=lambda t: t["loss"] if t["loss"] == t["loss"] else float("inf"))

    def sentence(self, results: Results) -> str:
        rows = [
            f"{a}: gradient of the first layer {results.median(a, 'first_to_last')} of the last's, loss "
            f"{results.median(a, 'loss')}"
            for a in self.arms
        ]
        bare, unclipped = "sigmoid, none", results.median("sigmoid, none", "first_to_last").middle
        clips = [a for a in self.arms if a.startswith("sigmoid") and a != bare]
        best = results.best(clips, "loss")
        gain = results.median(bare, "loss").middle / results.median(best, "loss").middle
        moved = max(abs(results.median(a, "first_to_last").middle / unclipped - 1) for a in clips)
        cure = results.median(bare, "loss").middle / results.median("relu, none", "loss").middle
        return (
            f"{self.depth} layers, best of {len(self.rates)} rates each (a constant answer gives 1). "
            f"{'; '.join(rows)}. "
            f"Clipping changed the ratio of first to last layer by at most {100 * moved:.2g}% and lowered the "
            "sigmoid net's "
            f"loss by a factor of {gain:.3g} at best; ReLU with its own initial weights by {cure:.3g}."
        )

    def plot(self, results: Results, figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for axes, key, label in (
            (left, "first_to_last", "gradient norm, first layer / last layer"),
            (right, "loss", "loss (a constant answer: 1)"),
        ):
            for row, arm in enumerate(self.arms):
                values = results.values(arm, key)
                axes.plot(values, [row] * len(values), "o", alpha=0.6)
            axes.set_yticks(range(len(self.arms)), self.arms)
            axes.set(xscale="log", xlabel=label)
            axes.invert_yaxis()


EXPERIMENT = Vanishing()
