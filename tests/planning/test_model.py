"""The network: what must not matter does not, and what comes out is a plan."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from contracts import Ego, LightState, Objects, Scene
from planning.config import NetConfig
from planning.export import example
from planning.losses import two_hot
from planning.model import ACCELERATIONS, PlanningNet, even, to_plan
from planning.planner import Planner
from planning.scenes import straighten
from planning.tokens import on_route

SMALL = NetConfig(dim=32, layers=2, heads=2, objects=12)
VARIANTS = [
    SMALL,
    NetConfig(dim=32, layers=1, heads=2, objects=12, decoder="gru"),
    NetConfig(dim=32, layers=1, heads=2, objects=12, speed="values", forecast=False),
]


def network(config: NetConfig = SMALL) -> PlanningNet:
    torch.manual_seed(1)
    return PlanningNet(config).eval()


def test_the_order_of_objects_makes_no_difference() -> None:
    net, scenes = network(), example(network(), 5)
    order = torch.randperm(scenes.kind.shape[1], generator=torch.Generator().manual_seed(3))
    mixed = scenes._replace(objects=scenes.objects[:, order], kind=scenes.kind[:, order])
    with torch.no_grad():
        before, after = net(scenes), net(mixed)
    torch.testing.assert_close(before.path, after.path, atol=1e-5, rtol=0)
    torch.testing.assert_close(before.speed, after.speed, atol=1e-5, rtol=0)


def test_what_lies_in_the_place_of_no_object_makes_no_difference() -> None:
    net, scenes = network(), example(network(), 5)
    absent = (scenes.kind < 0)[..., None]
    assert absent.any()
    other = scenes._replace(objects=torch.where(absent, 7.0, scenes.objects))
    with torch.no_grad():
        torch.testing.assert_close(net(scenes).speed, net(other).speed, atol=1e-5, rtol=0)
        moved = scenes._replace(objects=torch.where(absent, scenes.objects, scenes.objects + 3.0))
        assert (net(moved).speed - net(scenes).speed).abs().max() > 1e-3  # those that are there do matter


@pytest.mark.parametrize("config", VARIANTS, ids=["mlp", "gru", "values"])
def test_a_plan_comes_out_of_any_scene(config: NetConfig) -> None:
    planner = Planner(network(config))
    ego = Ego(speed=6.0, acceleration=0.0, yaw_rate=0.0, steer=0.0)
    bend = np.cumsum(np.full(64, 0.03))
    route = np.cumsum(np.stack([np.cos(bend), np.sin(bend)], 1), 0).astype(np.float32)
    many = Objects(
        kind=np.arange(40, dtype=np.int32) % 7,
        centre=np.random.default_rng(0).normal(0, 20, (40, 2)).astype(np.float32),
        half_extent=np.ones((40, 2), np.float32),
        yaw=np.zeros(40, np.float32),
        velocity=np.zeros((40, 2), np.float32),
        confidence=np.ones(40, np.float32),
    )
    for objects in (Objects.empty(), many):
        for points in (route, route[:5], route[:1], np.repeat(route[:1], 64, 0)):
            for stop in (float("inf"), 3.0):
                scene = Scene(ego, objects, points.copy(), LightState.RED, stop, False, 13.9).validate()
                planner.plan(scene).validate()


def test_an_untrained_offset_of_zero_is_the_route() -> None:
    net = network()
    scenes = example(net, 4)
    for parameter in net.decoder.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        path, _ = to_plan(net(scenes))
    _, beside, _ = on_route(path, scenes.route)
    assert beside.abs().max() < 0.02
    steps = (path[:, 1:] - path[:, :-1]).norm(dim=-1)
    torch.testing.assert_close(steps, torch.ones_like(steps), atol=0.02, rtol=0)


def test_where_a_point_lies_on_a_bent_route() -> None:
    angle = torch.arange(0, 60) / 20.0  # a circle of 20 m, turning right
    route = torch.stack([20 * angle.sin(), 20 * (1 - angle.cos())], -1)[None]
    at, outside = 1.234, 2.5
    place = torch.tensor([[(20 + outside) * np.sin(at), 20 - (20 + outside) * np.cos(at)]], dtype=torch.float32)[None]
    along, beside, tangent = on_route(place, route)
    assert abs(float(along) - 20 * at) < 0.2
    assert abs(float(beside) + outside) < 0.05  # to the left of a right turn
    assert abs(float(torch.atan2(tangent[0, 0, 1], tangent[0, 0, 0])) - at) < 0.05


def test_points_become_even_and_stay_on_the_line() -> None:
    path = torch.stack([torch.linspace(0.5, 12.0, 20) ** 1.1, torch.zeros(20)], -1)[None]
    found = even(path)
    torch.testing.assert_close(found[0, 0], path[0, 0])
    steps = (found[:, 1:] - found[:, :-1]).norm(dim=-1)
    torch.testing.assert_close(steps, torch.ones_like(steps), atol=1e-4, rtol=0)
    assert found[..., 1].abs().max() == 0


def test_two_hot_keeps_the_mean() -> None:
    classes = torch.tensor(ACCELERATIONS)
    values = torch.linspace(-9, 3.5, 101)
    weights = two_hot(values, classes)
    torch.testing.assert_close((weights * classes).sum(-1), values, atol=1e-5, rtol=0)
    assert ((weights > 0).sum(-1) <= 2).all()


def test_a_route_that_ends_goes_on_straight() -> None:
    route = np.stack([np.minimum(np.arange(1, 21), 8), np.zeros(20)], 1)[None].astype(np.float32)
    np.testing.assert_allclose(straighten(route)[0, :, 0], np.arange(1, 21))
