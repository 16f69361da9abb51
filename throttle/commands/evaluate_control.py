"""Evaluate a trained driving policy on routes not trained on, beside an untrained one and a constant action.

Writes evaluation.json and a video into the run's folder. Driving scores carry the name and version of their metric;
an episode ends at the first collision or red light, as in training.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from control.config import ControlConfig
from throttle.runs import Run, find_run, latest_checkpoint, write_atomic
from throttle.tracking import Tracker, TrackingConfig

if TYPE_CHECKING:
    from control.evaluate import Evaluation

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
    ("return", "return", "{:.1f}"),
)
LEGEND = (
    "done: share of the route; lb-1.0, lb-2.0, lb-2.1, b2d: driving score carla-lb-1.0, carla-lb-2.0, carla-lb-2.1, "
    "bench2drive; bad/km: infractions a km"
)


def add_arguments(parser: ArgumentParser) -> None:
    """RUN and how much to drive."""
    parser.add_argument("run", type=str, help="the run's folder, or last")
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument("--episodes", type=int, default=64, help="episodes in each town")
    parser.add_argument("--towns", type=list[str], default=[], help="towns to drive in; default: the one trained in")
    parser.add_argument(
        "--seed", type=int, default=0, help="first of the evaluation's seeds, none of them trained with"
    )
    parser.add_argument("--video", type=bool, default=True, help="record the first routes")
    parser.add_class_arguments(TrackingConfig, "tracking")


def run(arguments: Namespace) -> int:
    """Evaluate and print a table."""
    from rich.console import Console

    if not 1 <= arguments.episodes <= 100_000:
        raise UserError(f"--episodes must be from 1 to 100000, got {arguments.episodes}")
    if not 0 <= arguments.seed < 1 << 20:
        raise UserError(f"--seed must be from 0 to {(1 << 20) - 1}, got {arguments.seed}")
    place = find_run(arguments.runs, arguments.run, "control")
    config = load_config(place / "config.yaml")
    checkpoint = latest_checkpoint(place)
    if checkpoint is None:
        raise UserError(f"{place} has no checkpoint yet")
    console = Console()
    console.print(f"{checkpoint}", highlight=False, soft_wrap=True)
    places: list[dict[str, Any]] = [{"town": town} for town in arguments.towns] or [{}]
    results = evaluate_all(checkpoint, config, arguments.episodes, arguments.seed, places)
    for changes, rows in results:
        console.print(table(rows, title(config, changes, arguments.episodes)))
    content = [{**changes, "policies": [e.as_dict() for e in rows]} for changes, rows in results]
    write_atomic(place / "evaluation.json", json.dumps({"checkpoint": checkpoint.name, "results": content}, indent=1))
    console.print(f"{place / 'evaluation.json'}", highlight=False, soft_wrap=True)
    film = place / "evaluation.mp4"
    if arguments.video:
        from control.evaluate import load_learned
        from control.video import write

        write(film, {"trained": load_learned(checkpoint, config)}, config.env, **places[0])
        if film.exists():
            console.print(f"{film}", highlight=False, soft_wrap=True)
    tracker = Tracker(Run(place), arguments.tracking, "control", config)
    towns = [changes.get("town", "") for changes, _ in results]
    tracker.table(
        "evaluation",
        [{"town": t, "policy": e.policy, **e.figures()} for t, (_, part) in zip(towns, results) for e in part],
    )
    if arguments.video and film.exists():
        tracker.video("evaluation/video", film)
    tracker.close()
    return 0


def evaluate_all(
    checkpoint: Path, config: ControlConfig, episodes: int, seed: int, places: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], list[Evaluation]]]:
    """For each place (changes to the environment's arguments) the trained policy and the baselines."""
    from control.evaluate import best_constant, evaluate, load_learned, untrained
    from control.model import set_threads

    set_threads(config)
    results = []
    for changes in places:
        policy, prepare = load_learned(checkpoint, config)
        options: dict[str, Any] = {"episodes": episodes, "seed": seed, "prepare": prepare, **changes}
        rows = [
            evaluate("trained", policy, config.env, **options),
            evaluate("untrained", untrained(config), config.env, **options),
            best_constant(config.env, **options),
        ]
        results.append((changes, rows))
    return results


def load_config(path: Path) -> ControlConfig:
    """The configuration saved with a run; raises UserError where it cannot be read."""
    from jsonargparse import ArgumentError

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ControlConfig)
    try:
        values = parser.instantiate(parser.parse_path(str(path)))
    except (ArgumentError, OSError, TypeError) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None
    return ControlConfig(**{name: values[name] for name in ControlConfig.__dataclass_fields__})


def title(config: ControlConfig, changes: dict[str, Any], episodes: int) -> str:
    """What was driven, for the head of a table."""
    town = changes.get("town", config.env.arguments.get("town", ""))
    return f"{config.env.id} {town}, {episodes} episodes, none of them trained on"


def cell(value: float, form: str) -> str:
    """A figure of a table; a dash where there is none, as infractions a km of who stood still."""
    return form.format(value) if math.isfinite(value) else "-"


def table(rows: list[Evaluation], heading: str) -> Any:
    """A rich table, a row for each policy."""
    from rich.table import Table

    figures = [row.figures() for row in rows]
    driving = "completion" in figures[0]
    shown = Table(title=heading, caption=LEGEND if driving else None)
    shown.add_column("policy", no_wrap=True)
    columns = [column for column in COLUMNS if column[1] in figures[0]]
    for name, _, _ in columns:
        shown.add_column(name, justify="right")
    for row, values in zip(rows, figures):
        shown.add_row(row.policy, *(cell(values[key], form) for _, key, form in columns))
    return shown
