"""Counts what happens on a route and ends it: sim.metrics.Route from the surroundings, tick by tick, on any server.

The rules are those of the batched world's own judge (`sim.world.egos`); a test compares the two. Bodies that touch are
seen by their boxes; what has no box here (a house of a real CARLA server) is seen by the collision sensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts import ObjectClass
from sim.driving.emergency import EmergencyWatch
from sim.driving.route import STANDING, RouteTracker
from sim.driving.surroundings import Surroundings
from sim.metrics import Route

TOLERANCE, JUNCTION_TOLERANCE = 0.5, 1.5
"""Metres beside the lanes, and beside connecting lanes, that do not count as outside."""
LEVEL, ROAD_LEVEL = 2.0, 3.0
"""Metres of height from which two bodies, or a body and a lane, do not meet (a bridge)."""
BLOCKED = 180.0
"""Seconds at a standstill that end a route."""
ALLOWED, ALLOWED_SHARE = 300.0, 0.1
"""Seconds that a route may take, and the share of the speed limit at which each metre of it adds time."""
AROUND = 60.0
"""Metres around within which traffic counts for the minimum speed."""
CHECKS = 4
"""Minimum-speed checks on a route."""
PUSHED = 15.0
"""m/s^2 that no pedal gives: a greater change of speed is the push of a collision."""
STRAYED = 0.3
"""Share of the route's length that may be driven outside its lanes."""


@dataclass(frozen=True)
class Task:
    """Something to get past: from `begin` to `end` metres along the route in `limit` seconds (a scenario)."""

    begin: float
    end: float
    limit: float = 240.0


@dataclass(frozen=True)
class Infraction:
    """What was counted: kind (see KINDS), when (s), where (x, y), whom (id, -1 for nobody)."""

    kind: str
    time: float
    place: tuple[float, float]
    other: int = -1


def touching(around: Surroundings, margin: float = 0.0) -> NDArray[np.bool_]:
    """[N] the boxes of the ego and the other, `margin` metres apart or less, share ground (separating axes)."""
    touch = np.zeros(len(around), np.bool_)
    length, width = 0.5 * around.ego.length + margin, 0.5 * around.ego.width + margin
    # most are too far away for any headings
    near = np.flatnonzero(around.away <= length + width + around.half_extent[:, 0] + around.half_extent[:, 1])
    if not len(near):
        return touch
    cos, sin = math.cos(around.yaw_of_ego), math.sin(around.yaw_of_ego)
    dx = (around.place[near, 0] - around.pose[0]).astype(np.float64)
    dy = (around.place[near, 1] - around.pose[1]).astype(np.float64)
    oc, os = np.cos(around.yaw[near]), np.sin(around.yaw[near])
    c, s = np.abs(cos * oc + sin * os), np.abs(cos * os - sin * oc)
    al, aw = around.half_extent[near, 0], around.half_extent[near, 1]
    apart = np.abs(dx * cos + dy * sin) >= length + al * c + aw * s
    apart |= np.abs(dy * cos - dx * sin) >= width + al * s + aw * c
    apart |= np.abs(dx * oc + dy * os) >= al + length * c + width * s
    apart |= np.abs(dy * oc - dx * os) >= aw + length * s + width * c
    apart |= np.abs(around.place[near, 2] - around.pose[2]) > LEVEL
    touch[near] = ~apart
    return touch


def kind_of(cls: int) -> str:
    """Name of a collision with an object of a class, as in sim.metrics."""
    if cls == ObjectClass.PEDESTRIAN:
        return "walker"
    return "static" if cls == ObjectClass.STATIC else "vehicle"


