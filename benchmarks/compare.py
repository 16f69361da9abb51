"""How much of a core's speed does a comparison keep when all cores train at once?

    python benchmarks/compare.py            # throttle/LaneFollow-v0, as in configs/compare/quick.yaml
    python benchmarks/compare.py --turns 5

In turns: one training alone with one thread, then a comparison's trainings on all cores. Printed is the ratio of steps
a second and core, from the trainings' own clocks (after their first update, so without imports), once by the wall and
once by CPU time, which other work on the machine disturbs less; and that of the whole comparison by the wall clock,
imports and evaluation included. The limit asked for is 80%.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # clipping is the package, not the benchmark beside this file

from throttle.cli import make_parser  # noqa: E402
from throttle.compare.comparison import Comparison  # noqa: E402
from throttle.compare.config import ControlComparison  # noqa: E402
from throttle.compare.scheduler import cores  # noqa: E402
from throttle.runs import Run  # noqa: E402
from throttle.tracking import TrackingConfig, read_metrics  # noqa: E402

QUIET = TrackingConfig(wandb="disabled", tensorboard=False)


def design(preset: str, steps: int) -> ControlComparison:
    """A preset without its videos, shortened."""
    parser, _ = make_parser("compare control")
    found = parser.instantiate(parser.parse_args(["--config", preset, "--control.total_steps", str(steps)]))
    made = ControlComparison(**{name: found[name] for name in ControlComparison.__dataclass_fields__})
    return dataclasses.replace(made, video_seconds=0, robustness=[], episodes=1)


@dataclass(frozen=True)
class Rates:
    """Steps a second: of one training (mean) by the wall and by CPU time, of all together by the wall."""

    own: float
    cpu: float
    wall: float


def rate(rows: list[tuple[int, float]]) -> float:
    """Steps a second over all rows (step, steps a second since the row before) but the first."""
    steps = [b[0] - a[0] for a, b in itertools.pairwise(rows)]
    return sum(steps) / sum(n / fps for n, (_, fps) in zip(steps, rows[1:]))


def measure(made: ControlComparison) -> Rates:
    """Train all, and see how fast."""
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(made, Run.create_at(Path(folder) / "run", "comparison", made), QUIET)
        began = time.perf_counter()
        comparison.train_all(lambda name, step, total, figures: None)
        wall = time.perf_counter() - began
        done = [read_metrics(comparison.path / p.name) for p in comparison.planned]
        comparison.run.finish("finished")
    own, cpu = (statistics.fmean(rate(d[f"time/{name}"]) for d in done) for name in ("fps", "cpu_fps"))
    return Rates(own, cpu, sum(d["time/fps"][-1][0] for d in done) / wall)


def main() -> None:
    """Print the ratios, median over turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="configs/compare/quick.yaml")
    parser.add_argument("--steps", type=int, default=400_000)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    count = cores()
    base = design(arguments.preset, arguments.steps)
    single = dataclasses.replace(base, arms="none", seeds=[0], jobs=1)
    single.control.numba_threads = 1
    everything = dataclasses.replace(base, arms="none,global_norm=0.5", seeds=list(range(count)), jobs=0)
    measure(dataclasses.replace(single, control=dataclasses.replace(base.control, total_steps=20_000)))  # compile
    kept: list[tuple[float, float, float]] = []
    for turn in range(arguments.turns):
        alone, together = measure(single), measure(everything)
        kept.append((together.own / alone.own, together.cpu / alone.cpu, together.wall / (alone.own * count)))
        print(
            f"turn {turn + 1}: alone {alone.own:,.0f} steps/s ({alone.cpu:,.0f} a CPU second); {count} at once "
            f"{together.own:,.0f} each ({together.cpu:,.0f}); whole comparison {together.wall:,.0f}; load "
            f"{os.getloadavg()[0]:.1f}",
            flush=True,
        )
    own, cpu, wall = (statistics.median(column) for column in zip(*kept))
    print(f"median of {arguments.turns}: {own:.0%} of a single run per core by the wall, {cpu:.0%} by CPU time;")
    print(f"with imports and evaluation {wall:.0%} of {count} single runs")


if __name__ == "__main__":
    main()
