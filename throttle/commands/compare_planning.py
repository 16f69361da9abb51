"""Clipped against unclipped: the same planning trainings under several ways to clip, compared with statistics.

    throttle compare planning --planning.dataset datasets/driving --planning.train.steps 1000

Initial weights, seeds and the order of the data are paired; only clipping differs. Stop it: --resume goes on.
"""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from throttle.compare import command
from throttle.compare.supervised import PlanningComparison


def add_arguments(parser: ArgumentParser) -> None:
    """The configuration of throttle/compare/supervised.py, and where and how it runs."""
    command.add_arguments(parser, PlanningComparison)


def rewrite(options: list[str]) -> list[str]:
    """Begin with a resumed comparison's own configuration, else with the preset."""
    return command.rewrite(options)


def run(arguments: Namespace) -> int:
    """Train, evaluate, compare, report; exit code 0, or 130 when stopped."""
    return command.run(arguments, PlanningComparison, "planning")
