"""The search of a subsystem that learns from recorded routes: thresholds at several learning rates, K-fold over routes.

Each learning rate gets a search of its own in a folder `lr-<rate>` of the run, in which the unclipped training is
always tried. The commands tune_perception and tune_planning say what is trained and what figure counts.
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
from typing import Any, Protocol

import numpy as np
from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from clipping import ClipConfig
from contracts import UserError
from contracts.runs import Progress
from throttle.clip_records import read
from throttle.commands.train_control import find_preset
from throttle.progress import ProgressBar
from throttle.report import pictures, rates
from throttle.report.thresholds import words, write
from throttle.runs import Run, find_run
from throttle.stopping import StopSignal
from throttle.tracking import Tracker, TrackingConfig
from throttle.tuning.attempts import Attempt, Search
from throttle.tuning.search import tune
from throttle.tuning.space import ClipSpace

STOPPING = "stopping when the training in hand is over; a second Ctrl-C stops now, and it is trained again on --resume"


@dataclasses.dataclass
class SearchConfig:
    """A search for a threshold."""

    name: str = "tune"
    """The search's folder is runs/<date>-<name>."""
    strategies: list[str] = dataclasses.field(default_factory=lambda: ["global_norm", "quantile"])
    """Ways to clip whose threshold is searched."""
    ranges: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    """Strategy -> [lowest, highest] threshold; where it is not named: throttle/tuning/space.py, RANGES."""
    trials: int = 8
    """Thresholds that are tried at each learning rate, besides no clipping."""
    grid: bool = False
    """All thresholds are spread evenly (on the range's scale) and trained on every fold, so that the curve is whole;
    else half of them, the rest is proposed by TPE, and what is clearly no good is left early."""
    folds: int = 3
    """Parts of the recorded routes; each threshold is trained once without each, until it is clearly no good."""
    rates: list[float] = dataclasses.field(default_factory=list)
    """Learning rates to search at; empty: that of the training."""
    jobs: int = 1
    """Trainings at once."""

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
        return ClipSpace.of(self.strategies, self.ranges)


class Trainer(Protocol):
    """Trains as `settings` say without one of `folds` parts of the routes, in a run's folder.

    Returns (state as training.Result has it, the figure on the routes held out). A module's function, for several jobs.
    """

    def __call__(
        self, settings: Any, fold: int, folds: int, run: Run, tracker: Tracker, progress: Progress
    ) -> tuple[str, float]:
        """Train; the figure of a training that is not finished is not used."""
        ...


class _Quiet:
    def update(self, step: int, total: int, **figures: float) -> None:
        """The search shows its own progress."""


def add_arguments(parser: ArgumentParser, config: type[Any], presets: str = "a YAML preset of the search") -> None:
    """The search (a dataclass, with the training), and where everything goes. presets: help of --config."""
    parser.add_argument("--config", action="config", help=presets)
    parser.add_class_arguments(config)
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument(
        "--resume", type=str, default="", metavar="RUN", help="go on with a search: its folder, or last"
    )
    parser.add_class_arguments(TrackingConfig, "tracking")


def rewrite(options: list[str], kind: str) -> list[str]:
    """Begin with RUN's own configuration after `--resume RUN`."""
    first = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    first.add_argument("--resume", default="")
    first.add_argument("--runs", default="runs")
    known, _ = first.parse_known_args(options)
    if known.resume:
        return ["--config", str(find_run(known.runs, known.resume, kind) / "config.yaml"), *options]
    return find_preset(options)


def objective(
    params: Mapping[str, Any],
    fold: int,
    folder: Path,
    rate: float,
    config: SearchConfig,
    subsystem: str,
    trainer: Trainer,
    tracking: TrackingConfig,
) -> float:
    """Train with one clip without one fold's routes; the figure there, nan where the training diverged."""
    clip = ClipConfig(subsystem=subsystem, **params["clip"])
    if clip.strategy == "none":
        clip.nonfinite = "ignore"
    path = training_of(folder, params, fold)
    shutil.rmtree(path, ignore_errors=True)  # left by a search that was killed within it
    training = getattr(config, subsystem)
    schedule = dataclasses.replace(training.train, lr=rate, validate_every=0, patience=0)
    settings = dataclasses.replace(training, name=path.name, clip=clip, train=schedule, keep=1)
    place = Run.create_at(path, subsystem, settings, settings.train.steps, keep=1)
    tracker = Tracker(place, tracking, subsystem, settings)
    state = "failed"
    try:
        state, value = trainer(settings, fold, config.folds, place, tracker, _Quiet())
    finally:
        tracker.close(failed=state == "failed")
        place.finish(state)
    return value if state == "finished" else math.nan


