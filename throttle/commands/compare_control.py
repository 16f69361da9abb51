"""Clipped against unclipped: the same driving trainings under several ways to clip, compared with statistics.

    throttle compare control --arms none,global_norm=0.5,quantile --seeds '[0,1,2,3,4]'
    throttle compare control --config configs/compare/urban_ppo.yaml

Initial weights, seeds and routes are paired; only clipping differs. Stop it or kill it at any moment: --resume goes on.
"""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from throttle.compare import command
from throttle.compare.config import ControlComparison


def add_arguments(parser: ArgumentParser) -> None:
    """The configuration of throttle/compare/config.py, and where and how it runs."""
    command.add_arguments(parser, ControlComparison, "configs/compare/quick.yaml")


def rewrite(options: list[str]) -> list[str]:
    """Begin with a resumed comparison's own configuration, else with the preset."""
    return command.rewrite(options, "configs/compare/quick.yaml")


def run(arguments: Namespace) -> int:
    """Train, evaluate, compare, report; exit code 0, or 130 when stopped."""
    return command.run(arguments, ControlComparison, "control")
