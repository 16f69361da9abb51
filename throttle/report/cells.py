"""Pieces of a report's page: cells, tables, links, titles."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from throttle.compare.collect import Collected, Row
from throttle.compare.verdict import number
from throttle.report.summary import Said, percent


def anchor(n: int, row: Row) -> str:
    """Where a run's row stands in the page."""
    return f"run-{n}-{row.name}"


def arm_cell(arm: str, colour: int, link: str = "") -> str:
    """An arm's name beside its colour; leads to its runs in a table of figures over seeds."""
    return f'<td class="text"><span class="swatch c{colour}">{linked(html.escape(arm), link)}</span></td>'


def first_run(n: int, found: Collected, arm: str, setting: str) -> str:
    """Link to the first of an arm's runs in a setting."""
    return f"#{anchor(n, found.of(arm, setting)[0])}"


def setting_cells(found: Collected, setting: str) -> list[str]:
    """The setting, where there are several."""
    return [f'<td class="text setting">{html.escape(setting)}</td>'] if len(found.settings) > 1 else []


def setting_heads(found: Collected) -> list[str]:
    """The head of that column."""
    return ["setting"] if len(found.settings) > 1 else []


def cell(value: Any, kind: str = "", link: str = "") -> str:
    """A cell that sorts by its value. kind: share, for per cent. link: where the number leads."""
    if isinstance(value, float):
        shown = percent(value) if kind == "share" else "-" if math.isnan(value) else number(value)
        sort = "" if math.isnan(value) else f"{value:.8g}"
        return f'<td data-v="{sort}">{linked(shown, link)}</td>'
    if isinstance(value, int):
        return f'<td data-v="{value}">{linked(str(value), link)}</td>'
    return f'<td class="text">{linked(html.escape(str(value)), link)}</td>'


def linked(shown: str, link: str) -> str:
    """Text, or text that leads somewhere."""
    return f'<a href="{link}">{shown}</a>' if link else shown


def table(heads: list[str], rows: list[str]) -> str:
    """A table that sorts by a click on a head and is pushed sideways where it is too wide."""
    head = "".join(f"<th>{html.escape(h)}</th>" for h in heads)
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table class="sortable">{body}</table></div>'


def verdicts(said: Sequence[Said]) -> str:
    """A list: what may be said, then what it rests on."""
    items = "".join(
        f"<li>{html.escape(s.where)}<b>{html.escape(s.claim)}</b> {html.escape(s.evidence)}</li>" for s in said
    )
    return f"<ul class='verdicts'>{items}</ul>" if said else ""


def of(found: Collected, setting: str) -> str:
    """The setting at the head of a title, where there are several."""
    return f"{setting}: " if len(found.settings) > 1 else ""


def relative(path: Path, folder: Path) -> str:
    """A relative link from the report's folder."""
    return html.escape(os.path.relpath(path, folder))
