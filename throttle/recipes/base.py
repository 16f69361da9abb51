"""A recipe: a small network and its data, trained with and without a clip at its own learning rate and above."""

from __future__ import annotations

import math
import statistics
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from throttle.experiments.base import Experiment, Results, Trial, short
from throttle.experiments.training import attach, make_optimizer, seen, stops_when_diverged

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Task:
    """What a recipe learns, for one seed. The first axis of every tensor counts samples."""

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    train: tuple[Tensor, Tensor]
    """Inputs and targets."""
    error: Callable[[nn.Module, float], float]
    """error(model, sigma): error on held-out data with Gaussian input noise of that deviation; lower is better."""


@dataclass(frozen=True)
class Recipe(Experiment):
    """Arms: clip x multiple of the recipe's own learning rate."""

    seeds: ClassVar[int] = 5
    columns: ClassVar[tuple[str, ...]] = ("error", "noisy_error", "loss", "epochs_to_goal", "time", "clipped")
    error_name: ClassVar[str] = "error"
    lost_words: ClassVar[dict[str, str]] = {"epochs_to_goal": "not reached"}

    optimizer: str
    rate: float
    clips: tuple[str, ...]
    epochs: int
    batch: int
    goal: float
    """Training loss that counts as converged."""
    factors: tuple[float, ...] = (1.0, 10.0, 100.0)
    noises: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    timed_steps: int = 30

    @abstractmethod
    def task(self, seed: int) -> Task:
        """Data and a fresh network; the same for every arm of a seed."""

    @property
    def all_clips(self) -> tuple[str, ...]:
        return ("none", *self.clips)

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self._arm(clip, factor) for factor in self.factors for clip in self.all_clips)

    def _arm(self, clip: str, factor: float) -> str:
        return f"lr {self.rate * factor:g}, {clip}"

    def trial(self, arm: str, seed: int) -> Trial:
        rate, clip = arm.removeprefix("lr ").split(", ")
        task = self.task(seed)
        optimizer = make_optimizer(self.optimizer, task.model.parameters(), float(rate))
        clipper = attach(clip, optimizer)
        curve: list[float] = []
        order = torch.Generator().manual_seed(seed)
        with stops_when_diverged():
            for _ in range(self.epochs):
                curve.append(self._epoch(task, optimizer, order))
                if not math.isfinite(curve[-1]):
                    break
        reached = [i + 1 for i, loss in enumerate(curve) if loss <= self.goal]
        whole = len(curve) == self.epochs and math.isfinite(curve[-1])
        task.model.eval()
        errors = [task.error(task.model, sigma) for sigma in self.noises]
        return {
            "loss": curve[-1] if whole else math.inf,
            "epochs_to_goal": reached[0] if reached else math.inf,
            "error": errors[0],
            "noisy_error": errors[-1],
            "errors": errors,
            "curve": curve,
            "time": self._time_ratio(clip, seed),
            **seen(clipper),
        }

    def _epoch(self, task: Task, optimizer: torch.optim.Optimizer, order: torch.Generator) -> float:
        """One pass over the training data; returns its mean loss."""
        x, y = task.train
        total = 0.0
        for rows in torch.randperm(len(x), generator=order).split(self.batch):
            optimizer.zero_grad()
            loss = task.loss(task.model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        return total / len(x)

    def _time_ratio(self, clip: str, seed: int) -> float:
        """The fastest clipped update over the fastest without any clipper, taken alternately at a learning rate of 0.

        The fastest, since trials run beside one another; at rest, since numbers that vanish take longer to compute.
        """
        if clip == "none" or self.timed_steps == 0:
            return 1.0
        taken: tuple[list[float], list[float]] = ([], [])
        steps = []
        for name in ("", clip):
            task = self.task(seed)
            optimizer = make_optimizer(self.optimizer, task.model.parameters(), 0.0)
            if name:
                attach(name, optimizer)
            steps.append((task, optimizer))
        for turn in range(self.timed_steps + 3):
            for which, (task, optimizer) in enumerate(steps):
                x, y = task.train[0][: self.batch], task.train[1][: self.batch]
                start = time.perf_counter()
                optimizer.zero_grad()
                task.loss(task.model(x), y).backward()
                optimizer.step()
                if turn >= 3:
                    taken[which].append(time.perf_counter() - start)
        return min(taken[1]) / min(taken[0])

    def sentence(self, results: Results) -> str:
        rows = []
        for factor in self.factors:
            bare = self._arm("none", factor)
            parts = []
            for clip in self.clips:
                arm = self._arm(clip, factor)
                better, worse = results.wins(arm, bare, "error"), results.wins(bare, arm, "error")
                parts.append(
                    f"{clip} {short(results.median(arm, 'error').middle)} (better in {better}, worse in {worse} of "
                    f"{len(results.seeds)} seeds; {100 * results.median(arm, 'clipped').middle:.0f}% of steps "
                    "clipped; under "
                    f"noise {short(results.median(bare, 'noisy_error').middle)} -> "
                    f"{short(results.median(arm, 'noisy_error').middle)})"
                )
            rows.append(
                f"lr {self.rate * factor:g}: none {short(results.median(bare, 'error').middle)}, {', '.join(parts)}"
            )
        clean = {c: [v for f in self.factors for v in results.values(self._arm(c, f), "time")] for c in self.clips}
        times = ", ".join(f"{c} {short(statistics.median(v))}" for c, v in clean.items())
        own, lost = self.factors[0], [a for a in self.arms if results.median(a, "loss").diverged]
        speeds = ", ".join(f"{c} {self.cell(results, self._arm(c, own), 'epochs_to_goal')}" for c in self.all_clips)
        return (
            f"{self.error_name}, median: {'. '.join(rows)}. Epochs to a loss of {self.goal:g} at its own rate: "
            f"{speeds}. "
            f"Fastest update against no clipper: {times}. Arms with a diverged run: {'; '.join(lost) or 'none'}."
        )

    def plot(self, results: Results, figure: Figure) -> None:
        left, middle, right = figure.subplots(1, 3)
        rates = [self.rate * f for f in self.factors]
        for number, clip in enumerate(self.all_clips):
            m = [results.median(self._arm(clip, f), "error") for f in self.factors]
            left.plot(rates, [v.middle for v in m], "o-", color=f"C{number}", label=clip)
            left.fill_between(rates, [v.low for v in m], [v.high for v in m], color=f"C{number}", alpha=0.15)
            curves = [
                [v if math.isfinite(v) else math.nan for v in c] for c in results.values(self._arm(clip, 1.0), "curve")
            ]
            for seed, curve in enumerate(curves):
                middle.plot(range(1, len(curve) + 1), curve, color=f"C{number}", lw=0.8, label=None if seed else clip)
            errors = zip(*results.values(self._arm(clip, 1.0), "errors"))
            right.plot(self.noises, [statistics.median(e) for e in errors], "o-", color=f"C{number}", label=clip)
        left.set(xscale="log", xlabel="learning rate", ylabel=self.error_name)
        middle.set(yscale="log", xlabel="epoch", ylabel="training loss", title=f"lr {self.rate:g}")
        right.set(xlabel="input noise (deviation)", ylabel=self.error_name, title=f"lr {self.rate:g}")
        left.legend(fontsize=7)


def planes(pictures: npt.NDArray[np.uint8]) -> Tensor:
    """Pictures [n, H, W, 3] as float32 [n, 3, H, W] in 0..1."""
    return torch.from_numpy(pictures).float().permute(0, 3, 1, 2).contiguous() / 255


def some(count: int, wanted: int, seed: int) -> npt.NDArray[np.int64]:
    """The rows that a seed trains on: `wanted` of `count`, each at most once."""
    return np.random.default_rng(seed).permutation(count)[:wanted]


def wrong_share(x: Tensor, y: Tensor, seed: int) -> Callable[[nn.Module, float], float]:
    """Share of samples that a classifier gets wrong (non-finite outputs too); all arms of a seed get the same noise."""

    def error(model: nn.Module, sigma: float) -> float:
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(10_000 + seed))
        with torch.no_grad():
            logits = model(x + sigma * noise)
        right = (logits.argmax(1) == y) & logits.isfinite().all(1)
        return 1.0 - float(right.float().mean())

    return error
