"""Perception and planning under perturbations, arm beside arm: curves against severity, areas, local sensitivity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipping import ClipConfig
from throttle.compare.arms import NUMBERS
from throttle.compare.verdict import number
from throttle.report import pictures
from throttle.runs import write_atomic

SEVERITIES = ("none", "1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Perturbed:
    """One run. result: what `evaluation.json` holds under "robustness": "curves", perturbation -> figure -> its values
    at SEVERITIES; "area", perturbation -> figure -> mean height of the curve; "sensitivity", "median" and "p95"."""

    run: str
    clip: ClipConfig
    rate: float
    result: Mapping[str, Any]


def arms(runs: Sequence[Perturbed]) -> dict[str, list[Perturbed]]:
    """Runs that were clipped alike, at one learning rate, are an arm."""
    several = len({run.rate for run in runs}) > 1
    found: dict[str, list[Perturbed]] = {}
    for run in runs:
        value = getattr(run.clip, NUMBERS.get(run.clip.strategy, "threshold"))
        name = run.clip.strategy if value is None else f"{run.clip.strategy}={value:.4g}"
        name += "".join(f", {pattern} {part.strategy}={part.threshold}" for pattern, part in run.clip.groups.items())
        found.setdefault(f"{name}, lr {run.rate:g}" if several else name, []).append(run)
    return found


def curve_table(run: Perturbed, figure: str, title: str, form: str, local: str) -> Any:
    """A rich table of one run. form: of the numbers. local: what the sensitivity is the quotient of."""
    from rich.table import Table

    near = run.result["sensitivity"]
    shown = Table(
        title=f"{run.run}: {title} under perturbations",
        caption=f"local sensitivity, {local}: median {near['median']:.2f}, 95th percentile {near['p95']:.2f}",
    )
    for column in ("perturbation", *SEVERITIES, "area"):
        shown.add_column(column, justify="left" if column == "perturbation" else "right")
    for kind, curves in run.result["curves"].items():
        shown.add_row(kind, *(form.format(value) for value in [*curves[figure], run.result["area"][kind][figure]]))
    return shown


def write(
    runs: Sequence[Perturbed], folder: Path, heading: str, figures: Mapping[str, str], local: str
) -> dict[str, Path]:
    """Write robustness.md and a picture a figure for all runs together.

    heading: what was looked at or driven. figures: name -> title. local: what the sensitivity is the quotient of.
    """
    found = arms(runs)
    lines = [
        "# Robustness by arm",
        "",
        f"{heading}. Area: mean height of the curve over severities 0 (none) to 5; mean over the runs of an arm, in "
        f"brackets the lowest and the highest. Local sensitivity: {local}.",
        "",
    ]
    for figure, title in figures.items():
        lines += [f"| {title}, area | " + " | ".join(f"{name} (n {len(mine)})" for name, mine in found.items()) + " |"]
        lines += ["|---|" + "---|" * len(found)]
        curves = [[next(iter(r.result["curves"].values()))[figure] for r in mine] for mine in found.values()]
        lines += ["| unperturbed | " + " | ".join(_spread([curve[0] for curve in arm]) for arm in curves) + " |"]
        for kind in runs[0].result["area"]:
            areas = [[r.result["area"][kind][figure] for r in mine] for mine in found.values()]
            lines += [f"| {kind.replace('_', ' ')} | " + " | ".join(map(_spread, areas)) + " |"]
        lines += [""]
    lines += ["| local sensitivity | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for name in ("median", "p95"):
        values = [[r.result["sensitivity"][name] for r in mine] for mine in found.values()]
        lines += [f"| {name} | " + " | ".join(map(_spread, values)) + " |"]
    files = {"robustness": folder / "robustness.md"}
    write_atomic(files["robustness"], "\n".join([*lines, ""]))
    for figure, title in figures.items():
        files[figure] = pictures.robustness(
            {name: _mean_curves(mine, figure) for name, mine in found.items()},
            title,
            folder / f"robustness-{figure}.png",
        )
    return files


def _mean_curves(runs: Sequence[Perturbed], figure: str) -> dict[str, list[float]]:
    """Perturbation -> the figure at each severity, mean over the runs of an arm."""
    kinds = runs[0].result["curves"]
    return {kind: np.mean([r.result["curves"][kind][figure] for r in runs], 0).tolist() for kind in kinds}


def _spread(values: Sequence[float]) -> str:
    middle = number(float(np.mean(values)))
    return middle if len(values) == 1 else f"{middle} [{number(min(values))}, {number(max(values))}]"
