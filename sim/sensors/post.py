"""From radiance to a picture: bloom, rain, tone curve and the sensor's noise."""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from sim.sensors.jit import INNER, PARALLEL, f32, floor, hash01, mix, sat, single, smooth

CURVE = 4096


@single(forceinline=True, **INNER)
def highlight_pixel(y, x, radiance, exposure, out):
    """One pixel of `highlights`."""
    for c in range(3):
        s = f32(0.0)
        for j in range(4):
            for i in range(4):
                s += max(0.0, min(12.0, radiance[y * 4 + j, x * 4 + i, c] * exposure) - 1.1)
        out[y, x, c] = s * 0.0625


@single(**PARALLEL)
def highlights(radiance, exposure, out):
    """Quarter-resolution light above the white point."""
    rows, columns, _ = out.shape
    for y in prange(rows):
        for x in range(columns):
            highlight_pixel(y, x, radiance, exposure, out)


@single(forceinline=True, **INNER)
def blur_pixel(y, x, source, axis, out):
    """One pixel of `blur`."""
    rows, columns, _ = out.shape
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


@single(**PARALLEL)
def blur(source, axis, out):
    """Tent blur along one axis."""
    rows, columns, _ = out.shape
    for y in prange(rows):
        for x in range(columns):
            blur_pixel(y, x, source, axis, out)


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
        ic = floor(column)
        h = hash01(int(ic) + 4000, layer, 17)
        fall = v / (size * 26.0) - env[24] * (2.2 + 1.4 * h) / (0.6 + 0.5 * f32(layer)) + h * 19.0
        ir = floor(fall)
        h2 = hash01(int(ic) + 4000, int(ir) + 100000, layer)
        if h2 < 0.16 + 0.42 * env[22]:
            cx = column - ic - 0.2 - 0.6 * hash01(int(ir) + 100000, int(ic) + 4000, 3)
            fy = fall - ir
            total += smooth(0.10, 0.02, abs(cx)) * smooth(0.0, 0.25, fy) * smooth(0.75, 0.5, fy) * (0.5 + 0.5 * h2)
    return total * (0.55 + 0.45 * pitch)


@single(forceinline=True, **INNER)
def quarter(x, n):
    """Where pixel x lies in a row of n pixels four times as wide: after which one, and how far to the next."""
    u = min(max((f32(x) + 0.5) * 0.25 - 0.5, 0.0), f32(n) - 1.001)
    i = int(u)
    return i, u - f32(i)


@single(forceinline=True, **INNER)
def glow_at(bloom, j, fv, i, c, glare):
    """Bloom of column i between rows j and j + 1."""
    below = min(j + 1, bloom.shape[0] - 1)
    return (bloom[j, i, c] * (1.0 - fv) + bloom[below, i, c] * fv) * glare


@single(forceinline=True, **INNER)
def develop_pixel(y, x, glow, left, right, fu, radiance, env, cam, up, exposure, curve, seed, grain, out):
    """One pixel of `develop`; its bloom lies between entries `left` and `right` of glow [.., 3]."""
    height, width, _ = out.shape
    cx = f32(width) * 0.5
    cy = f32(height) * 0.5
    inv = 1.0 / (cx * cx + cy * cy)
    bright = (env[6] + env[9]) * 0.32 + (env[7] + env[10]) * 0.1 + 0.02
    d2 = ((f32(x) - cx) * (f32(x) - cx) + (f32(y) - cy) * (f32(y) - cy)) * inv
    vignette = 1.0 - 0.20 * d2
    # two halves of one hash: a triangular distribution
    h = hash01(x + 1, y + 1, seed) * 4096.0
    coarse = floor(h)
    noise = (coarse * (1.0 / 4096.0) + (h - coarse) - 1.0) * grain
    drop = f32(0.0)
    if env[22] > 0.0:
        u = (f32(x) - cam[5]) * (1.0 / cam[3])
        v = (f32(y) - cam[6]) * (1.0 / cam[4])
        drop = sat(_rain(env, u, v, up)) * (0.10 + 0.22 * env[22])
    for c in range(3):
        b = glow[left, c] + (glow[right, c] - glow[left, c]) * fu
        light = radiance[y, x, c]
        if drop > 0.0:
            light = mix(light, bright + 0.35 * light, drop)
        q = math.sqrt(max(0.0, min((light * exposure + b) * vignette, 16.0)) * 0.0625) * 4095.0
        k = min(int(q), 4094)
        shown = curve[k] + (curve[k + 1] - curve[k]) * (q - f32(k)) + noise
        out[y, x, c] = np.uint8(min(255.0, max(0.0, shown + 0.5)))


@single(**PARALLEL)
def develop(radiance, bloom, glare, env, cam, up, exposure, curve, seed, grain, out):
    """Fill out [H, W, 3] uint8 from linear radiance: rain, bloom, vignette, tone curve, sensor noise.

    `up`: how far up the camera looks (sine of its pitch).
    """
    height, width, _ = out.shape
    rows, columns, _ = bloom.shape
    for y in prange(height):
        j, fv = quarter(y, rows)
        glow = np.empty((columns, 3), np.float32)
        for i in range(columns):
            for c in range(3):
                glow[i, c] = glow_at(bloom, j, fv, i, c, glare)
        for x in range(width):
            i, fu = quarter(x, columns)
            develop_pixel(
                y, x, glow, i, min(i + 1, columns - 1), fu, radiance, env, cam, up, exposure, curve, seed, grain, out
            )
