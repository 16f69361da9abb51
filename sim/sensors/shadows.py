"""Shadow maps of the sun: two static cascades that are kept while nothing changes, one of the actors for each frame."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from sim.sensors.jit import INNER, PARALLEL, f32, floor, single
from sim.sensors.mesh import Geometry
from sim.sensors.parts import Posed
from sim.sensors.raster import BAND, Raster, Scratch
from sim.sensors.scene.assembly import Static
from sim.sensors.view import View

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
NEAR_SIZE, FAR_SIZE, ACTOR_SIZE = 2048, 1024, 1024
NEAR_SPAN, FAR_SPAN, ACTOR_SPAN = 130.0, 560.0, 130.0
"""Metres that a map covers."""
STEP = 16.0
"""The maps' centre moves in steps of this many metres, so that static ones are drawn rarely."""
TILE = BAND


@single(**INNER)
def _tent(depth, u, v, z):
    """Lit share of a 4 x 4 neighbourhood with tent weights; `depth` holds minus the depth (more is nearer the sun)."""
    rows, columns = depth.shape
    u -= 0.5
    v -= 0.5
    iu = int(floor(u))
    iv = int(floor(v))
    fu = u - floor(u)
    fv = v - floor(v)
    if iu < 2 or iv < 2 or iu > columns - 4 or iv > rows - 4:
        return f32(1.0)
    # unsigned indices spare the check for negative ones
    i0 = np.uint32(iu - 1)
    i1 = np.uint32(iu)
    i2 = np.uint32(iu + 1)
    i3 = np.uint32(iu + 2)
    gu = 1.0 - fu
    lit = f32(0.0)
    for j in range(4):
        line = depth[np.uint32(iv - 1 + j)]
        row = gu if line[i0] <= z else f32(0.0)
        row += f32(1.0) if line[i1] <= z else f32(0.0)
        row += f32(1.0) if line[i2] <= z else f32(0.0)
        row += fu if line[i3] <= z else f32(0.0)
        if j == 0:
            row *= 1.0 - fv
        elif j == 3:
            row *= fv
        lit += row
    return lit * (1.0 / 9.0)


@single(forceinline=True, **INNER)
def sunlight(near, far, moving, busy, light, x, y, z, slope):
    """Share of the sun that reaches a point. `light` [5, 3]: three rows of the sun's basis, centre, pixels per metre.

    `slope`: tangent of the angle between surface normal and sun, for the bias.
    """
    lx = light[0, 0] * x + light[0, 1] * y + light[0, 2] * z - light[3, 0]
    ly = light[1, 0] * x + light[1, 1] * y + light[1, 2] * z - light[3, 1]
    depth = -(light[2, 0] * x + light[2, 1] * y + light[2, 2] * z - light[3, 2])
    k = light[4, 0]
    u = lx * k + f32(near.shape[1]) * 0.5
    v = ly * k + f32(near.shape[0]) * 0.5
    if u > 6.0 and v > 6.0 and u < f32(near.shape[1] - 6) and v < f32(near.shape[0] - 6):
        lit = _tent(near, u, v, depth + 0.05 + 1.6 / k * slope)
    else:
        k = light[4, 1]
        u = lx * k + f32(far.shape[1]) * 0.5
        v = ly * k + f32(far.shape[0]) * 0.5
        lit = _tent(far, u, v, depth + 0.15 + 1.6 / k * slope)
    if lit > 0.0:
        k = light[4, 2]
        u = lx * k + f32(moving.shape[1]) * 0.5
        v = ly * k + f32(moving.shape[0]) * 0.5
        if u > 16.0 and v > 16.0:
            i = int(u) >> 4
            j = int(v) >> 4
            if i < busy.shape[1] - 1 and j < busy.shape[0] - 1 and busy[j, i]:
                lit = min(lit, _tent(moving, u, v, depth + 0.04 + 1.6 / k * slope))
    return lit


