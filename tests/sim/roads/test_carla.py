"""Our network against carla.Map, the reader of the real client, on every town and on each feature alone.

carla.Map computes in float32 and projects onto chords, so the nearest place may be ours by some centimetres, never its.
"""

from __future__ import annotations

import os
from pathlib import Path

import carla
import numpy as np
import pytest

from sim import roads
from sim.roads.network import RoadNetwork
from tests.sim.roads.small import PARAM_POLY3, document, road

MAPS = Path(os.environ.get("THROTTLE_CARLA_MAPS", Path(__file__).parents[4] / "shared" / "maps"))
EXTERNAL = ["Town01", "Town02"]
FEATURES = {
    "line": "<line/>",
    "arc": '<arc curvature="-0.02"/>',
    "spiral": '<spiral curvStart="0.001" curvEnd="0.03"/>',
    "spiral out": '<spiral curvStart="-0.03" curvEnd="0"/>',
    "paramPoly3 normalized": PARAM_POLY3.format(range="normalized", bu=49, cu=1, du=-0.5, cv=6, dv=-3),
    "paramPoly3 arcLength": PARAM_POLY3.format(range="arcLength", bu=1, cu=0, du=-1e-5, cv=2e-3, dv=1e-5),
    "poly3": '<poly3 a="0" b="0" c="0.004" d="-0.00003"/>',
}
CASES = [
    *(pytest.param(town, marks=pytest.mark.external) for town in EXTERNAL),
    *roads.towns(),
    *FEATURES,
]


@pytest.fixture(params=CASES, scope="module")
def both(request: pytest.FixtureRequest) -> tuple[RoadNetwork, carla.Map, bool]:
    """Our network and carla.Map of the same text, and whether it is a whole town."""
    case = request.param
    if case in FEATURES:
        text, name = document(road(FEATURES[case])), case
    else:
        path = roads.towns().get(case, MAPS / f"{case}.xodr")
        if not path.exists():
            pytest.skip(f"{path.name} is not here: set THROTTLE_CARLA_MAPS to the folder of CARLA's OpenDRIVE towns")
        text, name = path.read_text(), path.stem
    return RoadNetwork.parse(text, name), carla.Map(name, text), case not in FEATURES


def key_of(network: RoadNetwork, waypoint: carla.Waypoint) -> tuple[int, int, int]:
    return network.road_index[str(waypoint.road_id)], waypoint.section_id, waypoint.lane_id


def carla_key(network: RoadNetwork, key: tuple[int, int, int]) -> tuple[int, int, int]:
    return int(network.roads[key[0]].id), key[1], key[2]


