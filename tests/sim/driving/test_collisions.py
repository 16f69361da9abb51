"""Whose fault a collision is, where a server pushes bodies apart: decided by the speed before the push."""

from __future__ import annotations

import numpy as np
import pytest

from contracts import Ego, ObjectClass
from sim.driving.referee import Referee
from sim.driving.route import RouteTracker
from sim.driving.routes import named_routes
from sim.driving.surroundings import Collision, Surroundings
from sim.roads import load


@pytest.mark.parametrize(
    ("before", "after", "counted"),
    [(0.0, -2.7, False), (0.0, 0.0, False), (8.0, 0.0, True), (8.0, 7.8, True), (0.4, 0.05, False), (0.0, 0.2, True)],
    ids=["hit while it stood", "touched while it stood", "ran into a wall", "brushed", "rolled out", "set off into it"],
)
def test_a_collision_counts_where_the_ego_moved(before: float, after: float, counted: bool) -> None:
    network = load("Alder")
    named = named_routes(network, "train", 1)[0]
    tracker = RouteTracker(network, named.route)
    referee = Referee(tracker)
    x, y, z, yaw = named.start
    for step, (speed, hits) in enumerate([(before, ()), (after, (Collision(7, ObjectClass.CAR),))]):
        around = Surroundings(
            time=0.05 * step, pose=np.array([x, y, z, 0.0, 0.0, yaw], np.float32), ego=Ego(speed, 0.0, 0.0, 0.0),
            velocity_of_ego=np.zeros(2, np.float32), id=np.zeros(0, np.int64), kind=np.zeros(0, np.int32),
            place=np.zeros((0, 3), np.float32), yaw=np.zeros(0, np.float32), velocity=np.zeros((0, 2), np.float32),
            half_extent=np.zeros((0, 3), np.float32), on_duty=np.zeros(0, np.bool_),
            lights=np.zeros(len(network.lane_tables().light_signal), np.int32), collisions=hits,
        )  # fmt: skip
        tracker.update(around)
        referee.update(around)
    assert referee.result().vehicle == int(counted)
    assert referee.forgiven == int(not counted)
