"""Evaluate trained perception networks on pictures not trained on, beside a baseline that does not look.

throttle evaluate perception last --robustness
throttle evaluate perception runs/a runs/b --robustness

Several runs are compared as arms. Writes evaluation.json and pictures of the worst frames into each run's folder; with
--robustness also robustness.md and pictures of all of them into the first one's.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from throttle.commands.train_perception import KIND, load_config
from throttle.runs import Run, find_run, write_atomic
from throttle.tracking import Tracker, TrackingConfig

if TYPE_CHECKING:
    from perception.data import Frames
    from perception.evaluate import Evaluation
    from perception.model import PerceptionNet
    from throttle.report.perturbed import Perturbed

OVERALL = ("map50", "map50_all", "map", "map_small", "map_medium", "map_large", "ap3d", "ap3d_2m", "miou",
           "light_accuracy", "sign_accuracy", "binding_right", "binding_false", "line_error")  # fmt: skip
COUNTS = ("pictures", "objects")
FIGURES = {"map50": "mAP50", "miou": "mIoU", "ap3d_2m": "3-D AP within 2 m"}
"""What is shown under perturbations."""
LOCAL = "||change of the output|| / ||change of the picture||"
LEGEND = (
    "map: COCO's AP of boxes, IoU .5 to .95, without objects too low or too hidden to be seen (data.least_height, "
    "data.least_visible; map50_all: with them); ap3d: nuScenes' AP by centre distance, mean of .5, 1, 2, 4 m, within "
    "50 m; miou: over Cityscapes' classes; accuracy: of the lights and signs that were found; binding: pictures with a "
    "light or stop sign that binds the ego in which it is told, those without in which one is; line: median metres"
)


def add_arguments(parser: ArgumentParser) -> None:
    """RUN... and what to look at."""
    parser.add_argument("run", type=str, nargs="+", help="folders of runs, or last")
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument("--dataset", type=str, default="", help="default: the one that the run was trained on")
    parser.add_argument("--split", type=str, default="test", help="train, validation or test (another town)")
    parser.add_argument("--limit", type=int, default=0, help="pictures at most, evenly spread; 0: all")
    parser.add_argument("--weights", type=str, default="best.pt", help="a file of weights below the run's folder")
    parser.add_argument("--baseline", type=bool, default=True, help="beside a baseline that does not look")
    parser.add_argument("--worst", type=int, default=8, help="pictures of the worst frames; 0: none")
    parser.add_argument(
        "--robustness", type=bool, nargs="?", const=True, default=False, help="perturbed pictures at five severities"
    )
    parser.add_argument(
        "--onnx",
        type=bool,
        nargs="?",
        const=True,
        default=False,
        help="write model.onnx into the run, checked against torch",
    )
    parser.add_argument("--threads", type=int, default=2, help="torch's threads")
    parser.add_class_arguments(TrackingConfig, "tracking")


def run(arguments: Namespace) -> int:
    """Evaluate and print tables."""
    import torch
    from rich.console import Console

    from perception.perceive import load_network

    for name in ("limit", "worst"):
        if arguments[name] < 0:
            raise UserError(f"--{name} is a number from 0 on")
    if not 1 <= arguments.threads <= 1024:
        raise UserError(f"--threads must be from 1 to 1024, got {arguments.threads}")
    torch.set_num_threads(arguments.threads)
    console, status = Console(), Console(stderr=True)
    places = [find_run(arguments.runs, name, KIND) for name in arguments.run]
    networks = []
    for place in places:
        if not (place / arguments.weights).exists():
            raise UserError(f"{place} has no weights yet ({arguments.weights}); let it train to a validation")
        networks.append(load_network(place, arguments.weights)[0])
    perturbed = []
    for place, net in zip(places, networks):
        found = _one(place, net, arguments, console, status)
        if found is not None:
            perturbed.append(found)
    if perturbed:
        from throttle.report.perturbed import write

        pictures = f"{arguments.limit} pictures" if arguments.limit else "All pictures"
        for path in write(perturbed, places[0], f"{pictures} of {arguments.split}", FIGURES, LOCAL).values():
            console.print(f"{path}", highlight=False, soft_wrap=True)
    return 0


def _one(place: Path, net: PerceptionNet, arguments: Namespace, console: Any, status: Any) -> Perturbed | None:
    from perception.baseline import Blind
    from perception.evaluate import evaluate
    from perception.latency import latency
    from throttle.progress import Bars

    config = load_config(place / "config.yaml")
    frames = _frames(place, arguments, arguments.split)
    if not len(frames):
        raise UserError(f"{frames.source.root}: the {arguments.split} split has no picture")
    known = _frames(place, arguments, "train", 300) if arguments.baseline else None
    if known is not None and not len(known):  # a dataset of test pictures alone
        console.print("without the baseline that does not look: the train split has no picture", highlight=False)
        known = None
    rows: list[Evaluation] = []
    with Bars(status) as bars:
        rows.append(evaluate(place.name, net, frames, lambda done, total: bars.update("network", done, total, {})))
        if known is not None:
            blind = Blind(known)
            rows.append(evaluate("blind", blind, frames, lambda done, total: bars.update("blind", done, total, {})))
    speed = latency(net, frames, min(50, max(10, len(frames))))
    towns = ", ".join(sorted({str(r.get("town", "")) for r in frames.records}))
    console.print(_overall(rows, f"{len(frames)} pictures of {arguments.split} ({towns})"))
    console.print(LEGEND, style="dim", highlight=False)  # (a caption would be as narrow as the table)
    for title, table in _tables(rows[0]):
        console.print(_table(title, table))
    console.print(f"{speed['median_ms']:.1f} ms a picture (p95 {speed['p95_ms']:.1f}), {arguments.threads} threads")
    content: dict[str, Any] = {
        "weights": arguments.weights, "split": arguments.split, "dataset": str(frames.source.root),
        "results": [row.as_dict() for row in rows], "latency": {**speed, "threads": arguments.threads},
    }  # fmt: skip
    perturbed = None
    if arguments.robustness:
        from throttle.report.perturbed import Perturbed, curve_table

        content["robustness"] = _robustness(net, frames, status)
        perturbed = Perturbed(place.name, config.clip, config.train.lr, content["robustness"])
        for figure in ("map50", "miou"):
            console.print(curve_table(perturbed, figure, FIGURES[figure], "{:.3f}", LOCAL))
    if arguments.onnx:
        from perception.export import export

        content["onnx"] = export(net, config.data.width, config.data.height, place / "model.onnx")
        gap = max(content["onnx"].values())
        console.print(f"{place / 'model.onnx'}: differs from torch by at most {gap:.1e}", highlight=False)
    write_atomic(place / "evaluation.json", json.dumps(content, indent=1))
    console.print(f"{place / 'evaluation.json'}", highlight=False, soft_wrap=True)
    pictures: list[Path] = []
    if arguments.worst:
        from perception.pictures import save_worst

        items = [item for _, item in rows[0].worst[: arguments.worst]]
        pictures = save_worst(net, frames, items, place / "worst")
        console.print(f"{place / 'worst'}: the {len(pictures)} worst pictures", highlight=False, soft_wrap=True)
    tracker = Tracker(Run(place), arguments.tracking, KIND, config)
    tracker.table("evaluation", [{"name": row.name, **row.overall} for row in rows])
    for number, path in enumerate(pictures, 1):
        tracker.image(f"evaluation/worst-{number}", path)
    tracker.close()
    return perturbed


def _frames(place: Path, arguments: Namespace, split: str, limit: int = 0) -> Frames:
    from dataclasses import replace

    from perception.data import Frames

    config = load_config(place / "config.yaml").data
    path = arguments.dataset or config.path
    frames = Frames(replace(config, path=path, limit=limit or arguments.limit, empty=True), split)
    frames.load()
    return frames


def _tables(result: Evaluation) -> list[tuple[str, dict[str, dict[str, float]]]]:
    found: list[tuple[str, dict[str, Any]]] = [
        ("class", result.by_class), ("distance", result.by_distance), ("weather", result.by_weather),
        ("town", result.by_town),
    ]  # fmt: skip
    if len(result.by_camera) > 1:
        found.append(("camera", result.by_camera))
    found.append(("segments", {name: {"iou": value} for name, value in result.segments.items()}))
    for name, table in (("light", result.lights), ("sign", result.signs), ("binding", result.binding)):
        said = sorted({s for row in table.values() for s in row})
        found.append((f"true {name}, told as", {true: {s: row.get(s, 0) for s in said} for true, row in table.items()}))
    return [(title, table) for title, table in found if table]


def _overall(rows: list[Evaluation], heading: str) -> Any:
    from rich.table import Table

    shown = Table(title=heading)
    shown.add_column("figure", no_wrap=True)
    for row in rows:
        shown.add_column(row.name, justify="right")
    for name in OVERALL:
        values = [row.overall.get(name, math.nan) for row in rows]
        if not all(map(math.isnan, values)):
            shown.add_row(name.replace("_", " "), *map(_figure, values))
    return shown


def _table(title: str, table: dict[str, dict[str, float]]) -> Any:
    from rich.table import Table

    shown = Table()
    shown.add_column(title, no_wrap=True)
    wanted = ("pictures", "objects", "map50", "map", "ap3d", "ap3d_2m", "centre_error", "miou")
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    if "map50" in columns:
        columns = [name for name in wanted if name in columns]
    for name in columns:
        shown.add_column(name.replace("_", " "), justify="right")
    for name, row in table.items():
        values = {column: row.get(column, math.nan) for column in columns}
        values = {column: round(v) if column in row and column in COUNTS else v for column, v in values.items()}
        shown.add_row(name, *map(_figure, values.values()))
    return shown


def _figure(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if value == round(value) and abs(value) != 1 else f"{value:.3f}"


def _robustness(net: PerceptionNet, frames: Frames, status: Any) -> dict[str, Any]:
    from perception.robustness import robustness, sensitivity
    from throttle.progress import Bars

    with Bars(status) as bars:
        curves = robustness(net, frames, lambda what, done, total: bars.update(what, done, total, {}))
    local = sensitivity(net, frames)
    return {
        "curves": {curve.kind: curve.values for curve in curves},
        "area": {curve.kind: curve.area for curve in curves},
        "sensitivity": local,
    }
