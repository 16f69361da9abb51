"""Search a clipping threshold for a perception network: strategies x thresholds, K-fold over the recorded routes.

    throttle tune perception --perception.data.path datasets/small --perception.train.steps 300 --trials 8

A fold's value is the network's figure (map50, or miou of a segmenter) on the routes that it holds out. Each learning
rate gets a search of its own, in which the unclipped training is always tried. Stop it or kill it at any moment:
--resume goes on and repeats nothing.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from perception.config import PerceptionConfig
from throttle.tuning import supervised

if TYPE_CHECKING:
    from contracts.runs import Progress
    from throttle.runs import Run
    from throttle.tracking import Tracker


@dataclasses.dataclass
class TuneConfig(supervised.SearchConfig):
    """A search, with the training whose clip it chooses."""

    name: str = "tune-perception"
    perception: PerceptionConfig = dataclasses.field(default_factory=PerceptionConfig)


def add_arguments(parser: ArgumentParser) -> None:
    """The search, the training (perception.*), and where everything goes."""
    supervised.add_arguments(parser, TuneConfig)


def rewrite(options: list[str]) -> list[str]:
    """Begin with RUN's own configuration after `--resume RUN`."""
    return supervised.rewrite(options, "perception-tuning")


def score_of(config: PerceptionConfig) -> str:
    """The figure that is searched for."""
    return "map50" if config.model.detector != "none" else "miou"


def trainer(
    settings: PerceptionConfig, fold: int, folds: int, run: Run, tracker: Tracker, progress: Progress
) -> tuple[str, float]:
    """Train without one fold's routes; the figure there."""
    from perception.train import folded, train

    result = train(settings, run, tracker, progress, data=folded(settings, fold, folds))
    return result.state, result.last.get(score_of(settings), float("nan"))


def run(arguments: Namespace) -> int:
    """Search, report; exit code 0, or 130 when stopped."""
    from perception.train import folded

    config = TuneConfig(**{name: arguments[name] for name in TuneConfig.__dataclass_fields__})
    folded(config.perception, 0, config.folds)  # a dataset that is missing or too small ends here
    following = f"throttle train perception --data.path {config.perception.data.path}"
    score = f"held-out {score_of(config.perception)}"
    return supervised.search(arguments, config, "perception", trainer, score, True, following)
