"""Scenes as arrays, B at once: what datasets hold, what the batched world knows and what the network takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from contracts import Scene

F32 = NDArray[np.float32]
MOST_OBJECTS = 32
"""Nearest objects of a Scene that are taken up; the network chooses among them."""
OBJECT_FIELDS = 8
X, Y, HALF_LENGTH, HALF_WIDTH, YAW, VX, VY, CONFIDENCE = range(OBJECT_FIELDS)
SPEED, ACCELERATION, YAW_RATE, STEER, LENGTH, WIDTH = range(6)
STOP_DISTANCE, STOP_SIGN, SPEED_LIMIT = range(3)
FAR = 1000.0
"""Metres that stand for "no stop line"."""


class Scenes(NamedTuple):
    """B scenes in ego frames (x forward, y right; metres, m/s, radians), as torch tensors or NumPy arrays alike.

    ego [B, 6]: speed, acceleration, yaw rate, steer, length, width. objects [B, N, 8]: centre x, y; half length, half
    width; yaw; velocity over ground x, y; confidence; nearest first, 0 beyond the last. kind [B, N] int64:
    contracts.ObjectClass, -1 where there is no object. route [B, R, 2]: points 1 m apart. light [B] int64:
    contracts.LightState. rules [B, 3]: distance to the stop line (at most 1000), stop sign 0/1, speed limit.
    """

    ego: Any
    objects: Any
    kind: Any
    route: Any
    light: Any
    rules: Any

    @property
    def batch(self) -> int:
        """B."""
        return len(self.ego)

    def take(self, rows: Any) -> Scenes:
        """Some of the scenes."""
        return Scenes(*(field[rows] for field in self))

    def tensors(self) -> Scenes:
        """As tensors; memory is shared where the arrays allow it."""
        return Scenes(*(torch.as_tensor(field) for field in self))

    def arrays(self) -> Scenes:
        """As NumPy arrays, memory shared."""
        return Scenes(*(np.asarray(field) for field in self))

    def narrow(self, objects: int, route_points: int) -> Scenes:
        """With at most the first `objects` and exactly `route_points` points (the last one's direction goes on)."""
        kept = self._replace(objects=self.objects[:, :objects], kind=self.kind[:, :objects])
        have = self.route.shape[1]
        if have >= route_points:
            return kept._replace(route=self.route[:, :route_points])
        step = self.route[:, -1:] - self.route[:, -2:-1]
        more = torch.arange(1, route_points - have + 1)[None, :, None]
        if isinstance(self.route, torch.Tensor):
            return kept._replace(route=torch.cat([self.route, self.route[:, -1:] + step * more], 1))
        longer = self.route[:, -1:] + step * more.numpy()
        return kept._replace(route=np.concatenate([self.route, longer], 1).astype(np.float32))

    def choose(self, index: torch.Tensor) -> Scenes:
        """Of tensor scenes: only the objects `index` [B, K] of each."""
        objects = self.objects.gather(1, index[..., None].expand(-1, -1, OBJECT_FIELDS))
        return self._replace(objects=objects, kind=self.kind.gather(1, index))


def concatenate(parts: Sequence[Scenes]) -> Scenes:
    """Tensor scenes one after the other; all have the same N and R."""
    return Scenes(*(torch.cat([torch.as_tensor(part[k]) for part in parts]) for k in range(len(Scenes._fields))))


def straighten(route: F32) -> F32:
    """Routes [B, R, 2] whose repeated last point (the route has ended) goes on straight instead, 1 m apart."""
    steps = np.diff(route, axis=1)
    still = np.hypot(steps[..., 0], steps[..., 1]) < 0.05
    ended = still.any(1)
    if not ended.any():
        return route
    rows = route[ended]
    last = still[ended].argmax(1)  # index of the last true point
    each = np.arange(len(rows))
    step = np.where((last > 0)[:, None], rows[each, last] - rows[each, last - 1], np.array([1.0, 0.0], np.float32))
    step = step / np.maximum(np.hypot(step[:, :1], step[:, 1:]), 1e-3)
    beyond = np.arange(route.shape[1])[None, :] - last[:, None]
    straight = rows[each, last][:, None] + beyond[..., None] * step[:, None]
    out = route.copy()
    out[ended] = np.where((beyond > 0)[..., None], straight, rows)
    return out


def from_scenes(scenes: Sequence[Scene], objects: int, route_points: int) -> Scenes:
    """Arrays of contract Scenes: the `objects` nearest, `route_points` of the route (going on straight at its end)."""
    count = len(scenes)
    out = Scenes(
        ego=np.zeros((count, 6), np.float32),
        objects=np.zeros((count, objects, OBJECT_FIELDS), np.float32),
        kind=np.full((count, objects), -1, np.int64),
        route=np.zeros((count, route_points, 2), np.float32),
        light=np.zeros(count, np.int64),
        rules=np.zeros((count, 3), np.float32),
    )
    for b, scene in enumerate(scenes):
        e, o = scene.ego, scene.objects
        out.ego[b] = (e.speed, e.acceleration, e.yaw_rate, e.steer, e.length, e.width)
        order = np.argsort(np.hypot(o.centre[:, 0], o.centre[:, 1]), kind="stable")[:objects]
        n = len(order)
        rows = out.objects[b, :n]
        rows[:, X : Y + 1] = o.centre[order]
        rows[:, HALF_LENGTH : HALF_WIDTH + 1] = o.half_extent[order]
        rows[:, YAW] = o.yaw[order]
        rows[:, VX : VY + 1] = o.velocity[order]
        rows[:, CONFIDENCE] = o.confidence[order]
        out.kind[b, :n] = o.kind[order]
        points = scene.route[:route_points]
        if len(points) == 0:
            points = np.array([[1.0, 0.0]], np.float32)
        out.route[b, : len(points)] = points
        out.route[b, len(points) :] = points[-1]
        out.light[b] = int(scene.light)
        out.rules[b] = (min(scene.stop_distance, FAR), float(scene.stop_sign), scene.speed_limit)
    return out._replace(route=straighten(out.route))
