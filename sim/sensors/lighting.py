"""The light that leaves a surface: of the sun with its shadows, sky, street lamps and head lamps, and mirror images."""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import math

from sim.sensors.jit import INNER, f32, sat, single, unit
from sim.sensors.lights import head_light, lamp_light
from sim.sensors.shadows import sunlight
from sim.sensors.sky import reflection


@single(forceinline=True, **INNER)
def lighting(env, tex, occlusion, r, g, b, x, y, z, dx, dy, dz, distance, nx, ny, nz, gx, gy, gz, rough, f0, gloss, er,
             eg, eb, wrap, own, tilt_x, tilt_y, wet, near, far, moving, busy, light, lamps, l_origin, l_size, l_first,
             l_items, heads, head_count):  # fmt: skip
    """(r, g, b) that leave a surface (see sim.sensors.materials) against the direction (dx, dy, dz), and the share of

    the mirror image that is still to be added. `g*`: normal of the triangle itself.
    """
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
    return r, g, b, mirror
