"""Plans a second on one core: a closed loop with one world, one Scene at a time in torch and ONNX Runtime, batches.

The bar is 200 at batch 1 in a closed loop, the world's own steps included.

Turns are interleaved in one run. With --run the weights of a training, else an untrained network of the same size.

    python benchmarks/planning.py [--run runs/2026-01-01-planning] [--turns 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
sys.path[0] = str(Path(__file__).parents[1])

import torch  # noqa: E402

from planning.checks import CHECKS  # noqa: E402
from planning.config import NetConfig  # noqa: E402
from planning.evaluate import Course, make_batch  # noqa: E402
from planning.export import INPUTS, OUTPUTS, export, session  # noqa: E402
from planning.model import PlanningNet  # noqa: E402
from planning.planner import BatchDriver, Planner, load_planner  # noqa: E402
from planning.sight import true_scenes  # noqa: E402
from sim.driving.batch import Batch  # noqa: E402

WANTED = 200.0
LOOP = "closed loop, one world with its traffic"


class ClosedLoop:
    """One world of Alder, driven again from the begin of its route whenever that has ended."""

    def __init__(self, planner: Planner) -> None:
        self._driver = BatchDriver(planner)
        self._batch = self._begin()

    def _begin(self) -> Batch:
        batch = make_batch(Course(routes=1), "Alder", 6.0)
        self._driver.begin(batch)
        return batch

    def __call__(self) -> int:
        """One plan and the step that follows it."""
        if not self._batch.active.any():
            self._batch = self._begin()
        self._batch.step(self._driver.plan(self._batch))
        return 1


def rate(work: Callable[[], int], seconds: float = 1.0) -> tuple[float, float]:
    """Plans a second of calls of `work`, each of which returns how many it made: by the clock, by processor time."""
    work()
    began, used, done = time.perf_counter(), time.process_time(), 0
    while (passed := time.perf_counter() - began) < seconds:
        done += work()
    return done / passed, done / (time.process_time() - used)


def main() -> int:
    """Measure and print; exit code 1 where batch 1 is too slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.run:
        from throttle.commands.train_planning import load_config

        place = Path(arguments.run)
        planner = load_planner(place / "best.pt", load_config(place / "config.yaml"))
    else:
        planner = Planner(PlanningNet(NetConfig()), CHECKS)
    batch = make_batch(Course(routes=64), "Alder", 6.0)
    many, scene = true_scenes(batch, batch.active.nonzero()[0]).tensors(), batch.world.scene(0)
    one = many.take(slice(0, 1)).narrow(32, planner.net.config.route_points)
    with tempfile.TemporaryDirectory() as folder:
        difference = export(planner.net, Path(folder) / "planner.onnx")
        runtime = session(Path(folder) / "planner.onnx")
        inputs = {name: field.numpy() for name, field in zip(INPUTS, one)}

        def by_onnx() -> int:
            runtime.run(list(OUTPUTS), inputs)
            return 1

        work: dict[str, Callable[[], int]] = {
            LOOP: ClosedLoop(planner),
            "torch, one contracts.Scene to a Plan": lambda: int(planner.plan(scene) is not None),
            "ONNX Runtime, one scene": by_onnx,
            "torch, batch of 64": lambda: len(planner.rows(many).path),
        }
        turns: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
        for _ in range(arguments.turns):
            for name, call in work.items():
                turns[name].append(rate(call))
    count = sum(p.numel() for p in planner.net.parameters())
    print(f"{count:,} parameters, one core; ONNX differs from torch by {difference:.1e} at most")
    print("plans a second, median of the turns and their range: by the clock, and by processor time")
    for name, values in turns.items():
        shown = (f"{statistics.median(v):>8,.0f} ({min(v):,.0f} to {max(v):,.0f})" for v in zip(*values))
        print(f"{name:<40} {'   '.join(shown)}")
    slow = statistics.median(clock for clock, _ in turns[LOOP]) < WANTED
    print(f"batch 1 in a closed loop, by the clock: {'below' if slow else 'at least'} {WANTED:.0f} plans/s")
    return int(slow)


if __name__ == "__main__":
    raise SystemExit(main())
