"""Statistics of few runs, as in "Deep RL at the edge of the statistical precipice" (Agarwal et al. 2021, rliable).

Scores are arrays [runs, tasks], higher is better; a run is a seed that was trained anew. Intervals are 95% percentile
intervals of the bootstrap that is stratified by task. Five runs are few for a bootstrap (its interval is too narrow
then), so a claim also needs `permutation_p`, which is exact at any number of runs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
REPEATS = 5000
EXACT = 20_000  # arrangements up to which a permutation test goes through all of them
Z_95, Z_POWER = 1.959964, 0.841621  # normal quantiles of a two-sided 5% test and of 80% power


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval."""

    value: float
    low: float
    high: float


def as_scores(values: Sequence[float] | Scores) -> Scores:
    """[runs, tasks] from that or from a sequence of runs; ValueError where it is empty or holds NaN."""
    array = np.asarray(values, np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.size == 0 or np.isnan(array).any():
        raise ValueError(f"scores are numbers [runs, tasks], at least one, got an array of shape {array.shape}")
    return array


def iqm(scores: Scores) -> NDArray[np.float64]:
    """Interquartile mean over the last two axes: the mean of the middle half (a quarter cut off at each end)."""
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), -1)
    cut = flat.shape[-1] // 4
    middle: NDArray[np.float64] = flat[..., cut : flat.shape[-1] - cut].mean(-1)
    return middle


def resampled(shape: tuple[int, int], repeats: int, seed: int) -> NDArray[np.intp]:
    """[repeats, runs, tasks]: for each task by itself, which runs are drawn (with replacement)."""
    return np.random.default_rng(seed).integers(0, shape[0], (repeats, *shape))


def _draw(scores: Scores, index: NDArray[np.intp]) -> Scores:
    return np.take_along_axis(np.broadcast_to(scores, index.shape), index, axis=-2)


def _interval(value: float, samples: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(samples, (2.5, 97.5))
    return Interval(float(value), float(low), float(high))


def iqm_interval(scores: Scores, repeats: int = REPEATS, seed: int = 0) -> Interval:
    """IQM with its interval."""
    scores = as_scores(scores)
    return _interval(float(iqm(scores)), iqm(_draw(scores, resampled(scores.shape, repeats, seed))))


def difference(first: Scores, second: Scores, repeats: int = REPEATS, seed: int = 0) -> Interval:
    """IQM(first) - IQM(second). Where both have the same runs (paired seeds) these are drawn together."""
    first, second = as_scores(first), as_scores(second)
    index = resampled(first.shape, repeats, seed)
    other = index if first.shape == second.shape else resampled(second.shape, repeats, seed + 1)
    samples = iqm(_draw(first, index)) - iqm(_draw(second, other))
    return _interval(float(iqm(first) - iqm(second)), samples)


def _better(first: Scores, second: Scores) -> NDArray[np.float64]:
    """Probability that a run of first is above one of second, mean over tasks; ties count half. [..., runs, tasks]."""
    pairs = np.sign(first[..., :, None, :] - second[..., None, :, :])
    share: NDArray[np.float64] = (0.5 * (pairs + 1)).mean((-3, -2, -1))
    return share


def probability_of_improvement(first: Scores, second: Scores, repeats: int = 2000, seed: int = 0) -> Interval:
    """P(a run of first scores higher than one of second), from the Mann-Whitney statistic, with its interval."""
    first, second = as_scores(first), as_scores(second)
    samples = _better(
        _draw(first, resampled(first.shape, repeats, seed)), _draw(second, resampled(second.shape, repeats, seed + 1))
    )
    return _interval(float(_better(first, second)), samples)


def profile(
    scores: Scores, thresholds: Sequence[float], repeats: int = 1000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Performance profile: share of runs above each threshold, and the interval's ends; each [thresholds]."""
    scores = as_scores(scores)
    drawn = _draw(scores, resampled(scores.shape, repeats, seed))
    above = np.array([(scores > t).mean() for t in thresholds])
    samples = np.array([(drawn > t).mean((-2, -1)) for t in thresholds])
    low, high = np.percentile(samples, (2.5, 97.5), axis=1)
    return above, low, high


def curve(runs: Sequence[NDArray[np.float64]], repeats: int = 500, seed: int = 0) -> tuple[Scores, Scores, Scores]:
    """IQM over runs at each point of curves on a common grid (each run [points]), with the interval's ends."""
    values = np.stack(runs)[:, None, :]  # a single task
    index = np.random.default_rng(seed).integers(0, len(runs), (repeats, len(runs)))
    samples = iqm(np.moveaxis(values[index, 0, :], 2, 0)[..., None])  # [points, repeats]
    low, high = np.percentile(samples, (2.5, 97.5), axis=1)
    return iqm(np.moveaxis(values, 2, 0)), low, high


def permutation_p(first: Scores, second: Scores, repeats: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value that two arms are alike: how often runs dealt at random to them are at least as far apart.

    Distance is that of the probability of improvement from 1/2 (for one task: the exact Mann-Whitney test, ties
    included). Runs are dealt within each task; all arrangements are tried where they are few (5 + 5 runs of one task:
    252), else `repeats` random ones. Valid for paired seeds too: pairing can only make it more cautious.
    """
    first, second = as_scores(first), as_scores(second)
    pool, n = np.concatenate([first, second]), len(first)
    extra = 0
    if pool.shape[1] == 1 and math.comb(len(pool), n) <= EXACT:
        chosen = list(itertools.combinations(range(len(pool)), n))
        order = np.array([[*c, *sorted(set(range(len(pool))) - set(c))] for c in chosen])[..., None]
    else:
        order = np.random.default_rng(seed).random((repeats, *pool.shape)).argsort(1)
        extra = 1  # the arrangement that was seen
    dealt = _draw(pool, order)
    distances = np.abs(_better(dealt[:, :n], dealt[:, n:]) - 0.5)
    hits = int((distances >= abs(_better(first, second) - 0.5) - 1e-9).sum())
    return (hits + extra) / (len(order) + extra)


def holm(values: Sequence[float]) -> list[float]:
    """p-values of several comparisons, adjusted so that one false claim in the whole family stays under 5%."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = highest
    return adjusted


def fisher_p(first: int, of_first: int, second: int, of_second: int) -> float:
    """Two-sided p-value (Fisher's exact test) that two shares, e.g. of diverged runs, are the same."""
    total, hits = of_first + of_second, first + second

    def chance(k: int) -> float:
        return math.comb(of_first, k) * math.comb(of_second, hits - k) / math.comb(total, hits)

    possible = range(max(0, hits - of_second), min(of_first, hits) + 1)
    return min(1.0, sum(chance(k) for k in possible if chance(k) <= chance(first) * (1 + 1e-9)))


def runs_needed(first: Scores, second: Scores) -> float:
    """Runs an arm that would show the difference seen, were it the true one, in 4 of 5 comparisons; inf without one.

    The usual formula for two means, 2 (z_.975 + z_.8)^2 s^2 / d^2, plus one for the small sample's t; on means over
    tasks of each run.
    """
    a, b = as_scores(first).mean(1), as_scores(second).mean(1)
    gap = abs(float(a.mean() - b.mean()))
    if min(len(a), len(b)) < 2 or gap == 0.0:
        return math.inf
    spread = 0.5 * float(a.var(ddof=1) + b.var(ddof=1))
    return max(2.0, math.ceil(2 * (Z_95 + Z_POWER) ** 2 * spread / gap**2) + 1.0)
