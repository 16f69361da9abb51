"""Drive routes of towns not trained in with the whole stack: camera and lidar, perception, planning, control, vehicle.

throttle drive                            the expert, to see how it is done
throttle drive --planner idm              true scenes, a lane follower
throttle drive --perception RUN --planner RUN --control RUN --ablation true
throttle drive --server 127.0.0.1:2000 --planner RUN   on a CARLA server that runs

Each part can be a run (its folder, its name, or last) or a word. Writes result.json, report.html and a clip of every
infraction into the run's folder. A route whose server is lost is driven again, or counts as failed; none is dropped.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from sim.roads import check_towns
from throttle.drive.config import DriveConfig
from throttle.runs import Run, find_run
from throttle.tracking import TrackingConfig

KIND = "drive"
SHORT = {
    "driving score lb-2.0": "lb-2.0", "lb-1.0": "lb-1.0", "lb-2.1": "lb-2.1", "bench2drive": "b2d",
    "completed %": "done %", "success": "success", "infractions/km": "bad/km", "m/s": "m/s",
}  # fmt: skip
"""Columns of the table on the terminal."""


def add_arguments(parser: ArgumentParser) -> None:
    """The fields of DriveConfig, and where the run goes."""
    parser.add_argument("--config", action="config", help="a YAML file; options after it override it")
    parser.add_class_arguments(DriveConfig)
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument("--resume", type=str, default="", metavar="RUN", help="go on with a run: its folder, or last")
    parser.add_class_arguments(TrackingConfig, "tracking")


def rewrite(options: list[str]) -> list[str]:
    """Make `--resume RUN` begin with RUN's own configuration."""
    first = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    first.add_argument("--resume", default="")
    first.add_argument("--runs", default="runs")
    known, _ = first.parse_known_args(options)
    if known.resume:
        return ["--config", str(find_run(known.runs, known.resume, KIND) / "config.yaml"), *options]
    return options


def run(arguments: Namespace) -> int:
    """Drive; exit code 0 when all routes are driven, 130 when stopped."""
    from rich.console import Console

    from throttle.drive.parts import find_parts

    config = DriveConfig(**{name: arguments[name] for name in DriveConfig.__dataclass_fields__})
    if not config.server:
        check_towns(config.towns, config.maps)
    console = Console()
    stacks = {name: find_parts(stack, Path(arguments.runs)) for name, stack in config.arms().items()}
    if arguments.resume:
        place = Run.resume(find_run(arguments.runs, arguments.resume, KIND))
        _check_same(place, config)
    else:
        place = Run.create(arguments.runs, config.name, KIND, config)
    return drive_in(place, config, stacks, arguments.tracking, console)


def drive_in(place: Run, config: DriveConfig, stacks: dict[str, Any], tracking: TrackingConfig, console: Any) -> int:
    """Drive in a run's folder and say at the end what came of it."""
    from throttle.drive.benchmark import Benchmark
    from throttle.drive.report import headline, write
    from throttle.progress import Bars
    from throttle.stopping import StopSignal

    console.print(f"[bold]throttle drive[/] in {place.path} (stop it at any moment; --resume goes on)", highlight=False)
    state = "failed"
    try:
        benchmark = Benchmark(config, stacks, place.path)
        with StopSignal() as stop, Bars(console) as bars:

            def show(name: str, completion: float, done: int, total: int) -> None:
                bars.update("routes", done, total, {}, note=f"{name} {100 * completion:.0f}%")
                place.note(done, total)

            whole = benchmark.run(show, stop)
        if not whole:
            state = "stopped"
            console.print(f"stopped; next: throttle drive --resume {shlex.quote(str(place.path))}", soft_wrap=True)
            return 130
        found = write(config, benchmark.results(), place.path)
        _track(place, tracking, config, found)
        console.print(table(found))
        console.print(headline(config, found), style="bold", highlight=False)
        for what, name in (("figures", "result.json"), ("report", "report.html")):
            console.print(f"{what:<8} {place.path / name}", highlight=False, soft_wrap=True)
        state = "finished"
        return 0
    except KeyboardInterrupt:
        state = "stopped"
        raise
    finally:
        done = place.status.total
        place.finish(state, step=done if state == "finished" else None)


def table(found: dict[str, Any]) -> Any:
    """A rich table, a row for each stack."""
    from rich.table import Table

    from throttle.drive.report import COLUMNS

    shown = Table(caption="driving score, versions carla-lb-1.0, 2.0, 2.1, bench2drive; bad/km: infractions a km")
    shown.add_column("stack", no_wrap=True)
    columns = [(title, key, form) for title, key, form in COLUMNS if title in SHORT]
    for title, _, _ in columns:
        shown.add_column(SHORT[title], justify="right")
    for name, arm in found["arms"].items():
        figures = arm["figures"]
        shown.add_row(name, *(form.format(figures[key]) if key in figures else "-" for _, key, form in columns))
    return shown


def _track(place: Run, tracking: TrackingConfig, config: DriveConfig, found: dict[str, Any]) -> None:
    from throttle.tracking import Tracker

    tracker = Tracker(place, tracking, KIND, config)
    tracker.table("drive", [{"stack": name, **arm["figures"]} for name, arm in found["arms"].items()])
    tracker.close()


def _check_same(place: Run, config: DriveConfig) -> None:
    """Raise UserError where a resumed benchmark's options would make it another."""
    import yaml

    from throttle.runs import dump_config

    before = yaml.safe_load((place.path / "config.yaml").read_text(encoding="utf-8"))
    after = yaml.safe_load(dump_config(config))
    free = ("server", "workers", "tries", "maps")
    changed = [key for key in after if before.get(key) != after[key] and key not in free]
    if changed:
        place.finish("stopped")
        raise UserError(
            f"a resumed benchmark keeps its {changed[0]}; only {', '.join(free)} may change (start a new one instead)"
        )
