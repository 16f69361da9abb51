"""The part of a report that says how the arms scored: a dot a seed, performance profile, the table of verdicts."""

from __future__ import annotations

import html
import math

import numpy as np

from throttle.compare import statistics as s
from throttle.compare.collect import Collected
from throttle.compare.worker import DRIVING
from throttle.report.cells import anchor, arm_cell, cell, linked, of, setting_cells, setting_heads, table
from throttle.report.charts import Dots, Line, dots, lines
from throttle.report.summary import EVENTS, Told, words

CLAIMS = {"better": "better", "worse": "worse", "none": "no difference", "": "baseline"}
HEADS = ("IQM [95%]", "verdict", "more seeds", "p", "P(better)", "n", "diverged")
DRIVING_HEADS = ("route %", "success", "bad/km", *EVENTS.values())


def scores(t: Told, colours: dict[str, int], n: int) -> str:
    """A dot plot a setting, with what untrained and constant policies score, and the performance profile."""
    found, figures = t.found, []
    for setting in found.settings:
        rows = []
        for arm in found.arms:
            runs = found.of(arm, setting)
            if runs:
                values = [r.score for r in runs]
                i = s.iqm_interval(s.as_scores(values))
                labels = [f"{arm}, seed {r.seed}{', diverged' if r.state == 'diverged' else ''}" for r in runs]
                links = [f"#{anchor(n, r)}" for r in runs]
                rows.append(Dots(arm, colours[arm], values, labels, links, i.value, i.low, i.high))
        for name, towns in found.references.get(setting, {}).items():
            value = towns.get(DRIVING, towns.get("return", math.nan))
            if rows and not math.isnan(value):
                rows.append(Dots(name, 0, [value], [name], [""], value, value, value, reference=True))
        metric = next((r.metric for r in found.rows if r.setting == setting and r.over), "return")
        unit = "driving score carla-lb-2.0" if metric == DRIVING else metric
        figures.append(dots(f"{of(found, setting)}{unit}, a dot a seed", rows, unit))
    figures += [_profile(found, family, settings, colours) for family, settings in found.families().items()]
    return f"<div class='charts'>{''.join(figures)}</div>"


def _profile(found: Collected, family: str, settings: list[str], colours: dict[str, int]) -> str:
    values = [r.score for r in found.rows if r.over and r.setting in settings]
    low, high = min(values), max(values)
    grid = np.linspace(low - 0.02 * (high - low), high, 50)
    series = []
    for arm in found.arms:
        mine = np.array([r.score for r in found.rows if r.over and r.arm == arm and r.setting in settings])
        if len(mine):
            above, down, up = s.profile(mine, list(grid))
            series.append(Line(arm, colours[arm], list(grid), list(above), list(down), list(up)))
    unit = words(family.split(" in ")[0])
    return lines("performance profile: share of runs above a score", series, unit, "share of runs")


def summary(t: Told, colours: dict[str, int], n: int) -> str:
    """A row for each arm and setting; its score leads to its runs."""
    found = t.found
    driving = any(row["metric"] == DRIVING for row in t.summary)
    heads = ["arm", *setting_heads(found), *HEADS, *(DRIVING_HEADS if driving else ())]
    rows = []
    for row in t.summary:
        runs = found.of(row["arm"], row["setting"])
        lost = next((r for r in runs if r.state == "diverged"), None)
        more = row["more_seeds"]
        cells = [
            arm_cell(row["arm"], colours[row["arm"]]), *setting_cells(found, row["setting"]),
            f'<td data-v="{row["score"]:.8g}">{linked(html.escape(row["score_text"]), f"#{anchor(n, runs[0])}")}</td>',
            f'<td class="text {row["claim"]}">{CLAIMS[row["claim"]]}</td>',
            f'<td data-v="{more:.6g}">{_more(more)}</td>',
            cell(row["p"]), cell(row["improvement"], "share"), cell(row["n"]),
            cell(row["diverged"], link="" if lost is None else f"#{anchor(n, lost)}"),
        ]  # fmt: skip
        if driving:
            keys = ("completion", "success", "infractions_per_km")
            cells += [cell(row[k], "share" if k == "success" else "") for k in keys]
            cells += [cell(int(row.get(event, 0))) for event in EVENTS]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return table(heads, rows)


def _more(seeds: float) -> str:
    """How many more seeds, for a cell."""
    return "-" if math.isnan(seeds) or seeds == 0 else "?" if math.isinf(seeds) else f"{seeds:.0f}"
