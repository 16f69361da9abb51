"""Reading OpenDRIVE signals and objects of a road."""

from __future__ import annotations

import numpy as np

from sim.roads import units
from sim.roads.model import Outline, RoadMap, RoadObject, Signal, SignalReference
from sim.roads.xmltree import Element


def read(road: Element, index: int, roads: RoadMap) -> None:
    """Append the signals, signal references and objects of road number `index` to `roads`."""
    if (signals := road.first("signals")) is not None:
        roads.signals.extend(_signal(element, index) for element in signals.all("signal"))
        roads.references.extend(_reference(element, index) for element in signals.all("signalReference"))
    if (objects := road.first("objects")) is not None:
        roads.objects.extend(_object(element, index) for element in objects.all("object"))


def _validity(element: Element) -> tuple[tuple[int, int], ...] | None:
    ranges = [(v.integer("fromLane"), v.integer("toLane")) for v in element.all("validity")]
    return tuple((min(pair), max(pair)) for pair in ranges) or None


def _orientation(element: Element) -> str:
    value = element.text_of("orientation", "none")
    return value if value in ("+", "-") else "none"


def _signal(element: Element, road: int) -> Signal:
    unit = element.text_of("unit", "")
    text = element.text_of("value", "")
    value = element.number("value") if text and text != "none" else None
    if value is not None and unit.lower() in ("m/s", "mph", "km/h"):
        value *= units.factor(element)
    return Signal(
        id=element.text_of("id"),
        name=element.text_of("name", ""),
        road=road,
        s=element.number("s"),
        t=element.number("t"),
        z_offset=element.number("zOffset", 0.0),
        h_offset=element.number("hOffset", 0.0),
        orientation=_orientation(element),
        dynamic=element.text_of("dynamic", "no") == "yes",
        country=element.text_of("country", ""),
        type=element.text_of("type", "-1"),
        subtype=element.text_of("subtype", "-1"),
        value=value,
        unit=unit,
        height=element.number("height", 0.0),
        width=element.number("width", 0.0),
        text=element.text_of("text", ""),
        validity=_validity(element),
        pitch=element.number("pitch", 0.0),
        roll=element.number("roll", 0.0),
    )


def _reference(element: Element, road: int) -> SignalReference:
    return SignalReference(
        id=element.text_of("id"),
        road=road,
        s=element.number("s"),
        t=element.number("t", 0.0),
        orientation=_orientation(element),
        validity=_validity(element),
    )


def _object(element: Element, road: int) -> RoadObject:
    number = element.number
    # 1.4 has one <outline>, later versions <outlines><outline/></outlines>.
    holders = [element, *element.all("outlines")]
    outlines = [_outline(item) for holder in holders for item in holder.all("outline")]
    names = ("s", "length", "distance", "tStart", "tEnd", "zOffsetStart", "zOffsetEnd", "widthStart", "widthEnd")
    repeats = tuple(
        {name: item.number(name, 0.0) for name in (*names, "heightStart", "heightEnd")}
        for item in element.all("repeat")
    )
    return RoadObject(
        id=element.text_of("id", ""),
        name=element.text_of("name", ""),
        type=element.text_of("type", "none"),
        road=road,
        s=number("s", 0.0),
        t=number("t", 0.0),
        z_offset=number("zOffset", 0.0),
        heading=number("hdg", 0.0),
        pitch=number("pitch", 0.0),
        roll=number("roll", 0.0),
        orientation=_orientation(element),
        length=number("length", 0.0),
        width=number("width", 0.0),
        radius=number("radius", 0.0),
        height=number("height", 0.0),
        outlines=tuple(outline for outline in outlines if len(outline.corners)),
        repeats=repeats,
    )


def _outline(element: Element) -> Outline:
    local = [[c.number(n, 0.0) for n in ("u", "v", "z", "height")] for c in element.all("cornerLocal")]
    road = [[c.number(n, 0.0) for n in ("s", "t", "dz", "height")] for c in element.all("cornerRoad")]
    corners = local or road
    return Outline(bool(local), np.array(corners, np.float64).reshape(-1, 4))