@single(**PARALLEL)
def _mark(depth, start, busy):
    """Mark the tiles of the actors' map, and their neighbours, in which anything was drawn.

    `start` [bands + 1]: entries of the raster's bands, which are as high as tiles.
    """
    rows, columns = busy.shape
    used = np.zeros((rows, columns), np.bool_)
    for j in prange(rows):
        if start[j] < start[j + 1]:
            for i in range(columns):
                found = False
                for y in range(j * 16, j * 16 + 16):
                    for x in range(i * 16, i * 16 + 16):
                        if depth[y, x] > -1e29:
                            found = True
                used[j, i] = found
    for j in prange(rows):
        for i in range(columns):
            found = False
            for y in range(max(0, j - 1), min(rows, j + 2)):
                for x in range(max(0, i - 1), min(columns, i + 2)):
                    if used[y, x]:
                        found = True
            busy[j, i] = found


@dataclass
class Shadows:
    """What `sunlight` reads."""

    near: F32
    far: F32
    moving: F32
    busy: NDArray[np.bool_]
    light: F32


class ShadowMaps:
    """Draws and keeps the maps; `of` returns those for a camera and a sun."""

    def __init__(self, scratch: Scratch, keep: int = 3) -> None:
        self._kept: dict[tuple[float, ...], tuple[F32, F32]] = {}
        self._keep = keep
        self._near = Raster(NEAR_SIZE, NEAR_SIZE, scratch, named=False)
        self._far = Raster(FAR_SIZE, FAR_SIZE, scratch, named=False)
        self._moving = Raster(ACTOR_SIZE, ACTOR_SIZE, scratch, named=False)
        self._busy = np.zeros((ACTOR_SIZE // TILE, ACTOR_SIZE // TILE), np.bool_)

    def view(self, view: View, sun: F32) -> View:
        """The actors' map for a camera, as an orthographic view from the sun (a unit vector towards it)."""
        s = sun.astype(np.float64)
        up = np.array([0, 0, 1.0]) if abs(s[2]) < 0.95 else np.array([1.0, 0, 0])
        right = np.cross(up, s)
        right /= np.linalg.norm(right)
        basis = np.stack([right, np.cross(s, right), -s]).astype(np.float32)
        # the middle of what the camera sees: ahead of it on the ground
        ahead = view.rotation[2].astype(np.float64)
        flat = math.hypot(ahead[0], ahead[1])
        reach = 38.0 * flat
        if ahead[2] < -0.35:  # a high camera that looks down sees the ground around its axis
            reach = min(view.position[2] / -ahead[2], 200.0) * flat
        centre = view.position + np.array([ahead[0], ahead[1], 0]) / max(flat, 1e-6) * reach
        centre = np.round(centre / STEP) * STEP
        centre[2] = 0.0
        return _map_view(basis, centre.astype(np.float32), ACTOR_SIZE, ACTOR_SPAN)

    def of(self, own: View, static: Static, actors: Geometry, posed: Posed) -> Shadows:
        """All maps around `own`, which `view` gave; `actors`: their triangles, and which they are."""
        basis, c = own.rotation, own.position
        key = (*np.round(basis.ravel(), 5), *c[:2])
        if key not in self._kept:
            maps = []
            for raster, size, span in ((self._near, NEAR_SIZE, NEAR_SPAN), (self._far, FAR_SIZE, FAR_SPAN)):
                whole = _map_view(basis, c, size, span)
                raster.draw(static.mesh, actors, static.visible(whole, 1e9), whole)
                maps.append(raster.take())
            while len(self._kept) >= self._keep:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = (maps[0], maps[1])
        near, far = self._kept[key]
        self._moving.draw(static.mesh, actors, posed.visible(own), own)
        _mark(self._moving.inverse, self._moving.start, self._busy)
        light = np.zeros((5, 3), np.float32)
        scale = (NEAR_SIZE / NEAR_SPAN, FAR_SIZE / FAR_SPAN, ACTOR_SIZE / ACTOR_SPAN)
        light[:3], light[3], light[4] = basis, basis @ c, scale
        return Shadows(near, far, self._moving.inverse, self._busy, light)


def _map_view(basis: F32, centre: F32, size: int, span: float) -> View:
    return View(basis, centre, size / span, size / span, size / 2, size / 2, size, size, orthographic=True)
