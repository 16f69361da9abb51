"""Open-loop metrics against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from test_model import network

from planning.data import Episodes
from planning.evaluate import open_loop
from planning.openloop import Motion, Others, comfortable, hits, judge, motion, on_road, overlap, spread, summary
from planning.planner import Planner
from planning.scenes import Scenes
from sim.driving.plans import Plans
from sim.roads import load

F = np.float32


def scene(speed: float) -> Scenes:
    route = np.stack([np.arange(1, 65), np.zeros(64)], 1)[None].astype(F)
    ego = np.array([[speed, 0, 0, 0, 4.0, 2.0]], F)
    zeros = np.zeros((1, 0), np.int64)
    return Scenes(ego, np.zeros((1, 0, 8), F), zeros, route, np.zeros(1, np.int64), np.zeros((1, 3), F))


def plan(speeds: list[float]) -> Plans:
    return Plans(scene(0).route[:, :20], np.array([speeds], F))


def other(x: float, y: float, vx: float = 0.0, kind: int = 0) -> Others:
    times = np.arange(1, 17) * 0.25
    place = np.stack([x + vx * times, np.full(16, y)], 1)[None, None].astype(F)
    return Others(place, np.zeros((1, 1, 16), F), np.array([[[2.0, 1.0]]], F), np.array([[kind]]))


HALF = np.array([[2.0, 1.0]], F)


def test_a_plan_is_driven_at_its_speeds_and_past_the_end_of_its_path() -> None:
    found = motion(scene(10.0), plan([10.0] * 8))
    np.testing.assert_allclose(found.place[0, :, 0], 2.5 * np.arange(1, 17), atol=1e-4)  # 40 m, the path has 20
    np.testing.assert_allclose(found.place[0, :, 1], 0, atol=1e-5)
    braking = motion(scene(4.0), plan([3, 2, 1, 0, 0, 0, 0, 0]))
    assert braking.gone[0, -1] == pytest.approx(2.0)  # v^2 / 2a = 16 / 8


def test_boxes_overlap() -> None:
    def at(x: float, y: float, turn: float = 0.0) -> bool:
        zero = np.zeros(2, F)
        return bool(overlap(zero, F(0), HALF[0], np.array([x, y], F), F(turn), HALF[0]))

    assert at(3.9, 0)
    assert not at(4.1, 0)
    assert at(0, 1.9)
    assert not at(0, 2.1)
    assert at(2.9, 0, np.pi / 2)
    assert not at(3.1, 0, np.pi / 2)
    assert not at(3.5, 2.9, np.pi / 4)
    assert at(3.0, 2.0, np.pi / 4)


def test_who_is_at_fault() -> None:
    ahead = motion(scene(10.0), plan([10.0] * 8))
    touched = hits(ahead, HALF, other(20.0, 0.0))[0, 0]
    assert touched.argmax() == 6  # 16 m are driven after 1.6 s: seen at 1.75 s
    assert not hits(ahead, HALF, other(20.0, 2.5)).any()
    assert not hits(ahead, HALF, other(20.0, 0.0, vx=10.0)).any()
    assert not hits(ahead, HALF, other(-12.0, 0.0, vx=14.0)).any()  # run into from behind
    standing = motion(scene(0.0), plan([0.0] * 8))
    assert not hits(standing, HALF, other(12.0, 0.0, vx=-6.0)).any()


def test_comfort() -> None:
    assert comfortable(motion(scene(10.0), plan([10.0] * 8)), scene(10.0))[0]
    assert not comfortable(motion(scene(10.0), plan([8.5, 7, 5.5, 4, 2.5, 1, 0, 0])), scene(10.0))[0]  # -6 m/s^2
    swerve = Motion(
        np.zeros((1, 16, 2), F), (0.3 * np.arange(16))[None].astype(F), np.full((1, 16), 5, F), np.ones((1, 16), F)
    )
    assert not comfortable(swerve, scene(5.0))[0]  # 1.2 rad/s


def test_the_road_has_an_edge() -> None:
    tables = load("Alder").lane_tables()
    lanes = np.flatnonzero((tables.junction < 0) & (tables.right < 0) & (tables.length > 40))
    points = tables.first_point[lanes] + tables.point_count[lanes] // 2
    side = np.stack([-np.sin(tables.yaw[points]), np.cos(tables.yaw[points])], 1)
    middle = np.stack([tables.x[points], tables.y[points]], 1)
    width = tables.half_width[points][:, None]
    assert on_road("Alder", (middle + 0.9 * side * width).astype(F)).all()
    assert on_road("Alder", (middle + side * (width + 1.0)).astype(F)).mean() < 0.3  # some border another road


def test_the_experts_own_plan_is_close_to_perfect_and_a_wild_one_is_not(train_part: Episodes) -> None:
    rows = spread(train_part, 300)
    expert = Plans(train_part.path[rows], train_part.speed[rows])
    good = summary(judge(train_part, rows, expert))
    assert good["path_ade"] == good["speed_fde"] == 0
    assert good["ep"] == 1
    assert good["collision_rate"] < 0.03
    assert good["off_road_rate"] < 0.05
    aside = Plans(expert.path + np.array([0, 6], F), np.full_like(expert.speed, 12.0))
    bad = summary(judge(train_part, rows, aside))
    assert bad["path_ade"] == pytest.approx(6, abs=1e-4)
    assert bad["off_road_rate"] > 0.5
    assert bad["pdms"] < 0.5 * good["pdms"]


def test_the_open_loop_compares_four_planners(train_part: Episodes) -> None:
    found = open_loop(Planner(network()), train_part, 60)
    assert found["expert"]["pdms"] > found["learned"]["pdms"]
    assert set(found) == {"learned", "expert", "lane follower + IDM", "constant velocity"}
