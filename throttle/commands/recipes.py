"""Run the textbook recipes: small networks, clipped and unclipped, at their own learning rate and at higher ones."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from throttle.commands.experiments import add_arguments as _same


def add_arguments(parser: ArgumentParser) -> None:
    _same(parser)
    parser.set_defaults(out="runs/recipes")


def run(args: Namespace) -> int:
    from throttle.experiments.report import run_all
    from throttle.recipes import NAMES, load

    return run_all("recipes", NAMES, load, args)