class Referee:
    """Judges one ego on the route of `tracker`. Call `update` once a tick, after the tracker's.

    infractions: all so far. ended: "" while the route lasts, then completed, deviated, strayed, blocked or timeout.
    margin: metres; bodies that near touch (a server that pushes bodies apart leaves nothing of an overlap).
    task: what stands in the way; while it lasts, driving on the other side of the road is no fault.
    """

    def __init__(self, tracker: RouteTracker, margin: float = 0.03, task: Task | None = None) -> None:
        self.tracker, self.margin = tracker, margin
        self._task, self._task_seconds = task, 0.0
        self._watch = EmergencyWatch(tracker)
        self.infractions: list[Infraction] = []
        self.ended = ""
        self.forgiven = 0
        """Collisions while the ego stood, which do not count."""
        self.is_off_road = self.is_outside = False
        """Now: beyond every driving lane; outside the lanes of the own direction by more than is tolerated."""
        self.distance = self.outside = self.seconds = 0.0
        self._touched: set[int] = set()
        self._blocked, self._allowed, self._done = 0.0, ALLOWED, 0.0
        self._time: float | None = None
        self._before = 0.0
        self._speeds: list[float] = []
        self._own = self._traffic = 0.0

    def update(self, around: Surroundings) -> list[Infraction]:
        """Judge the step that led to these surroundings; returns what it added. The first call only looks."""
        touched = self._contacts(around)
        if self._time is None:
            self._time, self._touched = around.time, {i for i, _ in touched}
            self._before = around.ego.speed
            return []
        dt = max(around.time - self._time, 0.0)
        self._time = around.time
        self.seconds += dt
        speed = abs(around.ego.speed)
        # who stood when it was hit is no longer at rest afterwards, and who ran into a wall is
        pushed = abs(around.ego.speed - self._before) > PUSHED * dt
        at_contact = abs(self._before) if pushed else speed
        self._before = around.ego.speed
        moved = speed * dt
        self.distance += moved
        found: list[Infraction] = []
        place = around.x, around.y
        for other, cls in touched:
            if other in self._touched:
                continue
            if at_contact < STANDING:
                self.forgiven += 1
            else:
                found.append(Infraction(kind_of(cls), around.time, place, other))
        self._touched = {i for i, _ in touched}
        self._judge_place(around)
        on_task = self._play(dt)
        if self.is_outside and not (on_task and not self.is_off_road):
            self.outside += moved
        tracker = self.tracker
        if tracker.passed >= 0 and tracker.run:
            found.append(Infraction(tracker.run, around.time, place))
        if self._task is not None and self._task_seconds > self._task.limit:
            self._task = None
            found.append(Infraction("scenario_timeout", around.time, place))
        held_up = self._watch.update(around, dt)
        if held_up >= 0:
            found.append(Infraction("yield_emergency", around.time, place, held_up))
        self._end(around, speed, dt)
        self._check_speed(around)
        self.infractions += found
        return found

    def _play(self, dt: float) -> bool:
        """The clock of the task; whether it lasts in this step."""
        task, along = self._task, self.tracker.along
        if task is None or along < task.begin:
            return False
        self._task_seconds += dt
        if along >= task.end:
            self._task = None
        return True

    def _contacts(self, around: Surroundings) -> list[tuple[int, int]]:
        """(id, class) of all that the ego touches."""
        found = [(int(around.id[k]), int(around.kind[k])) for k in np.flatnonzero(touching(around, self.margin))]
        known = {i for i, _ in found}
        return found + [(c.id, int(c.kind)) for c in around.collisions if c.id not in known]

    def _judge_place(self, around: Surroundings) -> None:
        tracker = self.tracker
        self.is_outside = self.is_off_road = False
        if abs(tracker.offset) <= tracker.points[tracker.index, 3] and abs(tracker.error) <= 1.2:
            return
        beyond, own = self._ground(around)
        self.is_off_road = beyond > 0.0
        self.is_outside = beyond > TOLERANCE or (beyond <= 0.0 and own > TOLERANCE)

    def _ground(self, around: Surroundings) -> tuple[float, float]:
        """Metres outside the nearest driving lane (negative inside): of any direction, and of the own one only."""
        t = self.tracker.tables
        column = math.floor((around.x - float(t.grid_origin[0])) / t.grid_cell)
        row = math.floor((around.y - float(t.grid_origin[1])) / t.grid_cell)
        if not (0 <= column < t.grid_size[0] and 0 <= row < t.grid_size[1]):
            return 50.0, 50.0
        cell = row * int(t.grid_size[0]) + column
        p = t.grid_point[t.grid_first[cell] : t.grid_first[cell + 1]]
        lane = t.point_lane[p]
        dx, dy = around.x - t.x[p], around.y - t.y[p]
        cos, sin = np.cos(t.yaw[p]), np.sin(t.yaw[p])
        beside = np.abs(dx * cos + dy * sin) <= 0.75 * t.spacing[lane]
        beside &= np.abs(around.pose[2] - t.z[p]) <= ROAD_LEVEL
        beyond = (
            np.abs(dy * cos - dx * sin) - t.half_width[p] - np.where(t.junction[lane] >= 0, JUNCTION_TOLERANCE, 0.0)
        )
        same = cos * math.cos(around.yaw_of_ego) + sin * math.sin(around.yaw_of_ego) > -0.2
        return (
            float(beyond[beside].min(initial=50.0)),
            float(beyond[beside & same].min(initial=50.0)),
        )

    def _end(self, around: Surroundings, speed: float, dt: float) -> None:
        tracker = self.tracker
        gained = tracker.completion - self._done
        if gained > 0.0:
            self._allowed += gained * tracker.length / (ALLOWED_SHARE * max(tracker.speed_limit, 1.0))
            self._done = tracker.completion
        self._blocked = self._blocked + dt if speed < STANDING else 0.0
        if self.ended:
            return
        end = tracker.points[-1]
        if tracker.completion > 0.99 and math.hypot(end[0] - around.x, end[1] - around.y) < 10.0:
            self.ended = "completed"
        elif tracker.deviated:
            self.ended = "deviated"
        elif self.outside > STRAYED * tracker.length:
            self.ended = "strayed"
        elif self._blocked >= BLOCKED:
            self.ended = "blocked"
        elif self.seconds > self._allowed:
            self.ended = "timeout"

    def _check_speed(self, around: Surroundings) -> None:
        near = around.away < AROUND
        near &= around.kind < ObjectClass.PEDESTRIAN
        if near.any():
            self._own += max(around.ego.speed, 0.0)
            along = around.velocity[near, 0] * np.cos(around.yaw[near])
            self._traffic += float((along + around.velocity[near, 1] * np.sin(around.yaw[near])).mean())
        if len(self._speeds) < CHECKS and self.tracker.completion >= (len(self._speeds) + 1) / CHECKS - 0.01:
            self._speeds.append(min(self._own / self._traffic, 1.0) if self._traffic > 0.0 else 1.0)
            self._own = self._traffic = 0.0

    def result(self) -> Route:
        """The route so far, for the scores of sim.metrics."""
        counts = {kind: sum(i.kind == kind for i in self.infractions) for kind in KINDS}
        return Route(
            # as the leaderboards do: a target reached is the whole route
            completion=1.0 if self.ended == "completed" else min(max(self.tracker.completion, 0.0), 1.0),
            outside=min(self.outside / max(self.distance, 1.0), 1.0),
            speeds=tuple(self._speeds),
            distance=self.distance,
            finished=self.ended == "completed",
            **counts,
        )


KINDS = ("walker", "vehicle", "static", "red_light", "stop_sign", "scenario_timeout", "yield_emergency")
"""What is counted here."""
