"""The examples run as their first lines say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from contracts import Scene, UserError
from contracts.extension import user_object
from sim.driving.route import RouteTracker
from sim.driving.routes import named_routes
from sim.driving.surroundings import from_world
from sim.roads import load
from sim.world.config import WorldConfig
from sim.world.world import World
from throttle.drive.config import Stack
from throttle.drive.parts import View, find_parts, load_parts

ROOT = Path(__file__).parents[1]
PLANNER, CONTROL, PERCEPTION = (f"examples.own_planner:{name}" for name in ("Careful", "Gentle", "Blind"))


def run(*words: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def scene() -> tuple[Scene, RouteTracker, World]:
    """The truth at the begin of a route in an empty town."""
    network = load("Alder")
    named = named_routes(network, "train", 1)[0]
    world = World(network.lane_tables(), None, WorldConfig(vehicles=2, walkers=0, density=0, route_points=2048), seed=1)
    world.reset()
    x, y, z, yaw = named.start
    world.set_route(0, 0, named.route)
    world.set_pose(0, 0, x, y, z, yaw)
    tracker = RouteTracker(network, named.route)
    around = from_world(world)
    tracker.update(around)
    return tracker.scene(around), tracker, world


def test_parts_of_ones_own_drive() -> None:
    stack = find_parts(Stack(PERCEPTION, PLANNER, CONTROL), Path("runs"))
    parts = load_parts(stack, every=2)
    truth, tracker, world = scene()
    assert parts.perception is not None
    parts.perception.begin()
    parts.planner.begin(tracker)
    parts.control.begin()
    pictures = {"front": np.zeros((32, 64, 3), np.uint8)}
    seen = parts.perception.see(View(pictures, None), truth)
    plan = parts.planner.plan(seen, from_world(world)).validate()
    fast = load_parts(Stack(planner="idm"), every=2).planner.plan(truth, from_world(world))
    assert plan.speed == pytest.approx(0.75 * fast.speed)
    assert parts.control.act(plan, seen).validate().throttle > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("examples.nothing:Careful", "examples.nothing cannot be imported: ModuleNotFoundError"),
        ("examples.own_planner:Careless", "module examples.own_planner has no Careless"),
        ("examples.own_planner:Blind", "has no plan; it needs begin, plan"),
        ("fractions:Fraction", "has no begin; it needs begin, plan"),
    ],
)
def test_a_part_that_is_none_is_one_line(words: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        find_parts(Stack(planner=words), Path("runs"))


def test_a_reward_of_ones_own_trains(tmp_path: Path) -> None:
    options = ["--env.id", "examples.own_reward:mine/Hurry-v0", "--env.worlds", "4", "--total_steps", "256",
               "--ppo.n_steps", "32", "--ppo.batch_size", "64", "--tracking.wandb", "disabled"]  # fmt: skip
    run("-m", "throttle.cli", "train", "control", *options, folder=tmp_path)
    assert len(list(tmp_path.glob("runs/*/checkpoints/*/model.zip"))) >= 1
    import gymnasium

    user_object("examples.own_reward:Hurry")
    env = gymnasium.make("mine/Hurry-v0", town="Alder", time_limit=2.0)
    env.reset(seed=1)
    for _ in range(25):
        *_, ended, cut, info = env.step(np.zeros(2, np.float32))
        if ended or cut:
            break
    assert info["report"]["terms"]["time"] == pytest.approx(-0.05 * info["report"]["seconds"], rel=0.1)
    env.close()


def test_a_strategy_of_ones_own_clips(tmp_path: Path) -> None:
    said = run(str(ROOT / "examples" / "own_clipping.py"), folder=tmp_path)
    pairs = re.findall(r"norm ([\d.]+) -> ([\d.]+)", said)
    assert len(pairs) == 3
    for norm, after in pairs:
        assert float(after) == pytest.approx(float(norm) ** 0.5, rel=0.05)


def test_a_network_of_ones_own_trains(tmp_path: Path) -> None:
    said = run(str(ROOT / "examples" / "own_network.py"), "here", folder=tmp_path)
    assert "finished at step 200" in said
    assert len((tmp_path / "here" / "clip_own.csv").read_text().splitlines()) == 201


def test_torchrun_clips_the_gradient_of_all(tmp_path: Path) -> None:
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    said = run(*words, str(ROOT / "examples" / "torchrun_ddp.py"), folder=tmp_path)
    assert "2 processes" in said
    assert "same weights everywhere: True" in said
