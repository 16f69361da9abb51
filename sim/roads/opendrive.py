"""Reading OpenDRIVE 1.4 to 1.7 (.xodr): roads and junctions. Signals and objects: `opendrive_signals.py`.

Formula and field names follow ASAM OpenDRIVE 1.7; what carla.Map reads differently is said where it matters.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sim.roads import opendrive_signals
from sim.roads.errors import RoadError
from sim.roads.geometry import ReferenceLines, Segments
from sim.roads.model import (
    F64,
    Connection,
    Controller,
    Junction,
    Lane,
    Link,
    Road,
    RoadMap,
    RoadMark,
    Section,
)
from sim.roads.units import metres_per_second
from sim.roads.xmltree import Element, parse

MAX_ROAD_LENGTH = 500_000.0
MAX_COORDINATE = 10_000_000.0
MAX_CURVATURE = 100.0
MAX_TURN = 500.0
MAX_WIDTH = 1000.0
MAX_LANE_ID = 1000


def read(path: str | Path) -> tuple[RoadMap, ReferenceLines]:
    """Read a file; RoadError where it is missing, broken or uses what is not supported."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RoadError(f"{path}: cannot be read ({error.strerror})") from None
    return read_bytes(data, str(path))


def read_bytes(data: bytes, file: str) -> tuple[RoadMap, ReferenceLines]:
    """Read a document; `file` is the name to complain about."""
    root = parse(data, file)
    if root.tag != "OpenDRIVE":
        root.fail("is not <OpenDRIVE>: this is no OpenDRIVE file")
    header = root.need("header")
    if header.integer("revMajor", 1) != 1:
        header.fail(f"OpenDRIVE {header.text_of('revMajor')}.x is not supported (1.4 to 1.7 are)")
    reference = header.first("geoReference")
    roads = RoadMap(Path(file).stem, geo_reference=reference.text.strip() if reference else "")
    segments = Segments()
    seen: dict[str, Element] = {}
    for element in root.all("road"):
        road = _road(element, len(roads.roads), segments)
        if road.id in seen:
            element.fail(f"road {road.id!r} stands twice, first in line {seen[road.id].line}")
        seen[road.id] = element
        roads.roads.append(road)
        opendrive_signals.read(element, len(roads.roads) - 1, roads)
    if not roads.roads:
        root.fail("holds no <road>")
    junctions: dict[str, Element] = {}
    for element in root.all("junction"):
        junction = _junction(element, seen)
        if junction.id in junctions:
            element.fail(f"junction {junction.id!r} stands twice, first in line {junctions[junction.id].line}")
        junctions[junction.id] = element
        roads.junctions.append(junction)
    for road in roads.roads:
        for link in (road.predecessor, road.successor):
            if link and link.id not in (junctions if link.is_junction else seen):
                seen[road.id].fail(
                    f"links to {'junction' if link.is_junction else 'road'} {link.id!r}, which is absent"
                )
        if road.junction != "-1" and road.junction not in junctions:
            seen[road.id].fail(f"belongs to junction {road.junction!r}, which is absent")
    for element in root.all("controller"):
        signals = tuple(control.text_of("signalId") for control in element.all("control"))
        name = element.text_of("name", "")
        roads.controllers.append(Controller(element.text_of("id"), name, element.integer("sequence", 0), signals))
    return roads, ReferenceLines(segments)


def _road(element: Element, index: int, segments: Segments) -> Road:
    if element.text_of("rule", "RHT").upper() == "LHT":
        element.fail("left-hand traffic (rule='LHT') is not supported")
    length = element.number("length")
    if not 0 < length <= MAX_ROAD_LENGTH:
        element.fail(f"length={length:g} is not in (0, {MAX_ROAD_LENGTH:g}]")
    _plan(element.need("planView"), index, segments)
    elevation, lateral, lanes = (
        element.first("elevationProfile"),
        element.first("lateralProfile"),
        element.need("lanes"),
    )
    links: dict[str, Link | None] = {"predecessor": None, "successor": None}
    if (link := element.first("link")) is not None:
        links = {end: _link(link.first(end)) for end in links}
    return Road(
        id=element.text_of("id"),
        name=element.text_of("name", ""),
        length=length,
        junction=element.text_of("junction", "-1") or "-1",
        predecessor=links["predecessor"],
        successor=links["successor"],
        sections=_sections(lanes, length),
        elevation=_cubics(elevation, "elevation", "s", 100_000.0),
        superelevation=_cubics(lateral, "superelevation", "s", 10.0),
        lane_offset=_cubics(lanes, "laneOffset", "s", MAX_WIDTH),
        speeds=_road_speeds(element),
        line=element.line,
    )


def _link(element: Element | None) -> Link | None:
    if element is None:
        return None
    kind = element.text_of("elementType", "road")
    if kind not in ("road", "junction"):
        element.fail(f"elementType={kind[:40]!r} is neither road nor junction")
    contact = element.text_of("contactPoint", "")
    if kind == "road" and contact not in ("start", "end", ""):
        element.fail(f"contactPoint={contact[:40]!r} is neither start nor end")
    return Link(kind == "junction", element.text_of("elementId"), contact)


