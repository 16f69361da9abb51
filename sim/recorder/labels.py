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

from sim.recorder.schema import MIN_PIXELS, TAGS_OF, TRAFFIC_LIGHT, TRAFFIC_SIGN, CameraInfo
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
_KIND = np.zeros(256, np.uint8)
"""What a tag's pixels may belong to: 1 something that moves, TRAFFIC_LIGHT, TRAFFIC_SIGN, 0 nothing with a category."""
for _category, _tags in TAGS_OF.items():
    _KIND[[int(tag) for tag in _tags]] = _category if _category >= TRAFFIC_LIGHT else 1
_SIGNS = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)


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


@dataclass(frozen=True)
class Boxes:
    """The boxes of N things: category [N], centre and half extents [N, 3] metres, cosine and sine of the yaw [N],
    margin [N] metres."""

    category: NDArray[np.int64]
    centre: F64
    half: F64
    cos: F64
    sin: F64
    margin: F64

    @staticmethod
    def of(things: list[Thing]) -> Boxes:
        """Of things, in their order."""
        yaw = np.array([thing.yaw for thing in things], float)
        return Boxes(
            np.array([thing.category for thing in things], np.int64),
            np.array([thing.centre for thing in things], float).reshape(-1, 3),
            np.array([thing.half for thing in things], float).reshape(-1, 3),
            np.cos(yaw), np.sin(yaw), np.array([MARGIN[thing.category] for thing in things], float),
        )  # fmt: skip

    def take(self, rows: NDArray[Any]) -> Boxes:
        """Some of them."""
        return Boxes(*(getattr(self, name)[rows] for name in Boxes.__dataclass_fields__))


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
    rays, _, place = _optics(camera)
    boxes = Boxes.of(things)
    corners, shown = _corners(camera, boxes)
    seen, boxes, corners = [things[k] for k in np.flatnonzero(shown)], boxes.take(shown), corners[shown]
    owner = _owners(semantic, instance, depth, rays, place, boxes)
    areas = np.bincount(owner.reshape(-1) + 1, minlength=len(seen) + 1)[1:]
    number = np.array([0, *(thing.track for thing in seen)], np.uint16)
    number[1:][areas < MIN_PIXELS] = 0
    columns = np.ascontiguousarray(owner.T)  # pycocotools wants masks column by column
    found = [
        _annotation(camera, seen[k], (columns == k).T, int(areas[k]), depth, corners[k])
        for k in np.flatnonzero(areas >= MIN_PIXELS).tolist()
    ]
    return found, number[owner + 1]


def _annotation(
    camera: CameraInfo, thing: Thing, mask: NDArray[np.bool_], area: int, depth: F32, corners: F64
) -> dict[str, Any]:
    """mask: [H, W] in column order."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    code = rle.encode(mask.view(np.uint8))
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
    semantic: NDArray[np.uint8], instance: NDArray[np.int32], depth: F32, rays: F32, place: F64, boxes: Boxes
) -> NDArray[np.int16]:
    """[H, W] the row of `boxes` that each pixel belongs to, -1 none."""
    owner = np.full(semantic.shape, -1, np.int16)
    flat, tags = owner.reshape(-1), semantic.reshape(-1)
    moving = np.flatnonzero(boxes.category < TRAFFIC_LIGHT)
    kind = _KIND[tags]
    pixels = np.flatnonzero(kind == 1)
    if len(moving) and len(pixels):
        keys = tags[pixels].astype(np.int64) << 32 | instance.reshape(-1)[pixels].astype(np.int64)
        order = np.argsort(keys, kind="stable")
        pixels, keys = pixels[order], keys[order]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        for begin, end in zip(starts, [*starts[1:], len(keys)]):
            group = pixels[begin:end]
            fits = moving[_fitting(int(tags[group[0]]))[boxes.category[moving]]]
            if not len(fits):
                continue
            some = group[:: max(1, len(group) // SAMPLES)]
            points = rays.reshape(-1, 3)[some] * depth.reshape(-1)[some, None] + place
            shares = _inside(boxes.take(fits), points).mean(1)
            best = int(np.argmax(shares))
            if shares[best] >= SHARE:
                flat[group] = fits[best]
    for category in (TRAFFIC_LIGHT, TRAFFIC_SIGN):
        mine = np.flatnonzero(boxes.category == category)
        pixels = np.flatnonzero(kind == category)
        if len(mine) and len(pixels):
            points = rays.reshape(-1, 3)[pixels] * depth.reshape(-1)[pixels, None] + place
            own = boxes.take(mine)
            gaps = np.linalg.norm(points - own.centre[:, None], axis=2)
            gaps[~_inside(own, points)] = np.inf
            nearest = np.argmin(gaps, axis=0)
            near = np.isfinite(gaps[nearest, np.arange(len(pixels))])
            flat[pixels[near]] = mine.astype(np.int16)[nearest[near]]
    return owner


@cache
def _fitting(tag: int) -> NDArray[np.bool_]:
    """[9] the categories whose pixels may have this tag."""
    return np.array([tag in TAGS_OF.get(category, ()) for category in range(TRAFFIC_LIGHT + 2)])


def _local(thing: Thing, points: F64) -> F64:
    """[N, 3] points in the box's axes."""
    cos, sin = np.cos(thing.yaw), np.sin(thing.yaw)
    d = points - np.array(thing.centre)
    return np.stack([d[:, 0] * cos + d[:, 1] * sin, d[:, 1] * cos - d[:, 0] * sin, d[:, 2]], -1)


