"""Cost: what clipping adds to the time of one training update, measured alternately in one run."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from clipping import GradientClipper
from throttle.experiments.base import Experiment, Results, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = ("no clipping", "torch clip_grad_norm_", "this module, never clipping", "this module, always clipping")


def _model(kind: str) -> tuple[nn.Module, torch.Tensor]:
    if kind == "policy net":
        layers = [nn.Linear(32, 96), nn.Tanh(), nn.Linear(96, 96), nn.Tanh(), nn.Linear(96, 2)]
        return nn.Sequential(*layers), torch.randn(64, 32)
    convs = [nn.Conv2d(3, 32, 3, 2), nn.ReLU(), nn.Conv2d(32, 64, 3, 2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*convs, nn.Linear(64 * 49, 256), nn.ReLU(), nn.Linear(256, 10)), torch.randn(32, 3, 32, 32)


def update(kind: str, way: str) -> Callable[[], None]:
    """One training update: forward, backward, clip, fused Adam."""
    torch.manual_seed(0)
    model, x = _model(kind)
    params = list(model.parameters())
    optimizer = torch.optim.Adam(params, lr=1e-5, fused=True)
    if way == WAYS[2]:
        GradientClipper("global_norm", threshold=math.inf).attach(optimizer)
    elif way == WAYS[3]:
        GradientClipper("global_norm", threshold=1e-6).attach(optimizer)

    def run() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        if way == WAYS[1]:
            nn.utils.clip_grad_norm_(params, 1e-6)
        optimizer.step()

    return run


@dataclass(frozen=True)
class Cost(Experiment):
    """Arms: networks; a trial times all ways alternately, and gives ratios to no clipping."""

    name: ClassVar[str] = "cost"
    question: ClassVar[str] = "What does clipping cost?"
    timed: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("base_us", "torch", "idle", "clipping")

    rounds: int = 150

    @property
    def arms(self) -> tuple[str, ...]:
        return ("policy net", "convolutional net")

    def trial(self, arm: str, seed: int) -> Trial:
        updates = [update(arm, way) for way in WAYS]
        taken: list[list[float]] = [[] for _ in WAYS]
        for turn in range(self.rounds + 20):
            for number in range(len(WAYS)):
                which = (number + turn) % len(WAYS)
                start = time.perf_counter()
                updates[which]()
                if turn >= 20:
                    taken[which].append(time.perf_counter() - start)
        base, by_torch, idle, clipping = (statistics.median(t) for t in taken)
        return {"base_us": 1e6 * base, "torch": by_torch / base, "idle": idle / base, "clipping": clipping / base}

    def sentence(self, results: Results) -> str:
        rows = []
        for arm in self.arms:
            base = f"{results.median(arm, 'base_us').middle:.0f} us"
            torch_, idle, busy = (results.median(arm, k) for k in ("torch", "idle", "clipping"))
            rows.append(
                f"{arm} (update {base}): torch's clip_grad_norm_ {torch_}, this module idle {idle}, clipping {busy}"
            )
        return f"Time of an update against no clipping. {'; '.join(rows)}."

    def plot(self, results: Results, figure: Figure) -> None:
        axes = figure.subplots()
        keys = ("torch", "idle", "clipping")
        for number, (key, way) in enumerate(zip(keys, WAYS[1:])):
            m = [results.median(a, key) for a in self.arms]
            spread = [[v.middle - v.low for v in m], [v.high - v.middle for v in m]]
            axes.bar([i + 0.25 * number for i in range(len(m))], [v.middle for v in m], 0.25, yerr=spread, label=way)
        axes.axhline(1.0, color="k", lw=1)
        axes.set_xticks([0.25, 1.25], self.arms)
        axes.set(ylabel="time of an update / without clipping", ylim=(0.8, None))
        axes.legend()


EXPERIMENT = Cost()
