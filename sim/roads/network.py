"""The road network: what every other part of the simulator asks about roads, in the CARLA frame.

The OpenDRIVE frame (y left, headings counter-clockwise) ends here: y and headings are flipped on the way out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.roads import lane_graph
from sim.roads.geometry import ReferenceLines
from sim.roads.lane_graph import LaneKey
from sim.roads.lane_index import LaneIndex, LanePlace
from sim.roads.model import (
    DRIVING_ONLY,
    DRIVING_TYPES,
    F64,
    Junction,
    Lane,
    Road,
    RoadMap,
    RoadMark,
    RoadObject,
    Section,
    Signal,
    SignalReference,
    cubic,
    cubic_slope,
    wrap,
)
from sim.roads.opendrive import read, read_bytes
from sim.roads.routing import Router
from sim.roads.tables import LaneTables, WalkTables


@dataclass(frozen=True)
class Poses:
    """Places on lane centre lines, arrays [n]: metres, radians, CARLA frame; yaw is the direction of travel."""

    x: F64
    y: F64
    z: F64
    yaw: F64
    pitch: F64
    width: F64


class RoadNetwork:
    """A town's roads. Build with `sim.roads.load`, or from text with `RoadNetwork.parse`."""

    def __init__(self, roads: RoadMap, lines: ReferenceLines) -> None:
        self.map = roads
        self.lines = lines
        self.name: str = roads.name
        self.roads: list[Road] = roads.roads
        self.junctions: list[Junction] = roads.junctions
        self.signals: list[Signal] = roads.signals
        self.signal_references: list[SignalReference] = roads.references
        self.objects: list[RoadObject] = roads.objects
        self.road_index: dict[str, int] = {road.id: k for k, road in enumerate(self.roads)}
        self.junction_index: dict[str, int] = {junction.id: k for k, junction in enumerate(self.junctions)}

    @classmethod
    def load(cls, path: str | Path) -> RoadNetwork:
        """Read an .xodr file; RoadError where it is missing, broken or unsupported."""
        return cls(*read(path))

    @classmethod
    def parse(cls, text: str | bytes, name: str = "map.xodr") -> RoadNetwork:
        """Read a document; `name` is the file to name in errors."""
        return cls(*read_bytes(text.encode() if isinstance(text, str) else text, name))

    # lanes -----------------------------------------------------------------------------------------------------------

    def section(self, road: int, section: int) -> Section:
        """A lane section by indices."""
        return self.roads[road].sections[section]

    def lane(self, key: LaneKey) -> Lane:
        """The lane record of (road index, section index, lane id)."""
        return self.roads[key[0]].sections[key[1]].lanes[key[2]]

    def section_at(self, road: int, s: float) -> int:
        """Index of the section that holds at s."""
        sections = self.roads[road].sections
        return max(0, sum(section.s <= s for section in sections) - 1)

    def lane_keys(self, types: frozenset[str] | None = DRIVING_TYPES) -> list[LaneKey]:
        """Every lane of those types (None: of any type but centre lanes) that is not an empty section's."""
        return [
            (r, k, lane.id)
            for r, road in enumerate(self.roads)
            for k, section in enumerate(road.sections)
            if section.end - section.s > 1e-3
            for lane in section.lanes.values()
            if lane.id != 0 and (types is None or lane.type in types)
        ]

    def edges(self, key: LaneKey, s: F64) -> tuple[F64, F64]:
        """t of a lane's inner and outer edge at s [n] (t grows to the left of the road, the inner edge is lane 0's)."""
        road = self.roads[key[0]]
        section = road.sections[key[1]]
        sign = 1 if key[2] > 0 else -1
        local = s - section.s
        outer = cubic(road.lane_offset, s)
        inner = outer
        for number in range(sign, key[2] + sign, sign):
            inner = outer
            if number in section.lanes:
                outer = inner + sign * np.maximum(cubic(section.lanes[number].width, local), 0.0)
        return inner, outer

    def point(self, road: int, s: F64, t: F64) -> tuple[F64, F64, F64, F64]:
        """x, y, z, yaw (of the reference line) at road coordinates s, t [n]; superelevation tilts the road about it.

        carla.Map ignores superelevation; positions differ there by t (1 - cos) sideways and t sin in height.
        """
        x, y, heading = self.lines.evaluate(road, s)
        tilt = cubic(self.roads[road].superelevation, s)
        z = cubic(self.roads[road].elevation, s) + t * np.sin(tilt)
        across = t * np.cos(tilt)
        return x - across * np.sin(heading), -(y + across * np.cos(heading)), z, -heading

    def stand(self, signal: Signal) -> tuple[float, float, float, float]:
        """x, y, z of a light's or sign's foot and the yaw in which it looks: at the traffic that it is for.

        What stands right of the road is for traffic along it, as in CARLA's towns: orientation and hOffset do not tell.
        """
        x, y, z, yaw = (float(v[0]) for v in self.point(signal.road, np.array([signal.s]), np.array([signal.t])))
        return x, y, z, yaw + np.pi if signal.t < 0 else yaw

    def poses(self, key: LaneKey, s: F64) -> Poses:
        """Poses of a lane's centre line at s [n] along its road."""
        s = np.asarray(s, np.float64)
        road = self.roads[key[0]]
        inner, outer = self.edges(key, s)
        x, y, z, yaw = self.point(key[0], s, (inner + outer) / 2)
        # carla.Map adds the lane's slope across the road to the heading as if it were an angle; so does this.
        sign = 1 if key[2] > 0 else -1
        section = road.sections[key[1]]
        slope = cubic_slope(road.lane_offset, s)
        for number in range(sign, key[2] + sign, sign):
            if number in section.lanes:
                share = 0.5 if number == key[2] else 1.0
                slope = slope + sign * share * cubic_slope(section.lanes[number].width, s - section.s)
        pitch = np.arctan(cubic_slope(road.elevation, s))
        forward = key[2] < 0
        yaw = yaw - slope + (0.0 if forward else np.pi)
        return Poses(x, y, z, wrap(yaw), pitch if forward else -pitch, np.abs(outer - inner))

    def object_outline(self, item: RoadObject) -> F64 | None:
        """Corners [n, 3] of an object's first outline, else of its length x width; None where it has neither."""
        if item.outlines and not item.outlines[0].local:
            corners = item.outlines[0].corners
            x, y, z, _ = self.point(item.road, corners[:, 0], corners[:, 1])
            return np.stack([x, y, z + corners[:, 2]], axis=1)
        if item.outlines:
            local = item.outlines[0].corners[:, :3]
        elif item.length > 0 and item.width > 0:
            half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) / 2
            local = np.column_stack([half * (item.length, item.width), np.zeros(4)])
        else:
            return None
        x, y, z, yaw = self.point(item.road, np.array([item.s]), np.array([item.t]))
        turn = item.heading - yaw[0]  # counter-clockwise, OpenDRIVE frame
        u, v = local[:, 0], local[:, 1]
        east, north = u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)
        return np.stack([x[0] + east, y[0] - north, z[0] + item.z_offset + local[:, 2]], axis=1)

    def marking(self, key: LaneKey, s: float) -> tuple[RoadMark | None, RoadMark | None]:
        """Markings at a lane's outer and inner edge at s (CARLA's right and left marking where traffic keeps right)."""
        section = self.section(key[0], key[1])
        inside = key[2] - 1 if key[2] > 0 else key[2] + 1

        def at(number: int) -> RoadMark | None:
            marks = section.lanes[number].marks if number in section.lanes else ()
            return next((mark for mark in reversed(marks) if section.s + mark.s <= s), None)

        return at(key[2]), at(inside)

    # graph -----------------------------------------------------------------------------------------------------------

    @cached_property
    def _successors(self) -> dict[LaneKey, list[LaneKey]]:
        return lane_graph.successors(self.map)

    @cached_property
    def _predecessors(self) -> dict[LaneKey, list[LaneKey]]:
        return lane_graph.predecessors(self._successors)

    def successors(self, key: LaneKey) -> list[LaneKey]:
        """Lanes that follow in the direction of travel."""
        return self._successors[key]

    def predecessors(self, key: LaneKey) -> list[LaneKey]:
        """Lanes that lead into this one."""
        return self._predecessors[key]

    def is_junction(self, key: LaneKey) -> bool:
        """Whether the lane crosses a junction."""
        return self.roads[key[0]].junction != "-1"

    # places ----------------------------------------------------------------------------------------------------------

    def pose(self, place: LanePlace) -> Poses:
        """Pose of the lane's centre line at a place, arrays of one."""
        return self.poses(place.key, np.array([place.s]))

    @cached_property
    def _indices(self) -> dict[frozenset[str] | None, LaneIndex]:
        return {}

    def project(
        self, x: float, y: float, z: float | None = None, types: frozenset[str] | None = DRIVING_TYPES
    ) -> LanePlace | None:
        """The place on the nearest lane centre line of those types (None: of all), with t of the point itself.

        None where the map has no such lane. With z the nearest in space, as in CARLA; else in the plane.
        """
        if types not in self._indices:
            self._indices[types] = LaneIndex(self, types)
        return self._indices[types].nearest(x, y, z)

    def waypoint(
        self,
        x: float,
        y: float,
        z: float | None = None,
        types: frozenset[str] | None = DRIVING_ONLY,
        project_to_road: bool = True,
    ) -> LanePlace | None:
        """As carla.Map.get_waypoint: the nearest lane; None off it where `project_to_road` is False."""
        place = self.project(x, y, z, types)
        if place is None or project_to_road:
            return place
        pose = self.pose(place)
        return place if np.hypot(pose.x[0] - x, pose.y[0] - y) < pose.width[0] / 2 else None

    def spawn_points(self, gap: float = 30.0) -> NDArray[np.float32]:
        """Poses [n, 4] x, y, z, yaw to place vehicles at: lanes of type driving outside junctions, `gap` m apart."""
        rows = []
        for key in self.lane_keys(DRIVING_ONLY):
            section = self.section(key[0], key[1])
            span = section.end - section.s
            if self.is_junction(key) or span < 10.0:
                continue
            count = max(1, int(span / gap))
            pose = self.poses(key, section.s + span * (np.arange(count) + 0.5) / count)
            fits = pose.width > 2.0
            rows.append(np.stack([pose.x, pose.y, pose.z, pose.yaw], axis=1)[fits])
        return np.concatenate(rows).astype(np.float32) if rows else np.zeros((0, 4), np.float32)

    # tables ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _lane_tables(self) -> LaneTables:
        from sim.roads.build_tables import lane_tables

        return lane_tables(self)

    def lane_tables(self) -> LaneTables:
        """The driving lanes as flat arrays."""
        return self._lane_tables

    @cached_property
    def _walk_tables(self) -> WalkTables:
        from sim.roads.build_walk import walk_tables

        return walk_tables(self)

    def walk_tables(self) -> WalkTables:
        """The sidewalks and crossings as a graph."""
        return self._walk_tables

    @cached_property
    def _router(self) -> Router:
        return Router(self.lane_tables())

    def router(self) -> Router:
        """Finds routes over the lane tables."""
        return self._router
