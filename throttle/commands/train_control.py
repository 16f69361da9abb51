"""Train a driving policy with Stable-Baselines3, every optimiser step through the shared gradient clipper.

Presets lie in configs/control/; any option can be changed after them:
throttle train control --config configs/control/urban_ppo.yaml --ppo.n_steps 64 --clip.threshold 1.0
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from control.config import ControlConfig
from throttle.commands.clip_options import own_numbers
from throttle.runs import Run, dump_config, find_run
from throttle.tracking import TrackingConfig

KIND = "control"
FREE = ("total_steps", "checkpoint_every", "keep", "torch_threads", "numba_threads")
"""What may change when a run is resumed."""
EXIT = {"finished": 0, "diverged": 3, "stopped": 130}
PRESETS = Path(__file__).parents[2] / "configs"


def add_arguments(parser: ArgumentParser) -> None:
    """The configuration of control/config.py, and where the run goes."""
    parser.add_argument("--config", action="config", help="a YAML preset; options after it override it")
    parser.add_class_arguments(ControlConfig)
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


def find_preset(options: list[str]) -> list[str]:
    """The options with the path of each `--config`."""
    return [preset(word) if before == "--config" else word for before, word in zip(["", *options], options)]


def preset(name: str) -> str:
    """A preset's path; where there is no such file here, that of the preset that ships with the program."""
    shipped = PRESETS / name.removeprefix("configs/")
    return str(shipped) if not Path(name).exists() and shipped.is_file() else name


def config_of(arguments: Namespace) -> ControlConfig:
    """The part of the arguments that is the training's configuration."""
    return ControlConfig(**{name: arguments[name] for name in ControlConfig.__dataclass_fields__})


def run(arguments: Namespace) -> int:
    """Train; exit code 0 finished, 3 diverged, 130 stopped by the user."""
    from rich.console import Console

    config = config_of(arguments)
    console = Console(stderr=True)
    if arguments.resume:
        place = Run.resume(find_run(arguments.runs, arguments.resume, KIND), keep=config.keep)
        _check_same(place, config)
    else:
        from control.env import make_env
        from control.model import check_actions

        env = make_env(config.env, config.seed, worlds=1)  # a bad id or argument ends here, before a folder is made
        check_actions(config, env)
        env.close()
        place = Run.create(arguments.runs, config.name, KIND, config, config.total_steps, config.keep)
    console.print(f"run {place.path}", highlight=False)
    state = train_in(place, config, arguments.tracking, bool(arguments.resume), console)
    return EXIT[state]


def train_in(place: Run, config: ControlConfig, tracking: TrackingConfig, resume: bool, console: Any) -> str:
    """Train in a run's folder and say at the end where everything lies; returns finished, diverged or stopped."""
    from control.train import train
    from throttle.progress import ProgressBar
    from throttle.stopping import StopSignal
    from throttle.tracking import Tracker

    tracker = Tracker(place, tracking, KIND, config)
    state = "failed"
    try:
        with StopSignal() as stop, ProgressBar(f"train {config.name}", console) as bar:
            result = train(config, place, tracker, bar, resume, stop)
        state = result.state
        if result.checkpoint is not None:
            tracker.artifact(f"{place.path.name}-policy", result.checkpoint / "model.zip", "model")
        place.finish(state, result.message, result.step)
    except BaseException as error:
        place.finish("stopped" if isinstance(error, KeyboardInterrupt) else "failed", repr(error))
        raise
    finally:
        tracker.close(failed=state == "failed")
    for text in result.clipping.values():
        console.print(text, highlight=False)
    folder = shlex.quote(str(place.path))
    console.print(f"{state} at step {result.step:,} {result.message}".rstrip(), highlight=False)
    console.print(f"weights {result.initial_weights} -> {result.final_weights}, {result.checkpoint}", highlight=False)
    following = (
        f"throttle train control --resume {folder}" if state == "stopped" else f"throttle evaluate control {folder}"
    )
    console.print(f"next: {following}", highlight=False, soft_wrap=True)
    return state


def _check_same(place: Run, config: ControlConfig) -> None:
    """Raise UserError where a resumed run's options would make it another run."""
    try:
        before = yaml.safe_load((place.path / "config.yaml").read_text(encoding="utf-8"))
        after = yaml.safe_load(dump_config(config))
        changed = [key for key in _differences(before, after) if key not in FREE]
        if changed:
            raise UserError(
                f"a resumed run keeps its {changed[0]}; only {', '.join(FREE)} may change (start a new run instead)"
            )
        if place.status.step >= config.total_steps:
            raise UserError(f"{place.path} has its {config.total_steps:,} steps; a larger --total_steps goes on")
    except UserError:
        place.finish("finished" if place.status.step >= place.status.total else "stopped")
        raise


def _differences(before: Any, after: Any, prefix: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            d for key in {**before, **after} for d in _differences(before.get(key), after.get(key), f"{prefix}{key}.")
        ]
    return [] if before == after else [prefix[:-1]]
