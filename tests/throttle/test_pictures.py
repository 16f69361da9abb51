"""Pictures of curves: every arm and every perturbation is in them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from throttle.report import pictures


def test_a_robustness_picture_shows_every_arm_in_every_panel(tmp_path: Path) -> None:
    kinds = ("position", "missed")
    arms = {
        name: {kind: [high, high - 5.0, high - 20.0] for kind in kinds} for name, high in (("a", 90.0), ("b", 70.0))
    }
    two = cv2.imread(str(pictures.robustness(arms, "score", tmp_path / "two.png")))
    one = cv2.imread(str(pictures.robustness({"a": arms["a"]}, "score", tmp_path / "one.png")))
    assert two.shape == one.shape
    assert two.shape[1] > 2 * two.shape[0]  # two panels beside one another
    second = np.all(np.abs(two.astype(int) - (14, 127, 255)) < 8, 2)  # the second arm's colour
    middle = two.shape[1] // 2
    assert second[:, :middle].sum() > 50
    assert second[:, middle:].sum() > 50
    assert not np.all(np.abs(one.astype(int) - (14, 127, 255)) < 8, 2).any()
