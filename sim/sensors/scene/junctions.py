"""Junctions: one roadway, the islands it encloses, and the corners of the sidewalks around it.

Inside a junction the lanes of many connecting roads overlap, so the roadway there is one polygon: the union of their
strips with small gaps closed. Sidewalk corners are what lies within a sidewalk's width of that polygon and is neither
roadway nor island nor a road's own sidewalk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon, STRtree
from shapely.ops import unary_union

from sim.sensors.labels import Tag
from sim.sensors.mesh import Material
from sim.sensors.scene.profile import KERB, Profile
from sim.sensors.scene.surfaces import (
    ASPHALT,
    GRASS,
    PAVED_TYPES,
    PAVEMENT,
    WALK_TYPES,
    Ground,
    Height,
    fill,
    kerb,
    outline,
    polygons,
)

F64 = NDArray[np.float64]
ISLAND_AREA = (12.0, 2500.0)
"""Square metres."""
ISLAND_ROUNDNESS = 0.6
"""Least 4 pi area / length^2; a circle has 1."""
ISLAND_STEP = 0.6
"""An island's edge rises and falls by less than this, metres."""
ISLAND_RIM = 1.0
"""Paving around an island's grass, metres."""


@dataclass(frozen=True)
class Junction:
    """The connecting roads of a junction: their roadway as one shape, their sidewalks, points of their edges."""

    roadway: Polygon | MultiPolygon
    paths: list[Polygon]
    height: Height
    points: F64


def junction_of(members: list[Profile]) -> Junction | None:
    """None where no lane is paved."""
    strips, paths, points = [], [], []
    for profile in members:
        for lane, inner_t, outer_t in profile.lanes():
            a, b = profile.at(inner_t), profile.at(outer_t)
            if lane.type in PAVED_TYPES:
                strips.append(outline(a, b))
                points += [a, b]
            elif lane.type in WALK_TYPES:
                paths.append(outline(a, b))
    if not strips:
        return None
    whole = unary_union(strips).buffer(0.6, join_style="mitre").buffer(-0.6, join_style="mitre")
    joined = np.concatenate(points)
    return Junction(whole, paths, Height(joined), joined)


def find_islands(junctions: list[Junction], roads: list[Polygon], walks: list[Polygon]) -> list[tuple[Polygon, Height]]:
    """Round holes in the roadway of junctions and `roads` to which no sidewalk leads: islands of roundabouts."""
    everything = unary_union([*(j.roadway for j in junctions), *roads]).buffer(0.05).buffer(-0.05)
    tree = STRtree(walks)
    found = []
    for hole in (Polygon(ring) for part in polygons(everything) for ring in part.interiors):
        low, high = ISLAND_AREA
        if not low < hole.area < high or 4 * np.pi * hole.area < ISLAND_ROUNDNESS * hole.length**2:
            continue
        beside = [j.points for j in junctions if hole.distance(j.roadway) < 0.1]
        inside = hole.buffer(-0.5)
        if not beside or any(inside.intersects(walks[k]) for k in tree.query(inside)):
            continue
        height = Height(np.concatenate(beside))
        if np.ptp(height(np.array(hole.exterior.coords))) < ISLAND_STEP:  # else a bridge closes the ring
            found.append((hole, height))
    return found


def lay_island(ground: Ground, island: Polygon, height: Height) -> None:
    """A kerb all around, a paved rim and grass."""
    mb = ground.mesh
    inner = island.buffer(-ISLAND_RIM)
    mb.instance, mb.semantic = 0, Tag.SIDEWALK
    for part in polygons(island.difference(inner)):
        fill(mb, part, height, KERB, Material.PAVING, PAVEMENT)
    edge = np.array(island.exterior.coords)
    z = height(edge)
    kerb(mb, np.concatenate([edge, z[:, None]], 1), z - 0.25, z + KERB)
    mb.semantic = Tag.TERRAIN
    for part in polygons(inner):
        fill(mb, part, height, KERB, Material.GRASS, GRASS)
    ground.walkway.append(island)
    ground.islands.append((island, float(z.mean()) + KERB))


def lay_junction(ground: Ground, junction: Junction, roads: STRtree, road_shapes: list[Polygon],
                  walks: STRtree, walk_shapes: list[Polygon]) -> None:  # fmt: skip
    """Roadway, islands and sidewalk corners of one junction."""
    roadway, height = junction.roadway, junction.height
    near_road = [road_shapes[k] for k in roads.query(roadway.buffer(8.0))]
    near_walk = [walk_shapes[k] for k in walks.query(roadway.buffer(8.0))]
    around = unary_union(near_road) if near_road else Polygon()
    own = roadway.difference(around.buffer(-0.001)).simplify(0.01)
    mb = ground.mesh
    mb.instance, mb.semantic = 0, Tag.ROAD
    for part in polygons(own):
        fill(mb, part, height, 0.0, Material.ASPHALT, ASPHALT)
        ground.roadway.append(part)
    ground.heights.append(junction.points[::4])
    if not near_walk and not junction.paths:
        return
    everything = unary_union([roadway, around, *(island for island, _ in ground.islands)])
    width = 2.0
    ring = unary_union([roadway.buffer(width), *junction.paths]).buffer(1.2).buffer(-1.2)
    corner = ring.difference(everything.buffer(0.005))
    if near_walk:
        corner = corner.difference(unary_union(near_walk).buffer(0.02))
    corner = corner.buffer(-0.15, join_style="mitre").buffer(0.15, join_style="mitre").simplify(0.02)
    mb.semantic = Tag.SIDEWALK
    for part in polygons(corner, 0.4):
        fill(mb, part, height, KERB, Material.PAVING, PAVEMENT)
        ground.walkway.append(part)
        for r in (part.exterior, *part.interiors):
            edge = np.array(r.coords)
            z = height(edge)
            kerb(mb, np.concatenate([edge, z[:, None]], 1), z - 0.25, z + KERB)
