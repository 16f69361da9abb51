"""The result of a benchmark as JSON and as one page that needs nothing else."""

from __future__ import annotations

import base64
import html
import json
import math
import statistics
from pathlib import Path
from typing import Any

import throttle.report
from sim.metrics import VERSIONS
from throttle.drive.config import DriveConfig
from throttle.report.charts import Dots, dots
from throttle.runs import write_atomic

METRIC = "carla-lb-2.0"
FOLDER = Path(throttle.report.__file__).parent
MEGABYTES = 16
"""Clips beyond this are linked, not embedded."""
KINDS = {
    "walker": "hit a pedestrian", "vehicle": "hit a vehicle", "static": "hit an object", "red_light": "ran a red light",
    "stop_sign": "ran a stop sign", "scenario_timeout": "did not get past in time",
    "yield_emergency": "held up an emergency vehicle",
}  # fmt: skip
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("driving score lb-2.0", f"driving_score/{METRIC}", "{:.1f}"),
    ("lb-1.0", "driving_score/carla-lb-1.0", "{:.1f}"),
    ("lb-2.1", "driving_score/carla-lb-2.1", "{:.1f}"),
    ("bench2drive", "driving_score/bench2drive", "{:.1f}"),
    ("completed %", "completion", "{:.1f}"),
    ("success", "success", "{:.0%}"),
    ("infractions/km", "infractions_per_km", "{:.2f}"),
    ("m/s", "mean_speed", "{:.1f}"),
)
"""Title, key of the figures, format."""


def summarise(config: DriveConfig, results: dict[str, Any]) -> dict[str, Any]:
    """What result.json holds: metric versions, arms with their figures by seed, costs of the parts, all routes."""
    arms = {}
    for name, arm in results.items():
        seeds = {
            str(seed): _mean([o["score"][METRIC] for o in arm["routes"] if o["seed"] == seed], _planned(config))
            for seed in config.seeds
        }
        arms[name] = {**arm, "driving_score_by_seed": seeds}
    return {"metrics": list(VERSIONS), "headline": METRIC, "arms": arms, "costs": costs(arms)}


def _planned(config: DriveConfig) -> int:
    return config.routes * len(config.towns)


def _mean(values: list[float], planned: int) -> float:
    return sum(values) / planned if planned else math.nan


def costs(arms: dict[str, Any]) -> list[dict[str, Any]]:
    """What each part costs: the score with the part replaced, less the score of the stack in question."""
    key = f"driving_score/{METRIC}"
    base = arms["stack"]["figures"].get(key, math.nan)
    found = []
    for name, arm in arms.items():
        if name != "stack":
            score = arm["figures"].get(key, math.nan)
            found.append({"with": name, "driving_score": score, "gain": score - base})
    return found


def write(config: DriveConfig, results: dict[str, Any], path: Path) -> dict[str, Any]:
    """Write result.json and report.html into the run's folder; returns what result.json holds."""
    found = summarise(config, results)
    write_atomic(path / "result.json", json.dumps(found, indent=1))
    write_atomic(path / "report.html", page(config, found, path))
    return found


def page(config: DriveConfig, found: dict[str, Any], path: Path) -> str:
    """The page."""
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    body = "".join(
        [
            f"<h1>throttle drive: {html.escape(path.name)}</h1>",
            f'<p class="headline">{html.escape(headline(config, found))}</p>',
            f'<p class="question">{_what(config)}</p>',
            "<h2>Scores</h2>", _chart(config, found), _table(found), _costs(found),
            "<h2>Time of each part</h2>", _latency(found),
            "<h2>Infractions</h2>", _infractions(found, path),
            "<h2>Every route</h2>", _routes(found),
        ]
    )  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(path.name)}</title><style>{style}</style></head><body>{body}"
        f'<p class="facts">Metric versions are not comparable with one another.</p><script>{script}</script>'
        "</body></html>"
    )


def headline(config: DriveConfig, found: dict[str, Any]) -> str:
    """One sentence: what the stack scored, and beside whom."""
    arms = found["arms"]
    figures = arms["stack"]["figures"]
    seeds = list(arms["stack"]["driving_score_by_seed"].values())
    spread = f" (seeds {min(seeds):.1f} to {max(seeds):.1f})" if len(seeds) > 1 else ""
    text = (
        f"Driving score {figures.get(f'driving_score/{METRIC}', 0.0):.1f} of 100{spread}, "
        f"{figures.get('completion', 0.0):.0f}% of the way driven"
    )
    others = [f"{name} {arm['figures'].get(f'driving_score/{METRIC}', 0.0):.1f}" for name, arm in arms.items()][1:]
    return text + (f"; beside it: {', '.join(others)}." if others else ".")


def _what(config: DriveConfig) -> str:
    count = _planned(config)
    seeds = ", ".join(map(str, config.seeds))
    where = config.server or "our own server"
    routes = f"{count} {config.split} route{'s' if count > 1 else ''} in {', '.join(config.towns)} on {where}"
    return html.escape(
        f"{routes}, each with the traffic of seeds {seeds} (density {config.density:g}); {config.stack.words()} "
        f"(perception / planner / control); {METRIC}."
    )


