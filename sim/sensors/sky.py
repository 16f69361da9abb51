"""The sky with clouds, sun, moon and stars, its reflection, and fog."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math

from sim.sensors.jit import INNER, decay, f32, floor, hash01, sat, single, smooth
from sim.sensors.noise import noise


@single(**INNER)
def sky(env, textures, x, y, z, clouds):
    """Radiance from direction (x, y, z)."""
    h = max(z, 0.0)
    t = 1.0 - decay(h * 3.4)
    r = env[9] + (env[6] - env[9]) * t
    g = env[10] + (env[7] - env[10]) * t
    b = env[11] + (env[8] - env[11]) * t
    toward = max(x * env[0] + y * env[1] + z * env[2], 0.0)
    c8 = toward * toward
    c8 = c8 * c8
    c8 = c8 * c8
    c64 = c8 * c8
    c64 = c64 * c64
    c64 = c64 * c64
    c512 = c64 * c64
    c512 = c512 * c512
    c512 = c512 * c512
    glow = 0.09 * c8 + 0.20 * c64 + 0.5 * c512
    if clouds and z > 0.008:
        if env[20] > 0.5 and env[14] < 0.8:  # stars
            su = floor((math.atan2(y, x)) * 160.0)
            sv = floor(z * 190.0)
            s = hash01(int(su) + 9000, int(sv) + 9000, 5)
            if s > 0.986:
                k = (s - 0.986) * 12.0 * (env[20] - 0.5) * (1.0 - env[14])
                r += k
                g += k
                b += k * 1.1
        k = 0.55 / (z + 0.12)
        level = smooth(0.25, 0.02, z) * 2.5
        drift = env[24] * (0.0005 + 0.002 * env[25])
        u = x * k
        v = y * k
        d = noise(textures, 0, u * 0.30 + 0.17 + drift, v * 0.30 + 0.37, level) * 0.66
        d += (
            noise(textures, 2, u * 0.85 + drift, v * 0.85, level) * 0.24
            + noise(textures, 1, u * 0.4, v * 0.4, level) * 0.10
        )
        cover = 0.74 - 0.48 * env[14]
        a = smooth(cover, cover + 0.19, d) * smooth(0.008, 0.14, z)
        if a > 0.0:
            d2 = noise(textures, 0, (u + env[0] * 0.06) * 0.30 + 0.17 + drift, (v + env[1] * 0.06) * 0.30 + 0.37, level)
            lit = sat(0.62 + (d - d2 * 0.9) * 3.0)
            shade = 0.30 + 0.20 * (1.0 - env[14])
            cr = env[9] * shade + env[3] * 0.17 * (0.30 + lit) + env[6] * 0.25
            cg = env[10] * shade + env[4] * 0.17 * (0.30 + lit) + env[7] * 0.25
            cb = env[11] * shade + env[5] * 0.17 * (0.30 + lit) + env[8] * 0.25
            r += (cr - r) * a
            g += (cg - g) * a
            b += (cb - b) * a
        glow *= 1.0 - 0.6 * a
        if toward > 0.99990 and a < 0.9:
            k = 9.0 * (1.0 - a) * sat((toward - 0.99990) * 30000.0)
            if env[20] > 0.9:
                k *= 2.5
            r += env[3] * k
            g += env[4] * k
            b += env[5] * k
    return r + env[3] * glow, g + env[4] * glow, b + env[5] * glow


@single(**INNER)
def reflection(env, textures, x, y, z):
    """What a smooth surface mirrors: sky above, a band of dim streetscape at the horizon, ground below."""
    r, g, b = sky(env, textures, x, y, max(z, 0.02), False)
    low = smooth(0.34, 0.05, z) * 0.82
    if z < 0.0:
        low = f32(1.0)
    gr = env[17] * 0.95
    gg = env[18] * 0.95
    gb = env[19] * 0.95
    if z < 0.0:
        k = smooth(-0.5, 0.0, z) * 0.5 + 0.5
        gr *= k
        gg *= k
        gb *= k
    return r + (gr - r) * low, g + (gg - g) * low, b + (gb - b) * low


@single(forceinline=True, **INNER)
def fog(env, r, g, b, cz, z, distance, x, y, dz):
    """Exponential height fog between the camera (height cz, its own share of it env[27]) and a point (height z) in

    direction (x, y, dz)."""
    if env[12] <= 0.0:
        return r, g, b
    k = env[13]
    a = env[27]
    q = k * (z - cz)
    if q > 1e-3:
        a *= (1.0 - decay(q)) / q
    elif q < -1e-3:
        a *= (1.0 - 1.0 / decay(min(-q, 20.0))) / q
    t = decay(env[12] * max(distance - env[23], 0.0) * a)
    c = max(0.0, x * env[0] + y * env[1] + dz * env[2])
    c = c * c
    c = c * c
    glow = c * c * 0.16
    fr = env[9] * 0.92 + env[3] * glow
    fg = env[10] * 0.92 + env[4] * glow
    fb = env[11] * 0.92 + env[5] * glow
    return fr + (r - fr) * t, fg + (g - fg) * t, fb + (b - fb) * t
