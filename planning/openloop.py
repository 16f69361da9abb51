"""How good plans are without driving them: displacement errors, collisions, the road, PDMS.

NAVSIM's PDMS (Dauner et al. 2024, arXiv:2406.15349) over 4 s: NC * DAC * (5 EP + 5 TTC + 2 C) / 12, on recorded futures
of the others. A plan is driven exactly: along its path, which continues beside the route, at its speeds, the last of
which stays. Differences to NAVSIM are named where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KDTree

from contracts import ObjectClass
from contracts.plan import PATH_POINTS, SPEED_PERIOD
from planning.data import Episodes
from planning.scenes import HALF_LENGTH, HALF_WIDTH, LENGTH, SPEED, VX, VY, WIDTH, YAW, Scenes
from sim.driving.plans import Plans
from sim.roads import load
from sim.roads.tables import LaneTables

F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
TIMES = np.arange(1, 17, dtype=np.float32) * np.float32(SPEED_PERIOD)
"""Moments at which a plan is looked at: every .25 s up to 4 s."""
TTC = (0.25, 0.5, 0.75, 1.0)
"""Seconds that the time to collision looks ahead of each moment."""
LITTLE = 5.0
"""Where the expert makes less progress than this (m), progress is not judged."""
STANDING = 0.1
ACCELERATION, BRAKING, SIDE_ACCELERATION, JERK, TURN = 2.40, -4.05, 4.89, 8.37, 0.95
"""Comfort limits of nuPlan: m/s^2, m/s^2, m/s^2, m/s^3, rad/s."""
SHOWN = ("pdms", "path_ade", "path_fde", "speed_ade", "speed_fde", "collision_rate", "off_road_rate", "ep", "ttc",
         "comfort")  # fmt: skip
"""Figures of a summary in the order of a table."""
ROAD_TOLERANCE, JUNCTION_TOLERANCE = 0.3, 1.5
"""Metres beside a lane that count as road; a junction's paved ground reaches farther beyond its connecting lanes."""


@dataclass(frozen=True)
class Motion:
    """Where M plans lead. place [M, T, 2], yaw [M, T] in the ego frames of now; speed [M, T]; gone [M, T] metres."""

    place: F32
    yaw: F32
    speed: F32
    gone: F32


def motion(scenes: Scenes, plans: Plans) -> Motion:
    """Drive plans exactly as they say for 4 s."""
    now = scenes.ego[:, SPEED : SPEED + 1]
    late = np.repeat(plans.speed[:, -1:], len(TIMES) - plans.speed.shape[1], 1)
    speed = np.concatenate([plans.speed, late], 1)
    steps = 0.5 * (speed + np.concatenate([now, speed[:, :-1]], 1)) * np.float32(SPEED_PERIOD)
    gone = np.maximum(steps, 0.0).cumsum(1)
    line = _continued(scenes.route, plans.path)
    pieces = np.diff(line, axis=1)
    size = np.linalg.norm(pieces, axis=2)
    reached = np.concatenate([np.zeros_like(size[:, :1]), size.cumsum(1)], 1)
    low = (reached[:, None, :] <= gone[:, :, None]).sum(2) - 1
    low = np.clip(low, 0, pieces.shape[1] - 1)
    rows = np.arange(len(line))[:, None]
    direction = pieces[rows, low] / np.maximum(size[rows, low], 1e-3)[..., None]
    place = line[rows, low] + direction * (gone - reached[rows, low])[..., None]
    return Motion(
        place.astype(np.float32),
        np.arctan2(direction[..., 1], direction[..., 0]).astype(np.float32),
        speed.astype(np.float32),
        gone.astype(np.float32),
    )


def _continued(route: F32, path: F32) -> F32:
    """The ego's place, the path, and from its end on a line beside the route, [M, 1 + 20 + 44, 2]."""
    end = path[:, -1]
    nearest = np.linalg.norm(route - end[:, None], axis=2).argmin(1)
    rows = np.arange(len(path))
    count = route.shape[1] - PATH_POINTS
    index = np.minimum(nearest[:, None] + 1 + np.arange(count)[None], route.shape[1] - 1)
    rest = route[rows[:, None], index] + (end - route[rows, nearest])[:, None]
    # past the route's last point straight on, so that the line never stands still
    beyond = np.maximum(nearest[:, None] + 1 + np.arange(count)[None] - (route.shape[1] - 1), 0)
    last = route[:, -1] - route[:, -2]
    rest = rest + beyond[..., None] * last[:, None]
    return np.concatenate([np.zeros_like(path[:, :1]), path, rest], 1).astype(np.float32)


