"""The lane and walk tables of every town, against their definitions and against shapely."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from shapely import STRtree
from shapely.geometry import LineString

from sim import roads
from sim.roads.network import RoadNetwork
from sim.roads.tables import ConflictKind, LaneTables, StopControl
from tests.sim.roads.small import document

MAPS = Path(os.environ.get("THROTTLE_CARLA_MAPS", Path(__file__).parents[4] / "shared" / "maps"))
CASES = [*roads.towns(), *(pytest.param(town, marks=pytest.mark.external) for town in ("Town01", "Town02"))]


@pytest.fixture(params=CASES, scope="module")
def network(request: pytest.FixtureRequest) -> RoadNetwork:
    path = roads.towns().get(request.param, MAPS / f"{request.param}.xodr")
    if not path.exists():
        pytest.skip(f"{path.name} is not here: set THROTTLE_CARLA_MAPS to the folder of CARLA's OpenDRIVE towns")
    return roads.load(path)


def line_of(t: LaneTables, lane: int) -> np.ndarray:
    at = slice(t.first_point[lane], t.first_point[lane] + t.point_count[lane])
    return np.stack([t.x[at], t.y[at]], axis=1).astype(np.float64)


def test_lanes_are_evenly_sampled_and_join(network: RoadNetwork) -> None:
    t = network.lane_tables()
    assert (t.point_lane == np.repeat(np.arange(len(t.length)), t.point_count)).all()
    for lane in range(len(t.length)):
        points = line_of(t, lane)
        steps = np.hypot(*np.diff(points, axis=0).T)
        assert np.abs(steps - t.spacing[lane]).max() < 0.01
        assert abs(t.spacing[lane] * (t.point_count[lane] - 1) - t.length[lane]) < 1e-3 * t.length[lane] + 1e-3
        first = t.first_point[lane]
        heading = np.arctan2(*np.diff(points, axis=0)[:, ::-1].T)
        inside = t.yaw[first : first + t.point_count[lane] - 1]
        assert np.abs((heading - inside + np.pi) % (2 * np.pi) - np.pi).max() < 0.2
        assert ((-np.pi <= inside) & (inside < np.pi)).all()
        for other in t.successors[lane][t.successors[lane] >= 0]:
            assert lane in t.predecessors[other]
            # A lane begins where the one before ends (CARLA's own towns leave gaps of some centimetres).
            assert np.hypot(*(points[-1] - line_of(t, int(other))[0])) < 0.3


def test_neighbours_are_beside(network: RoadNetwork) -> None:
    t = network.lane_tables()
    for lane in np.flatnonzero(t.right >= 0):
        other = int(t.right[lane])
        assert t.left[other] == lane
        first, second = int(t.first_point[lane]), int(t.first_point[other])
        across = -np.sin(t.yaw[first]) * (t.x[second] - t.x[first]) + np.cos(t.yaw[first]) * (t.y[second] - t.y[first])
        assert across > 0
        assert abs(across - t.half_width[first] - t.half_width[second]) < 0.1


def test_grid_finds_the_nearest_point(network: RoadNetwork) -> None:
    t = network.lane_tables()
    rng = np.random.default_rng(0)
    at = rng.integers(len(t.x), size=500)
    for x, y in np.stack([t.x[at], t.y[at]], axis=1) + rng.uniform(-6, 6, (500, 2)):
        gap = np.hypot(t.x - x, t.y - y)
        if gap.min() > 8.0:
            continue
        cx, cy = int((x - t.grid_origin[0]) / t.grid_cell), int((y - t.grid_origin[1]) / t.grid_cell)
        cell = cy * t.grid_size[0] + cx
        listed = t.grid_point[t.grid_first[cell] : t.grid_first[cell + 1]]
        assert gap[listed].min() == gap.min()


def test_conflicts_are_the_overlaps_of_swept_strips(network: RoadNetwork) -> None:
    """Every pair of ways whose strips (1 m a side) overlap is listed with a stretch that covers the overlap."""
    t = network.lane_tables()
    lines = {int(k): LineString(line_of(t, int(k))) for k in np.flatnonzero(t.junction >= 0)}
    strips = {k: line.buffer(1.0, cap_style="flat") for k, line in lines.items()}
    listed: dict[tuple[int, int], int] = {}
    for lane in range(len(t.length)):
        for c in range(t.conflict_first[lane], t.conflict_first[lane + 1]):
            listed[lane, int(t.conflict_lane[c])] = c
    for (a, b), c in listed.items():
        mirror = listed[b, a]
        assert t.conflict_yield[c] == -t.conflict_yield[mirror]
        assert t.conflict_begin[c] == t.conflict_other_begin[mirror]
        assert t.conflict_end[c] == t.conflict_other_end[mirror]
        assert 0 <= t.conflict_begin[c] <= t.conflict_end[c] <= t.length[a] + 1e-3
        shared = bool(set(t.predecessors[a][t.predecessors[a] >= 0]) & set(t.predecessors[b]))
        assert shared == (t.conflict_kind[c] == ConflictKind.DIVERGE)
    for a, strip in strips.items():
        for b, other in strips.items():
            if t.junction[a] != t.junction[b] or a == b or b in t.successors[a] or b in t.predecessors[a]:
                continue
            overlap = strip.intersection(other)
            if overlap.area < 0.2 or min(t.half_width[[t.first_point[a], t.first_point[b]]]) < 1.2:
                continue
            c = listed[a, b]
            parts = getattr(overlap, "geoms", [overlap])
            s = [lines[a].project(part.centroid) for part in parts]
            assert t.conflict_begin[c] - 1.0 <= min(s)
            assert max(s) <= t.conflict_end[c] + 1.0


def test_lights_stop_lines_and_groups(network: RoadNetwork) -> None:
    t = network.lane_tables()
    lit = np.flatnonzero(t.control == StopControl.LIGHT)
    assert ((t.light >= 0) == (t.control == StopControl.LIGHT)).all()
    assert (t.junction[np.flatnonzero(t.control)] >= 0).all()
    for lane in lit:
        light = t.light[lane]
        assert t.light_junction[light] == t.junction[lane]
        assert 0 <= t.light_group[light] < t.group_count[t.junction[lane]]
        assert np.cos(t.light_yaw[light] - t.yaw[t.first_point[lane]]) < -0.7
        assert np.hypot(t.light_x[light] - t.x[t.first_point[lane]], t.light_y[light] - t.y[t.first_point[lane]]) < 60
    for lane in np.flatnonzero(t.junction >= 0):
        for c in range(t.conflict_first[lane], t.conflict_first[lane + 1]):
            other = int(t.conflict_lane[c])
            if t.conflict_kind[c] != ConflictKind.CROSS or t.control[lane] != 1 or t.control[other] != 1:
                continue
            together = t.light_group[t.light[lane]] == t.light_group[t.light[other]]
            # Ways that cross and are green together come from ahead of one another or one turns: somebody gives way.
            assert not together or t.conflict_yield[c] != 0


def test_sidewalks_are_connected_and_crossings_cross(network: RoadNetwork) -> None:
    t, w = network.lane_tables(), network.walk_tables()
    if not len(w.edge_from):
        assert not any(lane.type == "sidewalk" for r in network.roads for s in r.sections for lane in s.lanes.values())
        return
    assert (
        np.bincount(np.concatenate([w.edge_from, w.edge_to]), minlength=len(w.x)).tolist()
        == np.diff(w.vertex_first).tolist()
    )
    component = np.full(len(w.x), -1)
    for start in range(len(w.x)):
        queue = deque([start] if component[start] < 0 else [])
        while queue:
            vertex = queue.popleft()
            if component[vertex] >= 0:
                continue
            component[vertex] = start
            for edge in w.vertex_edge[w.vertex_first[vertex] : w.vertex_first[vertex + 1]]:
                assert vertex in (w.edge_from[edge], w.edge_to[edge])
                queue.append(int(w.edge_from[edge] + w.edge_to[edge]) - vertex)
    # One walk leads nearly everywhere.
    assert np.bincount(component).max() > 0.8 * len(w.x)
    ways = [LineString(line_of(t, lane)) for lane in range(len(t.length))]
    tree = STRtree(ways)
    for edge in range(len(w.edge_from)):
        a, b = int(w.edge_from[edge]), int(w.edge_to[edge])
        walk = LineString([(w.x[a], w.y[a]), (w.x[b], w.y[b])])
        met = set(w.crossing_lane[w.crossing_first[edge] : w.crossing_first[edge + 1]].tolist())
        if w.edge_crossing[edge]:
            assert 2.0 < walk.length < 60.0
            assert met >= set(tree.query(walk, "crosses").tolist())
            assert met
        else:
            assert not met
            assert not len(tree.query(walk, "crosses"))


def test_spawn_points_lie_in_lanes(network: RoadNetwork) -> None:
    points = network.spawn_points()
    assert len(points) > 10
    for x, y, z, yaw in points[:: max(1, len(points) // 50)].astype(float):
        place = network.waypoint(x, y, z, project_to_road=False)
        assert place is not None
        assert not network.is_junction(place.key)
        assert abs((network.pose(place).yaw[0] - yaw + np.pi) % (2 * np.pi) - np.pi) < 1e-3


def crossroads(signs: dict[str, str], priorities: str = "") -> RoadNetwork:
    """Four roads a to d (from west, south, east, north) that meet at the origin, with all ways between them."""
    parts, connections, number = [], [], 0
    heading = {"a": 0.0, "b": np.pi / 2, "c": np.pi, "d": -np.pi / 2}
    width = '<width sOffset="0" a="3.5" b="0" c="0" d="0"/>'
    left = f'<left><lane id="1" type="driving">{width}</lane></left>'
    link = '<link><predecessor id="-1"/><successor id="1"/></link>'
    right = f'<right><lane id="-1" type="driving">{link}{width}</lane></right>'

    def lanes(sides: str) -> str:
        return f'<lanes><laneSection s="0">{sides}</laneSection></lanes>'

    def plan(x: float, y: float, h: float, length: float, shape: str = "<line/>") -> str:
        return f'<planView><geometry s="0" x="{x}" y="{y}" hdg="{h}" length="{length}">{shape}</geometry></planView>'

    centre = '<center><lane id="0"/></center>'
    for name, h in heading.items():
        kind = signs.get(name)
        sign = f'<signals><signal id="{name}" s="49" t="-4" orientation="+" type="{kind}"/></signals>' if kind else ""
        link = '<link><successor elementType="junction" elementId="j"/></link>'
        body = plan(-60 * np.cos(h), -60 * np.sin(h), h, 50) + lanes(left + centre + right)
        parts.append(f'<road id="{name}" length="50" junction="-1">{link}{body}{sign}</road>')
        for other in "abcd".replace(name, ""):
            # Leaving by an arm is heading against it.
            bend = (heading[other] + np.pi - h + np.pi) % (2 * np.pi) - np.pi
            number += 1
            shape, length = "<line/>", 20.0
            if abs(bend) > 0.1:
                shape, length = f'<arc curvature="{np.sign(bend) / 10}"/>', 10 * np.pi / 2
            link = "".join(
                f'<{end} elementType="road" elementId="{road}" contactPoint="end"/>'
                for end, road in (("predecessor", name), ("successor", other))
            )
            body = plan(-10 * np.cos(h), -10 * np.sin(h), h, length, shape) + lanes(centre + right)
            parts.append(f'<road id="{number}" length="{length}" junction="j"><link>{link}</link>{body}</road>')
            connections.append(
                f'<connection id="{number}" incomingRoad="{name}" connectingRoad="{number}" contactPoint="start">'
                '<laneLink from="-1" to="-1"/></connection>'
            )
    junction = f'<junction id="j">{"".join(connections)}{priorities}</junction>'
    return RoadNetwork.parse(document(*parts, junction), "crossroads")


def right_of_way(network: RoadNetwork) -> dict[tuple[str, str], int]:
    """Who gives way, by (from, to) letters: ("ac", "bd") -> 1 where the way from a to c waits for that from b to d."""
    t = network.lane_tables()
    names = {}
    for lane in np.flatnonzero(t.junction >= 0):
        road = network.roads[t.road[lane]]
        assert road.predecessor is not None
        assert road.successor is not None
        names[int(lane)] = road.predecessor.id + road.successor.id
    return {
        (names[lane], names[int(t.conflict_lane[c])]): int(t.conflict_yield[c])
        for lane in names
        for c in range(t.conflict_first[lane], t.conflict_first[lane + 1])
    }


def test_right_before_left_and_straight_before_turning() -> None:
    way = right_of_way(crossroads({}))
    # Driving east (a to c), b comes from the south: from the right.
    assert way["ac", "bd"] == 1
    assert way["bd", "ca"] == 1
    assert way["ac", "db"] == -1
    assert way["ad", "ca"] == 1  # turning left (north) across the oncoming
    assert ("ac", "ca") not in way
    assert way["ac", "ab"] == 0  # from the same lane


def test_signs_and_priorities_come_first() -> None:
    stop = right_of_way(crossroads({"d": "206", "b": "206"}))
    assert stop["ac", "bd"] == -1
    assert stop["db", "ac"] == 1
    assert stop["ad", "bd"] == -1
    mixed = crossroads({"b": "205", "a": "206"})
    t = mixed.lane_tables()
    controls = {mixed.roads[t.road[k]].predecessor.id: t.control[k] for k in np.flatnonzero(t.junction >= 0)}  # type: ignore[union-attr]
    assert controls == {"a": StopControl.STOP_SIGN, "b": StopControl.YIELD, "c": 0, "d": 0}
    assert right_of_way(mixed)["ac", "bd"] == 1
    assert right_of_way(crossroads({}, '<priority high="a" low="b"/>'))["ac", "bd"] == -1


def test_lights_without_controllers_pair_opposite_approaches() -> None:
    t = crossroads(dict.fromkeys("abcd", "1000001")).lane_tables()
    assert t.group_count.tolist() == [2]
    group = {round(float(yaw) / (np.pi / 2)) % 4: int(g) for yaw, g in zip(t.light_yaw, t.light_group)}
    assert group[0] == group[2] != group[1] == group[3]
    assert (t.control[t.junction >= 0] == StopControl.LIGHT).all()
