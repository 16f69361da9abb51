"""Signs as actors: recorded pictures say by their yaw whether a sign shows its face."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.roads.tables import StopControl
from sim.server.towns import TownLibrary

REACH = 15.0
"""Metres between a sign and the lane that it binds."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Alder", "stop"), ("Alder", "yield"), ("Gridley", "stop"), ("Marlin", "stop"), ("Marlin", "yield")],
)
def test_every_lane_with_a_sign_has_one_that_looks_at_its_traffic(name: str, kind: str) -> None:
    town = TownLibrary().load(name)
    signs = [sign.pose for sign in town.signs if sign.type_id == f"traffic.{kind}"]
    tables, turned = town.tables, []
    lanes = np.flatnonzero(tables.control == {"stop": StopControl.STOP_SIGN, "yield": StopControl.YIELD}[kind])
    for lane in lanes.tolist():
        point = int(tables.first_point[lane])
        x, y, heading = float(tables.x[point]), float(tables.y[point]), float(tables.yaw[point])
        near = [pose for pose in signs if math.hypot(pose.x - x, pose.y - y) < REACH]
        if not any(math.cos(math.radians(pose.yaw) - heading) < -0.9 for pose in near):
            turned.append((lane, [round(pose.yaw) for pose in near]))
    assert len(lanes) > 0
    assert not turned
