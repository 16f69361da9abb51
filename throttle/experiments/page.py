"""Results as a Markdown page: what was asked, what was seen, the table, the plot, and how to get them again."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from throttle.experiments.base import Experiment, Results
from throttle.runs import write_atomic

EXPLAINED = (
    "Medians over the seeds; in brackets an interval between two of the sorted values that holds the true median with\n"
    "the probability that order statistics give (five seeds: their range, 94%; three: 75%). Diverged: loss\n"
    "or weights did not stay finite. The sentences are made from the figures by the program. Measured with"
)


def machine() -> str:
    """Versions and cores that the figures come from."""
    import torch

    return (
        f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPU cores, one thread a trial"
    )


def section(experiment: Experiment, results: Results, facts: dict[str, str], picture: str) -> str:
    """One experiment: sentence, table of medians, command."""
    heads = [column.replace("_", " ") for column in experiment.columns]
    lines = [
        f"## {experiment.name}",
        "",
        experiment.question,
        "",
        experiment.sentence(results),
        "",
        f"`{facts['command']}`, commit {facts['commit']}, seeds {', '.join(map(str, results.seeds))}, {facts['date']}",
        "",
        "| arm | " + " | ".join(heads) + " |",
        "|---|" + "---|" * len(heads),
    ]
    for arm in results.arms:
        cells = [experiment.cell(results, arm, column) for column in experiment.columns]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"![{experiment.name}]({picture})", ""])


def write_page(path: Path, title: str, parts: list[tuple[Experiment, Results, dict[str, str], Path]]) -> None:
    """Write the page and copy its plots (the last item of each part) into a folder of the page's name beside it."""
    pictures = path.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    sections = []
    for experiment, results, facts, plot in parts:
        shutil.copyfile(plot, pictures / f"{experiment.name}.png")
        sections.append(section(experiment, results, facts, f"{pictures.name}/{experiment.name}.png"))
    head = f"# {title}\n\n{EXPLAINED} {machine()}.\n"
    write_atomic(path, "\n".join([head, *sections]))
