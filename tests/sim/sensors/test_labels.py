"""Labels and depth against brute force, boxes against geometry, and bytes that never change."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from contracts import UserError
from sim.sensors.actors import WALKER, Actors, rotations
from sim.sensors.camera import Camera, Renderer
from sim.sensors.encodings import encode_depth, encode_instance
from sim.sensors.labels import Tag, boxes_2d
from sim.sensors.meshes.designs import DESIGNS, Body
from sim.sensors.weather import PRESETS

spec = importlib.util.spec_from_file_location("oracle", Path(__file__).with_name("oracle.py"))
oracle = importlib.util.module_from_spec(spec)
spec.loader.exec_module(oracle)


def test_labels_and_depth_match_every_triangle_cast_by_brute_force(town):
    renderer = Renderer(scene=town.scene)
    wrong_tag = wrong_id = pixels = 0
    seen = set()
    for seed in range(7):
        rng = np.random.default_rng(seed)
        x, y, z, _ = town.place(rng)
        actors = town.actors(rng, around=(x, y))
        camera = Camera(
            width=112, height=64, fov=float(rng.uniform(45, 115)), x=x, y=y, z=z + float(rng.choice([1.4, 3.0, 25.0])),
            roll=float(rng.normal(0, 0.1)), pitch=float(rng.uniform(-0.7, 0.1)), yaw=float(rng.uniform(0, 6.28)),
        )  # fmt: skip
        # both ways to the label buffer: next to colour samples, and alone
        outputs = ("rgb", "semantic", "instance", "depth") if seed % 2 else ("semantic", "instance", "depth")
        got = renderer.render(camera, actors, outputs=outputs)
        semantic, instance, depth = oracle.labels_of(renderer, camera, actors)
        same = (got["semantic"] == semantic) & (got["instance"] == instance)
        wrong_tag += int((got["semantic"] != semantic).sum())
        wrong_id += int((got["instance"] != instance).sum())
        pixels += semantic.size
        seen |= set(np.unique(semantic).tolist())
        assert np.max(np.abs(got["depth"] - depth)[same] / depth[same]) < 1e-3
    assert len(seen) >= 12
    assert wrong_tag <= 1e-4 * pixels
    assert wrong_id <= 1e-4 * pixels


def test_boxes_from_instances_lie_in_projected_boxes_of_the_geometry(town):
    renderer = Renderer(scene=town.scene)
    x, y, z, yaw = town.place(np.random.default_rng(4))
    ahead = np.array([np.cos(yaw), np.sin(yaw)])
    for distance, kind in ((9.0, Body.SEDAN), (14.0, Body.BUS), (7.0, Body.HATCHBACK)):
        pose = np.array([[x + ahead[0] * distance, y + ahead[1] * distance, z, yaw + 0.6]])
        actors = Actors.of([kind], np.insert(pose, 3, np.zeros((2, 1)), axis=1), id=[77])
        camera = Camera(width=320, height=200, x=x, y=y, z=z + 1.7, yaw=yaw)
        left, top, right, bottom = boxes_2d(renderer.render(camera, actors, outputs=("instance",))["instance"])[77]
        d = DESIGNS[kind]
        # the box that CARLA would tell: the body with its mirrors and lamps
        corners = np.array([[a * (d.length / 2 + 0.07), b * (d.width / 2 + 0.19), c] for a in (1, -1) for b in (1, -1)
                            for c in (0.0, d.height + 0.03)])  # fmt: skip
        world = corners @ rotations(*actors.pose[0, 3:6, None])[0].T + actors.pose[0, :3]
        view = camera.view()
        local = (world - view.position) @ view.rotation.T
        u, v = local[:, 0] / local[:, 2] * view.fx + view.cx, local[:, 1] / local[:, 2] * view.fy + view.cy
        assert u.min() - 1 <= left <= u.min() + 0.2 * np.ptp(u)
        assert u.max() - 0.2 * np.ptp(u) <= right <= u.max() + 1
        assert v.min() - 1 <= top <= v.min() + 0.2 * np.ptp(v)
        assert v.max() - 0.2 * np.ptp(v) <= bottom <= v.max() + 1


def test_depth_and_normal_tell_the_plane_of_a_road(town):
    renderer = Renderer(scene=town.scene)
    x, y, z, yaw = town.place(np.random.default_rng(9))
    camera = Camera(width=96, height=64, x=x, y=y, z=z + 2.0, pitch=-0.5, yaw=yaw)
    got = renderer.render(camera, outputs=("semantic", "depth", "normal"))
    view = camera.view()
    v = (np.arange(64) + 0.5 - view.cy) / view.fy
    road = got["semantic"] == Tag.ROAD
    down = (view.rotation[1, 2] * v + view.rotation[2, 2])[:, None]
    assert road.sum() > 1000
    # Alder is not flat everywhere; the height of the road under each pixel follows from its depth
    height = (2.0 + got["depth"] * down)[road]
    assert np.abs(height).max() < 0.35
    assert got["normal"][road][:, 2].min() > 0.98


def test_flow_is_the_projected_motion(town):
    renderer = Renderer(scene=town.scene)
    x, y, z, yaw = town.place(np.random.default_rng(11))
    at = np.array([[x + 10 * np.cos(yaw), y + 10 * np.sin(yaw), z, yaw]])
    was = at.copy()
    was[0, :2] += np.array([-np.sin(yaw), np.cos(yaw)]) * -0.5  # it moved half a metre to the right
    camera = Camera(width=200, height=120, x=x, y=y, z=z + 1.5, yaw=yaw)
    now, before = (Actors.of([Body.SEDAN], np.insert(p, 3, np.zeros((2, 1)), axis=1)) for p in (at, was))
    got = renderer.render(camera, now, outputs=("instance", "depth", "flow"), previous=(camera, before))
    car = got["instance"] == 1
    expected = 0.5 * camera.view().fx / got["depth"][car] / 200
    np.testing.assert_allclose(got["flow"][car][:, 0], expected, rtol=2e-3)
    assert np.abs(got["flow"][~car]).max() < 1e-4


SAME = """
import hashlib, os, sys
sys.path.insert(0, os.getcwd())
import numpy as np
from sim import roads
from sim.sensors.camera import Camera, Renderer
from sim.sensors.actors import Actors
from sim.sensors.lidar import Lidar, Pose, RayCaster, scan
from sim.sensors.scene.town import scene_of
from sim.sensors.weather import PRESETS
scene = scene_of(roads.load("Alder"), 3)
t = roads.load("Alder").lane_tables()
k = len(t.x) // 3
places = [[t.x[k + 8 * i], t.y[k + 8 * i], t.yaw[k]] for i in range(1, 5)]
actors = Actors.of([0, 3, 6, 100], places, lamps=[3, 1, 1, 0])
renderer = Renderer(scene=scene)
digest = hashlib.sha256()
for weather in ("ClearNoon", "HardRainNight"):
    camera = Camera(200, 120, x=t.x[k], y=t.y[k], z=t.z[k] + 1.6, yaw=t.yaw[k])
    for name, a in renderer.render(camera, actors, PRESETS[weather], time=1.0, frame=3).items():
        digest.update(name.encode() + a.tobytes())
