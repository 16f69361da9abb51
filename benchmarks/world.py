"""World-steps a second against highway-env and MetaDrive on the same work: an ego among 20 to 30 vehicles.

A world-step is everything: traffic, lights, pedestrians, collisions, events and the ego's observation. All take turns
in one run and are compared as ratios of medians. The last line is the memory of 1,024 worlds.

    python benchmarks/world.py [--turns 5] [--seconds 3] [--town Gridley] [--no_peers]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # not this folder: a benchmark in it is called clipping

import numpy as np  # noqa: E402

import sim.roads  # noqa: E402
from sim.roads.network import RoadNetwork  # noqa: E402
from sim.world.config import WorldConfig  # noqa: E402
from sim.world.world import World  # noqa: E402

Turn = Callable[[float], float]
TOWNS = Path(sim.roads.__file__).parent / "towns"


def ours(network: RoadNetwork, worlds: int, vehicles: int = 32, walkers: int = 8) -> Turn:
    """Steps of whole worlds; egos that left the road start anew within the time measured."""
    config = WorldConfig(worlds=worlds, vehicles=vehicles, walkers=walkers)
    world = World(network.lane_tables(), network.walk_tables(), config, seed=1)
    world.reset()
    rng = np.random.default_rng(0)
    low, high = [0.0, 0.0, -0.05], [0.6, 0.0, 0.05]
    controls = [rng.uniform(low, high, (worlds, 1, 3)).astype(np.float32) for _ in range(16)]

    def turn(seconds: float) -> float:
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            world.step(controls[steps % 16])
            world.observe()
            steps += 1
            if steps % 20 == 0:
                gone = (world.state.egos.off_road[:, 0] > 0) | (world.state.egos.completed[:, 0] > 0)
                if gone.any():
                    world.reset(gone)
        return steps * worlds / (time.perf_counter() - began)

    turn(1.0)
    return turn


def gym_turn(env: Any) -> Turn:
    """Steps of one Gymnasium environment, resets included."""
    env.reset()

    def turn(seconds: float) -> float:
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            steps += 1
            if terminated or truncated:
                env.reset()
        return steps / (time.perf_counter() - began)

    turn(1.0)
    return turn


def peers() -> dict[str, Turn]:
    """Those of the peers that are installed."""
    found: dict[str, Turn] = {}
    try:
        import gymnasium
        import highway_env  # noqa: F401

        found["highway-env highway-fast-v0, 20 vehicles"] = gym_turn(gymnasium.make("highway-fast-v0"))
    except ImportError:
        print("highway-env is not installed: uv sync --group bench")
    try:
        from metadrive.envs import MetaDriveEnv

        env = MetaDriveEnv({"traffic_density": 0.1, "use_render": False, "log_level": 50, "num_scenarios": 10})
        found["MetaDrive, traffic .1"] = gym_turn(env)
    except ImportError:
        print("MetaDrive is not installed: uv sync --group bench")
    except OSError as error:
        print(f"MetaDrive did not start (it loads its assets from GitHub at its first run): {error}")
    return found


def resident() -> float:
    """MiB of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(town: str) -> None:
    """Print the memory that 1,024 worlds add to the process."""
    network = RoadNetwork.load(TOWNS / f"{town}.xodr")
    tables, walk = network.lane_tables(), network.walk_tables()
    small = World(tables, walk, WorldConfig())
    small.reset()
    small.step()
    small.observe()
    before = resident()
    world = World(tables, walk, WorldConfig(worlds=1024, vehicles=32, walkers=8))
    world.reset()
    world.step()
    world.observe()
    after = resident()
    print(f"1,024 worlds x 32 vehicles: {after - before:.0f} MiB, whole process {after:.0f} MiB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--town", default="Gridley")
    parser.add_argument("--no_peers", action="store_true")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory:
        memory(args.town)
        return
    network = RoadNetwork.load(TOWNS / f"{args.town}.xodr")
    turns = {f"{w} worlds x 32 vehicles": ours(network, w) for w in (256, 1024, 1)}
    turns |= {} if args.no_peers else peers()
    rates: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(args.turns):
        for name, turn in turns.items():
            rates[name].append(turn(args.seconds))
    first = statistics.median(rates[next(iter(turns))])
    print(f"{args.town}, {os.cpu_count()} cores, {args.turns} turns of {args.seconds:g} s each, interleaved")
    for name, found in rates.items():
        middle = statistics.median(found)
        spread = f"{min(found):,.0f} to {max(found):,.0f}"
        ratio = "" if middle == first else f"  1 : {first / middle:,.1f}"
        print(f"{name:45s} {middle:12,.0f} world-steps/s  ({spread}){ratio}")
    # in a process of its own, so that nothing else counts
    subprocess.run([sys.executable, __file__, "--memory", "--town", args.town], check=True)


if __name__ == "__main__":
    main()
