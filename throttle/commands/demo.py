"""The main job, small: record, train perception, planning and control, compare clipped with unclipped, drive, report.

Every stage is the command that you would call yourself and is shown as it is called. What is done is not done again:
stop it or kill it at any moment, and the same command goes on. `--full true` is for a machine with time or a GPU.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from throttle.commands.train_control import find_preset, preset
from throttle.demo.config import STAGES, DemoConfig
from throttle.tracking import TrackingConfig

SMALL, FULL = "configs/demo.yaml", "configs/demo_full.yaml"


def add_arguments(parser: ArgumentParser) -> None:
    """The configuration of throttle/demo/config.py, and where everything goes."""
    parser.add_argument("--config", action="config", help=f"a YAML preset; the default is {SMALL}")
    parser.add_class_arguments(DemoConfig)
    parser.add_argument("--full", type=bool, default=False, help=f"the preset {FULL}: hours, better drivers")
    parser.add_argument("--only", type=list[str], default=[], help=f"stages to do: {', '.join(STAGES)}; all without it")
    parser.add_argument("--folder", type=str, default="", help="name below --runs; default: of the configuration")
    parser.add_argument("--server", type=str, default="", help="host:port of a CARLA server to record and drive on")
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_class_arguments(TrackingConfig, "tracking")


def rewrite(options: list[str]) -> list[str]:
    """Begin with the preset of the demonstration where none is named."""
    if any(word == "--config" or word.startswith("--config=") for word in options):
        return find_preset(options)
    full = any(
        word == "--full=true" or (word == "--full" and following.lower() == "true")
        for word, following in zip(options, [*options[1:], ""])
    )
    return ["--config", preset(FULL if full else SMALL), *options]


def run(arguments: Namespace) -> int:
    """Do the stages; exit code 0, or 130 when stopped (call it again to go on)."""
    from rich.console import Console

    from throttle.demo.pipeline import Stopped
    from throttle.demo.stages import Stages

    config = DemoConfig(**{name: arguments[name] for name in DemoConfig.__dataclass_fields__})
    wanted = arguments.only or list(STAGES)
    unknown = [name for name in wanted if name not in STAGES]
    if unknown:
        raise UserError(f"--only: no stage '{unknown[0]}'; there are {', '.join(STAGES)}")
    console = Console()
    folder = Path(arguments.runs) / (arguments.folder or config.name)
    tracking = arguments.tracking
    options = ["--tracking.wandb", tracking.wandb, "--tracking.project", tracking.project,
               "--tracking.group", tracking.group or folder.name]  # fmt: skip
    stages = Stages(config, folder, options, arguments.server)
    console.print(f"[bold]throttle demo[/] in {folder} (stop it at any moment; the same command goes on)")
    began = time.monotonic()
    try:
        if arguments.only:
            folder.mkdir(parents=True, exist_ok=True)
            _do(stages, config, wanted, console, lambda number, stage: None)
        else:
            _whole(stages, config, console)
    except Stopped:
        console.print("stopped; nothing is lost: the same command goes on from here")
        return 130
    console.print(f"{time.monotonic() - began:.0f} s", highlight=False)
    return 0


def _whole(stages: Any, config: DemoConfig, console: Any) -> None:
    """All stages, with a run of their own that says how far they are."""
    from throttle.runs import Run

    path = stages.folder
    place = Run.resume(path) if (path / "status.json").exists() else Run.create_at(path, "demo", config, len(STAGES))
    state = "failed"
    try:
        _do(stages, config, list(STAGES), console, lambda number, stage: place.note(number, len(STAGES), stage))
        state = "finished"
    except BaseException as error:
        state = "stopped" if type(error).__name__ == "Stopped" or isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        place.finish(state, step=len(STAGES) if state == "finished" else None)


def _do(stages: Any, config: DemoConfig, wanted: list[str], console: Any, note: Any) -> None:
    from throttle.demo.page import write
    from throttle.demo.pipeline import TITLES
    from throttle.demo.pipeline import run as do

    took = do(stages, wanted, console, note)
    if "report" not in wanted:
        return
    lacking = stages.lacking("report")
    if lacking:
        raise UserError(f"the report needs {' and '.join(lacking)} first")
    found = write(config, stages, took)
    console.print(f"[bold]{len(STAGES)} of {len(STAGES)}[/] {TITLES['report']}", highlight=False)
    for stage, part in found.items():
        seconds = f" [dim]({took[stage]:.0f} s)[/]" if stage in took else ""
        console.print(f"  [bold]{stage:<10}[/] {part['text']}{seconds}", highlight=False)
    for name, path in (("report", stages.folder / "report.html"), ("figures", stages.folder / "results.json")):
        console.print(f"{name:<10} {path}", highlight=False, soft_wrap=True)
    stack = stages.stack()
    console.print(f"{'look':<10} throttle sim view --runs {stages.folder.parent}", highlight=False, soft_wrap=True)
    words = f"--perception {stack.perception} --planner {stack.planner} --control {stack.control}"
    again = f"throttle drive {words} --routes 5 --ablation true"
    console.print(f"{'next':<10} {again}    (what each part costs)", highlight=False, soft_wrap=True)
    console.print(f"{'':<10} throttle demo --full true    (hours: better drivers)", highlight=False, soft_wrap=True)
