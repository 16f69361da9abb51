"""Write a dataset as a LeRobot v3.0 dataset: colour pictures, ego state, route, the expert's plan and control.

throttle data export datasets/small --out datasets/small-lerobot
throttle data export datasets/driving --out datasets/driving-lerobot --frames all       # every step, no pictures
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """The dataset, what of it, and where to."""
    parser.add_argument("path", type=str, help="folder of the dataset")
    parser.add_argument("--out", type=str, required=True, help="folder to write; it must not exist")
    parser.add_argument(
        "--frames", type=Literal["pictures", "all"], default="pictures",
        help="steps that have pictures, or all steps without pictures",
    )  # fmt: skip


def run(arguments: Namespace) -> int:
    """Write the folder and say where; exit code 0."""
    from rich.console import Console

    from sim.recorder.lerobot import export
    from sim.recorder.reader import Dataset
    from throttle.progress import ProgressBar

    data = Dataset(arguments.path)
    out = Path(arguments.out)
    with ProgressBar("export", Console(stderr=True)) as bar:
        frames = export(data, out, arguments.frames == "pictures", lambda done, total: bar.update(done, total))
    print(f"{out}: {len(data.episodes)} episodes, {frames:,} frames")
    return 0
