"""Emergency vehicles, scenarios and straying: the referee against the world's own counts, brought about on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from sim.driving.referee import Referee, Task
from sim.driving.route import RouteTracker
from sim.driving.routes import named_routes
from sim.driving.surroundings import from_world
from sim.roads import load
from sim.world import fields as f
from sim.world.config import WorldConfig
from sim.world.presets import BodyType
from sim.world.world import World

NETWORK = load("Gridley")
NAMED = named_routes(NETWORK, "train", 1, shortest=400.0)[0]


def alone() -> World:
    """An empty town, the ego on the route."""
    config = WorldConfig(vehicles=3, walkers=1, statics=1, egos=1, density=0, walker_density=0, route_points=2048)
    world = World(NETWORK.lane_tables(), NETWORK.walk_tables(), config, seed=1)
    world.reset()
    world.set_route(0, 0, NAMED.route)
    return world


def straight() -> int:
    """A point of the route with 30 m of the same lane before it and behind it."""
    lane = NAMED.route.lane
    return next(k for k in range(35, len(lane) - 35) if len(set(lane[k - 30 : k + 30].tolist())) == 1)


def put(world: World, along: int, offset: float = 0.0, turn: float = 0.0) -> None:
    x, y, yaw = (float(v) for v in world.state.buffers.route[0, 0, along, :3])
    world.set_pose(0, 0, x - offset * np.sin(yaw), y + offset * np.cos(yaw), 0.0, yaw + turn)
    world.state.egos.progress[0, 0] = along
    world.state.buffers.ei[0, f.E_STOP_POINT, 0] = -1


def stand(world: World, referee: Referee, steps: int) -> None:
    """Both judge each of `steps` steps of a tenth of a second in which the ego stands."""
    for _ in range(steps):
        world.step(np.array([[[0.0, 1.0, 0.0]]], np.float32))
        around = from_world(world)
        referee.tracker.update(around)
        referee.update(around)


def behind(world: World, along: int, flags: int) -> None:
    x, y, yaw = (float(v) for v in world.state.buffers.route[0, 0, along, :3])
    slot = world.spawn(0, BodyType.CAR, x, y, float(world.state.vehicles.z[0, 0]), yaw, f.KINEMATIC)
    world.state.vehicles.flags[0, slot] = flags


@pytest.mark.parametrize(
    ("way", "counted"), [("in the way", 1), ("aside", 0), ("somebody between", 0), ("off duty", 0)]
)
def test_an_emergency_vehicle_is_to_be_let_past(way: str, counted: int) -> None:
    world, k = alone(), straight()
    referee = Referee(RouteTracker(NETWORK, NAMED.route))
    put(world, k, offset=1.1 if way == "aside" else 0.0)
    behind(world, k - 20, 0 if way == "off duty" else f.EMERGENCY)
    if way == "somebody between":
        behind(world, k - 9, 0)
    stand(world, referee, 140)
    assert referee.result().yield_emergency == 0, "it has 15 s"
    stand(world, referee, 120)
    assert referee.result().yield_emergency == world.state.egos.yield_emergency[0, 0] == counted
    assert [i.kind for i in referee.infractions] == ["yield_emergency"] * counted, "once, and nothing else"


@pytest.mark.parametrize("passed", [True, False])
def test_a_scenario_is_passed_in_its_time_or_counted_once(passed: bool) -> None:
    world, k = alone(), straight()
    referee = Referee(RouteTracker(NETWORK, NAMED.route), task=Task(k, k + 20, 4.0))
    world.set_scenario(0, 0, k, k + 20, 4.0)
    put(world, k - 10)
    stand(world, referee, 60)
    put(world, k + 2)
    stand(world, referee, 30)
    assert not referee.infractions, "its clock starts where it begins"
    if passed:
        put(world, k + 22)
    stand(world, referee, 30)
    assert referee.result().scenario_timeout == world.state.egos.scenario_timeout[0, 0] == int(not passed)
    stand(world, referee, 60)
    assert len(referee.infractions) == int(not passed)


@pytest.mark.parametrize("task", [True, False])
def test_the_other_side_of_the_road_is_no_fault_while_a_scenario_lasts(task: bool) -> None:
    world, k = alone(), straight()
    referee = Referee(RouteTracker(NETWORK, NAMED.route), task=Task(k - 5, k + 30) if task else None)
    if task:
        world.set_scenario(0, 0, k - 5, k + 30)
    put(world, k, turn=np.pi)
    world.state.vehicles.speed[0, 0] = 5.0
    stand(world, referee, 20)
    assert (referee.outside > 0.3) == (not task)
    assert referee.outside == pytest.approx(float(world.state.egos.outside[0, 0]), abs=0.6)


def test_a_route_ends_when_more_than_30_percent_of_it_was_driven_outside_its_lanes() -> None:
    world, k = alone(), straight()
    referee = Referee(RouteTracker(NETWORK, NAMED.route))
    while not referee.ended and referee.outside < referee.tracker.length:
        put(world, k, turn=np.pi)
        world.state.vehicles.speed[0, 0] = 10.0
        stand(world, referee, 15)
    assert referee.ended == "strayed"
    assert referee.outside / referee.tracker.length == pytest.approx(0.3, abs=0.05)
    assert world.state.egos.strayed[0, 0] == 1