def training_of(folder: Path, params: Mapping[str, Any], fold: int) -> Path:
    """Where a training of a search lies."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:8]
    return folder / "trainings" / f"{params['clip']['strategy']}-{digest}-fold{fold}"


def clipped_share(folder: Path, attempt: Attempt, subsystem: str) -> float:
    """Share of the updates of an attempt's trainings that were clipped; nan where nothing is there."""
    paths = [training_of(folder, attempt.params, f) / f"clip_{subsystem}.csv" for f in attempt.folds]
    flags = [read(path).columns["clipped"] > 0 for path in paths if path.exists()]
    return float(np.concatenate(flags).mean()) if flags else math.nan


def search(
    arguments: Namespace,
    config: SearchConfig,
    subsystem: str,
    trainer: Trainer,
    score: str,
    maximize: bool,
    following: str,
) -> int:
    """Search at every learning rate and report; exit code 0, or 130 when stopped.

    score: what the figure is, more of it better where `maximize`. following: the command that trains on, without rate
    and clip.
    """
    console, kind = Console(), f"{subsystem}-tuning"
    if arguments.resume:
        place = Run.resume(find_run(arguments.runs, arguments.resume, kind))
    else:
        place = Run.create(arguments.runs, config.name, kind, config)
    tracking = dataclasses.replace(arguments.tracking, group=arguments.tracking.group or place.path.name)
    console.print(f"search {place.path}; stop it at any moment, --resume {place.path} goes on", soft_wrap=True)
    stopped, found = False, {}
    try:
        with StopSignal(say=STOPPING) as stop:
            for rate in config.rates or [getattr(config, subsystem).train.lr]:
                folder = place.path / f"lr-{rate:g}"
                work = functools.partial(
                    objective, folder=folder, rate=rate, config=config, subsystem=subsystem, trainer=trainer,
                    tracking=tracking,
                )  # fmt: skip
                with ProgressBar(f"tune at {rate:g}", console) as bar:
                    found[rate] = tune(
                        work, config.space(), list(range(config.folds)), folder, trials=config.trials,
                        maximize=maximize, resume=(folder / "tuning.db").exists(), progress=bar, jobs=config.jobs,
                        stop=stop, grid=config.grid,
                    )  # fmt: skip
                stopped = stop()
                if stopped:
                    break
    except BaseException as error:
        place.finish("stopped" if isinstance(error, KeyboardInterrupt) else "failed", " ".join(str(error).split()))
        raise
    if stopped:
        place.finish("stopped")
        console.print(f"stopped; next: throttle tune {subsystem} --resume {place.path}", soft_wrap=True)
        return 130
    for rate, one in found.items():
        folder = place.path / f"lr-{rate:g}"
        files = write(one, folder, f"{place.path.name}, learning rate {rate:g}", score)
        console.print(f"learning rate {rate:g}: {words(one, score)}", highlight=False, soft_wrap=True)
        for what, path in files.items():
            console.print(f"{what:<9}{path}", highlight=False, soft_wrap=True)
    shown = {f"learning rate {rate:g}": one for rate, one in found.items()}
    picture = pictures.thresholds(shown, score, place.path / "tuning.png")
    console.print(f"picture  {picture}", highlight=False, soft_wrap=True)
    shares = {
        rate: [clipped_share(place.path / f"lr-{rate:g}", a, subsystem) for a in one.attempts]
        for rate, one in found.items()
    }
    page = rates.write(found, shares, place.path / "tuning.md", place.path.name, score)
    console.print(f"rates    {page}", highlight=False, soft_wrap=True)
    best = max(found, key=lambda rate: _worth(found[rate]))
    options = " ".join(f"--clip.{name} {value}" for name, value in found[best].best.params["clip"].items())
    console.print(f"next     {following} --train.lr {best:g} {options}", soft_wrap=True)
    place.finish("finished")
    return 0


def _worth(found: Search) -> float:
    mean = found.best.mean if found.maximize else -found.best.mean
    return mean if math.isfinite(mean) else -math.inf