@dataclass(frozen=True)
class Others:
    """The objects of M scenes over the same moments. place [M, N, T, 2], yaw [M, N, T], half [M, N, 2], kind [M, N]."""

    place: F32
    yaw: F32
    half: F32
    kind: NDArray[np.int64]


def others(episodes: Episodes, rows: NDArray[np.int64], nearest: int = 32) -> Others:
    """What was recorded; an object that was lost from sight goes on at its present velocity."""
    place, known, yaw = episodes.futures([float(t) for t in TIMES], rows, nearest)
    now = episodes.scenes.objects[rows][:, :nearest]
    straight = now[:, :, None, :2] + now[:, :, None, VX : VY + 1] * TIMES[:, None]
    return Others(
        np.where(known[..., None], place, straight).astype(np.float32),
        np.where(known, yaw, now[:, :, None, YAW]).astype(np.float32),
        now[..., HALF_LENGTH : HALF_WIDTH + 1],
        episodes.scenes.kind[rows][:, :nearest],
    )


def overlap(place: F32, yaw: F32, half: F32, place_b: F32, yaw_b: F32, half_b: F32) -> Bool:
    """Whether boxes overlap (separating axes); arrays broadcast: place [..., 2], yaw [...], half [..., 2]."""
    delta = place_b - place
    apart = np.zeros(np.broadcast_shapes(delta.shape[:-1], yaw.shape, yaw_b.shape), np.bool_)
    for turn in (yaw, yaw + np.pi / 2, yaw_b, yaw_b + np.pi / 2):
        cos, sin = np.cos(turn), np.sin(turn)
        gap = np.abs(delta[..., 0] * cos + delta[..., 1] * sin)
        reach = np.zeros_like(gap)
        for own, size in ((yaw, half), (yaw_b, half_b)):
            reach = reach + size[..., 0] * np.abs(np.cos(own - turn)) + size[..., 1] * np.abs(np.sin(own - turn))
        apart |= gap > reach
    return ~apart


def hits(ego: Motion, half: F32, objects: Others, ahead: float = 0.0) -> Bool:
    """[M, N, T] whether the ego, `ahead` seconds further on at its speed and heading, is at fault for touching.

    The moment of the first touch decides: it is not at fault where it stands or the other's centre is behind its rear.
    (NAVSIM also looks at lanes.)
    """
    way = np.stack([np.cos(ego.yaw), np.sin(ego.yaw)], -1)
    place = ego.place + way * (ego.speed * ahead)[..., None]
    shift = round(ahead / SPEED_PERIOD)
    index = np.minimum(np.arange(len(TIMES)) + shift, len(TIMES) - 1)
    there, turned = objects.place[:, :, index], objects.yaw[:, :, index]
    touch = overlap(
        place[:, None], ego.yaw[:, None], half[:, None, None], there, turned, objects.half[:, :, None]
    ) & (objects.kind >= 0)[:, :, None]  # fmt: skip
    delta = there - place[:, None]
    behind = (delta * way[:, None]).sum(-1) < -half[:, None, None, 0]
    fault = ~behind & (ego.speed > STANDING)[:, None]
    at_first = np.take_along_axis(fault, touch.argmax(2)[..., None], 2)
    return touch & at_first


@lru_cache(maxsize=8)
def _ground(town: str) -> tuple[LaneTables, KDTree]:
    tables = load(town).lane_tables()
    return tables, KDTree(np.stack([tables.x, tables.y], 1))


def on_road(town: str, points: F32) -> Bool:
    """Whether points [P, 2] of a town lie on a driving lane or a junction's ground."""
    tables, tree = _ground(town)
    near = tree.query(points, k=12, return_distance=False)
    dx, dy = points[:, None, 0] - tables.x[near], points[:, None, 1] - tables.y[near]
    cos, sin = np.cos(tables.yaw[near]), np.sin(tables.yaw[near])
    lane = tables.point_lane[near]
    along, beside = np.abs(dx * cos + dy * sin), np.abs(dy * cos - dx * sin)
    width = tables.half_width[near] + np.where(tables.junction[lane] >= 0, JUNCTION_TOLERANCE, ROAD_TOLERANCE)
    return np.asarray(((along <= 1.0 * np.maximum(tables.spacing[lane], 0.5)) & (beside <= width)).any(1))


