"""WalkTables from a road network: sidewalks, the corners between them, and crossings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sim.roads.lane_graph import LaneKey
from sim.roads.model import F64, RoadObject
from sim.roads.tables import LaneTables, WalkTables

if TYPE_CHECKING:
    from sim.roads.network import RoadNetwork

WALK_TYPES = frozenset({"sidewalk", "walking"})
EDGE_LENGTH = 5.0
JOIN_DISTANCE = 0.8
"""Sidewalk ends nearer than this are one vertex, metres."""
CROSSING_HALF_WIDTH = 1.5
REACH = 10.0
CELL = 16.0
"""How far from a crosswalk's end a sidewalk may lie, metres."""
JUNCTION_REACH = 40.0
Sides = tuple[int | None, int | None]


class _Graph:
    """A graph under construction."""

    def __init__(self) -> None:
        self.points: list[F64] = []
        self.rise: list[float] = []
        """Of each point: metres above the roadway beside it."""
        self.kerbs: dict[tuple[int, int], tuple[float, float]] = {}
        """Of a crossing (by its points): metres from its ends to the kerbs."""
        self.edges: list[tuple[int, int, float, int, bool]] = []
        self._cells: dict[tuple[int, int], list[int]] = {}
        self._indexed = 0

    def vertex(self, point: F64, rise: float) -> int:
        self.points.append(np.asarray(point, np.float64))
        self.rise.append(rise)
        return len(self.points) - 1

    def edge(self, a: int, b: int, half_width: float, junction: int = -1, crossing: bool = False) -> None:
        if a != b:
            self.edges.append((a, b, half_width, junction, crossing))

    def cross(self, a: int, b: int, half_width: float, junction: int, kerbs: tuple[float, float]) -> None:
        """Add a crossing. kerbs: metres from a and from b, held to less than half of it each."""
        most = 0.45 * float(np.hypot(*(self.points[b] - self.points[a])[:2]))
        self.edge(a, b, half_width, junction, crossing=True)
        self.kerbs[a, b] = (min(max(kerbs[0], 0.0), most), min(max(kerbs[1], 0.0), most))

    def nearest(self, point: F64) -> tuple[float, int, F64]:
        """Distance, edge and foot on it of the nearest sidewalk; (inf, -1, point) out of reach."""
        for k in range(self._indexed, len(self.edges)):
            if not self.edges[k][4]:
                middle = (self.points[self.edges[k][0]] + self.points[self.edges[k][1]]) / 2
                self._cells.setdefault(self._cell(middle), []).append(k)
        self._indexed = len(self.edges)
        cx, cy = self._cell(point)
        near = [k for dx in (-1, 0, 1) for dy in (-1, 0, 1) for k in self._cells.get((cx + dx, cy + dy), ())]
        if not near:
            return math.inf, -1, point
        begin = np.array([self.points[self.edges[k][0]] for k in near])
        step = np.array([self.points[self.edges[k][1]] for k in near]) - begin
        share = np.clip(((point - begin) * step).sum(axis=1) / np.maximum((step**2).sum(axis=1), 1e-9), 0, 1)
        foot = begin + share[:, None] * step
        gap = np.hypot(*(foot - point)[:, :2].T)
        best = int(np.argmin(gap))
        if gap[best] > REACH:
            return math.inf, -1, point
        return float(gap[best]), near[best], foot[best]

    def split(self, point: F64) -> int | None:
        """A vertex on the sidewalk nearest to `point`, made there where need be; None out of reach."""
        _, k, foot = self.nearest(point)
        if k < 0:
            return None
        a, b, half_width, junction, crossing = self.edges[k]
        if np.linalg.norm(foot - self.points[a]) < JOIN_DISTANCE:
            return a
        if np.linalg.norm(foot - self.points[b]) < JOIN_DISTANCE:
            return b
        share = float(np.linalg.norm(foot - self.points[a]) / np.linalg.norm(self.points[b] - self.points[a]))
        middle = self.vertex(foot, self.rise[a] + share * (self.rise[b] - self.rise[a]))
        self.edges[k] = (a, middle, half_width, junction, crossing)
        self.edge(middle, b, half_width, junction, crossing)
        return middle

    @staticmethod
    def _cell(point: F64) -> tuple[int, int]:
        # An edge is at most EDGE_LENGTH long (corners a little more): its middle is in a cell beside the point's.
        return int(point[0] // CELL), int(point[1] // CELL)


def walk_tables(network: RoadNetwork) -> WalkTables:
    """Build the tables (empty where the town has no sidewalks)."""
    graph = _Graph()
    ends = _sidewalks(network, graph)
    arms = _arms(network, ends)
    _corners(graph, arms)
    marked = _crosswalks(network, graph)
    width: dict[int, float] = {}
    for a, b, half_width, _, crossing in graph.edges:
        if not crossing:
            width[a], width[b] = half_width, half_width
    for j, junction_arms in arms.items():
        for sides in junction_arms:
            if j not in marked and sides[0] is not None and sides[1] is not None:
                kerbs = (width.get(sides[0], 0.0), width.get(sides[1], 0.0))
                graph.cross(sides[0], sides[1], CROSSING_HALF_WIDTH, j, kerbs)
    return _tables(graph, network.lane_tables() if network.lane_keys() else None)


def _sidewalks(network: RoadNetwork, graph: _Graph) -> dict[tuple[LaneKey, bool], int]:
    """Add every sidewalk lane; return the vertex at the start (False) and end (True) of each along its road."""
    ends: dict[tuple[LaneKey, bool], int] = {}
    cells: dict[tuple[int, int], list[int]] = {}

    def joined(point: F64, rise: float) -> int:
        cx, cy = int(point[0] // JOIN_DISTANCE), int(point[1] // JOIN_DISTANCE)
        for k in (k for dx in (-1, 0, 1) for dy in (-1, 0, 1) for k in cells.get((cx + dx, cy + dy), ())):
            if np.linalg.norm(graph.points[k] - point) < JOIN_DISTANCE:
                return k
        vertex = graph.vertex(point, rise)
        cells.setdefault((cx, cy), []).append(vertex)
        return vertex

    for key in network.lane_keys(WALK_TYPES):
        section = network.section(key[0], key[1])
        span = section.end - section.s
        _, _, heading = network.lines.evaluate(key[0], np.linspace(section.s, section.end, 16))
        bend = float(np.abs(np.diff(heading)).sum())
        count = max(1, math.ceil(span / EDGE_LENGTH), math.ceil(bend / 0.3))
        s = np.linspace(section.s, max(section.s, section.end - 1e-9), count + 1)
        pose = network.poses(key, s)
        if pose.width.max() < 0.5:
            continue
        heights = network.lane(key).heights
        rise = np.zeros_like(s)
        if len(heights):
            at = np.clip(np.searchsorted(heights[:, 0], s - section.s, side="right") - 1, 0, None)
            rise = heights[at, 1:].mean(axis=1)
        points = np.stack([pose.x, pose.y, pose.z + rise], axis=1)
        first, last = joined(points[0], float(rise[0])), joined(points[-1], float(rise[-1]))
        chain = [first, *(graph.vertex(point, float(up)) for point, up in zip(points[1:-1], rise[1:-1])), last]
        for a, b, width in zip(chain[:-1], chain[1:], pose.width):
            graph.edge(a, b, max(float(width) / 2, 0.4))
        ends[key, False], ends[key, True] = first, last
    return ends


def _arms(network: RoadNetwork, ends: dict[tuple[LaneKey, bool], int]) -> dict[int, list[Sides]]:
    """Per junction its arms in turning order, each the sidewalk vertices on its two sides (earlier, later in order)."""
    outermost: dict[tuple[int, bool, int], tuple[int, int]] = {}
    for (key, at_end), vertex in ends.items():
        last = len(network.roads[key[0]].sections) - 1
        if key[1] == (last if at_end else 0):
            side = (key[0], at_end, 1 if key[2] > 0 else -1)
            outermost[side] = max(outermost.get(side, (0, 0)), (abs(key[2]), vertex))
    arms: dict[int, list[tuple[float, Sides]]] = {}
    placed: dict[int, list[tuple[float, float, float, int, bool]]] = {}
    for r, road in enumerate(network.roads):
        for at_end, link in ((False, road.predecessor), (True, road.successor)):
            if link is None or not link.is_junction or road.junction != "-1":
                continue
            s = np.array([road.length if at_end else 0.0])
            x, y, _, yaw = network.point(r, s, np.zeros(1))
            outward = float(yaw[0]) + (math.pi if at_end else 0.0)
            placed.setdefault(network.junction_index[link.id], []).append(
                (float(x[0]), float(y[0]), outward, r, at_end)
            )
    for j, rows in placed.items():
        centre = np.mean([row[:2] for row in rows], axis=0)
        for px, py, outward, r, at_end in rows:
            away = np.array([px, py]) - centre
            # Where one arm is alone, or ends in the middle, its own heading orders it.
            angle = math.atan2(away[1], away[0]) if np.hypot(*away) > 2.0 else outward
            # Looking outward, rising angle (y is right) is the right-hand side: t < 0 where s runs outward.
            right = -1 if not at_end else 1
            sides = [outermost.get((r, at_end, side)) for side in (-right, right)]
            vertices = tuple(side[1] if side else None for side in sides)
            arms.setdefault(j, []).append((angle, (vertices[0], vertices[1])))
    return {j: [sides for _, sides in sorted(rows, key=lambda row: row[0])] for j, rows in arms.items()}


def _corners(graph: _Graph, arms: dict[int, list[Sides]]) -> None:
    """Join the sidewalks of neighbouring arms where the file draws no sidewalk between them."""
    joined = {vertex for edge in graph.edges for vertex in edge[:2]}
    degree = dict.fromkeys(joined, 0)
    for edge in graph.edges:
        degree[edge[0]] += 1
        degree[edge[1]] += 1
    for sides in arms.values():
        for this, following in zip(sides, sides[1:] + sides[:1]):
            a, b = this[1], following[0]
            if a is None or b is None or a == b or len(sides) < 2:
                continue
            if degree[a] == 1 or degree[b] == 1:
                graph.edge(a, b, 1.0)


def _crosswalks(network: RoadNetwork, graph: _Graph) -> set[int]:
    """Add the file's crosswalks; return the junctions that have some."""
    marked: set[int] = set()
    for item in network.objects:
        if item.type != "crosswalk" and item.name.lower() not in ("crosswalk", "zebracrossing"):
            continue
        corners = network.object_outline(item)
        if corners is None:
            continue
        centre = corners.mean(axis=0)
        _, _, axes = np.linalg.svd((corners - centre)[:, :2], full_matrices=False)
        best: tuple[float, F64, F64, float] | None = None
        for axis, other in ((axes[0], axes[1]), (axes[1], axes[0])):
            along, across = (corners - centre)[:, :2] @ axis, (corners - centre)[:, :2] @ other
            a, b = centre.copy(), centre.copy()
            a[:2] += axis * along.min()
            b[:2] += axis * along.max()
            gap = sum(graph.nearest(end)[0] for end in (a, b))
            if best is None or gap < best[0]:
                best = (gap, a, b, max(float(np.ptp(across)) / 2, 0.5))
        assert best is not None
        first = graph.split(best[1])
        second = graph.split(best[2])
        if first is None or second is None or first == second:
            continue
        junction = _junction_near(network, item)
        # the drawn crosswalk reaches from kerb to kerb
        ends = ((first, best[1]), (second, best[2]))
        near, far = (float(np.hypot(*(graph.points[vertex] - end)[:2])) for vertex, end in ends)
        graph.cross(first, second, best[3], junction, (near, far))
        marked.add(junction)
    return marked


def _junction_near(network: RoadNetwork, item: RoadObject) -> int:
    road = network.roads[item.road]
    if road.junction != "-1":
        return network.junction_index[road.junction]
    near = [
        (gap, link.id)
        for link, gap in ((road.predecessor, item.s), (road.successor, road.length - item.s))
        if link is not None and link.is_junction and gap < JUNCTION_REACH
    ]
    return network.junction_index[min(near)[1]] if near else -1


def _tables(graph: _Graph, lanes: LaneTables | None) -> WalkTables:
    points = np.array(graph.points, np.float64).reshape(-1, 3)
    edges = sorted(set(graph.edges))
    rise = np.array(graph.rise, np.float32)
    ends = np.array([edge[:2] for edge in edges], np.int32).reshape(-1, 2)
    vertex = ends.ravel()
    order = np.argsort(vertex, kind="stable")
    first, lane, begin, end = [0], [], [], []
    for a, b, half_width, _, crossing in edges:
        if crossing and lanes is not None:
            for row, low, high in _crossed(lanes, points[a], points[b], half_width):
                lane.append(row)
                begin.append(low)
                end.append(high)
        first.append(len(lane))
    crossings = np.array([edge[4] for edge in edges], np.bool_)
    return WalkTables(
        x=points[:, 0].astype(np.float32),
        y=points[:, 1].astype(np.float32),
        z=points[:, 2].astype(np.float32),
        edge_from=ends[:, 0].copy(),
        edge_to=ends[:, 1].copy(),
        edge_half_width=np.array([edge[2] for edge in edges], np.float32),
        edge_junction=np.array([edge[3] for edge in edges], np.int32),
        edge_crossing=crossings,
        edge_kerb=np.array([graph.kerbs.get(edge[:2], (0.0, 0.0)) for edge in edges], np.float32).reshape(-1, 2),
        edge_drop=np.where(crossings[:, None], rise[ends] if len(ends) else 0, 0).astype(np.float32).reshape(-1, 2),
        vertex_first=np.searchsorted(vertex[order], np.arange(len(points) + 1)).astype(np.int32),
        vertex_edge=(order // 2).astype(np.int32),
        crossing_first=np.array(first, np.int32),
        crossing_lane=np.array(lane, np.int32),
        crossing_begin=np.array(begin, np.float32),
        crossing_end=np.array(end, np.float32),
    )


def _crossed(lanes: LaneTables, a: F64, b: F64, half_width: float) -> list[tuple[int, float, float]]:
    """Lanes whose centre line passes through the strip from a to b, and the stretch of s inside it."""
    step = (b - a)[:2]
    length = float(np.hypot(*step))
    if length < 1e-6:
        return []
    step /= length
    dx, dy = lanes.x - a[0], lanes.y - a[1]
    along, across = dx * step[0] + dy * step[1], dy * step[0] - dx * step[1]
    level = np.abs(lanes.z - (a[2] + b[2]) / 2) < 3.0
    # Points stand up to 1 m apart: half a step more, so that none slips between.
    inside = np.flatnonzero((along > 0) & (along < length) & (np.abs(across) <= half_width + 0.5) & level)
    rows = lanes.point_lane[inside]
    s = (inside - lanes.first_point[rows]) * lanes.spacing[rows]
    return [(int(row), float(s[rows == row].min()), float(s[rows == row].max())) for row in np.unique(rows)]
