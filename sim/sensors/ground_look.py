"""What roads, pavements and grass look like, dry and wet.

Patterns are filtered over the pixel's footprint `fg` (metres); `level` is the mip level of a texture that repeats every
metre.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math

from sim.sensors.jit import INNER, box, cover, decay, f32, floor, hash01, mix, sat, single, smooth
from sim.sensors.noise import noise

ASPHALT, MARKING, PAVING, GRASS, KERB = 1, 2, 3, 4, 15
"""Material numbers, as in sim.sensors.mesh.Material (kernels need plain constants)."""


@single(**INNER)
def wet_film(env, tex, x, y, level):
    """0 dry .. 1 standing water at a point of the ground."""
    dip = noise(tex, 0, x * 0.047 + 0.5, y * 0.047, level - 4.0)
    puddle = smooth(0.56 - 0.16 * env[21], 0.74 - 0.16 * env[21], dip) * sat(env[21] * 3.0) * 0.92
    return max(env[15] * (0.35 + 0.35 * smooth(0.40, 0.62, dip)), puddle)


@single(**INNER)
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
            ix = floor(ux)
            iy = floor(uy)
            h = hash01(int(ix) + 5000, int(iy) + 5000, 11 + k)
            t = env[24] * 1.6 + h * 7.0
            t = t - floor(t)
            dx = ux - ix - 0.3 - 0.4 * h
            dy = uy - iy - 0.3 - 0.4 * hash01(int(iy) + 5000, int(ix) + 5000, 3)
            d = math.sqrt(dx * dx + dy * dy) + 1e-4
            wave = math.sin((d - t * 0.45) * 60.0) * decay(abs(d - t * 0.45) * 22.0) * (1.0 - t) * film
            k2 = 0.05 * env[22] * wave * sat(2.0 - level * 0.35) / d
            sx += dx * k2
            sy += dy * k2
    return sx, sy


@single(forceinline=True, **INNER)
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


@single(forceinline=True, **INNER)
def paving(tex, x, y, level, fg):
    """Brightness of slabs of 75 cm with joints."""
    n2 = noise(tex, 1, x * 0.6, y * 0.6, level)
    n1 = noise(tex, 0, x * 0.05, y * 0.05, level - 4.0)
    bright = 0.70 + 0.38 * n1 + 0.30 * (n2 - 0.5)
    u = x / 0.75
    v = y / 0.75
    iu = floor(u)
    iv = floor(v)
    bright *= 0.91 + 0.18 * hash01(int(iu) + 8192, int(iv) + 8192, 7)
    q = max(fg / 0.75, 0.015)
    h = 0.5 / q
    u -= iu
    v -= iv
    joint = (
        cover(u, 0.0, 0.02, q, h) + cover(u, 0.98, 1.0, q, h) + cover(v, 0.0, 0.02, q, h) + cover(v, 0.98, 1.0, q, h)
    )
    return bright * (1.0 - 0.45 * sat(joint))


@single(forceinline=True, **INNER)
def ground(env, tex, m, r, g, b, x, y, z, tu, tv, level, fg):
    """Roads, markings, paving, kerbs, grass: colour, roughness, reflection of the wet film, slope of ripples."""
    rough = f32(0.85)
    gloss = f32(0.0)
    sx = f32(0.0)
    sy = f32(0.0)
    share = f32(1.0)
    if m == GRASS:
        n1 = noise(tex, 0, x * 0.011, y * 0.011, level - 6.5)
        # from far their tiles would show as a grid
        n2 = f32(0.5)
        n3 = f32(0.5)
        tufts = smooth(0.07, 0.03, fg)
        if tufts > 0.0:
            n2 += (noise(tex, 1, x * 0.66 + y * 0.23, y * 0.66 - x * 0.23, level - 1.0) - 0.5) * tufts
            n3 += (noise(tex, 2, x * 0.33 - y * 0.13, y * 0.33 + x * 0.13, level - 2.0) - 0.5) * tufts
        k = 0.45 + 0.70 * n1 + 0.85 * (n2 - 0.5) + 0.40 * (n3 - 0.5)
        dry = smooth(0.45, 0.75, noise(tex, 2, x * 0.023, y * 0.023, level - 5.0))
        return (
            r * k * (0.85 + 0.5 * n3 + 0.5 * dry),
            g * k * (1.0 + 0.05 * dry),
            b * k * 0.9,
            rough,
            gloss,
            sx,
            sy,
            share,
        )
    if m == ASPHALT or m == MARKING:
        k = asphalt(tex, x, y, tu, tv if m == ASPHALT else f32(9.0), level, fg)
        if m == MARKING:
            worn = smooth(0.20, 0.38, noise(tex, 1, x * 0.45, y * 0.45, level - 0.5) * 0.6
                          + noise(tex, 2, x * 0.21, y * 0.21, level - 2.0) * 0.4)  # fmt: skip
            r = mix(0.11 * k, r * (0.86 + 0.2 * (k - 0.8)), worn)
            g = mix(0.11 * k, g * (0.86 + 0.2 * (k - 0.8)), worn)
            b = mix(0.115 * k, b * (0.86 + 0.2 * (k - 0.8)), worn)
            rough = f32(0.7)
        else:
            r *= k
            g *= k
            b *= k
    elif m == PAVING:
        k = paving(tex, x, y, level, fg)
        r *= k
        g *= k
        b *= k
        share = f32(0.55)
    else:  # kerb stones of a metre
        n2 = noise(tex, 1, x * 0.6 + z, y * 0.6 + z, level)
        iu = tu - floor(tu)
        q = max(fg, 0.012)
        k = (0.85 + 0.3 * (n2 - 0.5)) * (1.0 - 0.5 * sat(box(iu, 0.0, 0.015, q) + box(iu, 0.985, 1.0, q)))
        r *= k
        g *= k
        b *= k
        share = f32(0.3)
    if env[15] + env[21] > 0.0:
        film = wet_film(env, tex, x, y, level) * share
        dark = 1.0 - 0.52 * film
        r *= dark
        g *= dark
        b *= dark
        rough = mix(rough, 0.12, film)
        gloss = film
        sx, sy = ripple(env, tex, x, y, level, film)
    return r, g, b, rough, gloss, sx, sy, share
