"""What a dataset holds: splits, objects by class and distance, weather, what the expert did.

throttle data info datasets/small
"""

from __future__ import annotations

from itertools import pairwise

from jsonargparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """The dataset."""
    parser.add_argument("path", type=str, help="folder of the dataset")


def run(arguments: Namespace) -> int:
    """Print; exit code 0."""
    from rich.console import Console
    from rich.table import Table

    from sim.recorder.reader import Dataset
    from sim.recorder.summary import BANDS, summary

    data = Dataset(arguments.path)
    found = summary(data)
    console = Console()
    cameras = [f"{n} {c['width']}x{c['height']}" for n, c in data.info["cameras"].items()] or ["none"]
    console.print(
        f"{data.root}: {found.size / 1e6:,.1f} MB, {data.info['fps']:g} rows a second, cameras {', '.join(cameras)}, "
        f"lidar {'yes' if data.info['lidar'] else 'no'}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    table = Table("split", "episodes", "rows", "pictures", "km", "driving score")
    for split, row in found.splits.items():
        table.add_row(
            split, f"{row['episodes']:.0f}", f"{row['rows']:,.0f}", f"{row['images']:,.0f}", f"{row['km']:.1f}",
            f"{row['driving_score']:.1f}",
        )  # fmt: skip
    console.print(table)
    table = Table("scenario", "episodes", "completed", "driving score", "infractions")
    for name, row in found.situations.items():
        table.add_row(
            name or "plain traffic", f"{row['episodes']:.0f}", f"{100 * row['completed']:.0f}%",
            f"{row['driving_score']:.1f}", f"{row['infractions']:.0f}",
        )  # fmt: skip
    console.print(table)
    if data.info["cameras"]:
        ends = ["0", *(f"{b:.0f}" for b in BANDS)]
        table = Table("objects", *(f"{a}..{b} m" for a, b in pairwise(ends)), "all")
        for name, bands in found.classes.items():
            table.add_row(name, *(f"{n:,}" for n in bands), f"{sum(bands):,}")
        console.print(table)
    if cut := found.ended.get("limit", 0):
        longest = data.info["config"].get("seconds")  # (of another program's recording it may say anything)
        console.print(
            f"{cut} episodes end at the recording's limit{f' of {longest:g} s' if longest else ''}: their scores count "
            "the part driven",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    for title, counts in (
        ("towns", found.towns), ("weather", found.weathers), ("ended", found.ended),
        ("speed followed (rows)", found.reasons), ("infractions", found.events), ("lights seen", found.lights),
    ):  # fmt: skip
        text = ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
        console.print(f"{title}: {text}", highlight=False, soft_wrap=True)
    console.print(f"noise on the wheel: {100 * found.perturbed:.1f}% of rows", highlight=False)
    return 0
