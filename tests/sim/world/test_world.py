"""Reproducibility, snapshots, resets, slots, truth."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from contracts import LightState, UserError
from sim.roads.routing import Router
from sim.roads.tables import LaneTables, WalkTables
from sim.world import fields as f
from sim.world.config import WorldConfig
from sim.world.presets import BodyType
from sim.world.state import Buffers
from sim.world.world import World

Town = tuple[LaneTables, WalkTables]
MakeLanes = Callable[..., LaneTables]

RUN = """
import hashlib, sys
import numpy as np
from pathlib import Path
import sim.roads
from sim.roads.network import RoadNetwork
from sim.world.config import WorldConfig
from sim.world.world import World
network = RoadNetwork.load(Path(sim.roads.__file__).parent / "towns" / "Alder.xodr")
config = WorldConfig(worlds=20, vehicles=24, walkers=8, statics=2, egos=2)
world = World(network.lane_tables(), network.walk_tables(), config, seed=11)
world.reset()
control = np.random.default_rng(0).uniform(0, 0.5, (20, 2, 3)).astype(np.float32)
for step in range(200):
    world.step(control)
    if step == 100:
        world.reset(np.arange(20) % 3 == 0)
truth = world.observe()
digest = hashlib.sha256()
for array in (*world.state.buffers, truth.objects, truth.route, truth.ego):
    digest.update(array.tobytes())
