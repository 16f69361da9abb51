"""Run small experiments on what gradient clipping does: a table, a plot and a sentence of what was seen, each."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", help="experiments to run; none means all of them")
    parser.add_argument("--list", action="store_true", help="list the experiments and their questions, run nothing")
    parser.add_argument(
        "--out", default="runs/experiments", help="folder for results; finished trials in it are reused"
    )
    parser.add_argument("--seeds", type=int | None, default=None, help="seeds per arm; default is the experiment's own")
    parser.add_argument("--jobs", type=int, default=2, help="processes; experiments that measure time use one")
    parser.add_argument(
        "--page",
        type=str | None,
        default=None,
        help="also write a Markdown page here, of all results in --out; the rest stays",
    )
    parser.add_argument("--fresh", action="store_true", help="run every trial again")


def run(args: Namespace) -> int:
    from throttle.experiments import NAMES, load
    from throttle.experiments.report import run_all

    return run_all("experiments", NAMES, load, args)
