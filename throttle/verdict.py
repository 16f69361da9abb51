"""What may be said about a difference between two arms, and in what words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t, 97.5%, for 1 to 10 degrees of freedom."""


@dataclass(frozen=True)
class Difference:
    """Paired difference of two arms over seeds. low, high: 95% interval of the mean; infinite with a single seed."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0.0 or self.high < 0.0


def paired(first: Sequence[float], second: Sequence[float]) -> Difference:
    """first - second, a pair for each seed, with Student's interval over seeds (the unit that was trained anew).

    Raises ValueError unless both have the same length of at least 1.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"{len(first)} and {len(second)} values do not pair")
    steps = [a - b for a, b in zip(first, second)]
    n = len(steps)
    mean = sum(steps) / n
    if n == 1:
        return Difference(mean, -math.inf, math.inf, 1)
    deviation = math.sqrt(sum((s - mean) ** 2 for s in steps) / (n - 1))
    t = T_975[n - 2] if n - 2 < len(T_975) else 1.96 + 2.4 / (n - 1)
    half = t * deviation / math.sqrt(n)
    return Difference(mean, mean - half, mean + half, n)


def sentence(found: Difference, metric: str, routes: int, diverged: tuple[int, int] = (0, 0)) -> str:
    """The verdict on clipped (first) against unclipped (second), from the data alone."""
    n = f"n = {found.seeds} seed{'s' if found.seeds > 1 else ''} an arm, {routes} routes each"
    lost = ""
    if any(diverged):
        lost = f" Trainings that diverged: {diverged[0]} clipped, {diverged[1]} unclipped."
    if found.seeds == 1:
        return f"Clipped - unclipped: {found.mean:+.1f} {metric} ({n}). One seed: no difference can be claimed.{lost}"
    interval = f"95% interval {found.low:+.1f} to {found.high:+.1f}"
    if not found.certain:
        claim = "No difference can be claimed."
    else:
        claim = f"The clipped policies drove {'better' if found.mean > 0 else 'worse'} than the unclipped ones."
    return f"Clipped - unclipped: {found.mean:+.1f} {metric}, {interval} ({n}). {claim}{lost}"
