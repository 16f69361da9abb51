"""The HTML of a report: one file with its style, script, charts and videos inside; nothing is fetched."""

from __future__ import annotations

import base64
import html
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from throttle.compare import statistics as s
from throttle.compare.collect import Collected, Curves, Row, curves
from throttle.compare.verdict import number
from throttle.compare.worker import DRIVING
from throttle.report.charts import Dots, Line, dots, lines
from throttle.report.summary import Told, percent, words

HERE = Path(__file__).parent
COLOURS = 8
MEGABYTES = 24
"""Videos beyond this are linked, not embedded: a report must open on a phone."""


def page(told: Sequence[Told], facts: dict[str, str], folder: Path | None) -> str:
    """The whole document. folder: where it will lie, so that links to the runs are relative; None: without links to the
    runs' folders and without videos, to be kept when the runs are not."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    title = ", ".join(t.found.name for t in told)
    body = "".join(_comparison(t, folder, n) for n, t in enumerate(told))
    known = " · ".join(f"{name} {html.escape(value)}" for name, value in facts.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head><body>{body}"
        f'<p class="facts">{known}</p><script>{script}</script></body></html>'
    )


def _comparison(t: Told, folder: Path | None, n: int) -> str:
    found = t.found
    colours = {arm: i % COLOURS for i, arm in enumerate(found.arms)}
    question = f'<p class="question">{html.escape(found.question)}</p>' if found.question else ""
    verdicts = "".join(f"<li>{html.escape(line)}</li>" for line in t.lines)
    sections = [
        f"<h1>{html.escape(found.name)}</h1><p class='headline'>{html.escape(t.headline)}</p>{question}",
        _seeds(found),
        f"<h2>What may be said</h2><ul class='verdicts'>{verdicts}</ul>{_method()}" if verdicts else "",
        f"<h2>Scores</h2>{_scores(t, colours, n)}{_summary(t, colours, n)}",
        _learning(found, colours),
        _clipping(t, colours),
        _robustness(found, colours),
        "" if folder is None else _videos(found, folder),
        _divergences(found, n),
        f"<h2>Every run</h2>{_runs(found, colours, folder, n)}",
    ]
    return "".join(sections)


def _method() -> str:
    return (
        "<details><summary>how this is decided</summary><p>IQM is the mean of the middle half of the runs. "
        "A difference is claimed only where its 95% interval (bootstrap stratified by setting, seeds drawn in pairs) "
        "leaves zero out and an exact permutation test, adjusted for the number of arms (Holm), stays under 5%. "
        "A run that diverged "
        "scores what its untrained policy does. All arms have the same initial weights, seeds and routes.</p></details>"
    )


def _seeds(found: Collected) -> str:
    seeds = sorted({r.seed for r in found.rows})
    hashes = [{r.initial_weights for r in found.rows if r.seed == seed and r.setting == s and r.initial_weights}
              for s in found.settings for seed in seeds]  # fmt: skip
    hashes = [h for h in hashes if h]
    paired = sum(len(h) == 1 for h in hashes)
    same = (
        "every pair of arms began with the same weights"
        if paired == len(hashes)
        else (f"WARNING: only {paired} of {len(hashes)} seeds began with the same weights in all arms")
    )
    over = sum(r.over for r in found.rows)
    return (
        f"<p class='soft'>{over} of {len(found.rows)} runs over; {len(found.arms)} arms, {len(found.settings)} "
        f"setting{'s' if len(found.settings) > 1 else ''}, seeds {', '.join(map(str, seeds))}; {same}.</p>"
    )


# -- scores -----------------------------------------------------------------------------------------------------------


def _scores(t: Told, colours: dict[str, int], n: int) -> str:
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
                rows.append(Dots(name, 0, [value], [name], ["#"], value, value, value))
        metric = next((r.metric for r in found.rows if r.setting == setting and r.over), "return")
        unit = "driving score carla-lb-2.0" if metric == DRIVING else metric
        figures.append(dots(f"{_of(found, setting)}{unit}, a dot a seed", rows, unit))
    figures += [_profile(found, family, settings, colours) for family, settings in found.families().items()]
    return f"<div class='charts'>{''.join(figures)}</div>"


def _of(found: Collected, setting: str) -> str:
    """The setting at the head of a title, where there are several."""
    return f"{setting}: " if len(found.settings) > 1 else ""


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


def anchor(n: int, row: Row) -> str:
    """Where a run's row stands in the page."""
    return f"run-{n}-{row.name}"


def _cell(value: Any, kind: str = "") -> str:
    if isinstance(value, float):
        shown = percent(value) if kind == "share" else "-" if math.isnan(value) else number(value)
        sort = "" if math.isnan(value) else f"{value:.8g}"
        return f'<td data-v="{sort}">{shown}</td>'
    if isinstance(value, int):
        return f'<td data-v="{value}">{value}</td>'
    return f'<td class="text">{html.escape(str(value))}</td>'


