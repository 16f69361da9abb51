"""Pictures for documents and for whoever has no browser: quality against threshold, quality against perturbation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from throttle.tuning import Search

SIZE = 4.2
"""Inches of a panel's side."""
ROW = 4
"""Perturbations beside one another."""
TICKS = 8
"""Thresholds that are written at their places below a curve."""


def thresholds(searches: Mapping[str, Search], score: str, path: Path) -> Path:
    """Write a PNG: a row for each search, a panel for each strategy: mean and standard error against threshold, and the
    unclipped training as a line."""
    strategies = list(dict.fromkeys(a.strategy for s in searches.values() for a in s.attempts if a.threshold))
    figure, panels = _figure(len(searches), max(len(strategies), 1))
    for row, (name, search) in zip(panels, searches.items()):
        for axes, strategy in zip(row, strategies):
            curve = [a for a in search.curve(strategy) if math.isfinite(a.mean)]
            at = [a.threshold or 0.0 for a in curve]
            noise = [0.0 if math.isnan(a.error) else a.error for a in curve]
            axes.errorbar(at, [a.mean for a in curve], noise, fmt="o-", capsize=3, label=strategy)
            bare = search.baseline
            if math.isfinite(bare.mean):
                axes.axhline(bare.mean, color="C3", label="no clipping")
                if not math.isnan(bare.error):
                    axes.axhspan(bare.mean - bare.error, bare.mean + bare.error, color="C3", alpha=0.15)
            if strategy not in ("quantile", "autoclip", "zclip", "adagc"):
                axes.set_xscale("log")
                axes.set_xticks([], minor=True)  # their labels would overlap
                if len(at) <= TICKS:
                    axes.set_xticks(at, [f"{value:.3g}" for value in at])
            axes.set(title=name, xlabel=f"threshold of {strategy}", ylabel=score)
            axes.legend(fontsize=7)
    return _write(figure, path)


def robustness(arms: Mapping[str, Mapping[str, Sequence[float]]], score: str, path: Path) -> Path:
    """Write a PNG: a panel for each perturbation, in it a curve for each arm over severity 0 (none) to its last."""
    kinds = list(dict.fromkeys(kind for curves in arms.values() for kind in curves))
    columns = min(max(len(kinds), 1), ROW)
    figure, panels = _figure(max(math.ceil(len(kinds) / columns), 1), columns)
    for axes, kind in itertools.zip_longest(panels.flat, kinds):
        if kind is None:
            axes.set_axis_off()
            continue
        for name, curves in arms.items():
            axes.plot(range(len(curves[kind])), curves[kind], "o-", label=name)
        axes.set(title=kind, xlabel="severity", ylabel=score)
        low, high = axes.get_ylim()
        low = min(0.0, low)  # else what hardly changes looks like a fall
        axes.set_ylim(low, high + 0.05 * (high - low))
        axes.legend(fontsize=7)
    return _write(figure, path)


def _figure(rows: int, columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE * columns, 0.8 * SIZE * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _write(figure: Any, path: Path) -> Path:
    temporary = path.with_name(f".{path.name}")
    figure.savefig(temporary, dpi=110, format="png")
    temporary.replace(path)
    return path
