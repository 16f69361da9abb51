"""Learning curves and gradient norms of a comparison's runs, on common grids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contracts import UserError
from throttle.clip_records import find, read
from throttle.compare.collect import Array, Collected, leading
from throttle.tracking import read_metrics

POINTS = 60  # of a learning curve
SMOOTH = 5  # rows that a point of a learning curve is the mean of, fewer where there are few
MEASURED = (
    "rollout/completion",
    "rollout/return",
    "validation/map50",
    "validation/miou",
    "validation/loss",
    "train/loss",
)
"""What a learning curve shows: the first of these that a run has written."""


@dataclass(frozen=True)
class Curves:
    """Every run's learning curve of one setting, on common grids."""

    measured: str
    """What is measured during training: completion, return, validation/map50, ..."""
    steps: Array
    by_step: dict[str, list[Array]]
    """arm -> a curve for each seed."""
    seconds: Array
    by_time: dict[str, list[Array]]
    norms: dict[str, list[tuple[Array, Array]]]
    """arm -> (update, norm before clipping) of each run, thinned by taking the largest of each stretch."""


def curves(found: Collected, setting: str) -> Curves | None:
    """Learning curves of a setting; None where no run has written any."""
    series: dict[str, list[tuple[Array, Array, Array]]] = {}
    norms: dict[str, list[tuple[Array, Array]]] = {}
    measured = ""
    for arm in found.arms:
        for row in found.of(arm, setting):
            folder = found.path / row.name
            metrics = read_metrics(folder)
            name = next((n for n in MEASURED if n in metrics), "")
            if name:
                measured = name.removeprefix("rollout/")
                series.setdefault(arm, []).append(_series(metrics[name], metrics.get("time/fps", []), row.seconds))
            norms.setdefault(arm, []).extend(_norms(folder))
    if not series:
        return None
    everything = [s for several in series.values() for s in several]
    steps = np.linspace(0, max(s[0][-1] for s in everything), POINTS)
    # The time axis ends where half of the runs have ended, so that most of it rests on all arms.
    seconds = np.linspace(0, float(np.median([s[1][-1] for s in everything])), POINTS)
    last = float(steps[-1])

    def on(grid: Array, axis: int) -> dict[str, list[Array]]:
        return {
            arm: [_on(grid, run[axis], run[2], run[0][-1] < 0.97 * last) for run in several]
            for arm, several in series.items()
        }

    return Curves(
        measured=measured,
        steps=steps,
        by_step=on(steps, 0),
        seconds=seconds,
        by_time=on(seconds, 1),
        norms=norms,
    )


def _series(
    points: list[tuple[int, float]], fps: list[tuple[int, float]], seconds: float
) -> tuple[Array, Array, Array]:
    """steps, seconds since the start, smoothed values."""
    steps, values = np.array(points, float).T
    width = max(1, min(SMOOTH, len(values) // 4))
    smooth = np.convolve(values, np.ones(width) / width, "valid")
    steps = steps[width - 1 :]
    if fps:
        at, rate = np.array(fps, float).T
        passed = np.cumsum(np.diff(at, prepend=0.0) / np.maximum(rate, 1e-9))
        return steps, np.interp(steps, at, passed), smooth
    return steps, steps * (seconds / steps[-1] if seconds > 0 and steps[-1] > 0 else 1.0), smooth


def _on(grid: Array, at: Array, values: Array, short: bool) -> Array:
    """Values on the grid; after the end of a run that broke off (diverged) it is worth what it was at its beginning."""
    on = np.interp(grid, at, values)
    if short:
        on = np.where(grid > at[-1], values[0], on)
    return on


def _norms(folder: Path) -> list[tuple[Array, Array]]:
    try:
        files = find(folder)
        stem = leading([f.stem for f in files])
        c = read(next(f for f in files if f.stem == stem)).columns
    except UserError:
        return []
    norm = np.where(np.isfinite(c["norm"]), c["norm"], np.nan)
    count = min(POINTS, len(norm))
    parts = np.array_split(np.arange(len(norm)), count)
    kept = [p for p in parts if not np.isnan(norm[p]).all()]
    return [(np.array([c["step"][p[-1]] for p in kept]), np.array([np.nanmax(norm[p]) for p in kept]))] if kept else []