def _plan(plan: Element, road: int, segments: Segments) -> None:
    begin, last = len(segments.s), -1e-6
    for element in plan.all("geometry"):
        s, x, y, heading, length = (element.number(name) for name in ("s", "x", "y", "hdg", "length"))
        if length <= 0:
            if length < 0:
                element.fail(f"length={length:g} is negative")
            continue  # some exporters write empty pieces
        if max(abs(x), abs(y)) > MAX_COORDINATE or abs(heading) > 1e4:
            element.fail("lies too far out (coordinates up to 1e7 m, headings up to 1e4 rad)")
        if s < last or s + length > MAX_ROAD_LENGTH:
            element.fail(f"s={s:g} does not follow the geometry before it")
        last = s
        shape = next((c for c in element.children if c.tag in _SHAPES), None)
        if shape is None:
            found = ", ".join(f"<{c.tag}>" for c in element.children) or "nothing"
            element.fail(f"holds {found[:80]} where one of {', '.join(_SHAPES)} is expected")
        curvature, cubic, top = _shape(shape, length)
        segments.append(road, (s, x, y, heading, length), curvature, cubic, top)
    if len(segments.s) == begin:
        plan.fail("holds no <geometry>")


_SHAPES = ("line", "arc", "spiral", "poly3", "paramPoly3")
_ZERO = (0.0,) * 8


def _shape(shape: Element, length: float) -> tuple[tuple[float, float], tuple[float, ...], float]:
    """Curvatures, cubics and greatest cubic parameter of a geometry."""
    if shape.tag == "line":
        return (0.0, 0.0), _ZERO, 0.0
    if shape.tag in ("arc", "spiral"):
        names = ("curvature", "curvature") if shape.tag == "arc" else ("curvStart", "curvEnd")
        k0, k1 = shape.number(names[0]), shape.number(names[1])
        if max(abs(k0), abs(k1)) > MAX_CURVATURE:
            shape.fail(f"a curvature above {MAX_CURVATURE:g} per metre is not supported")
        if max(abs(k0), abs(k1)) * length > MAX_TURN:
            shape.fail(f"turns more than {MAX_TURN:g} rad")
        return (k0, k1), _ZERO, 0.0
    if shape.tag == "poly3":
        v = tuple(shape.number(name) for name in "abcd")
        return (0.0, 0.0), _checked_cubic(shape, (0.0, 1.0, 0.0, 0.0, *v), length), length
    span = shape.text_of("pRange", "normalized")
    if span not in ("arcLength", "normalized"):
        shape.fail(f"pRange={span[:40]!r} is neither arcLength nor normalized")
    top = length if span == "arcLength" else 1.0
    return (
        (0.0, 0.0),
        _checked_cubic(shape, tuple(shape.number(f"{c}{axis}") for axis in "UV" for c in "abcd"), top),
        top,
    )


def _checked_cubic(shape: Element, c: tuple[float, ...], top: float) -> tuple[float, ...]:
    for axis in (c[:4], c[4:]):
        if sum(abs(value) * (2 * top) ** power for power, value in enumerate(axis)) > MAX_COORDINATE:
            shape.fail("leads too far out")
    if all(value == 0 for value in (*c[1:4], *c[5:])):
        shape.fail("does not move: every coefficient but the first is 0")
    return c


def _cubics(parent: Element | None, tag: str, station: str, bound: float) -> F64:
    """Rows s, a, b, c, d of the children `tag` in rising s."""
    if parent is None:
        return np.zeros((0, 5))
    rows = []
    for element in parent.all(tag):
        row = [element.number(station, 0.0), *(element.number(name, 0.0) for name in "abcd")]
        if abs(row[1]) > bound:
            element.fail(f"a={row[1]:g} is out of range (at most {bound:g})")
        rows.append(row)
    rows.sort(key=lambda row: row[0])
    return np.array(rows, np.float64).reshape(-1, 5)


def _road_speeds(element: Element) -> F64:
    rows = []
    for kind in element.all("type"):
        speed = kind.first("speed")
        rows.append((kind.number("s", 0.0), np.nan if speed is None else metres_per_second(speed, "max")))
    return np.array(sorted(rows), np.float64).reshape(-1, 2)


def _sections(lanes: Element, length: float) -> tuple[Section, ...]:
    elements = list(lanes.all("laneSection"))
    if not elements:
        lanes.fail("holds no <laneSection>")
    stations = [element.number("s", 0.0) for element in elements]
    sections = []
    for k, (element, s) in enumerate(zip(elements, stations)):
        if s < 0 or s > length + 1.0 or (k and s < stations[k - 1]):
            element.fail(f"s={s:g} does not follow the section before it within the road's length {length:g}")
        end = stations[k + 1] if k + 1 < len(stations) else length
        sections.append(Section(s, max(end, s), _lanes(element)))
    return tuple(sections)


