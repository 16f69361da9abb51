"""Charts as SVG made here: seen without a script; a small one (page.js) lets values be read under the pointer.

Colours are CSS variables of the page, so that a chart follows light and dark.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 12, 52
NAMES = 190  # left of a dot plot, for the names of its rows
ROW = 38


@dataclass(frozen=True)
class Line:
    """A curve, its interval, and the single runs behind it; colour: number of the arm."""

    name: str
    colour: int
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    runs: Sequence[tuple[Sequence[float], Sequence[float]]] = ()


@dataclass(frozen=True)
class Dots:
    """A row of a dot plot: one dot a run, the IQM and its interval."""

    name: str
    colour: int
    values: Sequence[float]
    labels: Sequence[str]
    links: Sequence[str]
    middle: float
    low: float
    high: float
    reference: bool = False
    """Not an arm: drawn hollow."""


@dataclass(frozen=True)
class Axis:
    """From low to high, or their logarithms."""

    low: float
    high: float
    log: bool = False
    ticks: list[float] = field(default_factory=list)

    @classmethod
    def over(cls, values: Sequence[float], log: bool = False, zero: bool = False) -> Axis:
        """An axis that holds all values (finite ones; above 0 where logarithmic) with ticks at round numbers."""
        kept = [v for v in values if math.isfinite(v) and (not log or v > 0)]
        low, high = (min(kept), max(kept)) if kept else (0.0, 1.0)
        if log:
            first, last = math.floor(math.log10(low)), math.ceil(math.log10(high) + 1e-9)
            last = max(last, first + 1)
            every = max(1, round((last - first) / 6))
            return cls(10.0**first, 10.0**last, True, [10.0**e for e in range(first, last + 1, every)])
        if zero:
            low = min(low, 0.0)
        if high - low < 1e-12:
            low, high = low - 0.5, high + 0.5
        step = _round_step((high - low) / 5)
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        return cls(low, high, False, [low + i * step for i in range(round((high - low) / step) + 1)])

    def share(self, value: float) -> float:
        """Where a value lies, 0 to 1."""
        if self.log:
            span = math.log10(self.high / self.low)
            return math.log10(max(value, self.low) / self.low) / span
        return (value - self.low) / (self.high - self.low)


def _round_step(rough: float) -> float:
    base = 10.0 ** math.floor(math.log10(rough))
    return base * next(m for m in (1, 2, 2.5, 5, 10) if m * base >= rough * (1 - 1e-9))


def short(value: float) -> str:
    """A number for an axis."""
    if value == 0:
        return "0"
    size = abs(value)
    for limit, scale, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if size >= limit:
            return f"{value / scale:.4g}{unit}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if size >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def _frame(x: Axis, y: Axis, xlabel: str, height: int) -> list[str]:
    wide, high = WIDTH - LEFT - RIGHT, height - TOP - BOTTOM
    parts = []
    for tick in y.ticks:
        at = TOP + high * (1 - y.share(tick))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 7}" y="{at + 5:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in x.ticks:
        at = LEFT + wide * x.share(tick)
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{height - BOTTOM + 20}" text-anchor="middle">{short(tick)}</text>'
        )
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{TOP + high}" y2="{TOP + high}"/>')
    middle = LEFT + wide / 2
    parts.append(f'<text class="label" x="{middle}" y="{height - 6}" text-anchor="middle">{html.escape(xlabel)}</text>')
    return parts


def lines(
    title: str, series: Sequence[Line], xlabel: str, ylabel: str, *, ylog: bool = False, xlog: bool = False
) -> str:
    """A figure with curves, a legend, values under the pointer and as a table. Empty without a curve."""
    series = [line for line in series if len(line.x)]
    if not series:
        return ""
    xs = [v for line in series for v in line.x]
    ys = [v for line in series for part in (line.y, line.low, line.high, *(r[1] for r in line.runs)) for v in part]
    x, y = Axis.over(xs, xlog), Axis.over(ys, ylog)
    if not xlog:
        x = Axis(min(xs), max(max(xs), min(xs) + 1e-9), False, [t for t in x.ticks if min(xs) <= t <= max(xs)])
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(a: float, b: float) -> str:
        return f"{LEFT + wide * x.share(a):.1f},{TOP + high * (1 - y.share(b)):.1f}"

    parts = _frame(x, y, xlabel, HEIGHT)
    for line in series:
        if len(line.low):
            up = [place(a, b) for a, b in zip(line.x, line.high)]
            down = [place(a, b) for a, b in zip(line.x, line.low)]
            parts.append(f'<polygon class="band c{line.colour}" points="{" ".join(up + down[::-1])}"/>')
        for at, values in line.runs:
            points = " ".join(place(a, b) for a, b in zip(at, values) if math.isfinite(b))
            parts.append(f'<polyline class="run c{line.colour}" points="{points}"/>')
    for line in series:
        if len(line.y):
            points = " ".join(place(a, b) for a, b in zip(line.x, line.y) if math.isfinite(b))
            parts.append(f'<polyline class="line c{line.colour}" points="{points}"/>')
    data = {
        "x": {"low": x.low, "high": x.high, "log": x.log, "label": xlabel},
        "box": [LEFT, TOP, wide, high, WIDTH, HEIGHT],
        "series": [
            {
                "name": v.name,
                "c": v.colour,
                "x": _plain(v.x),
                "y": _plain(v.y),
                "low": _plain(v.low),
                "high": _plain(v.high),
            }
            for v in series
        ],
    }
    return _figure(title, parts, HEIGHT, [(v.name, v.colour) for v in series], data, _values(series, xlabel), ylabel)


def dots(title: str, rows: Sequence[Dots], xlabel: str) -> str:
    """A figure with a row an arm: every run a dot that links to it, the IQM and its interval."""
    if not rows:
        return ""
    height = TOP + BOTTOM + ROW * len(rows)
    values = [v for row in rows for v in (*row.values, row.low, row.high)]
    x = Axis.over(values)
    left = NAMES
    wide = WIDTH - left - RIGHT
    parts = []
    for tick in x.ticks:
        at = left + wide * x.share(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{height - BOTTOM + 20}" text-anchor="middle">{short(tick)}</text>'
        )
    for n, row in enumerate(rows):
        at = TOP + ROW * n + ROW // 2
        shown = row.name if len(row.name) <= 20 else row.name[:19] + "…"
        parts.append(
            f'<text class="tick name" x="{left - 10}" y="{at + 5}" text-anchor="end">{html.escape(shown)}</text>'
        )
        low, high, middle = (left + wide * x.share(v) for v in (row.low, row.high, row.middle))
        said = f"{row.name}: IQM {row.middle:.4g}, 95% interval {row.low:.4g} to {row.high:.4g}"
        parts.append(
            f'<g class="c{row.colour}{" reference" if row.reference else ""}"><title>{html.escape(said)}</title>'
            f'<line class="interval" x1="{low:.1f}" x2="{high:.1f}" y1="{at}" y2="{at}"/>'
            f'<line class="middle" x1="{middle:.1f}" x2="{middle:.1f}" y1="{at - 10}" y2="{at + 10}"/></g>'
        )
        for value, label, link in zip(row.values, row.labels, row.links):
            dot = (
                f'<circle class="dot c{row.colour}{" hollow" if row.reference else ""}" cy="{at}" r="6" '
                f'cx="{left + wide * x.share(value):.1f}"><title>{html.escape(label)}: {value:.4g}</title></circle>'
            )
            parts.append(f'<a href="{html.escape(link)}">{dot}</a>' if link else dot)
    parts.append(
        f'<text class="label" x="{left + wide / 2}" y="{height - 6}" text-anchor="middle">{html.escape(xlabel)}</text>'
    )
    return _figure(title, parts, height, [], None, "")


def _plain(values: Sequence[float]) -> list[float | None]:
    return [float(f"{float(v):.5g}") if math.isfinite(float(v)) else None for v in values]


def _values(series: Sequence[Line], xlabel: str) -> str:
    """The curves at a dozen places, as a table."""
    rows: list[str] = []
    for line in series:
        if not len(line.y):
            continue
        picked = np.unique(np.linspace(0, len(line.x) - 1, 12).round().astype(int))
        cells = "".join(f"<td>{short(float(line.y[i]))}</td>" for i in picked)
        if not rows:
            heads = "".join(f"<th>{short(float(line.x[i]))}</th>" for i in picked)
            rows.append(f"<tr><th>{html.escape(xlabel)}</th>{heads}</tr>")
        rows.append(f"<tr><th>{html.escape(line.name)}</th>{cells}</tr>")
    return (
        f"<details><summary>values</summary><div class='scroll'><table>{''.join(rows)}</table></div></details>"
        if rows
        else ""
    )


def _json(data: object) -> str:
    """JSON inside a script element: "<" would end it early where a name held "</script>"."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _figure(
    title: str,
    parts: list[str],
    height: int,
    legend: list[tuple[str, int]],
    data: object,
    values: str,
    ylabel: str = "",
) -> str:
    names = dict.fromkeys(legend)
    keys = "".join(f'<span class="key c{colour}">{html.escape(name)}</span>' for name, colour in names)
    above = f'<div class="above">{html.escape(ylabel)}</div>' if ylabel else ""
    script = "" if data is None else (f'<script type="application/json">{_json(data)}</script>')
    return (
        f'<figure class="chart"><figcaption>{html.escape(title)}</figcaption><div class="keys">{keys}</div>{above}'
        f'<div class="plot"><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(parts)}</svg></div>{values}{script}</figure>"
    )
