"""What surfaces look like: colour, bumps, roughness, reflection and own light, by material.

A surface is the tuple (r, g, b, nx, ny, nz, rough, f0, gloss, er, eg, eb, wrap): albedo, normal, roughness 0..1 of the
sun's highlight, reflectance at right angles, share of mirror-like reflection, own light, and how far light wraps around
(leaves). Patterns are filtered over the pixel's footprint `fg` (metres), so that nothing flickers.
"""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

from sim.sensors.bodywork import cabin_side, hull_side, windscreen
from sim.sensors.facade import facade, shop
from sim.sensors.ground_look import ASPHALT, GRASS, KERB, ground
from sim.sensors.jit import INNER, box, f32, floor, mix, sat, single, unit
from sim.sensors.noise import noise
from sim.sensors.signs import sign_face

FACADE, ROOF, LEAF, BARK, PAINT, GLASS, RUBBER, METAL, SKIN, CLOTH = range(5, 15)
SHOP, SIGNAL, LAMP, STREET_LAMP, BODY_SIDE, CABIN_SIDE, WINDSCREEN, SIGN, CONCRETE, WATER = range(16, 26)
"""Material numbers, as in sim.sensors.mesh.Material (kernels need plain constants)."""


@single(**INNER)
def _lamp_power(bit, bits, night):
    """How bright a vehicle's lamp is: off, tail light, or lit."""
    if (bits >> bit) & 1:
        return f32(5.0) if bit == 0 else f32(3.2)
    if bit == 1 and bits & 1:
        return f32(0.55) + 0.3 * night
    return f32(0.0)


