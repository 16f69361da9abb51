"""The navigation mesh that the client's walkers walk on, from the town's sidewalk graph, in Detour's binary format.

Every edge of the graph becomes a strip, every vertex a hub that joins the strips which meet there; neighbouring
polygons share two vertices, which is all that Detour's path search needs. The file is what CARLA calls Nav/<map>.bin:
a set header, one tile (header, vertices, polygons, links, detail triangles), little-endian, x right, y up, z = CARLA y.
"""

from __future__ import annotations

import math
import struct
from collections import defaultdict

import numpy as np

from sim.roads.tables import WalkTables

SIDEWALK, CROSSWALK = 1, 2
"""Area types of CARLA's navigation."""
FLAGS = {SIDEWALK: 0x02, CROSSWALK: 0x04}
BODY = 0.3
"""Radius of a walker: the mesh keeps this far from the border of its strip, m."""
NECK = 0.5
"""Half the width of a strip where it meets a hub, m."""
CORNERS = 6
MAX_INDEX = 0xFFFE
HEIGHT, CLIMB = 1.8, 0.3

Point = tuple[float, float, float]


class _Mesh:
    """Vertices and convex polygons; every corner list runs clockwise in x and y seen with y up."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.polygons: list[tuple[list[int], int]] = []

    def vertex(self, x: float, y: float, z: float) -> int:
        self.points.append((x, y, z))
        return len(self.points) - 1

    def add(self, corners: list[int], area: int) -> None:
        """A polygon, turned the right way round; degenerate ones are left out."""
        at = [self.points[i] for i in corners]
        turned = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(at, at[1:] + at[:1]))
        if abs(turned) < 1e-4:
            return
        self.polygons.append((corners if turned < 0 else corners[::-1], area))


def build(walk: WalkTables | None) -> bytes | None:
    """The file's content; None where there is nothing to walk on or it is too large for one tile."""
    if walk is None or not len(walk.edge_from):
        return None
    mesh = _mesh(walk)
    if not mesh.polygons or len(mesh.points) > MAX_INDEX or len(mesh.polygons) > MAX_INDEX:
        return None
    tile = _tile(mesh)
    low = np.array(mesh.points, np.float64).min(axis=0) - 1.0
    span = np.array(mesh.points, np.float64).max(axis=0) + 1.0 - low
    polygon_bits = max(1, math.ceil(math.log2(len(mesh.polygons) + 1)))
    parameters = struct.pack("<5f2i", low[0], low[2], low[1], float(span[0]), float(span[1]), 1, 1 << polygon_bits)
    header = struct.pack("<3i", _code("MSET"), 1, 1) + parameters
    return header + struct.pack("<Ii", 1 << polygon_bits, len(tile)) + tile


def _code(text: str) -> int:
    return int.from_bytes(text.encode(), "big")


def _mesh(walk: WalkTables) -> _Mesh:
    mesh = _Mesh()
    incident: dict[int, list[int]] = defaultdict(list)
    for edge in range(len(walk.edge_from)):
        a, b = int(walk.edge_from[edge]), int(walk.edge_to[edge])
        if a != b and _length(walk, edge) > 0.2:
            incident[a].append(edge)
            incident[b].append(edge)
    ends: dict[tuple[int, int], tuple[int, int]] = {}
    for vertex, edges in incident.items():
        _hub(mesh, walk, vertex, edges, ends)
    for edge in {edge for edges in incident.values() for edge in edges}:
        _strip(mesh, walk, edge, ends)
    return mesh


def _length(walk: WalkTables, edge: int) -> float:
    a, b = walk.edge_from[edge], walk.edge_to[edge]
    return math.hypot(float(walk.x[b] - walk.x[a]), float(walk.y[b] - walk.y[a]))


def _direction(walk: WalkTables, edge: int, vertex: int) -> tuple[float, float]:
    """Unit vector along the edge, away from the vertex."""
    a, b = int(walk.edge_from[edge]), int(walk.edge_to[edge])
    other = b if a == vertex else a
    dx, dy = float(walk.x[other] - walk.x[vertex]), float(walk.y[other] - walk.y[vertex])
    length = math.hypot(dx, dy)
    return dx / length, dy / length


def _neck(walk: WalkTables, edge: int) -> float:
    return max(0.15, min(NECK, float(walk.edge_half_width[edge]) - BODY))