def off_road(episodes: Episodes, rows: NDArray[np.int64], ego: Motion, half: F32) -> Bool:
    """[M] whether a corner of the ego leaves the road at any moment."""
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]], np.float32)[None] * half[:, None]
    cos, sin = np.cos(ego.yaw)[:, :, None], np.sin(ego.yaw)[:, :, None]
    x = ego.place[:, :, None, 0] + corners[:, None, :, 0] * cos - corners[:, None, :, 1] * sin
    y = ego.place[:, :, None, 1] + corners[:, None, :, 0] * sin + corners[:, None, :, 1] * cos
    pose = episodes.pose[rows][:, None, None]
    town_x = pose[..., 0] + x * np.cos(pose[..., 2]) - y * np.sin(pose[..., 2])
    town_y = pose[..., 1] + x * np.sin(pose[..., 2]) + y * np.cos(pose[..., 2])
    left = np.zeros(len(rows), np.bool_)
    names = np.array([episodes.towns[e] for e in episodes.episode[rows]])
    for town in np.unique(names).tolist():
        mine = np.flatnonzero(names == town)
        points = np.stack([town_x[mine], town_y[mine]], -1).reshape(-1, 2)
        left[mine] = ~on_road(town, points).reshape(len(mine), -1).all(1)
    return left


def comfortable(ego: Motion, scenes: Scenes) -> Bool:
    """[M] whether accelerations, jerk and turn rate stay within nuPlan's limits."""
    speed = np.concatenate([scenes.ego[:, SPEED : SPEED + 1], ego.speed], 1)
    accel = np.diff(speed, axis=1) / SPEED_PERIOD
    jerk = np.diff(accel, axis=1) / SPEED_PERIOD
    turn = np.diff(np.unwrap(ego.yaw, axis=1), axis=1) / SPEED_PERIOD
    turn = 0.5 * (turn[:, 1:] + turn[:, :-1])  # the path's corners are rounded by any vehicle
    side = turn * ego.speed[:, 1:-1]
    return np.asarray(
        (accel <= ACCELERATION).all(1)
        & (accel >= BRAKING).all(1)
        & (np.abs(jerk) <= JERK).all(1)
        & (np.abs(turn) <= TURN).all(1)
        & (np.abs(side) <= SIDE_ACCELERATION).all(1)
    )


def judge(episodes: Episodes, rows: NDArray[np.int64], plans: Plans) -> dict[str, F32]:
    """Each plan's figures [M]: path_ade, path_fde (m), speed_ade, speed_fde (m/s), nc, dac, ep, ttc, comfort, pdms."""
    scenes = episodes.scenes.take(rows)
    expert = Plans(episodes.path[rows], episodes.speed[rows])
    gap = np.linalg.norm(plans.path - expert.path, axis=2)
    slip = np.abs(plans.speed - expert.speed)
    half = 0.5 * scenes.ego[:, LENGTH : WIDTH + 1]
    ego, around = motion(scenes, plans), others(episodes, rows)
    touched = hits(ego, half, around).any(2)
    static = around.kind == ObjectClass.STATIC
    nc = np.where((touched & ~static).any(1), 0.0, np.where((touched & static).any(1), 0.5, 1.0))
    dac = 1.0 - off_road(episodes, rows, ego, half)
    close = np.zeros(len(rows), np.bool_)
    for ahead in TTC:
        close |= hits(ego, half, around, ahead).any((1, 2))
    best = np.maximum(motion(scenes, expert).gone[:, -1], ego.gone[:, -1])
    ep = np.where(best < LITTLE, 1.0, ego.gone[:, -1] / np.maximum(best, 1e-3))
    comfort = comfortable(ego, scenes)
    pdms = nc * dac * (5.0 * ep + 5.0 * ~close + 2.0 * comfort) / 12.0
    figures = {
        "path_ade": gap.mean(1), "path_fde": gap[:, -1], "speed_ade": slip.mean(1), "speed_fde": slip[:, -1],
        "nc": nc, "dac": dac, "ep": ep, "ttc": 1.0 - close, "comfort": comfort, "pdms": pdms,
    }  # fmt: skip
    return {name: np.asarray(value, np.float32) for name, value in figures.items()}


def summary(figures: Mapping[str, F32]) -> dict[str, float]:
    """Means over plans, with collision and off-road rates."""
    found = {name: float(values.mean()) for name, values in figures.items()}
    found["collision_rate"] = float((figures["nc"] < 1.0).mean())
    found["off_road_rate"] = float((figures["dac"] < 1.0).mean())
    return found


def spread(episodes: Episodes, count: int) -> NDArray[np.int64]:
    """At most `count` rows, evenly spread over the episodes, none so late that its 4 s are missing."""
    period = episodes.period
    ahead = np.arange(episodes.rows) + round(float(TIMES[-1]) / period)
    whole = np.flatnonzero(
        (ahead < episodes.rows) & (episodes.episode[np.minimum(ahead, episodes.rows - 1)] == episodes.episode)
    )
    if len(whole) <= count:
        return whole
    return whole[np.linspace(0, len(whole) - 1, count).astype(np.int64)]
