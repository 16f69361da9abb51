"""Back-propagation through a differentiable bicycle model: a policy learns to follow a wavy road.

The loss is differentiated through every step of the simulated drive, as in model-based driving policies, so the
gradient is a long product here too. Plain SGD.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from throttle.experiments.base import Experiment, Results, Trial
from throttle.experiments.training import attach, seen, stops_when_diverged

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STUCK = 5.0
"""Cost above which a policy does not follow the road at all."""


def drive(policy: nn.Module, batch: int, steps: int) -> Tensor:
    """Mean cost of `batch` drives of `steps` x 0.1 s: squared lateral error [m^2] plus half of (v - 10 m/s)^2.

    Kinematic bicycle, wheelbase 2.7 m, |acceleration| <= 4 m/s^2, |steer| <= 0.5 rad; road y = 3 sin(x / 15).
    """
    dt, wheelbase = 0.1, 2.7
    x, y = torch.zeros(batch), torch.randn(batch) * 2
    heading, speed = torch.randn(batch) * 0.3, 12 + torch.randn(batch)
    cost = torch.zeros(())
    for _ in range(steps):
        road, slope = 3 * torch.sin(x / 15), torch.atan(3 / 15 * torch.cos(x / 15))
        error, turn = y - road, heading - slope
        inputs = torch.stack([error, torch.sin(turn), torch.cos(turn), (speed - 10) / 5, slope], -1)
        act = policy(inputs)
        acceleration, steer = 4 * torch.tanh(act[:, 0]), 0.5 * torch.tanh(act[:, 1])
        x, y = x + speed * torch.cos(heading) * dt, y + speed * torch.sin(heading) * dt
        heading, speed = heading + speed / wheelbase * torch.tan(steer) * dt, speed + acceleration * dt
        cost = cost + (error.square() + 0.5 * (speed - 10).square()).mean()
    return cost / steps


@dataclass(frozen=True)
class Bicycle(Experiment):
    """Arms: threshold x learning rate; thresholds are compared at their own best learning rate."""

    name: ClassVar[str] = "bicycle"
    question: ClassVar[str] = "Does clipping help a policy that is trained through a differentiable bicycle model?"
    columns: ClassVar[tuple[str, ...]] = ("final", "largest_norm", "clipped")

    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    clips: tuple[str, ...] = ("none", "tau=1", "tau=10")
    horizon: int = 40
    batch: int = 32
    steps: int = 150

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(f"{clip}, lr {rate:g}" for clip in self.clips for rate in self.rates)

    def _of(self, clip: str) -> list[str]:
        return [f"{clip}, lr {rate:g}" for rate in self.rates]

    def trial(self, arm: str, seed: int) -> Trial:
        clip, rate = arm.split(", lr ")
        torch.manual_seed(seed)
        policy = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
        optimizer = torch.optim.SGD(policy.parameters(), lr=float(rate))
        clipper = attach(clip, optimizer)
        costs: list[float] = []
        with stops_when_diverged():
            for _ in range(self.steps):
                optimizer.zero_grad()
                cost = drive(policy, self.batch, self.horizon)
                cost.backward()
                optimizer.step()
                costs.append(float(cost.detach()))
                if not math.isfinite(costs[-1]):
                    break
        whole = len(costs) == self.steps and math.isfinite(costs[-1])
        final = statistics.median(costs[-min(20, self.steps) :]) if whole else math.inf
        return {"final": final, **seen(clipper)}

    def sentence(self, results: Results) -> str:
        parts = []
        for clip in self.clips:
            best = results.best(self._of(clip), "final")
            values = [v for a in self._of(clip) for v in results.values(a, "final")]
            lost = sum(math.isinf(v) for v in values)
            stuck = sum(STUCK < v < math.inf for v in values)
            parts.append(
                f"{clip}: best cost {results.median(best, 'final')} at lr {best.split('lr ')[1]}, {lost} of "
                f"{len(values)} "
                f"runs not finite and {stuck} stuck above {STUCK:g}"
            )
        bare = results.best(self._of("none"), "final")
        clipped = results.best([a for c in self.clips if c != "none" for a in self._of(c)], "final")
        won = results.wins(clipped, bare, "final")
        return (
            f"Over the learning rates, {'; '.join(parts)}. At the best rate of each, clipping ({clipped}) was "
            "better in "
            f"{won} of {len(results.seeds)} seeds."
        )

    def plot(self, results: Results, figure: Figure) -> None:
        axes = figure.subplots()
        for number, clip in enumerate(self.clips):
            m = [results.median(a, "final") for a in self._of(clip)]
            finite = [i for i, v in enumerate(m) if math.isfinite(v.middle)]
            axes.plot(
                [self.rates[i] for i in finite], [m[i].middle for i in finite], "o-", color=f"C{number}", label=clip
            )
            for rate, arm in zip(self.rates, self._of(clip)):
                values = [v for v in results.values(arm, "final") if math.isfinite(v)]
                axes.plot([rate] * len(values), values, ".", color=f"C{number}", alpha=0.4)
        axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="cost of the drive (median, seeds as dots)")
        axes.legend()


EXPERIMENT = Bicycle()
