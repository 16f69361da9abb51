"""Experiments on what gradient clipping does, each CPU-minutes or less; one file per experiment."""

from __future__ import annotations

import importlib

from throttle.experiments.base import Experiment

NAMES: dict[str, str] = {
    "recurrent": "throttle.experiments.recurrent",
    "bicycle": "throttle.experiments.bicycle",
    "glitches": "throttle.experiments.glitches",
    "optimizers": "throttle.experiments.optimizers",
    "thresholds": "throttle.experiments.thresholds",
    "loss-scale": "throttle.experiments.loss_scale",
    "smooth": "throttle.experiments.smooth",
    "bias": "throttle.experiments.bias",
    "vanishing": "throttle.experiments.vanishing",
    "direction": "throttle.experiments.direction",
    "cost": "throttle.experiments.cost",
    "cartpole": "throttle.experiments.cartpole",
}


def load(name: str) -> Experiment:
    """The experiment of that name with its default settings; KeyError for an unknown name."""
    made: Experiment = importlib.import_module(NAMES[name]).EXPERIMENT
    return made
