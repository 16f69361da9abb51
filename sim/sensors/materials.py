"""What surfaces look like: colour, bumps, roughness, reflection and own light, by material.

A surface is the tuple (r, g, b, nx, ny, nz, rough, f0, gloss, er, eg, eb, wrap): albedo, normal, roughness 0..1 of the
sun's highlight, reflectance at right angles, share of mirror-like reflection, own light, and how far light wraps around
(leaves). Patterns are filtered over the pixel's footprint `fg` (metres), so that nothing flickers.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math

import numpy as np

from sim.sensors.jit import SERIAL, box, cover, decay, f32, hash01, mix, sat, single, smooth
from sim.sensors.noise import noise


@single(**SERIAL)
def wet_film(env, tex, x, y, level):
    """0 dry .. 1 standing water at a point of the ground."""
    dip = noise(tex, 0, x * 0.047 + 0.5, y * 0.047, level - 4.0)
    puddle = smooth(0.56 - 0.16 * env[21], 0.74 - 0.16 * env[21], dip) * sat(env[21] * 3.0) * 0.92
    return max(env[15] * (0.35 + 0.35 * smooth(0.40, 0.62, dip)), puddle)


@single(**SERIAL)
def ripple(env, tex, x, y, level, film):
    """Slope (x, y) of a wet surface: grain where it is only damp, rings of drops where it rains."""
    grain = (1.0 - film) * 0.10
    sx = (noise(tex, 1, x * 0.9, y * 0.9, level) - 0.5) * grain
    sy = (noise(tex, 1, x * 0.9 + 0.37, y * 0.9 + 0.21, level) - 0.5) * grain
    if env[22] > 0.0 and level < 6.0:
        for k in range(2):
            cell = 0.34 + 0.21 * f32(k)
            ux = x / cell + 0.5 * f32(k)
            uy = y / cell
            ix = np.floor(ux)
            iy = np.floor(uy)
            h = hash01(int(ix) + 5000, int(iy) + 5000, 11 + k)
            t = env[24] * 1.6 + h * 7.0
            t = t - np.floor(t)
            dx = ux - ix - 0.3 - 0.4 * h
            dy = uy - iy - 0.3 - 0.4 * hash01(int(iy) + 5000, int(ix) + 5000, 3)
            d = math.sqrt(dx * dx + dy * dy) + 1e-4
            wave = math.sin((d - t * 0.45) * 60.0) * decay(abs(d - t * 0.45) * 22.0) * (1.0 - t) * film
            k2 = 0.05 * env[22] * wave * sat(2.0 - level * 0.35) / d
            sx += dx * k2
            sy += dy * k2
    return sx, sy


@single(forceinline=True, **SERIAL)
def asphalt(tex, x, y, tu, tv, level, fg):
    """Brightness of a road: aggregate, patches, wear in the wheel tracks, oil between them, cracks."""
    n1 = noise(tex, 0, x * 0.031, y * 0.031, level - 5.0)
    n2 = noise(tex, 1, x * 0.8, y * 0.8, level - 0.3)
    n3 = noise(tex, 2, x * 0.19, y * 0.19, level - 2.4)
    bright = 0.70 + 0.50 * n1 + 0.60 * (n2 - 0.5) + 0.35 * (n3 - 0.5)
    q = abs(abs(tv) - 0.80)
    bright *= 1.0 - 0.12 * decay(q * q * 9.0) * (0.5 + n3) - 0.13 * decay(tv * tv * 5.0) * (0.3 + n1)
    if fg < 0.111 and n1 > 0.48:
        crack = abs(noise(tex, 2, x * 0.043 + 0.2 * n1, y * 0.043 + 0.13, level - 4.5) - 0.5)
        line = smooth(0.0055 + fg * 0.03, 0.0015, crack) * smooth(0.48, 0.62, n1) * sat(1.0 - fg * 9.0)
        bright *= 1.0 - 0.45 * line
    return bright


@single(forceinline=True, **SERIAL)
def paving(tex, x, y, level, fg):
    """Brightness of slabs of 75 cm with joints."""
    n2 = noise(tex, 1, x * 0.6, y * 0.6, level)
    n1 = noise(tex, 0, x * 0.05, y * 0.05, level - 4.0)
    bright = 0.70 + 0.38 * n1 + 0.30 * (n2 - 0.5)
    u = x / 0.75
    v = y / 0.75
    iu = np.floor(u)
    iv = np.floor(v)
    bright *= 0.91 + 0.18 * hash01(int(iu) + 8192, int(iv) + 8192, 7)
    q = max(fg / 0.75, 0.015)
    h = 0.5 / q
    u -= iu
    v -= iv
    joint = (
        cover(u, 0.0, 0.02, q, h) + cover(u, 0.98, 1.0, q, h) + cover(v, 0.0, 0.02, q, h) + cover(v, 0.98, 1.0, q, h)
    )
    return bright * (1.0 - 0.45 * sat(joint))


@single(**SERIAL)
def sign_face(kind, value, u, v, q):
    """Colour of a sign at (u, v) in -1..1 with footprint q."""
    d = math.sqrt(u * u + v * v)
    white = 0.78
    r = f32(white)
    g = f32(white)
    b = f32(white)
    if kind == 0:  # stop: red octagon, white rim and a band of letters
        edge = max(max(abs(u), abs(v)), (abs(u) + abs(v)) * 0.70711)
        k = sat((0.86 - edge) / q * 0.5 + 0.5)
        r = mix(r, 0.52, k)
        g = mix(g, 0.012, k)
        b = mix(b, 0.018, k)
        text = box(v, -0.24, 0.24, q) * box(u, -0.68, 0.68, q)
        cell = (u + 0.68) / 0.34
        inside = cell - np.floor(cell)
        text *= box(inside, 0.12, 0.88, q * 3.0) * (
            1.0 - 0.8 * box(inside, 0.38, 0.64, q * 3.0) * box(v, -0.13, 0.13, q)
        )
        k = text * 0.9
        return mix(r, white, k), mix(g, white, k), mix(b, white, k)
    if kind == 1:  # yield
        edge = max(v, max(0.866 * u - 0.5 * v, -0.866 * u - 0.5 * v))
        k = sat((edge - 0.29) / q * 0.5 + 0.5)
        return mix(r, 0.55, k), mix(g, 0.015, k), mix(b, 0.02, k)
    if kind == 2:  # speed limit
        k = sat((d - 0.74) / q * 0.5 + 0.5)
        r = mix(r, 0.55, k)
        g = mix(g, 0.012, k)
        b = mix(b, 0.018, k)
        number = int(value)
        ink = f32(0.0)
        for place in range(2):
            digit = (number // 10) % 10 if place == 0 else number % 10
            ink = max(ink, seven(digit, (u + 0.28 - 0.56 * f32(place)) / 0.20, v / 0.38, q * 3.5))
        k = ink
        return mix(r, 0.015, k), mix(g, 0.015, k), mix(b, 0.018, k)
    if kind == 3:  # no entry
        k = sat((0.92 - d) / q * 0.5 + 0.5) * (1.0 - box(v, -0.17, 0.17, q) * box(u, -0.70, 0.70, q))
        return mix(r, 0.55, k), mix(g, 0.012, k), mix(b, 0.018, k)
    if kind == 4:  # parking
        p = box(u, -0.30, -0.14, q) * box(v, -0.46, 0.46, q)
        ring = math.sqrt(max((u + 0.12) * (u + 0.12) + (v - 0.2) * (v - 0.2), 0.0))
        p = max(p, box(ring, 0.15, 0.30, q) * sat((u + 0.14) / q))
        edge = sat((0.64 - max(abs(u), abs(v))) / q * 0.5 + 0.5) * (1.0 - p)
        return mix(r, 0.015, edge), mix(g, 0.08, edge), mix(b, 0.40, edge)
    # crossing: blue square, white triangle, a figure
    tri = sat((0.34 - max(-v, max(0.866 * u + 0.5 * v, -0.866 * u + 0.5 * v))) / q * 0.5 + 0.5)
    figure = tri * sat((0.10 - abs(u + 0.06 * math.sin(v * 16.0))) / q * 0.5 + 0.5) * box(v, -0.26, 0.32, q)
    edge = sat((0.64 - max(abs(u), abs(v))) / q * 0.5 + 0.5) * (1.0 - tri)
    r = mix(r, 0.015, edge)
    g = mix(g, 0.08, edge)
    b = mix(b, 0.40, edge)
    return mix(r, 0.02, figure), mix(g, 0.02, figure), mix(b, 0.02, figure)


@single(**SERIAL)
def seven(digit, u, v, q):
    """Ink of a digit made of seven bars in -1..1 x -1..1."""
    bars = (0x77, 0x24, 0x5D, 0x6D, 0x2E, 0x6B, 0x7B, 0x25, 0x7F, 0x6F)[digit]
    w = 0.30
    ink = f32(0.0)
    if bars & 1:
        ink = max(ink, box(u, -1.0, 1.0, q) * box(v, 1.0 - w, 1.0, q))
    if bars & 2:
        ink = max(ink, box(u, -1.0, -1.0 + w * 1.6, q) * box(v, 0.0, 1.0, q))
    if bars & 4:
        ink = max(ink, box(u, 1.0 - w * 1.6, 1.0, q) * box(v, 0.0, 1.0, q))
    if bars & 8:
        ink = max(ink, box(u, -1.0, 1.0, q) * box(v, -w * 0.5, w * 0.5, q))
    if bars & 16:
        ink = max(ink, box(u, -1.0, -1.0 + w * 1.6, q) * box(v, -1.0, 0.0, q))
    if bars & 32:
        ink = max(ink, box(u, 1.0 - w * 1.6, 1.0, q) * box(v, -1.0, 0.0, q))
    if bars & 64:
        ink = max(ink, box(u, -1.0, 1.0, q) * box(v, -1.0, -1.0 + w, q))
    return ink
