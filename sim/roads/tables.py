"""The lane graph as flat arrays: what Numba kernels read.

Everything is in the CARLA world frame (x forward, y right, z up at the map's origin), metres, radians, m/s, float32 and
int32. A lane here is one lane of one lane section of one road, ordered in its direction of travel, so `s` grows the way
traffic drives. -1 means "none" in every index.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
MAX_SUCCESSORS = 8


class StopControl(IntEnum):
    """What governs the entrance of a lane (its first point is the stop line)."""

    NONE = 0
    LIGHT = 1
    STOP_SIGN = 2
    YIELD = 3


class ConflictKind(IntEnum):
    """How two connecting lanes share ground."""

    CROSS = 0
    MERGE = 1
    """They end in the same lane."""
    DIVERGE = 2
    """They begin in the same lane: vehicles on them follow one another, nobody gives way."""


@dataclass(frozen=True)
class LaneTables:
    """L driving lanes with P points in all, J junctions, S traffic lights, C conflicts, G grid cells.

    Points of lane l: `first_point[l] : first_point[l] + point_count[l]`, `spacing[l]` apart along the centre line, at
    least two; the first at s = 0, the last at s = length.
    """

    # points [P]
    x: F32
    y: F32
    z: F32
    yaw: F32
    """Heading in the direction of travel, wrapped to [-pi, pi)."""
    half_width: F32
    """Half the lane's width there."""
    # lanes [L]
    first_point: I32
    point_count: I32
    spacing: F32
    length: F32
    speed_limit: F32
    road: I32
    """Index into RoadNetwork.roads (not the OpenDRIVE id, which may be any text)."""
    section: I32
    lane: I32
    """OpenDRIVE lane id (negative right of the reference line)."""
    junction: I32
    """Index of the junction the lane crosses, -1 outside junctions."""
    successors: I32
    """[L, MAX_SUCCESSORS], filled from the front."""
    predecessors: I32
    """[L, MAX_SUCCESSORS], filled from the front."""
    left: I32
    """Neighbour lane with the same direction of travel."""
    right: I32
    may_change_left: NDArray[np.bool_]
    """The marking allows it."""
    may_change_right: NDArray[np.bool_]
    turn: I32
    """-1 left, 0 straight, 1 right; of a connecting lane, else 0."""
    # entrance control [L]; set on connecting lanes of junctions
    control: I32
    """StopControl of the entrance."""
    light: I32
    """Index of the traffic light that binds the entrance."""
    # traffic lights [S]
    light_x: F32
    light_y: F32
    light_yaw: F32
    """Where the lamps face: against the traffic that they govern."""
    light_signal: I32
    """Index into RoadNetwork.signals."""
    light_junction: I32
    light_group: I32
    """Place in its junction's cycle: lights of one group are green together."""
    group_count: I32
    """[J] groups in the junction's cycle, 0 where it has no lights."""
    # conflicts of connecting lanes: rows conflict_first[l] : conflict_first[l + 1]
    conflict_first: I32
    """[L + 1]"""
    conflict_lane: I32
    """[C] the other lane."""
    conflict_begin: F32
    """[C] own s where the shared area begins."""
    conflict_end: F32
    conflict_other_begin: F32
    """[C] the other lane's s where the shared area begins."""
    conflict_other_end: F32
    conflict_yield: I32
    """[C] 1: this lane gives way, -1: the other does, 0: whoever comes first (equal)."""
    conflict_kind: I32
    """[C] ConflictKind."""
    # nearest-lane grid: points of cell c (row-major, y outer): grid_point[grid_first[c] : grid_first[c + 1]]
    grid_origin: F32
    """[2] x, y of the lower corner."""
    grid_size: I32
    """[2] cells in x, y."""
    grid_cell: float
    """Edge of a cell. Each cell lists every point within half an edge + 8 m of it, so one look-up finds the nearest."""
    grid_first: I32
    """[G + 1]"""
    grid_point: I32
    point_lane: I32
    """[P] lane of each point."""


@dataclass(frozen=True)
class WalkTables:
    """Where pedestrians walk: a graph of straight edges along sidewalks, their corners and crossings.

    [V] vertices, [E] edges (each stored once, walked both ways), adjacency in compressed rows.
    """

    x: F32
    y: F32
    z: F32
    edge_from: I32
    edge_to: I32
    edge_half_width: F32
    edge_junction: I32
    """Junction of a crossing edge, -1 on a sidewalk."""
    edge_crossing: NDArray[np.bool_]
    """The edge crosses a roadway."""
    edge_kerb: F32
    """[E, 2] of a crossing: metres from its begin, and from its end, to the kerb. Beyond, it runs on the roadway."""
    edge_drop: F32
    """[E, 2] of a crossing: metres by which the roadway lies below the sidewalk there; 0 on a sidewalk."""
    vertex_first: I32
    """[V + 1] rows of vertex_edge."""
    vertex_edge: I32
    # where crossing edges meet driving lanes: rows crossing_first[e] : crossing_first[e + 1]
    crossing_first: I32
    """[E + 1]"""
    crossing_lane: I32
    """Row of LaneTables."""
    crossing_begin: F32
    """s on the lane where the crossing begins (its width included)."""
    crossing_end: F32
