"""The colour of one surface point: its material, then sun, sky, lamps and what it mirrors."""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import math

import numpy as np

from sim.sensors.bodywork import cabin_side, hull_side, windscreen
from sim.sensors.facade import facade, shop
from sim.sensors.jit import SERIAL, box, f32, mix, rough_log2, sat, single, smooth, unit
from sim.sensors.lights import head_light, lamp_light
from sim.sensors.materials import asphalt, paving, ripple, sign_face, wet_film
from sim.sensors.noise import noise
from sim.sensors.shadows import sunlight
from sim.sensors.sky import reflection

# Material numbers, as in sim.sensors.mesh.Material (kernels need plain constants)
ASPHALT, MARKING, PAVING, GRASS, FACADE, ROOF, LEAF, BARK, PAINT, GLASS, RUBBER, METAL, SKIN, CLOTH, KERB, SHOP = range(
    1, 17
)
SIGNAL, LAMP, STREET_LAMP, BODY_SIDE, CABIN_SIDE, WINDSCREEN, SIGN, CONCRETE, WATER = range(17, 26)


U1, U2, U3, U4, U5, U6, U7, U8, U9, U10, U11, U12 = (np.uint32(k) for k in range(1, 13))
"""Places in vertices and in records (see sim.sensors.records)."""


@single(forceinline=True, **SERIAL)
def _ground(env, tex, m, r, g, b, x, y, z, tu, tv, level, fg):
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
        tufts = smooth(0.12, 0.06, fg)
        if tufts > 0.0:
            n2 += (noise(tex, 1, x * 0.7, y * 0.7, level - 1.0) - 0.5) * tufts
            n3 += (noise(tex, 2, x * 0.35, y * 0.35, level - 2.0) - 0.5) * tufts
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
        iu = tu - np.floor(tu)
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


@single(**SERIAL)
def _lamp_power(bit, bits, night):
    """How bright a vehicle's lamp is: off, tail light, or lit."""
    if (bits >> bit) & 1:
        return f32(5.0) if bit == 0 else f32(3.2)
    if bit == 1 and bits & 1:
        return f32(0.55) + 0.3 * night
    return f32(0.0)


