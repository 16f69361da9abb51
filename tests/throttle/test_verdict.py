"""What may be said about a difference."""

from __future__ import annotations

import math

import pytest

from throttle.verdict import paired, sentence


def test_interval_is_students() -> None:
    found = paired([3.0, 5.0, 7.0], [1.0, 2.0, 3.0])  # differences 2, 3, 4: mean 3, deviation 1
    assert found.mean == 3.0
    assert (found.high - found.low) / 2 == pytest.approx(4.303 / math.sqrt(3))
    assert found.certain


def test_words_follow_the_data() -> None:
    better = sentence(paired([3.0, 5.0, 7.0], [1.0, 2.0, 3.0]), "points", 50)
    worse = sentence(paired([1.0, 2.0, 3.0], [3.0, 5.0, 7.0]), "points", 50)
    unclear = sentence(paired([1.0, 9.0, 3.0], [3.0, 5.0, 2.0]), "points", 50, (0, 2))
    single = sentence(paired([9.0], [1.0]), "points", 50)
    assert "drove better" in better
    assert "drove worse" in worse
    assert "No difference can be claimed" in unclear
    assert "0 clipped, 2 unclipped" in unclear
    assert "no difference can be claimed" in single
    assert all("n = 3 seeds an arm, 50 routes each" in text for text in (better, worse, unclear))
    assert not paired([9.0], [1.0]).certain
    with pytest.raises(ValueError, match="pair"):
        paired([1.0], [1.0, 2.0])
