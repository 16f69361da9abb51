"""Where an ego is on its route and what binds it there: the next stop line, its light or sign, the speed limit.

The rules are those of the batched world (`sim.world.egos`), so that a Scene means the same whoever makes it; a test
compares the two step by step.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from contracts import LightState, Objects, Scene
from sim.driving.surroundings import Surroundings
from sim.roads.network import RoadNetwork
from sim.roads.routing import Route
from sim.roads.tables import LaneTables, StopControl

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

STANDING = 0.1
"""m/s below which a vehicle stands."""
STOP_ZONE = 8.0
"""Metres before a stop sign's line where standing counts."""
LINE_SIGHT = 60.0
"""Metres ahead that lights and stop signs are known."""
HORIZON = 80.0
"""Metres within which objects are known."""
OFF_ROUTE = 30.0
"""Metres from the route beyond which it is left."""


def route_rows(tables: LaneTables, route: Route) -> F32:
    """[N, 6] x, y, yaw, half width of the lane, s on the lane, speed limit (m/s) of each point of a route."""
    n = len(route.x)
    rows = np.zeros((n, 6), np.float32)
    rows[:, 0], rows[:, 1], rows[:, 2] = route.x, route.y, route.yaw
    for lane in np.unique(route.lane).tolist():
        mine = np.flatnonzero(route.lane == lane)
        first, count = int(tables.first_point[lane]), int(tables.point_count[lane])
        dx = route.x[mine, None] - tables.x[first : first + count]
        dy = route.y[mine, None] - tables.y[first : first + count]
        nearest = np.argmin(dx * dx + dy * dy, axis=1)
        yaw = tables.yaw[first + nearest].astype(np.float64)
        at = np.arange(len(mine))
        rows[mine, 3] = tables.half_width[first + nearest]
        rows[mine, 4] = nearest * tables.spacing[lane] + dx[at, nearest] * np.cos(yaw) + dy[at, nearest] * np.sin(yaw)
        rows[mine, 5] = tables.speed_limit[lane]
    return rows