caster = RayCaster(scene)
caster.update(actors)
points, counts = scan(caster, Lidar(range=60.0), Pose(float(t.x[k]), float(t.y[k])), 0.1)
digest.update(points.tobytes() + counts.tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_the_same_bytes_on_one_and_two_threads_and_in_every_run():
    def run(threads):
        environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "NUMBA_THREADING_LAYER": "workqueue"}
        root = Path(__file__).parents[3]
        command = [sys.executable, "-c", SAME]
        done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, check=True)
        return done.stdout.strip()

    assert len({run(1), run(2), run(2)}) == 1


def test_repeated_frames_are_equal_and_frames_differ_by_noise_only(town):
    x, y, z, yaw = town.place(np.random.default_rng(2))
    camera = Camera(width=120, height=72, x=x, y=y, z=z + 1.6, yaw=yaw)
    actors = town.actors(np.random.default_rng(2), around=(x, y))
    one, two = Renderer(scene=town.scene), Renderer(scene=town.scene)
    two.render(Camera(width=120, height=72, x=x + 40, y=y, z=z + 9, yaw=yaw + 1), actors)  # another history
    a, b = (hashlib.sha256(r.render(camera, actors)["rgb"].tobytes()).digest() for r in (one, two))
    assert a == b
    c = one.render(camera, actors, frame=1)["rgb"].astype(int)
    assert 0 < np.abs(c - one.render(camera, actors)["rgb"]).mean() < 4


