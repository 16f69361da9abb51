"""Surfaces that the ground is laid with: strips along roads, kerbs, filled polygons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from sim.roads.model import DRIVING_TYPES
from sim.sensors.mesh import Builder, Material
from sim.sensors.scene.profile import Profile

F64 = NDArray[np.float64]
WALK_TYPES = frozenset({"sidewalk", "walking"})
PAVED_TYPES = DRIVING_TYPES | {"shoulder", "parking", "stop", "biking", "border", "restricted", "slipLane"}
ASPHALT = (0.110, 0.110, 0.114)
PAVEMENT = (0.33, 0.32, 0.305)
STONE = (0.36, 0.355, 0.34)
GRASS = (0.072, 0.105, 0.036)


@dataclass
class Ground:
    """What the dressing needs to know of the ground: polygons (world x, y) and profiles of all road sections."""

    mesh: Builder
    profiles: list[Profile] = field(default_factory=list)
    roadway: list[Polygon] = field(default_factory=list)
    walkway: list[Polygon] = field(default_factory=list)
    islands: list[tuple[Polygon, float]] = field(default_factory=list)
    """Islands inside roundabouts, part of `walkway`, and the height of their tops."""
    heights: list[F64] = field(default_factory=list)
    """Points [n, 3] of the roads."""


def strip(
    mb: Builder, inner: F64, outer: F64, material: Material, color: tuple[float, ...], s: F64, t: tuple[F64, F64]
) -> None:
    """Quads between two edges [n, 3]; uv: station, and t from the middle of the lane."""
    n = len(inner)
    points = np.stack([inner, outer], 1)
    centre = (t[0] + t[1]) / 2
    uv = np.stack([np.stack([s, t[0] - centre], -1), np.stack([s, t[1] - centre], -1)], 1)
    i = np.arange(n - 1) * 2
    face = np.concatenate([np.stack([i, i + 1, i + 3], 1), np.stack([i, i + 3, i + 2], 1)])
    normal = np.tile([0.0, 0.0, 1.0], (2 * n, 1))
    mb.add(points, face, material, color, uv.reshape(-1, 2)[face], normal)


def kerb(mb: Builder, edge: F64, low: F64 | float, high: F64 | float) -> None:
    """An upright band along edge [n, 3] from z = low to high."""
    n = len(edge)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(edge[:, :2], axis=0), axis=1))])
    bottom, top = edge.copy(), edge.copy()
    bottom[:, 2], top[:, 2] = low, high
    points = np.stack([bottom, top], 1)
    uv = np.stack([np.stack([along, bottom[:, 2]], -1), np.stack([along, top[:, 2]], -1)], 1).reshape(-1, 2)
    i = np.arange(n - 1) * 2
    face = np.concatenate([np.stack([i, i + 2, i + 3], 1), np.stack([i, i + 3, i + 1], 1)])
    # corners keep their edge: separate vertices per quad would cost more than it shows
    mb.add(points, face, Material.KERB, STONE, uv[face])


def outline(a: F64, b: F64) -> Polygon:
    return Polygon(np.concatenate([a[:, :2], b[::-1, :2]])).buffer(0)


def polygons(shape: Polygon | MultiPolygon, smallest: float = 0.05) -> Iterable[Polygon]:
    parts = getattr(shape, "geoms", [shape])
    return (p for p in parts if isinstance(p, Polygon) and p.area > smallest)


class Height:
    """Height of the nearest road point."""

    def __init__(self, points: F64) -> None:
        self._points = points

    def __call__(self, xy: F64) -> F64:
        if np.ptp(self._points[:, 2]) < 1e-4:
            return np.full(len(xy), self._points[0, 2])
        out = np.empty(len(xy))
        for at in range(0, len(xy), 256):
            d = ((xy[at : at + 256, None] - self._points[None, :, :2]) ** 2).sum(-1)
            near = np.argsort(d, 1)[:, :4]
            w = 1 / (np.take_along_axis(d, near, 1) + 0.05)
            out[at : at + 256] = (self._points[near, 2] * w).sum(1) / w.sum(1)
        return out


def fill(
    mb: Builder, shape: Polygon, height: Height, lift: float, material: Material, color: tuple[float, ...]
) -> None:
    """Triangulate a polygon at the roads' height + lift."""
    rings = [np.array(shape.exterior.coords)[:-1], *(np.array(r.coords)[:-1] for r in shape.interiors)]
    flat = np.concatenate(rings)
    ends = np.cumsum([len(r) for r in rings]).astype(np.uint32)
    face = mapbox_earcut.triangulate_float64(flat, ends).reshape(-1, 3)
    if not len(face):
        return
    z = height(flat) + lift
    mb.add(
        np.concatenate([flat, z[:, None]], 1), face, material, color, normal=np.tile([0.0, 0.0, 1.0], (len(flat), 1))
    )
