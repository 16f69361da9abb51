"""The part of a report about driving under perturbations: curves, areas under them, sensitivity, a verdict."""

from __future__ import annotations

from typing import Any

import numpy as np

from throttle.compare import statistics as s
from throttle.compare.collect import Collected
from throttle.report.cells import arm_cell, cell, first_run, of, setting_cells, setting_heads, table, verdicts
from throttle.report.charts import Line, lines
from throttle.report.summary import Told, median

UNITS = {
    "sensor_noise": "standard deviation of noise on observations",
    "action_delay": "steps that actions come late",
    "disturbance": "standard deviation of what is added to actions",
    "actuator_gain": "factor on actions",
}


def robustness(t: Told, colours: dict[str, int], n: int) -> str:
    """Curves of score against severity for every setting; empty where nothing was driven under perturbations."""
    found = t.found
    kinds = list(dict.fromkeys(k for r in found.rows for k in r.robustness.get("curves", {})))
    if not kinds:
        return ""
    figures = [_curve(found, setting, kind, colours) for setting in found.settings for kind in kinds]
    note = (
        "<p class='soft'>Score under perturbations that no training saw, on the same routes: severity 0 is none. Area: "
        "mean height of the curve. Sensitivity: change of the action over a small change of the observation.</p>"
    )
    return (
        f"<h2>Robustness</h2>{verdicts(t.robust)}{note}<div class='charts'>{''.join(figures)}</div>"
        f"{_areas(found, kinds, colours, n)}"
    )


def _curve(found: Collected, setting: str, kind: str, colours: dict[str, int]) -> str:
    series, amounts = [], ""
    for arm in found.arms:
        runs = [r.robustness for r in found.of(arm, setting) if r.robustness]
        if runs:
            each = [np.array(run["curves"][kind]) for run in runs]
            middle, low, high = (list(part) for part in s.curve(each))
            at = list(range(len(each[0])))
            series.append(Line(arm, colours[arm], at, middle, low, high, [(at, list(run)) for run in each]))
            amounts = ", ".join(f"{a:g}" for a in runs[0]["severities"][kind])
    name = kind.replace("_", " ")
    title = f"{of(found, setting)}{name} ({UNITS[kind]}: {amounts})"
    return lines(title, series, f"severity of {name}", "score")


def _areas(found: Collected, kinds: list[str], colours: dict[str, int], n: int) -> str:
    rows = []
    for setting in found.settings:
        for arm in found.arms:
            runs = [r.robustness for r in found.of(arm, setting) if r.robustness]
            if not runs:
                continue
            values: list[Any] = [s.iqm_interval(s.as_scores([run["area"][k] for run in runs])).value for k in kinds]
            values.append(median([float(run["sensitivity"]) for run in runs]))
            name = arm_cell(arm, colours[arm], first_run(n, found, arm, setting))
            cells = [name, *setting_cells(found, setting), *map(cell, values), cell(len(runs))]
            rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = ["arm", *setting_heads(found), *(f"area, {k.replace('_', ' ')}" for k in kinds), "sensitivity", "n"]
    return table(heads, rows)