@single(forceinline=True, **SERIAL)
def surface(tid, px, py, occlusion, cam, rot, env, tex, position, normal, face, statics, source, owner, record, whole,
            paints, lamp_bits, signals, outlines, near, far, moving, busy, light, lamps, l_origin, l_size, l_first,
            l_items, heads, head_count):  # fmt: skip
    """(r, g, b) leaving triangle `tid` towards pixel (px, py), before fog, the world point, its distance,

    and of wet ground the mirror's share and its slope (x, y). `position`, `normal`, `face`, `record` and `whole` (the
    same memory as whole numbers) are flat; unsigned indices spare the check for negative ones."""
    vx = (px - cam[5]) * cam[7]
    vy = (py - cam[6]) * cam[8]
    dx = rot[0, 0] * vx + rot[1, 0] * vy + rot[2, 0]
    dy = rot[0, 1] * vx + rot[1, 1] * vy + rot[2, 1]
    dz = rot[0, 2] * vx + rot[1, 2] * vy + rot[2, 2]
    at = np.uint32(tid) * U3
    i0 = np.uint32(face[at]) * U3
    i1 = np.uint32(face[at + U1]) * U3
    i2 = np.uint32(face[at + U2]) * U3
    ox = position[i0]
    oy = position[i0 + U1]
    oz = position[i0 + U2]
    ax = position[i1] - ox
    ay = position[i1 + U1] - oy
    az = position[i1 + U2] - oz
    bx = position[i2] - ox
    by = position[i2 + U1] - oy
    bz = position[i2 + U2] - oz
    qx = dy * bz - dz * by
    qy = dz * bx - dx * bz
    qz = dx * by - dy * bx
    det = ax * qx + ay * qy + az * qz
    inv = 1.0 / det if det != 0.0 else f32(0.0)
    sx = cam[0] - ox
    sy = cam[1] - oy
    sz = cam[2] - oz
    u = sat((sx * qx + sy * qy + sz * qz) * inv)
    cx = sy * az - sz * ay
    cy = sz * ax - sx * az
    cz = sx * ay - sy * ax
    v = sat((dx * cx + dy * cy + dz * cz) * inv)
    if u + v > 1.0:
        k = 1.0 / (u + v)
        u *= k
        v *= k
    w = 1.0 - u - v
    x = ox + u * ax + v * bx
    y = oy + u * ay + v * by
    z = oz + u * az + v * bz
    dx = x - cam[0]
    dy = y - cam[1]
    dz = z - cam[2]
    distance = math.sqrt(dx * dx + dy * dy + dz * dz) + 1e-6
    k = 1.0 / distance
    dx *= k
    dy *= k
    dz *= k
    gx, gy, gz = unit(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
    cosv = -(gx * dx + gy * dy + gz * dz)
    if cosv < 0.0:
        gx = -gx
        gy = -gy
        gz = -gz
        cosv = -cosv
    cosv = max(cosv, 0.04)
    nx, ny, nz = unit(
        w * normal[i0] + u * normal[i1] + v * normal[i2],
        w * normal[i0 + U1] + u * normal[i1 + U1] + v * normal[i2 + U1],
        w * normal[i0 + U2] + u * normal[i1 + U2] + v * normal[i2 + U2],
    )
    if nx * gx + ny * gy + nz * gz < 0.0:
        nx = -nx
        ny = -ny
        nz = -nz
    src = tid
    who = -1
    if tid >= statics:
        src = source[tid - statics]
        who = owner[tid - statics]
    at = np.uint32(src) * U12
    m = whole[at + U9]
    seed = whole[at + U10]
    r = record[at + U6]
    g = record[at + U7]
    b = record[at + U8]
    tu = w * record[at] + u * record[at + U2] + v * record[at + U4]
    tv = w * record[at + U1] + u * record[at + U3] + v * record[at + U5]
    fg = distance * cam[7] / math.sqrt(cosv)
    level = rough_log2(max(fg * 256.0, 1e-3))
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
        r, g, b, rough, gloss, tilt_x, tilt_y, wet = _ground(env, tex, m, r, g, b, x, y, z, tu, tv, level, fg)
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
        tiles = 1.0 - 0.22 * box(row - np.floor(row), 0.0, 0.16, max(fg / 0.16, 0.05)) * sat(1.0 - abs(nz) * 1.02 + 0.1)
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
    # sun
    ndl = nx * env[0] + ny * env[1] + nz * env[2]
    gdl = gx * env[0] + gy * env[1] + gz * env[2]
    d = sat(ndl if wrap == 0.0 else (ndl + wrap) / (1.0 + wrap))
    lit = f32(0.0)
    if d > 0.0 and (wrap > 0.2 or gdl > 0.01) and env[4] > 0.004:
        grazing = 0.5 if wrap > 0.2 else max(gdl, 0.15)
        lift = 0.03 + 0.0008 * distance
        slope = math.sqrt(max(0.0, 1.0 - grazing * grazing)) / max(grazing, 0.12)
        lit = sunlight(near, far, moving, busy, light, x + gx * lift, y + gy * lift, z + gz * lift, slope)
    sky_share = nz * 0.5 + 0.5
    ao = occlusion * own
    k = d * lit
    ir = (env[17] * 0.62 * (1.0 - sky_share) + (env[6] * 0.45 + env[9] * 0.55) * sky_share) * ao + env[3] * k
    ig = (env[18] * 0.58 * (1.0 - sky_share) + (env[7] * 0.45 + env[10] * 0.55) * sky_share) * ao + env[4] * k
    ib = (env[19] * 0.56 * (1.0 - sky_share) + (env[8] * 0.45 + env[11] * 0.55) * sky_share) * ao + env[5] * k
    lamp = f32(0.0)
    beam = f32(0.0)
    if env[26] > 0.0:
        lamp = lamp_light(
            lamps, l_origin, l_size, l_first, l_items, env[26] * (0.25 + 0.75 * env[20]), x, y, z, nx, ny, nz
        )
        ir += lamp * 0.62 * (0.35 + 0.65 * ao)
        ig += lamp * 0.44 * (0.35 + 0.65 * ao)
        ib += lamp * 0.24 * (0.35 + 0.65 * ao)
    if head_count > 0 and env[26] > 0.0:
        beam = head_light(heads, head_count, x, y, z, nx, ny, nz) * env[26]
        ir += beam * 0.85
        ig += beam * 0.82
        ib += beam * 0.70
    facing = sat(-(nx * dx + ny * dy + nz * dz))
    c1 = 1.0 - facing
    c5 = c1 * c1
    c5 = c5 * c5 * c1
    mirror = f32(0.0)
    fresnel = f0 + (max(1.0 - rough, f0) - f0) * c5
    r = r * ir + er
    g = g * ig + eg
    b = b * ib + eb
    if lit > 0.0 and rough < 0.8:  # GGX highlight of the sun
        hx, hy, hz = unit(env[0] - dx, env[1] - dy, env[2] - dz)
        nh = sat((nx + tilt_x) * hx + (ny + tilt_y) * hy + nz * hz)
        a2 = rough * rough * rough * rough
        q = nh * nh * (a2 - 1.0) + 1.0
        s = min(a2 / (3.1416 * q * q + 1e-6) * (f0 + (1.0 - f0) * c5) * 0.25 / max(facing, 0.25), 4.0)
        s *= lit * max(gloss, 0.35)
        r += env[3] * s
        g += env[4] * s
        b += env[5] * s
    if gloss > 0.004:
        dn = 2.0 * (dx * nx + dy * ny + dz * nz)
        qx = dx - dn * nx - dn * tilt_x
        qy = dy - dn * ny - dn * tilt_y
        qz = dz - dn * nz
        k = fresnel * gloss
        if wet > 0.0:  # what a wet street mirrors is found on the picture itself, in sim.sensors.reflections
            mirror = k
            r *= 1.0 - 0.5 * k
            g *= 1.0 - 0.5 * k
            b *= 1.0 - 0.5 * k
        else:
            rr, rg, rb = reflection(env, tex, qx, qy, qz)
            r = r * (1.0 - k) + rr * k * (0.4 + 0.6 * ao) + lamp * k * 0.5
            g = g * (1.0 - k) + rg * k * (0.4 + 0.6 * ao) + lamp * k * 0.34
            b = b * (1.0 - k) + rb * k * (0.4 + 0.6 * ao) + lamp * k * 0.18
    return r, g, b, x, y, z, distance, mirror, tilt_x, tilt_y
