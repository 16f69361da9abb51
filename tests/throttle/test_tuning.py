"""The threshold search: finds a known optimum, prunes, survives a kill without repeating a fold."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contracts import UserError
from throttle.tuning import ClipSpace, Range, read, tune

SPACE = ClipSpace(strategies=("global_norm", "quantile"))


def quality(params: Mapping[str, Any], fold: int, best: float = 2.0, journal: str = "") -> float:
    """A parabola over log10(threshold) with its top at `best`; folds differ by a constant; huge thresholds diverge."""
    clip = params["clip"]
    if journal:
        with open(journal, "a") as file:
            file.write(json.dumps([clip, fold]) + "\n")
    if clip["strategy"] == "none":
        return 3.0 + fold
    if clip["strategy"] == "quantile":
        return 2.0 + clip["quantile"] + fold
    if clip["threshold"] > 30:
        return math.nan
    return 10.0 - 4 * (math.log10(clip["threshold"]) - math.log10(best)) ** 2 + fold


def test_finds_the_best_threshold_beside_the_baseline_and_prunes_bad_ones(tmp_path: Path) -> None:
    journal = tmp_path / "calls"
    found = tune(partial(quality, journal=str(journal)), SPACE, [0, 1, 2], tmp_path / "t", trials=24)
    assert found.baseline.strategy == "none"
    assert found.baseline.folds == {0: 3.0, 1: 4.0, 2: 5.0}
    assert found.baseline.error == pytest.approx(1 / math.sqrt(3))
    assert found.best.strategy == "global_norm"
    assert 0.7 < (found.best.threshold or 0) < 6
    assert len(found.attempts) == 25
    states = {a.state for a in found.attempts}
    assert states == {"complete", "pruned"}
    calls = journal.read_text().splitlines()
    assert len(calls) == sum(len(a.folds) for a in found.attempts) < 75  # pruned trials cost less
    curve = found.curve("global_norm")
    assert [a.threshold for a in curve] == sorted(a.threshold or 0 for a in curve)
    assert any(a.diverged for a in curve)  # a diverged fold is a result
    assert found.best.name == f"global_norm={found.best.threshold:.4g}"
    assert found.curve("quantile")[0].name.startswith("quantile=0.")


def test_a_loss_is_minimised_and_other_numbers_are_searched(tmp_path: Path) -> None:
    space = ClipSpace(("global_norm",), {"global_norm": Range(0.5, 8.0)}, {"learning_rate": Range(1e-4, 1e-2)})

    def loss(params: Mapping[str, Any], fold: int) -> float:
        return abs(math.log(params["clip"].get("threshold", 100.0) / 2)) + abs(math.log(params["learning_rate"] / 1e-3))

    found = tune(loss, space, [0], tmp_path, trials=30, maximize=False)
    assert found.best.mean < 0.8
    assert all(0.5 <= (a.threshold or 1) <= 8 and 1e-4 <= a.params["learning_rate"] <= 1e-2 for a in found.attempts)


def test_a_grid_is_whole(tmp_path: Path) -> None:
    """Evenly spread, every fold, even where others would have been pruned or diverged."""
    space = ClipSpace.of(["global_norm"], {"global_norm": [0.1, 1000]})
    found = tune(quality, space, [0, 1, 2], tmp_path, trials=8, grid=True)
    assert [a.threshold for a in found.attempts[1:]] == pytest.approx([10 ** (-0.75 + 0.5 * k) for k in range(8)])
    assert {len(a.folds) for a in found.attempts} == {3}
    assert [a.diverged for a in found.attempts[1:]] == [0] * 5 + [3] * 3


SCRIPT = """
import sys, os
from functools import partial
from pathlib import Path
from tests.throttle.test_tuning import SPACE, quality
from throttle.tuning import tune
def dies(params, fold, journal):
    value = quality(params, fold, journal=journal)
    if sum(1 for _ in open(journal)) == 8:
        os.kill(os.getpid(), 9)
    return value
tune(partial(dies, journal=sys.argv[2]), SPACE, [0, 1], Path(sys.argv[1]), trials=8)
"""


def test_a_killed_search_goes_on_and_repeats_only_the_fold_in_hand(tmp_path: Path) -> None:
    journal = tmp_path / "calls"
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "t"), str(journal)], cwd=Path(__file__).parents[2]
    )
    assert killed.returncode == -9
    with pytest.raises(UserError, match="resume"):
        tune(quality, SPACE, [0, 1], tmp_path / "t", trials=8)
    with pytest.raises(UserError, match="other strategies"):
        tune(quality, SPACE, [0, 1, 2], tmp_path / "t", trials=8, resume=True)
    found = tune(partial(quality, journal=str(journal)), SPACE, [0, 1], tmp_path / "t", trials=8, resume=True)
    whole = tune(quality, SPACE, [0, 1], tmp_path / "whole", trials=8)
    assert repr(found.attempts) == repr(whole.attempts)
    calls = journal.read_text().splitlines()
    assert len(calls) == len(set(calls)) + 1
    assert repr(read(tmp_path / "t").rows()) == repr(found.rows())


def test_processes_find_the_same_kind_of_answer(tmp_path: Path) -> None:
    found = tune(quality, SPACE, [0, 1], tmp_path, trials=6, jobs=2)
    assert len(found.attempts) == 7
    assert found.baseline.folds == {0: 3.0, 1: 4.0}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ClipSpace(()), "at least one strategy"),
        (lambda: ClipSpace(("globalnorm",)), "no range"),
        (lambda: Range(1, 0.1), "lower to a higher"),
        (lambda: Range(0, 1), "above 0"),
        (lambda: ClipSpace.of(["agc"], {"skip": [1, 2]}), "not searched"),
        (lambda: ClipSpace.of(["agc"], {"agc": [1]}), "lowest, highest"),
    ],
)
def test_nonsense_is_one_line(make: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()
