"""A report of comparisons, finished or not: one HTML file that works offline, Markdown, CSV and Parquet."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """RUN... and where the report goes."""
    parser.add_argument("runs_", metavar="RUN", nargs="+", help="folders of comparisons, their names, or last")
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument("--links", type=bool, default=True, help="link to the runs and embed videos")
    parser.add_argument("--out", type=str, default="", help="folder of the report; default: RUN/report")


def run(arguments: Namespace) -> int:
    """Write the report and say where it is."""
    from rich.console import Console

    from throttle.compare.collect import collect
    from throttle.report.build import build
    from throttle.runs import find_run

    paths = [find_run(arguments.runs, reference, "comparison") for reference in arguments.runs_]
    folder = Path(arguments.out) if arguments.out else paths[0] / "report"
    built = build([collect(path) for path in paths], folder, arguments.links)
    console = Console()
    for line in built.lines:
        console.print(line, highlight=False, soft_wrap=True)
    for what, path in built.files.items():
        console.print(f"{what:<9}{path}", highlight=False, soft_wrap=True)
    return 0
