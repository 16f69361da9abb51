"""Textbook uses of gradient clipping as recipes, each clipped and unclipped, at its own learning rate and above."""

from __future__ import annotations

import importlib

from throttle.experiments.base import Experiment

NAMES: dict[str, str] = {
    "mlp-per-tensor": "throttle.recipes.digits",
    "mlp-value": "throttle.recipes.digits",
    "conv-norm": "throttle.recipes.digits",
    "regression": "throttle.recipes.regression",
    "sign-classifier": "throttle.recipes.signs",
    "vehicle-detector": "throttle.recipes.vehicles",
}


def load(name: str) -> Experiment:
    """The recipe of that name with its default settings; KeyError for an unknown name."""
    made: dict[str, Experiment] = importlib.import_module(NAMES[name]).RECIPES
    return made[name]
