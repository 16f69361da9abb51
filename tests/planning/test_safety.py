"""The check of plans: who would run a light or into something is slowed in time, everybody else is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from contracts import LightState, ObjectClass
from contracts.plan import SPEED_PERIOD
from planning.checks import CHECKS, Check
from planning.safety import safe
from planning.scenes import FAR, Scenes
from sim.driving.plans import Plans

F = np.float32
Thing = tuple[ObjectClass, float, float, float, float]
"""Kind, x, y, velocity x, y; its heading is that of its velocity."""
CAR, WALKER = ObjectClass.CAR, ObjectClass.PEDESTRIAN


def scene(
    speed: float, things: list[Thing], light: LightState = LightState.NONE, stop: float = FAR, sign: bool = False
) -> Scenes:
    """A straight road ahead; the ego is 4 m long, a car as well."""
    objects, kind = np.zeros((1, 32, 8), F), np.full((1, 32), -1, np.int64)
    for n, (what, x, y, vx, vy) in enumerate(things):
        half = (0.3, 0.3) if what == WALKER else (2.0, 1.0)
        objects[0, n] = x, y, *half, np.arctan2(vy, vx), vx, vy, 1.0
        kind[0, n] = what
    return Scenes(
        ego=np.array([[speed, 0, 0, 0, 4.0, 2.0]], F),
        objects=objects,
        kind=kind,
        route=np.stack([np.arange(64), np.zeros(64)], 1)[None].astype(F),
        light=np.array([int(light)], np.int64),
        rules=np.array([[stop, sign, 14.0]], F),
    )


def plan(speed: float) -> Plans:
    path = np.stack([np.arange(1, 21), np.zeros(20)], 1)[None].astype(F)
    return Plans(path, np.full((1, 8), speed, F))


def kept(speed: float, things: list[Thing], checks: tuple[Check, ...] = CHECKS, **rules: Any) -> bool:
    """Whether a plan to go on at `speed` is left alone."""
    found = safe(scene(speed, things, **rules), plan(speed), checks)
    return bool((found.speed == speed).all())


def drive(speed: float, things: list[Thing], seconds: float = 6.0, **rules: Any) -> tuple[float, float, float]:
    """Drive plans of constant speed, checked four times a second: (metres driven, last speed, hardest braking)."""
    gone, now, hardest = 0.0, speed, 0.0
    stop = rules.pop("stop", FAR)
    for step in range(round(seconds / SPEED_PERIOD)):
        t = step * SPEED_PERIOD
        moved = [(what, x + vx * t - gone, y + vy * t, vx, vy) for what, x, y, vx, vy in things]
        left = scene(now, moved, stop=max(stop - gone, 0.0) if stop < FAR else FAR, **rules)
        after = float(safe(left, plan(speed), CHECKS).speed[0, 0])
        gone += 0.5 * (now + after) * SPEED_PERIOD
        hardest, now = max(hardest, (now - after) / SPEED_PERIOD), after
    return gone, now, hardest


@pytest.mark.parametrize("rules", [{"light": LightState.RED}, {"sign": True}, {"light": LightState.YELLOW}])
def test_who_would_cross_a_line_stops_at_it(rules: dict[str, Any]) -> None:
    gone, last, hardest = drive(10.0, [], seconds=9.0, stop=40.0, **rules)
    assert 37.0 < gone + 2.0 < 40.0
    assert last < 0.05
    assert hardest < 5.0


def test_lines_that_need_not_be_stopped_at_are_passed() -> None:
    assert kept(10.0, [], stop=12.0, light=LightState.GREEN)
    assert kept(10.0, [], stop=18.0, light=LightState.YELLOW)  # 3.1 m/s^2 would be needed
    assert kept(10.0, [], stop=7.0, light=LightState.RED)  # too late: to stand in the junction is worse
    assert kept(10.0, [], stop=59.0, light=LightState.RED)  # still far
    assert kept(10.0, [], ("leaders", "crossers"), stop=12.0, light=LightState.RED)


def test_the_check_stops_behind_who_stands_and_follows_who_drives() -> None:
    gone, last, hardest = drive(10.0, [(CAR, 40.0, 0.0, 0.0, 0.0)])
    assert 34.0 < gone < 36.0  # bumper to bumper are 36 m
    assert last < 0.1
    assert hardest < 5.0
    gone, last, hardest = drive(12.0, [(CAR, 20.0, 0.0, 6.0, 0.0)])
    assert gone < 20.0 + 36.0 - 4.0
    assert last == pytest.approx(6.0, abs=0.7)
    assert hardest < 5.0


def test_who_is_beside_behind_or_faster_changes_nothing() -> None:
    assert kept(10.0, [(CAR, 8.0, 2.3, 0.0, 0.0), (WALKER, 8.0, 1.8, 0.0, 0.0)])
    assert kept(10.0, [(CAR, -5.0, 0.0, 14.0, 0.0)])
    assert kept(10.0, [(CAR, 8.0, 0.0, 12.0, 0.0)])
    slanting = 0.1 * np.array([-0.76, -0.65])  # a corner of such a car reaches far
    assert not kept(1.0, [(CAR, 3.6, -1.9, *slanting.tolist())])
    assert kept(1.0, [(CAR, 3.6, -3.5, *slanting.tolist())])
    assert kept(10.0, [(CAR, 20.0, -3.5, -10.0, 0.3)])  # comes towards the ego in its own lane
    assert kept(10.0, [(CAR, 8.0, 0.0, 0.0, 0.0)], ("lines", "crossers"))


def test_the_ego_yields_to_whom_it_would_meet() -> None:
    steps_out: Thing = (WALKER, 16.0, 3.0, 0.0, -1.5)
    assert not kept(8.0, [steps_out])
    assert kept(8.0, [steps_out], ("lines", "leaders"))
    gone, last, _ = drive(8.0, [steps_out], seconds=1.5)
    assert gone + 2.0 < 16.0
    assert last < 6.0
    gone, last, _ = drive(8.0, [steps_out])
    assert last == 8.0  # it has passed
    assert not kept(8.0, [(CAR, 14.0, -9.0, 0.0, 6.0)])
    assert kept(8.0, [(CAR, 40.0, -9.0, 0.0, 6.0)])  # gone before the ego comes
    assert kept(8.0, [(CAR, 3.0, -15.0, 0.0, 6.0)])  # comes when the ego is gone
    assert kept(8.0, [(WALKER, 16.0, 3.0, 0.0, 1.5)])  # walks away


def test_each_scene_is_checked_for_itself_and_paths_stay() -> None:
    one, two = scene(10.0, []), scene(10.0, [(CAR, 9.0, 0.0, 0.0, 0.0)])
    both = Scenes(*(np.concatenate(pair) for pair in zip(one, two)))
    plans = Plans(*(np.concatenate([field, field]) for field in plan(10.0)))
    found = safe(both, plans, CHECKS)
    assert (found.speed[0] == 10.0).all()
    assert found.speed[1, 0] == 8.0  # as hard as it can
    assert (found.speed[1] >= 0).all()
    assert (found.path == plans.path).all()
    assert (plans.speed == 10.0).all()
