"""The shipped towns, judged by what a user has: the files, and the CARLA client that reads them."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import carla
import numpy as np
import pytest

from tools.make_towns import NAMES, ROOT, text

FOLDER = ROOT / "sim" / "roads" / "towns"
NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
LIGHT, STOP, YIELD, LIMIT = "1000001", "206", "205", "274"


@cache
def town(name: str) -> tuple[Any, ET.Element]:
    source = (FOLDER / f"{name}.xodr").read_text(encoding="utf-8")
    return carla.Map(name, source), ET.fromstring(source)


def number(element: ET.Element, name: str) -> float:
    return float(element.attrib[name])


def end_of(geometry: ET.Element) -> tuple[float, float, float]:
    """x, y, heading at the end of a geometry element: its curvature integrated by Simpson's rule."""
    length, h0 = number(geometry, "length"), number(geometry, "hdg")
    shape = geometry[0]
    c0 = float(shape.get("curvStart", shape.get("curvature", 0.0)))
    c1 = float(shape.get("curvEnd", shape.get("curvature", 0.0)))
    s = np.linspace(0.0, length, 2001)
    heading = h0 + c0 * s + 0.5 * (c1 - c0) * s * s / length
    weights = np.full(2001, 2.0)
    weights[1::2], weights[0], weights[-1] = 4.0, 1.0, 1.0
    weights *= length / 6000.0
    return (
        number(geometry, "x") + float(weights @ np.cos(heading)),
        number(geometry, "y") + float(weights @ np.sin(heading)),
        float(heading[-1]),
    )


def turned(a: float, b: float) -> float:
    return abs((a - b + math.pi) % (2 * math.pi) - math.pi)


def ends(segment: Any) -> tuple[int, int, int]:
    return segment.road_id, segment.section_id, segment.lane_id


