"""The demonstration's summary: what each stage did, in words for a newcomer, with links to the reports beneath."""

from __future__ import annotations

import csv
import html
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import throttle.report
from throttle.demo.config import STAGES, DemoConfig
from throttle.demo.pipeline import TITLES
from throttle.demo.stages import Stages
from throttle.drive.report import METRIC
from throttle.provenance import facts
from throttle.runs import read_status, write_atomic
from throttle.tracking import read_metrics

SHOWN = 3
"""Pictures or clips of a stage on the page, at most."""
FIGURES = {
    "map50": "boxes are found with an mAP50 of {:.2f} (1 is all of them)",
    "miou": "pixels are named with a mean IoU of {:.2f} (1 is all of them)",
    "path_ade": "the planned path lies {:.2f} m from the expert's",
    "speed_ade": "the planned speed {:.2f} m/s from the expert's",
}
"""Validation figures that the summary tells, and how."""
WORDS = (
    (
        "driving score",
        "share of a route that was driven, in percent, times a factor for each infraction (collision .5 to .65, red "
        "light .7, stop sign .8, and others): 100 is a route without a fault",
    ),
    (
        "clipped, unclipped",
        "whether gradients longer than a threshold are shortened before an optimiser step; the arms of the comparison "
        "differ in nothing else",
    ),
    ("true perception", "the same stack, but its Scene is what the simulator knows"),
    ("expert", "rules that see the truth: the bar"),
)


def summary(config: DemoConfig, stages: Stages) -> dict[str, Any]:
    """Stage -> what came of it: `text` for people, `figures`, `links` (name -> path), `look` (pictures and clips)."""
    return {
        "record": _recorded(stages),
        "perception": _trained(stages, "perception"),
        "planning": _trained(stages, "planning"),
        "control": _compared(stages),
        "drive": _driven(stages),
    }


