"""Search a clipping threshold for a planner: strategies x thresholds, each trained on folds of the recorded routes.

    throttle tune planning --planning.dataset datasets/driving --strategies '[global_norm,quantile]' --trials 8

A fold's value is the loss on the routes that it holds out. Each learning rate gets a search of its own, in which the
unclipped training is always tried. Stop it or kill it at any moment: --resume goes on and repeats nothing.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from planning.config import PlanningConfig
from throttle.tuning import supervised

if TYPE_CHECKING:
    from contracts.runs import Progress
    from throttle.runs import Run
    from throttle.tracking import Tracker


@dataclasses.dataclass
class TuneConfig(supervised.SearchConfig):
    """A search, with the training whose clip it chooses."""

    name: str = "tune-planning"
    planning: PlanningConfig = dataclasses.field(default_factory=PlanningConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.planning.dagger.rounds:
            raise UserError("planning.dagger.rounds must be 0 in a search: folds are of recorded routes")


def add_arguments(parser: ArgumentParser) -> None:
    """The search, the training (planning.*), and where everything goes."""
    supervised.add_arguments(parser, TuneConfig)


def rewrite(options: list[str]) -> list[str]:
    """Begin with RUN's own configuration after `--resume RUN`."""
    return supervised.rewrite(options, "planning-tuning")


def trainer(
    settings: PlanningConfig, fold: int, folds: int, run: Run, tracker: Tracker, progress: Progress
) -> tuple[str, float]:
    """Train without one fold's routes; the loss there."""
    from planning.train import folded, train

    result = train(settings, run, tracker, progress, sets=folded(settings, fold, folds))
    return result.state, result.last.get("loss", float("nan"))


def run(arguments: Namespace) -> int:
    """Search, report; exit code 0, or 130 when stopped."""
    from sim.recorder.reader import Dataset

    config = TuneConfig(**{name: arguments[name] for name in TuneConfig.__dataclass_fields__})
    data = config.planning.dataset
    Dataset(data)  # one that is missing ends here, before a folder is made
    following = f"throttle train planning --dataset {data}"
    return supervised.search(arguments, config, "planning", trainer, "held-out loss", False, following)
