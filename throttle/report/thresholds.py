"""The report of a threshold search: quality against threshold, a table, words that promise no more than it showed."""

from __future__ import annotations

import html
import math
from pathlib import Path

from throttle.compare.verdict import number
from throttle.report.charts import Line, lines
from throttle.report.files import write_tables
from throttle.runs import write_atomic
from throttle.tuning import Attempt, Search

HERE = Path(__file__).parent


def words(found: Search, score: str) -> str:
    """The best threshold beside no clipping, from the numbers alone."""
    best, bare = found.best, found.baseline
    lost = f" {bare.diverged} of {len(bare.folds)} unclipped trainings diverged." if bare.diverged else ""
    count = len(found.attempts) - 1
    text = f"Best of {count} thresholds: {best.name} with {_mean(best)} {score}; unclipped {_mean(bare)}.{lost}"
    apart = abs(best.mean - bare.mean)
    noise = math.hypot(best.error, bare.error)
    sign = 1 if found.maximize else -1
    if not math.isfinite(apart) or not math.isfinite(noise):
        return text + " Whether that is more than chance, a comparison with fresh seeds tells."
    if sign * (best.mean - bare.mean) <= 0:
        return text + " No threshold was better than no clipping."
    if apart < 2 * noise:
        return text + " That is within the noise of the folds: no benefit of clipping can be claimed."
    return text + " The best of many is flattered by chance: a comparison with fresh seeds tells what it is worth."


def _mean(attempt: Attempt) -> str:
    error = "" if math.isnan(attempt.error) else f" +- {number(attempt.error)}"
    return f"{number(attempt.mean)}{error}"


def write(found: Search, folder: Path, title: str, score: str) -> dict[str, Path]:
    """Write tuning.html, tuning.csv and tuning.parquet; returns what they are and where."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    charts = []
    for n, strategy in enumerate(dict.fromkeys(a.strategy for a in found.attempts[1:]), 1):
        curve = [a for a in found.curve(strategy) if math.isfinite(a.mean)]
        if not curve:
            continue
        at = [a.threshold or 0.0 for a in curve]
        spread = [0.0 if math.isnan(a.error) else a.error for a in curve]
        mean = [a.mean for a in curve]
        low, high = ([m + s * e for m, e in zip(mean, spread)] for s in (-1, 1))
        series = [Line(strategy, n % 8, at, mean, low, high)]
        if math.isfinite(found.baseline.mean):
            series.append(Line("none", 0, [min(at), max(at)], [found.baseline.mean] * 2))
        ratio = strategy not in ("quantile", "autoclip", "zclip", "adagc")
        charts.append(lines(f"{strategy}: {score} against threshold", series, "threshold", score, xlog=ratio))
    cells = []
    for a in found.attempts:
        values = "".join(f"<td>{number(v)}</td>" for v in (a.mean, a.error))
        cells.append(
            f"<tr><td>{a.number}</td><td class='text'>{html.escape(a.name)}</td>{values}<td>{len(a.folds)}</td>"
            f"<td>{a.diverged}</td><td class='text'>{a.state}</td></tr>"
        )
    heads = "".join(f"<th>{h}</th>" for h in ("trial", "arm", score, "standard error", "folds", "diverged", "state"))
    body = (
        f"<h1>{html.escape(title)}</h1><p class='headline'>{html.escape(words(found, score))}</p>"
        f"<div class='charts'>{''.join(charts)}</div><p class='soft'>Mean over folds and one standard error; trials "
        "that were pruned have fewer folds.</p><div class='scroll'><table class='sortable'><thead><tr>"
        f"{heads}</tr></thead><tbody>{''.join(cells)}</tbody></table></div>"
    )
    page = folder / "tuning.html"
    write_atomic(
        page,
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title)}</title>'
        f"<style>{style}</style></head><body>{body}<script>{script}</script></body></html>",
    )
    write_tables(found.rows(), folder / "tuning")
    return {"report": page, "table": folder / "tuning.csv", "parquet": folder / "tuning.parquet"}
