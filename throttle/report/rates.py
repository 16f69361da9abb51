"""Searches for a threshold at several learning rates on one page: clipped against unclipped, fold by fold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from throttle.compare.verdict import number
from throttle.runs import write_atomic
from throttle.tuning import Attempt, Search

LEVEL = 0.95
"""Of the interval of a difference."""


def difference(attempt: Attempt, bare: Attempt) -> tuple[float, float, float]:
    """The attempt's figure less the unclipped one's: mean over the folds that both have, and the ends of Student's

    interval for paired samples. nan where a fold diverged; the ends also below two folds.
    """
    gaps = np.array([attempt.folds[f] - bare.folds[f] for f in attempt.folds if f in bare.folds])
    if not len(gaps) or not np.isfinite(gaps).all():
        return math.nan, math.nan, math.nan
    mean = float(gaps.mean())
    if len(gaps) < 2:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(gaps) - 1) * gaps.std(ddof=1) / math.sqrt(len(gaps)))
    return mean, mean - half, mean + half


def sentence(found: Mapping[float, Search], score: str) -> str:
    """How many thresholds were better or worse than no clipping beyond chance, from the numbers alone."""
    tried, better, worse, lost = 0, [], [], []
    for rate, search in found.items():
        for attempt in search.attempts[1:]:
            _, low, high = difference(attempt, search.baseline)
            tried += 1
            name = f"{attempt.name} at {rate:g}"
            sign = 1 if search.maximize else -1
            if min(sign * low, sign * high) > 0:
                better.append(name)
            elif max(sign * low, sign * high) < 0:
                worse.append(name)
        if search.baseline.diverged:
            lost.append(f"{search.baseline.diverged} of {len(search.baseline.folds)} at {rate:g}")
    text = (
        f"Of {tried} pairs of threshold and learning rate, {len(better)} had a better and {len(worse)} a worse {score} "
        f"than no clipping, beyond the spread of the folds ({LEVEL:.0%} interval of each pair for itself; chance alone "
        f"would make {(1 - LEVEL) * tried:.1f} in all)."
    )
    for what, names in (("Better", better), ("Worse", worse), ("Unclipped trainings that diverged", lost)):
        if names:
            text += f" {what}: {', '.join(names)}."
    return text


def write(
    found: Mapping[float, Search], shares: Mapping[float, Sequence[float]], path: Path, title: str, score: str
) -> Path:
    """Write a Markdown page of all rates. shares: of each attempt, the share of updates that were clipped."""
    lines = [
        f"# {title}",
        "",
        sentence(found, score),
        "",
        f"| learning rate | arm | clipped | {score} | folds | less unclipped, mean [{LEVEL:.0%}] |",
        "|---|---|---|---|---|---|",
    ]
    for rate, search in found.items():
        ordered = sorted(zip(search.attempts, shares[rate]), key=lambda pair: _place(search, pair[0]))
        for attempt, share in ordered:
            folds = " ".join(number(v) for v in attempt.folds.values())
            apart = "-"
            if attempt is not search.baseline:
                mean, low, high = (number(v, signed=True) for v in difference(attempt, search.baseline))
                apart = f"{mean} [{low}, {high}]"
            lines.append(
                f"| {rate:g} | {attempt.name} | {share:.0%} | {number(attempt.mean)} +- {number(attempt.error)} | "
                f"{folds} | {apart} |"
            )
    write_atomic(path, "\n".join([*lines, ""]))
    return path


def _place(search: Search, attempt: Attempt) -> tuple[bool, str, float]:
    return attempt is not search.baseline, attempt.strategy, attempt.threshold or 0.0
