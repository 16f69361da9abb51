"""A raster of what is already built upon, so that dressing never stands on a road or in a wall."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from shapely.geometry import Polygon

CELL = 0.5


class Occupancy:
    """Half-metre cells over the town plus a margin; outside counts as free."""

    def __init__(self, low: ArrayLike, high: ArrayLike) -> None:
        self._low = np.asarray(low, float)
        size = np.ceil((np.asarray(high, float) - self._low) / CELL).astype(int)
        self._cells = np.zeros((size[1] + 1, size[0] + 1), np.uint8)

    def _pixels(self, points: ArrayLike) -> NDArray[np.int32]:
        xy = np.asarray(points, float)[..., :2]
        return np.round((xy - self._low) / CELL).astype(np.int32)

    def mark(self, polygons: Iterable[Polygon], grow: float = 0.0) -> None:
        """Take the polygons' area, grown by `grow` metres."""
        for polygon in polygons:
            shape = polygon.buffer(grow) if grow else polygon
            for part in getattr(shape, "geoms", [shape]):
                if not part.is_empty:
                    cv2.fillPoly(self._cells, [self._pixels(part.exterior.coords)], 1)

    def free(self, rectangle: NDArray) -> bool:
        """Whether no cell of the convex polygon [n, 2] is taken."""
        p = self._pixels(rectangle)
        low = np.clip(p.min(0), 0, None)
        high = np.minimum(p.max(0) + 1, [self._cells.shape[1], self._cells.shape[0]])
        if (high <= low).any():
            return True
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        cv2.fillConvexPoly(mask, p - low.astype(np.int32), 1)
        return not bool((mask & self._cells[low[1] : high[1], low[0] : high[0]]).any())

    def take(self, rectangle: NDArray) -> None:
        """Take a convex polygon [n, 2]."""
        cv2.fillConvexPoly(self._cells, self._pixels(rectangle), 1)

    def take_if_free(self, centre: ArrayLike, radius: float) -> bool:
        """Take a square around a point unless any of it is taken."""
        x, y = np.asarray(centre, float)[:2]
        square = np.array(
            [[x - radius, y - radius], [x + radius, y - radius], [x + radius, y + radius], [x - radius, y + radius]]
        )
        if not self.free(square):
            return False
        self.take(square)
        return True