def _hub(
    mesh: _Mesh, walk: WalkTables, vertex: int, edges: list[int], ends: dict[tuple[int, int], tuple[int, int]]
) -> None:
    """The fan of triangles around a vertex, and where each strip begins: (right, left) seen along it from here."""
    x, y, z = float(walk.x[vertex]), float(walk.y[vertex]), float(walk.z[vertex])
    way = {edge: _direction(walk, edge, vertex) for edge in edges}
    order = sorted(edges, key=lambda edge: math.atan2(way[edge][1], way[edge][0]))
    ring: list[int] = []
    for edge in order:
        (dx, dy), half = way[edge], _neck(walk, edge)
        # far enough out that strips next to each other do not overlap
        angles = [
            abs(math.atan2(dx * way[o][1] - dy * way[o][0], dx * way[o][0] + dy * way[o][1]))
            for o in edges
            if o != edge
        ]
        gap = min(angles, default=math.pi)
        out = 0.0 if len(edges) == 1 else min(half / max(math.tan(gap / 2), 0.05) + 0.05, 0.4 * _length(walk, edge))
        far = int(walk.edge_to[edge]) if int(walk.edge_from[edge]) == vertex else int(walk.edge_from[edge])
        high = z + (float(walk.z[far]) - z) * out / _length(walk, edge)
        one = mesh.vertex(x + dx * out + dy * half, y + dy * out - dx * half, high)
        two = mesh.vertex(x + dx * out - dy * half, y + dy * out + dx * half, high)
        ends[edge, vertex] = one, two
        ring += [one, two]
    if len(edges) == 1:
        return
    centre = mesh.vertex(x, y, z)
    crossing = all(bool(walk.edge_crossing[edge]) for edge in edges)
    for a, b in zip(ring, ring[1:] + ring[:1]):
        mesh.add([centre, a, b], CROSSWALK if crossing else SIDEWALK)


def _strip(mesh: _Mesh, walk: WalkTables, edge: int, ends: dict[tuple[int, int], tuple[int, int]]) -> None:
    """Taper, body, taper; only the body has the full width."""
    a, b = int(walk.edge_from[edge]), int(walk.edge_to[edge])
    area = CROSSWALK if walk.edge_crossing[edge] else SIDEWALK
    a_low, a_high = ends[edge, a]
    b_high, b_low = ends[edge, b]
    dx, dy = _direction(walk, edge, a)
    half = max(_neck(walk, edge), float(walk.edge_half_width[edge]) - BODY)
    start = [(mesh.points[a_low][i] + mesh.points[a_high][i]) / 2 for i in range(3)]
    stop = [(mesh.points[b_low][i] + mesh.points[b_high][i]) / 2 for i in range(3)]
    free = math.hypot(stop[0] - start[0], stop[1] - start[1])
    if half - _neck(walk, edge) < 0.2 or free < 3.0:
        mesh.add([a_low, b_low, b_high, a_high], area)
        return
    inner = []
    for share, drop in zip((1.0 / free, 1.0 - 1.0 / free), walk.edge_drop[edge]):
        x, y, z = (start[i] + (stop[i] - start[i]) * share for i in range(3))
        z -= float(drop)  # a crossing lies on the roadway between its kerbs
        inner.append((mesh.vertex(x + dy * half, y - dx * half, z), mesh.vertex(x - dy * half, y + dx * half, z)))
    (c_low, c_high), (d_low, d_high) = inner
    mesh.add([a_low, c_low, c_high, a_high], area)
    mesh.add([c_low, d_low, d_high, c_high], area)
    mesh.add([d_low, b_low, b_high, d_high], area)


def _tile(mesh: _Mesh) -> bytes:
    """One Detour tile (version 7) without a bounding-volume tree."""
    owner: dict[tuple[int, int], int] = {}
    for number, (corners, _) in enumerate(mesh.polygons):
        for a, b in zip(corners, corners[1:] + corners[:1]):
            owner[a, b] = number
    records: list[bytes] = []
    details: list[bytes] = []
    triangles: list[bytes] = []
    links = 0
    for corners, area in mesh.polygons:
        count = len(corners)
        # a neighbour walks the shared edge the other way; 0 is a wall, else its number + 1
        sides = [owner.get((b, a), -1) + 1 for a, b in zip(corners, corners[1:] + corners[:1])]
        links += sum(side > 0 for side in sides)
        fill = [0] * (CORNERS - count)
        records.append(struct.pack("<I6H6HHBB", 0, *corners, *fill, *sides, *fill, FLAGS[area], count, area))
        details.append(struct.pack("<IIBBxx", 0, len(triangles), 0, count - 2))
        triangles += [struct.pack("<4B", 0, i - 1, i, 0x01 if i == 2 else 0) for i in range(2, count)]
    points = np.array(mesh.points, np.float32)[:, [0, 2, 1]]
    low, high = points.min(axis=0) - 1.0, points.max(axis=0) + 1.0
    header = struct.pack(
        "<5iI9i10f",
        _code("DNAV"), 7, 0, 0, 0, 0,
        len(records), len(points), links, len(details), 0, len(triangles), 0, 0, len(records),
        HEIGHT, BODY, CLIMB, *map(float, low), *map(float, high), 1.0 / 0.1,
    )  # fmt: skip
    return b"".join([header, points.tobytes(), *records, bytes(12 * links), *details, *triangles])
