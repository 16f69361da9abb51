"""The recipes: their data, the detector's parts, and that each runs clipped and unclipped."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from throttle import recipes
from throttle.experiments.base import Results
from throttle.recipes.base import Recipe
from throttle.recipes.digits import load_digits
from throttle.recipes.drawing import SIGNS, sign_crops, street_scenes
from throttle.recipes.vehicles import average_precision, decode, encode, overlap


def test_digits_are_split_without_overlap_and_by_seed() -> None:
    x, y, test, truth = load_digits(0)
    assert x.shape == (1400, 1, 8, 8)
    assert test.shape == (397, 1, 8, 8)
    assert 0 <= float(x.min()) < float(x.max()) <= 1
    assert set(y.tolist()) == set(truth.tolist()) == set(range(10))
    assert not torch.equal(x, load_digits(1)[0])
    assert torch.equal(x, load_digits(0)[0])


def test_signs_are_deterministic_and_differ_by_class() -> None:
    crops, labels = sign_crops(400, 3)
    again, same = sign_crops(400, 3)
    assert np.array_equal(crops, again)
    assert np.array_equal(labels, same)
    assert set(labels) == set(range(len(SIGNS)))
    middle = crops[:, 10:22, 10:22].astype(float).mean((1, 2))  # colour of the middle, [400, 3]
    red, blue = middle[labels == SIGNS.index("no entry")], middle[labels == SIGNS.index("crossing")]
    assert (red[:, 0] - red[:, 2]).mean() > 30 > (blue[:, 0] - blue[:, 2]).mean()


def test_vehicles_lie_where_their_boxes_say() -> None:
    scenes, boxes = street_scenes(100, 0)
    assert np.array_equal(scenes, street_scenes(100, 0)[0])
    for scene, found in zip(scenes, boxes):
        assert 1 <= len(found) <= 3
        assert (found[:, :2] >= 0).all()
        assert (found[:, 2:] <= scene.shape[0]).all()
        left, top, right, bottom = found[-1].astype(int)  # the nearest, hidden by none
        lower = scene[top + (bottom - top) * 3 // 4 : bottom, left:right].astype(float)
        assert lower.std() > 8  # wheels and body, not the even road


def test_boxes_survive_encoding() -> None:
    boxes = np.array([[3, 5, 20, 17], [30, 30, 47, 45]], np.float32)
    target = encode(boxes)
    logits = target.clone()
    logits[0] = target[0] * 20 - 10
    found, scores = decode(logits)
    assert np.allclose(found[scores > 0.5], boxes, atol=1e-4)
    assert overlap(boxes, boxes).round(5).tolist() == [[1, 0], [0, 1]]


def test_average_precision_by_hand() -> None:
    truth = [np.array([[0, 0, 10, 10]], np.float32), np.array([[0, 0, 10, 10]], np.float32)]
    miss = np.array([[20, 20, 30, 30]], np.float32)
    hit = truth[0]
    assert average_precision([(hit, np.float32([0.9])), (hit, np.float32([0.8]))], truth) == 1.0
    # hit, miss, hit: precision 1 at the first, 2/3 at the second
    both = np.concatenate([hit, miss])
    assert average_precision([(both, np.float32([0.9, 0.8])), (hit, np.float32([0.7]))], truth) == pytest.approx(
        (1 + 2 / 3) / 2
    )
    twice = np.concatenate([hit, hit])
    assert average_precision([(twice, np.float32([0.9, 0.8]))], truth[:1]) == 1.0
    assert average_precision([(twice, np.float32([0.9, 0.8])), (miss, np.float32([0.1]))], truth) == 0.5


@pytest.mark.parametrize("name", recipes.NAMES)
def test_every_recipe_runs_and_repeats(name: str) -> None:
    loaded = recipes.load(name)
    assert isinstance(loaded, Recipe)
    small = {"samples": 32} if hasattr(loaded, "samples") else {}
    recipe = dataclasses.replace(loaded, epochs=1, factors=(1.0, 10.0), timed_steps=2, **small)
    assert recipe.name == name
    trials = {(arm, seed): recipe.trial(arm, seed) for arm in recipe.arms for seed in range(2)}
    again = recipe.trial(recipe.arms[0], 1)
    assert json.dumps(again) == json.dumps(trials[recipe.arms[0], 1])
    results = Results(trials)
    assert recipe.sentence(results).endswith(".")
    recipe.plot(results, figure := Figure())
    assert len(figure.axes) == 3
    assert all(np.isfinite(results.values(recipe.arms[0], "error")))


@pytest.mark.parametrize("name", ["mlp-per-tensor", "mlp-value", "conv-norm"])
def test_digit_recipes_learn(name: str) -> None:
    recipe = recipes.load(name)
    assert isinstance(recipe, Recipe)
    quick = dataclasses.replace(recipe, epochs=6, timed_steps=0)
    trial = quick.trial(quick.arms[1], 0)
    assert trial["error"] < 0.5  # guessing gives 0.9
    assert trial["curve"][-1] < trial["curve"][0]