@pytest.mark.parametrize("name", NAMES)
def test_file_is_what_the_script_writes(name: str) -> None:
    """But for the last digits, in which the NumPy and SciPy that Python 3.10 gets differ from newer ones."""
    shipped = (FOLDER / f"{name}.xodr").read_text(encoding="utf-8")
    written = text(name)
    assert re.split(NUMBER, shipped) == re.split(NUMBER, written)
    numbers = [np.array(re.findall(NUMBER, source), float) for source in (shipped, written)]
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_reference_lines_have_no_gap_or_kink(name: str) -> None:
    for road in town(name)[1].iter("road"):
        pieces = list(road.iter("geometry"))
        s = 0.0
        for piece, following in zip(pieces, [*pieces[1:], None]):
            assert number(piece, "s") == pytest.approx(s, abs=1e-9)
            s += number(piece, "length")
            if piece[0].tag == "spiral":
                assert piece[0].get("curvStart") != piece[0].get("curvEnd")
            if following is not None:
                x, y, h = end_of(piece)
                assert math.dist((x, y), (number(following, "x"), number(following, "y"))) < 1e-3, road.get("id")
                assert turned(h, number(following, "hdg")) < 1e-4, road.get("id")
        assert number(road, "length") == pytest.approx(s, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_lorry_gets_round_every_bend(name: str) -> None:
    """No lane's centre bends tighter than 9 m."""
    carla_map, _ = town(name)
    for p in carla_map.generate_waypoints(2.0):
        for q in p.next(1.0):
            if q.road_id == p.road_id:
                turn = turned(math.radians(p.transform.rotation.yaw), math.radians(q.transform.rotation.yaw))
                run = p.transform.location.distance(q.transform.location)
                assert run > 9 * turn, (p.road_id, p.lane_id, p.s)


@pytest.mark.parametrize("name", NAMES)
def test_lanes_meet_where_they_are_linked(name: str) -> None:
    """Centres of linked lanes agree to 1 cm and headings to .1 degree, heights and widths included."""
    carla_map, root = town(name)
    junction_links = {
        (c.attrib["connectingRoad"], link.attrib["to"]): (c.attrib["incomingRoad"], link.attrib["from"])
        for c in root.iter("connection")
        for link in c.iter("laneLink")
    }
    lengths = {road.attrib["id"]: number(road, "length") for road in root.iter("road")}
    tiny, checked = 1e-4, 0
    for road in root.iter("road"):
        sections = list(road.iter("laneSection"))
        for which, section, near in (("predecessor", sections[0], tiny), ("successor", sections[-1], -tiny)):
            other = road.find(f"link/{which}")
            if other is None or other.get("elementType") != "road":
                continue
            at_start = other.attrib["contactPoint"] == "start"
            s = near if near > 0 else lengths[road.attrib["id"]] + near
            other_s = tiny if at_start else lengths[other.attrib["elementId"]] - tiny
            for lane in section.iter("lane"):
                link = lane.find(f"link/{which}")
                if link is None:
                    continue
                a = carla_map.get_waypoint_xodr(int(road.attrib["id"]), int(lane.attrib["id"]), s)
                b = carla_map.get_waypoint_xodr(int(other.attrib["elementId"]), int(link.attrib["id"]), other_s)
                where = (road.get("id"), lane.get("id"), which)
                assert a.transform.location.distance(b.transform.location) < 0.01, where
                assert turned(math.radians(a.transform.rotation.yaw), math.radians(b.transform.rotation.yaw)) < 2e-3, (
                    where
                )
                assert a.lane_width == pytest.approx(b.lane_width, abs=0.01), where
                assert a.lane_type == b.lane_type, where
                checked += 1
                if which == "predecessor" and road.attrib["junction"] != "-1" and int(lane.attrib["id"]) < 0:
                    key = (road.attrib["id"], lane.attrib["id"])
                    assert junction_links[key] == (other.attrib["elementId"], link.attrib["id"])
    assert checked > 150


@pytest.mark.parametrize("name", NAMES)
def test_every_waypoint_is_finite_and_leads_on(name: str) -> None:
    carla_map, _ = town(name)
    for p in carla_map.generate_waypoints(2.0):
        at, turn = p.transform.location, p.transform.rotation
        assert all(map(math.isfinite, (at.x, at.y, at.z, turn.yaw, turn.pitch, turn.roll, p.lane_width)))
        following = p.next(2.5)
        assert following, (p.road_id, p.lane_id, p.s)
        assert all(1.5 < at.distance(q.transform.location) < 3.5 for q in following), (p.road_id, p.lane_id, p.s)


@pytest.mark.parametrize("name", NAMES)
def test_every_lane_reaches_every_other(name: str) -> None:
    """By following lanes and changing them where the marks allow it."""
    carla_map, root = town(name)
    onward: dict[tuple[int, int, int], set[tuple[int, int, int]]] = defaultdict(set)
    for a, b in carla_map.get_topology():
        onward[ends(a)].add(ends(b))
    lanes = set()
    for p in carla_map.generate_waypoints(5.0):
        lanes.add(ends(p))
        for allowed, q in (("Right", p.get_right_lane()), ("Left", p.get_left_lane())):
            if str(p.lane_change) in (allowed, "Both") and q is not None and q.lane_type == carla.LaneType.Driving:
                assert q.lane_id * p.lane_id > 0, "a mark must not invite into oncoming traffic"
                onward[ends(p)].add(ends(q))
    in_file = sum(q.get("type") == "driving" for q in root.iter("lane"))
    assert len(lanes) == in_file
    back: dict[tuple[int, int, int], set[tuple[int, int, int]]] = defaultdict(set)
    for a, found in onward.items():
        for b in found:
            back[b].add(a)
    for graph in (onward, back):
        seen, todo = set(), [min(lanes)]
        while todo:
            lane = todo.pop()
            if lane not in seen:
                seen.add(lane)
                todo.extend(graph[lane])
        assert seen == lanes


@pytest.mark.parametrize("name", NAMES)
def test_lights_and_signs_bind_the_lanes_they_face(name: str) -> None:
    carla_map, root = town(name)
    poles = {q.attrib["id"]: q for q in root.iter("signal")}
    owner = {q.attrib["id"]: road for road in root.iter("road") for q in road.iter("signal")}
    bound = defaultdict(set)
    for road in root.iter("road"):
        for reference in road.iter("signalReference"):
            incoming = road.find("link/predecessor")
            assert incoming is not None
            pole = poles[reference.attrib["id"]]
            assert owner[pole.attrib["id"]].get("id") == incoming.get("elementId"), "the pole stands on the arm"
            length = number(owner[pole.attrib["id"]], "length")
            distance = number(pole, "s") if incoming.get("contactPoint") == "start" else length - number(pole, "s")
            assert 0 <= distance < 1
            bound[pole.attrib["type"]].add(road.attrib["id"])
    # A light binds every way out of its arm, and each light has exactly one place in its junction's cycle.
    controllers = {q.attrib["id"]: [c.attrib["signalId"] for c in q] for q in root.findall("controller")}
    placed: list[str] = []
    for junction in root.iter("junction"):
        used = [c.attrib["id"] for c in junction.findall("controller")]
        arms = {owner[s].attrib["id"] for c in used for s in controllers[c]}
        for connection in junction.iter("connection"):
            road = next(r for r in root.iter("road") if r.get("id") == connection.get("connectingRoad"))
            if connection.get("incomingRoad") in arms and any(q.get("type") == "driving" for q in road.iter("lane")):
                assert connection.get("connectingRoad") in bound[LIGHT]
        placed += [s for c in used for s in controllers[c]]
    assert sorted(placed) == sorted(i for i, q in poles.items() if q.get("type") == LIGHT)
    assert bound[LIGHT]
    assert bound[STOP]
    assert bound[YIELD] or name == "Gridley"
    for mark in carla_map.get_all_landmarks():
        if mark.type == LIMIT:
            continue
        ((_, last),) = mark.get_lane_validities()
        p = carla_map.get_waypoint_xodr(mark.road_id, last, 0.5)
        yaw = math.radians(p.transform.rotation.yaw)
        assert p.lane_type == carla.LaneType.Driving
        assert p.is_junction
        assert turned(yaw, math.radians(mark.transform.rotation.yaw)) < 0.1, "a light faces who drives up to it"
        right = carla.Location(-math.sin(yaw), math.cos(yaw), 0.0)
        offset = mark.transform.location - p.transform.location
        assert 0.5 * p.lane_width < offset.x * right.x + offset.y * right.y < 9.0, "it stands right of its lanes"
        on = carla_map.get_waypoint(mark.transform.location, project_to_road=False, lane_type=carla.LaneType.Driving)
        assert on is None, "no pole on a roadway"


@pytest.mark.parametrize("name", NAMES)
def test_speed_limits_and_signs_agree(name: str) -> None:
    carla_map, root = town(name)
    limits = {}
    for road in root.iter("road"):
        speed = road.find("type/speed")
        assert speed is not None
        assert speed.get("unit") == "mph"
        limits[int(road.attrib["id"])] = number(speed, "max") * 1.609344
    signs = [m for m in carla_map.get_all_landmarks() if m.type == LIMIT]
    assert signs
    for mark in signs:
        assert mark.value == pytest.approx(limits[mark.road_id])
    assert len({round(v) for v in limits.values()}) >= 2


def test_towns_have_what_they_promise() -> None:
    """A dead end, a roundabout, a hill, crossings; arterials with lane changes and one-way streets; a bridge."""
    alder, root = town("Alder")
    assert {"Summit Court end", "Crown Circle 1"} <= {j.get("name") for j in root.iter("junction")}
    heights = [p.transform.location.z for p in alder.generate_waypoints(5.0)]
    assert max(heights) > 8
    assert min(heights) == 0
    crossings = alder.get_crosswalks()
    assert len(crossings) == 5 * len(root.findall(".//object[@type='crosswalk']")) >= 75
    for corner in crossings:
        near = alder.get_waypoint(corner)
        assert near.is_junction
    gridley, root = town("Gridley")
    assert any(str(p.lane_change) == "Left" for p in gridley.generate_waypoints(10.0))
    one_way = [r for r in root.iter("road") if r.get("junction") == "-1" and {int(q.attrib["id"]) > 0 for q in
               r.iter("lane") if q.get("type") == "driving"} != {True, False}]  # fmt: skip
    assert len(one_way) >= 12
    assert root.find(".//lane[@type='parking']") is not None
    marlin, root = town("Marlin")
    assert len(root.findall(".//spiral")) >= 40
    level = defaultdict(list)
    for p in marlin.generate_waypoints(3.0):
        if abs(p.transform.location.x) < 3:
            level[round(p.transform.location.y / 4)].append(p.transform.location.z)
    assert sum(max(z) - min(z) > 6 for z in level.values()) >= 6, "a road above another"


def test_every_town_is_listed() -> None:
    assert {p.stem for p in Path(FOLDER).glob("*.xodr")} == set(NAMES)
