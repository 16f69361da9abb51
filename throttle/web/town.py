"""A town's roads as shapes for a drawing from above."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.roads.network import RoadNetwork

STEP = 3.0
"""Metres between the corners of a lane's edge."""
GROUPS = {
    "driving": "road", "bidirectional": "road", "entry": "road", "exit": "road", "onRamp": "road", "offRamp": "road",
    "parking": "road", "stop": "road", "shoulder": "edge", "border": "edge", "biking": "edge", "curb": "edge",
    "sidewalk": "walk",
}  # fmt: skip
"""Lane type -> how it is painted; other types are not drawn."""


def shapes(network: RoadNetwork) -> dict[str, Any]:
    """What the page draws: metres in the town frame, rounded to centimetres.

    areas: group -> polygons [x, y, x, y, ...]; lines: kind of paint ("white", "white broken", "yellow", ...) ->
    polylines; crossings: polygons; bounds: smallest x, y and largest x, y.
    """
    areas: dict[str, list[list[float]]] = {"walk": [], "edge": [], "road": []}
    lines: dict[str, list[list[float]]] = {}
    for key in network.lane_keys(None):
        group = GROUPS.get(network.lane(key).type)
        if group is None:
            continue
        section = network.section(key[0], key[1])
        count = max(2, int(np.ceil((section.end - section.s) / STEP)) + 1)
        s = np.linspace(section.s, section.end, count)
        inner, outer = network.edges(key, s)
        sides = [np.stack(network.point(key[0], s, t)[:2], 1) for t in (inner, outer)]
        if np.abs(outer - inner).max() > 0.05:
            areas[group].append(_flat(np.concatenate([sides[0], sides[1][::-1]])))
        if group != "road" or network.is_junction(key):
            continue
        marks = network.marking(key, (section.s + section.end) / 2)
        # the inner edge is drawn once: as another lane's outer edge, or as the centre line of the lane beside it
        for mark, line in ((marks[0], sides[1]), (marks[1] if key[2] == -1 else None, sides[0])):
            if mark is not None and mark.kind not in ("none", "curb"):
                color = "yellow" if mark.color == "yellow" else "white"
                kind = f"{color} broken" if mark.kind == "broken" else color
                lines.setdefault(kind, []).append(_flat(line))
    outlines = [network.object_outline(item) for item in network.objects if item.type == "crosswalk"]
    points = np.concatenate([np.reshape(p, (-1, 2)) for group in areas.values() for p in group] or [np.zeros((1, 2))])
    return {
        "name": network.name,
        "areas": areas,
        "lines": lines,
        "crossings": [_flat(corners[:, :2]) for corners in outlines if corners is not None],
        "bounds": [*points.min(0).tolist(), *points.max(0).tolist()],
    }


def _flat(points: NDArray[np.float64]) -> list[float]:
    return [round(float(v), 2) for v in points.ravel()]
