"""Verdicts say no more than the numbers allow, in both directions."""

from __future__ import annotations

import numpy as np
import pytest

from contracts import UserError
from throttle.compare.arms import parse_arms
from throttle.compare.verdict import headline, judge, more_words, sentence

CLEAR = {"none": [10.0, 11, 12, 13, 14], "agc": [20.0, 21, 22, 23, 24]}


def test_a_clear_difference_is_claimed_in_either_direction() -> None:
    (found,) = judge(CLEAR, "none")
    assert found.claim == "better"
    assert found.difference.value == 10
    assert found.improvement.value == 1.0
    assert found.more == 0
    assert "agc is better than none" in sentence(found, "points")
    assert "p = 0.0079" in sentence(found, "points")
    assert headline([found], "points") == "agc scored better than none."
    (found,) = judge({"none": CLEAR["agc"], "agc": CLEAR["none"]}, "none")
    assert found.claim == "worse"
    assert headline([found], "points") == "Clipping did not help here. agc scored worse than none."


def test_a_difference_that_may_be_chance_is_not_claimed_and_the_price_of_knowing_is_named() -> None:
    (found,) = judge({"none": [10.0, 20, 30, 40, 50], "agc": [16.0, 26, 36, 46, 56]}, "none")
    assert found.claim == "none"
    assert found.needed == 111
    text = sentence(found, "points", "64 routes each")
    assert text.startswith("agc against none: no difference can be claimed. If it is real, about 106 more seeds an arm")
    assert "n = 5 seeds an arm, 64 routes each" in text
    assert headline([found], "points").startswith("Clipping did not help here. No difference in points can be claimed")
    lead = [64.5, 68.0, 47.0, 51.0, 60.0]  # clear of chance alone, not as one of two arms
    likely = judge({"none": [2.4, 5.1, 53.6, 4.0, 46.0], "agc": lead, "value": lead}, "none")
    assert [v.claim for v in likely] == ["none", "none"]
    assert headline(likely, "points").startswith("Whether clipping helps is not decided here. No difference")
    (alike,) = judge({"none": [1.0, 2, 3], "agc": [1.0, 2, 3]}, "none")
    assert "scored alike" in more_words(alike)
    (single,) = judge({"none": [1.0], "agc": [100.0]}, "none")
    assert "agc against none: no difference can be claimed from one seed." in sentence(single, "points")


def test_diverged_runs_are_counted_and_can_be_the_finding() -> None:
    (found,) = judge({"none": [1.0] * 5, "agc": [1.0, 9, 9, 9, 9]}, "none", {"none": 5, "agc": 1})
    assert found.diverged == (1, 5)
    assert found.diverged_p == pytest.approx(0.0476, abs=1e-3)
    assert "Trainings that diverged: 1 agc, 5 none (a difference in itself, p = 0.048)" in sentence(found, "points")
    assert "5 runs of none diverged, 1 of agc" in headline([found], "points")
    assert "did not help" not in headline([found], "points")


def test_false_claims_stay_rare_even_with_several_arms() -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(150):
        found = judge({name: rng.gamma(2.0, 10.0, 5) for name in ("none", "a", "b", "c")}, "none")
        wrong += any(v.claim != "none" for v in found)
    assert wrong <= 12  # 5% of 150 is 7.5


def test_arms_from_words() -> None:
    arms = parse_arms("none,global_norm=0.5,quantile,q9:quantile=0.9,agc,skip=5,value=-0.1..0.2,autoclip=20/window=64")
    assert [a.name for a in arms] == [
        "none", "global_norm=0.5", "quantile", "q9", "agc", "skip=5", "value=-0.1..0.2", "autoclip=20/window=64",
    ]  # fmt: skip
    assert arms[0].clip.nonfinite == "ignore"  # truly unclipped
    assert arms[1].clip.threshold == 0.5
    assert arms[1].clip.nonfinite == "skip"
    assert arms[3].clip.quantile == 0.9
    assert (arms[6].clip.lower, arms[6].clip.upper) == (-0.1, 0.2)
    assert (arms[7].clip.percentile, arms[7].clip.window) == (20, 64)
    assert arms[1].slug == "global-norm-0.5"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at least one arm"),
        ("globalnorm=1", "no strategy is called 'globalnorm'"),
        ("global_norm", "arm 'global_norm':"),
        ("global_norm=0", "arm 'global_norm=0':"),
        ("global_norm=x", "'x' is not a number"),
        ("global_norm=1,global_norm=1", "two arms are called"),
        ("global_norm=1/windw=3", "no option 'windw'"),
        ("per_sample=1", "inside the loss"),
    ],
)
def test_an_arm_that_cannot_be_is_one_line(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        parse_arms(text)
    assert "\n" not in str(caught.value)
