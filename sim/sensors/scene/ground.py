"""The ground of a town as one mesh: strips along the lanes of roads, junctions, terrain under and around them."""

from __future__ import annotations

import numpy as np
from shapely import STRtree

from sim.roads.geometry import ReferenceLines
from sim.roads.model import RoadMap
from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material
from sim.sensors.scene.junctions import find_islands, junction_of, lay_island, lay_junction
from sim.sensors.scene.profile import Profile, sample, stations
from sim.sensors.scene.surfaces import (
    ASPHALT,
    GRASS,
    PAVED_TYPES,
    PAVEMENT,
    WALK_TYPES,
    Ground,
    kerb,
    outline,
    strip,
)


def _lay_road(ground: Ground, profile: Profile) -> None:
    """Strips of every lane of a road outside junctions, kerbs beside raised lanes."""
    mb = ground.mesh
    mb.instance = 0
    for lane, inner_t, outer_t in profile.lanes():
        low, high = profile.heights(lane)
        a, b = profile.at(inner_t, low), profile.at(outer_t, high)
        if lane.type in PAVED_TYPES:
            mb.semantic = Tag.ROAD
            strip(mb, a, b, Material.ASPHALT, ASPHALT, profile.s, (inner_t, outer_t))
            ground.roadway.append(outline(a, b))
        elif lane.type in WALK_TYPES or lane.type == "curb":
            mb.semantic = Tag.SIDEWALK
            strip(mb, a, b, Material.PAVING, PAVEMENT, profile.s, (inner_t, outer_t))
            ground.walkway.append(outline(a, b))
            base_a, base_b = profile.at(inner_t)[:, 2], profile.at(outer_t)[:, 2]
            kerb(mb, a, base_a - 0.02, a[:, 2])
            kerb(mb, b, base_b - 0.25, b[:, 2])
        elif lane.type == "median":
            mb.semantic = Tag.TERRAIN
            strip(mb, a, b, Material.GRASS, GRASS, profile.s, (inner_t, outer_t))
            ground.walkway.append(outline(a, b))
            kerb(mb, a, a[:, 2] - 0.2, a[:, 2])
            kerb(mb, b, b[:, 2] - 0.2, b[:, 2])
        if lane.type in PAVED_TYPES:
            ground.heights.append(a[::2])


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
    made = [j for j in map(junction_of, junctions.values()) if j is not None]
    for island, height in find_islands(made, road_shapes, walk_shapes):
        lay_island(ground, island, height)
    for junction in made:
        lay_junction(ground, junction, roads, road_shapes, walks, walk_shapes)
    _terrain(ground)
    return ground