class RouteTracker:
    """An ego's way along a route. Call `update` once a step, before asking anything else.

    points: [N, 6] as `route_rows`. lanes: [N] rows of the network's lane tables. length: metres.
    After an update: index (the point behind the ego), along (metres from the route's begin), offset (metres to the
    right of it), error (own yaw less the route's), completion 0..1 (of the farthest place reached on the route),
    speed_limit (m/s), line (the point at which the next light or stop sign is passed, -2 none), light (LightState),
    stop_distance (metres from the ego's centre to that line where it is seen, else inf), stop_sign (it belongs to a
    stop sign not yet honoured), deviated (more than 30 m off).
    """

    def __init__(self, network: RoadNetwork, route: Route) -> None:
        self.network, self.route = network, route
        self.tables = network.lane_tables()
        self.points = route_rows(self.tables, route)
        self.lanes = route.lane
        self.length = float(len(route.x) - 1)
        self._x: list[float] = route.x.astype(float).tolist()
        self._y: list[float] = route.y.astype(float).tolist()
        controls = self.tables.control[route.lane]
        enters = np.zeros(len(route.lane), np.bool_)
        enters[1:] = route.lane[1:] != route.lane[:-1]
        binding = (controls == StopControl.LIGHT) | (controls == StopControl.STOP_SIGN)
        self.stop_lines: list[int] = np.flatnonzero(enters & binding).tolist()
        """Points at which a lane with a light or a stop sign is entered."""
        self.index, self.along, self.offset, self.error = 0, 0.0, 0.0, 0.0
        self.completion, self.deviated, self.honoured = 0.0, False, False
        self.speed_limit = float(self.points[0, 5])
        self.line, self.passed = -1, -1
        self._time = math.nan
        self.light, self.stop_distance, self.stop_sign = LightState.NONE, math.inf, False
        self.run = ""
        """What was run when the line `passed` was passed in this step: red_light, stop_sign or nothing."""

    def update(self, around: Surroundings) -> None:
        """Take in where the ego is now. Updating twice at one time changes nothing."""
        if around.time == self._time:
            return
        self._time = around.time
        self._locate(around)
        self._lines(around)
        if abs(self.offset) < OFF_ROUTE:
            self.completion = max(self.completion, min(self.along / max(self.length, 1.0), 1.0))
        else:
            self.deviated = True

    def _locate(self, around: Surroundings) -> None:
        x, y = around.x, around.y
        k, last = self.index, len(self._x) - 2
        along = offset = 0.0
        for _ in range(60):
            ux, uy = self._x[k + 1] - self._x[k], self._y[k + 1] - self._y[k]
            size = max(math.hypot(ux, uy), 1e-3)
            dx, dy = x - self._x[k], y - self._y[k]
            along, offset = (dx * ux + dy * uy) / size, (dy * ux - dx * uy) / size
            if along >= size and k < last:
                k += 1
            elif along < -0.5 and k > 0:
                k -= 1
            else:
                break
        self.index, self.along, self.offset = k, k + along, offset
        self.error = math.remainder(around.yaw_of_ego - float(self.points[k, 2]), 2 * math.pi)
        self.speed_limit = float(self.points[k, 5])

    def _next_line(self, start: int) -> int:
        return next((n for n in self.stop_lines if n >= max(start, 1)), -2)

    def _lines(self, around: Surroundings) -> None:
        half = 0.5 * around.ego.length
        front = self.along + half
        self.passed = -1
        if self.line == -1:
            self.line = self._next_line(int(front) + 1)
        if self.line >= 0 and front >= self.line:
            self.passed = self.line
            self.run = self._runs(around, self.line)
            self.line = self._next_line(self.line + 1)
            self.honoured = False
        self.light, self.stop_distance, self.stop_sign = LightState.NONE, math.inf, False
        rest = self.line - self.along
        if self.line >= 0 and rest <= LINE_SIGHT:
            lane = int(self.lanes[self.line])
            if self.tables.control[lane] == StopControl.LIGHT:
                if self.tables.light[lane] >= 0:
                    self.light = LightState(int(around.lights[self.tables.light[lane]]))
                    self.stop_distance = max(rest, 0.0)
            elif not self.honoured:
                self.stop_sign, self.stop_distance = True, max(rest, 0.0)
        if self.line >= 0 and abs(around.ego.speed) < STANDING and self.line - front < STOP_ZONE:
            self.honoured = True

    def _runs(self, around: Surroundings, line: int) -> str:
        lane = int(self.lanes[line])
        if abs(self.offset) >= 8.0 or abs(self.error) >= 1.6:
            return ""
        if self.tables.control[lane] == StopControl.LIGHT:
            light = int(self.tables.light[lane])
            return "red_light" if light >= 0 and around.lights[light] == LightState.RED else ""
        return "" if self.honoured else "stop_sign"

    def ahead(self, around: Surroundings, count: int = 64) -> F32:
        """[count, 2] float32: points of the route 1 m apart in the ego frame; the last repeats at the route's end."""
        at = np.minimum(self.index + 1 + np.arange(count), len(self._x) - 1)
        return to_ego(self.points[at, 0:2], around)

    def scene(self, around: Surroundings, nearest: int = 32, points: int = 64) -> Scene:
        """The truth as a contracts.Scene: those objects that `near` names."""
        order = near(around, nearest)
        yaw = around.yaw[order] - around.pose[5]
        yaw = (yaw + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi)
        return Scene(
            ego=around.ego,
            objects=Objects(
                kind=around.kind[order],
                centre=to_ego(around.place[order, 0:2], around),
                half_extent=np.ascontiguousarray(around.half_extent[order, 0:2]),
                yaw=yaw.astype(np.float32),
                velocity=turn_to_ego(around.velocity[order], around),
                confidence=np.ones(len(order), np.float32),
            ),
            route=self.ahead(around, points),
            light=self.light,
            stop_distance=self.stop_distance,
            stop_sign=self.stop_sign,
            speed_limit=self.speed_limit,
        )


def near(around: Surroundings, count: int = 32) -> NDArray[np.intp]:
    """Rows of the at most `count` others within 80 m, the nearest first."""
    order = np.argsort(around.away, kind="stable")
    return order[around.away[order] <= HORIZON][:count]


def turn_to_ego(vectors: F32, around: Surroundings) -> F32:
    """[N, 2] vectors of the town's axes in the ego's."""
    cos, sin = np.cos(around.pose[5]), np.sin(around.pose[5])
    return np.stack([vectors[:, 0] * cos + vectors[:, 1] * sin, vectors[:, 1] * cos - vectors[:, 0] * sin], axis=1)


def to_ego(places: F32, around: Surroundings) -> F32:
    """[N, 2] places of the town in the ego frame."""
    return turn_to_ego(places - around.pose[0:2], around)
