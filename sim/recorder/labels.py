"""2-D labels of one picture: whose pixel is which, from semantic, instance and depth pictures and the actors' boxes.

Instance ids of a CARLA server are not ids of actors, so an instance belongs to the actor in whose box its points lie.
The same works on every server. Traffic lights and signs are matched point by point, as several heads hang on one mast.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from sim.recorder.schema import MIN_PIXELS, TAGS_OF, TRAFFIC_LIGHT, CameraInfo
from sim.sensors.actors import rotations

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
MARGIN = {1: 0.3, 2: 0.4, 3: 0.4, 4: 0.5, 5: 0.5, 6: 0.5, 7: 0.15, 8: 0.3}
"""Metres by which a category's box may fall short of what is drawn (mirrors, arms, riders)."""
FILL = {1: 0.74, 2: 0.8, 3: 0.9, 4: 0.5, 5: 0.4, 6: 0.4, 7: 0.8, 8: 0.7}
"""Share of its box's outline that an object covers, by category."""
SAMPLES = 64
"""Points of an instance that are looked at."""
SHARE = 0.3
"""Of an instance's points, at least these must lie in the box of the actor that gets it."""
NEAR = 0.05


@dataclass(frozen=True)
class Thing:
    """Something that may be seen, in the ego frame: box (centre [3], half extents [3], yaw), velocity [2] over ground.

    category: COCO id. track: its id through the episode. extra: further keys of its annotation.
    """

    track: int
    category: int
    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float
    velocity: tuple[float, float] = (0.0, 0.0)
    extra: dict[str, Any] = field(default_factory=dict)


@cache
def _optics(camera: CameraInfo) -> tuple[F32, F64, F64]:
    """Rays [H, W, 3] of the pixels in the ego frame (1 m along the axis each), rotation [3, 3] camera -> ego, place."""
    turn = rotations(*np.array(camera.pose[3:])[:, None])[0].astype(np.float64)
    u = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal
    v = (np.arange(camera.height) + 0.5 - camera.height / 2) / camera.focal
    local = np.stack(np.broadcast_arrays(1.0, u[None, :], -v[:, None]), -1)
    return (local @ turn.T).astype(np.float32), turn, np.array(camera.pose[:3])


def label(
    camera: CameraInfo, semantic: NDArray[np.uint8], instance: NDArray[np.int32], depth: F32, things: list[Thing]
) -> tuple[list[dict[str, Any]], NDArray[np.uint16]]:
    """COCO annotations (without ids) and the picture of track ids [H, W], 0 for none.

    semantic [H, W] CARLA tags; instance [H, W] any ids; depth [H, W] metres along the optical axis.
    """
    height, width = semantic.shape
    tracks = np.zeros((height, width), np.uint16)
    rays, _, place = _optics(camera)
    seen = [thing for thing in things if _corners(camera, thing) is not None]
    owner = _owners(semantic, instance, depth, rays, place, seen)
    found = []
    for k, thing in enumerate(seen):
        mask = owner == k
        area = int(np.count_nonzero(mask))
        if area < MIN_PIXELS:
            continue
        tracks[mask] = thing.track
        found.append(_annotation(camera, thing, mask, area, depth))
    return found, tracks


def _annotation(camera: CameraInfo, thing: Thing, mask: NDArray[np.bool_], area: int, depth: F32) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    code = rle.encode(np.asfortranarray(mask.view(np.uint8)))
    corners = _corners(camera, thing)
    assert corners is not None
    inside = (corners[:, 0] >= 0) & (corners[:, 0] <= camera.width)
    inside &= (corners[:, 1] >= 0) & (corners[:, 1] <= camera.height)
    return {
        "category_id": thing.category,
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "area": area,
        "iscrowd": 0,
        "segmentation": {"size": [camera.height, camera.width], "counts": code["counts"].decode()},
        "track_id": thing.track,
        "centre": [round(v, 3) for v in thing.centre],
        "half_extent": [round(v, 3) for v in thing.half],
        "yaw": round(thing.yaw, 4),
        "velocity": [round(v, 3) for v in thing.velocity],
        "distance": round(float(np.hypot(thing.centre[0], thing.centre[1])), 3),
        "visibility": round(_visibility(camera, thing, mask, area, depth, corners), 3),
        "truncated": bool(not inside.all()),
        **thing.extra,
    }


