"""What the verbs `throttle compare control|perception|planning` do, for a design of any of them."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from throttle.commands.train_control import find_preset, preset
from throttle.compare.config import Design
from throttle.provenance import facts
from throttle.runs import Run, dump_config, find_run, write_atomic
from throttle.tracking import TrackingConfig

if TYPE_CHECKING:
    from rich.console import Console

    from throttle.compare.comparison import Comparison

KIND = "comparison"


def add_arguments(parser: ArgumentParser, design: type[Design], default: str = "") -> None:
    """The configuration of a design, and where and how it runs. default: the preset where none is named."""
    shown = f"; the default is {default}" if default else ""
    parser.add_argument("--config", action="config", help=f"a YAML preset{shown}")
    parser.add_class_arguments(design)
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument("--resume", type=str, default="", metavar="RUN", help="go on: the comparison's folder, or last")
    parser.add_argument(
        "--ray", type=str, default="", metavar="ADDRESS", help="train on a Ray cluster: its address, auto, or local"
    )
    parser.add_class_arguments(TrackingConfig, "tracking")


def rewrite(options: list[str], default: str = "") -> list[str]:
    """Begin with RUN's own configuration after `--resume RUN`, else with the preset."""
    first = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    first.add_argument("--resume", default="")
    first.add_argument("--runs", default="runs")
    known, _ = first.parse_known_args(options)
    if known.resume:
        return ["--config", str(find_run(known.runs, known.resume, KIND) / "config.yaml"), *options]
    named = any(word == "--config" or word.startswith("--config=") for word in options)
    return find_preset(options) if named or not default else ["--config", preset(default), *options]


def run(arguments: Namespace, kind: type[Design], verb: str) -> int:
    """Train, evaluate, compare, report; exit code 0, or 130 when stopped. verb: control, perception or planning."""
    from rich.console import Console

    from throttle.compare.comparison import Comparison
    from throttle.progress import Bars

    design = kind(**{name: arguments[name] for name in kind.__dataclass_fields__})
    console = Console()
    began = time.perf_counter()
    place = _place(arguments, design)
    try:
        comparison = Comparison(design, place, arguments.tracking)
        _remember(place.path)
        done = len(comparison.planned) - len(comparison.left())
        where = f"Ray at {arguments.ray}" if arguments.ray else f"{comparison.at_once} at a time"
        console.print(
            f"{len(comparison.planned)} runs ({done} done) in {comparison.path}, {where}; stop it at any moment, "
            f"`throttle compare {verb} --resume {comparison.path}` goes on",
            highlight=False,
            soft_wrap=True,
        )
        with Bars(console) as bars:
            comparison.warm_up(lambda what, n, total: bars.update("compile", n, total, {}, note=what))
        with Bars(console) as bars:
            comparison.train_all(bars.update, arguments.ray)
        with console.status("driving the references, filming ..."):
            comparison.references()
            comparison.videos()
        _finish(comparison, console)
    except KeyboardInterrupt:
        place.finish("stopped")
        console.print(f"stopped; next: throttle compare {verb} --resume {place.path}", soft_wrap=True)
        return 130
    except BaseException as error:
        place.finish("failed", " ".join(str(error).split()))
        raise
    place.finish("finished")
    console.print(f"{time.perf_counter() - began:.0f} s", highlight=False)
    return 0


def _place(arguments: Namespace, design: Design) -> Run:
    if not arguments.resume:
        from throttle.compare.comparison import planned_of

        planned_of(design)  # what cannot be ends here, before a folder is made
        return Run.create(arguments.runs, design.name, KIND, design)
    place = Run.resume(find_run(arguments.runs, arguments.resume, KIND))
    before = yaml.safe_load((place.path / "config.yaml").read_text(encoding="utf-8"))
    after = yaml.safe_load(dump_config(design))
    changed = [key for key in after if before.get(key) != after[key] and key not in ("jobs", "seeds", "video_seconds")]
    lost = set(before["seeds"]) - set(after["seeds"])
    if changed or lost:
        place.finish("stopped")
        raise UserError(f"a resumed comparison keeps its {changed[0] if changed else 'seeds'}; seeds may be added")
    (place.path / "config.yaml").write_text(dump_config(design), encoding="utf-8")
    return place


def _remember(path: Path) -> None:
    """Command, commit and date of the first call."""
    file = path / "facts.json"
    if not file.exists():
        write_atomic(
            file,
            json.dumps(
                facts("clipping", "control", "perception", "planning", "training", "sim", "throttle", "configs")
            ),
        )


def _finish(comparison: Comparison, console: Console) -> None:
    """Tables, verdicts, the report, and the group's own W&B run."""
    from throttle.compare.collect import collect
    from throttle.report.build import build
    from throttle.tracking import Tracker

    found = collect(comparison.path)
    told = build([found], comparison.path / "report")
    console.print(table(told))
    for line in told.lines:
        console.print(line, highlight=False, style="bold", soft_wrap=True)
    tracker = Tracker(comparison.run, comparison.tracking, KIND, comparison.design)
    tracker.table("comparison", told.summary)
    tracker.close()
    for what, path in told.files.items():
        console.print(f"{what:<9}{path}", highlight=False, soft_wrap=True)
    console.print(f"next     throttle report {comparison.path}", soft_wrap=True)


def table(told: Any) -> Any:
    """The summary, an arm and setting a row, for a terminal."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title="IQM [95% interval] over seeds; higher is better", title_justify="left")
    columns = {
        "setting": "setting", "arm": "arm", "n": "n", "score": "score", "diverged": "diverged", "clipped": "clipped",
        "clip_cost": "cost",
    }  # fmt: skip
    for key, title in columns.items():
        shown.add_column(title, justify="left" if key in ("arm", "setting") else "right")
    for row in told.summary:
        shown.add_row(*(Text(str(row[f"{key}_text"] if f"{key}_text" in row else row[key])) for key in columns))
    return shown
