"""What a policy sees: contracts.Scene (or Plan) as one flat vector, the same from the simulator and from perception.

Every feature is clipped to [-1, 1]. `SCENE` and `PLAN` name the slices of the two vectors: read them first.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from contracts import Ego, ObjectClass, Plan, Scene
from contracts.plan import PATH_POINTS, SPEED_STEPS
from sim.world.truth import Truth

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
F = np.float32

ROUTE_AT = (0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 24, 28, 31)
"""Which of the route's points, 1 m apart, are seen."""
ROUTE_AHEAD = 32
NEAREST = 10
OBJECT_FEATURES = 11
_ROUTE_AT = np.array(ROUTE_AT, np.int32)
_PEDESTRIAN, _STATIC = int(ObjectClass.PEDESTRIAN), int(ObjectClass.STATIC)


def _layout(*blocks: tuple[str, int]) -> tuple[dict[str, slice], int]:
    slices, start = {}, 0
    for name, size in blocks:
        slices[name] = slice(start, start + size)
        start += size
    return slices, start


SCENE, SCENE_SIZE = _layout(
    ("ego", 4),  # speed / 30, acceleration / 10, yaw rate, steer
    ("light", 4),  # none, green, yellow, red
    ("rules", 5),  # stop line near (1 - d / 60), nearer (1 - d / 10), stop sign, limit / 35, (speed - limit) / 10
    ("lane", 2),  # metres to the right of the route / 4, sin of the heading error
    ("route", 2 * len(ROUTE_AT)),  # x / (i + 2), y / (.6 i + 2) of point i
    ("corridor", 4),  # what stands or drives on the route: 1 - gap / 32, closing speed / 20, pedestrian, anything
    ("objects", NEAREST * OBJECT_FEATURES),
)  # each: x / 50, y / 20, cos, sin, closing vx / 20, vy / 10, half length / 6, half width / 2, pedestrian, static, 1
PLAN, PLAN_SIZE = _layout(
    ("ego", 4),  # as above
    ("path", 2 * PATH_POINTS),  # x / (i + 2), y / (.6 i + 2)
    ("speed", SPEED_STEPS),  # (speed wanted - speed) / 10
    ("goal", 1),  # first speed wanted / 30
)


@numba.njit(cache=True, error_model="numpy")
def _put(out: F32, at: int, value: float) -> int:
    out[at] = F(-1.0) if value < F(-1.0) else F(1.0) if value > F(1.0) else value
    return at + 1


@numba.njit(cache=True, error_model="numpy")
def _corridor(ego: F32, objects: F32, kind: I32, count: int, route: F32) -> Any:
    """Metres along the route to the first thing on it, its speed along the route, pedestrian?, found?"""
    best = F(1e9)
    speed = F(0.0)
    walker = False
    half_width = F(0.5) * ego[5] + F(0.4)
    for k in range(count):
        x, y = objects[k, 0], objects[k, 1]
        reach = objects[k, 2] + half_width
        if x < F(-1.0) or objects[k, 7] > F(40.0):
            continue
        sin, cos = math.sin(objects[k, 4]), math.cos(objects[k, 4])
        for i in range(1, route.shape[0] - 1):
            if F(i) >= best:
                break
            dx, dy = route[i, 0] - x, route[i, 1] - y
            if dx * dx + dy * dy > reach * reach + F(1.0):
                continue
            # the route point in the axes of the object's box, widened by half the ego's own width
            if abs(dx * cos + dy * sin) < objects[k, 2] + half_width and abs(dy * cos - dx * sin) < (
                objects[k, 3] + half_width
            ):
                hx, hy = route[i + 1, 0] - route[i, 0], route[i + 1, 1] - route[i, 1]
                norm = math.sqrt(hx * hx + hy * hy) + F(1e-6)
                best = F(i)
                speed = (objects[k, 5] * hx + objects[k, 6] * hy) / norm
                walker = kind[k] == _PEDESTRIAN
                break
    return best, speed, walker, best < F(1e8)


