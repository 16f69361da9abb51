"""Bias: stochastic gradients of x^2 / 2 from four samples, gradient x + 3 from one and x - 1 from each of the others.

Their mean is x, so the minimum is 0. The mean of the clipped gradients is zero at max(0, 1 - tau / 3) instead, whatever
the learning rate: tau / 4 + 3 / 4 (x - 1) = 0 where only the first sample is clipped. U-Clip carries what it cut off
into the next step. Samples come in shuffled epochs, as from a data loader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from clipping import GradientClipper
from throttle.experiments.base import Experiment, Results, Trial, median, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def expected(tau: float) -> float:
    """Where clipped SGD stalls in theory."""
    return max(0.0, 1.0 - tau / 3.0)


@dataclass(frozen=True)
class Bias(Experiment):
    """Arms: strategy, threshold, learning rate."""

    name: ClassVar[str] = "bias"
    question: ClassVar[str] = "Does clipping move the point at which SGD settles?"
    columns: ClassVar[tuple[str, ...]] = ("stall", "theory")

    taus: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0)
    rates: tuple[float, ...] = (0.005, 0.02)
    epochs: int = 1500

    @property
    def arms(self) -> tuple[str, ...]:
        strategies = [f"{name} tau={tau:g}" for name in ("global_norm", "uclip") for tau in self.taus]
        return tuple(f"{strategy}, lr {rate:g}" for strategy in strategies for rate in self.rates)

    def trial(self, arm: str, seed: int) -> Trial:
        head, rate = arm.split(", lr ")
        strategy, tau = head.split(" tau=")
        generator = torch.Generator().manual_seed(seed)
        x = nn.Parameter(torch.zeros((), dtype=torch.float64))
        optimizer = torch.optim.SGD([x], lr=float(rate), foreach=False)
        GradientClipper(strategy, threshold=float(tau), drain_every=1000).attach(optimizer)  # type: ignore[arg-type]
        samples = torch.tensor([3.0, -1.0, -1.0, -1.0], dtype=torch.float64)
        total, start = 0.0, self.epochs // 4  # by then even the slower rate has gone through 7 time constants
        for epoch in range(self.epochs):
            for noise in samples[torch.randperm(4, generator=generator)]:
                x.grad = x.detach() + noise
                optimizer.step()
                if epoch >= start:
                    total += float(x.detach())
        theory = expected(float(tau)) if strategy == "global_norm" else 0.0
        return {"stall": total / (4 * (self.epochs - start)), "theory": theory}

    def sentence(self, results: Results) -> str:
        def text(strategy: str) -> str:
            worst, rows = 0.0, []
            for tau in self.taus:
                mine = [a for a in self.arms if a.startswith(f"{strategy} tau={tau:g},")]
                values = [v for a in mine for v in results.values(a, "stall")]
                worst = max(worst, *(abs(v - results.values(mine[0], "theory")[0]) for v in values))
                rows.append(f"tau {tau:g}: {short(median(values).middle)}")
            return f"{', '.join(rows)} (largest distance from theory {short(worst)} over all seeds and rates)"

        return f"Minimum at 0. Clipped SGD settles at {text('global_norm')}. U-Clip settles at {text('uclip')}."

    def plot(self, results: Results, figure: Figure) -> None:
        axes = figure.subplots()
        grid = [i * 0.05 for i in range(1, 71)]
        axes.plot(grid, [expected(t) for t in grid], "k-", lw=1, label="theory: max(0, 1 - tau / 3)")
        for number, strategy in enumerate(("global_norm", "uclip")):
            for rate, mark in zip(self.rates, "ox+*"):
                points = [
                    (t, v) for t in self.taus for v in results.values(f"{strategy} tau={t:g}, lr {rate:g}", "stall")
                ]
                axes.plot(*zip(*points), mark, color=f"C{number}", label=f"{strategy}, lr {rate:g}")
        axes.set(xlabel="threshold", ylabel="where it settles (0 is right)")
        axes.legend()


EXPERIMENT = Bias()
