"""Drive trained planners on routes not trained on, beside the expert, a lane follower with IDM and constant velocity.

throttle evaluate planning last
throttle evaluate planning runs/a runs/b --robustness

Several runs are compared as arms. Writes evaluation.json and videos of the worst routes into each run's folder; with
--robustness also robustness.md and a picture of all of them into the first one's. Open-loop figures are added where the
dataset is there. Driving scores carry the name and version of their metric.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from planning.checks import CHECKS, Check
from planning.evaluate import Course, infractions, together
from throttle.commands.evaluate_control import cell
from throttle.commands.train_planning import KIND, load_config
from throttle.runs import Run, find_run, write_atomic
from throttle.tracking import Tracker, TrackingConfig

if TYPE_CHECKING:
    from planning.config import PlanningConfig
    from planning.evaluate import Outcome, Robustness
    from planning.planner import Planner
    from sim.driving.evaluation import Evaluation
    from throttle.report.perturbed import Perturbed

COLUMNS: tuple[tuple[str, str, str], ...] = (
    # title, key of Evaluation.figures(), format
    ("done %", "completion", "{:.1f}"),
    ("lb-1.0", "driving_score/carla-lb-1.0", "{:.1f}"),
    ("lb-2.0", "driving_score/carla-lb-2.0", "{:.1f}"),
    ("lb-2.1", "driving_score/carla-lb-2.1", "{:.1f}"),
    ("b2d", "driving_score/bench2drive", "{:.1f}"),
    ("success", "success", "{:.0%}"),
    ("bad/km", "infractions_per_km", "{:.2f}"),
    ("m/s", "mean_speed", "{:.1f}"),
)
LEGEND = (
    "done: share of the route; lb-1.0, lb-2.0, lb-2.1, b2d: driving score carla-lb-1.0, carla-lb-2.0, carla-lb-2.1, "
    "bench2drive; bad/km: infractions a km"
)
FIGURE, TITLE = "driving_score", "driving score carla-lb-2.0"
"""What is shown under perturbations."""
LOCAL = "||change of the plan|| / ||change of the scene||"


def add_arguments(parser: ArgumentParser) -> None:
    """RUN... and what to drive."""
    parser.add_argument("run", type=str, nargs="+", help="folders of runs, or last")
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_class_arguments(Course, "course")
    parser.add_argument(
        "--safety", type=list[Check] | None, default=None,
        help=f"checks of the plans that are driven, of {', '.join(CHECKS)}; []: none; default: those of each run",
    )  # fmt: skip
    parser.add_argument("--baselines", type=bool, default=True, help="drive expert and baselines, too")
    parser.add_argument("--videos", type=int, default=2, help="videos of the worst routes of each run")
    parser.add_argument("--dataset", type=str, default="", help="for the open loop; default: the one trained on")
    parser.add_argument("--open_loop", type=int, default=2000, help="recorded scenes of the open loop; 0: none")
    parser.add_argument(
        "--robustness", type=bool, nargs="?", const=True, default=False, help="perturbed Scenes at five severities"
    )
    parser.add_argument(
        "--onnx", type=bool, nargs="?", const=True, default=False, help="also write planner.onnx, checked against torch"
    )
    parser.add_class_arguments(TrackingConfig, "tracking")


def run(arguments: Namespace) -> int:
    """Evaluate and print tables."""
    import numba
    import torch
    from rich.console import Console

    from planning.errors import load_errors
    from planning.planner import BatchDriver, load_planner
    from planning.sight import ErringSight

    torch.set_num_threads(1)
    numba.set_num_threads(1)  # a part of the course is a few worlds: to wake a second thread takes longer
    console, status = Console(), Console(stderr=True)
    course: Course = arguments.course
    if arguments.videos < 0 or arguments.open_loop < 0:
        raise UserError("--videos and --open_loop are numbers from 0 on")
    found = [find_run(arguments.runs, name, KIND) for name in arguments.run]
    learned: dict[str, tuple[Path, Planner]] = {}
    configs: dict[str, PlanningConfig] = {}
    for place in found:
        if not (place / "best.pt").is_file():
            raise UserError(f"{place} has no weights yet (best.pt); let it train to a validation")
        config = load_config(place / "config.yaml")
        if arguments.safety is not None:
            config = dataclasses.replace(config, safety=arguments.safety)
        configs[place.name] = config
        learned[place.name] = place, load_planner(place / "best.pt", config)
    errors = load_errors(course.errors) if course.errors else None
    drivers: dict[str, Any] = {
        name: BatchDriver(planner, None if errors is None else ErringSight(errors, course.seed))
        for name, (_, planner) in learned.items()
    }
    if arguments.baselines:
        from planning.evaluate import baselines

        drivers |= baselines()
    outcomes = _closed_loop(drivers, course, console, status)
    perturbed: list[Perturbed] = []
    for name, (place, planner) in learned.items():
        config = configs[name]
        content: dict[str, Any] = {
            "weights": "best.pt", "safety": list(config.safety),
            "closed_loop": [_as_dict(o) for o in outcomes.values()],
        }  # fmt: skip
        if arguments.open_loop:
            content["open_loop"] = _open_loop(place, planner, arguments, console)
        if arguments.robustness:
            from throttle.report.perturbed import Perturbed, curve_table

            content["robustness"] = _robustness(planner, course, status)
            perturbed.append(Perturbed(name, config.clip, config.train.lr, content["robustness"]))
            console.print(curve_table(perturbed[-1], FIGURE, TITLE, "{:.1f}", LOCAL))
        content["infractions"] = infractions(outcomes[name])
        write_atomic(place / "evaluation.json", json.dumps(content, indent=1))
        console.print(f"{place / 'evaluation.json'}", highlight=False, soft_wrap=True)
        if arguments.onnx:
            from planning.export import export

            difference = export(planner.net, place / "planner.onnx")
            console.print(f"{place / 'planner.onnx'}, differs from torch by {difference:.1e} at most", soft_wrap=True)
        films = _films(place, drivers[name], outcomes[name], course, arguments.videos, console)
        _track(place, outcomes, films, arguments.tracking)
    if perturbed:
        from throttle.report.perturbed import write

        driven = f"{len(together(outcomes[perturbed[0].run]).drives)} {course.split} routes, true Scenes perturbed"
        for path in write(perturbed, found[0], driven, {FIGURE: TITLE}, LOCAL).values():
            console.print(f"{path}", highlight=False, soft_wrap=True)
    return 0


def _closed_loop(drivers: dict[str, Any], course: Course, console: Any, status: Any) -> dict[str, list[Outcome]]:
    from planning.evaluate import drive_course
    from throttle.progress import Bars

    found: dict[str, list[Outcome]] = {}
    with Bars(status) as bars:
        for name, driver in drivers.items():
            found[name] = drive_course(
                name, driver, course, lambda what, done, total: bars.update(what, done, total, {})
            )
    every = {name: together(outcomes) for name, outcomes in found.items()}
    towns, densities = ", ".join(course.towns), ", ".join(f"{d:g}" for d in course.densities)
    count = len(next(iter(every.values())).drives)
    told = "; what is told errs (not for the baselines)" if course.errors else ""
    console.print(table(every, f"{count} {course.split} routes in {towns}; traffic {densities} a km{told}"))
    for part in range(len(course.towns) * len(course.densities)):
        rows = {name: outcomes[part].evaluation for name, outcomes in found.items()}
        first = next(iter(found.values()))[part]
        console.print(table(rows, f"{first.town}, traffic {first.density:g} a km, {course.routes} routes"))
    return found


def _as_dict(outcomes: list[Outcome]) -> dict[str, Any]:
    every = together(outcomes)
    parts = [
        {"town": o.town, "density": o.density, "figures": o.evaluation.figures(),
         "routes": [drive.row() for drive in o.evaluation.drives]}
        for o in outcomes
    ]  # fmt: skip
    return {"planner": every.planner, "figures": every.figures(), "parts": parts}


def _open_loop(place: Path, planner: Planner, arguments: Namespace, console: Any) -> dict[str, Any]:
    from rich.table import Table

    from planning.data import load
    from planning.evaluate import open_loop
    from planning.openloop import SHOWN

    folder = arguments.dataset or load_config(place / "config.yaml").dataset
    try:
        figures = open_loop(planner, load(folder, "test"), arguments.open_loop)
    except UserError as error:
        console.print(f"no open loop: {error}", highlight=False, soft_wrap=True)
        return {}
    shown = Table(title=f"{place.name}: open loop, 4 s, {folder}", caption="path in m, speed in m/s; pdms as NAVSIM")
    shown.add_column("planner", no_wrap=True)
    for column in SHOWN:
        shown.add_column(column.replace("_", " "), justify="right")
    for name, values in figures.items():
        shown.add_row(name, *(f"{values[column]:.3f}" for column in SHOWN))
    console.print(shown)
    return figures


def _robustness(planner: Planner, course: Course, status: Any) -> dict[str, Any]:
    from planning.evaluate import course_scenes, robustness, sensitivity
    from throttle.progress import Bars

    with Bars(status) as bars:
        found: list[Robustness] = robustness(
            planner, course, progress=lambda what, done, total: bars.update(what, done, total, {})
        )
    return {
        "curves": {part.kind: {FIGURE: part.scores} for part in found},
        "area": {part.kind: {FIGURE: part.area} for part in found},
        "sensitivity": sensitivity(planner, course_scenes(planner, course)),
    }


def _films(place: Path, driver: Any, outcomes: list[Outcome], course: Course, count: int, console: Any) -> list[Path]:
    from planning.evaluate import film, worst

    films = []
    for number, (outcome, world) in enumerate(worst(outcomes, count), 1):
        drive = outcome.evaluation.drives[world]
        path = place / f"worst-{number}-{drive.name}.mp4"
        film(path, driver, course, outcome, world)
        console.print(f"{path}", highlight=False, soft_wrap=True)
        films.append(path)
    return films


def _track(place: Path, outcomes: dict[str, list[Outcome]], films: list[Path], tracking: TrackingConfig) -> None:
    tracker = Tracker(Run(place), tracking, KIND, load_config(place / "config.yaml"))
    tracker.table("evaluation", [{"planner": n, **together(o).figures()} for n, o in outcomes.items()])
    for number, path in enumerate(films, 1):
        tracker.video(f"evaluation/worst-{number}", path)
    tracker.close()


def table(rows: dict[str, Evaluation], heading: str) -> Any:
    """A rich table, a row for each planner."""
    from rich.table import Table

    shown = Table(title=heading, caption=LEGEND)
    shown.add_column("planner", no_wrap=True)
    for name, _, _ in COLUMNS:
        shown.add_column(name, justify="right")
    for name, evaluation in rows.items():
        figures = evaluation.figures()
        shown.add_row(name, *(cell(figures[key], form) for _, key, form in COLUMNS))
    return shown