def _inside(boxes: Boxes, points: F64) -> NDArray[np.bool_]:
    """[N, P] whether points [P, 3] lie in each box, give or take its category's margin."""
    x, y, z = np.moveaxis(points - boxes.centre[:, None], 2, 0)
    cos, sin, reach = boxes.cos[:, None], boxes.sin[:, None], boxes.half + boxes.margin[:, None]
    inside: NDArray[np.bool_] = np.abs(x * cos + y * sin) <= reach[:, :1]
    inside &= np.abs(y * cos - x * sin) <= reach[:, 1:2]
    inside &= np.abs(z) <= reach[:, 2:]
    return inside


def _corners(camera: CameraInfo, boxes: Boxes) -> tuple[F64, NDArray[np.bool_]]:
    """[N, 8, 2] the boxes' corners on the picture, pixels; [N] whether any part of a box can be on the picture.

    Corners behind the camera lie far outside.
    """
    _, turn, place = _optics(camera)
    cos, sin = boxes.cos[:, None], boxes.sin[:, None]
    d = _SIGNS * boxes.half[:, None]
    corners = np.stack([d[..., 0] * cos - d[..., 1] * sin, d[..., 0] * sin + d[..., 1] * cos, d[..., 2]], -1)
    seen = (corners + boxes.centre[:, None] - place) @ turn
    ahead = np.maximum(seen[..., 0], NEAR)
    u = camera.width / 2 + camera.focal * seen[..., 1] / ahead
    v = camera.height / 2 - camera.focal * seen[..., 2] / ahead
    shown = (seen[..., 0] >= NEAR).any(1) & (u.max(1) >= 0) & (u.min(1) <= camera.width)
    shown &= (v.max(1) >= 0) & (v.min(1) <= camera.height)
    return np.stack([u, v], -1), shown


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
    x, y, z = np.moveaxis(rays[window].astype(np.float64), 2, 0)
    cos, sin = np.cos(thing.yaw), np.sin(thing.yaw)
    start = _local(thing, place[None])[0]
    enter, leave = np.full(x.shape, -np.inf), np.full(x.shape, np.inf)
    for way, at, half in zip((x * cos + y * sin, y * cos - x * sin, z), start, thing.half):
        way = np.where(np.abs(way) < 1e-9, 1e-9, way)
        one, two = (-half - at) / way, (half - at) / way
        np.maximum(enter, np.minimum(one, two), out=enter)
        np.minimum(leave, np.maximum(one, two), out=leave)
    hidden = (enter < leave) & (leave > NEAR) & (depth[window] < enter - 0.1)
    hidden &= ~mask[window]
    covered = FILL[thing.category] * float(np.count_nonzero(hidden)) * stride * stride
    return area / (area + covered)
