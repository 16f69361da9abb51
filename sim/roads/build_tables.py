"""LaneTables from a road network: points, links, neighbours, entrance control, conflicts, nearest-lane grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.roads.build_conflicts import conflicts
from sim.roads.build_control import entrance_control
from sim.roads.errors import RoadError
from sim.roads.lane_graph import LaneKey
from sim.roads.model import F64
from sim.roads.tables import F32, I32, MAX_SUCCESSORS, LaneTables

if TYPE_CHECKING:
    from sim.roads.network import RoadNetwork

SPACING = 1.0
JUNCTION_SPACING = 0.5
MIN_LENGTH = 0.05
EVENNESS = 0.005
DEFAULT_SPEED = 50 / 3.6
TURN_ANGLE = math.radians(30)
GRID_CELL = 8.0
MAX_CELLS = 4_000_000
MAX_POINTS = 10_000_000


def lane_tables(network: RoadNetwork) -> LaneTables:
    """Build the tables; RoadError where the file has no lane to drive on or is too large."""
    keys, shapes = _sample(network)
    if not keys:
        raise RoadError(f"{network.name}: holds no lane to drive on")
    row = {key: k for k, key in enumerate(keys)}
    following = [_linked(key, network.successors, row) for key in keys]
    leading: list[list[int]] = [[] for _ in keys]
    for k, others in enumerate(following):
        for other in others:
            leading[other].append(k)
    count = np.array([len(shape) for shape in shapes], np.int32)
    first = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int32)
    points = np.concatenate(shapes)
    length = np.array([shape[-1, 5] for shape in shapes])
    junction = np.array([network.junction_index.get(network.roads[key[0]].junction, -1) for key in keys], np.int32)
    turn = np.zeros(len(keys), np.int32)
    for k in np.flatnonzero(junction >= 0).tolist():
        angle = float(np.sum((np.diff(shapes[k][:, 3]) + np.pi) % (2 * np.pi) - np.pi))
        turn[k] = 0 if abs(angle) < TURN_ANGLE else (1 if angle > 0 else -1)
    left, right, may_left, may_right = _neighbours(network, keys, row, shapes)
    control = entrance_control(network, keys, shapes, following, leading, junction)
    crossing = conflicts(network, keys, shapes, leading, following, junction, turn, control)
    x, y = points[:, 0].astype(np.float32), points[:, 1].astype(np.float32)
    origin, size, cell, grid_first, grid_point = grid(x, y)
    return LaneTables(
        x=x,
        y=y,
        z=points[:, 2].astype(np.float32),
        yaw=_wrapped(points[:, 3]),
        half_width=(points[:, 4] / 2).astype(np.float32),
        first_point=first,
        point_count=count,
        spacing=(length / (count - 1)).astype(np.float32),
        length=length.astype(np.float32),
        speed_limit=_speed_limits(network, keys, leading).astype(np.float32),
        road=np.array([key[0] for key in keys], np.int32),
        section=np.array([key[1] for key in keys], np.int32),
        lane=np.array([key[2] for key in keys], np.int32),
        junction=junction,
        successors=_padded(following),
        predecessors=_padded(leading),
        left=left,
        right=right,
        may_change_left=may_left,
        may_change_right=may_right,
        turn=turn,
        control=control.control,
        light=control.light,
        light_x=control.light_x,
        light_y=control.light_y,
        light_yaw=control.light_yaw,
        light_junction=control.light_junction,
        light_group=control.light_group,
        group_count=control.group_count,
        conflict_first=crossing.first,
        conflict_lane=crossing.lane,
        conflict_begin=crossing.begin,
        conflict_end=crossing.end,
        conflict_other_begin=crossing.other_begin,
        conflict_other_end=crossing.other_end,
        conflict_yield=crossing.gives_way,
        conflict_kind=crossing.kind,
        grid_origin=origin,
        grid_size=size,
        grid_cell=cell,
        grid_first=grid_first,
        grid_point=grid_point,
        point_lane=np.repeat(np.arange(len(keys), dtype=np.int32), count),
        light_signal=control.light_signal,
    )


def _sample(network: RoadNetwork) -> tuple[list[LaneKey], list[F64]]:
    """Driving lanes, and for each its points [n, 6]: x, y, z, yaw, width, distance along the lane."""
    keys: list[LaneKey] = []
    shapes: list[F64] = []
    total = 0
    for key in network.lane_keys():
        section = network.section(key[0], key[1])
        span = section.end - section.s
        step = JUNCTION_SPACING if network.is_junction(key) else SPACING
        total = _counted(network, total, span / step)
        stations = np.linspace(section.s, section.end, max(2, math.ceil(span / step) + 1))
        if key[2] > 0:
            stations = stations[::-1]
        # The end belongs to the section that follows; a hair before it the lane's own widths hold.
        inside = np.clip(stations, section.s, max(section.s, section.end - 1e-9))
        raw = network.poses(key, inside)
        along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(raw.x), np.diff(raw.y)))])
        # A lane that its offset or width throws far aside is longer than its road.
        total = _counted(network, total, float(along[-1]) / step)
        if along[-1] < MIN_LENGTH or raw.width.max() < 0.1:
            continue
        count = max(2, math.ceil(along[-1] / step) + 1)
        for _ in range(3):  # the stations of even steps; again where a bend begins between two of them
            inside = np.interp(np.linspace(0.0, along[-1], count), along, inside)
            pose = network.poses(key, inside)
            along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(pose.x), np.diff(pose.y)))])
            if np.ptp(np.diff(along)) < EVENNESS * along[-1] / (count - 1):
                break
        length = np.linspace(0.0, along[-1], count)
        keys.append(key)
        shapes.append(np.stack([pose.x, pose.y, pose.z, pose.yaw, pose.width, length], axis=1))
    return keys, shapes


def _counted(network: RoadNetwork, total: int, more: float) -> int:
    """The count of points so far and `more`; RoadError where that is more than fit."""
    if not total + more < MAX_POINTS:
        raise RoadError(f"{network.name}: its lanes need more than the {MAX_POINTS} points that fit")
    return total + int(more) + 2


def _linked(key: LaneKey, links: Callable[[LaneKey], list[LaneKey]], row: dict[LaneKey, int]) -> list[int]:
    """Rows of the lanes that follow `key`; lanes too short for the table are passed through."""
    found: list[int] = []
    stack, seen = list(links(key)), {key}
    while stack:
        other = stack.pop(0)
        if other in seen:
            continue
        seen.add(other)
        if other in row:
            if row[other] not in found:
                found.append(row[other])
        else:
            stack = list(links(other)) + stack
    return found


def _padded(lists: list[list[int]]) -> I32:
    rows = np.full((len(lists), MAX_SUCCESSORS), -1, np.int32)
    for k, values in enumerate(lists):
        rows[k, : min(len(values), MAX_SUCCESSORS)] = values[:MAX_SUCCESSORS]
    return rows


def _wrapped(angle: F64) -> F32:
    """Angles in [-pi, pi) after rounding to float32 as well."""
    value = (np.mod(angle + np.pi, 2 * np.pi) - np.pi).astype(np.float32)
    return np.where(value >= np.float32(np.pi), -value, value).astype(np.float32)


def _neighbours(
    network: RoadNetwork, keys: list[LaneKey], row: dict[LaneKey, int], shapes: list[F64]
) -> tuple[I32, I32, NDArray[np.bool_], NDArray[np.bool_]]:
    """Lanes beside, same direction, and whether the marking between (at the lane's middle) allows the change."""
    left, right = np.full(len(keys), -1, np.int32), np.full(len(keys), -1, np.int32)
    may_left, may_right = np.zeros(len(keys), np.bool_), np.zeros(len(keys), np.bool_)
    for k, (road, section, lane) in enumerate(keys):
        sign = 1 if lane > 0 else -1
        middle = (network.section(road, section).s + network.section(road, section).end) / 2
        outside = row.get((road, section, lane + sign), -1)
        inside = row.get((road, section, lane - sign), -1) if lane != sign else -1
        right[k], left[k] = outside, inside
        may_right[k] = outside >= 0 and _allows(network, (road, section, lane), lane, sign, middle)
        may_left[k] = inside >= 0 and _allows(network, (road, section, lane), lane - sign, -sign, middle)
    return left, right, may_left, may_right


def _allows(network: RoadNetwork, key: LaneKey, border: int, towards: int, s: float) -> bool:
    """Whether the marking on the outer edge of lane `border` may be crossed towards rising (+1) or falling (-1) ids."""
    mark = network.marking((key[0], key[1], border), s)[0]
    if mark is None:
        return True
    if mark.lane_change in ("increase", "decrease"):
        return (mark.lane_change == "increase") == (towards > 0)
    # Of a double marking the part next to the vehicle binds; parts are named from inside to outside.
    parts = mark.kind.lower().split() or ["none"]
    outward = (towards > 0) == (border > 0 or (border == 0 and towards > 0))
    return mark.lane_change != "none" and parts[0 if outward else -1] in ("none", "broken", "botts")


def _speed_limits(network: RoadNetwork, keys: list[LaneKey], leading: list[list[int]]) -> F64:
    """m/s: the lane's own record, else the road's, else that of the lane leading in, else 50 km/h."""
    limits = np.full(len(keys), np.nan)
    for k, key in enumerate(keys):
        section = network.section(key[0], key[1])
        middle = (section.s + section.end) / 2
        own = network.lane(key).speeds
        for table, s in ((own, middle - section.s), (network.roads[key[0]].speeds, middle)):
            if len(table) and np.isnan(limits[k]):
                limits[k] = table[max(0, int(np.searchsorted(table[:, 0], s, side="right")) - 1), 1]
    for _ in range(4):
        for k in np.flatnonzero(np.isnan(limits)).tolist():
            known = [limits[other] for other in leading[k] if not np.isnan(limits[other])]
            if known:
                limits[k] = min(known)
    limits[np.isnan(limits)] = DEFAULT_SPEED
    return np.maximum(limits, 1.0)


def grid(x: F32, y: F32) -> tuple[F32, I32, float, I32, I32]:
    """Origin, size, cell edge, rows and points of the nearest-lane grid: a cell lists its own and its 8 neighbours'."""
    cell = GRID_CELL
    low = np.array([x.min(), y.min()], np.float64) - 2 * cell
    span = np.array([x.max(), y.max()], np.float64) - low + 2 * cell
    cell = max(cell, math.sqrt(span[0] * span[1] / MAX_CELLS), span.max() / MAX_CELLS)
    size = np.ceil(span / cell).astype(np.int64) + 1
    cx, cy = ((x - low[0]) / cell).astype(np.int64), ((y - low[1]) / cell).astype(np.int64)
    cells = np.concatenate(
        [
            np.clip(cy + dy, 0, size[1] - 1) * size[0] + np.clip(cx + dx, 0, size[0] - 1)
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        ]
    )
    points = np.tile(np.arange(len(x), dtype=np.int32), 9)
    order = np.argsort(cells, kind="stable")
    first = np.searchsorted(cells[order], np.arange(size[0] * size[1] + 1))
    return low.astype(np.float32), size.astype(np.int32), float(cell), first.astype(np.int32), points[order]
