"""Whether an ego lets emergency vehicles past, from its surroundings: the rule of `sim.world.events` on any server.

A server does not tell which way a vehicle will take: one whose lane leads to the ego's within two lanes counts as
coming that way.
"""

from __future__ import annotations

import math

import numpy as np

from contracts import LightState
from sim.driving.route import STANDING, RouteTracker
from sim.driving.surroundings import Surroundings
from sim.roads.tables import LaneTables

PATIENCE = 15.0
"""Seconds that an ego may be in the way of an emergency vehicle."""
BEHIND, GONE = 30.0, 60.0
"""Metres within which one that is behind is followed, and at which it has been shaken off."""
MIDDLE, ASIDE = 0.4, 0.7
"""Share of the lane's half width, and metres, off the lane's middle at which an ego, and somebody else, made way."""
LEVEL = 3.0
"""Metres of height from which a lane is another level."""
ANGLED = 8.0
"""m^2 that a lane at right angles is put farther away when a pose looks for its lane."""


def lane_at(tables: LaneTables, x: float, y: float, z: float, yaw: float) -> tuple[int, float, float]:
    """(lane, metres along it, metres to the right of its centre) that suits a pose best; lane -1 far from all."""
    column = math.floor((x - float(tables.grid_origin[0])) / tables.grid_cell)
    row = math.floor((y - float(tables.grid_origin[1])) / tables.grid_cell)
    if not (0 <= column < tables.grid_size[0] and 0 <= row < tables.grid_size[1]):
        return -1, 0.0, 0.0
    cell = row * int(tables.grid_size[0]) + column
    p = tables.grid_point[tables.grid_first[cell] : tables.grid_first[cell + 1]]
    p = p[np.abs(z - tables.z[p]) < LEVEL]
    if not len(p):
        return -1, 0.0, 0.0
    dx, dy = x - tables.x[p], y - tables.y[p]
    best = int(np.argmin(dx * dx + dy * dy + ANGLED * (1.0 - np.cos(tables.yaw[p] - yaw))))
    point, cos, sin = int(p[best]), math.cos(tables.yaw[p[best]]), math.sin(tables.yaw[p[best]])
    lane = int(tables.point_lane[point])
    along = (point - int(tables.first_point[lane])) * float(tables.spacing[lane]) + dx[best] * cos + dy[best] * sin
    return lane, float(along), float(dy[best] * cos - dx[best] * sin)


class EmergencyWatch:
    """Follows one ego's encounters with emergency vehicles, one at a time. Call `update` once a step."""

    def __init__(self, tracker: RouteTracker) -> None:
        self.tracker = tracker
        self.known = -1
        """Id of the vehicle of the present encounter, -1 for none."""
        self._held_up, self._counted = 0.0, False

    def update(self, around: Surroundings, dt: float) -> int:
        """The id of the vehicle that the ego has failed to let past in this step, -1 for none."""
        if not around.on_duty.any():
            self.known = -1
            return -1
        if self.known >= 0 and not self._still(around):
            self.known = -1
        if self.known < 0:
            for k in np.flatnonzero(around.on_duty).tolist():
                if self._is_behind(around, k):
                    self.known, self._held_up, self._counted = int(around.id[k]), 0.0, False
                    break
            return -1
        k = int(np.flatnonzero(around.id == self.known)[0])
        if self._counted or not self._is_behind(around, k):
            return -1
        t = self.tracker
        waits = t.light is LightState.RED and abs(around.ego.speed) < STANDING
        if waits or abs(t.offset) > MIDDLE * float(t.points[t.index, 3]):
            return -1
        self._held_up += dt
        if self._held_up <= PATIENCE:
            return -1
        self._counted = True
        return self.known

    def _still(self, around: Surroundings) -> bool:
        """The vehicle of the encounter is on duty, behind, and near."""
        found = np.flatnonzero((around.id == self.known) & around.on_duty)
        if not len(found):
            return False
        dx, dy = (around.place[found[0], :2] - around.pose[:2]).astype(float).tolist()
        ahead = dx * math.cos(around.yaw_of_ego) + dy * math.sin(around.yaw_of_ego)
        return ahead <= 0.0 and math.hypot(dx, dy) <= GONE

    def _is_behind(self, around: Surroundings, j: int) -> bool:
        """Vehicle j is right behind the ego: within BEHIND metres, on its lane or one that leads there, nobody between
        who has not made way.
        """
        dx, dy = (around.place[j, :2] - around.pose[:2]).astype(float).tolist()
        if math.hypot(dx, dy) > BEHIND or math.cos(float(around.yaw[j]) - around.yaw_of_ego) < 0.0:
            return False
        t = self.tracker.tables
        lane, own, _ = lane_at(t, around.x, around.y, float(around.pose[2]), around.yaw_of_ego)
        theirs, s, _ = self._lane_of(around, j)
        if lane < 0 or theirs < 0:
            return False
        if theirs == lane:
            if s >= own:
                return False
        elif not self._leads(t, theirs, lane):
            return False
        for k in np.flatnonzero(around.away < BEHIND).tolist():
            if k == j:
                continue
            other, at, aside = self._lane_of(around, k)
            if abs(aside) > ASIDE:
                continue
            if other == lane and at < own and (theirs != lane or at > s):
                return False
            if theirs != lane and other == theirs and at > s:
                return False
        return True

    def _lane_of(self, around: Surroundings, k: int) -> tuple[int, float, float]:
        x, y, z = (float(v) for v in around.place[k])
        return lane_at(self.tracker.tables, x, y, z, float(around.yaw[k]))

    @staticmethod
    def _leads(tables: LaneTables, lane: int, goal: int) -> bool:
        """One or two lanes on from `lane` is `goal`."""
        following = [int(n) for n in tables.successors[lane] if n >= 0]
        return goal in following or any(goal in tables.successors[n] for n in following)
