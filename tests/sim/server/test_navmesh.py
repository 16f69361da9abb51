"""The navigation mesh: Detour's layout, sound polygons, one connected net where the graph is one."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sim.server import navmesh
from sim.server.towns import TownLibrary


@pytest.mark.parametrize("name", ["Alder", "Marlin"])
def test_every_polygon_is_sound_and_neighbours_agree(name: str) -> None:
    town = TownLibrary().load(name)
    data = town.navigation
    assert data is not None
    magic, version, tiles = struct.unpack_from("<3i", data)
    assert (magic, version, tiles) == (0x4D534554, 1, 1)
    _, size = struct.unpack_from("<Ii", data, 12 + 28)
    tile = data[12 + 28 + 8 :]
    assert len(tile) == size
    head = struct.unpack_from("<5iI9i10f", tile)
    polygons, vertices, links, triangles = head[6], head[7], head[8], head[11]
    points = np.frombuffer(tile, "<f4", 3 * vertices, 100).reshape(-1, 3)
    record = np.dtype(
        [("link", "<u4"), ("corner", "<u2", 6), ("side", "<u2", 6), ("flags", "<u2"), ("n", "u1"), ("area", "u1")]
    )
    rows = np.frombuffer(tile, record, polygons, 100 + points.nbytes)
    assert size == 100 + points.nbytes + rows.nbytes + 12 * links + 12 * polygons + 4 * triangles
    assert np.isfinite(points).all()
    parent = list(range(polygons))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for number, row in enumerate(rows):
        n = int(row["n"])
        corner = [int(c) for c in row["corner"][:n]]
        assert len(set(corner)) == n
        x, z = points[corner, 0].astype(float), points[corner, 2].astype(float)
        a, b = np.roll(x, -1) - x, np.roll(z, -1) - z
        turns = a * np.roll(b, -1) - b * np.roll(a, -1)
        assert (turns < 1e-3).all(), "convex, clockwise with x right and z up"
        assert row["flags"] == navmesh.FLAGS[int(row["area"])]
        for k in range(n):
            side = int(row["side"][k])
            if side:
                other = rows[side - 1]
                count = int(other["n"])
                ring = [int(c) for c in other["corner"][:count]]
                edges = list(zip(ring, ring[1:] + ring[:1]))
                at = edges.index((corner[(k + 1) % n], corner[k]))
                assert other["side"][at] == number + 1, "each names the other"
                parent[root(number)] = root(side - 1)
    sizes = np.bincount([root(i) for i in range(polygons)])
    assert sizes.max() > 0.3 * polygons
    assert (rows["area"] == navmesh.SIDEWALK).sum() > 50


def test_a_town_without_sidewalks_has_none() -> None:
    assert navmesh.build(None) is None
