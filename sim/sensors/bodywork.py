"""Sides of vehicles: windows, pillars, door seams, handles and wheel arches, drawn from the body's outline.

`outline` rows: see `sim.sensors.meshes.designs.outlines`.
"""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import math

from sim.sensors.jit import INNER, box, cover, f32, floor, mix, sat, single


@single(**INNER)
def hull_side(outline, r, g, b, u, v, q):
    """Colour and share of paint (1: paint, 0: black plastic or a gap) at x = u, z = v."""
    h = 0.5 / q
    paint = f32(1.0)
    radius = outline[10]
    for k in range(2):
        dx = u - outline[8 + k]
        dz = v - radius
        d = math.sqrt(dx * dx + dz * dz)
        arch = sat((radius * 1.17 - d) / q * 0.5 + 0.5)
        lip = cover(d, radius * 1.17, radius * 1.17 + 0.03, q, h)
        paint *= (1.0 - arch) * (1.0 - 0.25 * lip)
    paint *= 1.0 - 0.95 * sat((outline[1] + 0.13 - v) / q * 0.5 + 0.5)
    k = f32(1.0)
    if outline[12] == 0.0:
        low = outline[1] + 0.18
        seams = cover(u, outline[6] - 0.006, outline[6] + 0.006, q, h) * cover(v, low, outline[0], q, h)
        front = outline[2] - 0.12 - 0.10 * sat((outline[0] - v) * 2.0)
        seams += cover(u, front - 0.006, front + 0.006, q, h) * cover(v, low, outline[0], q, h)
        back = outline[7] if outline[7] > -50.0 else outline[8] + radius * 1.30
        back += 0.05 * sat((outline[0] - v) * 2.0)
        if outline[11] < -50.0:
            seams += cover(u, back - 0.006, back + 0.006, q, h) * cover(v, low, outline[0], q, h)
        seams += cover(v, low - 0.006, low + 0.006, q, h) * cover(u, back, front, q, h)
        k = 1.0 - 0.75 * sat(seams)
        handle = cover(v, outline[0] - 0.13, outline[0] - 0.10, q, h)
        handle *= cover(u, outline[6] + 0.05, outline[6] + 0.22, q, h) + cover(u, back + 0.10, back + 0.27, q, h)
        k *= 1.0 - 0.6 * sat(handle)
        # a crease along the flank
        crease = outline[0] - 0.24
        k *= 1.0 + 0.16 * cover(v, crease, crease + 0.02, q, h) - 0.14 * cover(v, crease - 0.025, crease, q, h)
    else:  # a bus: a coloured band and doors
        band = cover(v, 0.62, 0.82, q, h)
        r = mix(r, 0.75, band)
        g = mix(g, 0.75, band)
        b = mix(b, 0.74, band)
    return mix(0.018, r * k, paint), mix(0.018, g * k, paint), mix(0.019, b * k, paint), paint


@single(**INNER)
def cabin_side(outline, u, v, q):
    """Share of glass at x = u and v (0 belt line .. 1 roof), and of the black frame around it."""
    h = 0.5 / q
    qv = q * 1.8
    front = mix(outline[2], outline[3], v) - 0.16
    back = mix(outline[5], outline[4], v) + 0.20
    back = max(back, outline[11] + 0.05)
    inside = cover(u, back, front, q, h) * box(v, 0.06, 0.87, qv)
    frame = cover(u, back - 0.035, front + 0.035, q, h) * box(v, 0.015, 0.915, qv)
    gap = cover(u, outline[6] - 0.045, outline[6] + 0.045, q, h)
    if outline[7] > -50.0:
        gap += cover(u, outline[7] - 0.045, outline[7] + 0.045, q, h)
    if outline[12] > 0.0:
        t = (u + 50.0) / outline[12]
        t = t - floor(t)
        gap += box(t, 0.0, 0.07, q / outline[12])
    glass = inside * (1.0 - sat(gap))
    return glass, sat(frame) * (1.0 - glass)


@single(**INNER)
def windscreen(u, v, q):
    """Share of glass at u (-1..1 across) and v (0..1 up)."""
    edge = 0.90 + 0.04 * (1.0 - v)
    return box(u, -edge, edge, q * 1.2) * box(v, 0.035, 0.93, q * 1.5)
