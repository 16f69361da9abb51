"""The explanation says what the records show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from clipping.explain import Explanation, bulk_limit, explain, histogram

RNG = np.random.default_rng(0)
NORMS = np.exp(RNG.normal(0.0, 0.3, 1000))
NORMS[::50] *= 100  # 20 spikes


def of(norms: Any, tau: float, **more: Any) -> Explanation:
    norms = np.asarray(norms, float)
    coef = np.minimum(1.0, tau / norms)
    return explain(norms, np.full(len(norms), tau), coef, coef < 1, np.zeros(len(norms), bool), **more)


def test_a_threshold_above_the_bulk_is_a_brake() -> None:
    seen = of(NORMS, 5.0)
    assert seen.acts_as == "brake"
    assert seen.clipped == pytest.approx(0.02)
    assert seen.sits_at == pytest.approx(0.98)
    assert "brake on spikes" in seen.words
    assert "2% of them limited" in seen.words
    assert 1.5 < seen.suggested < 5.0
    assert seen.suggested_clips == pytest.approx(0.02, abs=0.005)


def test_the_suggestion_carries_the_units_and_ignores_how_tall_spikes_are() -> None:
    taller = NORMS.copy()
    taller[::50] *= 1e6
    assert bulk_limit(taller) == bulk_limit(NORMS)
    assert bulk_limit(NORMS * 1024) == pytest.approx(1024 * bulk_limit(NORMS))


def test_a_threshold_below_nearly_all_norms_is_a_learning_rate() -> None:
    even = 10 + RNG.normal(0, 0.3, 500)
    under_adam = of(even, 0.1, optimizer="AdamW")
    assert under_adam.acts_as == "rate"
    assert "a factor that hardly varies cancels" in under_adam.words
    uneven = of(np.exp(RNG.normal(0, 1, 500)), 0.01, optimizer="Adam")
    assert "all gradients weigh alike" in uneven.words
    under_sgd = of(even, 0.1, optimizer="SGD")
    assert "times smaller" in under_sgd.words
    assert "cancels" not in under_sgd.words
    assert "constant factor cancels" in of(even, 0.1).words


def test_between_the_two_it_is_both_and_far_above_it_is_nothing() -> None:
    assert of(NORMS, float(np.median(NORMS)) * 1.2).acts_as == "both"
    idle = of(NORMS, 1e6)
    assert idle.acts_as == "nothing"
    assert "same as one without clipping" in idle.words
    assert "99% below" in idle.words


def test_an_unclipped_run_is_measured_and_told_where_its_bulk_ends() -> None:
    seen = of(NORMS, math.inf, subsystem="planning")
    assert seen.acts_as == "unclipped"
    assert seen.words.startswith("planning: 1000 steps, 0% of them")
    assert "without clipping" in seen.words
    assert f"{seen.suggested:.4g}" in seen.words


def test_skipped_and_non_finite_steps_are_counted_apart() -> None:
    norms = np.array([1.0, math.nan, math.inf, 9.0, 1.0])
    out = np.array([False, True, True, True, False])
    seen = explain(norms, [5, math.nan, math.nan, 5, 5], [1, 0, 0, 0, 1], np.zeros(5, bool), out)
    assert (seen.nonfinite, seen.skipped) == (2, 3)
    assert seen.clipped == pytest.approx(1 / 3)
    assert seen.threshold == 5
    assert "not finite: 2. Skipped updates: 3." in seen.words
    assert explain([], [], [], [], []).words == "model: no step is recorded yet."
    broken = explain([math.nan], [1.0], [0.0], [False], [True])
    assert broken.acts_as == "empty"
    assert "first bad loss" in broken.words


def test_a_strategy_of_parts_and_a_moving_threshold() -> None:
    parts = explain(NORMS, np.full(1000, math.nan), np.full(1000, 0.5), np.ones(1000, bool), np.zeros(1000, bool))
    assert "no single threshold" in parts.words
    moving = explain(NORMS, np.linspace(1, 3, 1000), np.ones(1000), np.zeros(1000, bool), np.zeros(1000, bool))
    assert "moved from 1 to 3" in moving.words


def test_norms_that_drift_ask_for_a_threshold_that_follows() -> None:
    falling = np.geomspace(100, 0.1, 400)
    assert "'quantile' follows" in of(falling, 1.0).words
    assert "'quantile' follows" not in of(NORMS, 1.0).words


def test_what_cannot_be_explained_is_refused() -> None:
    with pytest.raises(ValueError, match="same length"):
        explain([1.0], [1.0, 2.0], [1.0], [False], [False])


def test_the_histogram_counts_every_norm_and_marks_the_threshold() -> None:
    text = histogram(NORMS, 5.0)
    counts = [int(line.replace("<- threshold", "").split()[-1]) for line in text.splitlines()]
    assert sum(counts) == 1000
    assert text.count("<- threshold") == 1
    marked = next(line for line in text.splitlines() if "threshold" in line)
    low, high = float(marked.split()[0]), float(marked.split()[2])
    assert low <= 5.0 <= high
    assert histogram([2.0, 2.0, math.nan]).split()[-1] == "2"
    assert histogram([math.inf]) == "(no finite norm)"
