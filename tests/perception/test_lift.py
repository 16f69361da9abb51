"""From boxes back to the road, and from picture to picture."""

from __future__ import annotations

import math

import numpy as np
import painted
import pytest

from contracts import Ego
from perception.classes import CLASSES, SIZES
from perception.lift import Lifted, lift
from perception.model import nothing
from perception.output import Detections
from perception.perceive import distinct
from perception.track import Tracker


def seen(labels: list[int], centres: list[tuple[float, float]], yaws: list[float], **more: object) -> Detections:
    """What a perfect detector says of objects of usual size; without depth and heading unless given."""
    count = len(labels)
    boxes = []
    for label, (x, y), yaw in zip(labels, centres, yaws):
        size = SIZES[label].astype(float)
        boxes.append(painted.outline(np.array([x, y, size[2] / 2]), size, yaw))
    unknown = np.full(count, math.nan, np.float32)
    values = {
        **nothing(), "boxes": np.array(boxes, np.float32), "labels": np.array(labels), "binding": unknown,
        "scores": np.ones(count, np.float32), "depth": unknown, "alpha": unknown, "stop": unknown,
        "state": np.full(count, -1), "sign": np.full(count, -1), **more,
    }  # fmt: skip
    return Detections(**values)


PLACES = [(9.0, 1.5), (14.0, -3.0), (22.0, 4.0), (35.0, -2.0), (18.0, 0.0), (30.0, 8.0)]


def test_true_boxes_come_back_to_where_they_are() -> None:
    labels, yaws = [0, 0, 1, 0, 5, 3], [0.0] * 6
    found = seen(labels, PLACES, yaws)
    alpha = np.array([-math.atan2(y, x - painted.POSE[0]) for x, y in PLACES], np.float32)
    for name, picture in (("plain", found), ("heading", seen(labels, PLACES, yaws, alpha=alpha))):
        got = lift(picture, painted.CAMERA, (1.0, 1.0))
        gap = np.linalg.norm(got.centre[:, :2] - np.array(PLACES), axis=1)
        assert (gap < 0.06 * np.linalg.norm(PLACES, axis=1) + 0.3).all(), (name, gap)
        assert got.half_extent[0].tolist() == pytest.approx((SIZES[0] / 2).tolist())
        assert np.isnan(got.yaw).all() if name == "plain" else np.abs(got.yaw).max() < 0.12
    small = Detections(**{**found.__dict__, "boxes": found.boxes * np.array([2, 0.5, 2, 0.5], np.float32)})
    again = lift(small, painted.CAMERA, (2.0, 0.5))
    np.testing.assert_allclose(again.centre, lift(found, painted.CAMERA, (1.0, 1.0)).centre, atol=1e-3)


def test_lidar_overrules_a_wrong_size() -> None:
    """A car twice the usual size: the usual height says half the distance, the lidar knows."""
    size = SIZES[0].astype(float) * [1.0, 2.0, 2.0]
    thing = {"centre": (20.0, 2.0, size[2] / 2), "size": size}
    box = painted.outline(np.array(thing["centre"]), size)
    found = seen([0], [(20.0, 2.0)], [0.0], boxes=box[None].astype(np.float32))
    blind = lift(found, painted.CAMERA, (1.0, 1.0))
    sure = lift(found, painted.CAMERA, (1.0, 1.0), painted.scan([thing]))
    assert abs(blind.centre[0, 0] - 20) > 2.0
    assert abs(sure.centre[0, 0] - 20) < 0.6
    assert sure.error[0] < blind.error[0]
    empty = lift(found, painted.CAMERA, (1.0, 1.0), np.zeros((0, 4), np.float32))
    assert empty.centre.tolist() == blind.centre.tolist()


def test_cut_boxes_still_have_a_place() -> None:
    boxes = np.array([[0, 0, 192, 96], [50, 0, 150, 96], [10, 60, 60, 96]], np.float32)
    got = lift(seen([0, 2, 0], [(9.0, 0.0)] * 3, [0.0] * 3, boxes=boxes), painted.CAMERA, (1.0, 1.0))
    assert np.isfinite(got.centre).all()
    assert (got.centre[:, 0] > 0.5).all()
    assert len(lift(Detections(**nothing()), painted.CAMERA, (1.0, 1.0))) == 0


