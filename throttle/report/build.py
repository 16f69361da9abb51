"""Builds a report: collected comparisons in, files in a folder out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throttle.compare.collect import Collected
from throttle.report.files import markdown, rows, write_tables
from throttle.report.page import page
from throttle.report.summary import Told, tell
from throttle.runs import write_atomic

FACTS = "facts.json"


@dataclass(frozen=True)
class Built:
    """What a report says and where it lies."""

    headline: str
    lines: list[str]
    summary: list[dict[str, Any]]
    files: dict[str, Path]


def build(found: Sequence[Collected], folder: Path, links: bool = True) -> Built:
    """Write report.html, report.md, runs.csv and runs.parquet into the folder.

    links: to the folders of the runs, and videos; without them the report can be kept when the runs are not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told: list[Told] = [tell(c) for c in found]
    facts = _facts(found)
    files = {"report": folder / "report.html", "text": folder / "report.md", "table": folder / "runs.csv"}
    write_atomic(files["report"], page(told, facts, folder if links else None))
    write_atomic(files["text"], markdown(told, facts, folder if links else None))
    write_tables(rows(told), folder / "runs")
    return Built(
        headline=" ".join(t.headline for t in told),
        lines=[t.headline for t in told] + [str(said) for t in told for said in t.said],
        summary=[row for t in told for row in t.summary],
        files={**files, "parquet": folder / "runs.parquet"},
    )


def _facts(found: Sequence[Collected]) -> dict[str, str]:
    """Command, commit, date and machine of the comparisons, as they were when they began."""
    known: dict[str, list[str]] = {}
    for c in found:
        file = c.path / FACTS
        if file.exists():
            for name, value in json.loads(file.read_text(encoding="utf-8")).items():
                known.setdefault(name, []).append(value)
    return {name: "; ".join(dict.fromkeys(values)) for name, values in known.items()}
