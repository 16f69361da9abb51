"""Lidar and radar against the surface they should hit, and the laws of their noise."""

import numpy as np
import pytest

from contracts import UserError
from sim.sensors.actors import Actors
from sim.sensors.lidar import Lidar, Pose, Radar, RayCaster, radar_scan, scan, semantic_scan
from sim.sensors.meshes.designs import Body


@pytest.fixture(scope="module")
def caster(town):
    return RayCaster(town.scene)


def nearest_by_brute_force(caster, origin, direction):
    """Distance along each ray to the nearest of all triangles, float64."""
    scene, parts, t = caster.scene, caster._parts, caster.scene.templates
    triangles = [scene.static.mesh.position[scene.static.mesh.face[scene.lidar_ids]]]
    for template, m in zip(parts.template, parts.matrix):
        p = t.mesh.position[t.vertex[template] : t.vertex[template + 1]]
        f = t.mesh.face[t.triangle[template] : t.triangle[template + 1]]
        triangles.append((p @ m[:, :3].T + m[:, 3])[f])
    v = np.concatenate(triangles).astype(np.float64)
    best = np.full(len(direction), np.inf)
    a, u, w = v[:, 0], v[:, 1] - v[:, 0], v[:, 2] - v[:, 0]
    s = origin - a
    q = np.cross(s, u)
    for k, d in enumerate(direction.astype(np.float64)):
        p = np.cross(d, w)
        with np.errstate(divide="ignore", invalid="ignore"):
            inv = 1 / (u * p).sum(1)
            b, c = (s * p).sum(1) * inv, (q * d).sum(1) * inv
            t_hit = (w * q).sum(1) * inv
        ok = (b >= 0) & (c >= 0) & (b + c <= 1) & (t_hit > 1e-4)
        best[k] = t_hit[ok].min(initial=np.inf)
    return best


def test_points_lie_on_the_surface(town, caster):
    rng = np.random.default_rng(1)
    x, y, z, _ = town.place(rng)
    caster.update(town.actors(rng, around=(x, y)))
    d = rng.normal(size=(160, 3)) * [1, 1, 0.25]
    d = (d / np.linalg.norm(d, axis=1, keepdims=True)).astype(np.float32)
    origin = np.array([x, y, z + 2.2], np.float32)
    hits = caster.cast(origin, d, 100.0)
    truth = nearest_by_brute_force(caster, origin.astype(np.float64), d)
    truth[truth > 100] = np.inf
    assert np.isfinite(truth).sum() > 80
    assert ((hits.instance > 0) & (hits.instance < 32768)).sum() > 3
    # a ray through the crack between two triangles may go either way
    close = np.isclose(hits.distance, truth, atol=0.01) | (np.isinf(hits.distance) & np.isinf(truth))
    assert close.mean() > 0.99


def test_attributes_shape_the_scan(town, caster):
    x, y, z, yaw = town.place(np.random.default_rng(3))
    pose = Pose(x, y, z + 2.4, yaw=yaw)
    exact = {"dropoff_general_rate": 0.0, "dropoff_intensity_limit": 0.0, "dropoff_zero_intensity": 0.0}
    lidar = Lidar(channels=16, range=50, points_per_second=160_000, rotation_frequency=10, **exact)
    points, counts = scan(caster, lidar, pose, 0.1)
    assert len(counts) == 16
    assert counts.sum() == len(points)
    assert counts.max() <= 1000
    r = np.linalg.norm(points[:, :3], axis=1)
    assert r.max() <= 50.001
    np.testing.assert_allclose(points[:, 3], np.exp(-0.004 * r), rtol=1e-4)
    up = np.degrees(np.arcsin(points[:, 2] / r))
    assert up.min() > -30.1
    assert up.max() < 10.1
    # the lowest channel sees the road all around, 2.4 m below
    low = points[len(points) - counts[-1] :]
    assert counts[-1] == 1000
    assert abs(np.median(low[:, 2]) + 2.4) < 0.2
    half = scan(caster, Lidar(channels=16, range=50, points_per_second=160_000, dropoff_general_rate=0.45), pose, 0.1)[
        0
    ]
    assert 0.40 < len(half) / len(points) < 0.60
    noisy = scan(caster, Lidar(**{**lidar.__dict__, "noise_stddev": 0.1}), pose, 0.1)[0]
    error = np.linalg.norm(noisy[:, :3], axis=1) - r
    assert 0.08 < error.std() < 0.12


def test_semantic_points_and_radar_see_a_car_and_its_speed(town):
    caster = RayCaster(town.scene)
    x, y, z, yaw = town.place(np.random.default_rng(7))
    ahead = np.array([np.cos(yaw), np.sin(yaw), 0])
    car = Actors.of([Body.SEDAN], [[x + 12 * ahead[0], y + 12 * ahead[1], z, 0, 0, yaw]], id=[5], velocity=[8 * ahead])
    caster.update(car)
    lidar = Lidar(channels=32, range=40, points_per_second=320_000)
    points, _ = semantic_scan(caster, lidar, Pose(x, y, z + 1.8, yaw=yaw), 0.1)
    mine = points[points["instance"] == 5]
    assert len(mine) > 60
    assert set(mine["tag"]) == {14}
    assert 9.4 < mine["x"].min() < 9.9  # the tail of a car of 4.6 m whose middle is 12 m ahead
    assert np.abs(mine["y"]).max() < 1.2
    assert ((points["cos"] >= 0) & (points["cos"] <= 1.0001)).all()
    assert not (semantic_scan(caster, lidar, Pose(x, y, z + 1.8, yaw=yaw), 0.1, ignore=5)[0]["instance"] == 5).any()
    found = radar_scan(
        caster, Radar(points_per_second=20_000), Pose(x, y, z + 0.8, yaw=yaw), 0.1, np.zeros(3, np.float32)
    )
    assert np.abs(found[:, 2]).max() <= np.radians(15.01)
    moving = found[found[:, 0] > 4]
    assert len(moving) > 20
    assert 7.5 < np.median(moving[:, 0]) < 8.01
    assert 9.3 < np.median(moving[:, 3]) < 10.5


def test_impossible_attributes_are_one_line():
    for bad in ({"channels": 0}, {"range": -1.0}, {"upper_fov": -40.0}, {"dropoff_general_rate": 2.0}):
        with pytest.raises(UserError, match="lidar"):
            Lidar(**bad)
