"""What the reader understands, and how it refuses what it does not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim import roads
from sim.roads.network import RoadNetwork
from tests.sim.roads.small import LANES, document, road

WHOLE = document(
    road(
        extra="""
  <objects><object id="c" name="zebra" type="crosswalk" s="10" t="0" hdg="1.5707963" zOffset="0.01">
    <outline><cornerLocal u="-3" v="-1"/><cornerLocal u="3" v="-1"/><cornerLocal u="3" v="1"/>
      <cornerLocal u="-3" v="1"/></outline></object></objects>
  <signals><signal id="s" name="" s="45" t="-6" orientation="+" dynamic="yes" country="DE" type="1000001" subtype="-1"
      value="-1"><validity fromLane="-1" toLane="-2"/></signal>
    <signal id="v" name="" s="5" t="-6" orientation="+" dynamic="no" type="274" value="50" unit="km/h"/>
    <signalReference id="s" s="2" t="0" orientation="-"/></signals>"""
    ),
    road('<spiral curvStart="0" curvEnd="0.02"/>', number="2", start=(200.0, 0.0, 0.0)),
    '<controller id="k" name="k" sequence="1"><control signalId="s"/></controller>',
    """<junction id="7" name="j"><connection id="0" incomingRoad="1" connectingRoad="2" contactPoint="start">
    <laneLink from="-1" to="-1"/></connection>
    <priority high="1" low="2"/><controller id="k" sequence="0"/></junction>""",
)

BROKEN = {
    "not XML": ("hello", 1, "XML"),
    "another root": ("<a>\n</a>", 1, "<a>"),
    "cut short": (WHOLE[: len(WHOLE) // 2], None, "XML"),
    "entities": ('<!DOCTYPE a [<!ENTITY b "c">]>\n<OpenDRIVE/>', 1, "entities"),
    "version 2": (WHOLE.replace('revMajor="1"', 'revMajor="2"'), 3, "<header>"),
    "no road": (document(), 2, "<OpenDRIVE>"),
    "a number that is none": (WHOLE.replace('hdg="0.4"', 'hdg="north"'), 6, "'north'"),
    "not finite": (WHOLE.replace('x="10.0"', 'x="nan"'), 6, "x='nan'"),
    "an attribute missing": (WHOLE.replace(' x="10.0"', ""), 6, "'x'"),
    "an unknown geometry": (document(road("<bezier/>")), 6, "<bezier>"),
    "no geometry": (document(road("")), 6, "<geometry>"),
    "left-hand traffic": (document(road(attributes='rule="LHT"')), 4, "LHT"),
    "no lanes": (re.sub(r"<lanes>.*?</lanes>", "", WHOLE, count=1, flags=re.S), 4, "<lanes>"),
    "a lane twice": (document(road(lanes=LANES.replace('id="-2" type', 'id="-1" type', 1))), None, "<lane>"),
    "a lane on the wrong side": (document(road(lanes=LANES.replace('id="2" type', 'id="-9" type', 1))), None, "<left>"),
    "a road twice": (document(road(), road()), None, "twice"),
    "an absent road": (WHOLE.replace('connectingRoad="2"', 'connectingRoad="9"'), None, "'9'"),
    "an absent junction": (document(road(attributes='junction="5"')), 4, "'5'"),
    "an unknown unit": (WHOLE.replace('unit="mph"', 'unit="knots"', 1), 5, "knots"),
    "a curvature beyond sense": (document(road('<arc curvature="1e7"/>')), 6, "<arc>"),
    "a negative length": (WHOLE.replace('length="50.0">', 'length="-50.0">', 1), 6, "length"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_input_is_one_line_that_names_the_place(case: str, tmp_path: Path) -> None:
    text, line, word = BROKEN[case]
    path = tmp_path / "town.xodr"
    path.write_text(text)
    with pytest.raises(roads.RoadError) as caught:
        roads.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "town.xodr" in message
    assert word in message
    assert re.search(r"line \d+", message)
    assert line is None or f"line {line}" in message


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(roads.RoadError, match=r"nowhere\.xodr: neither a file nor a shipped town"):
        roads.load(tmp_path / "nowhere.xodr")
    with pytest.raises(roads.RoadError, match="cannot be read"):
        roads.load(tmp_path)


def test_signals_objects_junctions() -> None:
    network = RoadNetwork.parse(WHOLE)
    light, limit = network.signals
    assert (light.type, light.dynamic, light.validity) == ("1000001", True, ((-2, -1),))
    assert limit.value == pytest.approx(50 / 3.6)
    (reference,) = network.signal_references
    assert (reference.id, reference.s, reference.validity) == ("s", 2.0, None)
    (junction,) = network.junctions
    assert junction.priorities == (("1", "2"),)
    assert junction.connections[0].lane_links == ((-1, -1),)
    assert network.map.controllers[0].signals == ("s",)
    outline = network.object_outline(network.objects[0])
    assert outline is not None
    # At s = 10 the road points 0.4 rad; the crosswalk's long side lies across it, centred on the reference line.
    centre = np.array([10 + 10 * np.cos(0.4), -(20 + 10 * np.sin(0.4)), 1.21])
    np.testing.assert_allclose(outline.mean(axis=0), centre, atol=1e-6)
    long_side = outline[1] - outline[0]
    np.testing.assert_allclose(
        long_side[:2], 6 * np.array([np.cos(np.pi / 2 + 0.4), -np.sin(np.pi / 2 + 0.4)]), atol=1e-5
    )


def test_lanes_widths_heights_speeds() -> None:
    network = RoadNetwork.parse(WHOLE)
    inner, outer = network.edges((0, 0, -2), np.array([15.0]))
    # laneOffset .5; lane -1 is 3.2 + .002 s^2 - .00004 s^3 wide, lane -2 is 3.1 from s = 10 on.
    edge = 0.5 - (3.2 + 0.002 * 15**2 - 0.00004 * 15**3)
    assert inner[0] == pytest.approx(edge)
    assert outer[0] == pytest.approx(edge - 3.1)
    assert network.lane((0, 0, -3)).heights.tolist() == [[0.0, 0.1, 0.2]]
    tables = network.lane_tables()
    row = {(r, s, k): n for n, (r, s, k) in enumerate(zip(tables.road, tables.section, tables.lane))}
    assert tables.speed_limit[row[0, 0, -1]] == pytest.approx(10.0)  # the lane's own 36 km/h
    assert tables.speed_limit[row[0, 0, -2]] == pytest.approx(30 * 0.44704)  # the road's
    assert tables.left[row[0, 0, -2]] == row[0, 0, -1]
    assert tables.right[row[0, 0, -1]] == row[0, 0, -2]
    assert tables.may_change_right[row[0, 0, -1]]
    assert tables.may_change_left[row[0, 0, -2]]
    assert tables.left[row[0, 0, -1]] == -1  # beyond the centre line traffic comes the other way


def test_borders_are_widths_said_otherwise() -> None:
    def lanes(first: str, second: str) -> str:
        return f"""<laneSection s="0"><center><lane id="0"/></center><right>
          <lane id="-1" type="driving">{first}</lane>
          <lane id="-2" type="driving">{second}</lane></right></laneSection>"""

    width = '<width sOffset="0" a="3" b="0.02" c="0" d="0"/>'
    borders = lanes(
        '<border sOffset="0" a="-3" b="-0.02" c="0" d="0"/>',
        '<border sOffset="0" a="-6" b="0" c="0" d="0"/><border sOffset="20" a="-7" b="0" c="-0.001" d="0"/>',
    )
    mixed = lanes(
        width, '<border sOffset="0" a="-6" b="0" c="0" d="0"/><border sOffset="20" a="-7" b="0" c="-0.001" d="0"/>'
    )
    s = np.array([1.0, 19.0, 21.0, 40.0])
    outer = np.where(s < 20, 6.0, 7 + 0.001 * (s - 20) ** 2)
    for text in (borders, mixed):
        network = RoadNetwork.parse(document(road(lanes=text)))
        np.testing.assert_allclose(network.edges((0, 0, -1), s), [np.zeros(4), -(3 + 0.02 * s)], atol=1e-12)
        np.testing.assert_allclose(network.edges((0, 0, -2), s)[1], -outer, atol=1e-12)


def test_superelevation_lifts_the_side() -> None:
    tilted = road().replace(
        "<lanes>", '<lateralProfile><superelevation s="0" a="0.1" b="0" c="0" d="0"/></lateralProfile><lanes>'
    )
    flat, lifted = RoadNetwork.parse(document(road())), RoadNetwork.parse(document(tilted))
    s, t = np.array([10.0]), np.array([4.0])
    a, b = flat.point(0, s, t), lifted.point(0, s, t)
    assert b[2][0] - a[2][0] == pytest.approx(4 * np.sin(0.1))
    assert np.hypot(b[0] - a[0], b[1] - a[1])[0] == pytest.approx(4 * (1 - np.cos(0.1)))


def check_reads_or_refuses(text: bytes) -> None:
    """Anything but RoadError is a failure; a network that is read must give sane tables."""
    try:
        network = RoadNetwork.parse(text)
        tables = network.lane_tables()
        walks = network.walk_tables()
    except roads.RoadError:
        return
    for name in ("x", "y", "z", "yaw", "half_width", "length", "spacing", "speed_limit", "conflict_begin"):
        assert np.isfinite(getattr(tables, name)).all(), name
    assert np.isfinite(walks.x).all()
    assert (tables.point_count >= 2).all()
    assert tables.successors.max(initial=-1) < len(tables.length)


NUMBERS = ["0", "-1", "1e9", "1e-12", "-3e5", "nan", "inf", "", "x", "0.5", "99999999999999999999", "1e400"]


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutations_are_read_or_refused(data: st.DataObject) -> None:
    text = WHOLE
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(["value", "cut", "drop", "bytes", "double"]))
        if kind == "value":
            values = list(re.finditer(r'="([^"]*)"', text))
            found = values[data.draw(st.integers(0, len(values) - 1))] if values else None
            if found:
                text = text[: found.start(1)] + data.draw(st.sampled_from(NUMBERS)) + text[found.end(1) :]
        elif kind == "cut":
            text = text[: data.draw(st.integers(0, len(text)))]
        elif kind in ("drop", "double"):
            tags = list(re.finditer(r"<[a-zA-Z]+[^<>]*/>", text))
            found = tags[data.draw(st.integers(0, len(tags) - 1))] if tags else None
            if found:
                text = text[: found.start()] + found.group() * (2 * (kind == "double")) + text[found.end() :]
        else:
            at = data.draw(st.integers(0, len(text)))
            text = text[:at] + data.draw(st.text(max_size=4)) + text[at + 2 :]
    check_reads_or_refuses(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_mutated_towns_are_read_or_refused(data: st.DataObject) -> None:
    towns = roads.towns()
    text = towns[min(towns, key=lambda name: towns[name].stat().st_size)].read_bytes()
    values = list(re.finditer(rb'="([^"]*)"', text))
    for _ in range(data.draw(st.integers(1, 4))):
        found = values[data.draw(st.integers(0, len(values) - 1))]
        # Of the same length, so that the other places stay where they are.
        size = found.end(1) - found.start(1)
        new = data.draw(st.sampled_from(NUMBERS)).encode()[:size].ljust(size)
        text = text[: found.start(1)] + new + text[found.end(1) :]
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text)))]
    check_reads_or_refuses(text)
