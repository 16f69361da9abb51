"""Search a clipping threshold for a perception network: strategies x thresholds, K-fold over the recorded routes.

    throttle tune perception --perception.data.path datasets/small --perception.train.steps 300 --trials 8

A fold's value is the network's figure (map50, or miou of a segmenter) on the routes that it holds out. Each learning
rate gets a search of its own, in which the unclipped training is always tried. Stop it or kill it at any moment:
--resume goes on and repeats nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from clipping import ClipConfig
from contracts import UserError
from perception.config import PerceptionConfig
from throttle.commands.train_control import find_preset
from throttle.runs import Run, find_run
from throttle.tracking import TrackingConfig
from throttle.tuning import ClipSpace

KIND = "perception-tuning"


@dataclasses.dataclass
class TuneConfig:
    """A search, with the training whose clip it chooses."""

    name: str = "tune-perception"
    """The search's folder is runs/<date>-<name>."""
    strategies: list[str] = dataclasses.field(default_factory=lambda: ["global_norm", "quantile"])
    trials: int = 8
    """Thresholds that are tried at each learning rate, besides no clipping."""
    folds: int = 3
    """Parts of the recorded routes; each threshold is trained once without each, until it is clearly no good."""
    rates: list[float] = dataclasses.field(default_factory=list)
    """Learning rates to search at; empty: that of perception.train."""
    jobs: int = 1
    """Trainings at once."""
    perception: PerceptionConfig = dataclasses.field(default_factory=PerceptionConfig)

    def __post_init__(self) -> None:
        if self.trials < 1 or self.jobs < 1:
            raise UserError("trials and jobs must be at least 1")
        if self.folds < 2:
            raise UserError(f"folds must be at least 2, got {self.folds}")
        if len(set(self.rates)) != len(self.rates) or not all(0 < rate < math.inf for rate in self.rates):
            raise UserError(f"rates must be different learning rates above 0, got {self.rates}")
        self.space()

    def space(self) -> ClipSpace:
        """What is searched."""
        return ClipSpace(tuple(self.strategies))

    def every_rate(self) -> list[float]:
        """The learning rates, at least one."""
        return self.rates or [self.perception.train.lr]


def add_arguments(parser: ArgumentParser) -> None:
    """The search, the training (perception.*), and where everything goes."""
    parser.add_argument("--config", action="config", help="a YAML preset of the search")
    parser.add_class_arguments(TuneConfig)
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument(
        "--resume", type=str, default="", metavar="RUN", help="go on with a search: its folder, or last"
    )
    parser.add_class_arguments(TrackingConfig, "tracking")


def rewrite(options: list[str]) -> list[str]:
    """Begin with RUN's own configuration after `--resume RUN`."""
    first = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    first.add_argument("--resume", default="")
    first.add_argument("--runs", default="runs")
    known, _ = first.parse_known_args(options)
    if known.resume:
        return ["--config", str(find_run(known.runs, known.resume, KIND) / "config.yaml"), *options]
    return find_preset(options)


class _Quiet:
    def update(self, step: int, total: int, **figures: float) -> None:
        """The search shows its own progress."""


def objective(
    params: Mapping[str, Any], fold: int, folder: Path, rate: float, config: TuneConfig, tracking: TrackingConfig
) -> float:
    """Train with one clip without one fold's routes; the figure there, nan where the training diverged."""
    from perception.train import folded, train
    from throttle.tracking import Tracker

    clip = ClipConfig(subsystem="perception", **params["clip"])
    if clip.strategy == "none":
        clip.nonfinite = "ignore"
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:8]
    name = f"{clip.strategy}-{digest}-fold{fold}"
    schedule = dataclasses.replace(config.perception.train, lr=rate, validate_every=0, patience=0)
    settings = dataclasses.replace(config.perception, name=name, clip=clip, train=schedule, keep=1)
    path = folder / "trainings" / name
    shutil.rmtree(path, ignore_errors=True)  # left by a search that was killed within it
    place = Run.create_at(path, "perception", settings, settings.train.steps, keep=1)
    tracker = Tracker(place, tracking, "perception", settings)
    state = "failed"
    try:
        result = train(settings, place, tracker, _Quiet(), data=folded(settings, fold, config.folds))
        state = result.state
    finally:
        tracker.close(failed=state == "failed")
        place.finish(state)
    return result.last[score_of(config)] if state == "finished" else math.nan


def score_of(config: TuneConfig) -> str:
    """The figure that is searched for."""
    return "map50" if config.perception.model.detector != "none" else "miou"


def run(arguments: Namespace) -> int:
    """Search, report; exit code 0, or 130 when stopped."""
    from rich.console import Console

    from perception.train import folded
    from throttle.progress import ProgressBar
    from throttle.report.thresholds import words, write
    from throttle.stopping import StopSignal
    from throttle.tuning import tune

    config = TuneConfig(**{name: arguments[name] for name in TuneConfig.__dataclass_fields__})
    console = Console()
    folded(config.perception, 0, config.folds)  # a dataset that is missing or too small ends here
    if arguments.resume:
        place = Run.resume(find_run(arguments.runs, arguments.resume, KIND))
    else:
        place = Run.create(arguments.runs, config.name, KIND, config)
    tracking = dataclasses.replace(arguments.tracking, group=arguments.tracking.group or place.path.name)
    console.print(f"search {place.path}; stop it at any moment, --resume {place.path} goes on", soft_wrap=True)
    score, stopped = f"held-out {score_of(config)}", False
    found = {}
    try:
        with StopSignal() as stop:
            for rate in config.every_rate():
                folder = place.path / f"lr-{rate:g}"
                work = functools.partial(objective, folder=folder, rate=rate, config=config, tracking=tracking)
                with ProgressBar(f"tune at {rate:g}", console) as bar:
                    found[rate] = tune(
                        work, config.space(), list(range(config.folds)), folder, trials=config.trials,
                        resume=(folder / "tuning.db").exists(), progress=bar, jobs=config.jobs, stop=stop,
                    )  # fmt: skip
                stopped = stop()
                if stopped:
                    break
    except BaseException as error:
        place.finish("stopped" if isinstance(error, KeyboardInterrupt) else "failed", " ".join(str(error).split()))
        raise
    if stopped:
        place.finish("stopped")
        console.print(f"stopped; next: throttle tune perception --resume {place.path}", soft_wrap=True)
        return 130
    for rate, search in found.items():
        folder = place.path / f"lr-{rate:g}"
        files = write(search, folder, f"{place.path.name}, learning rate {rate:g}", score)
        console.print(f"learning rate {rate:g}: {words(search, score)}", highlight=False, soft_wrap=True)
        for what, path in files.items():
            console.print(f"{what:<9}{path}", highlight=False, soft_wrap=True)
    best = max(found, key=lambda rate: _value(found[rate].best.mean))
    options = " ".join(f"--clip.{name} {value}" for name, value in found[best].best.params["clip"].items())
    data = config.perception.data.path
    console.print(
        f"next     throttle train perception --data.path {data} --train.lr {best:g} {options}", soft_wrap=True
    )
    place.finish("finished")
    return 0


def _value(mean: float) -> float:
    return mean if math.isfinite(mean) else -math.inf
