"""The front of `throttle experiments` and `throttle recipes`: progress, table, sentence, files."""

from __future__ import annotations

import datetime
import difflib
import functools
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from contracts import UserError
from throttle.experiments.base import Experiment, Results
from throttle.experiments.page import write_page
from throttle.experiments.runner import run, save


@functools.lru_cache(maxsize=1)
def commit() -> str:
    """Short hash of the checked-out commit, with "+" when the code behind the results differs from it, or "unknown"."""
    here = Path(__file__).parent  # throttle/experiments
    behind = ["--", "../../clipping", "../recipes", "."]
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True)
        differs = subprocess.run(["git", "diff", "--quiet", "HEAD", *behind], cwd=here, capture_output=True)
    except OSError:
        return "unknown"
    return head.stdout.strip() + ("+" if differs.returncode == 1 else "") if head.returncode == 0 else "unknown"


def chosen(verb: str, names: list[str], known: Mapping[str, Any]) -> list[str]:
    """The names to run, all when none is given; UserError with the nearest name for an unknown one."""
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise UserError(f"no {verb.removesuffix('s')} is called '{name}'{hint} (throttle {verb} --list)")
    return names or list(known)


def table(experiment: Experiment, results: Results) -> Table:
    """Median and interval of every shown number, an arm a row."""
    count = len(results.seeds)
    what = "one deterministic run" if count == 1 else f"median [interval] over {count} seeds"
    # Text, since "[interval]" and "[inf, inf]" would be taken for markup
    shown = Table(title=Text(f"{experiment.name}: {what}"), title_justify="left")
    shown.add_column("arm")
    for column in experiment.columns:
        shown.add_column(column.replace("_", " "), justify="right")
    for arm in results.arms:
        shown.add_row(Text(arm), *(Text(experiment.cell(results, arm, column)) for column in experiment.columns))
    return shown


def run_one(
    experiment: Experiment, folder: Path, seeds: int, jobs: int, fresh: bool, command: str, console: Console
) -> None:
    """Run, show and save one experiment."""
    began, results = time.monotonic(), None
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    )  # fmt: skip
    with progress:
        task = progress.add_task(experiment.name, total=None)
        for done, total, results in run(experiment, folder, seeds, jobs, fresh):  # noqa: B007
            progress.update(task, completed=done, total=total)
    assert results is not None
    facts = {"command": command, "commit": commit(), "date": datetime.date.today().isoformat()}
    files = save(experiment, results, folder, facts)
    console.print(f"[bold]{experiment.question}[/bold]")
    console.print(table(experiment, results))
    console.print(Text(experiment.sentence(results)))
    console.print(
        f"{', '.join(str(f) for f in files)} ({time.monotonic() - began:.0f} s)\n", soft_wrap=True, style="dim"
    )


def run_all(verb: str, known: Mapping[str, str], load: Callable[[str], Experiment], args: Any) -> int:
    """The whole command; returns its exit code."""
    console = Console()
    names = chosen(verb, list(args.names), known)
    if args.list:
        for name in names:
            console.print(f"[bold]{name}[/bold]  {load(name).question}", highlight=False)
        return 0
    if args.seeds is not None and args.seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {args.seeds}")
    if args.jobs < 1:
        raise UserError(f"--jobs must be at least 1, not {args.jobs}")
    commit()  # asked while it is that of the code that was loaded
    for name in names:
        experiment = load(name)
        seeds = experiment.seeds if args.seeds is None or experiment.seeds == 1 else args.seeds
        words = ["throttle", verb, name, *(["--seeds", str(seeds)] if seeds != experiment.seeds else [])]
        folder = Path(args.out) / name
        run_one(experiment, folder, seeds, args.jobs, args.fresh, shlex.join(words), console)
        if args.page is not None:  # after each, so that a stopped command leaves a page of what it finished
            write_page(Path(args.page), f"Clipping {verb}", [Path(args.out) / known_name for known_name in known])
    return 0
