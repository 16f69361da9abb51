"""The expert: through traffic in every town, the same from Surroundings as in a batch, round what is in its way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from contracts import ObjectClass
from sim.driving import forecast
from sim.driving.batch import Batch, BatchConfig
from sim.driving.expert import REASONS, Expert, ExpertConfig, ExpertPlanner, packed
from sim.driving.path import POINTS, trace
from sim.driving.plans import Plans
from sim.driving.routes import named_routes
from sim.driving.surroundings import from_world
from sim.roads import load, towns
from sim.roads.tables import StopControl
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


def test_who_stands_is_expected_to_stand_where_it_is() -> None:
    """Aslant, with its nose over a line: held there once the ego has lost patience, and not turned into its lane."""
    network = load("Gridley")
    t, lanes = network.lane_tables(), packed(network).lanes
    other = next(
        k for k in np.flatnonzero(t.junction >= 0) if t.control[k] == StopControl.NONE and t.predecessors[k][0] >= 0
    )
    before = int(t.predecessors[other][0])
    k = int(t.first_point[before] + t.point_count[before] - 1)
    yaw = float(t.yaw[k]) + 0.6
    x, y = float(t.x[k] - 0.3 * math.cos(t.yaw[k])), float(t.y[k] - 0.3 * math.sin(t.yaw[k]))
    body = np.array([x, y, t.z[k], math.cos(yaw), math.sin(yaw), 2.3, 0.9, 0.0, 0.0])
    chain = np.array([before, other, -1, -1, -1, -1])
    s, nobody, lights = float(t.length[before]) - 0.3, np.zeros(1, np.int64), np.zeros(len(t.light_x), np.int32)
    conflicts = packed(network).conflicts
    patient, impatient = (
        forecast.held_at(lanes, conflicts, chain, s, body, 0.0, lights, nobody, 0, True, p) for p in (True, False)
    )
    assert patient == forecast.FAR, "it may go any moment"
    assert impatient == 0.0

    # a path that runs through it to its left, so that only the real heading reaches into the strip
    route = np.zeros((300, 6), np.float32)
    ahead, left = np.arange(300) - 100.0, 2.6
    route[:, 0] = x + ahead * math.cos(t.yaw[k]) + left * math.sin(t.yaw[k])
    route[:, 1] = y + ahead * math.sin(t.yaw[k]) - left * math.cos(t.yaw[k])
    route[:, 5] = 10.0
    path = np.empty((POINTS, 7))
    trace(route, np.full(300, before), 300, 90.0, 3.4, 1.0, path)
    low, high = np.empty(forecast.STEPS + 1), np.empty(forecast.STEPS + 1)
    forecast.follow(lanes, chain, s, 0.0, body, 0.0, 0.0, impatient, path, 1.2, low, high)
    assert high[0] > low[0]
    assert (low == low[0]).all()
    assert (high == high[0]).all()