@single(forceinline=True, **INNER)
def appearance(env, tex, m, seed, who, paints, lamp_bits, signals, outlines, r, g, b, x, y, z, nx, ny, nz, tu, tv, cosv,
               level, fg):  # fmt: skip
    """The surface's tuple, then its share of ambient light, slope (x, y) of its wet film, and what share it has of one.

    `m`: material; `seed`: instance id or, of vehicles, outline; `who`: row of the actors, -1 for what stands.
    """
    rough = f32(0.85)
    f0 = f32(0.03)
    gloss = f32(0.0)
    er = f32(0.0)
    eg = f32(0.0)
    eb = f32(0.0)
    wrap = f32(0.0)
    own = f32(1.0)
    tilt_x = f32(0.0)
    tilt_y = f32(0.0)
    wet = f32(0.0)
    if (m >= ASPHALT and m <= GRASS) or m == KERB:
        r, g, b, rough, gloss, tilt_x, tilt_y, wet = ground(env, tex, m, r, g, b, x, y, z, tu, tv, level, fg)
        f0 = f32(0.025)
    elif m == FACADE:
        r, g, b, nx, ny, nz, rough, f0, gloss, er, eg, eb, wrap = facade(
            env, tex, seed, r, g, b, x, y, z, tu, tv, nx, ny, nz, cosv, level, fg)  # fmt: skip
    elif m == SHOP:
        r, g, b, nx, ny, nz, rough, f0, gloss, er, eg, eb, wrap = shop(
            env, tex, seed, r, g, b, x, y, z, tu, tv, nx, ny, nz, cosv, level, fg)  # fmt: skip
    elif m == LEAF:
        s1 = noise(tex, 1, (x + z * 0.6) * 0.55, (y - z * 0.5) * 0.55, level - 1.0)
        s2 = noise(tex, 2, (x - y) * 0.23 + z * 0.08, z * 0.3 + y * 0.1, level - 2.0)
        k = 0.45 + 1.1 * s1 * (0.4 + s2)
        r *= k * (0.85 + 0.4 * s2)
        g *= k
        b *= k
        nx, ny, nz = unit(nx + (s1 - 0.5) * 1.2, ny + (s2 - 0.5) * 1.2, nz + (s1 + s2 - 1.0) * 0.8)
        wrap = f32(0.35)
        own = 0.50 + 0.50 * sat(nz * 0.6 + 0.5)
        rough = f32(0.6)
    elif m == ROOF:
        n1 = noise(tex, 0, x * 0.1, y * 0.1, level - 3.0)
        row = z / 0.16
        tiles = 1.0 - 0.22 * box(row - floor(row), 0.0, 0.16, max(fg / 0.16, 0.05)) * sat(1.0 - abs(nz) * 1.02 + 0.1)
        k = (0.6 + n1 * 0.8) * tiles
        r *= k
        g *= k
        b *= k
    elif m == PAINT or m == BODY_SIDE or m == CABIN_SIDE or m == WINDSCREEN:
        if who >= 0 and r > 0.99 and g > 0.99:
            r = paints[who, 0]
            g = paints[who, 1]
            b = paints[who, 2]
        rough = f32(0.28)
        f0 = f32(0.045)
        gloss = f32(1.0)
        q = max(fg * 0.6, 0.003)
        glass = f32(0.0)
        if m == BODY_SIDE:
            r, g, b, gloss = hull_side(outlines[seed], r, g, b, tu, tv, q)
            rough = mix(0.6, 0.28, gloss)
        elif m == CABIN_SIDE:
            glass, frame = cabin_side(outlines[seed], tu, tv, q)
            k = 1.0 - 0.95 * frame
            r *= k
            g *= k
            b *= k
        elif m == WINDSCREEN:
            glass = windscreen(tu, tv, q)
            k = 1.0 - 0.93 * (1.0 - glass) * box(tu, -0.985, 0.985, q)
            r *= k
            g *= k
            b *= k
        r = mix(r, 0.012, glass)
        g = mix(g, 0.014, glass)
        b = mix(b, 0.016, glass)
        f0 = mix(f0, 0.07, glass)
        rough = mix(rough, 0.10, glass)
    elif m == GLASS:
        rough = f32(0.08)
        f0 = f32(0.07)
        gloss = f32(1.0)
    elif m == METAL:
        rough = f32(0.40)
        f0 = f32(0.22)
        gloss = f32(0.45)
    elif m == RUBBER:
        rough = f32(0.75)
    elif m == CLOTH or m == SKIN:
        wrap = f32(0.18)
        k = 0.88 + 0.24 * noise(tex, 2, (x + y) * 0.9 + z, z * 0.9, level)
        r *= k
        g *= k
        b *= k
    elif m == BARK:
        k = 0.5 + noise(tex, 2, (x + y) * 0.9, z * 0.35, level - 2.0)
        r *= k
        g *= k
        b *= k
    elif m == CONCRETE:
        k = (0.82 + 0.36 * noise(tex, 0, (x + y) * 0.11, z * 0.11 + y * 0.07, level - 3.0)) * (
            0.9 + 0.2 * noise(tex, 1, (x + y) * 0.6, z * 0.6, level)
        )
        r *= k
        g *= k
        b *= k
    elif m == SIGN:
        r, g, b = sign_face(int(r + 0.5), g, tu, tv, max(fg / b * 0.7, 0.01))
        rough = f32(0.5)
        f0 = f32(0.05)
        gloss = f32(0.25)
    elif m == SIGNAL:
        which = int(tu + 0.5)
        on = which < signals.shape[0] and signals[which] == int(tv + 0.5)
        k = f32(2.4) + 1.2 * env[20] if on else f32(0.0)
        er = r * k
        eg = g * k
        eb = b * k
        k = 0.10
        r *= k
        g *= k
        b *= k
        gloss = f32(0.5)
        rough = f32(0.3)
    elif m == LAMP:
        k = f32(0.0)
        if who >= 0:
            k = _lamp_power(int(tu + 0.5), lamp_bits[who], env[20])
        er = r * k
        eg = g * k
        eb = b * k
        k = 0.45
        r *= k
        g *= k
        b *= k
        gloss = f32(1.0)
        f0 = f32(0.06)
        rough = f32(0.15)
    elif m == STREET_LAMP:
        k = env[26] * 6.0
        er = 1.0 * k
        eg = 0.80 * k
        eb = 0.52 * k
    return r, g, b, nx, ny, nz, rough, f0, gloss, er, eg, eb, wrap, own, tilt_x, tilt_y, wet
