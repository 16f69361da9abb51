"""Props and standing things in pictures and under lidar rays; lenses that bend all outputs alike."""

import numpy as np
import pytest

from contracts import UserError
from sim.sensors.actors import PROP, Actors, rotations
from sim.sensors.camera import Camera, Lens, Renderer
from sim.sensors.labels import Tag, boxes_2d
from sim.sensors.lidar import Lidar, Pose, RayCaster, semantic_scan
from sim.sensors.meshes.designs import Body
from sim.sensors.meshes.props import TAGS, Shape, paint_of, shape_of
from sim.sensors.world_view import STATIC_ID, actors_of
from sim.server.catalogue import PROPS
from sim.world import fields as f
from sim.world.config import WorldConfig
from sim.world.world import World


def test_carlas_props_have_sensible_shapes():
    shapes = {name: shape_of(f"static.prop.{name}") for name in PROPS}
    assert set(shapes.values()) == set(Shape)
    expected = {"trafficcone01": Shape.CONE, "bench02": Shape.BENCH, "bin": Shape.BIN, "trashcan04": Shape.BIN,
                "box03": Shape.CARTON, "creasedbox01": Shape.CARTON, "table": Shape.TABLE, "trashbag": Shape.BAG,
                "streetbarrier": Shape.BARRIER, "streetfountain": Shape.FOUNTAIN, "bike helmet": Shape.BAG}  # fmt: skip
    assert {name: shapes[name] for name in expected} == expected
    assert all(0 <= c <= 1 for name in PROPS for c in paint_of(f"static.prop.{name}"))


def test_every_shape_fills_its_box_and_has_its_tag(town):
    renderer, caster = Renderer(scene=town.scene), RayCaster(town.scene)
    x, y, z, yaw = town.place(np.random.default_rng(4))
    camera = Camera(width=320, height=200, x=x, y=y, z=z + 1.5, yaw=yaw)
    view = camera.view()
    size = np.array([1.4, 1.0, 1.2])
    pose = np.array([[x + 5 * np.cos(yaw), y + 5 * np.sin(yaw), z, 0, 0, yaw + 0.4]])
    corners = np.array([[a, b, c] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (0, 1)]) * size
    for shape in Shape:
        actors = Actors.of([PROP + shape], pose, id=[77], size=[size])
        got = renderer.render(camera, actors, outputs=("instance", "semantic"))
        assert set(got["semantic"][got["instance"] == 77]) == {TAGS.get(shape, Tag.DYNAMIC)}
        left, top, right, bottom = boxes_2d(got["instance"])[77]
        world = corners @ rotations(*actors.pose[0, 3:6, None])[0].T + pose[0, :3]
        local = (world - view.position) @ view.rotation.T
        u, v = local[:, 0] / local[:, 2] * view.fx + view.cx, local[:, 1] / local[:, 2] * view.fy + view.cy
        assert u.min() - 1 <= left <= right <= u.max() + 1, shape
        assert v.min() - 1 <= top <= bottom <= v.max() + 1, shape
        assert right - left > 0.6 * np.ptp(u), shape
        assert bottom - top > 0.6 * np.ptp(v) or shape == Shape.HEAP, shape
        caster.update(actors)
        points, _ = semantic_scan(
            caster, Lidar(points_per_second=640_000, channels=32), Pose(x, y, z + 1.5, yaw=yaw), 0.1
        )
        mine = points[points["instance"] == 77]
        assert len(mine) > 5, shape
        assert set(mine["tag"]) == {TAGS.get(shape, Tag.DYNAMIC)}


def test_what_stands_in_the_world_is_seen(town):
    tables = town.network.lane_tables()
    world = World(tables, None, WorldConfig(vehicles=1, walkers=0, egos=0, statics=3, density=0.0))
    world.reset()
    s = world.state.statics
    for slot, half in ((0, 2.3), (2, 0.3)):
        s.mode[0, slot], s.x[0, slot], s.half_length[0, slot] = f.PARKED, 5.0 + slot, half
        s.half_width[0, slot], s.half_height[0, slot] = 0.3, 0.4
    found = actors_of(world.state, tables)
    rows = found.id >= STATIC_ID
    assert found.id[rows].tolist() == [STATIC_ID, STATIC_ID + 2]
    assert found.kind[rows].tolist() == [Body.SEDAN, PROP + Shape.CARTON]
    np.testing.assert_allclose(found.size[rows], [[4.6, 0.6, 0.8], [0.6, 0.6, 0.8]], rtol=1e-6)
    assert not found.lamps[rows].any()


def test_a_lens_bends_colours_and_labels_alike(town):
    renderer = Renderer(scene=town.scene)
    x, y, z, yaw = town.place(np.random.default_rng(6))
    outputs = ("rgb", "semantic", "depth")
    plain = Camera(width=160, height=120, x=x, y=y, z=z + 1.6, yaw=yaw, noise=0.0)
    straight = renderer.render(plain, outputs=outputs)
    bent_camera = Camera(**{**plain.__dict__, "lens": Lens(circle_multiplier=3.0, circle_falloff=0.0)})
    bent = renderer.render(bent_camera, outputs=outputs)
    # k = -1, sizes .08: at r^2 = 1/2 (half way to the corner, squared) 12% nearer to the middle
    for j, i in ((60, 159), (10, 80), (119, 20)):
        u, v = (i + 0.5) / 80 - 1, (j + 0.5) / 60 - 1
        a = 3.0 * -(u * u + v * v) / 2
        sx, sy = round((u * (1 + 0.08 * a) + 1) * 80 - 0.5), round((v * (1 + 0.08 * a) + 1) * 60 - 0.5)
        assert bent["semantic"][j, i] == straight["semantic"][sy, sx]
        assert bent["depth"][j, i] == straight["depth"][sy, sx]
    same = np.abs(bent["rgb"][55:65, 75:85].astype(int) - straight["rgb"][55:65, 75:85]).mean()
    assert same < 3 < np.abs(bent["rgb"].astype(int) - straight["rgb"]).mean()
    with pytest.raises(UserError, match="lens_k"):
        Lens(k=float("nan"))
