"""Roads for the tests: a straight road made here, and a town that ships with the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sim.roads
from sim.roads.network import RoadNetwork
from sim.roads.tables import MAX_SUCCESSORS, LaneTables, WalkTables

TOWNS = Path(sim.roads.__file__).parent / "towns"


def parallel_lanes(count: int, length: float, spacing: float = 2.0, limit: float = 30.0) -> LaneTables:
    """`count` lanes side by side along x, all in the direction of x, the first at y = 0, 3.5 m wide."""
    n = int(length / spacing) + 1
    x = np.tile(np.arange(n) * spacing, count).astype(np.float32)
    y = np.repeat(np.arange(count) * 3.5, n).astype(np.float32)
    points, f4, i4 = n * count, np.float32, np.int32
    none = np.full(count, -1, i4)
    nothing = np.zeros(0, f4)
    links = np.full((count, MAX_SUCCESSORS), -1, i4)
    cell = 50.0
    size = np.array([int(length / cell) + 2, int(count * 3.5 / cell) + 3], i4)
    origin = np.array([-cell, -cell], f4)
    rows: list[int] = []
    first = [0]
    for cy in range(size[1]):
        for cx in range(size[0]):
            low = origin + np.array([cx, cy]) * cell - 8
            inside = (x >= low[0]) & (x < low[0] + cell + 16) & (y >= low[1]) & (y < low[1] + cell + 16)
            rows.extend(np.flatnonzero(inside).tolist())
            first.append(len(rows))
    left = np.arange(count, dtype=i4) - 1
    right = np.where(np.arange(count) + 1 < count, np.arange(count) + 1, -1).astype(i4)
    return LaneTables(
        x=x, y=y, z=np.zeros(points, f4), yaw=np.zeros(points, f4), half_width=np.full(points, 1.75, f4),
        first_point=(np.arange(count) * n).astype(i4), point_count=np.full(count, n, i4),
        spacing=np.full(count, spacing, f4), length=np.full(count, (n - 1) * spacing, f4),
        speed_limit=np.full(count, limit, f4), road=np.zeros(count, i4), section=np.zeros(count, i4),
        lane=-1 - np.arange(count, dtype=i4), junction=none, successors=links, predecessors=links.copy(),
        left=left, right=right, may_change_left=left >= 0, may_change_right=right >= 0, turn=np.zeros(count, i4),
        control=np.zeros(count, i4), light=none, light_x=nothing, light_y=nothing, light_yaw=nothing,
        light_junction=np.zeros(0, i4), light_group=np.zeros(0, i4), light_signal=np.zeros(0, i4),
        group_count=np.zeros(0, i4), conflict_first=np.zeros(count + 1, i4), conflict_lane=np.zeros(0, i4),
        conflict_begin=nothing, conflict_end=nothing, conflict_other_begin=nothing, conflict_other_end=nothing,
        conflict_yield=np.zeros(0, i4), conflict_kind=np.zeros(0, i4), grid_origin=origin, grid_size=size,
        grid_cell=cell, grid_first=np.array(first, i4), grid_point=np.array(rows, i4),
        point_lane=np.repeat(np.arange(count, dtype=i4), n),
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_lanes() -> Callable[..., LaneTables]:
    return parallel_lanes


@pytest.fixture(scope="session")
def town() -> tuple[LaneTables, WalkTables]:
    """A small town with lights, stop signs, a roundabout and a dead end."""
    network = RoadNetwork.load(TOWNS / "Alder.xodr")
    return network.lane_tables(), network.walk_tables()
