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
from throttle.recipes.crops import FOLDER, SIGNS, signs, streets
from throttle.recipes.digits import load_digits
from throttle.recipes.vehicles import average_precision, decode, encode, load_streets, overlap


def test_digits_are_split_without_overlap_and_by_seed() -> None:
    x, y, test, truth = load_digits(0)
    assert x.shape == (1400, 1, 8, 8)
    assert test.shape == (397, 1, 8, 8)
    assert 0 <= float(x.min()) < float(x.max()) <= 1
    assert set(y.tolist()) == set(truth.tolist()) == set(range(10))
    assert not torch.equal(x, load_digits(1)[0])
    assert torch.equal(x, load_digits(0)[0])


def test_sign_crops_show_their_classes() -> None:
    for part, least in (("train", 1000), ("test", 500)):
        crops, labels = signs(part)
        assert crops.shape == (len(labels), 32, 32, 3)
        assert len(labels) >= least
        counts = np.bincount(labels, minlength=len(SIGNS))
        assert counts.min() > 0.5 * counts.mean()  # every class in each part
        middle = crops[:, 10:22, 10:22].astype(float).mean((1, 2))  # colour of the middle, [n, 3]
        red, blue = middle[labels == SIGNS.index("stop")], middle[labels == SIGNS.index("parking")]
        assert (red[:, 0] - red[:, 2]).mean() > 20 > 0 > (blue[:, 0] - blue[:, 2]).mean()


def test_street_scenes_have_their_vehicles_in_their_boxes() -> None:
    for part, least in (("train", 700), ("test", 250)):
        scenes, boxes = streets(part)
        assert scenes.shape == (len(boxes), 48, 48, 3)
        assert len(boxes) >= least
        assert {1, 2} <= {len(b) for b in boxes} <= {1, 2, 3}
        every = np.concatenate(boxes)
        assert every.min() >= 0
        assert every.max() <= 48
        assert (every[:, 2:] - every[:, :2]).min() >= 4.5


def test_street_scenes_are_split_without_overlap_and_by_seed() -> None:
    scenes, boxes = load_streets(0)
    assert len(scenes) == len(boxes) >= 600
    assert min(float((b[:, 2:] - b[:, :2]).min()) for b in boxes) >= 6
    assert len(np.unique(scenes.reshape(len(scenes), -1), axis=0)) == len(scenes)
    assert np.array_equal(scenes, load_streets(0)[0])
    assert not np.array_equal(scenes, load_streets(1)[0])


def test_the_crops_ship_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 4_000_000


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
