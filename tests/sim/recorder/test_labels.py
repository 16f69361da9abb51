"""Labels against the renderer's own instance ids, and visibility against each object rendered alone."""

import dataclasses
import math

import numpy as np
import pytest

from sim import roads
from sim.recorder.labels import Thing, label
from sim.recorder.schema import CameraInfo
from sim.sensors.actors import WALKER, Actors, rotations
from sim.sensors.camera import Camera, Renderer
from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material
from sim.sensors.meshes.designs import Body
from sim.sensors.meshes.shapes import box
from sim.sensors.scene.town import scene_of_mesh

W, H, FOV = 320, 160, math.radians(90)
INFO = CameraInfo((1.0, 0.2, 1.6, 0.0, -0.05, 0.1), W, H, FOV)
SIZES = {  # half extents and category by kind
    Body.SEDAN: (2.3, 0.95, 0.75, 1), Body.SUV: (2.3, 1.0, 0.9, 1), Body.TRUCK: (4.0, 1.4, 1.7, 2),
    Body.BUS: (5.1, 1.4, 1.6, 3), Body.MOTORCYCLE: (1.1, 0.4, 0.8, 4), Body.BICYCLE: (0.85, 0.3, 0.8, 5),
    WALKER: (0.2, 0.25, 0.9, 6),
}  # fmt: skip


@pytest.fixture(scope="module")
def renderer():
    return Renderer(roads.load("Alder"), seed=3)


def scene(seed: int) -> tuple[np.ndarray, Actors, list[Thing]]:
    """An ego pose on a lane, actors before it in the ego frame as things too."""
    rng = np.random.default_rng(seed)
    t = roads.load("Alder").lane_tables()
    k = int(rng.choice(np.flatnonzero(t.junction[t.point_lane] < 0)))
    ego = np.array([t.x[k], t.y[k], t.z[k], 0.0, 0.0, t.yaw[k]])
    kinds, poses, sizes, things = [], [], [], []
    turn = rotations(*ego[3:, None])[0].astype(float)
    for n in range(14):
        kind = list(SIZES)[int(rng.integers(len(SIZES)))]
        half = SIZES[kind][:3]
        ahead, aside, yaw = rng.uniform(5, 45), rng.uniform(-9, 9), rng.uniform(-3, 3)
        middle = np.array([ahead, aside, 0.0])
        if any(np.hypot(*(middle[:2] - other.centre[:2])) < 0.6 + half[0] + other.half[0] for other in things):
            continue
        place = ego[:3] + turn @ middle
        kinds.append(int(kind))
        poses.append([*place, 0.0, 0.0, yaw + ego[5]])
        sizes.append([2 * v for v in half])
        things.append(Thing(50 + n, SIZES[kind][3], (ahead, aside, half[2]), half, yaw))
    return ego, Actors.of(np.array(kinds, np.int32), np.array(poses), size=np.array(sizes)), things


def draw(renderer, ego, actors, outputs=("semantic", "instance", "depth")):
    turn = rotations(*ego[3:, None])[0].astype(float)
    x, y, z = ego[:3] + turn @ np.array(INFO.pose[:3])
    camera = Camera(W, H, math.degrees(FOV), x, y, z, pitch=INFO.pose[4], yaw=ego[5] + INFO.pose[5])
    return renderer.render(camera, actors, outputs=outputs)


@pytest.mark.parametrize("seed", range(6))
def test_pixels_belong_to_the_right_actor(renderer, seed):
    ego, actors, things = scene(seed)
    got = draw(renderer, ego, actors)
    found, tracks = label(INFO, got["semantic"], got["instance"], got["depth"], things)
    moving = np.isin(got["semantic"], [Tag.PEDESTRIAN, Tag.RIDER, *range(Tag.CAR, Tag.BICYCLE + 1)])
    for number, thing in zip(actors.id.tolist(), things):
        exact = (got["instance"] == number) & moving
        if exact.sum() < 12:
            assert thing.track not in [a["track_id"] for a in found]
            continue
        mine = tracks == thing.track
        assert (mine & exact).sum() / (mine | exact).sum() > 0.98
    assert set(np.unique(tracks)) - {0} == {a["track_id"] for a in found}


def test_visibility_is_near_that_of_the_object_alone(renderer):
    errors, hidden = [], 0
    far = Builder()
    box(far, (0.0, 0.0, -900.0), (1.0, 1.0, 1.0), Material.PLAIN, (0.5, 0.5, 0.5))
    nowhere = Renderer(scene=scene_of_mesh(far))
    for seed in range(12):
        ego, actors, things = scene(seed)
        got = draw(renderer, ego, actors)
        found, _ = label(INFO, got["semantic"], got["instance"], got["depth"], things)
        by_track = {a["track_id"]: a for a in found}
        for row, (number, thing) in enumerate(zip(actors.id.tolist(), things)):
            if thing.track not in by_track or by_track[thing.track]["area"] < 60:
                continue
            alone = dataclasses.replace(
                actors, **{f.name: getattr(actors, f.name)[row : row + 1] for f in dataclasses.fields(actors)}
            )
            whole = int((draw(nowhere, ego, alone, ("instance",))["instance"] == number).sum())
            whole = max(whole, by_track[thing.track]["area"])
            truth = by_track[thing.track]["area"] / whole
            estimate = by_track[thing.track]["visibility"]
            errors.append(estimate - truth)
            hidden += truth < 0.9
    assert hidden > 8
    assert np.mean(np.abs(errors)) < 0.06
    assert np.quantile(np.abs(errors), 0.95) < 0.3


def test_all_outputs_at_once_are_those_of_each_alone(renderer):
    """The server draws what the cameras of one place need in one pass."""
    ego, actors, _ = scene(1)
    together = draw(renderer, ego, actors, ("rgb", "semantic", "instance", "depth"))
    for name, picture in together.items():
        assert (draw(renderer, ego, actors, (name,))[name] == picture).all(), name
