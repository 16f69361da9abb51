"""What each field of WeatherParameters does to a picture, and CARLA's presets by name."""

from dataclasses import replace

import carla
import numpy as np
import pytest

from contracts import UserError
from sim.sensors.camera import Camera, Renderer
from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material
from sim.sensors.meshes.shapes import box
from sim.sensors.scene.town import scene_of_mesh
from sim.sensors.weather import PRESETS, Weather

CLEAR = Weather(cloudiness=0.0, sun_azimuth_angle=90.0, fog_density=0.0)


@pytest.fixture(scope="module")
def yard():
    """Walls 8 m, 40 m and 160 m ahead (+x), and a post 2 m high at (5, 0) that casts a shadow, on asphalt."""
    mb = Builder()
    mb.semantic = Tag.ROAD
    mb.quad([(-300, -300, 0), (300, -300, 0), (300, 300, 0), (-300, 300, 0)], Material.ASPHALT, (0.11, 0.11, 0.11))
    mb.semantic = Tag.POLE
    box(mb, (5, 0, 1), (0.15, 0.15, 1), Material.PLAIN, (0.4, 0.4, 0.4))
    mb.semantic = Tag.WALL
    for k, (x, y) in enumerate(((8, -4), (40, 0), (160, 60))):
        mb.instance = 40_000 + k
        box(mb, (x, y, 2), (0.5, x / 8, 2 + x / 20), Material.PLAIN, (0.02, 0.02, 0.02))
    return Renderer(scene=scene_of_mesh(mb))


def picture(yard, weather, time=0.0, **more):
    """Colours [H, W, 3], tags and instances [H, W] without the sensor's noise."""
    camera = Camera(**{"width": 160, "height": 96, "z": 1.6, "noise": 0.0, **more})
    got = yard.render(camera, weather=weather, outputs=("rgb", "semantic", "instance"), time=time)
    return got["rgb"].astype(int), got["semantic"], got["instance"]


def test_every_preset_of_carla_has_its_name_here():
    theirs = {n for n, w in vars(carla.WeatherParameters).items() if isinstance(w, carla.WeatherParameters)}
    assert len(theirs) > 20
    assert theirs <= set(PRESETS)
    for name in theirs:
        assert Weather.named(name.upper()) == PRESETS[name]
        taken = Weather.like(getattr(carla.WeatherParameters, name))
        assert np.isfinite(taken.environment()).all()
    with pytest.raises(UserError, match="cloudiness"):
        Weather(cloudiness=float("nan"))


def test_the_sun_throws_shadows_away_from_where_it_stands(yard):
    down = {"x": 5.0, "y": 0.0, "z": 12.0, "pitch": -np.pi / 2 + 1e-3, "yaw": 0.0}
    rows, columns = (a - middle for a, middle in zip(np.mgrid[:96, :160], (47.5, 79.5)))
    beside = (np.abs(rows) < 6) & (np.abs(columns) < 30)
    for azimuth, across in ((90.0, -1), (270.0, 1)):  # from +y (right), and from the left
        rgb, tags, _ = picture(yard, replace(CLEAR, sun_azimuth_angle=azimuth), **down)
        road = tags == Tag.ROAD
        dark = road & beside & (rgb.sum(-1) < 0.6 * np.median(rgb.sum(-1)[road]))
        assert dark.sum() > 10
        assert (across * columns[dark] > 0).mean() > 0.9
    low, tags, _ = picture(yard, replace(CLEAR, sun_altitude_angle=10.0), **down)
    high, _, _ = picture(yard, replace(CLEAR, sun_altitude_angle=70.0), **down)
    assert high[tags == Tag.ROAD].mean() > 1.15 * low[tags == Tag.ROAD].mean()
    warm = low[tags == Tag.ROAD].mean(0)
    cold = high[tags == Tag.ROAD].mean(0)
    assert warm[0] / warm[2] > 1.1 * cold[0] / cold[2]


def test_clouds_take_the_shadows_away(yard):
    down = {"x": 5.0, "y": 0.0, "z": 12.0, "pitch": -np.pi / 2 + 1e-3}
    spread = []
    for cloudiness in (0.0, 100.0):
        rgb, tags, _ = picture(yard, replace(CLEAR, cloudiness=cloudiness), **down)
        road = rgb.sum(-1)[tags == Tag.ROAD]
        spread.append(np.percentile(road, 1) / np.median(road))
    assert spread[0] < 0.6 < 0.75 < spread[1]
    skies = [picture(yard, replace(CLEAR, cloudiness=c), pitch=0.6)[0].mean((0, 1)) for c in (0.0, 100.0)]
    assert skies[0][2] > 1.3 * skies[0][0], "blue"
    assert skies[1][2] < 1.15 * skies[1][0], "grey"


def test_fog_hides_what_is_far_and_leaves_what_is_near(yard):
    def walls(density, **more):
        rgb, _, ids = picture(yard, replace(CLEAR, fog_density=density, cloudiness=100.0, **more))
        return [rgb[ids == 40_000 + k].mean() for k in range(3)]

    clear, thin, thick = walls(0.0), walls(30.0), walls(80.0)
    for k in range(3):
        assert clear[k] < thin[k] < thick[k], "dark walls brighten"
    assert 2 * (thin[0] - clear[0]) < thin[2] - clear[2]
    assert thick[2] - thick[1] < 0.5 * (thin[2] - thin[1]), "thick fog makes both much the same"
    begins = [walls(density, fog_distance=100.0)[1] for density in (0.0, 30.0)]
    assert begins[1] == pytest.approx(begins[0], abs=1), "the fog is all behind the wall"


def test_rain_falls_and_wets(yard):
    wet = replace(CLEAR, precipitation=90.0, cloudiness=100.0)
    still = [picture(yard, replace(CLEAR, cloudiness=100.0), time=t)[0] for t in (0.0, 0.3)]
    falling = [picture(yard, wet, time=t)[0] for t in (0.0, 0.3)]
    assert np.abs(still[1] - still[0]).max() <= 2, "nothing moves in dry weather but clouds"
    assert (np.abs(falling[1] - falling[0]).max(-1) > 4).mean() > 0.02, "streaks are elsewhere"
    dry, tags, _ = picture(yard, CLEAR)
    near = (tags == Tag.ROAD) & (np.arange(96)[:, None] > 75)
    damp = picture(yard, replace(CLEAR, wetness=100.0))[0]
    assert damp[near].mean() < 0.9 * dry[near].mean(), "wet asphalt is darker"
    # a puddle mirrors the post: below it the picture changes as the post's colour would
    flooded = replace(CLEAR, wetness=100.0, precipitation_deposits=100.0)
    assert np.abs(picture(yard, flooded)[0] - damp)[near].mean() > 3


def test_night_is_dark_and_dust_is_brown(yard):
    noon, night = (picture(yard, Weather.named(f"Clear{when}"))[0].mean() for when in ("Noon", "Night"))
    assert night < 0.3 * noon
    dust, _, ids = picture(yard, Weather.named("DustStorm"))
    red, _, blue = dust[ids == 40_002].mean(0)
    assert red > 1.2 * blue
