"""How much of a core's speed does a comparison keep when all cores train at once?

    python benchmarks/compare.py            # throttle/LaneFollow-v0, as in configs/compare/quick.yaml
    python benchmarks/compare.py --turns 5

In turns: one training alone with one thread, then a comparison's trainings on all cores. Printed is the ratio of steps
a second and core, from the trainings' own clocks (without imports and evaluation), and that of the whole comparison by
the wall clock. The limit asked for is 80%.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # clipping is the package, not the benchmark beside this file

from throttle.cli import make_parser  # noqa: E402
from throttle.compare.comparison import Comparison  # noqa: E402
from throttle.compare.config import ControlComparison  # noqa: E402
from throttle.compare.scheduler import cores  # noqa: E402
from throttle.runs import Run  # noqa: E402
from throttle.tracking import TrackingConfig  # noqa: E402

QUIET = TrackingConfig(wandb="disabled", tensorboard=False)


def design(preset: str, steps: int) -> ControlComparison:
    """A preset without its videos, shortened."""
    parser, _ = make_parser("compare control")
    found = parser.instantiate(parser.parse_args(["--config", preset, "--control.total_steps", str(steps)]))
    made = ControlComparison(**{name: found[name] for name in ControlComparison.__dataclass_fields__})
    return dataclasses.replace(made, video_seconds=0, robustness=[], episodes=1)


def measure(made: ControlComparison) -> tuple[float, float]:
    """Steps a second of one training by its own clock (mean), and of all together by the wall clock."""
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(made, Run.create_at(Path(folder) / "run", "comparison", made), QUIET)
        began = time.perf_counter()
        comparison.train_all(lambda name, step, total, figures: None)
        wall = time.perf_counter() - began
        results = [json.loads((comparison.path / p.name / "result.json").read_text()) for p in comparison.planned]
        own = statistics.fmean(r["step"] / r["seconds"] for r in results)
        comparison.run.finish("finished")
    return own, sum(r["step"] for r in results) / wall


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
    kept, walls = [], []
    for turn in range(arguments.turns):
        alone, _ = measure(single)
        together, wall = measure(everything)
        kept.append(together / alone)
        walls.append(wall / (alone * count))
        print(
            f"turn {turn + 1}: alone {alone:,.0f} steps/s; {count} at once {together:,.0f} each, {kept[-1]:.0%} of that"
        )
        print(f"        by wall clock {wall:,.0f}, {walls[-1]:.0%} of {count} x alone, imports and evaluation included")
    print(f"median {statistics.median(kept):.0%} of a single run per core; wall clock {statistics.median(walls):.0%}")


if __name__ == "__main__":
    main()
