"""Delayed recall: a recurrent net must tell at the end of a sequence which sign it saw at its start.

The gradient is a product of as many Jacobians as there are steps, so it can explode. Plain SGD, rising learning rates,
with and without clipping of the global norm.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from throttle.experiments.base import Experiment, Results, Trial, short
from throttle.experiments.training import attach, seen, stops_when_diverged

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEARNT = 0.05
"""Mean squared error under which the bit is recalled (guessing gives 1)."""


def _products(arms: list[str]) -> str:
    """The arms in the order of lr * tau, each with it."""
    values = {arm: float(arm.split(", ")[0][3:]) * float(arm.split("=")[1]) for arm in arms}
    return ", ".join(f"{short(values[arm])} ({arm})" for arm in sorted(arms, key=lambda arm: values[arm]))


@dataclass(frozen=True)
class Recurrent(Experiment):
    """Arms: learning rate x threshold."""

    name: ClassVar[str] = "recurrent"
    question: ClassVar[str] = "Does clipping stop the explosion of a recurrent net, and up to which learning rate?"
    columns: ClassVar[tuple[str, ...]] = ("final", "largest_norm", "clipped")

    rates: tuple[float, ...] = (0.1, 0.3)
    clips: tuple[str, ...] = ("none", "tau=0.1", "tau=1", "tau=3", "tau=10")
    length: int = 30
    hidden: int = 48
    batch: int = 64
    steps: int = 800

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(f"lr {rate:g}, {clip}" for rate in self.rates for clip in self.clips)

    def trial(self, arm: str, seed: int) -> Trial:
        rate, clip = arm.removeprefix("lr ").split(", ")
        torch.manual_seed(seed)
        net, out = nn.RNN(1, self.hidden, batch_first=True), nn.Linear(self.hidden, 1)
        nn.init.orthogonal_(net.get_parameter("weight_hh_l0"))
        optimizer = torch.optim.SGD([*net.parameters(), *out.parameters()], lr=float(rate))
        clipper = attach(clip, optimizer)
        losses: list[float] = []
        with stops_when_diverged():
            for _ in range(self.steps):
                x = torch.randn(self.batch, self.length, 1) * 0.1
                y = torch.randint(0, 2, (self.batch, 1)).float() * 2 - 1
                x[:, 0] = y
                optimizer.zero_grad()
                loss = (out(net(x)[0][:, -1]) - y).square().mean()
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
                if not math.isfinite(losses[-1]):
                    break
        whole = len(losses) == self.steps and math.isfinite(losses[-1])
        final = statistics.median(losses[-max(1, self.steps // 16) :]) if whole else math.inf
        return {"final": final, "curve": losses[:: max(1, self.steps // 100)], **seen(clipper)}

    def sentence(self, results: Results) -> str:
        def verdict(arm: str) -> list[bool]:
            return [v < LEARNT for v in results.values(arm, "final")]

        bare = [a for a in self.arms if a.endswith("none")]
        clipped = [a for a in self.arms if a not in bare]
        lost = sum(results.median(a, "final").diverged for a in bare)
        failed = sum(not held for a in bare for held in verdict(a))
        trials = len(bare) * len(results.seeds)
        best = results.best(clipped, "final")
        safe = [a for a in clipped if all(verdict(a))]
        unsafe = [a for a in clipped if not all(verdict(a))]
        text = (
            f"Without clipping {lost} of {trials} runs ended in NaN or infinity and {failed} of {trials} did "
            "not learn; "
            f"with clipping {sum(results.median(a, 'final').diverged for a in clipped)} of "
            f"{len(clipped) * len(results.seeds)} did not stay finite, and the best ({best}) reached an error of "
            f"{results.median(best, 'final')}."
        )
        if safe and unsafe:
            text += f" Every seed learnt with {_products(safe)}; not every seed with {_products(unsafe)}."
        return text

    def plot(self, results: Results, figure: Figure) -> None:
        for axes, rate in zip(figure.subplots(1, len(self.rates), sharey=True, squeeze=False)[0], self.rates):
            for number, clip in enumerate(self.clips):
                for seed, curve in zip(results.seeds, results.values(f"lr {rate:g}, {clip}", "curve")):
                    stride = max(1, self.steps // 100)
                    label = clip if seed == results.seeds[0] else None
                    axes.plot(range(0, stride * len(curve), stride), curve, color=f"C{number}", lw=0.8, label=label)
            axes.set(title=f"lr {rate:g}", xlabel="step", yscale="log", ylim=(1e-6, 1e3))
            axes.legend(fontsize=7)
        figure.axes[0].set_ylabel("mean squared error")


EXPERIMENT = Recurrent()