def _chart(config: DriveConfig, found: dict[str, Any]) -> str:
    rows = []
    for number, (name, arm) in enumerate(found["arms"].items()):
        values = [float(v) for v in arm["driving_score_by_seed"].values()]
        middle = statistics.fmean(values)
        labels = [f"{name}, seed {seed}" for seed in arm["driving_score_by_seed"]]
        rows.append(Dots(name, number % 8, values, labels, ["#"] * len(values), middle, min(values), max(values)))
    title = f"driving score {METRIC}: a dot a seed (mean of its routes); the bar spans the seeds"
    return f"<div class='charts'>{dots(title, rows, 'driving score')}</div>"


def _cells(values: list[str], head: bool = False) -> str:
    tag = "th" if head else "td"
    return "".join(f"<{tag}>{value}</{tag}>" for value in values)


def _grid(head: list[str], rows: list[list[str]], kind: str = "sortable") -> str:
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return (
        f"<div class='scroll'><table class='{kind}'><thead><tr>{_cells(head, True)}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _table(found: dict[str, Any]) -> str:
    rows = []
    for name, arm in found["arms"].items():
        figures = arm["figures"]
        stack = " / ".join(html.escape(Path(part).name) for part in arm["stack"].values())
        shown = [form.format(figures[key]) if key in figures else "-" for _, key, form in COLUMNS]
        rows.append([html.escape(name), stack, f"{figures['driven']:.0f} of {figures['routes']:.0f}", *shown])
    head = ["arm", "perception / planner / control", "routes", *(title for title, _, _ in COLUMNS)]
    return _grid(head, rows)


def _costs(found: dict[str, Any]) -> str:
    if not found["costs"]:
        return ""
    rows = [[html.escape(row["with"]), f"{row['driving_score']:.1f}", f"{row['gain']:+.1f}"] for row in found["costs"]]
    return "<h3>What is gained with another part in its place</h3>" + _grid(
        ["arm", f"driving score {METRIC}", "more than the stack"], rows
    )


def _latency(found: dict[str, Any]) -> str:
    names = [("sensors", "waiting for pictures"), ("perception", "perception"), ("planning", "planning"),
             ("control", "control"), ("simulator", "the simulator's step")]  # fmt: skip
    rows = []
    for name, arm in found["arms"].items():
        figures = arm["figures"]
        rows.append(
            [html.escape(name)]
            + [
                f"{figures[f'latency/{part}']:.1f} ({figures[f'latency_p95/{part}']:.1f})"
                if f"latency/{part}" in figures
                else "-"
                for part, _ in names
            ]
        )
    return "<p class='soft'>Milliseconds a call: median (95th percentile of the slowest route).</p>" + _grid(
        ["arm", *(words for _, words in names)], rows
    )


def _infractions(found: dict[str, Any], path: Path) -> str:
    rows, budget = [], MEGABYTES << 20
    for name, arm in found["arms"].items():
        for outcome in arm["routes"]:
            for item in outcome["infractions"]:
                film = ""
                file = path / "clips" / str(item.get("clip", ""))
                if item.get("clip") and file.is_file():
                    size = file.stat().st_size
                    if size <= budget:
                        budget -= size
                        data = base64.b64encode(file.read_bytes()).decode()
                        film = (
                            f"<video controls muted preload='none' width='400' height='224' "
                            f"src='data:video/mp4;base64,{data}'></video>"
                        )
                    else:
                        film = f"<a href='clips/{html.escape(item['clip'])}'>clip</a>"
                x, y = item["place"]
                rows.append(
                    [html.escape(name), html.escape(outcome["route"]), str(outcome["seed"]),
                     KINDS.get(item["kind"], html.escape(item["kind"])), f"{item['time']:.1f}", f"{x:.0f}, {y:.0f}",
                     film]
                )  # fmt: skip
    if not rows:
        return "<p>None.</p>"
    return _grid(["arm", "route", "seed", "what", "at s", "x, y", "clip"], rows)


def _routes(found: dict[str, Any]) -> str:
    rows = []
    for name, arm in found["arms"].items():
        for outcome in arm["routes"]:
            rows.append(
                [html.escape(name), html.escape(outcome["route"] or f"{outcome['town']} {outcome['number']}"),
                 str(outcome["seed"]), html.escape(outcome["weather"]), html.escape(outcome.get("scenario", "")),
                 f"{outcome['length']:.0f}", html.escape(outcome["ended"]), f"{100 * outcome['completion']:.1f}",
                 f"{outcome['score'][METRIC]:.1f}", str(len(outcome["infractions"])), f"{outcome['seconds']:.0f}"]
            )  # fmt: skip
    head = ["arm", "route", "seed", "weather", "scenario", "metres", "ended", "completed %", METRIC, "infractions", "s"]
    return _grid(head, rows)