def _summary(t: Told, colours: dict[str, int], n: int) -> str:
    driving = any(row["metric"] == DRIVING for row in t.summary)
    heads = ["arm", "setting", "n", "IQM [95%]", "P(better)", "p", "verdict", "more seeds", "diverged"]
    heads += (
        ["route %", "success", "bad/km", "walkers", "vehicles", "static", "red lights", "stop signs"] if driving else []
    )
    rows = []
    for row in t.summary:
        first = next(r for r in t.found.of(row["arm"], row["setting"]))
        score = (
            f'<td data-v="{row["score"]:.8g}"><a href="#{anchor(n, first)}">{html.escape(row["score_text"])}</a></td>'
        )
        claim = {"better": "better", "worse": "worse", "none": "no difference", "": "baseline"}[row["claim"]]
        lost = (
            f'<td data-v="{row["diverged"]}"'
            + (' class="diverged"' if row["diverged"] else "")
            + f">{row['diverged']}</td>"
        )
        more = row["more_seeds"]
        cells = [
            f'<td class="text"><span class="swatch c{colours[row["arm"]]}">{html.escape(row["arm"])}</span></td>',
            _cell(row["setting"]), _cell(row["n"]), score, _cell(row["improvement"], "share"), _cell(row["p"]),
            f'<td class="text {row["claim"]}">{claim}</td>',
            f'<td data-v="{more:.6g}">{_more(more)}</td>',
            lost,
        ]  # fmt: skip
        if driving:
            keys = ("completion", "success", "infractions_per_km")
            cells += [_cell(row[k], "share" if k == "success" else "") for k in keys]
            cells += [_cell(int(row.get(e, 0))) for e in ("walker", "vehicle", "static", "red_light", "stop_sign")]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _table(heads, rows)


def _table(heads: list[str], rows: list[str]) -> str:
    head = "".join(f"<th>{html.escape(h)}</th>" for h in heads)
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table class="sortable">{body}</table></div>'


def _more(seeds: float) -> str:
    """How many more seeds, for a cell."""
    return "-" if math.isnan(seeds) or seeds == 0 else "?" if math.isinf(seeds) else f"{seeds:.0f}"


# -- training ---------------------------------------------------------------------------------------------------------


def _learning(found: Collected, colours: dict[str, int]) -> str:
    figures = []
    for setting in found.settings:
        c = curves(found, setting)
        if c is None:
            continue
        of = "share of the route completed" if c.measured == "completion" else c.measured.replace("/", " ")
        figures.append(
            lines(
                f"{_of(found, setting)}learning by steps", _bands(c, c.steps, c.by_step, colours), "training steps", of
            )
        )
        figures.append(
            lines(
                f"{_of(found, setting)}learning by time",
                _bands(c, c.seconds, c.by_time, colours),
                "seconds of training",
                of,
            )
        )
        norms = [
            Line(arm, colours[arm], *_middle(runs), runs=[(list(x), list(y)) for x, y in runs])
            for arm, runs in c.norms.items()
            if runs
        ]
        figures.append(
            lines(f"{_of(found, setting)}largest gradient norms before clipping", norms, "update", "norm", ylog=True)
        )
    if not any(figures):
        return ""
    note = (
        "<p class='soft'>IQM over seeds with its 95% interval; thin lines are the seeds. Steps: sample efficiency.</p>"
    )
    return f"<h2>Learning</h2>{note}<div class='charts'>{''.join(figures)}</div>"


def _bands(c: Curves, grid: Any, by: dict[str, list[Any]], colours: dict[str, int]) -> list[Line]:
    del c
    series = []
    for arm, runs in by.items():
        middle, low, high = s.curve(runs)
        series.append(
            Line(
                arm,
                colours[arm],
                list(grid),
                list(middle),
                list(low),
                list(high),
                [(list(grid), list(r)) for r in runs],
            )
        )
    return series


def _middle(runs: list[tuple[Any, Any]]) -> tuple[list[float], list[float]]:
    longest = max((x for x, _ in runs), key=len)
    values = [np.interp(longest, x, y, right=np.nan) for x, y in runs]
    stacked = np.array(values)
    middle = [float(np.nanmedian(col)) if not np.isnan(col).all() else math.nan for col in stacked.T]
    return list(longest), middle


