"""Results as a Markdown page: what was asked, what was seen, the table, the plot, and how to get them again."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from throttle.runs import write_atomic

EXPLAINED = (
    "Medians over the seeds; in brackets an interval between two of the sorted values that holds the true median with\n"
    "the probability that order statistics give (five seeds: their range, 94%; three: 75%). Diverged: loss\n"
    "or weights did not stay finite. The sentences are made from the figures by the program. Written with"
)


def machine() -> str:
    """Versions and cores that the figures come from."""
    import torch

    return (
        f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPU cores, one thread a trial"
    )


def section(result: dict[str, Any], picture: str) -> str:
    """One experiment from its results.json: sentence, command, table of medians, plot."""
    name, table = result["experiment"], result["table"]
    heads = [column.replace("_", " ") for column in next(iter(table.values()))]
    seeds = ", ".join(map(str, result["seeds"]))
    lines = [
        f"## {name}",
        "",
        result["question"],
        "",
        result["sentence"],
        "",
        f"`{result['command']}`, commit {result['commit']}, seeds {seeds}, {result['date']}",
        "",
        "| arm | " + " | ".join(heads) + " |",
        "|---|" + "---|" * len(heads),
        *(f"| {arm} | " + " | ".join(cells.values()) + " |" for arm, cells in table.items()),
    ]
    return "\n".join([*lines, "", f"![{name}]({picture})", ""])


def write_page(path: Path, title: str, folders: list[Path]) -> None:
    """Write the page from the results that lie in the folders, in their order, each with its own command and commit.

    An experiment without results keeps what an earlier page said of it, with its own commit. Plots are copied into a
    folder of the page's name beside it.
    """
    pictures = path.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    earlier = re.split(r"(?m)^(?=## )", path.read_text(encoding="utf-8"))[1:] if path.exists() else []
    known = {text.split("\n", 1)[0].removeprefix("## ").strip(): text.rstrip() + "\n" for text in earlier}
    sections = [f"# {title}\n\n{EXPLAINED} {machine()}.\n"]
    for folder in folders:
        if (folder / "results.json").exists():
            result = json.loads((folder / "results.json").read_text(encoding="utf-8"))
            picture = f"{pictures.name}/{result['experiment']}.png"
            shutil.copyfile(folder / "plot.png", path.parent / picture)
            sections.append(section(result, picture))
        elif folder.name in known:
            sections.append(known[folder.name])
    write_atomic(path, "\n".join(sections))
