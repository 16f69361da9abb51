"""(L0, L1)-smooth descent: iterations that x^4 needs, with a constant rate and with clipping.

Zhang, He, Sra, Jadbabaie (2020): where |f''| <= L0 + L1 |f'|, clipped descent keeps its rate however steep the start,
while constant-rate descent must take a rate fit for the steepest place. f = x^4 has L1 = 1, L0 = 16 (12 x^2 - 4 |x|^3
is largest at |x| = 2). Exact and free of chance: the starting points take the place of seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from clipping import GradientClipper
from throttle.experiments.base import Experiment, Results, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

L0, L1 = 16.0, 1.0
GOAL = 0.1
"""Iterations are counted until |f'| <= GOAL."""


def iterations(start: float, clipped: bool) -> int:
    """Gradient steps on x^4 from `start` until |4 x^3| <= 0.1, float64.

    Clipped: eta = 1 / (10 L0) and eta tau = 1 / (10 L1). Constant: eta = 1 / (12 start^2), the inverse of the largest
    curvature on the way, the largest rate that is safe there.
    """
    x = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    eta = 1 / (10 * L0) if clipped else 1 / (12 * start**2)
    optimizer = torch.optim.SGD([x], lr=eta, foreach=False)
    if clipped:
        GradientClipper("global_norm", threshold=1 / (10 * L1) / eta, drain_every=1000).attach(optimizer)
    done = 0
    while True:
        slope = 4 * float(x.detach()) ** 3
        if abs(slope) <= GOAL:
            return done
        x.grad = torch.tensor(slope, dtype=torch.float64)
        optimizer.step()
        done += 1


@dataclass(frozen=True)
class Smooth(Experiment):
    """Arms: method x starting point."""

    name: ClassVar[str] = "smooth"
    question: ClassVar[str] = "Does clipped descent need fewer iterations where curvature grows with the slope?"
    seeds: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("iterations",)

    starts: tuple[float, ...] = (10.0, 20.0, 40.0, 80.0)

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(f"{method} from {start:g}" for method in ("constant rate", "clipped") for start in self.starts)

    def trial(self, arm: str, seed: int) -> Trial:
        method, start = arm.split(" from ")
        return {"iterations": iterations(float(start), method == "clipped")}

    def _counts(self, results: Results, method: str) -> list[int]:
        return [int(results.values(f"{method} from {s:g}", "iterations")[0]) for s in self.starts]

    def sentence(self, results: Results) -> str:
        plain, clipped = self._counts(results, "constant rate"), self._counts(results, "clipped")
        growth = [counts[-1] / counts[0] for counts in (plain, clipped)]
        return (
            f"x^4 from {', '.join(f'{s:g}' for s in self.starts)}: constant rate {', '.join(map(str, plain))} "
            "iterations, "
            f"clipped {', '.join(map(str, clipped))}. {self.starts[-1] / self.starts[0]:g} times the distance costs "
            f"{growth[0]:.3g} times the iterations without and {growth[1]:.3g} times with clipping "
            "(deterministic: no seeds)."
        )

    def plot(self, results: Results, figure: Figure) -> None:
        axes = figure.subplots()
        for method in ("constant rate", "clipped"):
            axes.plot(self.starts, self._counts(results, method), "o-", label=method)
        axes.set(xscale="log", yscale="log", xlabel="starting point", ylabel="iterations until |f'| <= 0.1")
        axes.legend()


EXPERIMENT = Smooth()
