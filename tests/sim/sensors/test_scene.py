"""Towns become scenes: what a map says is there, what stands does not stand on the road, and it fits in memory."""

import os
from pathlib import Path

import numpy as np
import pytest

from sim import roads
from sim.sensors.camera import Camera, Renderer
from sim.sensors.labels import Tag
from sim.sensors.lidar import Pose, RayCaster
from sim.sensors.mesh import Material
from sim.sensors.records import LOOK, UV
from sim.sensors.scene.town import scene_of

FOLDER = Path(os.environ.get("THROTTLE_CARLA_MAPS", Path(__file__).parents[4] / "shared" / "maps"))


def look_down(scene, x, y, z):
    """Tags straight below points."""
    caster = RayCaster(scene)
    return np.array([
        caster.cast(np.array([a, b, c + 1.0], np.float32), np.array([[0, 0, -1]], np.float32), 5.0).tag[0]
        for a, b, c in zip(x, y, z)
    ])  # fmt: skip


def check(network, scene):
    """What holds in every town."""
    tables, walk = network.lane_tables(), network.walk_tables()
    rng = np.random.default_rng(0)
    k = rng.choice(len(tables.x), 300)
    below = look_down(scene, tables.x[k], tables.y[k], tables.z[k])
    assert np.isin(below, [Tag.ROAD, Tag.ROAD_LINE]).mean() > 0.99
    # nothing solid in the way of a car: rays along the lane at bumper height
    caster = RayCaster(scene)
    for i in k[:150]:
        d = np.array([[np.cos(tables.yaw[i]), np.sin(tables.yaw[i]), 0]], np.float32)
        hit = caster.cast(np.array([tables.x[i], tables.y[i], tables.z[i] + 0.7], np.float32), d, 1.2)
        assert not np.isfinite(hit.distance[0]), (tables.x[i], tables.y[i], hit.tag)
    sides = np.flatnonzero(~walk.edge_crossing)
    a, b = walk.edge_from[sides], walk.edge_to[sides]
    middle = [(v[a] + v[b]) / 2 for v in (walk.x, walk.y, walk.z)]
    on_walk = look_down(scene, *middle)
    assert (on_walk == Tag.SIDEWALK).mean() > 0.8
    tags = set(np.unique(scene.semantic[: scene.triangles]).tolist())
    assert {
        Tag.ROAD,
        Tag.SIDEWALK,
        Tag.BUILDING,
        Tag.POLE,
        Tag.VEGETATION,
        Tag.TERRAIN,
        Tag.ROAD_LINE,
        Tag.STATIC,
    } <= tags
    table = scene.records[: scene.triangles]
    lenses = scene.looks[table[:, LOOK], 3] == Material.SIGNAL
    shown = set(np.unique(scene.uv[table[lenses, UV], 0]).astype(int).tolist())
    assert set(range(len(tables.light_x))) <= shown
    assert scene.nbytes() < 400e6


def test_a_shipped_town(town):
    check(town.network, town.scene)
    again = scene_of(town.network, 3)
    assert again.static.mesh.position.tobytes() == town.scene.static.mesh.position.tobytes()
    other = scene_of(town.network, 4)
    assert other.static.mesh.position.shape != town.scene.static.mesh.position.shape


def test_a_roundabouts_island_is_whole(town):
    caster = RayCaster(town.scene)
    centre, radius = np.array([0.0, -170.0, 0.0]), 17.75  # Crown Circle
    angle = np.linspace(0, 2 * np.pi, 90)
    out = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)

    def height_and_tag(reach):
        from_above = (centre + reach * out + [0, 0, 1]).astype(np.float32)
        hits = caster.cast(from_above, np.tile(np.array([[0, 0, -1]], np.float32), (len(out), 1)), 3.0)
        return hits.point[:, 2], hits.tag

    z, tag = height_and_tag(radius - 0.4)
    assert (tag == Tag.SIDEWALK).mean() > 0.95, "a paved rim, on which lamps stand"
    assert np.abs(z[tag == Tag.SIDEWALK] - 0.15).max() < 0.01
    z, tag = height_and_tag(radius + 0.4)
    assert np.isin(tag, [Tag.ROAD, Tag.ROAD_LINE]).all()
    # its kerb meets a ray that comes low over the road from every side
    for direction in out.astype(np.float32):
        start = (centre + (radius + 2) * direction + [0, 0, 0.08]).astype(np.float32)
        hit = caster.cast(start, -direction[None], 4.0)
        assert abs(hit.distance[0] - 2.0) < 0.1
    assert (height_and_tag(radius - 3.0)[1] == Tag.TERRAIN).mean() > 0.6, "grass, trees and bushes"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Gridley", "Marlin"])
def test_the_other_shipped_towns(name):
    network = roads.load(name)
    check(network, scene_of(network, 0))


@pytest.mark.slow
@pytest.mark.external
@pytest.mark.parametrize("name", ["Town01", "Town02"])
def test_towns_of_carla(name):
    path = FOLDER / f"{name}.xodr"
    if not path.exists():
        pytest.skip(f"{path} is not here (set THROTTLE_CARLA_MAPS)")
    network = roads.load(path)
    scene = scene_of(network, 0)
    check(network, scene)
    pose = Pose(*(float(v[0]) for v in (network.lane_tables().x, network.lane_tables().y)), 1.6)
    picture = Renderer(scene=scene).render(Camera(width=64, height=48, x=pose.x, y=pose.y, z=1.6), outputs=("rgb",))[
        "rgb"
    ]
    assert picture.std() > 10