def _clipping(t: Told, colours: dict[str, int]) -> str:
    heads = [
        "arm",
        "setting",
        "clipped",
        "norm 50%",
        "norm 90%",
        "norm 99%",
        "largest",
        "threshold",
        "cost of clipping",
        "s",
    ]
    rows = []
    for row in t.summary:
        cells = [
            f'<td class="text"><span class="swatch c{colours[row["arm"]]}">{html.escape(row["arm"])}</span></td>',
            _cell(row["setting"]), _cell(row["clipped"], "share"),
            *(_cell(row[k]) for k in ("norm_median", "norm_p90", "norm_p99", "norm_max", "threshold")),
            _cell(row["clip_cost"], "share"), _cell(row["seconds"]),
        ]  # fmt: skip
        rows.append(f"<tr>{''.join(cells)}</tr>")
    note = (
        "<p class='soft'>Medians over seeds. Norms are those before clipping, of the policy's (or critic's) optimiser. "
        "Cost: share of the training's time that measuring and clipping took; the baseline pays for measuring.</p>"
    )
    return f"<h2>What clipping did</h2>{note}{_table(heads, rows)}"


def _robustness(found: Collected, colours: dict[str, int]) -> str:
    kinds = list(dict.fromkeys(k for r in found.rows for k in r.robustness.get("curves", {})))
    figures = []
    for setting in found.settings:
        for kind in kinds:
            series = []
            for arm in found.arms:
                runs = [r.robustness["curves"][kind] for r in found.of(arm, setting) if r.robustness]
                if runs:
                    middle, low, high = s.curve([np.array(v) for v in runs])
                    at = list(range(len(runs[0])))
                    series.append(Line(arm, colours[arm], at, list(middle), list(low), list(high)))
            name = kind.replace("_", " ")
            figures.append(lines(f"{_of(found, setting)}{name}", series, f"severity of {name}", "score"))
    if not any(figures):
        return ""
    told = []
    for arm in found.arms:
        values = [r.robustness["sensitivity"] for r in found.of(arm) if r.robustness]
        if values:
            told.append(f"{arm} {number(float(np.median(values)))}")
    note = (
        "<p class='soft'>Score under perturbations that no training saw, five severities, same routes. "
        f"Local sensitivity (change of action over change of observation, median): {html.escape(', '.join(told))}.</p>"
    )
    return f"<h2>Robustness</h2>{note}<div class='charts'>{''.join(figures)}</div>"


# -- runs -------------------------------------------------------------------------------------------------------------


def _videos(found: Collected, folder: Path) -> str:
    parts, left = [], MEGABYTES * 1e6
    for setting, slug in found.slugs.items():
        path = found.path / f"video-{slug}.mp4"
        if not path.exists():
            continue
        size = path.stat().st_size
        source = _link(path, folder)
        if size * 4 / 3 <= left:
            left -= size * 4 / 3
            source = f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"
        parts.append(
            f"<h3>{html.escape(setting)}</h3>"
            f"<video controls muted playsinline preload='metadata' src='{source}'></video>"
        )
    note = "<p class='soft'>The arms of the first seed on the same routes, none of them trained on.</p>"
    return f"<h2>Side by side</h2>{note}{''.join(parts)}" if parts else ""


def _divergences(found: Collected, n: int) -> str:
    lost = [r for r in found.rows if r.state == "diverged"]
    if not lost:
        return ""
    items = "".join(
        f'<li><a href="#{anchor(n, r)}">{html.escape(f"{r.arm}, seed {r.seed}, {r.setting}")}</a>: '
        f"{html.escape(r.origin)}</li>"
        for r in lost
    )
    return f"<h2>Where runs diverged</h2><ul class='verdicts'>{items}</ul>"


def _runs(found: Collected, colours: dict[str, int], folder: Path | None, n: int) -> str:
    heads = [
        "arm",
        "seed",
        "setting",
        "score",
        "state",
        "steps",
        "s",
        "clipped",
        "norm 50%",
        "norm 99%",
        "weights before",
        "after",
        "run",
    ]
    rows = []
    for r in found.rows:
        score, name = "-" if math.isnan(r.score) else number(r.score), html.escape(r.name)
        if folder is not None:
            link = _link(found.path / r.name, folder)
            score, name = f'<a href="{link}/evaluation.json">{score}</a>', f'<a href="{link}/">{name}</a>'
        state = f'<td class="text {r.state}" title="{html.escape(r.origin)}">{r.state}</td>'
        rows.append(
            f'<tr id="{anchor(n, r)}"><td class="text">'
            f'<span class="swatch c{colours[r.arm]}">{html.escape(r.arm)}</span></td>'
            f"{_cell(r.seed)}{_cell(r.setting)}"
            f'<td data-v="{"" if math.isnan(r.score) else r.score}">{score}</td>{state}'
            f"{_cell(r.step)}{_cell(r.seconds)}"
            f"{_cell(r.clipped, 'share')}{_cell(r.norm_median)}{_cell(r.norm_p99)}"
            f"{_cell(r.initial_weights)}{_cell(r.final_weights)}"
            f'<td class="text">{name}</td></tr>'
        )
    return _table(heads, rows)


def _link(path: Path, folder: Path) -> str:
    """A relative link from the report's folder."""
    return html.escape(os.path.relpath(path, folder))