print(digest.hexdigest())
"""


def digest(threads: int) -> str:
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_same_bytes_on_one_and_two_threads_and_again() -> None:
    assert len({digest(1), digest(2), digest(2)}) == 1


def busy(town: Town, seed: int = 0, worlds: int = 6) -> World:
    config = WorldConfig(worlds=worlds, vehicles=24, walkers=8, statics=2, egos=1)
    world = World(*town, config, seed=seed)
    world.reset()
    return world


def run(world: World, steps: int, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        world.step(rng.uniform([0, 0, -0.2], [1, 0.2, 0.2], (world.config.worlds, 1, 3)).astype(np.float32))


def same(a: Buffers, b: Buffers) -> bool:
    return all(np.array_equal(x.view(np.int32), y.view(np.int32)) for x, y in zip(a, b))


def test_snapshot_returns_exactly(town: Town) -> None:
    world = busy(town)
    run(world, 50)
    saved = world.snapshot()
    run(world, 50, seed=1)
    first = world.snapshot()
    assert not same(first, saved)
    world.restore(saved)
    run(world, 50, seed=1)
    assert same(world.snapshot(), first)


def test_reset_leaves_nothing_behind(town: Town) -> None:
    """A world that lived and was reset equals one that starts at the same episode."""
    lived, fresh = busy(town), World(*town, busy(town).config)
    run(lived, 150)
    for array in lived.state.buffers[:4]:
        array[...] = 7  # and even nonsense goes
    for array in (lived.state.buffers.of, lived.state.buffers.oi, lived.state.buffers.ef, lived.state.buffers.ei):
        array[...] = 7
    fresh.state.buffers.wi[:, f.W_EPISODE] = 1
    lived.reset()
    fresh.reset()
    assert same(lived.snapshot(), fresh.snapshot())


def test_reset_touches_only_the_masked_worlds(town: Town) -> None:
    world = busy(town)
    run(world, 30)
    before = world.snapshot()
    mask = np.arange(6) % 2 == 0
    world.reset(mask)
    after = world.snapshot()
    for a, b in zip(before, after):
        assert np.array_equal(a[~mask], b[~mask])
    assert (after.wi[mask, f.W_TICK] == 0).all()
    assert (after.wi[mask, f.W_EPISODE] == 2).all()


def test_worlds_and_seeds_differ(town: Town) -> None:
    a, b = busy(town, 0), busy(town, 1)
    x = a.state.vehicles.x
    assert len({row.tobytes() for row in x}) == 6
    assert not np.array_equal(x, b.state.vehicles.x)


def test_fresh_worlds_have_room_between_bodies(town: Town) -> None:
    world = busy(town, worlds=16)
    v = world.state.vehicles
    assert (v.mode[:, 0] == f.EXTERNAL).all()
    assert (v.mode[:, 1:] == f.TRAFFIC).mean() > 0.9
    gap = np.hypot(v.x[:, :, None] - v.x[:, None], v.y[:, :, None] - v.y[:, None])
    gap -= v.half_length[:, :, None] + v.half_length[:, None]
    present = (v.mode > 0)[:, :, None] & (v.mode > 0)[:, None] & ~np.eye(24, dtype=bool)
    assert gap[present].min() > 3.0
    assert (world.state.egos.length[:, 0] >= 200).all()


def test_spawn_into_a_used_slot_is_as_into_a_new_one(make_lanes: MakeLanes) -> None:
    config = WorldConfig(vehicles=1, walkers=0, statics=0, egos=0)
    used, new = World(make_lanes(1, 200.0), None, config), World(make_lanes(1, 200.0), None, config)
    used.spawn(0, BodyType.BUS, 10.0, 1.0, 0.0, 0.5)
    used.state.vehicles.throttle[:] = 1.0
    for _ in range(30):
        used.step()
    used.apply_impulse(0, 0, 5e4, 5e4, 1e4)
    used.remove(0, 0)
    used.step()
    for world in (used, new):
        assert world.spawn(0, BodyType.CAR, 20.0, 0.0, 0.0, 0.1) == 0
        assert world.spawn(0, BodyType.CAR, 20.0, 0.0, 0.0, 0.1) == -1
    assert np.array_equal(used.state.buffers.vf, new.state.buffers.vf)
    assert np.array_equal(used.state.buffers.vi, new.state.buffers.vi)


def test_long_steps_are_made_of_short_ones(make_lanes: MakeLanes) -> None:
    config = WorldConfig(vehicles=1, walkers=0, statics=0, egos=0)
    worlds = [World(make_lanes(1, 500.0), None, config) for _ in range(2)]
    for world in worlds:
        world.spawn(0, BodyType.CAR, 20.0, 0.0, 0.0, 0.0)
        world.state.vehicles.throttle[:] = 0.5
    worlds[0].step(dt=1.0)
    for _ in range(10):
        worlds[1].step(dt=0.1)
    assert np.allclose(worlds[0].state.buffers.vf, worlds[1].state.buffers.vf, atol=1e-4)


def brute_force(world: World, w: int) -> NDArray[np.float64]:
    """Distances of all that an ego may see, sorted."""
    s = world.state
    x, y = s.vehicles.x[w, 0], s.vehicles.y[w, 0]
    found = []
    for group in (s.vehicles, s.walkers, s.statics):
        for j in np.flatnonzero(group.mode[w]):
            if not (group is s.vehicles and j == 0):
                found.append(np.hypot(group.x[w, j] - x, group.y[w, j] - y))
    return np.sort([d for d in found if d < 80])


def test_truth_is_a_valid_scene_of_the_nearest_objects(town: Town) -> None:
    world = busy(town)
    run(world, 40)
    truth = world.observe()
    for w in range(6):
        scene = world.scene(w).validate()
        expected = brute_force(world, w)[:16]
        assert len(scene.objects) == len(expected)
        assert np.allclose(np.linalg.norm(scene.objects.centre, axis=1), expected, atol=1e-2)
        assert np.allclose(truth.objects[w, 0, : len(expected), 7], expected, atol=1e-2)
        v = world.state.vehicles
        for m in range(len(expected)):
            if truth.kind[w, 0, m] < 5:
                j = truth.slot[w, 0, m]
                turn = v.yaw[w, j] - v.yaw[w, 0]
                along = v.speed[w, j] * np.cos(turn) - v.side_speed[w, j] * np.sin(turn)
                assert scene.objects.velocity[m, 0] == pytest.approx(along, abs=1e-3)
        step = np.linalg.norm(np.diff(scene.route, axis=0), axis=1)
        assert np.abs(step[:10] - 1).max() < 0.15
        assert scene.light in LightState


def test_bad_sizes_are_one_clear_line() -> None:
    with pytest.raises(UserError, match="egos: 3 is more than the 2 vehicles"):
        WorldConfig(vehicles=2, egos=3)
    with pytest.raises(UserError, match="dt"):
        WorldConfig(dt=0.0)
    with pytest.raises(UserError, match="density"):
        WorldConfig(density=float("nan"))


def test_a_given_route_is_followed(town: Town) -> None:
    world = busy(town)
    lanes = town[0]
    start, goal = lanes.first_point[0], lanes.first_point[lanes.successors[lanes.successors[0, 0], 0]] + 30
    pose = float(lanes.x[start]), float(lanes.y[start]), float(lanes.yaw[start])
    route = Router(lanes).route(pose, (float(lanes.x[goal]), float(lanes.y[goal]), None))
    world.set_route(0, 0, route)
    egos, v = world.state.egos, world.state.vehicles
    assert egos.length[0, 0] == pytest.approx(route.length, abs=1.5)
    for k in range(0, len(route.x), 3):
        world.set_pose(0, 0, float(route.x[k]), float(route.y[k]), float(route.z[k]), float(route.yaw[k]))
        v.speed[0, 0] = 0.0
        world.step(np.zeros((6, 1, 3), np.float32))
        assert egos.along[0, 0] == pytest.approx(k, abs=0.3)
        assert v.lane[0, 0] == route.lane[k]
    assert egos.completed[0, 0] == 1
    with pytest.raises(UserError, match="2 to 512 points"):
        world.set_route(0, 0, replace(route, x=np.zeros(600, np.float32)))
