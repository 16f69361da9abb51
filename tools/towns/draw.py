"""Draws a town from its .xodr through the CARLA client's own map, for the documentation and for looking at details."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import carla
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection, PolyCollection

FILL = {"Driving": "#5b5f66", "Sidewalk": "#c9c4ba", "Parking": "#73777e", "Shoulder": "#6d7178", "Median": "#8fae7c"}
ORDER = ("Median", "Sidewalk", "Shoulder", "Parking", "Driving")
SIGNALS = {"1000001": ("#1aa14a", "o"), "206": ("#d22f27", "8"), "205": ("#f0a202", "v"), "274": ("#2c5fb3", "s")}


def draw(path: Path, picture: Path, *, window: tuple[float, float, float, float] | None = None, lanes: bool = False,
         size: float = 8.0, dpi: int = 100) -> None:  # fmt: skip
    """Draw `path` into `picture`.

    Args:
        window: west, east, south, north in metres; the whole town if None.
        lanes: write lane ids and arrows of travel.
        size: the longer side in inches.
    """
    town = carla.Map(path.stem, path.read_text(encoding="utf-8"))
    kinds: dict[str, list[Any]] = {name: [] for name in ORDER}
    lines: dict[tuple[str, str], list[Any]] = {}
    arrows: list[tuple[float, float, float, float, str]] = []
    for road in ET.parse(path).getroot().iter("road"):
        _road(town, road, kinds, lines, arrows)
    every = [p for polygons in kinds.values() for polygon in polygons for p in polygon]
    if window is None:
        xs, ys = [p[0] for p in every], [p[1] for p in every]
        window = (min(xs) - 15, max(xs) + 15, min(ys) - 15, max(ys) + 15)
    wide, high = window[1] - window[0], window[3] - window[2]
    scale = size / max(wide, high)
    figure = plt.figure(figsize=(wide * scale, high * scale))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_facecolor("#dfe6d3")
    for z, name in enumerate(ORDER):
        axes.add_collection(
            PolyCollection(kinds[name], facecolor=FILL[name], edgecolor=FILL[name], lw=0.2, zorder=z + 1)
        )
    close = scale * 72  # points per metre
    for (color, style), found in lines.items():
        dash: Any = (0, (20, 27)) if style == "broken" and close > 1 else "-"
        axes.add_collection(
            LineCollection(found, colors="#f4c430" if color == "yellow" else "white", lw=max(0.3, 0.15 * close),
                           linestyles=dash if close > 1 else "-", zorder=10)
        )  # fmt: skip
    _crosswalks(town, axes)
    shown = set()
    for mark in town.get_all_landmarks():
        key = (mark.id, mark.type)
        if key in shown or mark.type not in SIGNALS:
            continue
        shown.add(key)
        color, shape = SIGNALS[mark.type]
        if mark.type == "274" and not lanes:
            continue
        at = mark.transform.location
        axes.plot([at.x], [-at.y], shape, color=color, ms=max(2.5, 1.2 * close), mec="white", mew=0.4, zorder=20)
        if lanes:
            yaw = math.radians(mark.transform.rotation.yaw)
            axes.arrow(at.x, -at.y, 2 * math.cos(yaw), -2 * math.sin(yaw), color=color, width=0.1, zorder=21)
            if mark.type == "274":
                axes.text(
                    at.x, -at.y, f"{mark.value:g}", fontsize=5, color="white", zorder=22, ha="center", va="center"
                )
    if lanes:
        for x, y, dx, dy, label in arrows:
            if window[0] < x < window[1] and window[2] < y < window[3]:
                axes.arrow(x, y, dx, dy, color="#bcd7ff", width=0.12, head_width=0.9, zorder=15)
                axes.text(x, y, label, fontsize=5, color="#ffe9a8", zorder=16, clip_on=True)
    axes.set_xlim(window[0], window[1])
    axes.set_ylim(window[2], window[3])
    axes.set_aspect("equal")
    axes.axis("off")
    figure.patch.set_facecolor("#dfe6d3")
    figure.savefig(picture, dpi=dpi, facecolor=figure.get_facecolor(), metadata={"Software": None})
    plt.close(figure)


def _road(town: Any, road: ET.Element, kinds: dict[str, list[Any]], lines: dict[tuple[str, str], list[Any]],
          arrows: list[tuple[float, float, float, float, str]]) -> None:  # fmt: skip
    number, length, inside = int(road.get("id", "0")), float(road.get("length", "0")), road.get("junction") != "-1"
    sections = list(road.iter("laneSection"))
    starts = [float(q.get("s", "0")) for q in sections] + [length]
    for section, begin, end in zip(sections, starts, starts[1:]):
        n = max(2, int((end - begin) / 2.0) + 1)
        stations = [begin + 1e-3 + (end - begin - 2e-3) * k / (n - 1) for k in range(n)]
        for q in section.iter("lane"):
            lane = int(q.get("id", "0"))
            if lane == 0:
                continue
            rows = [(s, town.get_waypoint_xodr(number, lane, s)) for s in stations]
            edge: list[tuple[float, float, float]] = []
            inner, outer = [], []
            for s, p in rows:
                if p is None:
                    continue
                at, yaw = p.transform.location, math.radians(p.transform.rotation.yaw)
                half = 0.5 * p.lane_width
                right = (at.x - half * math.sin(yaw), -(at.y + half * math.cos(yaw)))
                left = (at.x + half * math.sin(yaw), -(at.y - half * math.cos(yaw)))
                inner.append(left)
                outer.append(right)
                edge.append((s, *right))
            if len(inner) < 2:
                continue
            name = str(next(p for _, p in rows if p is not None).lane_type)
            kinds.setdefault(name, []).append(inner + outer[::-1])
            if lane in (1, -1):
                centers = [(s, *p) for (s, _), p in zip(rows, inner)]
                middle = next((c for c in section.iter("lane") if c.get("id") == "0"), None)
                if middle is not None and (lane == -1 or not section.find("right")):
                    _marks(middle, begin, centers, lines, inside)
            _marks(q, begin, edge, lines, inside)
            if name == "Driving":
                for _, p in rows[len(rows) // 2 :: 15][:6]:
                    if p is not None:
                        at, yaw = p.transform.location, math.radians(p.transform.rotation.yaw)
                        arrows.append((at.x, -at.y, 2.5 * math.cos(yaw), -2.5 * math.sin(yaw), f"{number}:{lane}"))


def _marks(q: ET.Element, begin: float, edge: list[tuple[float, float, float]],
           lines: dict[tuple[str, str], list[Any]], inside: bool) -> None:  # fmt: skip
    marks = [
        (begin + float(m.get("sOffset", "0")), m.get("type", "none"), m.get("color", "white"))
        for m in q.iter("roadMark")
    ]
    for k, (s0, kind, color) in enumerate(marks):
        s1 = marks[k + 1][0] if k + 1 < len(marks) else math.inf
        run = [(x, y) for s, x, y in edge if s0 <= s <= s1]
        if len(run) > 1 and kind not in ("none", "curb"):
            lines.setdefault((color, "broken" if kind == "broken" else "solid"), []).append(run)


def _crosswalks(town: Any, axes: Any) -> None:
    points = [(p.x, -p.y) for p in town.get_crosswalks()]
    polygons, current = [], []
    for p in points:
        current.append(p)
        if len(current) > 2 and math.dist(current[0], p) < 1e-3:
            polygons.append(current)
            current = []
    axes.add_collection(PolyCollection(polygons, facecolor="#f5f5f5", edgecolor="none", alpha=0.75, zorder=9))