def _recorded(stages: Stages) -> dict[str, Any]:
    info = json.loads((stages.dataset / "meta" / "info.json").read_text(encoding="utf-8"))
    files = sorted(stages.dataset.glob("images/*/*/*.jpg"))
    pictures = len(files)
    episodes = sum(1 for _ in stages.dataset.glob("data/episode_*.parquet"))
    towns = ", ".join(info.get("towns", []))
    text = f"{episodes} drives of an expert in {towns}: {pictures} labelled pictures, a row every tenth of a second"
    return {
        "text": text,
        "figures": {"episodes": episodes, "pictures": pictures},
        "links": {"data set": str(stages.dataset)},
        "look": [str(files[k * pictures // SHOWN]) for k in range(min(SHOWN, pictures))],
    }


def _trained(stages: Stages, stage: str) -> dict[str, Any]:
    path = stages.run_of(stage)
    assert path is not None
    status = read_status(path)
    known = {name: rows[-1][1] for name, rows in read_metrics(path).items() if rows}
    figures = {
        name.split("/", 1)[1]: value for name, value in known.items() if name.startswith(("val/", "validation/"))
    }
    clipped = _clipped(path / f"clip_{stage}.csv")
    text = f"{status.step:,} optimiser steps, {status.state}"
    if clipped is not None:
        text += f"; {100 * clipped:.0f}% of them were clipped"
    told = [words.format(figures[name]) for name, words in FIGURES.items() if name in figures]
    if told:
        text += f". On drives not trained on {', '.join(told)}"
    return {"text": text, "figures": figures, "links": {"run": str(path)}}


def _clipped(file: Path) -> float | None:
    """Share of the updates that were clipped, None where nothing says so."""
    with suppress(OSError, KeyError, ValueError), open(file, newline="", encoding="utf-8") as rows:
        flags = [float(row["clipped"]) for row in csv.DictReader(rows)]
        return sum(flags) / len(flags) if flags else None
    return None


def _compared(stages: Stages) -> dict[str, Any]:
    path = stages.run_of("control")
    assert path is not None
    report = path / "report"
    headline = ""
    with suppress(OSError):
        found = re.search(r"\*\*(.+?)\*\*", (report / "report.md").read_text(encoding="utf-8"))
        headline = found[1].rstrip(".") if found else ""
    films = [str(film) for film in sorted(path.glob("video-*.mp4"))[:1]]
    return {"text": headline, "figures": {}, "links": {"comparison": str(report / "report.html")}, "look": films}


def _driven(stages: Stages) -> dict[str, Any]:
    path = stages.run_of("drive")
    assert path is not None
    found = json.loads((path / "result.json").read_text(encoding="utf-8"))
    key = f"driving_score/{METRIC}"
    scores = {name: arm["figures"].get(key, 0.0) for name, arm in found["arms"].items()}
    done = found["arms"]["stack"]["figures"].get("completion", 0.0)
    others = ", ".join(f"{name} {score:.0f}" for name, score in scores.items() if name != "stack")
    text = (
        f"from camera and lidar to pedals the stack scores {scores['stack']:.0f} of 100 and drives {done:.0f}% of the "
        f"way in a town that it has never seen ({METRIC}; beside it: {others})"
    )
    clips = [str(clip) for clip in sorted((path / "clips").glob("stack-*.mp4"))[:SHOWN]]
    return {"text": text, "figures": scores, "links": {"drives": str(path / "report.html")}, "look": clips}


def write(config: DemoConfig, stages: Stages, took: dict[str, float]) -> dict[str, Any]:
    """Write report.html and results.json into the demonstration's folder; returns the summary."""
    found = summary(config, stages)
    folder = stages.folder
    content = {"stages": found, "seconds": took, "facts": facts("throttle", "sim", "perception", "planning", "control")}
    write_atomic(folder / "results.json", json.dumps(content, indent=1))
    write_atomic(folder / "report.html", _html(found, folder, content["facts"]))
    return found


def _html(found: dict[str, Any], folder: Path, known: dict[str, str]) -> str:
    style = (Path(throttle.report.__file__).parent / "page.css").read_text(encoding="utf-8")
    parts = []
    for stage in STAGES:
        if stage in found:
            part = found[stage]
            links = " ".join(
                f"<a href='{html.escape(os.path.relpath(path, folder))}'>{html.escape(name)}</a>"
                for name, path in part["links"].items()
            )
            text = html.escape(part["text"])
            parts.append(f"<h2>{html.escape(TITLES[stage])}</h2><p>{text}.</p>{_shown(part, folder)}<nav>{links}</nav>")
    foot = " · ".join(f"{name} {html.escape(value)}" for name, value in known.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>throttle demo</title><style>{style}</style></head><body><h1>throttle demo</h1>"
        f'<p class="headline">{html.escape(_sentence(found["drive"]["text"]))}</p>{_scores(found["drive"]["figures"])}'
        f"{''.join(parts)}<h2>Words</h2><dl>{_words()}</dl>"
        f'<p class="facts">{foot}</p></body></html>'
    )


def _shown(part: dict[str, Any], folder: Path) -> str:
    """Pictures and clips of a stage, from where they lie beside the page."""
    found = []
    for path in part.get("look", []):
        source = html.escape(os.path.relpath(path, folder))
        style = "style='max-width:min(100%,17rem);margin:2px'"
        if path.endswith(".mp4"):
            found.append(f"<video {style} src='{source}' controls muted loop playsinline preload='metadata'></video>")
        else:
            found.append(f"<img {style} src='{source}' alt='a recorded picture' loading='lazy'>")
    return f"<div>{''.join(found)}</div>" if found else ""


def _scores(scores: dict[str, float]) -> str:
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{score:.1f}</td></tr>" for name, score in scores.items())
    head = f"<thead><tr><th>who drives</th><th>driving score ({METRIC})</th></tr></thead>"
    return f"<div class='scroll'><table>{head}<tbody>{rows}</tbody></table></div>"


def _words() -> str:
    return "".join(f"<dt><b>{html.escape(word)}</b></dt><dd>{html.escape(text)}.</dd>" for word, text in WORDS)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].split(" (")[0] + "."
