"""The expert: through traffic in every town, the same from Surroundings as in a batch, round what is in its way."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from contracts import ObjectClass
from sim.driving.batch import Batch, BatchConfig
from sim.driving.expert import REASONS, Expert, ExpertConfig, ExpertPlanner
from sim.driving.plans import Plans
from sim.driving.routes import named_routes
from sim.driving.surroundings import Surroundings, from_world
from sim.roads import load, towns
from sim.roads.network import RoadNetwork
from sim.roads.tables import ConflictKind, StopControl
from sim.world import fields as f


@pytest.mark.parametrize("town", towns())
def test_it_drives_well_through_traffic(town: str) -> None:
    network = load(town)
    routes = named_routes(network, "train", 8, seed=9)
    result = Batch(network, routes, BatchConfig(seed=70)).run("expert", ExpertPlanner())
    figures = result.figures()
    assert {d.ended for d in result.drives} == {"completed"}
    assert figures["infractions_per_km"] == 0.0
    assert figures["driving_score/carla-lb-2.0"] > 80.0
    assert figures["driving_score/carla-lb-1.0"] > 98.0


def test_one_ego_and_a_batch_decide_alike() -> None:
    network = load("Alder")
    routes = named_routes(network, "train", 3, seed=4)
    batch = Batch(network, routes, BatchConfig(seed=5))
    planner = ExpertPlanner()
    planner.begin(batch)
    singles = [Expert(network, named.route, ExpertConfig(dt=batch.config.dt)) for named in routes]
    reasons = set()
    for step in range(200):
        plans = planner.plan(batch)
        for w in np.flatnonzero(batch.active).tolist():
            plan, reason = singles[w].plan(from_world(batch.world, w))
            if step:  # a world looks for the first stop line in its first step
                assert reason == REASONS[planner.reason[w]]
                np.testing.assert_allclose(plan.validate().path, plans.path[w], atol=2e-3)
                np.testing.assert_allclose(plan.speed, plans.speed[w], atol=2e-2)
                reasons.add(reason)
        batch.step(Plans(plans.path.copy(), plans.speed.copy()))
    assert {"free", "lead"} < reasons


@pytest.mark.parametrize("aside", [-0.6, 0.7])
def test_it_goes_round_what_stands_in_its_lane(aside: float) -> None:
    network = load("Gridley")
    batch, at = obstacle(network, aside)
    result = batch.run("expert", ExpertPlanner())
    assert result.drives[0].ended == "completed", at
    assert result.drives[0].infractions == ()
    assert result.drives[0].seconds < 120.0


def obstacle(network, aside: float) -> tuple[Batch, int]:  # type: ignore[no-untyped-def]
    """A world without traffic, and a box of 2 x 1.6 m on the route where that runs straight outside junctions."""
    tables = network.lane_tables()
    for named in named_routes(network, "train", 40, seed=2):
        route = named.route
        n = len(route.x)
        for k in range(45, n - 60):
            stretch = slice(k - 40, k + 40)
            straight = np.ptp(np.unwrap(route.yaw[stretch])) < 0.02
            if straight and (tables.junction[route.lane[stretch]] < 0).all() and len(set(route.lane[stretch])) == 1:
                batch = Batch(network, [named], BatchConfig(density=0.0, walkers=0))
                b, yaw = batch.world.state.buffers, float(route.yaw[k])
                b.oi[0, f.O_MODE, 0] = f.PARKED
                row = b.of[0, :, 0]
                row[f.X], row[f.Y] = route.x[k] - aside * math.sin(yaw), route.y[k] + aside * math.cos(yaw)
                row[f.Z], row[f.YAW], row[f.COS], row[f.SIN] = route.z[k], yaw, math.cos(yaw), math.sin(yaw)
                row[f.HALF_LENGTH], row[f.HALF_WIDTH], row[f.O_HALF_HEIGHT] = 1.0, 0.8, 0.5
                around = from_world(batch.world)
                assert (around.kind == ObjectClass.STATIC).any()
                return batch, k
    raise AssertionError("no straight stretch")


def test_it_does_not_wait_for_ever_for_who_stands() -> None:
    """Somebody with the right of way stands with its nose over its line, and the ego in the junction before its way."""
    network = load("Gridley")
    expert, around = face_to_face(network)
    reasons, wishes = [], []
    for step in range(160):
        plan, reason = expert.plan(replace(around, time=0.05 * step))
        reasons.append(reason)
        wishes.append(float(plan.speed[-1]))
    assert set(reasons[20:90]) == {"junction"}, "at first it waits"
    assert max(wishes[20:90]) < 1.0
    assert min(wishes[120:]) > 2.0, "after some seconds it goes"


def face_to_face(network: RoadNetwork) -> tuple[Expert, Surroundings]:
    """An ego at rest in a junction, 2 m before the way of a car that it must give way to, which stands at the entry."""
    t = network.lane_tables()
    for named in named_routes(network, "train", 60, seed=3):
        lanes, route = named.route.lane, named.route
        enters = (lanes[1:] != lanes[:-1]) & (t.junction[lanes[1:]] >= 0) & (t.control[lanes[1:]] != StopControl.LIGHT)
        for point in np.flatnonzero(enters) + 1:
            lane = int(lanes[point])
            for c in range(int(t.conflict_first[lane]), int(t.conflict_first[lane + 1])):
                other, begin = int(t.conflict_lane[c]), float(t.conflict_begin[c])
                at = int(point + begin - 2.0 - 2.3)
                if t.conflict_kind[c] != ConflictKind.CROSS or t.conflict_yield[c] != 1 or at < point + 2:
                    continue
                before = int(t.predecessors[other][0])
                k = int(t.first_point[before] + t.point_count[before] - 1)
                if float(t.conflict_other_begin[c]) < 5.0 or lanes[at] != lane or at + 40 > len(lanes):
                    continue
                batch = Batch(network, [named], BatchConfig(density=0.0, walkers=0))
                around = from_world(batch.world)
                car = [float(v[k]) for v in (t.x, t.y, t.z)]
                x, y = car[0] - math.cos(t.yaw[k]), car[1] - math.sin(t.yaw[k])
                expert = Expert(network, route, ExpertConfig(dt=0.05))
                pose = [route.x[at], route.y[at], route.z[at], 0.0, 0.0, route.yaw[at]]
                return expert, replace(
                    around,
                    pose=np.array(pose, np.float32), ego=replace(around.ego, speed=0.0, acceleration=0.0),
                    velocity_of_ego=np.zeros(2, np.float32), id=np.array([7]), kind=np.array([0], np.int32),
                    place=np.array([[x, y, car[2]]], np.float32), yaw=np.array([t.yaw[k]], np.float32),
                    velocity=np.zeros((1, 2), np.float32), half_extent=np.array([[2.3, 0.9, 0.8]], np.float32),
                    on_duty=np.zeros(1, np.bool_),
                )  # fmt: skip
    raise AssertionError("no such junction")
