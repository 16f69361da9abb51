"""Planners that see what a Scene holds and learn nothing: the lane follower with IDM, and constant velocity.

Each is a function of the truth arrays of many worlds (`sim.world.truth.Truth`, its first ego); `scene_plan` applies one
to a single contracts.Scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts import LightState, Plan, Scene
from contracts.plan import SPEED_PERIOD, SPEED_STEPS
from sim.driving.plans import Plans, path_ahead

F32 = NDArray[np.float32]
URGE, COMFORT, HEADWAY, MIN_GAP = 2.0, 2.5, 1.2, 2.0
"""IDM: m/s^2, m/s^2, s, m (Treiber, Hennecke, Helbing 2000)."""
SIDE_ACCELERATION = 2.2
"""m/s^2 accepted in bends."""
HARDEST = 8.0
"""m/s^2"""
NO_GAP = 1e6
BEFORE_LINE = 1.0
"""Metres between the front bumper and a stop line."""


@dataclass(frozen=True)
class SceneRows:
    """Scenes of W worlds as arrays: rows of sim.world.truth.Truth without the ego axis.

    ego [W, 6], objects [W, K, 8], count [W], route [W, R, 2], light [W], stop_distance [W], stop_sign [W],
    speed_limit [W].
    """

    ego: F32
    objects: F32
    count: NDArray[np.int32]
    route: F32
    light: NDArray[np.int32]
    stop_distance: F32
    stop_sign: NDArray[np.int32]
    speed_limit: F32


def rows_of(scene: Scene) -> SceneRows:
    """One Scene as arrays of one world."""
    n = len(scene.objects)
    objects = np.zeros((1, max(n, 1), 8), np.float32)
    o, e = scene.objects, scene.ego
    if n:
        objects[0, :n] = np.concatenate(
            [o.centre, o.half_extent, o.yaw[:, None], o.velocity, np.linalg.norm(o.centre, axis=1)[:, None]], axis=1
        )
    return SceneRows(
        ego=np.array([[e.speed, e.acceleration, e.yaw_rate, e.steer, e.length, e.width]], np.float32),
        objects=objects,
        count=np.array([n], np.int32),
        route=scene.route[None],
        light=np.array([int(scene.light)], np.int32),
        stop_distance=np.array([scene.stop_distance], np.float32),
        stop_sign=np.array([int(scene.stop_sign)], np.int32),
        speed_limit=np.array([scene.speed_limit], np.float32),
    )


def constant_velocity(scene: SceneRows) -> Plans:
    """Straight on with the present heading at the present speed."""
    plans = Plans.empty(len(scene.ego))
    plans.speed[...] = np.maximum(scene.ego[:, 0:1], 0.0)
    return plans


def leader(scene: SceneRows, margin: float = 0.3) -> tuple[F32, F32]:
    """([W] free metres to the next object on the route, NO_GAP for none, [W] its speed along the route)."""
    route = scene.route
    step = np.diff(route, axis=1, append=2 * route[:, -1:] - route[:, -2:-1])
    size = np.linalg.norm(step, axis=2, keepdims=True)
    step = step / np.maximum(size, 1e-6)
    centre = scene.objects[:, :, 0:2]
    gap = np.linalg.norm(centre[:, :, None] - route[:, None], axis=3)
    nearest = gap.argmin(axis=2)
    world = np.arange(len(route))[:, None]
    point, along = route[world, nearest], step[world, nearest]
    real = size[world, nearest, 0] > 0.3  # points repeat behind the route's end
    offset = centre - point
    ahead = nearest + 1.0 + np.einsum("wki,wki->wk", offset, along)
    aside = np.abs(offset[..., 1] * along[..., 0] - offset[..., 0] * along[..., 1])
    yaw = scene.objects[:, :, 4] - np.arctan2(along[..., 1], along[..., 0])
    c, s = np.abs(np.cos(yaw)), np.abs(np.sin(yaw))
    long, wide = scene.objects[:, :, 2], scene.objects[:, :, 3]
    half_length, half_width = 0.5 * scene.ego[:, 4:5], 0.5 * scene.ego[:, 5:6]
    blocks = aside < half_width + long * s + wide * c + margin
    blocks &= (
        real & (ahead > 0.0) & (np.arange(centre.shape[1]) < scene.count[:, None]) & (centre[..., 0] > -half_length)
    )
    free = np.where(blocks, np.maximum(ahead - half_length - long * c - wide * s, 0.1), NO_GAP)
    first = free.argmin(axis=1)
    here = np.arange(len(route))
    speed = np.einsum("wki,wki->wk", scene.objects[:, :, 5:7], along)[here, first]
    return free[here, first].astype(np.float32), np.maximum(speed, 0.0).astype(np.float32)


def idm(speed: F32, wish: F32, gap: F32, leading: F32) -> F32:
    """Acceleration, m/s^2, of the Intelligent Driver Model."""
    free = 1.0 - (speed / np.maximum(wish, 0.1)) ** 4
    free = np.where(speed > wish, np.maximum(free, -COMFORT / URGE), free)
    desired = speed * HEADWAY + speed * (speed - leading) / (2 * np.sqrt(URGE * COMFORT))
    share = (MIN_GAP + np.maximum(desired, 0.0)) / np.maximum(gap, 0.1)
    return np.clip(URGE * (free - np.where(gap < NO_GAP, share * share, 0.0)), -HARDEST, URGE)


def bend_speed(route: F32, speed: F32) -> F32:
    """[W] m/s that the bends within braking distance allow now."""
    at = route[:, ::3]
    first = np.diff(at, axis=1)
    size = np.linalg.norm(first, axis=2)
    heading = np.unwrap(np.arctan2(first[..., 1], first[..., 0]), axis=1)
    turn = np.abs(np.diff(heading, axis=1)) * (size[:, 1:] > 0.5) * (size[:, :-1] > 0.5)
    most = np.sqrt(SIDE_ACCELERATION / np.maximum(turn / 3.0, 1e-3))
    ahead = 3.0 * np.arange(turn.shape[1])
    return np.sqrt(most * most + 2.0 * 1.5 * ahead).min(axis=1)


def lane_follower(scene: SceneRows) -> Plans:
    """Along the route, at the speed that IDM, bends, the speed limit, red and yellow lights and stop signs allow."""
    speed = np.maximum(scene.ego[:, 0], 0.0)
    wish = np.minimum(scene.speed_limit, bend_speed(scene.route, speed))
    gap, leading = leader(scene)
    rest = scene.stop_distance - 0.5 * scene.ego[:, 4] - BEFORE_LINE
    braking = speed * speed / (2 * np.maximum(rest, 0.1))
    stops = (scene.light == LightState.RED) | ((scene.light == LightState.YELLOW) & (braking < 4.0))
    stops |= scene.stop_sign > 0
    line = np.where(stops & np.isfinite(rest), np.maximum(rest + MIN_GAP, 0.1), NO_GAP)
    planned = np.zeros((len(speed), SPEED_STEPS), np.float32)
    v, dt = speed.astype(np.float32), np.float32(SPEED_PERIOD)
    for k in range(SPEED_STEPS):
        a = np.minimum(idm(v, wish, gap, leading), idm(v, wish, line, np.zeros_like(v)))
        new = np.maximum(v + a * dt, 0.0)
        moved = 0.5 * (v + new) * dt
        gap = np.where(gap < NO_GAP, np.maximum(gap - moved + leading * dt, 0.1), gap)
        line = np.where(line < NO_GAP, np.maximum(line - moved, 0.1), line)
        planned[:, k] = v = new.astype(np.float32)
    return Plans(path_ahead(scene.route), planned)


def scene_plan(planner: Callable[[SceneRows], Plans], scene: Scene) -> Plan:
    """The Plan of one Scene. Its route needs at least 2 points."""
    return planner(rows_of(scene)).plan()
