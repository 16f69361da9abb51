"""Write docs/results/studies.md, and a report of each study beside it, from the studies finished in a folder of runs.

    for study in configs/compare/*.yaml; do throttle compare control --config "$study"; done
    python tools/studies.py runs

A study that is not finished keeps what an earlier call wrote of it.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import yaml

from contracts import UserError
from throttle.compare.collect import Collected, collect
from throttle.report.build import build
from throttle.runs import list_runs, write_atomic

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "results"
NOT_STUDIES = ("quick.yaml", "small.yaml")
HEAD = """# Studies: clipped against unclipped

What the presets in `configs/compare/` showed; how it is decided: [comparison.md](../comparison.md). Each study has its
whole report (HTML, and every run as CSV) in [studies/](studies). Where other work shared the two cores, seconds are
long; steps, seeds and scores do not depend on that. The trainings are short: they answer for their length, not for
policies trained to the end. `python tools/studies.py runs` writes this page.

`sensor-glitches` was run twice. Seeds 0 to 4 gave +41 points for clipping at p .063, which decides nothing; so ten
fresh seeds were run, and these alone are shown and counted.

Sensor glitches in a regression: [clipping-experiments.md](clipping-experiments.md#glitches).
"""


def names() -> list[str]:
    """Names of the studies, from their presets."""
    paths = sorted((ROOT / "configs" / "compare").glob("*.yaml"))
    return [yaml.safe_load(path.read_text(encoding="utf-8"))["name"] for path in paths if path.name not in NOT_STUDIES]


def finished(root: Path) -> dict[str, Collected]:
    """The newest finished comparison of each name."""
    found: dict[str, Collected] = {}
    for path, _ in list_runs(root, "comparison"):
        try:
            one = collect(path)
        except UserError as error:
            print(error, file=sys.stderr)
            continue
        name = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))["name"]
        if not one.missing and name not in found:
            found[name] = dataclasses.replace(one, name=name)
    return found


def main() -> int:
    """Write all; says which studies are not finished."""
    found = finished(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))
    table, sections = ["| study | headline |", "|---|---|"], []
    for name in names():
        folder = OUT / "studies" / name
        if name in found:
            build([found[name]], folder, links=False)
            (folder / "runs.parquet").unlink()  # the CSV holds the same and can be read here
        if not (folder / "report.md").exists():
            print(f"{name} is not finished", file=sys.stderr)
            continue
        text = (folder / "report.md").read_text(encoding="utf-8")
        headline = next(line for line in text.splitlines() if line.startswith("**")).strip("*")
        table.append(f"| [{name}](#{name}) | {headline} |")
        sections.append(f"#{text.rstrip()}\n\n[report](studies/{name}/report.html), [runs](studies/{name}/runs.csv)\n")
    write_atomic(OUT / "studies.md", "\n".join([HEAD, *table, "", *sections]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