def _owners(
    semantic: NDArray[np.uint8], instance: NDArray[np.int32], depth: F32, rays: F32, place: F64, things: list[Thing]
) -> NDArray[np.int16]:
    """[H, W] the row of `things` that each pixel belongs to, -1 none."""
    owner = np.full(semantic.shape, -1, np.int16)
    flat, tags = owner.reshape(-1), semantic.reshape(-1)
    moving = [k for k, thing in enumerate(things) if thing.category < TRAFFIC_LIGHT]
    pixels = np.flatnonzero(_table(tuple(range(1, TRAFFIC_LIGHT)))[tags])
    if moving and len(pixels):
        keys = tags[pixels].astype(np.int64) << 32 | instance.reshape(-1)[pixels].astype(np.int64)
        order = np.argsort(keys, kind="stable")
        pixels, keys = pixels[order], keys[order]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        for begin, end in zip(starts, [*starts[1:], len(keys)]):
            group = pixels[begin:end]
            some = group[:: max(1, len(group) // SAMPLES)]
            points = rays.reshape(-1, 3)[some] * depth.reshape(-1)[some, None] + place
            tag = int(tags[group[0]])
            fits = [k for k in moving if tag in TAGS_OF[things[k].category]]
            shares = [float(_inside(things[k], points).mean()) for k in fits]
            if fits and max(shares) >= SHARE:
                flat[group] = fits[int(np.argmax(shares))]
    for category in (7, 8):
        mine = [k for k, thing in enumerate(things) if thing.category == category]
        pixels = np.flatnonzero(_table((category,))[tags])
        if mine and len(pixels):
            points = rays.reshape(-1, 3)[pixels] * depth.reshape(-1)[pixels, None] + place
            gaps = np.stack([np.linalg.norm(points - np.array(things[k].centre), axis=1) for k in mine])
            gaps[~np.stack([_inside(things[k], points) for k in mine])] = np.inf
            nearest = np.argmin(gaps, axis=0)
            near = np.isfinite(gaps[nearest, np.arange(len(pixels))])
            flat[pixels[near]] = np.array(mine, np.int16)[nearest[near]]
    return owner


@cache
def _table(categories: tuple[int, ...]) -> NDArray[np.bool_]:
    """[256] the tags of these categories."""
    table = np.zeros(256, np.bool_)
    for category in categories:
        table[[int(tag) for tag in TAGS_OF[category]]] = True
    return table


def _local(thing: Thing, points: F64) -> F64:
    """[N, 3] points in the box's axes."""
    cos, sin = np.cos(thing.yaw), np.sin(thing.yaw)
    d = points - np.array(thing.centre)
    return np.stack([d[:, 0] * cos + d[:, 1] * sin, d[:, 1] * cos - d[:, 0] * sin, d[:, 2]], -1)


def _inside(thing: Thing, points: F64) -> NDArray[np.bool_]:
    """[N] whether points lie in the box, give or take the category's margin."""
    reach = np.array(thing.half) + MARGIN[thing.category]
    inside: NDArray[np.bool_] = np.all(np.abs(_local(thing, points)) <= reach, axis=1)
    return inside


def _corners(camera: CameraInfo, thing: Thing) -> F64 | None:
    """[8, 2] the box's corners on the picture, pixels; None where no part of it can be on the picture.

    Corners behind the camera lie far outside.
    """
    _, turn, place = _optics(camera)
    cos, sin = np.cos(thing.yaw), np.sin(thing.yaw)
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)
    d = signs * np.array(thing.half)
    corners = np.stack([d[:, 0] * cos - d[:, 1] * sin, d[:, 0] * sin + d[:, 1] * cos, d[:, 2]], -1)
    seen = (corners + np.array(thing.centre) - place) @ turn
    if (seen[:, 0] < NEAR).all():
        return None
    ahead = np.maximum(seen[:, 0], NEAR)
    u = camera.width / 2 + camera.focal * seen[:, 1] / ahead
    v = camera.height / 2 - camera.focal * seen[:, 2] / ahead
    if u.max() < 0 or u.min() > camera.width or v.max() < 0 or v.min() > camera.height:
        return None
    return np.stack([u, v], -1)


def _visibility(
    camera: CameraInfo, thing: Thing, mask: NDArray[np.bool_], area: int, depth: F32, corners: F64
) -> float:
    """Visible pixels / those that the whole object would cover on the picture.

    What hides it are pixels on rays that meet its box later than they end. Of these the object would cover as large a
    share as such objects cover of their outline.
    """
    low = np.clip(np.floor(corners.min(0)), 0, [camera.width - 1, camera.height - 1]).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + 1, 1, [camera.width, camera.height]).astype(int)
    stride = max(1, int(np.sqrt((high - low).prod() / 2500)))
    window = (slice(low[1], high[1], stride), slice(low[0], high[0], stride))
    rays, _, place = _optics(camera)
    way = rays[window].reshape(-1, 3).astype(np.float64)
    cos, sin = np.cos(thing.yaw), np.sin(thing.yaw)
    local = np.stack([way[:, 0] * cos + way[:, 1] * sin, way[:, 1] * cos - way[:, 0] * sin, way[:, 2]], -1)
    local = np.where(np.abs(local) < 1e-9, 1e-9, local)
    start = _local(thing, place[None])[0]
    one, two = (-np.array(thing.half) - start) / local, (np.array(thing.half) - start) / local
    enter, leave = np.minimum(one, two).max(1), np.maximum(one, two).min(1)
    hidden = (enter < leave) & (leave > NEAR) & (depth[window].reshape(-1) < enter - 0.1)
    hidden &= ~mask[window].reshape(-1)
    covered = FILL[thing.category] * float(np.count_nonzero(hidden)) * stride * stride
    return area / (area + covered)