def everywhere(network: RoadNetwork, oracle: carla.Map, count: int) -> list[carla.Waypoint]:
    """Waypoints at random stations of random driving lanes, and every lane's first."""
    rng = np.random.default_rng(0)
    every = oracle.generate_waypoints(1.0)
    keys = network.lane_keys(frozenset({"driving"}))
    found = [every[k] for k in rng.integers(len(every), size=count // 2)]
    for key in (keys[k] for k in rng.integers(len(keys), size=count // 2)):
        section = network.section(key[0], key[1])
        s = float(rng.uniform(section.s + 0.01, section.end - 0.01))
        waypoint = oracle.get_waypoint_xodr(int(network.roads[key[0]].id), key[2], s)
        assert waypoint is not None
        found.append(waypoint)
    return found


def test_poses_widths_markings(both: tuple[RoadNetwork, carla.Map, bool]) -> None:
    network, oracle, town = both
    for waypoint in everywhere(network, oracle, 3000 if town else 400):
        key = key_of(network, waypoint)
        pose = network.poses(key, np.array([waypoint.s]))
        place, turn = waypoint.transform.location, waypoint.transform.rotation
        # Float32 over hundreds of metres; poly3 in steps of 1 cm.
        assert np.hypot(pose.x[0] - place.x, pose.y[0] - place.y) < 5e-3
        assert abs(pose.z[0] - place.z) < 1e-4
        assert abs((np.degrees(pose.yaw[0]) - turn.yaw + 180) % 360 - 180) < 0.05
        assert abs(pose.width[0] - waypoint.lane_width) < 1e-6
        assert network.is_junction(key) == waypoint.is_junction
        assert network.lane(key).type == str(waypoint.lane_type).lower()
        marks = zip(network.marking(key, waypoint.s), (waypoint.right_lane_marking, waypoint.left_lane_marking))
        for ours, theirs in marks:
            assert (ours.kind if ours else "none").replace(" ", "") == (str(theirs.type).lower() if theirs else "none")


def test_lane_graph(both: tuple[RoadNetwork, carla.Map, bool]) -> None:
    network, oracle, _ = both
    seen = set()
    for waypoint in oracle.generate_waypoints(2.0):
        key = key_of(network, waypoint)
        section = network.section(key[0], key[1])
        before, after = waypoint.s - section.s, section.end - waypoint.s
        if key[2] > 0:
            before, after = after, before
        if key in seen:
            continue
        seen.add(key)
        for neighbours, theirs in (
            (network.successors(key), waypoint.next(after + 0.02)),
            (network.predecessors(key), waypoint.previous(before + 0.02)),
        ):
            expected = {(other.road_id, other.section_id, other.lane_id) for other in theirs}
            driving = [other for other in neighbours if network.lane(other).type == "driving"]
            assert {carla_key(network, other) for other in driving} == expected
        for ours, theirs in (
            (key[2] - 1 if key[2] < 0 else key[2] + 1, waypoint.get_right_lane()),
            (key[2] + 1 if key[2] < 0 else key[2] - 1, waypoint.get_left_lane()),
        ):
            assert theirs is None or ours == theirs.lane_id or ours == 0
    assert seen == set(network.lane_keys(frozenset({"driving"})))


def test_nearest_waypoint(both: tuple[RoadNetwork, carla.Map, bool]) -> None:
    network, oracle, town = both
    rng = np.random.default_rng(1)
    lanes = oracle.generate_waypoints(2.0)
    differ = 0
    count = 1000 if town else 200
    for waypoint in (lanes[k] for k in rng.integers(len(lanes), size=count)):
        place = waypoint.transform.location
        x, y, z = np.array([place.x, place.y, place.z]) + rng.normal(size=3) * (3.0, 3.0, 0.1)
        point = carla.Location(x, y, z)
        theirs, ours = oracle.get_waypoint(point), network.waypoint(x, y, z)
        assert ours is not None
        pose = network.pose(ours)
        gap = np.sqrt((pose.x[0] - x) ** 2 + (pose.y[0] - y) ** 2 + (pose.z[0] - z) ** 2)
        assert gap <= theirs.transform.location.distance(point) + 1e-2
        if carla_key(network, ours.key) == (theirs.road_id, theirs.section_id, theirs.lane_id):
            assert abs(ours.s - theirs.s) < 1.0
        else:
            differ += 1
        on_road = oracle.get_waypoint(point, project_to_road=False)
        mine = network.waypoint(x, y, z, project_to_road=False)
        # Beyond chords' error of the edge both must agree whether the point is on a lane.
        if abs(np.hypot(pose.x[0] - x, pose.y[0] - y) - pose.width[0] / 2) > 0.3:
            assert (on_road is None) == (mine is None)
    # Where lanes overlap in junctions, rounding decides; elsewhere the lane is the same.
    assert differ < count * (0.15 if town else 0.05)


@pytest.mark.external
@pytest.mark.parametrize("town", EXTERNAL)
def test_lights_bind_as_in_carla(town: str) -> None:
    """Every approach of CARLA's towns has its light, where carla.Map puts it, with one group per controller."""
    path = MAPS / f"{town}.xodr"
    if not path.exists():
        pytest.skip(f"{path.name} is not here: set THROTTLE_CARLA_MAPS to the folder of CARLA's OpenDRIVE towns")
    network, oracle = roads.load(path), carla.Map(town, path.read_text())
    tables = network.lane_tables()
    placed = {mark.id: mark.transform.location for mark in oracle.get_all_landmarks_of_type("1000001")}
    for k, signal in enumerate(tables.light_signal):
        location = placed[network.signals[signal].id]
        # carla.Map sets lights back by 0.25 m.
        assert np.hypot(tables.light_x[k] - location.x, tables.light_y[k] - location.y) < 0.26
    entering = np.flatnonzero(tables.junction >= 0)
    assert (tables.control[entering] == 1).all()
    for lane in entering:
        first = tables.first_point[lane]
        road_id = int(network.roads[tables.road[lane]].id)
        section = network.section(int(tables.road[lane]), int(tables.section[lane]))
        s = section.s + 0.01 if tables.lane[lane] < 0 else section.end - 0.01
        waypoint = oracle.get_waypoint_xodr(road_id, int(tables.lane[lane]), s)
        bound = {mark.id for mark in waypoint.get_landmarks_of_type(50.0, "1000001", True)}
        light = tables.light[lane]
        # Where carla.Map finds a light ahead of the lane it is ours.
        assert not bound or network.signals[tables.light_signal[light]].id in bound
        # The lamps face the traffic.
        assert np.cos(tables.light_yaw[light] - tables.yaw[first]) < -0.7
    assert (tables.group_count == 3).all()
    for j in range(len(network.junctions)):
        assert sorted(tables.light_group[tables.light_junction == j]) == [0, 1, 2]