def _lanes(section: Element) -> dict[int, Lane]:
    found: dict[int, Element] = {}
    for side, sign in (("left", 1), ("center", 0), ("right", -1)):
        for group in section.all(side):
            for element in group.all("lane"):
                number = element.integer("id")
                if abs(number) > MAX_LANE_ID or np.sign(number) != sign:
                    element.fail(f"lane id {number} cannot stand under <{side}>")
                if number in found:
                    element.fail(f"lane {number} stands twice, first in line {found[number].line}")
                found[number] = element
    widths: dict[int, F64] = {}
    for sign in (1, -1):
        edge = np.zeros((0, 5))  # the outer edge of the lanes so far
        for number in sorted((n for n in found if n * sign > 0), key=abs):
            border = _cubics(found[number], "border", "sOffset", MAX_WIDTH)
            if len(border) and found[number].first("width") is None:
                outer = border * np.array([1, sign, sign, sign, sign])
                widths[number], edge = _combine(outer, edge, -1.0), outer
            else:
                widths[number] = _cubics(found[number], "width", "sOffset", MAX_WIDTH)
                edge = _combine(edge, widths[number], 1.0)
    empty = np.zeros((0, 5))
    return {n: _lane(found[n], n, widths.get(n, empty)) for n in sorted(found, reverse=True)}


def _combine(first: F64, second: F64, sign: float) -> F64:
    """The piecewise cubic first + sign * second."""
    if len(second) == 0 or len(first) == 0:
        rest = first if len(second) == 0 else second * np.array([1, sign, sign, sign, sign])
        return rest.copy()
    stations = np.unique(np.concatenate([first[:, 0], second[:, 0]]))
    return np.stack(
        [np.concatenate([[s], _shifted(first, s) + sign * _shifted(second, s)]) for s in stations],
    )


def _shifted(rows: F64, s: float) -> F64:
    """a, b, c, d of the cubic that holds at s, written around s."""
    start, a, b, c, d = rows[max(0, int(np.searchsorted(rows[:, 0], s, side="right")) - 1)]
    h = max(0.0, s - start)
    return np.array([a + h * (b + h * (c + h * d)), b + h * (2 * c + 3 * h * d), c + 3 * h * d, d])


def _lane(element: Element, number: int, width: F64) -> Lane:
    links = {"predecessor": 0, "successor": 0}
    if (link := element.first("link")) is not None:
        for end in links:
            if (other := link.first(end)) is not None:
                links[end] = other.integer("id")
    heights = [
        (h.number("sOffset", 0.0), h.number("inner", 0.0), h.number("outer", 0.0)) for h in element.all("height")
    ]
    speeds = [(v.number("sOffset", 0.0), metres_per_second(v, "max")) for v in element.all("speed")]
    return Lane(
        id=number,
        type=element.text_of("type", "none"),
        level=element.text_of("level", "false") in ("true", "1"),
        width=width,
        marks=tuple(sorted((_mark(mark) for mark in element.all("roadMark")), key=lambda mark: mark.s)),
        heights=np.array(sorted(heights), np.float64).reshape(-1, 3),
        speeds=np.array(sorted(speeds), np.float64).reshape(-1, 2),
        predecessor=links["predecessor"],
        successor=links["successor"],
    )


def _mark(element: Element) -> RoadMark:
    return RoadMark(
        s=element.number("sOffset", 0.0),
        kind=element.text_of("type", "none"),
        color=element.text_of("color", "standard"),
        width=element.number("width", 0.15),
        lane_change=element.text_of("laneChange", "both"),
        weight=element.text_of("weight", "standard"),
    )


def _junction(element: Element, roads: dict[str, Element]) -> Junction:
    connections = []
    for item in element.all("connection"):
        # A direct junction (1.7) joins roads without connecting roads: it names a linkedRoad.
        connecting = item.attributes.get("connectingRoad", item.attributes.get("linkedRoad"))
        if connecting is None:
            item.fail("names no connectingRoad")
        incoming = item.text_of("incomingRoad", "")
        for road in (connecting.strip(), incoming):
            if road and road not in roads:
                item.fail(f"names road {road[:40]!r}, which is absent")
        contact = item.text_of("contactPoint", "start")
        if contact not in ("start", "end"):
            item.fail(f"contactPoint={contact[:40]!r} is neither start nor end")
        links = tuple((link.integer("from"), link.integer("to")) for link in item.all("laneLink"))
        connections.append(Connection(incoming, connecting.strip(), contact, links))
    priorities = tuple((p.text_of("high", ""), p.text_of("low", "")) for p in element.all("priority"))
    controllers = tuple((c.text_of("id"), c.integer("sequence", 0)) for c in element.all("controller"))
    return Junction(element.text_of("id"), element.text_of("name", ""), tuple(connections), priorities, controllers)
