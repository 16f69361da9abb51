"""Contracts accept what they describe and name what breaks them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contracts import ContractError, Control, Ego, LightState, Objects, Plan, Scene


def good_scene() -> Scene:
    objects = Objects(
        kind=np.array([0, 5], np.int32),
        centre=np.array([[10, 0], [5, 3]], np.float32),
        half_extent=np.array([[2.2, 0.9], [0.3, 0.3]], np.float32),
        yaw=np.zeros(2, np.float32),
        velocity=np.zeros((2, 2), np.float32),
        confidence=np.ones(2, np.float32),
    )
    route = np.stack([np.arange(30), np.zeros(30)], 1).astype(np.float32)
    return Scene(Ego(5.0, 0.1, 0.0, 0.0), objects, route, LightState.RED, 12.0, False, 13.9)


def good_plan() -> Plan:
    path = np.stack([np.arange(1, 21), np.zeros(20)], 1).astype(np.float32)
    return Plan(path, np.full(8, 5.0, np.float32))


def test_good_values_pass() -> None:
    scene, plan, control = good_scene(), good_plan(), Control(0.5, 0.0, -1.0)
    assert scene.validate() is scene
    assert plan.validate() is plan
    assert control.validate() is control
    assert replace(scene, objects=Objects.empty(), stop_distance=float("inf")).validate()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"speed_limit": -1.0}, "speed_limit"),
        ({"stop_distance": float("nan")}, "stop_distance"),
        ({"light": 3}, "light"),
        ({"route": np.zeros((4, 3), np.float32)}, "route"),
        ({"route": np.zeros((4, 2))}, "float32"),
        ({"ego": Ego(float("nan"), 0.0, 0.0, 0.0)}, "speed"),
        ({"objects": replace(good_scene().objects, kind=np.array([0, 99], np.int32))}, "kind"),
        ({"objects": replace(good_scene().objects, yaw=np.zeros(3, np.float32))}, "yaw"),
        ({"objects": replace(good_scene().objects, confidence=np.array([1, 2], np.float32))}, "confidence"),
        ({"objects": replace(good_scene().objects, half_extent=np.zeros((2, 2), np.float32))}, "half_extent"),
    ],
)
def test_bad_scene_is_named(change: dict[str, object], word: str) -> None:
    with pytest.raises(ContractError, match=word):
        replace(good_scene(), **change).validate()


def test_bad_plan_and_control_are_named() -> None:
    plan = good_plan()
    with pytest.raises(ContractError, match="1 m apart"):
        Plan(plan.path * 3, plan.speed).validate()
    with pytest.raises(ContractError, match="negative"):
        Plan(plan.path, -plan.speed).validate()
    with pytest.raises(ContractError, match="not finite"):
        Plan(plan.path * np.float32("nan"), plan.speed).validate()
    for bad in (Control(1.1, 0, 0), Control(0, -0.1, 0), Control(0, 0, float("inf")), Control(True, 0, 0)):
        with pytest.raises(ContractError):
            bad.validate()
