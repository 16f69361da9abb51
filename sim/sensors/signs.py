"""Faces of traffic signs, drawn from -1..1 across and up with the pixel's footprint in the same unit."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math

from sim.sensors.jit import INNER, box, f32, floor, mix, sat, single


@single(**INNER)
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
        inside = cell - floor(cell)
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


@single(**INNER)
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
