"""Loss scale: the same training with the loss multiplied by a power of two. What depends on units, shows here.

Adam with eps 0 does not depend on the scale itself; the powers of two change no digit. So every difference in the
trained weights comes from the clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from throttle.experiments.base import Experiment, Results, Trial
from throttle.experiments.training import attach, stops_when_diverged

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LossScale(Experiment):
    """Arms: strategies; each trial trains once per scale and compares the weights with those of scale 1."""

    name: ClassVar[str] = "loss-scale"
    question: ClassVar[str] = "Which thresholds survive a change of the loss's units?"
    columns: ClassVar[tuple[str, ...]] = ("difference", "identical")

    clips: tuple[str, ...] = ("none", "tau=0.1", "tau=1", "quantile", "autoclip", "zclip")
    exponents: tuple[int, ...] = (-10, -5, 5, 10)
    steps: int = 200

    @property
    def arms(self) -> tuple[str, ...]:
        return self.clips

    def _weights(self, clip: str, seed: int, scale: float) -> Tensor:
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 1))
        # foreach off: one code path for every machine, so that bits can be compared
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, eps=0.0, foreach=False)
        attach(clip, optimizer)
        with stops_when_diverged():
            for _ in range(self.steps):
                x = torch.randn(16, 16)
                optimizer.zero_grad()
                (scale * nn.functional.mse_loss(net(x), x.sum(1, keepdim=True).sin())).backward()
                optimizer.step()
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    def trial(self, arm: str, seed: int) -> Trial:
        base = self._weights(arm, seed, 1.0)
        others = [self._weights(arm, seed, 2.0**e) for e in self.exponents]
        differences = [float((o - base).abs().max()) for o in others]
        identical = all(torch.equal(o, base) for o in others)
        return {"difference": max(differences), "identical": float(identical), "by_scale": differences}

    def sentence(self, results: Results) -> str:
        same = [a for a in self.arms if all(results.values(a, "identical"))]
        other = [f"{a} (weights differ by up to {results.median(a, 'difference')})" for a in self.arms if a not in same]
        low, high = min(self.exponents), max(self.exponents)
        return (
            f"With the loss scaled from 2^{low} to 2^{high}, bit-identical weights in all seeds: "
            f"{', '.join(same) or 'none'}; "
            f"not identical: {'; '.join(other) or 'none'}."
        )

    def plot(self, results: Results, figure: Figure) -> None:
        axes = figure.subplots()
        width = 0.8 / len(self.exponents)
        for number, exponent in enumerate(self.exponents):
            heights = [max(v[number] for v in results.values(a, "by_scale")) for a in self.arms]
            axes.bar([i + number * width for i in range(len(self.arms))], heights, width, label=f"loss x 2^{exponent}")
        axes.set_xticks([i + 0.3 for i in range(len(self.arms))], self.arms)
        axes.set_yscale("symlog", linthresh=1e-8)
        axes.set_ylabel("largest difference of a weight (0: same bits)")
        axes.legend()


EXPERIMENT = LossScale()
