"""How the built-in traffic drives."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sim.roads
from sim.roads.network import RoadNetwork
from sim.roads.tables import LaneTables, StopControl, WalkTables
from sim.world import fields as f
from sim.world.config import WorldConfig
from sim.world.presets import BodyType
from sim.world.world import World

MakeLanes = Callable[..., LaneTables]
Town = tuple[LaneTables, WalkTables]
TOWNS = sorted(path.stem for path in (Path(sim.roads.__file__).parent / "towns").glob("*.xodr"))


def test_followers_never_hit_a_leader_that_brakes(make_lanes: MakeLanes) -> None:
    worlds = 32
    config = WorldConfig(worlds=worlds, vehicles=6, walkers=0, statics=0, egos=0, dt=0.1)
    world = World(make_lanes(1, 6000.0), None, config)
    rng = np.random.default_rng(1)
    for w in range(worlds):
        for i in range(6):
            mode = f.KINEMATIC if i == 0 else f.TRAFFIC
            world.spawn(w, BodyType.CAR if i != 3 else BodyType.TRUCK, 400.0 - 30 * i, 0.0, 0.0, 0.0, mode)
    v = world.state.vehicles
    v.speed[:] = 15.0
    v.lane[:] = 0
    v.s[:] = v.x
    v.wish[:] = 1.0
    wish = np.full(worlds, 15.0, np.float32)
    least = np.inf
    for _ in range(1200):
        change = rng.random(worlds) < 0.02
        wish[change] = rng.uniform(0, 25, int(change.sum()))
        v.speed[:, 0] += np.clip(wish - v.speed[:, 0], -0.7, 0.2)
        v.x[:, 0] += v.speed[:, 0] * 0.1
        world.step()
        assert not v.touch.any()
        least = min(least, float((v.x[:, :-1] - v.x[:, 1:]).min()))
    assert least < 12, "they did come close behind a standing leader"
    assert (v.x[:, 5] > 500).all()


def test_lights_stop_signs_and_each_other_are_obeyed(town: Town) -> None:
    lanes, walk = town
    world = World(lanes, walk, WorldConfig(worlds=8, vehicles=32, walkers=16, egos=0), seed=5)
    world.reset()
    v, lights = world.state.vehicles, world.state.signals.state
    slowest = np.full(v.speed.shape, 99.0, np.float32)
    entered = dict.fromkeys(StopControl, 0)
    distance = 0.0
    touches = 0
    for _ in range(2400):
        lane, touch = v.lane.copy(), v.touch.copy()
        world.step()
        distance += float(v.speed.sum()) * 0.1
        slowest = np.minimum(slowest, v.speed)
        touches += int(((v.touch & ~touch) & 1).sum()) // 2
        moved = (v.lane != lane) & (lane >= 0)
        for w, i in zip(*np.nonzero(moved)):
            old, new = lane[w, i], v.lane[w, i]
            if lanes.junction[new] >= 0 and lanes.junction[old] != lanes.junction[new]:
                control = StopControl(int(lanes.control[new]))
                entered[control] += 1
                if control == StopControl.LIGHT:
                    assert lights[w, lanes.light[new]] != 3, "ran a red light"
                if control == StopControl.STOP_SIGN:
                    assert slowest[w, i] < 0.1, "ran a stop sign"
            slowest[w, i] = 99.0
    assert entered[StopControl.LIGHT] > 100
    assert entered[StopControl.STOP_SIGN] > 100
    assert distance / (8 * 32 * 240) > 4.0, "traffic flows"
    assert touches / (distance / 1000) < 0.02, "contacts a kilometre: only long vehicles in narrow turns"
    assert (world.state.buffers.wi[:, f.W_REMOVED] == 0).all()


@pytest.mark.parametrize("name", TOWNS)
def test_no_gridlock_within_an_hour(name: str) -> None:
    network = RoadNetwork.load(Path(sim.roads.__file__).parent / "towns" / f"{name}.xodr")
    world = World(
        network.lane_tables(), network.walk_tables(), WorldConfig(worlds=4, vehicles=32, walkers=16, egos=0), 2
    )
    world.reset()
    for _ in range(36_000):
        world.step()
    assert (world.state.buffers.wi[:, f.W_REMOVED] == 0).all()
    assert world.state.vehicles.stuck.max() < 120
    assert (world.state.vehicles.speed.mean(axis=1) > 1.0).all()


def town_world(name: str, config: WorldConfig, seed: int = 1) -> World:
    network = RoadNetwork.load(Path(sim.roads.__file__).parent / "towns" / f"{name}.xodr")
    world = World(network.lane_tables(), network.walk_tables(), config, seed)
    world.reset()
    return world


@pytest.mark.parametrize("name", ["Gridley", "Marlin"])
def test_drivers_reach_the_lane_for_the_turn_they_chose(name: str) -> None:
    world = town_world(name, WorldConfig(worlds=8, vehicles=32, walkers=0, egos=0))
    v = world.state.vehicles
    reached = missed = 0
    for _ in range(2000):
        lane, goal, onward = v.lane.copy(), v.goal.copy(), v.goal_next.copy()
        world.step()
        for w, i in zip(*np.nonzero((v.lane != lane) & (goal > 0))):
            if v.lane[w, i] == goal[w, i] - 1:
                assert v.next1[w, i] == onward[w, i], "and will take the turn"
                reached += 1
            else:
                missed += 1
    assert reached > 60
    assert missed < 0.05 * reached


def test_routes_change_lanes_for_turns() -> None:
    world = town_world("Gridley", WorldConfig(worlds=64, vehicles=1, walkers=0, egos=1))
    lanes, b = world.tables, world.state.buffers
    changes = 0
    for w in range(64):
        n = int(world.state.egos.route_points[w, 0])
        lane, route = b.route_lane[w, 0, :n], b.route[w, 0, :n]
        step = np.diff(route[:, :2], axis=0)
        assert np.abs(np.hypot(step[:, 0], step[:, 1]) - 1).max() < 0.05
        turn = np.angle(np.exp(1j * (np.arctan2(step[:, 1], step[:, 0]) - route[:-1, 2])))
        assert np.abs(turn).max() < 0.12
        for before, after in itertools.pairwise(lane):
            if before != after and after not in lanes.successors[before]:
                allowed = (lanes.left[before], lanes.may_change_left[before]), (
                    lanes.right[before], lanes.may_change_right[before],
                )  # fmt: skip
                assert (after, True) in allowed
                changes += 1
    assert changes > 20


def test_emergency_vehicles_get_through() -> None:
    world = town_world("Gridley", WorldConfig(worlds=8, vehicles=32, walkers=8, egos=0, emergency=0.1))
    v = world.state.vehicles
    speeds, touches, distance = [], 0, 0.0
    for _ in range(1500):
        touch = v.touch.copy()
        world.step()
        duty = v.flags & f.EMERGENCY > 0
        speeds.append([float(v.speed[duty].mean()), float(v.speed[~duty].mean())])
        touches += int(((v.touch & ~touch) & 1).sum()) // 2
        distance += float(v.speed.sum()) * 0.1
    fast, others = np.mean(speeds, axis=0)
    assert fast > 1.25 * others
    assert others > 4.0, "the others still get on"
    assert touches / (distance / 1000) < 0.05
    assert (world.state.buffers.wi[:, f.W_REMOVED] == 0).all()


def test_slower_traffic_is_overtaken(make_lanes: MakeLanes) -> None:
    world = World(make_lanes(2, 3000.0), None, WorldConfig(vehicles=2, walkers=0, statics=0, egos=0))
    world.spawn(0, BodyType.CAR, 100.0, 0.0, 0.0, 0.0, f.TRAFFIC)
    world.spawn(0, BodyType.TRUCK, 150.0, 0.0, 0.0, 0.0, f.TRAFFIC)
    v = world.state.vehicles
    v.lane[0] = 0
    v.s[0] = v.x[0]
    v.wish[0] = 0.8, 0.3
    for _ in range(600):
        world.step()
        assert not v.touch.any()
    assert v.x[0, 0] > v.x[0, 1] + 20


def test_obstacle_and_pedestrian_on_the_lane_are_not_hit(make_lanes: MakeLanes) -> None:
    world = World(make_lanes(1, 1000.0), None, WorldConfig(worlds=2, vehicles=1, walkers=1, statics=1, egos=0))
    b = world.state.buffers
    for w in range(2):
        world.spawn(w, BodyType.CAR, 20.0, 0.0, 0.0, 0.0, f.TRAFFIC)
        world.state.vehicles.lane[w, 0] = 0
        world.state.vehicles.s[w, 0] = 20.0
        body, whole = (b.of[w, :, 0], b.oi[w, :, 0]) if w == 0 else (b.pf[w, :, 0], b.pi[w, :, 0])
        body[f.X], body[f.COS], body[f.HALF_LENGTH], body[f.HALF_WIDTH] = 200.0, 1.0, 0.5, 0.5
        whole[0] = f.PARKED
    for _ in range(400):
        world.step()
        assert not world.state.vehicles.touch.any()
    assert (world.state.vehicles.x[:, 0] > 185).all()
    assert (world.state.vehicles.speed[:, 0] < 0.1).all()
