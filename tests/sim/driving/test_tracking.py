"""The plan follower keeps to path and speed, with the vehicle it was told of and with another."""

from __future__ import annotations

import numpy as np
import pytest

from contracts import Ego, Plan
from sim.driving.plans import Plans, path_ahead
from sim.driving.tracking import BatchTracker, PlanTracker
from sim.roads import load
from sim.world import fields as f
from sim.world.config import WorldConfig
from sim.world.presets import BodyType
from sim.world.world import World


@pytest.mark.parametrize(("kind", "told"), [(BodyType.CAR, True), (BodyType.TRUCK, True), (BodyType.VAN, False)])
def test_it_keeps_to_circle_and_speed(kind: BodyType, told: bool) -> None:
    network = load("Alder")
    world = World(network.lane_tables(), None, WorldConfig(vehicles=1, walkers=0, statics=0, egos=1, dt=0.1))
    slot = world.spawn(0, kind, 0.0, 0.0, 0.0, 0.0, f.EXTERNAL)
    assert slot == 0
    tracker = BatchTracker.of_world(world, 0.1) if told else BatchTracker(1, 0.1)
    radius, speed = 25.0, 7.0
    ego = world.state.vehicles
    off, pace = [], []
    for step in range(300):
        # the circle round (0, radius) in the ego frame
        x, y, yaw = float(ego.x[0, 0]), float(ego.y[0, 0]), float(ego.yaw[0, 0])
        angle = np.arctan2(x, radius - y) + np.arange(1, 21) / radius
        px, py = radius * np.sin(angle) - x, radius - radius * np.cos(angle) - y
        path = np.stack([px * np.cos(yaw) + py * np.sin(yaw), py * np.cos(yaw) - px * np.sin(yaw)], axis=1)
        plans = Plans(path[None].astype(np.float32), np.full((1, 8), speed, np.float32))
        motion = np.array([[ego.speed[0, 0], ego.accel[0, 0]]], np.float32)
        world.step(tracker.act(plans, motion)[:, None])
        if step > 100:
            off.append(np.hypot(x, y - radius) - radius)
            pace.append(float(ego.speed[0, 0]) - speed)
    assert np.abs(off).max() < 0.3
    assert np.abs(pace).max() < 0.15


def test_a_stop_is_held() -> None:
    plan = Plan(Plans.empty(1).path[0], np.zeros(8, np.float32))
    tracker = PlanTracker()
    standing = tracker.act(plan, Ego(0.0, 0.0, 0.0, 0.0)).validate()
    rolling = tracker.act(plan, Ego(6.0, 0.0, 0.0, 0.0)).validate()
    assert standing.throttle == rolling.throttle == 0.0
    assert standing.brake > 0.3
    assert rolling.brake > 0.5


def test_path_ahead_starts_one_metre_on_and_goes_on_behind_the_end() -> None:
    route = np.zeros((2, 64, 2), np.float32)
    route[0, :, 0] = 0.3 + np.arange(64)  # straight
    route[1, :, 0] = 0.8 + np.minimum(np.arange(64), 5)  # ends after 5 m
    path = path_ahead(route)
    np.testing.assert_allclose(path[:, :, 0], np.tile(np.arange(1.0, 21.0), (2, 1)), atol=1e-5)
    assert all(Plan(path[w], np.zeros(8, np.float32)).validate() for w in range(2))
