"""Train a planner on recorded driving, every optimiser step through the shared gradient clipper.

Presets lie in configs/planning/; any option can be changed after them:
throttle train planning --config configs/planning/default.yaml --dataset datasets/driving --dagger.rounds 2
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from planning.config import PlanningConfig
from throttle.commands.clip_options import own_numbers
from throttle.commands.train_control import find_preset
from throttle.runs import Run, dump_config, find_run
from throttle.tracking import TrackingConfig

if TYPE_CHECKING:
    from training import Result

KIND = "planning"
FREE = ("train.log_every", "train.checkpoint_every", "train.threads", "train.workers", "keep")
"""What may change when a run is resumed."""
EXIT = {"finished": 0, "diverged": 3, "stopped": 130}


def add_arguments(parser: ArgumentParser) -> None:
    """The configuration of planning/config.py, and where the run goes."""
    parser.add_argument("--config", action="config", help="a YAML preset; options after it override it")
    parser.add_class_arguments(PlanningConfig)
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument("--resume", type=str, default="", metavar="RUN", help="go on with a run: its folder, or last")
    parser.add_class_arguments(TrackingConfig, "tracking")


def rewrite(options: list[str]) -> list[str]:
    """Make `--resume RUN` begin with RUN's own configuration, and let presets be named from anywhere."""
    first = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    first.add_argument("--resume", default="")
    first.add_argument("--runs", default="runs")
    known, _ = first.parse_known_args(options)
    if known.resume:
        return ["--config", str(find_run(known.runs, known.resume, KIND) / "config.yaml"), *options]
    return own_numbers(find_preset(options))


def config_of(arguments: Namespace) -> PlanningConfig:
    """The part of the arguments that is the training's configuration."""
    return PlanningConfig(**{name: arguments[name] for name in PlanningConfig.__dataclass_fields__})


def load_config(path: Path) -> PlanningConfig:
    """The configuration saved with a run; raises UserError where it cannot be read."""
    from jsonargparse import ArgumentError

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PlanningConfig)
    try:
        return config_of(parser.instantiate(parser.parse_path(str(path))))
    except (ArgumentError, OSError, TypeError) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None


def run(arguments: Namespace) -> int:
    """Train; exit code 0 finished, 3 diverged, 130 stopped by the user."""
    from rich.console import Console

    from sim.recorder.reader import Dataset

    config = config_of(arguments)
    console = Console(stderr=True)
    Dataset(config.dataset)  # one that is missing ends here, before a folder is made
    if arguments.resume:
        place = Run.resume(find_run(arguments.runs, arguments.resume, KIND), keep=config.keep)
        _check_same(place, config)
    else:
        place = Run.create(arguments.runs, config.name, KIND, config, config.train.steps, config.keep)
    console.print(f"run {place.path}", highlight=False)
    state = train_in(place, config, arguments.tracking, bool(arguments.resume), console)
    return EXIT[state]


def train_in(place: Run, config: PlanningConfig, tracking: TrackingConfig, resume: bool, console: Any) -> str:
    """Train in a run's folder and say at the end where everything lies; returns finished, diverged or stopped."""
    from planning.train import train
    from throttle.progress import ProgressBar
    from throttle.stopping import StopSignal
    from throttle.tracking import Tracker

    tracker = Tracker(place, tracking, KIND, config)
    state = "failed"
    try:
        with StopSignal() as stop, ProgressBar(f"train {config.name}", console) as bar:
            result = train(config, place, tracker, bar, resume, stop)
        state = result.state
        if (place.path / "best.pt").exists():
            tracker.artifact(f"{place.path.name}-planner", place.path / "best.pt", "model")
        place.finish(state, result.message, result.step)
    except BaseException as error:
        place.finish("stopped" if isinstance(error, KeyboardInterrupt) else "failed", repr(error))
        raise
    finally:
        tracker.close(failed=state == "failed")
    _say(place, result, console)
    return state


def _say(place: Run, result: Result, console: Any) -> None:
    if result.clipping:
        console.print(result.clipping, highlight=False)
    if result.last:
        shown = "  ".join(f"{name} {value:.3g}" for name, value in result.last.items())
        console.print(f"validation: {shown}", highlight=False)
    console.print(
        f"{result.state} at step {result.step:,}, waited {100 * result.wait_share:.0f}% of the time for data "
        f"{result.message}".rstrip(),
        highlight=False,
    )
    console.print(f"weights {result.initial_weights} -> {result.final_weights}, {result.checkpoint}", highlight=False)
    folder = shlex.quote(str(place.path))
    stopped = result.state == "stopped"
    following = f"throttle train planning --resume {folder}" if stopped else f"throttle evaluate planning {folder}"
    console.print(f"next: {following}", highlight=False, soft_wrap=True)


def _check_same(place: Run, config: PlanningConfig) -> None:
    """Raise UserError where a resumed run's options would make it another run, or it is done."""
    try:
        before = yaml.safe_load((place.path / "config.yaml").read_text(encoding="utf-8"))
        after = yaml.safe_load(dump_config(config))
        changed = [key for key in _differences(before, after) if key not in FREE]
        if changed:
            raise UserError(
                f"a resumed run keeps its {changed[0]}; only {', '.join(FREE)} may change (start a new run instead)"
            )
    except UserError:
        place.finish("stopped")
        raise


def _differences(before: Any, after: Any, prefix: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            d for key in {**before, **after} for d in _differences(before.get(key), after.get(key), f"{prefix}{key}.")
        ]
    return [] if before == after else [prefix[:-1]]
