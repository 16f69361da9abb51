"""Does clipping combine with every common optimiser? The glitchy regression again, with five of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from throttle.experiments.base import Experiment, Results, Trial
from throttle.experiments.glitches import learn

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Optimizers(Experiment):
    """Arms: optimiser x clip, each optimiser at one usual learning rate."""

    name: ClassVar[str] = "optimizers"
    question: ClassVar[str] = "Does clipping combine with SGD, momentum, RMSprop, Adam and AdamW?"
    columns: ClassVar[tuple[str, ...]] = ("error", "clipped")

    optimizers: tuple[str, ...] = ("sgd", "momentum", "rmsprop", "adam", "adamw")
    rates: tuple[float, ...] = (0.1, 0.02, 1e-3, 1e-3, 1e-3)
    clips: tuple[str, ...] = ("none", "tau=1", "quantile")
    glitch: float = 0.02
    steps: int = 600
    batch: int = 64

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(f"{optimizer}, {clip}" for optimizer in self.optimizers for clip in self.clips)

    def trial(self, arm: str, seed: int) -> Trial:
        optimizer, clip = arm.split(", ")
        rate = self.rates[self.optimizers.index(optimizer)]
        return learn(optimizer, rate, clip, self.glitch, seed, self.steps, self.batch)

    def sentence(self, results: Results) -> str:
        parts = []
        for optimizer in self.optimizers:
            bare = f"{optimizer}, none"
            best = results.best([f"{optimizer}, {c}" for c in self.clips if c != "none"], "error")
            won = results.wins(best, bare, "error")
            parts.append(
                f"{optimizer} {results.median(bare, 'error')} -> {results.median(best, 'error')} with "
                f"{best.split(', ')[1]} ({won} of {len(results.seeds)} seeds better)"
            )
        clipped = [a for a in self.arms if not a.endswith("none")]
        lost = sum(results.median(a, "error").diverged for a in clipped)
        return f"Error with glitches, unclipped -> clipped: {'; '.join(parts)}. {lost} clipped runs diverged."

    def plot(self, results: Results, figure: Figure) -> None:
        axes = figure.subplots()
        for number, clip in enumerate(self.clips):
            for column, optimizer in enumerate(self.optimizers):
                kept = [v for v in results.values(f"{optimizer}, {clip}", "error") if math.isfinite(v)]
                label = clip if column == 0 else None
                place = [column + 0.2 * (number - 1)] * max(1, len(kept))
                axes.plot(place, kept or [math.nan], "o", color=f"C{number}", alpha=0.6, label=label)
        axes.set_xticks(range(len(self.optimizers)), self.optimizers)
        axes.set(yscale="log", ylabel="error on clean data (a dot a seed; diverged runs not drawn)")
        axes.legend()


EXPERIMENT = Optimizers()
