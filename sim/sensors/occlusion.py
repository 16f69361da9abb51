"""Ambient occlusion: how open to the sky a surface is, as far as the picture's own depth tells. Before shading."""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from sim.sensors.jit import INNER, PARALLEL, f32, shuffled, single

TAPS = 9


def occlusion_pattern() -> NDArray[np.float32]:
    """[16, TAPS, 2] offsets in the unit disc, a rotation for each of 16 neighbouring pixels."""
    k = np.arange(TAPS)
    radius = (k + 0.6) / TAPS
    return np.stack(
        [
            np.stack([radius * np.cos(p * 0.3927 + k * 2.4), radius * np.sin(p * 0.3927 + k * 2.4)], -1)
            for p in range(16)
        ]
    ).astype(np.float32)


@single(forceinline=True, **INNER)
def occlude_span(yy, first, last, inverse, ids, cam, pattern, out):
    """Pixels first .. last - 1 of row yy of `occlude`."""
    fx = cam[3]
    fy = cam[4]
    # a sample's place on the plane one metre away: a times its number plus b
    ax = 0.5 / fx
    ay = 0.5 / fy
    bx = (0.25 - cam[5]) / fx
    by = (0.25 - cam[6]) / fy
    reach = f32(0.9)
    for xx in range(first, last):
        sy = yy * 4 + 1
        sx = xx * 4 + 1
        out[yy, xx] = 1.0
        # unsigned indices spare the check for negative ones
        row = np.uint32(sy)
        column = np.uint32(sx)
        if ids[row, column] < 0:
            continue
        zc = inverse[row, column]
        z = 1.0 / zc
        pixels = min(60.0, fx * reach / z * 2.0)
        if z > 70.0 or pixels < 2.0:
            continue
        px = (f32(sx) * ax + bx) * z
        py = (f32(sy) * ay + by) * z
        # plane of the surface from the nearer neighbours in each direction: 1/z = a X/Z + b Y/Z + c
        zl = inverse[row, np.uint32(max(sx - 2, 0))]
        zr = inverse[row, np.uint32(min(sx + 2, ids.shape[1] - 1))]
        zu = inverse[np.uint32(max(sy - 2, 0)), column]
        zd = inverse[np.uint32(min(sy + 2, ids.shape[0] - 1)), column]
        a = ((zr - zc) if abs(zr - zc) < abs(zc - zl) else (zc - zl)) * fx
        b = ((zd - zc) if abs(zd - zc) < abs(zc - zu) else (zc - zu)) * fy
        c = zc - a * (px / z) - b * (py / z)
        k = 1.0 / math.sqrt(a * a + b * b + c * c + 1e-20)
        nx = -a * k
        ny = -b * k
        nz = -c * k
        dark = f32(0.0)
        turn = ((xx & 3) * 4 + (yy & 3) * 7) & 15
        for s in range(pattern.shape[1]):
            qx = sx + int(pixels * pattern[turn, s, 0])
            qy = sy + int(pixels * pattern[turn, s, 1])
            if qx < 0 or qy < 0 or qx >= ids.shape[1] or qy >= ids.shape[0]:
                continue
            other = inverse[np.uint32(qy), np.uint32(qx)]
            if other <= 0.0:
                continue
            z2 = 1.0 / other
            dz = z2 - z
            if abs(dz) > 2.0 * reach:
                continue
            dx = (f32(qx) * ax + bx) * z2 - px
            dy = (f32(qy) * ay + by) * z2 - py
            d2 = dx * dx + dy * dy + dz * dz
            rise = dx * nx + dy * ny + dz * nz - 0.02 - 0.002 * z
            if rise > 0.0 and d2 < 4.0 * reach * reach:
                dark += rise / math.sqrt(d2 + 1e-6) * (1.0 - d2 / (4.0 * reach * reach))
        out[yy, xx] = max(0.15, 1.0 - dark / f32(pattern.shape[1]) * 1.7)


@single(**PARALLEL)
def occlude(inverse, ids, cam, pattern, out):
    """Half-resolution obscurance from the 2 x 2 sample buffer `inverse`: 1 open .. .15 deep in a corner."""
    rows, columns = out.shape
    for row in prange(rows):
        occlude_span(shuffled(row, rows), 0, columns, inverse, ids, cam, pattern, out)


@single(forceinline=True, **INNER)
def smooth_pixel(y, x, raw, inverse, out):
    """One pixel of `smooth_occlusion`."""
    rows, columns = out.shape
    zc = inverse[y * 4 + 1, x * 4 + 1]
    total = f32(0.0)
    n = f32(0.0)
    for j in range(max(0, y - 2), min(rows, y + 2)):
        for i in range(max(0, x - 2), min(columns, x + 2)):
            if abs(inverse[j * 4 + 1, i * 4 + 1] - zc) < 0.08 * zc:
                total += raw[j, i]
                n += 1.0
    out[y, x] = total / n if n > 0.0 else raw[y, x]


@single(**PARALLEL)
def smooth_occlusion(raw, inverse, out):
    """4 x 4 mean over pixels of about the same depth."""
    rows, columns = out.shape
    for y in prange(rows):
        for x in range(columns):
            smooth_pixel(y, x, raw, inverse, out)
