"""Light of street lamps and head lamps at night: soft cones whose pools lie on whatever they meet."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.sensors.actors import Actors, rotations
from sim.sensors.jit import INNER, sat, single, smooth
from sim.sensors.meshes.designs import DESIGNS, TRUCK_CAB, Body

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
CELL = 16.0
REACH = 26.0
HEADS = 24
"""At most this many nearest head lamps light the scene."""


@dataclass(frozen=True)
class LampGrid:
    """Street lamps [n, 3] and, per square cell of the ground, those within reach: rows of `items` from `first`."""

    position: F32
    origin: F32
    size: I32
    first: I32
    items: I32

    @staticmethod
    def of(position: F32) -> LampGrid:
        """From lamp heads in world coordinates."""
        p = np.asarray(position, np.float32).reshape(-1, 3)
        if not len(p):
            return LampGrid(
                p, np.zeros(2, np.float32), np.zeros(2, np.int32), np.zeros(1, np.int32), np.zeros(0, np.int32)
            )
        origin = p[:, :2].min(0) - REACH
        size = np.ceil((p[:, :2].max(0) + REACH - origin) / CELL).astype(np.int32)
        first: list[int] = [0]
        items: list[int] = []
        for j in range(size[1]):
            for i in range(size[0]):
                low = origin + np.array([i, j]) * CELL
                gap = np.maximum(np.maximum(low - p[:, :2], p[:, :2] - low - CELL), 0)
                items.extend(np.flatnonzero(np.hypot(gap[:, 0], gap[:, 1]) < REACH))
                first.append(len(items))
        return LampGrid(p, origin.astype(np.float32), size, np.array(first, np.int32), np.array(items, np.int32))


@single(**INNER)
def lamp_light(lamps, origin, size, first, items, power, x, y, z, nx, ny, nz):
    """Irradiance (one number; the colour is the caller's) of street lamps at a point with a normal."""
    i = int((x - origin[0]) / 16.0)
    j = int((y - origin[1]) / 16.0)
    total = np.float32(0.0)
    if x < origin[0] or y < origin[1] or i >= size[0] or j >= size[1]:
        return total
    cell = j * size[0] + i
    for k in range(first[cell], first[cell + 1]):
        lamp = items[k]
        dx = lamps[lamp, 0] - x
        dy = lamps[lamp, 1] - y
        dz = lamps[lamp, 2] - z
        d2 = dx * dx + dy * dy + dz * dz
        if dz <= 0.05 or d2 > 676.0:
            continue
        d = math.sqrt(d2)
        down = dz / d
        facing = (nx * dx + ny * dy + nz * dz) / d
        # wide cone, softer at its rim; fades to nothing at the reach
        cone = smooth(0.30, 0.75, down)
        fade = 1.0 - d2 / 676.0
        total += sat(facing * 0.85 + 0.15) * cone * fade * fade * 46.0 / (d2 + 6.0)
    return total * power


@single(**INNER)
def head_light(heads, count, x, y, z, nx, ny, nz):
    """Irradiance of head lamps (rows x, y, z and unit direction of the beam) at a point with a normal."""
    total = np.float32(0.0)
    for k in range(count):
        dx = heads[k, 0] - x
        dy = heads[k, 1] - y
        dz = heads[k, 2] - z
        d2 = dx * dx + dy * dy + dz * dz
        if d2 > 3600.0 or d2 < 0.02:
            continue
        d = math.sqrt(d2)
        along = -(dx * heads[k, 3] + dy * heads[k, 4] + dz * heads[k, 5]) / d
        if along < 0.80:
            continue
        # a dipped beam is cut off above the horizontal
        above = (z - heads[k, 2]) / d
        beam = smooth(0.78, 0.99, along) * smooth(0.035, -0.01, above)
        fade = 1.0 - d2 / 3600.0
        total += sat((nx * dx + ny * dy + nz * dz) / d * 0.8 + 0.2) * beam * fade * 165.0 / (d2 + 50.0)
    return total


def head_lamps(actors: Actors, eye: F32) -> F32:
    """Rows x, y, z, direction of the head lamps nearest to the eye (two per car, one per two-wheeler)."""
    rows = np.flatnonzero((actors.lamps & 1) != 0)
    if not len(rows):
        return np.zeros((0, 6), np.float32)
    gap = np.linalg.norm(actors.pose[rows, :3] - eye, axis=1)
    rows = rows[np.argsort(gap, kind="stable")]
    found = []
    for row in rows:
        kind = int(actors.kind[row])
        if kind > Body.BICYCLE:
            continue
        d = DESIGNS.get(Body(kind), TRUCK_CAB)
        two = kind < Body.MOTORCYCLE
        front = d.length / 2 if two else 0.62
        side = d.width / 2 * 0.68 if two else 0.0
        m = rotations(*(actors.pose[row : row + 1, k] for k in (3, 4, 5)))[0]
        beam = m @ np.array([0.9985, 0, -0.055], np.float32)
        for y in (side, -side) if two else (0.0,):
            at = actors.pose[row, :3] + m @ np.array(
                [front + 0.05, y, min(d.bonnet - 0.1, 0.95) if two else 0.85], np.float32
            )
            found.append([*at, *beam])
        if len(found) >= HEADS:
            break
    return np.array(found[:HEADS], np.float32)
