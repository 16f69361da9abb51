"""The part of a report about the trainings: learning curves by steps and by time, gradient norms, what clipping did."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from throttle.compare import statistics as s
from throttle.compare.collect import Collected
from throttle.compare.curves import curves
from throttle.report.cells import arm_cell, cell, first_run, of, setting_cells, setting_heads, table
from throttle.report.charts import Line, lines
from throttle.report.summary import Told

HEADS = ("clipped", "cost of clipping", "norm 50%", "norm 90%", "norm 99%", "largest", "threshold", "training s")


def learning(found: Collected, colours: dict[str, int]) -> str:
    """Curves of every setting; empty where no run has written any."""
    figures = []
    for setting in found.settings:
        c = curves(found, setting)
        if c is None:
            continue
        unit = "share of the route completed" if c.measured == "completion" else c.measured.replace("/", " ")
        head = of(found, setting)
        figures += [
            lines(f"{head}learning by steps", _bands(c.steps, c.by_step, colours), "training steps", unit),
            lines(f"{head}learning by time", _bands(c.seconds, c.by_time, colours), "seconds of training", unit),
        ]
        norms = [
            Line(arm, colours[arm], *_middle(runs), runs=[(list(x), list(y)) for x, y in runs])
            for arm, runs in c.norms.items()
            if runs
        ]
        figures.append(lines(f"{head}largest gradient norms before clipping", norms, "update", "norm", ylog=True))
    if not any(figures):
        return ""
    note = (
        "<p class='soft'>IQM over seeds with its 95% interval; thin lines are the seeds. Steps: sample efficiency.</p>"
    )
    return f"<h2>Learning</h2>{note}<div class='charts'>{''.join(figures)}</div>"


def _bands(grid: Any, by: dict[str, list[Any]], colours: dict[str, int]) -> list[Line]:
    series = []
    for arm, runs in by.items():
        middle, low, high = (list(part) for part in s.curve(runs))
        each = [(list(grid), list(run)) for run in runs]
        series.append(Line(arm, colours[arm], list(grid), middle, low, high, each))
    return series


def _middle(runs: list[tuple[Any, Any]]) -> tuple[list[float], list[float]]:
    longest = max((x for x, _ in runs), key=len)
    values = [np.interp(longest, x, y, right=np.nan) for x, y in runs]
    stacked = np.array(values)
    middle = [float(np.nanmedian(col)) if not np.isnan(col).all() else math.nan for col in stacked.T]
    return list(longest), middle


def clipping(t: Told, colours: dict[str, int], n: int) -> str:
    """What clipping did to the updates, and what it cost."""
    rows = []
    for row in t.summary:
        link = first_run(n, t.found, row["arm"], row["setting"])
        cells = [
            arm_cell(row["arm"], colours[row["arm"]], link), *setting_cells(t.found, row["setting"]),
            cell(row["clipped"], "share"), cell(row["clip_cost"], "share"),
            *(cell(row[k]) for k in ("norm_median", "norm_p90", "norm_p99", "norm_max", "threshold", "seconds")),
        ]  # fmt: skip
        rows.append(f"<tr>{''.join(cells)}</tr>")
    note = (
        "<p class='soft'>Medians over seeds. Norms are those before clipping, of the policy's (or critic's) optimiser. "
        "Cost: share of the training's time that measuring and clipping took; the baseline pays for measuring.</p>"
    )
    return f"<h2>What clipping did</h2>{note}{table(['arm', *setting_heads(t.found), *HEADS], rows)}"
