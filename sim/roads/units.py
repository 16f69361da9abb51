"""Speeds of OpenDRIVE files in m/s."""

from __future__ import annotations

import math

from sim.roads.xmltree import Element

_FACTORS = {"": 1.0, "m/s": 1.0, "mph": 0.44704, "km/h": 1 / 3.6, "kph": 1 / 3.6, "kmh": 1 / 3.6}


def factor(element: Element) -> float:
    """m/s per unit of the element's `unit` attribute (m/s where there is none); RoadError for another unit."""
    unit = element.text_of("unit", "").lower()
    if unit not in _FACTORS:
        element.fail(f"unit={unit[:40]!r} is none of m/s, mph, km/h")
    return _FACTORS[unit]


def metres_per_second(element: Element, name: str) -> float:
    """Attribute `name` in m/s; NaN for "no limit" and "undefined"."""
    if element.text_of(name, "undefined").lower() in ("no limit", "undefined", ""):
        return math.nan
    value = element.number(name) * factor(element)
    if not 0 <= value <= 1000:
        element.fail(f"a speed of {value:g} m/s is out of range")
    return value