@numba.njit(cache=True, error_model="numpy")
def _scene_row(
    out: F32,
    ego: F32,
    objects: F32,
    kind: I32,
    count: int,
    route: F32,
    light: int,
    stop: float,
    stop_sign: int,
    limit: float,
) -> None:
    speed = ego[0]
    at = _put(out, 0, speed / F(30.0))
    at = _put(out, at, ego[1] / F(10.0))
    at = _put(out, at, ego[2])
    at = _put(out, at, ego[3])
    for state in range(4):
        at = _put(out, at, F(1.0) if light == state else F(0.0))
    at = _put(out, at, max(F(1.0) - stop / F(60.0), F(0.0)))
    at = _put(out, at, max(F(1.0) - stop / F(10.0), F(0.0)))
    at = _put(out, at, F(stop_sign))
    at = _put(out, at, limit / F(35.0))
    at = _put(out, at, (speed - limit) / F(10.0))

    hx, hy = route[2, 0] - route[0, 0], route[2, 1] - route[0, 1]
    norm = math.sqrt(hx * hx + hy * hy) + F(1e-6)
    at = _put(out, at, (hy * route[0, 0] - hx * route[0, 1]) / norm / F(4.0))
    at = _put(out, at, -hy / norm)
    for i in _ROUTE_AT:
        at = _put(out, at, route[i, 0] / F(i + 2))
        at = _put(out, at, route[i, 1] / (F(0.6) * F(i) + F(2.0)))

    gap, other, walker, found = _corridor(ego, objects, kind, count, route)
    at = _put(out, at, max(F(1.0) - gap / F(32.0), F(0.0)) if found else F(0.0))
    at = _put(out, at, (speed - other) / F(20.0) if found else F(0.0))
    at = _put(out, at, F(1.0) if found and walker else F(0.0))
    at = _put(out, at, F(1.0) if found else F(0.0))
    for k in range(NEAREST):
        if k < count:
            yaw = objects[k, 4]
            at = _put(out, at, objects[k, 0] / F(50.0))
            at = _put(out, at, objects[k, 1] / F(20.0))
            at = _put(out, at, math.cos(yaw))
            at = _put(out, at, math.sin(yaw))
            at = _put(out, at, (speed - objects[k, 5]) / F(20.0))
            at = _put(out, at, objects[k, 6] / F(10.0))
            at = _put(out, at, objects[k, 2] / F(6.0))
            at = _put(out, at, objects[k, 3] / F(2.0))
            at = _put(out, at, F(1.0) if kind[k] == _PEDESTRIAN else F(0.0))
            at = _put(out, at, F(1.0) if kind[k] == _STATIC else F(0.0))
            at = _put(out, at, F(1.0))
        else:
            for _ in range(OBJECT_FEATURES):
                at = _put(out, at, F(0.0))


@numba.njit(cache=True, error_model="numpy", parallel=True)
def _scene_rows(
    out: F32,
    ego: F32,
    objects: F32,
    kind: I32,
    count: I32,
    route: F32,
    light: I32,
    stop: F32,
    stop_sign: I32,
    limit: F32,
) -> None:
    for w in numba.prange(out.shape[0]):
        _scene_row(
            out[w], ego[w, 0], objects[w, 0], kind[w, 0], count[w, 0], route[w, 0], light[w, 0], stop[w, 0],
            stop_sign[w, 0], limit[w, 0],
        )  # fmt: skip


def encode_truth(truth: Truth, out: F32) -> None:
    """Write the scene vectors [W, SCENE_SIZE] of each world's first ego. `truth` holds at least ROUTE_AHEAD points."""
    _scene_rows(
        out, truth.ego, truth.objects, truth.kind, truth.count, truth.route, truth.light, truth.stop_distance,
        truth.stop_sign, truth.speed_limit,
    )  # fmt: skip


def _ego_row(ego: Ego) -> F32:
    return np.array([ego.speed, ego.acceleration, ego.yaw_rate, ego.steer, ego.length, ego.width], np.float32)


def encode_scene(scene: Scene) -> F32:
    """The scene vector [SCENE_SIZE] of a Scene, whoever made it. Objects may come in any order and number."""
    n = len(scene.objects)
    rows = np.zeros((n, 8), np.float32)
    rows[:, 0:2] = scene.objects.centre
    rows[:, 2:4] = scene.objects.half_extent
    rows[:, 4] = scene.objects.yaw
    rows[:, 5:7] = scene.objects.velocity
    rows[:, 7] = np.hypot(rows[:, 0], rows[:, 1])
    order = np.argsort(rows[:, 7], kind="stable")
    route = np.zeros((ROUTE_AHEAD, 2), np.float32)
    if len(scene.route):
        route[: len(scene.route)] = scene.route[:ROUTE_AHEAD]
        route[len(scene.route) :] = scene.route[-1]
    out = np.zeros(SCENE_SIZE, np.float32)
    _scene_row(
        out, _ego_row(scene.ego), rows[order], scene.objects.kind[order], n, route, int(scene.light),
        np.float32(scene.stop_distance), int(scene.stop_sign), np.float32(scene.speed_limit),
    )  # fmt: skip
    return out


_PATH_SCALE = np.stack([np.arange(1, PATH_POINTS + 1) + 2.0, 0.6 * np.arange(1, PATH_POINTS + 1) + 2.0], 1)


def encode_plan_rows(ego: F32, path: F32, speed: F32, out: F32) -> None:
    """Write the plan vectors [W, PLAN_SIZE] from ego [W, 6] (as in Truth), path [W, 20, 2] and speed [W, 8]."""
    out[:, PLAN["ego"]] = ego[:, :4] / np.array([30.0, 10.0, 1.0, 1.0], np.float32)
    out[:, PLAN["path"]] = (path / _PATH_SCALE.astype(np.float32)).reshape(len(path), -1)
    out[:, PLAN["speed"]] = (speed - ego[:, :1]) / np.float32(10.0)
    out[:, PLAN["goal"]] = speed[:, :1] / np.float32(30.0)
    np.clip(out, -1.0, 1.0, out=out)


def encode_plan(ego: Ego, plan: Plan) -> F32:
    """The plan vector [PLAN_SIZE] of a Plan and the ego's own state."""
    out = np.zeros((1, PLAN_SIZE), np.float32)
    encode_plan_rows(_ego_row(ego)[None], plan.path[None], plan.speed[None], out)
    return out[0]
