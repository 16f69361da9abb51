"""What the motion of an external vehicle must obey, whatever its parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sim.roads.tables import LaneTables
from sim.world import fields as f
from sim.world.config import WorldConfig
from sim.world.presets import PRESETS, BodyType
from sim.world.world import World

MakeLanes = Callable[..., LaneTables]


def cars(make_lanes: MakeLanes, worlds: int, kind: BodyType, dt: float, substeps: int = 2) -> World:
    """One vehicle of a kind in each world, at rest at the origin, driven by row 0 of `control`."""
    config = WorldConfig(worlds=worlds, vehicles=1, walkers=0, statics=0, egos=1, dt=dt, substeps=substeps)
    world = World(make_lanes(1, 4000.0), None, config)
    for w in range(worlds):
        assert world.spawn(w, kind, 5.0, 0.0, 0.0, 0.0) == 0
    return world


def drive(world: World, steps: int, throttle: float = 0.0, brake: float = 0.0, steer: float = 0.0) -> None:
    control = np.tile(np.array([throttle, brake, steer], np.float32), (world.config.worlds, 1, 1))
    for _ in range(steps):
        world.step(control)


@pytest.mark.parametrize("kind", list(BodyType))
def test_full_throttle_reaches_the_speed_where_power_meets_drag(make_lanes: MakeLanes, kind: BodyType) -> None:
    world = cars(make_lanes, 1, kind, 0.1)
    drive(world, 1200, throttle=1.0)
    p, row = PRESETS[kind], world.state.buffers.vf[0, :, 0]
    v = np.linspace(1, 80, 8000)
    pull = np.minimum(p.force, p.power / v) * np.clip((p.top_speed - v) / 2, 0, 1)
    expected = v[np.flatnonzero(pull < p.drag * v**2 + row[f.ROLL])[0]]
    assert world.state.vehicles.speed[0, 0] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("kind", list(BodyType))
def test_braking_stops_within_what_tyres_and_brakes_allow_and_never_reverses(
    make_lanes: MakeLanes, kind: BodyType
) -> None:
    world = cars(make_lanes, 1, kind, 0.05)
    start = min(15.0, PRESETS[kind].top_speed)
    world.set_velocity(0, 0, start, 0.0)
    v = world.state.vehicles
    x0 = float(v.x[0, 0])
    seen = []
    for _ in range(160):
        drive(world, 1, brake=1.0)
        seen.append(float(v.speed[0, 0]))
    p = PRESETS[kind]
    rate = min(0.95 * p.mu * 9.81, p.brake_force / p.mass)
    assert min(seen) == 0.0
    assert seen[-1] == 0.0
    assert v.x[0, 0] - x0 == pytest.approx(start**2 / (2 * rate), rel=0.1)
    assert (np.diff(seen) <= 0).all()


def test_slow_turn_follows_the_kinematic_bicycle(make_lanes: MakeLanes) -> None:
    world = cars(make_lanes, 1, BodyType.CAR, 0.05)
    v = world.state.vehicles
    for _ in range(200):
        drive(world, 1, throttle=0.25 if v.speed[0, 0] < 1.8 else 0.0, steer=0.3)
    expected = v.speed[0, 0] * np.tan(v.wheel[0, 0]) / v.wheelbase[0, 0]
    assert v.yaw_rate[0, 0] == pytest.approx(expected, rel=0.02)
    assert v.yaw_rate[0, 0] > 0.05, "positive steer turns right"


def test_fast_gentle_turn_is_close_to_neutral_steer(make_lanes: MakeLanes) -> None:
    world = cars(make_lanes, 1, BodyType.CAR, 0.05)
    v = world.state.vehicles
    world.set_velocity(0, 0, 20.0, 0.0)
    for _ in range(80):
        drive(world, 1, throttle=0.3 if v.speed[0, 0] < 20 else 0.0, steer=0.01)
    expected = v.speed[0, 0] * np.tan(v.wheel[0, 0]) / v.wheelbase[0, 0]
    assert v.yaw_rate[0, 0] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("dt", "substeps"), [(0.1, 1), (0.05, 2), (0.01, 1)])
def test_random_driving_stays_within_grip_and_finite(make_lanes: MakeLanes, dt: float, substeps: int) -> None:
    worlds = 64
    world = cars(make_lanes, worlds, BodyType.CAR, dt, substeps)
    rng = np.random.default_rng(0)
    v = world.state.vehicles
    v.speed[:, 0] = rng.uniform(0, 45, worlds)
    control = np.zeros((worlds, 1, 3), np.float32)
    for _ in range(int(20 / dt)):
        if rng.random() < 0.1:
            control = rng.uniform([0, 0, -1], [1, 1, 1], (worlds, 1, 3)).astype(np.float32)
            control[:, :, 1] *= rng.random((worlds, 1)) < 0.3
        world.step(control)
        assert np.isfinite(world.state.buffers.vf).all()
        grip = v.mu[:, 0] * 9.81
        fast = v.speed[:, 0] > 6
        assert (np.abs(v.side_accel[fast, 0]) <= 1.02 * grip[fast]).all()


def test_step_size_hardly_matters(make_lanes: MakeLanes) -> None:
    ends = []
    for dt, substeps in ((0.1, 2), (0.01, 1)):
        world = cars(make_lanes, 1, BodyType.CAR, dt, substeps)
        drive(world, round(5 / dt), throttle=0.6)
        drive(world, round(3 / dt), throttle=0.3, steer=0.02)
        v = world.state.vehicles
        ends.append([float(v.x[0, 0]), float(v.y[0, 0]), float(v.yaw[0, 0]) * 50, float(v.speed[0, 0])])
    assert np.allclose(ends[0], ends[1], rtol=0.03, atol=1.0)


def test_reverse_hand_brake_and_heavier_cars(make_lanes: MakeLanes) -> None:
    world = cars(make_lanes, 2, BodyType.CAR, 0.1)
    v = world.state.vehicles
    v.flags[0, 0] = f.REVERSE
    drive(world, 60, throttle=0.5)
    assert -9.0 < v.speed[0, 0] < -2.0
    assert v.speed[1, 0] > 5.0
    v.flags[:, 0] = f.HAND_BRAKE
    drive(world, 60)
    assert (v.speed[:, 0] == 0).all()
    v.flags[:, 0] = 0
    v.mass[1, 0] *= 2
    drive(world, 30, throttle=0.4)
    assert v.speed[1, 0] < 0.7 * v.speed[0, 0], "parameters are read in every step"


def test_pedals_out_of_range_or_not_finite(make_lanes: MakeLanes) -> None:
    world = cars(make_lanes, 1, BodyType.CAR, 0.1)
    world.step(np.array([[[np.nan, -3.0, 7.0]]], np.float32))
    v = world.state.vehicles
    assert (v.throttle[0, 0], v.brake[0, 0], v.steer[0, 0]) == (0.0, 0.0, 1.0)
