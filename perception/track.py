"""A simple tracker: objects keep their number from picture to picture and get a velocity and a steady heading.

Tracks live in a frame that stays where the tracker began; the ego's own motion comes from its speed and yaw rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from contracts import Ego
from perception.classes import MOVERS
from perception.lift import Lifted

F64 = NDArray[np.float64]
GATE = 3.0
"""Standard deviations between where a track is expected and a detection that may continue it."""
LEAST, SHARE = 0.5, 0.6
"""Error of a measured place: metres, and this share of the relative error of its distance."""
AGILITY = {"car": 3.0, "walker": 1.5}
"""Standard deviation of acceleration, m/s^2."""
FASTEST = {"car": 12.0, "walker": 2.0}
"""Standard deviation of the velocity of an object that was just seen for the first time, m/s."""
MEMORY = 0.6
"""Seconds that a track is kept without a detection."""
HEADING = 0.3
"""Share of a new heading in the steady one."""
WALKING = 5
"""ObjectClass.PEDESTRIAN."""


@dataclass
class Track:
    """An object: number, class, state [4] (x, y, vx, vy) and its covariance [4, 4] in the tracker's frame."""

    number: int
    label: int
    state: F64
    covariance: F64
    half: NDArray[np.float32]
    score: float
    heading: F64 = field(default_factory=lambda: np.zeros(2))
    unseen: float = 0.0
    hits: int = 1

    @property
    def kind(self) -> str:
        """The row of AGILITY."""
        return "walker" if self.label == WALKING else "car"


class Tracker:
    """Call `update` once a picture."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.pose = np.zeros(3)  # of the ego in the tracker's frame: x, y, yaw
        self._next = 1

    def update(self, found: Lifted, ego: Ego, seconds: float) -> list[Track]:
        """Take in what was seen `seconds` after the last call; returns the tracks that are believed now."""
        self._move(ego, seconds)
        rows = np.flatnonzero(found.labels < MOVERS)
        places, headings, noise = self._measured(found, rows)
        for track in self.tracks:
            self._predict(track, seconds)
        pairs = self._match(places, noise, found.labels[rows])
        for t, m in pairs:
            self._correct(self.tracks[t], places[m], noise[m], headings[m], found, int(rows[m]))
        seen = {t for t, _ in pairs}
        for t, track in enumerate(self.tracks):
            track.unseen = 0.0 if t in seen else track.unseen + seconds
        self.tracks = [track for track in self.tracks if track.unseen <= MEMORY]
        taken = {m for _, m in pairs}
        for m in range(len(rows)):
            if m not in taken:
                self._begin(places[m], noise[m], headings[m], found, int(rows[m]))
        return [track for track in self.tracks if track.unseen == 0 or track.hits >= 3]

    def in_ego(self, track: Track) -> tuple[F64, F64, float]:
        """Centre [2], velocity [2] over ground and yaw of a track in the ego's frame; yaw nan where not known."""
        cos, sin = math.cos(self.pose[2]), math.sin(self.pose[2])
        turn = np.array([[cos, sin], [-sin, cos]])
        heading = turn @ track.heading
        yaw = math.atan2(heading[1], heading[0]) if np.linalg.norm(heading) > 1e-6 else math.nan
        return turn @ (track.state[:2] - self.pose[:2]), turn @ track.state[2:], yaw

    # -- inside -------------------------------------------------------------------------------------------------------

    def _move(self, ego: Ego, seconds: float) -> None:
        yaw = self.pose[2] + ego.yaw_rate * seconds / 2
        self.pose += [ego.speed * math.cos(yaw) * seconds, ego.speed * math.sin(yaw) * seconds, ego.yaw_rate * seconds]

    def _measured(self, found: Lifted, rows: NDArray[np.intp]) -> tuple[F64, F64, F64]:
        """Places [M, 2], headings [M, 2] (0 where not known) and covariances [M, 2, 2] in the tracker's frame."""
        cos, sin = math.cos(self.pose[2]), math.sin(self.pose[2])
        turn = np.array([[cos, -sin], [sin, cos]])
        centre = found.centre[rows, :2].astype(np.float64)
        yaw = found.yaw[rows].astype(np.float64) + self.pose[2]
        headings = np.nan_to_num(np.stack([np.cos(yaw), np.sin(yaw)], 1))
        away = np.linalg.norm(centre, axis=1)
        along = np.hypot(LEAST, SHARE * found.error[rows] * away)
        across = np.hypot(LEAST, 0.01 * away)
        view = centre / np.maximum(away, 1e-6)[:, None] @ turn.T
        side = np.stack([-view[:, 1], view[:, 0]], 1)
        noise = along[:, None, None] ** 2 * view[:, :, None] * view[:, None, :]
        noise = noise + across[:, None, None] ** 2 * side[:, :, None] * side[:, None, :]
        return centre @ turn.T + self.pose[:2], headings, noise

    def _predict(self, track: Track, dt: float) -> None:
        move = np.eye(4)
        move[0, 2] = move[1, 3] = dt
        track.state = move @ track.state
        push = np.array([dt * dt / 2, dt]) * AGILITY[track.kind]
        spread = np.zeros((4, 4))
        for axis in (0, 1):
            spread[np.ix_([axis, axis + 2], [axis, axis + 2])] = np.outer(push, push)
        track.covariance = move @ track.covariance @ move.T + spread

    def _match(self, places: F64, noise: F64, labels: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Pairs of a track and a measurement that lie closest together, no further than the gate."""
        if not self.tracks or not len(places):
            return []
        cost = np.full((len(self.tracks), len(places)), 1e6)
        for t, track in enumerate(self.tracks):
            for m in range(len(places)):
                if (labels[m] == WALKING) != (track.label == WALKING):
                    continue
                gap = places[m] - track.state[:2]
                cost[t, m] = gap @ np.linalg.solve(track.covariance[:2, :2] + noise[m], gap)
        pairs = zip(*linear_sum_assignment(np.minimum(cost, 1e6)))
        return [(int(t), int(m)) for t, m in pairs if cost[t, m] <= GATE**2]

    def _correct(self, track: Track, place: F64, noise: F64, heading: F64, found: Lifted, row: int) -> None:
        gain = track.covariance[:, :2] @ np.linalg.inv(track.covariance[:2, :2] + noise)
        track.state = track.state + gain @ (place - track.state[:2])
        track.covariance = track.covariance - gain @ track.covariance[:2]
        track.score = 0.5 * track.score + 0.5 * float(found.scores[row])
        track.label, track.half = int(found.labels[row]), found.half_extent[row]
        track.hits += 1
        speed = float(np.linalg.norm(track.state[2:]))
        if not heading.any() and speed > 1.0 and track.hits > 3:
            heading = track.state[2:] / speed  # a network without headings: objects go where they face
        track.heading = (1 - HEADING) * track.heading + HEADING * heading if track.heading.any() else heading

    def _begin(self, place: F64, noise: F64, heading: F64, found: Lifted, row: int) -> None:
        label = int(found.labels[row])
        covariance = np.zeros((4, 4))
        covariance[:2, :2] = noise
        covariance[2:, 2:] = np.eye(2) * FASTEST["walker" if label == WALKING else "car"] ** 2
        self.tracks.append(
            Track(self._next, label, np.array([*place, 0.0, 0.0]), covariance, found.half_extent[row],
                  float(found.scores[row]), heading)
        )  # fmt: skip
        self._next += 1
