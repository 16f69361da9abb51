"""How the Scenes of a perception differ from the truth, as numbers that a planner can be trained with.

throttle drive --perception RUN --planner RUN --split validation --pairs true
throttle evaluate scenes last --out errors.yaml
throttle train planning --config configs/planning/dagger.yaml --errors errors.yaml
throttle evaluate planning last --course.split validation --course.errors errors.yaml
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from throttle.commands.drive import KIND
from throttle.runs import find_run, write_atomic


def add_arguments(parser: ArgumentParser) -> None:
    """RUN... and where the numbers go."""
    parser.add_argument("run", type=str, nargs="+", help="drives with --pairs true: their folders, or last")
    parser.add_argument("--arm", type=str, default="stack", help="whose looks: the stack or another arm of the drive")
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs")
    parser.add_argument("--out", type=str, default="", help="YAML file; default: errors.yaml in the first run's folder")


def run(arguments: Namespace) -> int:
    """Measure, print and write."""
    import yaml
    from rich.console import Console

    from planning.measure import fit
    from planning.pairs import Told
    from throttle.drive.config import file_name
    from throttle.drive.pairs import pairs_file

    console = Console()
    places = [find_run(arguments.runs, name, KIND) for name in arguments.run]
    routes, by = [], []
    for place in places:
        arm = file_name(arguments.arm)
        driven = sorted((place / "routes" / arm).glob("*.json"))
        files = [file for route in driven if (file := pairs_file(place, f"{arm}/{route.stem}")).exists()]
        if not files:
            raise UserError(
                f"{place} has no pairs of Scenes of '{arguments.arm}': drive with a perception and --pairs true"
            )
        routes += [Told.read(file) for file in files]
        config = yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8"))
        whose = Path(config["perception"]).name if arm == "stack" else f"'{arguments.arm}' of {place.name}"
        by.append(f"{whose} on {config['split']} routes of {', '.join(config['towns'])}")
    looks = sum(len(both.time) for both in routes)
    found = fit(routes, f"{'; '.join(by)}: {looks} looks, {len(routes)} routes")
    text = yaml.safe_dump(dataclasses.asdict(found), sort_keys=False, default_flow_style=None, width=110)
    out = Path(arguments.out) if arguments.out else places[0] / "errors.yaml"
    write_atomic(out, text)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    console.print(f"{out}", highlight=False, soft_wrap=True)
    return 0