def test_carla_encodings(town):
    depth = np.array([[0.0, 12.5, 999.9, 1000.0]], np.float32)
    bgra = encode_depth(depth).astype(np.float64)
    decoded = (bgra[..., 2] + bgra[..., 1] * 256 + bgra[..., 0] * 65536) / (256**3 - 1) * 1000
    np.testing.assert_allclose(decoded, depth, atol=1e-4)
    coded = encode_instance(np.array([[14]], np.uint8), np.array([[0x1234]], np.int32))[0, 0]
    assert list(coded) == [0x12, 0x34, 14, 255]


def test_pedestrians_walk_and_lamps_light_up(town):
    renderer = Renderer(scene=town.scene)
    x, y, z, yaw = town.place(np.random.default_rng(5))
    camera = Camera(width=160, height=120, x=x, y=y, z=z + 1.3, yaw=yaw, noise=0.0)

    def picture(kind, out, weather="ClearNoon", **more):
        pose = np.array([[x + 6 * np.cos(yaw), y + 6 * np.sin(yaw), z, 0, 0, yaw]])
        return renderer.render(camera, Actors.of([kind], pose, **more), PRESETS[weather], outputs=(out,))[out]

    poses = {picture(WALKER, "instance", travelled=[d]).tobytes() for d in (0.1, 0.25, 0.4, 0.6)}
    assert len(poses) == 4
    dark = picture(Body.SEDAN, "rgb", "ClearNight", lamps=[0]).astype(int)
    for bits in (2, 4, 8, 16):  # brake, left, right, reverse seen from behind
        assert (picture(Body.SEDAN, "rgb", "ClearNight", lamps=[bits]) - dark).max() > 60
    # the pool of the head lamps lies on the road beyond the car
    beam = picture(Body.SEDAN, "rgb", "ClearNight", lamps=[1]).astype(int)
    assert (beam - dark).mean() > 0.5


def test_traffic_lights_show_their_state(town):
    renderer = Renderer(scene=town.scene)
    tables = town.network.lane_tables()
    k = 0
    facing = float(tables.light_yaw[k])
    x, y, z = town.scene.light_position[k]
    # 9 m in front of the lenses on the post, 3.1 m up
    camera = Camera(width=96, height=96, fov=30, x=x + 9 * np.cos(facing), y=y + 9 * np.sin(facing), z=z + 3.1,
                    yaw=facing + np.pi, noise=0.0)  # fmt: skip
    none = np.zeros(len(tables.light_x), np.int32)
    off = renderer.render(camera, lights=none, outputs=("rgb",))["rgb"].astype(int)
    rows = []
    for state in (3, 2, 1):  # red above yellow above green
        none[k] = state
        change = (renderer.render(camera, lights=none, outputs=("rgb",))["rgb"] - off).max(-1)
        assert (change > 60).sum() >= 6
        rows.append(np.nonzero(change > 60)[0].mean())
    assert rows[0] < rows[1] < rows[2]


def test_bad_input_is_one_line():
    for bad in ({"width": 4}, {"fov": 200.0}, {"gamma": 0.0}):
        with pytest.raises(UserError, match="camera"):
            Camera(**bad)
