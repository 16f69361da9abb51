"""Pictures of comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from throttle.tracking import read_metrics

COLOURS = {"clipped": "#1f6fd6", "unclipped": "#e0782f", "untrained": "#8a8f98", "constant": "#b8bcc4"}
SMOOTH = 5  # rollouts that a point of a learning curve is the mean of


def _smooth(points: Sequence[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    steps, values = np.array(points, float).T
    width = min(SMOOTH, len(values))
    return steps[width - 1 :], np.convolve(values, np.ones(width) / width, "valid")


def comparison(
    path: Path,
    runs: Mapping[str, Sequence[Path]],
    scores: Mapping[str, Sequence[float]],
    axis: str,
    threshold: float | None,
) -> None:
    """Write a PNG: every seed's learning curve, gradient norms before clipping, and the evaluation.

    runs: arm -> run folders. scores: policy -> a value for each seed, on the axis named `axis`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import EngFormatter

    figure, (curve, norm, bars) = plt.subplots(1, 3, figsize=(14, 4.2), constrained_layout=True)
    measured = "rollout/completion"
    for arm, folders in runs.items():
        for n, folder in enumerate(folders):
            metrics = read_metrics(folder)
            measured = "rollout/completion" if "rollout/completion" in metrics else "rollout/return"
            style: dict[str, Any] = {"color": COLOURS[arm], "alpha": 0.8, "lw": 1.4, "label": arm if n == 0 else None}
            if measured in metrics:
                steps, values = _smooth(metrics[measured])
                curve.plot(steps, values, **style)
            norms = [points for name, points in metrics.items() if name.startswith("clip/") and name.endswith("/norm")]
            for points in norms[:1]:
                at, size = np.array(points, float).T
                norm.plot(at, size, **style)
    curve.set(title="training, every seed", xlabel="steps", ylabel=measured.split("/")[1])
    norm.set(title="gradient norm before clipping (mean of a rollout)", xlabel="steps", yscale="log")
    if threshold is not None:
        norm.axhline(threshold, color="black", lw=1, ls="--", label=f"threshold {threshold:g}")
    for place, (policy, seeds) in enumerate(scores.items()):
        bars.bar(place, float(np.mean(seeds)), color=COLOURS[policy], alpha=0.55, width=0.7)
        bars.plot([place] * len(seeds), seeds, "o", color=COLOURS[policy], mec="black", mew=0.6, ms=6)
    bars.set_xticks(range(len(scores)), list(scores))
    bars.set(title="routes not trained on, a dot a seed", ylabel=axis)
    for panel in (curve, norm, bars):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    for panel in (curve, norm):
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    if measured == "rollout/completion":
        curve.set_ylim(0, 1)
    curve.legend(frameon=False)
    norm.legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
