"""Boxes that meet, against shapely; and the response to it."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from shapely.geometry import Polygon

from sim.roads.tables import LaneTables
from sim.world import fields as f
from sim.world.collide import overlap
from sim.world.config import WorldConfig
from sim.world.presets import BodyType
from sim.world.world import World

MakeLanes = Callable[..., LaneTables]


@numba.njit
def depths(a: NDArray[np.float32], b: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for i in range(a.shape[1]):
        out[i] = overlap(a, i, b, i)


def boxes(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    rows = np.zeros((8, n), np.float32)
    rows[f.X], rows[f.Y] = rng.uniform(-4, 4, (2, n))
    rows[f.YAW] = rng.uniform(-np.pi, np.pi, n)
    rows[f.COS], rows[f.SIN] = np.cos(rows[f.YAW]), np.sin(rows[f.YAW])
    rows[f.HALF_LENGTH], rows[f.HALF_WIDTH] = rng.uniform(0.2, 4, n), rng.uniform(0.2, 1.5, n)
    return rows


def polygon(rows: NDArray[np.float32], i: int) -> Polygon:
    x, y, c, s = (float(rows[k, i]) for k in (f.X, f.Y, f.COS, f.SIN))
    length, width = float(rows[f.HALF_LENGTH, i]), float(rows[f.HALF_WIDTH, i])
    corners = [(length, width), (length, -width), (-length, -width), (-length, width)]
    return Polygon([(x + a * c - b * s, y + a * s + b * c) for a, b in corners])


def test_overlap_agrees_with_shapely() -> None:
    rng = np.random.default_rng(3)
    n = 2000
    a, b, out = boxes(rng, n), boxes(rng, n), np.zeros(n, np.float32)
    depths(a, b, out)
    hits = 0
    for i in range(n):
        p, q = polygon(a, i), polygon(b, i)
        if p.distance(q) > 1e-4:
            assert out[i] <= 0
        elif p.intersection(q).area > 1e-3:
            assert out[i] > 0
            hits += 1
    assert 300 < hits < n - 300


def crash(make_lanes: MakeLanes, other: int, gap: float = 20.0) -> World:
    """Two cars, the first at 10 m/s towards the second."""
    config = WorldConfig(vehicles=2, walkers=1, statics=1, egos=0, dt=0.05, response=True)
    world = World(make_lanes(1, 500.0), None, config)
    world.spawn(0, BodyType.CAR, 50.0, 0.0, 0.0, 0.0)
    world.spawn(0, BodyType.CAR, 50.0 + gap, 0.0, 0.0, 0.0, other)
    world.set_velocity(0, 0, 10.0, 0.0)
    return world


def test_impulse_keeps_momentum_and_cars_do_not_pass_through(make_lanes: MakeLanes) -> None:
    world = crash(make_lanes, f.EXTERNAL)
    v = world.state.vehicles
    hit = None
    for _ in range(80):
        before = float((v.mass[0] * v.speed[0]).sum())
        world.step()
        if world.state.contacts[0] and hit is None:
            hit = world.state.buffers.contact[0, 0].tolist()
            impulse = world.state.buffers.contact_impulse[0, 0]
            assert impulse[0] < -1000, "it pushes the one that came from behind back"
            assert float((v.mass[0] * v.speed[0]).sum()) == pytest.approx(before, rel=0.05)
    assert hit == [0, 0, 0, 1]
    assert v.speed[0, 1] > v.speed[0, 0]
    assert v.x[0, 1] - v.x[0, 0] > 4.5


def test_what_is_moved_from_outside_is_not_pushed(make_lanes: MakeLanes) -> None:
    world = crash(make_lanes, f.KINEMATIC)
    v = world.state.vehicles
    for _ in range(80):
        world.step()
    assert v.x[0, 1] == 70.0
    assert abs(v.speed[0, 0]) < 1.0


def test_bridges_do_not_touch_what_is_below(make_lanes: MakeLanes) -> None:
    world = crash(make_lanes, f.KINEMATIC, gap=1.0)
    world.state.vehicles.lane[0, 1] = -1
    world.state.vehicles.x[0, 1] = -400.0  # off every lane, so that its height stays
    world.step()
    assert world.state.contacts[0] == 0
    world.state.vehicles.x[0, 1] = world.state.vehicles.x[0, 0]
    world.step()
    assert world.state.contacts[0] == 1
