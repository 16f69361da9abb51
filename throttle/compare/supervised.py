"""Comparisons of trainings on recorded data, perception and planning: arms x seeds x learning rates.

Their score is the held-out figure of the last validation: of a detector map50, of a segmenter miou, of a planner minus
the loss on routes that it did not learn from. (How planners drive, `throttle evaluate planning` tells.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts import UserError
from contracts.runs import Progress
from perception.config import PerceptionConfig
from planning.config import PlanningConfig
from throttle.compare.config import Design
from throttle.compare.plan import Planned, Setting
from throttle.runs import Run
from throttle.tracking import Tracker, read_metrics


@dataclass
class PerceptionComparison(Design):
    """A comparison of perception trainings."""

    name: str = "compare-perception"
    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    """The training; its clip, seed and name are those of each arm."""

    def base(self) -> PerceptionConfig:
        """The training."""
        return self.perception


@dataclass
class PlanningComparison(Design):
    """A comparison of planning trainings."""

    name: str = "compare-planning"
    planning: PlanningConfig = field(default_factory=PlanningConfig)
    """The training; its clip, seed and name are those of each arm."""

    def base(self) -> PlanningConfig:
        """The training."""
        return self.planning


Config = PerceptionConfig | PlanningConfig


def plan(design: PerceptionComparison | PlanningComparison) -> list[Planned]:
    """All runs, arms of one seed and learning rate together. Raises UserError for a training that the clock ends."""
    base = design.base()
    if base.train.minutes:
        raise UserError("trainings that the clock ends cannot be paired: set train.steps or train.epochs, not minutes")
    rates = design.learning_rates or [base.train.lr]
    kind = "perception" if isinstance(base, PerceptionConfig) else "planning"
    runs = []
    for seed in design.seeds:
        for rate in rates:
            setting = Setting(kind, base.train.optimizer, rate)
            for arm in design.parsed():
                name = f"{setting.slug}-{arm.slug}-seed{seed}" if len(rates) > 1 else f"{arm.slug}-seed{seed}"
                clip = dataclasses.replace(arm.clip, subsystem=base.clip.subsystem, drain_every=base.clip.drain_every)
                train = dataclasses.replace(base.train, lr=rate)
                config = dataclasses.replace(base, name=name, seed=seed, clip=clip, train=train)
                runs.append(Planned(name, arm.name, seed, setting, config))
    return runs


def check(design: PerceptionComparison | PlanningComparison) -> None:
    """Read the dataset once, so that one that is missing or damaged is one line (UserError) before anything trains."""
    base = design.base()
    if isinstance(base, PerceptionConfig):
        from perception.train import load_data

        load_data(base)
    else:
        from sim.recorder.reader import Dataset

        Dataset(base.dataset)


def score_of(config: Config) -> str:
    """The figure that arms are compared by."""
    if isinstance(config, PlanningConfig):
        return "minus held-out loss"
    return "map50" if config.model.detector != "none" else "miou"


def train(
    config: Config, run: Run, tracker: Tracker, progress: Progress, resume: bool, stop: Callable[[], bool]
) -> dict[str, Any]:
    """Train, or go on; what a comparison keeps of the result, with the figures of the last validation."""
    if isinstance(config, PerceptionConfig):
        from perception.train import train as perceive

        result = perceive(config, run, tracker, progress, resume, stop)
    else:
        from planning.train import train as learn

        result = learn(config, run, tracker, progress, resume, stop)
    figures = dict(result.last)
    if result.state == "diverged":
        figures[score_of(config)] = before(config, run.path)
    elif isinstance(config, PlanningConfig):
        figures[score_of(config)] = -figures["loss"]
    found = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    return {**found, "checkpoint": str(result.checkpoint or ""), "origin": result.message, "figures": figures}


def before(config: Config, path: Path) -> float:
    """What a diverged training is worth, what one had before it: no detection at all; a planner's first loss."""
    if isinstance(config, PerceptionConfig):
        return 0.0
    losses = read_metrics(path).get("train/loss", [])
    return -losses[0][1] if losses else float("nan")


def evaluation(config: Config, result: dict[str, Any]) -> dict[str, Any]:
    """As an evaluation file holds it."""
    return {"": {"figures": result["figures"], "metric": score_of(config)}}
