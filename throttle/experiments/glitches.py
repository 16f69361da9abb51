"""Sensor glitches: in two batches of a hundred, four samples arrive fifty times too loud.

A net learns a function of 16 inputs from such data and is judged on clean data. The batches, the glitches and the first
weights are the same for all arms of a seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from throttle.experiments.base import Experiment, Results, Trial
from throttle.experiments.training import attach, make_optimizer, seen, stops_when_diverged

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INPUTS = 16


def teacher() -> tuple[Tensor, Tensor]:
    """Weights [16, 32] and [32, 1] of the function to be learnt, tanh(x W1) W2."""
    generator = torch.Generator().manual_seed(123)
    first = torch.randn(INPUTS, 32, generator=generator) / 4
    return first, torch.randn(32, 1, generator=generator) / math.sqrt(32)


def learn(optimizer_name: str, rate: float, clip: str, glitch: float, seed: int, steps: int, batch: int) -> Trial:
    """Train on glitchy data; "error" is the mean squared error on clean data over the target's mean square."""
    first, second = teacher()
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(INPUTS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = make_optimizer(optimizer_name, net.parameters(), rate)
    clipper = attach(clip, optimizer)
    generator = torch.Generator().manual_seed(1000 + seed)
    with stops_when_diverged():
        for _ in range(steps):
            x = torch.randn(batch, INPUTS, generator=generator)
            y = torch.tanh(x @ first) @ second + 0.1 * torch.randn(batch, 1, generator=generator)
            spoilt = torch.rand((), generator=generator) < glitch
            where = torch.randint(0, batch, (4,), generator=generator)
            if spoilt:
                x[where] *= 50
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x), y).backward()
            optimizer.step()
    with torch.no_grad():
        x = torch.randn(4096, INPUTS, generator=torch.Generator().manual_seed(7))
        y = torch.tanh(x @ first) @ second
        error = float((net(x) - y).square().mean() / y.square().mean())
    return {"error": error if math.isfinite(error) else math.inf, **seen(clipper)}


@dataclass(frozen=True)
class Glitches(Experiment):
    """Arms: optimiser x clip, with glitches; and unclipped without glitches, the best that can be hoped for."""

    name: ClassVar[str] = "glitches"
    question: ClassVar[str] = "Does clipping protect training from sensor glitches in 2% of the batches?"
    columns: ClassVar[tuple[str, ...]] = ("error", "largest_norm", "clipped")

    optimizers: tuple[str, ...] = ("momentum", "adam")
    rates: tuple[float, ...] = (0.02, 1e-3)
    clips: tuple[str, ...] = ("none", "tau=1", "skip=5", "quantile", "autoclip", "zclip")
    glitch: float = 0.02
    steps: int = 1500
    batch: int = 64

    @property
    def arms(self) -> tuple[str, ...]:
        kinds = (*self.clips, "none (clean data)", "tau=1 (clean data)")
        return tuple(f"{optimizer}, {clip}" for optimizer in self.optimizers for clip in kinds)

    def trial(self, arm: str, seed: int) -> Trial:
        optimizer, clip = arm.split(", ")
        clean = clip.endswith(" (clean data)")
        rate = self.rates[self.optimizers.index(optimizer)]
        name = clip.removesuffix(" (clean data)")
        return learn(optimizer, rate, name, 0.0 if clean else self.glitch, seed, self.steps, self.batch)

    def sentence(self, results: Results) -> str:
        parts = []
        for optimizer in self.optimizers:
            bare, clean = f"{optimizer}, none", f"{optimizer}, none (clean data)"
            best = results.best([f"{optimizer}, {c}" for c in self.clips if c != "none"], "error")
            parts.append(
                f"{optimizer}: unclipped {results.median(bare, 'error')}, best clip ({best.split(', ')[1]}) "
                f"{results.median(best, 'error')}, clean data unclipped {results.median(clean, 'error')}; the "
                "best clip won "
                f"in {results.wins(best, bare, 'error')} of {len(results.seeds)} seeds"
            )
        return f"Error on clean data after training with {self.glitch:.0%} glitchy batches. " + ". ".join(parts) + "."

    def plot(self, results: Results, figure: Figure) -> None:
        for axes, optimizer in zip(figure.subplots(1, len(self.optimizers), squeeze=False)[0], self.optimizers):
            mine = [a for a in self.arms if a.startswith(optimizer + ", ")]
            for row, arm in enumerate(mine):
                values = results.values(arm, "error")
                kept = [v for v in values if math.isfinite(v)]
                axes.plot(kept, [row] * len(kept), "o", color="C2" if "clean" in arm else "C0", alpha=0.6)
                if len(kept) < len(values):
                    axes.text(
                        0.98,
                        row,
                        f"{len(values) - len(kept)} diverged",
                        transform=axes.get_yaxis_transform(),
                        ha="right",
                    )
            axes.set_yticks(range(len(mine)), [a.split(", ")[1] for a in mine])
            axes.set(title=optimizer, xscale="log", xlabel="error on clean data (a dot a seed)")
            axes.invert_yaxis()


EXPERIMENT = Glitches()
