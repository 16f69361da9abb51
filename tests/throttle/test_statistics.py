"""The statistics against rliable and scipy, and what a claim is worth: false claims and power counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from throttle.compare import statistics as s

RNG = np.random.default_rng(3)


def test_estimates_and_intervals_are_those_of_rliable() -> None:
    library = pytest.importorskip("rliable.library", reason="rliable is not installed")
    from rliable import metrics

    first, second = RNG.gamma(2.0, 10.0, (7, 5)), RNG.gamma(2.2, 10.0, (7, 5))
    own = s.iqm_interval(first, repeats=5000)
    assert own.value == pytest.approx(metrics.aggregate_iqm(first))
    points, intervals = library.get_interval_estimates(
        {"a": first}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=2000
    )
    assert own.value == pytest.approx(points["a"][0])
    assert [own.low, own.high] == pytest.approx(intervals["a"][:, 0], abs=0.5)

    better = s.probability_of_improvement(first, second, repeats=2000)
    assert better.value == pytest.approx(metrics.probability_of_improvement(first, second))
    points, intervals = library.get_interval_estimates(
        {"a,b": (first, second)}, lambda x, y: np.array([metrics.probability_of_improvement(x, y)]), reps=300
    )
    assert [better.low, better.high] == pytest.approx(intervals["a,b"][:, 0], abs=0.05)

    grid = np.linspace(0, 60, 13)
    above, low, high = s.profile(first, grid, repeats=2000)
    theirs, bounds = library.create_performance_profile({"a": first}, grid, reps=1000)
    assert above == pytest.approx(theirs["a"])
    assert low == pytest.approx(bounds["a"][0], abs=0.03)
    assert high == pytest.approx(bounds["a"][1], abs=0.03)


def test_ties_count_half_and_a_wide_task_does_not_swamp_the_others() -> None:
    assert s.probability_of_improvement(np.ones((4, 2)), np.ones((4, 2))).value == 0.5
    first = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    assert s.probability_of_improvement(first, first - [[0.5, -1000.0]]).value == pytest.approx((6 / 9 + 0) / 2)


def test_curve_is_the_iqm_at_each_point() -> None:
    runs = RNG.normal(size=(6, 11))
    middle, low, high = s.curve(list(runs))
    assert middle == pytest.approx([stats.trim_mean(runs[:, i], 0.25) for i in range(11)])
    assert np.all(low <= middle)
    assert np.all(middle <= high)


def test_permutation_test_is_exact_and_agrees_with_scipy() -> None:
    first, second = np.array([5.0, 6, 7, 8, 9]), np.array([1.0, 2, 3, 4, 4.5])
    assert s.permutation_p(first, second) == pytest.approx(2 / 252)  # completely apart, both directions
    first, second = RNG.normal(0.8, 1, 6), RNG.normal(0, 1, 6)
    theirs = stats.mannwhitneyu(first, second, method="exact").pvalue
    assert s.permutation_p(first, second) == pytest.approx(theirs)
    assert s.permutation_p(np.ones(5), np.ones(5)) == 1.0
    several = s.permutation_p(RNG.normal(1, 1, (5, 8)), RNG.normal(0, 1, (5, 8)))
    assert 0 < several < 0.05


def test_adjusted_and_exact_p_values_are_those_of_the_textbook() -> None:
    assert s.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    for table in ([[0, 5], [5, 0]], [[1, 9], [6, 4]], [[2, 3], [2, 3]]):
        (a, b), (c, d) = table
        assert s.fisher_p(a, a + b, c, c + d) == pytest.approx(stats.fisher_exact(table)[1])


def test_runs_needed_keeps_its_promise_of_four_in_five() -> None:
    first, second = np.array([10.0, 12, 14, 16, 18]), np.array([9.0, 11, 13, 15, 17])
    assert s.runs_needed(first, second) == math.ceil(2 * 2.801585**2 * 10 / 1) + 1
    assert s.runs_needed(first, first) == math.inf
    n = int(s.runs_needed([0.0, 2.0], [2.0, 4.0]))  # standard deviation sqrt(2), difference 2
    found = sum(
        stats.ttest_ind(RNG.normal(0, math.sqrt(2), n), RNG.normal(2, math.sqrt(2), n)).pvalue < 0.05
        for _ in range(500)
    )
    assert 0.72 < found / 500 < 0.9


def test_scores_that_are_none_are_refused() -> None:
    for bad in ([], [math.nan], np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match="scores are numbers"):
            s.iqm_interval(bad)
