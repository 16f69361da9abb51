"""Search a clipping threshold for a planner: strategies x thresholds, each trained on folds of the recorded routes.

    throttle tune planning --planning.dataset datasets/driving --strategies [global_norm,quantile] --trials 8

A fold's value is the loss on the routes that it holds out. The unclipped training is always tried too. Stop it or kill
it at any moment: --resume goes on and repeats nothing.
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
from planning.config import PlanningConfig
from throttle.commands.train_control import find_preset
from throttle.runs import Run, find_run
from throttle.tracking import TrackingConfig
from throttle.tuning import ClipSpace

KIND = "planning-tuning"
SCORE = "held-out loss"


@dataclasses.dataclass
class TuneConfig:
    """A search, with the training whose clip it chooses."""

    name: str = "tune-planning"
    """The search's folder is runs/<date>-<name>."""
    strategies: list[str] = dataclasses.field(default_factory=lambda: ["global_norm", "quantile"])
    trials: int = 8
    """Thresholds that are tried, besides no clipping."""
    folds: int = 3
    """Parts of the recorded routes; each threshold is trained once without each, until it is clearly no good."""
    jobs: int = 1
    """Trainings at once."""
    planning: PlanningConfig = dataclasses.field(default_factory=PlanningConfig)

    def __post_init__(self) -> None:
        if self.trials < 1 or self.jobs < 1:
            raise UserError("trials and jobs must be at least 1")
        if self.folds < 2:
            raise UserError(f"folds must be at least 2, got {self.folds}")
        if self.planning.dagger.rounds:
            raise UserError("planning.dagger.rounds must be 0 in a search: folds are of recorded routes")
        self.space()

    def space(self) -> ClipSpace:
        """What is searched."""
        return ClipSpace(tuple(self.strategies))


def add_arguments(parser: ArgumentParser) -> None:
    """The search, the training (planning.*), and where everything goes."""
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
    params: Mapping[str, Any], fold: int, folder: Path, config: TuneConfig, tracking: TrackingConfig
) -> float:
    """Train with one clip without one fold's routes; the loss there, nan where the training diverged."""
    from planning.train import folded, train
    from throttle.tracking import Tracker

    clip = ClipConfig(subsystem="planning", **params["clip"])
    if clip.strategy == "none":
        clip.nonfinite = "ignore"
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:8]
    name = f"{clip.strategy}-{digest}-fold{fold}"
    settings = dataclasses.replace(config.planning, name=name, clip=clip)
    path = folder / "trainings" / name
    shutil.rmtree(path, ignore_errors=True)  # left by a search that was killed within it
    place = Run.create_at(path, "planning", settings, settings.train.steps, keep=1)
    tracker = Tracker(place, tracking, "planning", settings)
    state = "failed"
    try:
        result = train(settings, place, tracker, _Quiet(), sets=folded(settings, fold, config.folds))
        state = result.state
    finally:
        tracker.close(failed=state == "failed")
        place.finish(state)
    return result.last["loss"] if state == "finished" else math.nan


def run(arguments: Namespace) -> int:
    """Search, report; exit code 0, or 130 when stopped."""
    from rich.console import Console

    from sim.recorder.reader import Dataset
    from throttle.progress import ProgressBar
    from throttle.report.thresholds import words, write
    from throttle.stopping import StopSignal
    from throttle.tuning import tune

    config = TuneConfig(**{name: arguments[name] for name in TuneConfig.__dataclass_fields__})
    console = Console()
    Dataset(config.planning.dataset)  # one that is missing ends here, before a folder is made
    if arguments.resume:
        place = Run.resume(find_run(arguments.runs, arguments.resume, KIND))
    else:
        place = Run.create(arguments.runs, config.name, KIND, config)
    tracking = dataclasses.replace(arguments.tracking, group=arguments.tracking.group or place.path.name)
    console.print(f"search {place.path}; stop it at any moment, --resume {place.path} goes on", soft_wrap=True)
    work = functools.partial(objective, folder=place.path, config=config, tracking=tracking)
    try:
        with StopSignal() as stop, ProgressBar("tune", console) as bar:
            found = tune(
                work, config.space(), list(range(config.folds)), place.path, trials=config.trials, maximize=False,
                resume=bool(arguments.resume), progress=bar, jobs=config.jobs, stop=stop,
            )  # fmt: skip
            stopped = stop()
    except BaseException as error:
        place.finish("stopped" if isinstance(error, KeyboardInterrupt) else "failed", " ".join(str(error).split()))
        raise
    if stopped:
        place.finish("stopped")
        console.print(f"stopped; next: throttle tune planning --resume {place.path}", soft_wrap=True)
        return 130
    files = write(found, place.path, place.path.name, SCORE)
    console.print(words(found, SCORE), highlight=False, style="bold", soft_wrap=True)
    for what, path in files.items():
        console.print(f"{what:<9}{path}", highlight=False, soft_wrap=True)
    clip = found.best.params["clip"]
    options = " ".join(f"--clip.{name} {value}" for name, value in clip.items())
    console.print(f"next     throttle train planning --dataset {config.planning.dataset} {options}", soft_wrap=True)
    place.finish("finished")
    return 0
