"""Plans of many worlds at once, and the path that follows a route."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts import Plan
from contracts.plan import PATH_POINTS, SPEED_STEPS

F32 = NDArray[np.float32]


class Plans(NamedTuple):
    """contracts.Plan of W worlds. path: [W, 20, 2] float32. speed: [W, 8] float32."""

    path: F32
    speed: F32

    def plan(self, world: int = 0) -> Plan:
        """The Plan of one world, copied."""
        return Plan(self.path[world].copy(), self.speed[world].copy())

    @staticmethod
    def empty(worlds: int) -> Plans:
        """Straight on at rest."""
        path = np.zeros((worlds, PATH_POINTS, 2), np.float32)
        path[..., 0] = np.arange(1, PATH_POINTS + 1)
        return Plans(path, np.zeros((worlds, SPEED_STEPS), np.float32))


def path_ahead(route: F32) -> F32:
    """[W, 20, 2] the path along routes [W, R >= 2, 2] (ego frame, 1 m apart, the first at most 1 m ahead).

    Its first point is 1 m ahead of the ego's foot on the route. Behind a route's end (points that repeat) it goes
    straight on.
    """
    count = PATH_POINTS + 1
    points = np.zeros((len(route), count + 1, 2), np.float32)
    n = min(route.shape[1], count + 1)
    points[:, :n] = route[:, :n]
    direction = route[:, 1] - route[:, 0]
    size = np.linalg.norm(direction, axis=1, keepdims=True)
    direction = np.where(size > 0.3, direction / np.maximum(size, 1e-6), np.array([1.0, 0.0], np.float32))
    over = np.zeros((len(route), 1), np.bool_)
    for k in range(1, count + 1):
        step = points[:, k] - points[:, k - 1]
        size = np.linalg.norm(step, axis=1, keepdims=True)
        over |= (size < 0.5) | (k >= n)
        direction = np.where(over, direction, step / np.maximum(size, 1e-6))
        points[:, k] = np.where(over, points[:, k - 1] + direction, points[:, k])
    along = points[:, 1] - points[:, 0]
    share = np.clip(1.0 - np.einsum("wi,wi->w", points[:, 0], along), 0.0, 1.0)[:, None, None]
    return (points[:, :PATH_POINTS] + share * (points[:, 1:count] - points[:, :PATH_POINTS])).astype(np.float32)
