"""From radiance to a picture: ambient occlusion before shading; bloom, rain, tone curve and noise after."""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from sim.sensors.jit import INNER, PARALLEL, f32, hash01, mix, sat, shuffled, single, smooth

TAPS = 9
BLOOM_RADIUS = 6
CURVE = 4096


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


@single(**PARALLEL)
def occlude(inverse, ids, cam, pattern, out):
    """Half-resolution obscurance from the 2 x 2 sample buffer `inverse`: 1 open .. .15 deep in a corner."""
    rows, columns = out.shape
    fx = cam[3]
    fy = cam[4]
    # a sample's place on the plane one metre away: a times its number plus b
    ax = 0.5 / fx
    ay = 0.5 / fy
    bx = (0.25 - cam[5]) / fx
    by = (0.25 - cam[6]) / fy
    reach = f32(0.9)
    for row in prange(rows):
        yy = shuffled(row, rows)
        for xx in range(columns):
            sy = yy * 4 + 1
            sx = xx * 4 + 1
            out[yy, xx] = 1.0
            if ids[sy, sx] < 0:
                continue
            zc = inverse[sy, sx]
            z = 1.0 / zc
            pixels = min(60.0, fx * reach / z * 2.0)
            if z > 70.0 or pixels < 2.0:
                continue
            px = (f32(sx) * ax + bx) * z
            py = (f32(sy) * ay + by) * z
            # plane of the surface from the nearer neighbours in each direction: 1/z = a X/Z + b Y/Z + c
            zl = inverse[sy, max(sx - 2, 0)]
            zr = inverse[sy, min(sx + 2, ids.shape[1] - 1)]
            zu = inverse[max(sy - 2, 0), sx]
            zd = inverse[min(sy + 2, ids.shape[0] - 1), sx]
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
def smooth_occlusion(raw, inverse, out):
    """4 x 4 mean over pixels of about the same depth."""
    rows, columns = out.shape
    for y in prange(rows):
        for x in range(columns):
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
def highlights(radiance, exposure, out):
    """Quarter-resolution light above the white point."""
    rows, columns, _ = out.shape
    for y in prange(rows):
        for x in range(columns):
            for c in range(3):
                s = f32(0.0)
                for j in range(4):
                    for i in range(4):
                        s += max(0.0, min(12.0, radiance[y * 4 + j, x * 4 + i, c] * exposure) - 1.1)
                out[y, x, c] = s * 0.0625


@single(**PARALLEL)
def blur(source, out, axis):
    """Tent blur along one axis."""
    rows, columns, _ = out.shape
    for y in prange(rows):
        for x in range(columns):
            for c in range(3):
                s = f32(0.0)
                n = f32(0.0)
                for k in range(-6, 7):
                    j = y + (k if axis == 0 else 0)
                    i = x + (k if axis == 1 else 0)
                    w = f32(7 - abs(k))
                    n += w
                    if j >= 0 and i >= 0 and j < rows and i < columns:
                        s += source[j, i, c] * w
                out[y, x, c] = s / n


def tone_curve(gamma: float = 2.2) -> NDArray[np.float32]:
    """[CURVE] 0..255 over exposed radiance 0..16 (square-root spaced): a filmic shoulder, then display gamma."""
    x = (np.arange(CURVE) / (CURVE - 1)) ** 2 * 16 * 0.66
    y = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    if abs(gamma - 2.2) < 1e-6:
        y = np.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055)
    else:
        y = y ** (1 / gamma)
    return (y * 255).astype(np.float32)


@single(**INNER)
def _rain(env, u, v, pitch):
    """Share of a streak of rain at (u, v) focal lengths from the picture's centre: three layers of lines."""
    total = f32(0.0)
    for layer in range(3):
        size = 0.016 + 0.012 * f32(layer)
        slant = (0.05 + 0.30 * env[25]) * (1.0 - 0.25 * f32(layer))
        column = (u + v * slant) / size
        ic = np.floor(column)
        h = hash01(int(ic) + 4000, layer, 17)
        fall = v / (size * 26.0) - env[24] * (2.2 + 1.4 * h) / (0.6 + 0.5 * f32(layer)) + h * 19.0
        ir = np.floor(fall)
        h2 = hash01(int(ic) + 4000, int(ir) + 100000, layer)
        if h2 < 0.16 + 0.42 * env[22]:
            cx = column - ic - 0.2 - 0.6 * hash01(int(ir) + 100000, int(ic) + 4000, 3)
            fy = fall - ir
            total += smooth(0.10, 0.02, abs(cx)) * smooth(0.0, 0.25, fy) * smooth(0.75, 0.5, fy) * (0.5 + 0.5 * h2)
    return total * (0.55 + 0.45 * pitch)


@single(**PARALLEL)
def develop(radiance, bloom, env, cam, up, exposure, glare, curve, seed, grain, out):
    """Fill out [H, W, 3] uint8 from linear radiance: rain, bloom, vignette, tone curve, sensor noise.

    `up`: how far up the camera looks (sine of its pitch).
    """
    height, width, _ = out.shape
    rows, columns, _ = bloom.shape
    cx = f32(width) * 0.5
    cy = f32(height) * 0.5
    inv = 1.0 / (cx * cx + cy * cy)
    bright = (env[6] + env[9]) * 0.32 + (env[7] + env[10]) * 0.1 + 0.02
    for y in prange(height):
        v = min(max((f32(y) + 0.5) * 0.25 - 0.5, 0.0), f32(rows) - 1.001)
        j = int(v)
        fv = v - f32(j)
        j1 = min(j + 1, rows - 1)
        glow = np.empty((columns, 3), np.float32)
        for i in range(columns):
            for c in range(3):
                glow[i, c] = (bloom[j, i, c] * (1.0 - fv) + bloom[j1, i, c] * fv) * glare
        for x in range(width):
            u = min(max((f32(x) + 0.5) * 0.25 - 0.5, 0.0), f32(columns) - 1.001)
            i = int(u)
            fu = u - f32(i)
            i1 = min(i + 1, columns - 1)
            d2 = ((f32(x) - cx) * (f32(x) - cx) + (f32(y) - cy) * (f32(y) - cy)) * inv
            vignette = 1.0 - 0.20 * d2
            # two halves of one hash: a triangular distribution
            h = hash01(x + 1, y + 1, seed) * 4096.0
            coarse = np.floor(h)
            noise = (coarse * (1.0 / 4096.0) + (h - coarse) - 1.0) * grain
            drop = f32(0.0)
            if env[22] > 0.0:
                drop = sat(_rain(env, (f32(x) - cam[5]) / cam[3], (f32(y) - cam[6]) / cam[4], up)) * (
                    0.10 + 0.22 * env[22]
                )
            for c in range(3):
                b = glow[i, c] + (glow[i1, c] - glow[i, c]) * fu
                light = radiance[y, x, c]
                if drop > 0.0:
                    light = mix(light, bright + 0.35 * light, drop)
                q = math.sqrt(max(0.0, min((light * exposure + b) * vignette, 16.0)) * 0.0625) * 4095.0
                k = min(int(q), 4094)
                shown = curve[k] + (curve[k + 1] - curve[k]) * (q - f32(k)) + noise
                out[y, x, c] = np.uint8(min(255.0, max(0.0, shown + 0.5)))
