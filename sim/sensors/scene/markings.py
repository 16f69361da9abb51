"""What is painted on roads: lane lines by type and colour, stop and give-way lines, zebra crossings, arrows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from shapely import STRtree, prepare
from shapely.geometry import Point, Polygon

from sim.roads.model import RoadMark
from sim.roads.network import RoadNetwork
from sim.roads.tables import LaneTables, StopControl
from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material
from sim.sensors.scene.profile import sample, stations

F64 = NDArray[np.float64]
LIFT = 0.012
DASH, PERIOD = 3.0, 9.0
_COLORS = {
    "yellow": (0.62, 0.41, 0.05), "white": (0.62, 0.62, 0.60), "standard": (0.62, 0.62, 0.60),
    "red": (0.45, 0.05, 0.04),
    "blue": (0.06, 0.14, 0.42), "green": (0.06, 0.30, 0.12), "orange": (0.62, 0.26, 0.03),
}  # fmt: skip
_WHITE = _COLORS["white"]


def _ribbon(mb: Builder, inner: F64, outer: F64, color: tuple[float, ...]) -> None:
    n = len(inner)
    i = np.arange(n - 1) * 2
    face = np.concatenate([np.stack([i, i + 1, i + 3], 1), np.stack([i, i + 3, i + 2], 1)])
    points = np.stack([inner, outer], 1).reshape(-1, 3)
    mb.add(points, face, Material.MARKING, color, normal=np.tile([0.0, 0.0, 1.0], (2 * n, 1)))


def _bands(mark: RoadMark, lane: int) -> list[tuple[float, bool]]:
    """Offsets (metres left of the lane's edge) of each line of a marking, and whether it is broken."""
    parts = [word for word in mark.kind.split() if word in ("solid", "broken")]
    if len(parts) == 2:
        # of a double line the left part of the name is the inner one; both lie around the edge
        side = mark.width if lane <= 0 else -mark.width
        return [(side, parts[0] == "broken"), (-side, parts[1] == "broken")]
    return [(0.0, part == "broken") for part in parts]


def lane_lines(mb: Builder, network: RoadNetwork) -> None:
    """The markings of every road outside junctions."""
    mb.semantic, mb.instance = Tag.ROAD_LINE, 0
    for index, road in enumerate(network.roads):
        if road.junction != "-1":
            continue
        for section in road.sections:
            if section.end - section.s < 0.05:
                continue
            for number, lane in section.lanes.items():
                marks = lane.marks
                for k, mark in enumerate(marks):
                    begin = section.s + mark.s
                    end = section.s + marks[k + 1].s if k + 1 < len(marks) else section.end
                    color = _COLORS.get(mark.color, _WHITE)
                    half = max(mark.width, 0.10) / 2
                    for shift, broken in _bands(mark, number):
                        # dashes keep their rhythm along the whole road
                        first = np.floor(begin / PERIOD) * PERIOD
                        pieces = [(begin, end)]
                        if broken:
                            pieces = [(max(a, begin), min(a + DASH, end)) for a in np.arange(first, end, PERIOD)]
                        for a, b in pieces:
                            if b - a < 0.15:
                                continue
                            s = stations(road, index, network.lines, a, b)
                            profile = sample(road, index, network.lines, s, section)
                            t = profile.edges[number][1] + shift
                            _ribbon(mb, profile.at(t + half, LIFT), profile.at(t - half, LIFT), color)


def _patch(mb: Builder, at: F64, yaw: float, corners: list[tuple[float, float]]) -> None:
    """A flat white polygon (triangle or quad) at `at`, corners forward and right of it."""
    c, s = np.cos(yaw), np.sin(yaw)
    p = np.array([(at[0] + u * c - v * s, at[1] + u * s + v * c, at[2] + LIFT) for u, v in corners])
    face = [[0, 1, 2]] if len(p) == 3 else [[0, 1, 2], [0, 2, 3]]
    mb.add(p, face, Material.MARKING, _WHITE, normal=np.tile([0.0, 0.0, 1.0], (len(p), 1)))


def stop_lines(mb: Builder, tables: LaneTables) -> None:
    """A bar before every controlled entrance of a junction, teeth where traffic gives way."""
    mb.semantic, mb.instance = Tag.ROAD_LINE, 0
    done: set[tuple[int, int]] = set()
    for lane in np.flatnonzero(tables.control):
        k = int(tables.first_point[lane])
        at = np.array([tables.x[k], tables.y[k], tables.z[k]], float)
        place = (int(at[0] * 2), int(at[1] * 2))
        if place in done:
            continue
        done.add(place)
        yaw, w = float(tables.yaw[k]), float(tables.half_width[k]) - 0.12
        if tables.control[lane] == StopControl.YIELD:
            for v in np.arange(-w, w - 0.3, 0.75):
                _patch(mb, at, yaw, [(-0.9, v + 0.25), (-0.25, v), (-0.25, v + 0.5)])
        else:
            _patch(mb, at, yaw, [(-0.75, -w), (-0.30, -w), (-0.30, w), (-0.75, w)])


def arrows(mb: Builder, tables: LaneTables) -> None:
    """Turn arrows on lanes that lead to a junction with lights."""
    mb.semantic, mb.instance = Tag.ROAD_LINE, 0
    for lane in np.flatnonzero(tables.junction < 0):
        after = [s for s in tables.successors[lane] if s >= 0 and tables.junction[s] >= 0]
        if not after or tables.length[lane] < 22 or not any(tables.control[s] == StopControl.LIGHT for s in after):
            continue
        turns = {int(tables.turn[s]) for s in after}
        k = int(tables.first_point[lane] + tables.point_count[lane] - 1 - round(13.0 / float(tables.spacing[lane])))
        at, yaw = np.array([tables.x[k], tables.y[k], tables.z[k]], float), float(tables.yaw[k])
        long = 4.2 if 0 in turns else 3.0
        _patch(mb, at, yaw, [(0, -0.09), (long - 1.4, -0.09), (long - 1.4, 0.09), (0, 0.09)])
        if 0 in turns:
            _patch(mb, at, yaw, [(long - 1.4, -0.38), (long, 0.0), (long - 1.4, 0.38)])
        for turn in turns - {0}:
            y = float(turn)
            _patch(mb, at, yaw, [(1.5, 0.09 * y), (1.75, 0.09 * y), (2.05, 0.55 * y), (1.80, 0.55 * y)])
            _patch(mb, at, yaw, [(1.55, 0.45 * y), (2.85, 1.0 * y), (2.35, 0.40 * y)])


def crossings(mb: Builder, walks: list[tuple[F64, F64, float]], roadway: list[Polygon], tables: LaneTables) -> None:
    """Zebra bars for each (from, to, half width) where they lie on the roadway."""
    mb.semantic, mb.instance = Tag.ROAD_LINE, 0
    tree = STRtree(roadway)
    lanes = np.stack([tables.x, tables.y], 1)
    for polygon in roadway:
        prepare(polygon)
    for a, b, half in walks:
        way = b - a
        length = float(np.hypot(way[0], way[1]))
        if length < 2:
            continue
        u = way / length
        right = np.array([-u[1], u[0], 0])
        half = max(half, 1.3)
        for d in np.arange(0.3, length - 0.5, 1.05):
            middle = a + u * (d + 0.27)
            ends = [middle + right * half * 0.8, middle - right * half * 0.8, middle - u * 0.27, middle + u * 0.27]
            if not all(any(roadway[k].covers(Point(p[:2])) for k in tree.query(Point(p[:2]))) for p in ends):
                continue
            p = np.array([a + u * d - right * half, a + u * (d + 0.54) - right * half,
                          a + u * (d + 0.54) + right * half, a + u * d + right * half])  # fmt: skip
            # a crossing's ends stand on the kerbs; its bars lie on the road
            near = ((lanes[None] - p[:, None, :2]) ** 2).sum(-1).argmin(1)
            p[:, 2] = tables.z[near] + LIFT + 0.004
            mb.add(p, [[0, 1, 2], [0, 2, 3]], Material.MARKING, _WHITE, normal=np.tile([0.0, 0.0, 1.0], (4, 1)))
