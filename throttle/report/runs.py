"""The part of a report about single runs: videos side by side, where trainings diverged, a row for each run."""

from __future__ import annotations

import base64
import html
import math
from pathlib import Path

from throttle.compare.collect import Collected
from throttle.compare.verdict import number
from throttle.report.cells import anchor, arm_cell, cell, linked, relative, setting_cells, setting_heads, table

MEGABYTES = 24
"""Videos beyond this are linked, not embedded: a report must open on a phone."""
HEADS = (
    "seed", "score", "state", "steps", "training s", "cost of clipping", "clipped", "norm 50%", "norm 99%",
    "weights before", "after", "run",
)  # fmt: skip


def videos(found: Collected, folder: Path) -> str:
    """A video a setting, inside the page while they are small."""
    parts, left = [], MEGABYTES * 1e6
    for setting, slug in found.slugs.items():
        path = found.path / f"video-{slug}.mp4"
        if not path.exists():
            continue
        size = path.stat().st_size
        source = relative(path, folder)
        if size * 4 / 3 <= left:
            left -= size * 4 / 3
            source = f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"
        parts.append(
            f"<h3>{html.escape(setting)}</h3>"
            f"<video controls muted playsinline preload='metadata' src='{source}'></video>"
        )
    note = "<p class='soft'>The arms of the first seed on the same routes, none of them trained on.</p>"
    return f"<h2>Side by side</h2>{note}{''.join(parts)}" if parts else ""


def divergences(found: Collected, n: int) -> str:
    """Step and layer of every divergence."""
    lost = [r for r in found.rows if r.state == "diverged"]
    if not lost:
        return ""
    items = "".join(
        f'<li><a href="#{anchor(n, r)}">{html.escape(f"{r.arm}, seed {r.seed}, {r.setting}")}</a>: '
        f"{html.escape(r.origin)}</li>"
        for r in lost
    )
    return f"<h2>Where runs diverged</h2><ul class='verdicts'>{items}</ul>"


def every_run(found: Collected, colours: dict[str, int], folder: Path | None, n: int) -> str:
    """A row for each run; with `folder`, its numbers lead to the files that they come from."""
    rows = []
    for r in found.rows:
        path = "" if folder is None or r.state == "missing" else relative(found.path / r.name, folder)

        def file(name: str, path: str = path) -> str:
            return f"{path}/{name}" if path else ""

        score = "-" if math.isnan(r.score) else number(r.score)
        cells = [
            arm_cell(r.arm, colours[r.arm]), *setting_cells(found, r.setting), cell(r.seed),
            f'<td data-v="{"" if math.isnan(r.score) else r.score}">{linked(score, file("evaluation.json"))}</td>',
            f'<td class="text {r.state}" title="{html.escape(r.origin)}">{linked(r.state, file("result.json"))}</td>',
            cell(r.step), cell(r.seconds), cell(r.clip_cost, "share"), cell(r.clipped, "share"), cell(r.norm_median),
            cell(r.norm_p99),
            cell(r.initial_weights), cell(r.final_weights),
            f'<td class="text">{linked(html.escape(r.name), file(""))}</td>',
        ]  # fmt: skip
        rows.append(f'<tr id="{anchor(n, r)}">{"".join(cells)}</tr>')
    return table(["arm", *setting_heads(found), *HEADS], rows)
