"""Shortest routes over the lane graph, lane changes included where the markings allow them."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass

import numpy as np

from sim.roads.errors import RouteError
from sim.roads.model import F64
from sim.roads.tables import F32, I32, LaneTables

REACH = 50.0
"""How far a pose may lie from a lane, metres."""
TIE = 0.3
"""Lanes that fit a pose as well as this, metres, all count: connecting lanes begin on top of one another."""
HEADING_WEIGHT = 5.0
"""Metres that facing sideways to a lane counts."""
CHANGE_COST = 20.0
"""Metres that a lane change counts: routes do not weave to save a little."""
CHANGE_LENGTH = 30.0
MIN_CHANGE_LENGTH = 5.0
POINT_SPACING = 1.0


@dataclass(frozen=True)
class Route:
    """A way from one pose to another, N points 1 m apart from the start's place on its lane on.

    x, y, z, yaw: [N] float32, CARLA frame, yaw in the direction of travel. lane: [N] int32, the row of LaneTables that
    the point lies on (in a lane change: the lane it leads to from half-way on). lanes: [M] int32, the lanes in order.
    length: metres, to the goal's place, which lies up to 1 m behind the last point.
    """

    x: F32
    y: F32
    z: F32
    yaw: F32
    lane: I32
    lanes: I32
    length: float


class Router:
    """Routes over one road network's lane tables; build once, it keeps the graph."""

    def __init__(self, tables: LaneTables) -> None:
        self._t = tables
        self._length: list[float] = tables.length.tolist()
        self._next = [[k for k in row if k >= 0] for row in tables.successors.tolist()]
        # Lists, not arrays: the search looks at single numbers.
        self._beside: list[list[int]] = [[] for _ in self._length]
        for side, allowed in ((tables.left, tables.may_change_left), (tables.right, tables.may_change_right)):
            for lane in np.flatnonzero((side >= 0) & allowed & (tables.length >= MIN_CHANGE_LENGTH)).tolist():
                self._beside[lane].append(int(side[lane]))

    def places(self, x: float, y: float, yaw: float | None = None) -> list[tuple[int, float]]:
        """Lanes (row, s) that fit a pose best, the best first; RouteError farther than 50 m from every lane."""
        t = self._t
        gap = np.hypot(t.x - x, t.y - y)
        if gap.min() > REACH:
            raise RouteError(f"no lane within {REACH:g} m of ({x:.1f}, {y:.1f})")
        near = np.flatnonzero(gap < gap.min() + 10.0).astype(np.int32)
        lanes, at, gap = self._feet(near, x, y)
        if yaw is not None:
            gap = gap + HEADING_WEIGHT * (1 - np.cos(t.yaw[near] - yaw))
        order = np.argsort(gap, kind="stable")
        found: dict[int, float] = {}
        for k in order[gap[order] <= gap.min() + TIE].tolist():
            found.setdefault(int(lanes[k]), float(at[k]))
        return list(found.items())

    def _feet(self, points: I32, x: float, y: float) -> tuple[I32, F64, F64]:
        """For table points: their lane, and the foot (s) and distance of (x, y) on the lane's pieces beside them."""
        t = self._t
        lane = t.point_lane[points]
        best_s, best = np.zeros(len(points)), np.full(len(points), np.inf)
        for shift in (-1, 0):
            begin = np.clip(points + shift, t.first_point[lane], t.first_point[lane] + t.point_count[lane] - 2)
            dx, dy = (t.x[begin + 1] - t.x[begin]).astype(np.float64), (t.y[begin + 1] - t.y[begin]).astype(np.float64)
            share = ((x - t.x[begin]) * dx + (y - t.y[begin]) * dy) / np.maximum(dx * dx + dy * dy, 1e-9)
            share = np.clip(share, 0.0, 1.0)
            gap = np.hypot(t.x[begin] + share * dx - x, t.y[begin] + share * dy - y)
            s = (begin - t.first_point[lane] + share) * t.spacing[lane]
            best_s = np.where(gap < best, s, best_s)
            best = np.minimum(gap, best)
        return lane, best_s, best

    def route(self, start: tuple[float, float, float | None], goal: tuple[float, float, float | None]) -> Route:
        """The shortest route between poses (x, y, yaw; yaw None: any direction); RouteError where there is none."""
        starts, goals = self.places(*start), dict(self.places(*goal))
        lanes, s0, s1 = self._search(starts, goals)
        if not lanes:
            raise RouteError(f"no route leads from ({start[0]:.1f}, {start[1]:.1f}) to ({goal[0]:.1f}, {goal[1]:.1f})")
        return self._trace(lanes, s0, s1)

    def _search(self, starts: list[tuple[int, float]], goals: dict[int, float]) -> tuple[list[int], float, float]:
        """Dijkstra. The cost of a lane is that of its begin, so that a place on it costs that plus its s.

        Nodes below L are lanes reached without leaving the start's section, nodes from L on are lanes reached through
        a successor. `origin` is the least s of a node at which the route can be on it: behind it a goal does not count.
        """
        count = len(self._length)
        begin = dict(starts)
        cost = {lane: -s for lane, s in starts}
        came: dict[int, int] = dict.fromkeys(begin, -1)
        origin = dict(begin)
        queue = [(-s, lane) for lane, s in starts]
        heapq.heapify(queue)
        done: set[int] = set()
        best, end = math.inf, -1
        while queue:
            reached, node = heapq.heappop(queue)
            if reached >= best:
                break
            if node in done:
                continue
            done.add(node)
            lane = node % count
            if lane in goals and goals[lane] >= origin[node] and reached + goals[lane] < best:
                best, end = reached + goals[lane], node
            onward = [(other + count, reached + self._length[lane]) for other in self._next[lane]]
            room = origin[node] + MIN_CHANGE_LENGTH
            if self._length[lane] >= room:
                onward += [(other + node - lane, reached + CHANGE_COST) for other in self._beside[lane]]
            for other, price in onward:
                if other not in done and price < cost.get(other, math.inf):
                    cost[other] = price
                    came[other] = node
                    origin[other] = 0.0 if other % count in self._next[lane] else room
                    heapq.heappush(queue, (price, other))
        if end < 0:
            return [], 0.0, 0.0
        nodes = [end]
        while came[nodes[-1]] >= 0:
            nodes.append(came[nodes[-1]])
        lanes = [node % count for node in reversed(nodes)]
        return lanes, begin[lanes[0]], goals[lanes[-1]]

    def _at(self, lane: int, s: F64) -> F64:
        """x, y, z [n, 3] at s on a lane."""
        t = self._t
        first, count = int(t.first_point[lane]), int(t.point_count[lane])
        at = np.clip(s / float(t.spacing[lane]), 0.0, count - 1)
        low = np.minimum(at.astype(np.int64), count - 2)
        share = (at - low)[:, None]
        points = np.stack([t.x, t.y, t.z], axis=1)[first : first + count].astype(np.float64)
        return points[low] * (1 - share) + points[low + 1] * share

    def _trace(self, lanes: list[int], s0: float, s1: float) -> Route:
        groups: list[list[int]] = [[lanes[0]]]
        for before, lane in itertools.pairwise(lanes):
            if lane in self._next[before]:
                groups.append([lane])
            else:
                groups[-1].append(lane)
        paths, owners = [], []
        for k, group in enumerate(groups):
            begin = s0 if k == 0 else 0.0
            scale = self._length[group[-1]] / self._length[group[0]]
            end = s1 / scale if k == len(groups) - 1 else self._length[group[0]]
            s = np.linspace(begin, max(end, begin), max(2, math.ceil((end - begin) / 0.5) + 1))
            path, owner = self._at(group[0], s), np.full(len(s), group[0])
            if len(group) > 1:
                stretch = min(CHANGE_LENGTH, (end - begin) / (len(group) - 1))
                for n, lane in enumerate(group[1:]):
                    share = np.clip((s - begin - n * stretch) / max(stretch, 1e-6), 0.0, 1.0)
                    share = share * share * (3 - 2 * share)
                    there = self._at(lane, s * (self._length[lane] / self._length[group[0]]))
                    path = path * (1 - share[:, None]) + there * share[:, None]
                    owner = np.where(share >= 0.5, lane, owner)
            paths.append(path)
            owners.append(owner)
        path, owner = np.concatenate(paths), np.concatenate(owners)
        step = np.hypot(*np.diff(path[:, :2], axis=0).T)
        keep = np.concatenate([[True], step > 1e-6])
        path, owner = path[keep], owner[keep]
        if len(path) == 1:
            heading = self._t.yaw[self._t.first_point[lanes[0]] + int(s0 / float(self._t.spacing[lanes[0]]))]
            hair = np.array([[math.cos(heading), math.sin(heading), 0.0]]) * 1e-3
            path = np.concatenate([path, path + hair])
            owner = np.repeat(owner, 2)
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path[:, :2], axis=0).T))])
        even = np.arange(0.0, along[-1] + 1e-6, POINT_SPACING)
        x, y, z = (np.interp(even, along, path[:, axis]) for axis in range(3))
        # The heading of the chord around each point, which is smooth through the joints.
        ahead, behind = np.minimum(even + 0.25, along[-1]), np.maximum(even - 0.25, 0.0)
        dx = np.interp(ahead, along, path[:, 0]) - np.interp(behind, along, path[:, 0])
        dy = np.interp(ahead, along, path[:, 1]) - np.interp(behind, along, path[:, 1])
        nearest = np.clip(np.searchsorted(along, even), 0, len(owner) - 1)
        return Route(
            x=x.astype(np.float32),
            y=y.astype(np.float32),
            z=z.astype(np.float32),
            yaw=np.arctan2(dy, dx).astype(np.float32),
            lane=owner[nearest].astype(np.int32),
            lanes=np.array(lanes, np.int32),
            length=float(along[-1]),
        )
