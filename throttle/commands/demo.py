"""The main job, small: train a driving policy clipped and unclipped, drive both on routes not trained on, compare.

Takes minutes on two cores. Every stage is kept: stop it or kill it, call it again, and it goes on.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from throttle.commands.train_control import find_preset, preset
from throttle.demo import ARMS, Demo, DemoConfig
from throttle.tracking import Tracker, TrackingConfig

if TYPE_CHECKING:
    from rich.console import Console

METRIC = "driving_score/carla-lb-2.0"
COLUMNS: tuple[tuple[str, str, str], ...] = (
    # title, key of Evaluation.figures(), format
    ("route %", "completion", "{:.1f}"),
    ("carla-lb-2.0", METRIC, "{:.1f}"),
    ("success", "success", "{:.0%}"),
    ("bad/km", "infractions_per_km", "{:.1f}"),
    ("m/s", "mean_speed", "{:.1f}"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """The configuration of throttle/demo.py, and where everything goes."""
    parser.add_argument("--config", action="config", help="a YAML preset; the default is configs/demo.yaml")
    parser.add_class_arguments(DemoConfig)
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument("--fresh", type=bool, default=False, help="do all stages again")
    parser.add_class_arguments(TrackingConfig, "tracking")


def rewrite(options: list[str]) -> list[str]:
    """Begin with the preset of the demonstration where none is named."""
    named = any(word == "--config" or word.startswith("--config=") for word in options)
    return find_preset(options) if named else ["--config", preset("configs/demo.yaml"), *options]


def run(arguments: Namespace) -> int:
    """Do all stages; exit code 0, or 130 when stopped (call it again to go on)."""
    from rich.console import Console

    config = DemoConfig(**{name: arguments[name] for name in DemoConfig.__dataclass_fields__})
    console = Console()
    demo = Demo(config, arguments.runs, arguments.tracking, arguments.fresh)
    began = time.perf_counter()
    console.print(f"[bold]throttle demo[/] in {demo.path} (stop it at any moment; calling it again goes on)")
    try:
        _train(demo, console)
        results = _evaluate(demo, console)
    except KeyboardInterrupt:
        demo.run.finish("stopped")
        console.print("stopped; [bold]throttle demo[/] with the same options goes on from here")
        return 130
    _report(demo, results, console)
    demo.run.finish("finished")
    console.print(f"{time.perf_counter() - began:.0f} s", highlight=False)
    return 0


def _train(demo: Demo, console: Console) -> None:
    from throttle.progress import Bars

    if len(demo.done()) < len(demo.trainings):
        with Bars(console) as bars:
            seconds = demo.warm_up(lambda what, done, total: bars.update("compile", done, total, {}, note=what))
        console.print(f"1 simulator ready after {seconds:.0f} s (compiled once on a machine)", highlight=False)
        with Bars(console) as bars:
            demo.train_all(bars.update)
    console.print("2 trained", highlight=False)
    for seed in demo.config.seeds:
        first, second = (demo.summary(arm, seed) for arm in ARMS)
        same = "the same" if first["initial_weights"] == second["initial_weights"] else "DIFFERENT"
        ends = ", ".join(f"{arm} {end['final_weights']} ({end['state']})" for arm, end in zip(ARMS, (first, second)))
        console.print(
            f"  seed {seed}: both arms began with {same} weights "
            f"({first['initial_weights']}, {second['initial_weights']}); at the end {ends}",
            highlight=False,
            soft_wrap=True,
        )


def _evaluate(demo: Demo, console: Console) -> dict[str, dict[str, dict[str, Any]]]:
    from throttle.progress import Bars

    with Bars(console) as bars:
        results = demo.evaluate(lambda name, done, total: bars.update("evaluate", done, total, {}, note=name))
    console.print(f"3 driven: {demo.config.episodes} routes not trained on, in each town", highlight=False)
    with console.status("recording a video ..."):
        demo.video(lambda: None)
    return results


def _report(demo: Demo, results: dict[str, dict[str, dict[str, Any]]], console: Console) -> None:
    """Table, verdict, plot, and where everything lies."""
    from throttle.compare.verdict import judge, sentence
    from throttle.plots import comparison
    from throttle.runs import write_atomic

    seeds = demo.config.seeds
    lines = []
    for town, policies in results.items():
        console.print(_table(town, policies, demo))
        metric = METRIC if METRIC in policies["untrained"]["figures"] else "return"
        scores = {arm: [policies[f"{arm}-seed{seed}"]["figures"][metric] for seed in seeds] for arm in ARMS}
        lost = {arm: sum(demo.summary(arm, seed)["state"] == "diverged" for seed in seeds) for arm in ARMS}
        name = "points of carla-lb-2.0" if metric == METRIC else "return"
        (found,) = judge(scores, ARMS[1], lost)
        verdict = sentence(found, name, f"{demo.config.episodes} routes each")
        lines.append(f"{town + ': ' if town else ''}{verdict}")
    for line in lines:
        console.print(line, highlight=False, style="bold")
    for arm in ARMS:
        for text in demo.summary(arm, seeds[0])["clipping"].values():
            console.print(f"{arm}, seed {seeds[0]}: {text}", highlight=False)
    town, policies = list(results.items())[-1]
    key = "completion" if "completion" in policies["untrained"]["figures"] else "return"
    scores = {arm: [policies[f"{arm}-seed{seed}"]["figures"][key] for seed in seeds] for arm in ARMS}
    scores |= {name: [policies[name]["figures"][key]] for name in ("untrained", "constant")}
    folders = {arm: [demo.path / f"{arm}-seed{seed}" for seed in seeds] for arm in ARMS}
    axis = f"{'route completion %' if key == 'completion' else 'return'}{', ' + town if town else ''}"
    comparison(demo.path / "demo.png", folders, scores, axis, demo.config.control.clip.threshold)
    write_atomic(demo.path / "results.json", json.dumps({"verdict": lines, "towns": results}, indent=1))
    tracker = Tracker(demo.run, demo.tracking, "demo", demo.config)
    tracker.table(
        "demo",
        [
            {"town": place, "policy": policy, **found["figures"]}
            for place, part in results.items()
            for policy, found in part.items()
        ],
    )
    tracker.image("demo/plot", demo.path / "demo.png")
    if (demo.path / "demo.mp4").exists():
        tracker.video("demo/video", demo.path / "demo.mp4")
    tracker.close()
    for what, path in (
        ("figures", demo.path / "results.json"),
        ("plot", demo.path / "demo.png"),
        ("video", demo.path / "demo.mp4"),
        ("runs", demo.path),
    ):
        if path.exists():
            console.print(f"{what:<8} {path}", highlight=False, soft_wrap=True)
    console.print(f"next     throttle evaluate control {folders['clipped'][0]} --episodes 200", soft_wrap=True)


def _table(town: str, policies: dict[str, dict[str, Any]], demo: Demo) -> Any:
    """Means over seeds, with the lowest and highest seed; n is shown."""
    from rich.table import Table

    seeds = demo.config.seeds
    place = f" in {town}" if town else ""
    new = ", a town never trained in" if town in demo.config.new_towns else ""
    shown = Table(
        title=f"{demo.config.control.env.id}{place}{new}: {demo.config.episodes} routes not trained on",
        caption="mean over seeds, below it the lowest and the highest seed"
        + ("; an episode ends at the first collision or red light" if town else ""),
    )
    shown.add_column("policy", no_wrap=True)
    shown.add_column("n", justify="right")
    known = policies["untrained"]["figures"]
    columns = [column for column in COLUMNS if column[1] in known] or [("return", "return", "{:.1f}")]
    for name, _, _ in columns:
        shown.add_column(name, justify="right")
    for arm in ARMS:
        cells = []
        for _, key, form in columns:
            values = [policies[f"{arm}-seed{seed}"]["figures"][key] for seed in seeds]
            spread = f"\n{form.format(min(values))}-{form.format(max(values))}" if len(values) > 1 else ""
            cells.append(form.format(statistics.fmean(values)) + spread)
        shown.add_row(arm, str(len(seeds)), *cells)
    for name in ("untrained", "constant"):
        figures = policies[name]["figures"]
        shown.add_row(policies[name]["policy"], "1", *(form.format(figures[key]) for _, key, form in columns))
    return shown
