"""Check a dataset: every file is opened, hashed and compared with the format. Exit code 1 where something is wrong.

throttle data check datasets/small
"""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

SHOWN = 20


def add_arguments(parser: ArgumentParser) -> None:
    """The dataset."""
    parser.add_argument("path", type=str, help="folder of the dataset")


def run(arguments: Namespace) -> int:
    """Print what is wrong; exit code 0 for nothing, 1 for something."""
    from rich.console import Console

    from sim.recorder.check import problems
    from sim.recorder.reader import Dataset
    from throttle.progress import ProgressBar

    data = Dataset(arguments.path)
    console = Console(stderr=True)
    with ProgressBar("check", console) as bar:
        found = list(problems(data, lambda done, total: bar.update(done, total)))
    for text in found[:SHOWN]:
        print(text)
    if len(found) > SHOWN:
        print(f"... and {len(found) - SHOWN} more")
    if not found:
        rows = sum(e["rows"] for e in data.episodes)
        print(f"{data.root} is whole: {len(data.episodes)} episodes, {rows:,} rows")
    return 1 if found else 0
