"""What the network is told: a motorway looks like a street where it should, and a bend is felt before it comes."""

from __future__ import annotations

import math

import torch
from test_model import network

from contracts import ObjectClass
from planning.export import example
from planning.scenes import FAR, LENGTH, SPEED, SPEED_LIMIT, STOP_DISTANCE, VX, VY, WIDTH, YAW, Scenes
from planning.tokens import MOMENT, SIDE_ACCELERATION, SLOW_DOWN, bend_speed, ego_features, object_features


def straight(metres: int) -> torch.Tensor:
    return torch.stack([torch.arange(1.0, metres + 1), torch.zeros(metres)], -1)


def test_a_bend_allows_its_speed_and_more_the_farther_it_is() -> None:
    radius = 25.0
    angle = torch.arange(0, 64) / radius
    bend = torch.stack([radius * angle.sin(), radius * (1 - angle.cos())], -1)
    later = torch.cat([straight(40), bend[:24] + torch.tensor([41.0, 0.0])])
    allowed = math.sqrt(SIDE_ACCELERATION * radius)
    found = bend_speed(torch.stack([bend, bend * torch.tensor([1.0, -1.0]), later, straight(64)]))
    # the bend is judged 2 m ahead at the earliest, hence a little more than the bend itself allows
    here = math.sqrt(allowed**2 + 2 * SLOW_DOWN * 2)
    assert abs(float(found[0]) - here) < 0.2
    assert abs(float(found[1]) - here) < 0.2
    assert abs(float(found[2]) - math.sqrt(allowed**2 + 2 * SLOW_DOWN * 41)) < 0.6
    assert found[3] > 40


def following(speed: float, limit: float) -> Scenes:
    """Behind a car that drives 2 m/s slower than the ego, 1.5 s ahead, on a straight road."""
    scenes = example(network(), 1)
    objects, kind = torch.zeros_like(scenes.objects), torch.full_like(scenes.kind, -1)
    objects[0, 0, 0], objects[0, 0, 2:4], objects[0, 0, VX], objects[0, 0, 7] = 1.5 * speed, 1.0, speed - 2.0, 1.0
    kind[0, 0] = int(ObjectClass.CAR)
    ego, rules = scenes.ego.clone(), scenes.rules.clone()
    ego[:, SPEED], rules[:, SPEED_LIMIT], rules[:, STOP_DISTANCE] = speed, limit, FAR
    return scenes._replace(ego=ego, objects=objects, kind=kind, route=straight(64)[None], rules=rules)


def test_a_motorway_is_told_in_the_numbers_of_a_street() -> None:
    street, motorway = following(13.0, 13.9), following(32.4, 33.3)
    near, far = ego_features(street), ego_features(motorway)
    # how much faster it may go is told alike; how fast it is differs, by less than one unit of the features
    assert (near - far).abs().max() < 1.0
    assert int(((near - far).abs() > 1e-4).sum()) <= 4
    for scenes in (street, motorway):
        assert object_features(scenes)[:, :1].abs().max() <= 4.0


def test_needed_braking_grows_as_the_gap_shrinks_and_is_none_beside_the_way() -> None:
    far, near, beside = following(13.0, 13.9), following(13.0, 13.9), following(13.0, 13.9)
    near.objects[0, 0, 0] = 9.0
    beside.objects[0, 0, 1] = 3.5
    needed = [float(object_features(s)[0, 0, 22]) for s in (far, near, beside)]
    assert needed[1] > 2.0 * needed[0] > 0.0
    assert needed[2] == 0.0


def test_a_crossing_car_is_told_with_the_place_and_the_times_of_the_meeting() -> None:
    scenes = following(10.0, 13.9)
    objects = scenes.objects
    # 24 m ahead, comes from 20 m to the right at 8 m/s, 4 m x 2 m; the ego is 2 m wide
    objects[0, 0, :2], objects[0, 0, 2:4] = torch.tensor([24.0, 20.0]), torch.tensor([2.0, 1.0])
    objects[0, 0, VX], objects[0, 0, VY], objects[0, 0, YAW] = 0.0, -8.0, -math.pi / 2
    meeting = object_features(scenes)[0, 0, 28:37]
    nose, half = 0.5 * float(scenes.ego[0, LENGTH]), 0.5 * float(scenes.ego[0, WIDTH])
    reach = 2.0 + half + 0.5
    first = MOMENT * math.ceil((20.0 - reach) / 8.0 / MOMENT)
    last = MOMENT * (math.floor((20.0 + reach) / 8.0 / MOMENT) + 1)
    assert meeting[0] == 1.0
    assert math.isclose(float(meeting[1]), 1.0 - first / 5.0, abs_tol=1e-4)
    assert math.isclose(float(meeting[2]), last / 5.0, abs_tol=1e-4)
    # it lies across: from 23 m to 25 m of the scene, and the route's first point is 1 m ahead
    assert math.isclose(float(meeting[3]), 22.0 / 30.0, abs_tol=0.01)
    assert math.isclose(float(meeting[4]), 24.0 / 30.0, abs_tol=0.01)
    assert math.isclose(float(meeting[5]), ((22.0 - nose) / 10.5 - last) / 3.0, abs_tol=0.02)
    assert math.isclose(float(meeting[6]), ((24.0 + nose) / 10.5 - first) / 3.0, abs_tol=0.02)
    objects[0, 0, VY] = 8.0  # it drives away
    assert object_features(scenes)[0, 0, 28:37].abs().max() == 0.0
