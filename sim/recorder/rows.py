"""What a step's truth becomes: a row of data/ and the things that its pictures may show."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import Control, LightState, ObjectClass, Plan
from sim.driving.route import RouteTracker, to_ego
from sim.driving.surroundings import Surroundings
from sim.recorder.labels import Thing
from sim.recorder.schema import MAX_OBJECTS, RANGE, ROUTE_POINTS, SIGNS, TRAFFIC_LIGHT, TRAFFIC_SIGN
from sim.sensors.actors import rotations

F32 = NDArray[np.float32]
FACING = 0.26
"""A light or sign faces the camera where the cosine between its view and the way there is at least this (75 deg)."""
SIGN_REACH = 15.0
"""Metres between a stop sign that binds and its line."""
STATE_NAMES = {LightState.NONE: "off", LightState.GREEN: "green", LightState.YELLOW: "yellow", LightState.RED: "red"}


@dataclass(frozen=True)
class Post:
    """A traffic light or sign in the town frame.

    place: foot of its mast. facing: the way it looks, radians. boxes: (middle, half extents) of its heads or plate.
    light: index in the network's lane tables, -1 for a sign. sign: its type, one of schema.SIGNS.
    """

    place: tuple[float, float, float]
    facing: float
    boxes: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...]
    light: int = -1
    sign: str = ""


class Posts:
    """The traffic lights and signs of a town.

    posts: all of them. place: [N, 3] float32 feet of their masts. lights, signs: their rows.
    """

    def __init__(self, posts: list[Post]) -> None:
        self.posts = posts
        self.place = np.array([post.place for post in posts], np.float32).reshape(-1, 3)
        self.lights = np.array([k for k, post in enumerate(posts) if post.light >= 0], np.intp)
        self.signs = np.array([k for k, post in enumerate(posts) if post.light < 0], np.intp)

    def away(self, around: Surroundings) -> F32:
        """[N] metres from the ego in the plane."""
        away: F32 = np.hypot(self.place[:, 0] - around.pose[0], self.place[:, 1] - around.pose[1])
        return away


class Tracks:
    """Numbers of the things of an episode, 1, 2, ... in the order in which they are met."""

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}

    def of(self, *key: Hashable) -> int:
        """The number of a thing."""
        return self._known.setdefault(key, len(self._known) + 1)


def row_of(
    episode: int,
    frame: int,
    began: float,
    around: Surroundings,
    tracker: RouteTracker,
    plan: Plan,
    control: Control,
    applied: Control,
    posts: Posts,
    tracks: Tracks,
    events: list[str],
    perturbed: bool,
    reason: str,
    image: bool,
) -> dict[str, Any]:
    """A row of schema.DRIVING as plain lists and numbers.

    began: time of the episode's first step. The tracker has taken in `around`.
    """
    scene = tracker.scene(around, MAX_OBJECTS, ROUTE_POINTS)
    o, e = scene.objects, scene.ego
    order = np.argsort(around.away, kind="stable")[: len(o)]  # as RouteTracker.scene takes them
    away = posts.away(around)
    lights_near, lights_place = _near(posts, posts.lights, away, around)
    signs_near, signs_place = _near(posts, posts.signs, away, around)
    return {
        "episode_index": episode,
        "frame_index": frame,
        "timestamp": _single(around.time - began),
        "pose": _numbers(around.pose),
        "ego": _numbers([e.speed, e.acceleration, e.yaw_rate, e.steer, e.length, e.width]),
        "objects.kind": o.kind.tolist(),
        "objects.id": [tracks.of("actor", int(number)) for number in around.id[order]],
        "objects.centre": _numbers(o.centre),
        "objects.half_extent": _numbers(o.half_extent),
        "objects.velocity": _numbers(o.velocity),
        "objects.yaw": _numbers(o.yaw),
        "route": _numbers(scene.route),
        "light": int(scene.light),
        "stop_distance": _single(scene.stop_distance),
        "speed_limit": _single(scene.speed_limit),
        "stop_sign": scene.stop_sign,
        "plan.path": _numbers(plan.path),
        "plan.speed": _numbers(plan.speed),
        "control": _numbers([control.throttle, control.brake, control.steer]),
        "applied": _numbers([applied.throttle, applied.brake, applied.steer]),
        "lights": [int(around.lights[post.light]) for post in lights_near],
        "lights.place": _numbers(lights_place),
        "signs": [SIGNS.index(post.sign) for post in signs_near],
        "signs.place": _numbers(signs_place),
        "events": list(events),
        "perturbed": bool(perturbed),
        "reason": reason,
        "image": bool(image),
    }


def _numbers(values: Any) -> list[float]:
    found: list[float] = np.asarray(values, np.float32).reshape(-1).tolist()
    return found


def _single(value: float) -> float:
    return float(np.float32(value))


def _near(posts: Posts, rows: NDArray[np.intp], away: F32, around: Surroundings) -> tuple[list[Post], F32]:
    """Posts of these rows within RANGE, nearest first, and their feet [N, 3] in the ego frame."""
    rows = rows[np.argsort(away[rows], kind="stable")]
    rows = rows[away[rows] <= RANGE]
    places = posts.place[rows]
    feet = np.concatenate([to_ego(places[:, :2], around), places[:, 2:] - around.pose[2]], axis=1)
    return [posts.posts[k] for k in rows.tolist()], feet


# -- what pictures show -----------------------------------------------------------------------------------------------


def things_of(around: Surroundings, tracker: RouteTracker, posts: Posts, tracks: Tracks) -> list[Thing]:
    """Everything with a category within RANGE of the ego, nearest first within its kind."""
    turn, origin = rotations(*around.pose[3:, None])[0].astype(float), around.pose[:3].astype(np.float64)
    own = float(around.pose[5])
    ahead, right = math.cos(own), math.sin(own)
    order = np.argsort(around.away, kind="stable")
    order = order[(around.away[order] <= RANGE) & (around.kind[order] != ObjectClass.STATIC)]
    half = around.half_extent[order].astype(float)
    middle = around.place[order].astype(float)
    middle[:, 2] += half[:, 2]
    found = [
        Thing(
            tracks.of("actor", number), kind + 1, _triple(centre), _triple(extent),
            math.remainder(yaw - own, 2 * math.pi), (vx * ahead + vy * right, vy * ahead - vx * right),
        )
        for number, kind, centre, extent, yaw, (vx, vy) in zip(
            around.id[order].tolist(), around.kind[order].tolist(), ((middle - origin) @ turn).tolist(),
            half.tolist(), around.yaw[order].tolist(), around.velocity[order].tolist(),
        )
    ]  # fmt: skip
    bound = _binding(tracker, posts.posts)
    for number in np.flatnonzero(posts.away(around) <= RANGE).tolist():
        post = posts.posts[number]
        away = around.x - post.place[0], around.y - post.place[1]
        facing = (away[0] * math.cos(post.facing) + away[1] * math.sin(post.facing)) >= FACING * math.hypot(*away)
        extra: dict[str, Any] = {"binding": number == bound}
        if post.light >= 0:
            extra["state"] = STATE_NAMES[LightState(int(around.lights[post.light]))] if facing else "back"
        else:
            extra["sign"] = post.sign if facing else "back"
        for head, (middle_of, half_of) in enumerate(post.boxes):
            found.append(
                Thing(
                    tracks.of("post", number, head),
                    TRAFFIC_LIGHT if post.light >= 0 else TRAFFIC_SIGN,
                    _triple((np.array(middle_of) - origin) @ turn),
                    half_of,
                    math.remainder(post.facing - own, 2 * math.pi),
                    extra=extra,
                )
            )
    return found


def _binding(tracker: RouteTracker, posts: list[Post]) -> int:
    """The post that binds the ego now, -1 none."""
    if not math.isfinite(tracker.stop_distance) or tracker.line < 0:
        return -1
    if not tracker.stop_sign:
        light = int(tracker.tables.light[tracker.lanes[tracker.line]])
        return next((k for k, post in enumerate(posts) if post.light == light), -1)
    x, y, heading = (float(v) for v in tracker.points[tracker.line, :3])
    best, least = -1, SIGN_REACH
    for k, post in enumerate(posts):
        gap = math.hypot(post.place[0] - x, post.place[1] - y)
        if post.sign == "stop" and gap < least and math.cos(post.facing - heading) < -0.5:
            best, least = k, gap
    return best


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z
