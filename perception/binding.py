"""What a network says about the light or the stop sign that binds the ego, picture by picture: what the car obeys."""

from __future__ import annotations

import math

import numpy as np

from contracts import Ego, LightState
from perception.classes import LIGHT, SIGN
from perception.data import Frames
from perception.lines import LOOKED_AT, StopLines
from perception.output import Detections

ROLLING = Ego(5.0, 0.0, 0.0, 0.0)  # one that stands at a stop sign has honoured it
NOTHING, STOP = "none", "stop sign"


def told(found: Detections, signs: tuple[str, ...]) -> tuple[str, float]:
    """State of the light that binds, `stop sign` or `none`, and metres to its line, as the car is told."""
    light, metres, stop_sign = StopLines(signs, believed=0.0).update([found.above(LOOKED_AT)], ROLLING, 0.0)
    if light is not LightState.NONE:
        return light.name.lower(), metres
    return (STOP, metres) if stop_sign else (NOTHING, math.inf)


def true(frames: Frames, item: int) -> tuple[str, float]:
    """The same of what a picture shows; a light that is too low, hidden or out of the picture is `none`."""
    for annotation, ignored in zip(frames.annotations[item], frames.ignored(item)):
        if ignored or not annotation.get("binding"):
            continue
        if annotation["category_id"] - 1 == LIGHT and annotation["state"] in ("green", "yellow", "red"):
            return annotation["state"], frames.stop_distance(item)
        if annotation["category_id"] - 1 == SIGN and annotation["sign"] == "stop":
            return STOP, frames.stop_distance(item)
    return NOTHING, math.inf


def compare(found: list[Detections], frames: Frames) -> tuple[dict[str, dict[str, int]], dict[str, float]]:
    """True -> told -> pictures, and figures: binding_right, the share of the pictures with a light or stop sign that

    binds in which it is told; binding_false, of those without, in which one is told; line_error, median metres between
    the lines told and true where the telling is right.
    """
    table: dict[str, dict[str, int]] = {}
    gaps = []
    for item, mine in enumerate(found):
        (wanted, here), (said, there) = true(frames, item), told(mine, frames.signs)
        row = table.setdefault(wanted, {})
        row[said] = row.get(said, 0) + 1
        if said == wanted != NOTHING:
            gaps.append(abs(here - there))
    binding = {name: row for name, row in table.items() if name != NOTHING}
    some, right = (sum(sum(row.values()) for row in binding.values()), sum(r.get(n, 0) for n, r in binding.items()))
    rest = table.get(NOTHING, {})
    without = sum(rest.values())
    figures = {
        "binding_right": right / some if some else math.nan,
        "binding_false": 1 - rest.get(NOTHING, 0) / without if without else math.nan,
        "line_error": float(np.median(gaps)) if gaps else math.nan,
    }
    return table, figures
