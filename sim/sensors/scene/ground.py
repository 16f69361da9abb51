"""Roads, sidewalks with kerbs and corners, junction surfaces and terrain, as one mesh.

Strips follow the lanes of roads. Inside junctions the lanes of many connecting roads overlap, so the roadway there is
one polygon: the union of their strips with small gaps closed. Sidewalk corners are what lies within a sidewalk's width
of that polygon and is neither roadway nor a road's own sidewalk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon, STRtree
from shapely.ops import unary_union

from sim.roads.geometry import ReferenceLines
from sim.roads.model import DRIVING_TYPES, RoadMap
from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material
from sim.sensors.scene.profile import KERB, Profile, sample, stations

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
    heights: list[F64] = field(default_factory=list)
    """Points [n, 3] of the roads."""


def _strip(
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


def _outline(a: F64, b: F64) -> Polygon:
    return Polygon(np.concatenate([a[:, :2], b[::-1, :2]])).buffer(0)


def _polygons(shape: Polygon | MultiPolygon, smallest: float = 0.05) -> Iterable[Polygon]:
    parts = getattr(shape, "geoms", [shape])
    return (p for p in parts if isinstance(p, Polygon) and p.area > smallest)


class _Height:
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
    mb: Builder, shape: Polygon, height: _Height, lift: float, material: Material, color: tuple[float, ...]
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


def _lay_road(ground: Ground, profile: Profile) -> None:
    """Strips of every lane of a road outside junctions, kerbs beside raised lanes."""
    mb = ground.mesh
    mb.instance = 0
    for i, lane in profile.section.lanes.items():
        if i == 0:
            continue
        inner_t, outer_t = profile.edges[i]
        if np.max(np.abs(outer_t - inner_t)) < 0.02:
            continue
        low, high = profile.heights(lane)
        a, b = profile.at(inner_t, low), profile.at(outer_t, high)
        if lane.type in PAVED_TYPES:
            mb.semantic = Tag.ROAD
            _strip(mb, a, b, Material.ASPHALT, ASPHALT, profile.s, (inner_t, outer_t))
            ground.roadway.append(_outline(a, b))
        elif lane.type in WALK_TYPES or lane.type == "curb":
            mb.semantic = Tag.SIDEWALK
            _strip(mb, a, b, Material.PAVING, PAVEMENT, profile.s, (inner_t, outer_t))
            ground.walkway.append(_outline(a, b))
            base_a, base_b = profile.at(inner_t)[:, 2], profile.at(outer_t)[:, 2]
            kerb(mb, a, base_a - 0.02, a[:, 2])
            kerb(mb, b, base_b - 0.25, b[:, 2])
        elif lane.type == "median":
            mb.semantic = Tag.TERRAIN
            _strip(mb, a, b, Material.GRASS, GRASS, profile.s, (inner_t, outer_t))
            ground.walkway.append(_outline(a, b))
            kerb(mb, a, a[:, 2] - 0.2, a[:, 2])
            kerb(mb, b, b[:, 2] - 0.2, b[:, 2])
        if lane.type in PAVED_TYPES:
            ground.heights.append(a[::2])


def _lay_junction(ground: Ground, members: list[Profile], roads: STRtree, road_shapes: list[Polygon],
                  walks: STRtree, walk_shapes: list[Polygon]) -> None:  # fmt: skip
    """Roadway and sidewalk corners of one junction."""
    strips, paths, points = [], [], []
    for profile in members:
        for i, lane in profile.section.lanes.items():
            if i == 0:
                continue
            inner_t, outer_t = profile.edges[i]
            if np.max(np.abs(outer_t - inner_t)) < 0.02:
                continue
            a, b = profile.at(inner_t), profile.at(outer_t)
            if lane.type in PAVED_TYPES:
                strips.append(_outline(a, b))
                points.append(a)
                points.append(b)
            elif lane.type in WALK_TYPES:
                paths.append(_outline(a, b))
    if not strips:
        return
    height = _Height(np.concatenate(points))
    roadway = unary_union(strips).buffer(0.6, join_style="mitre").buffer(-0.6, join_style="mitre")
    near_road = [road_shapes[k] for k in roads.query(roadway.buffer(8.0))]
    near_walk = [walk_shapes[k] for k in walks.query(roadway.buffer(8.0))]
    around = unary_union(near_road) if near_road else Polygon()
    own = roadway.difference(around.buffer(-0.001)).simplify(0.01)
    mb = ground.mesh
    mb.instance, mb.semantic = 0, Tag.ROAD
    for part in _polygons(own):
        fill(mb, part, height, 0.0, Material.ASPHALT, ASPHALT)
        ground.roadway.append(part)
    ground.heights.append(np.concatenate(points)[::4])
    if not near_walk and not paths:
        return
    everything = unary_union([roadway, around])
    width = 2.0
    ring = unary_union([roadway.buffer(width), *paths]).buffer(1.2).buffer(-1.2)
    corner = ring.difference(everything.buffer(0.005))
    if near_walk:
        corner = corner.difference(unary_union(near_walk).buffer(0.02))
    corner = corner.buffer(-0.15, join_style="mitre").buffer(0.15, join_style="mitre").simplify(0.02)
    mb.semantic = Tag.SIDEWALK
    for part in _polygons(corner, 0.4):
        fill(mb, part, height, KERB, Material.PAVING, PAVEMENT)
        ground.walkway.append(part)
        for r in (part.exterior, *part.interiors):
            edge = np.array(r.coords)
            z = height(edge)
            kerb(mb, np.concatenate([edge, z[:, None]], 1), z - 0.25, z + KERB)


def _terrain(ground: Ground, margin: float = 260.0, cell: float = 12.0) -> None:
    """A grid of grass under and around the town, a little below the roads; far from them it settles at their mean."""
    points = np.concatenate(ground.heights)
    low, high = points[:, :2].min(0) - margin, points[:, :2].max(0) + margin
    nx, ny = (int(np.ceil(d / cell)) + 1 for d in high - low)
    at = ((points[:, :2] - low) / cell).round().astype(int)
    # a cell takes the lowest road near it, so that no slope pokes through the asphalt
    lowest = np.full((nx, ny), np.inf)
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            np.minimum.at(lowest, (np.clip(at[:, 0] + dx, 0, nx - 1), np.clip(at[:, 1] + dy, 0, ny - 1)), points[:, 2])
    known = np.isfinite(lowest)
    z = np.where(known, lowest, points[:, 2].mean())
    if np.ptp(points[:, 2]) > 1e-4:
        for _ in range(60):
            padded = np.pad(z, 1, mode="edge")
            mean = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
            z = np.where(known, lowest, mean)
    xs, ys = low[0] + cell * np.arange(nx), low[1] + cell * np.arange(ny)
    gx, gy = np.meshgrid(xs, ys, indexing="ij")
    mb = ground.mesh
    mb.instance, mb.semantic = 0, Tag.TERRAIN
    p = np.stack([gx, gy, z - 0.07], -1)
    i = (np.arange(nx - 1)[:, None] * ny + np.arange(ny - 1)).ravel()
    face = np.concatenate([np.stack([i, i + ny, i + ny + 1], 1), np.stack([i, i + ny + 1, i + 1], 1)])
    mb.add(p, face, Material.GRASS, GRASS)


def lay(road_map: RoadMap, lines: ReferenceLines) -> Ground:
    """The ground of a whole map."""
    ground = Ground(Builder())
    junctions: dict[str, list[Profile]] = {}
    for index, road in enumerate(road_map.roads):
        for section in road.sections:
            if section.end - section.s < 1e-3:
                continue
            inside = road.junction != "-1"
            s = stations(road, index, lines, section.s, section.end, 1.0 if inside else 1.5)
            profile = sample(road, index, lines, s, section)
            if inside:
                junctions.setdefault(road.junction, []).append(profile)
            else:
                ground.profiles.append(profile)
                _lay_road(ground, profile)
    road_shapes, walk_shapes = list(ground.roadway), list(ground.walkway)
    roads, walks = STRtree(road_shapes), STRtree(walk_shapes)
    for members in junctions.values():
        _lay_junction(ground, members, roads, road_shapes, walks, walk_shapes)
    _terrain(ground)
    return ground
