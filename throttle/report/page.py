"""The HTML of a report: one file with its style, script, charts and videos inside; nothing is fetched."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from throttle.compare.collect import Collected
from throttle.report.cells import verdicts
from throttle.report.robust import robustness
from throttle.report.runs import divergences, every_run, videos
from throttle.report.scores import scores, summary
from throttle.report.summary import Told
from throttle.report.training import clipping, learning

HERE = Path(__file__).parent
COLOURS = 8


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
    sections = [
        f"<h1>{html.escape(found.name)}</h1><p class='headline'>{html.escape(t.headline)}</p>{question}",
        _seeds(found),
        f"<h2>What may be said</h2>{verdicts(t.said)}{_method()}" if t.said else "",
        f"<h2>Scores</h2>{scores(t, colours, n)}{summary(t, colours, n)}",
        "" if folder is None else videos(found, folder),
        learning(found, colours),
        clipping(t, colours, n),
        robustness(t, colours, n),
        divergences(found, n),
        f"<h2>Every run</h2>{every_run(found, colours, folder, n)}",
    ]
    return "".join(sections)


def _method() -> str:
    return (
        "<details><summary>how this is decided</summary><p>IQM is the mean of the middle half of the runs. "
        "A difference is claimed only where its 95% interval (bootstrap stratified by setting, seeds drawn in pairs) "
        "leaves zero out and an exact permutation test, adjusted for the number of arms (Holm), stays under 5%. "
        "A run that diverged scores what its untrained policy does. "
        "All arms have the same initial weights, seeds and routes.</p></details>"
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