def placed(labels: list[int], centres: list[tuple[float, float]], yaw: float = math.nan) -> Lifted:
    count = len(labels)
    centre = np.array([(x, y, 0.8) for x, y in centres], np.float32).reshape(-1, 3)
    half = np.array([SIZES[k] / 2 for k in labels], np.float32).reshape(-1, 3)
    return Lifted(np.array(labels, np.int64), centre, half, np.full(count, yaw, np.float32),
                  np.ones(count, np.float32), np.full(count, 0.05, np.float32))  # fmt: skip


def test_what_two_cameras_see_counts_once() -> None:
    """At the border of two pictures a car is in both; the surer one is kept, and cars of one picture never merge."""
    left, right = placed([0, 0], [(10.0, 6.0), (12.0, 5.0)]), placed([0, 5], [(10.3, 6.2), (20.0, -6.0)])
    sure = Lifted(**{**right.__dict__, "scores": np.array([0.5, 0.9], np.float32)})
    merged = distinct([left, sure])
    assert sorted(map(tuple, merged.centre[:, :2].tolist())) == [(10.0, 6.0), (12.0, 5.0), (20.0, -6.0)]
    assert merged.scores.tolist() == pytest.approx([1.0, 1.0, 0.9])
    surer = Lifted(**{**left.__dict__, "scores": np.array([0.4, 0.3], np.float32)})
    kept = distinct([surer, right]).centre[:, 0].tolist()
    assert any(abs(x - 10.3) < 1e-4 for x in kept)
    assert not any(abs(x - 10.0) < 1e-4 for x in kept)


def test_what_one_camera_sees_as_two_classes_counts_once() -> None:
    """A cyclist found as a bicycle and a pedestrian behind it is one; who walks beside it is not, nor a car behind."""
    found = placed([4, 5, 5, 0, 6], [(20.0, 0.0), (21.5, 0.3), (20.0, 1.5), (26.0, 0.0), (20.0, 0.0)])
    scored = Lifted(**{**found.__dict__, "scores": np.array([0.6, 0.4, 0.5, 0.9, 0.8], np.float32)})
    kept = distinct([scored])
    assert kept.labels.tolist() == [0, 6, 4, 5]  # the surest first; a traffic light hides nobody
    assert kept.centre[3, 1] == pytest.approx(1.5)


def test_velocity_over_ground_while_the_ego_turns() -> None:
    """A car that drives 8 m/s north and a standing one, seen by an ego that drives a curve at 6 m/s."""
    tracker, ego, dt = Tracker(), Ego(6.0, 0.0, 0.3, 0.0), 0.1
    x = y = yaw = 0.0
    random = np.random.default_rng(0)
    for step in range(40):
        now = step * dt
        if step:
            half = yaw + ego.yaw_rate * dt / 2
            x, y, yaw = x + 6 * math.cos(half) * dt, y + 6 * math.sin(half) * dt, yaw + ego.yaw_rate * dt
        town = [(20.0 + 8 * now, 5.0), (30.0, -4.0)]
        cos, sin = math.cos(yaw), math.sin(yaw)
        local = [((a - x) * cos + (b - y) * sin, (b - y) * cos - (a - x) * sin) for a, b in town]
        noisy = [(a + random.normal(0, 0.15), b + random.normal(0, 0.15)) for a, b in local]
        tracks = tracker.update(placed([0, 0], noisy), ego, dt if step else 0.0)
    assert sorted(t.number for t in tracks) == [1, 2]
    moving, standing = sorted(tracks, key=lambda t: t.number)
    centre, velocity, heading = tracker.in_ego(moving)
    assert np.linalg.norm(centre - local[0]) < 0.4
    assert velocity == pytest.approx([8 * math.cos(yaw), -8 * math.sin(yaw)], abs=1.0)
    assert math.remainder(heading + yaw, 2 * math.pi) == pytest.approx(0.0, abs=0.15)
    assert np.linalg.norm(tracker.in_ego(standing)[1]) < 0.8


def test_tracks_end_and_do_not_mix_classes() -> None:
    tracker, ego = Tracker(), Ego(0.0, 0.0, 0.0, 0.0)
    for _ in range(4):
        tracker.update(placed([0], [(10.0, 0.0)]), ego, 0.1)
    tracks = tracker.update(placed([5], [(10.0, 0.0)]), ego, 0.1)
    assert {CLASSES[t.label] for t in tracks} == {"car", "pedestrian"}
    for _ in range(8):
        tracks = tracker.update(placed([], []), ego, 0.1)
    assert tracks == []
