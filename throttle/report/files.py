"""A report as Markdown, CSV and Parquet."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from throttle.compare.verdict import number
from throttle.report.summary import Told
from throttle.runs import write_atomic


def markdown(told: Sequence[Told], facts: dict[str, str], folder: Path | None) -> str:
    """The headline, the verdicts, a table, where runs diverged, and where it all comes from."""
    parts = []
    for t in told:
        found = t.found
        seeds = sorted({r.seed for r in found.rows})
        parts += [f"# {found.name}", "", f"**{t.headline}**", ""]
        if found.question:
            parts += [found.question, ""]
        parts += [f"- {said.where}**{said.claim}** {said.evidence}" for said in t.said]
        parts += [
            "",
            "| setting | arm | n | IQM [95% interval] | p | diverged | clipped | norm 50% / 99% | cost of clipping |",
        ]
        parts += ["|---|---|---|---|---|---|---|---|---|"]
        for row in t.summary:
            p = "-" if math.isnan(row["p"]) else f"{row['p']:.2g}"
            parts.append(
                f"| {row['setting']} | {row['arm']} | {row['n']} | {row['score_text']} | {p} | {row['diverged']} | "
                f"{row['clipped_text']} | {_number(row['norm_median'])} / {_number(row['norm_p99'])} | "
                f"{row['clip_cost_text']} |"
            )
        parts += _known(t)
        if t.robust:
            parts += ["", "Under perturbations (mean area under score against severity):", ""]
            parts += [f"- {said.where}**{said.claim}** {said.evidence}" for said in t.robust]
        lost = [r for r in found.rows if r.state == "diverged"]
        if lost:
            parts += ["", "Where runs diverged:", ""]
            parts += [f"- {r.arm}, seed {r.seed}, {r.setting}: {r.origin}" for r in lost]
        runs = "" if folder is None else f" Runs: {_links(t, folder)}."
        parts += ["", f"Seeds {', '.join(map(str, seeds))}.{runs}", ""]
    parts.append(
        ", ".join(f"{name} {'`' + value + '`' if name == 'command' else value}" for name, value in facts.items())
    )
    return "\n".join(parts) + "\n"


def _known(t: Told) -> list[str]:
    """What the references score: the untrained policy, the best constant action."""
    said = []
    for setting, known in t.found.references.items():
        metric = next((r.metric for r in t.found.rows if r.setting == setting and r.over), "")
        values = [f"{name} {number(figures[metric])}" for name, figures in known.items() if metric in figures]
        where = f" in {setting}" if len(t.found.settings) > 1 else ""
        said += [f"For comparison{where}: {', '.join(values)}."] if values else []
    return ["", *said] if said else []


def _number(value: float) -> str:
    return "-" if math.isnan(value) else number(value)


def _links(t: Told, folder: Path) -> str:
    return ", ".join(f"[{r.name}]({os.path.relpath(t.found.path / r.name, folder)})" for r in t.found.rows)


def rows(told: Sequence[Told]) -> list[dict[str, Any]]:
    """A flat row for each run, all with the same columns."""
    flat = []
    for t in told:
        for r in t.found.rows:
            row = {f.name: getattr(r, f.name) for f in dataclasses.fields(r) if f.name not in ("figures", "robustness")}
            row |= {f"figure/{name}": value for name, value in r.figures.items()}
            for kind, values in r.robustness.get("curves", {}).items():
                row |= {f"robustness/{kind}/{severity}": value for severity, value in enumerate(values)}
            row |= {f"robustness/{kind}/area": value for kind, value in r.robustness.get("area", {}).items()}
            flat.append({"comparison": t.found.name, **row})
    columns = list(dict.fromkeys(name for row in flat for name in row))
    return [{name: row.get(name, math.nan) for name in columns} for row in flat]


def write_tables(flat: list[dict[str, Any]], path: Path) -> None:
    """path.csv and path.parquet."""
    import pyarrow
    import pyarrow.parquet

    text = io.StringIO()
    writer = csv.DictWriter(text, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    write_atomic(path.with_suffix(".csv"), text.getvalue())
    temporary = path.with_name(f".{path.name}.parquet.tmp")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(flat), temporary)
    os.replace(temporary, path.with_suffix(".parquet"))
