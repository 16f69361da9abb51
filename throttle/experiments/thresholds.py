"""How much does the threshold matter? The glitchy regression over five decades of it, and without choosing one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from throttle.experiments.base import Experiment, Results, Trial, short
from throttle.experiments.glitches import learn

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Thresholds(Experiment):
    """Arms: optimiser x threshold, and three strategies that choose their own."""

    name: ClassVar[str] = "thresholds"
    question: ClassVar[str] = "Must the threshold be tuned, and do automatic thresholds spare the tuning?"
    columns: ClassVar[tuple[str, ...]] = ("error", "clipped")

    optimizers: tuple[str, ...] = ("momentum", "adam")
    rates: tuple[float, ...] = (0.02, 1e-3)
    fixed: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)
    automatic: tuple[str, ...] = ("quantile", "autoclip", "zclip")
    glitch: float = 0.02
    steps: int = 600
    batch: int = 64
    near: float = 1.5
    """A threshold counts as good when its error is at most this many times the best one's."""

    def _fixed(self, optimizer: str) -> list[str]:
        return [f"{optimizer}, tau={t:g}" for t in self.fixed]

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(arm for o in self.optimizers for arm in (*self._fixed(o), *(f"{o}, {a}" for a in self.automatic)))

    def trial(self, arm: str, seed: int) -> Trial:
        optimizer, clip = arm.split(", ")
        rate = self.rates[self.optimizers.index(optimizer)]
        return learn(optimizer, rate, clip, self.glitch, seed, self.steps, self.batch)

    def sentence(self, results: Results) -> str:
        parts = []
        for optimizer in self.optimizers:
            fixed = self._fixed(optimizer)
            best = results.best(fixed, "error")
            least = results.median(best, "error").middle
            good = [t for t, a in zip(self.fixed, fixed) if results.median(a, "error").middle <= self.near * least]
            worst = max(results.median(a, "error").middle for a in fixed)
            chosen = "; ".join(
                f"{a} {short(results.median(f'{optimizer}, {a}', 'error').middle / least)} times"
                for a in self.automatic
            )
            ratio = (
                f"the worst was {short(worst / least)} times worse" if math.isfinite(worst) else "the worst diverged"
            )
            parts.append(
                f"{optimizer}: best {best.split(', ')[1]} ({results.median(best, 'error')}), within "
                f"{self.near:g} times of "
                f"it tau = {', '.join(short(t) for t in good)} of {len(self.fixed)} tried, {ratio}; automatic, "
                "against the "
                f"best fixed one: {chosen}"
            )
        return ". ".join(parts) + "."

    def plot(self, results: Results, figure: Figure) -> None:
        for axes, optimizer in zip(figure.subplots(1, len(self.optimizers), squeeze=False)[0], self.optimizers):
            m = [results.median(a, "error") for a in self._fixed(optimizer)]
            kept = [i for i, v in enumerate(m) if math.isfinite(v.middle)]
            axes.plot([self.fixed[i] for i in kept], [m[i].middle for i in kept], "o-", label="fixed threshold")
            for i in kept:
                axes.plot([self.fixed[i]] * 2, [m[i].low, min(m[i].high, 1e3)], color="C0", alpha=0.4)
            for number, name in enumerate(self.automatic):
                axes.axhline(results.median(f"{optimizer}, {name}", "error").middle, color=f"C{number + 1}", label=name)
            axes.set(
                xscale="log", yscale="log", title=optimizer, xlabel="threshold", ylabel="error (median over seeds)"
            )
            axes.legend(fontsize=7)


EXPERIMENT = Thresholds()
