"""What a wet street mirrors: each wet pixel's ray, reflected, is followed over the picture's depth."""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import math

from numba import prange

from sim.sensors.jit import INNER, PARALLEL, f32, hash01, single, smooth
from sim.sensors.sky import reflection


@single(forceinline=True, **INNER)
def reflect_pixel(y, x, radiance, mirrors, inverse, cam, rot, env, tex, out):
    """One pixel of `reflect`."""
    height, width, _ = radiance.shape
    r = radiance[y, x, 0]
    g = radiance[y, x, 1]
    b = radiance[y, x, 2]
    share = mirrors[y, x, 0]
    if share > 0.003 and inverse[y, x] > 0.0:
        z = 1.0 / inverse[y, x]
        px = (f32(x) + 0.5 - cam[5]) / cam[3]
        py = (f32(y) + 0.5 - cam[6]) / cam[4]
        length = math.sqrt(px * px + py * py + 1.0)
        dx = (rot[0, 0] * px + rot[1, 0] * py + rot[2, 0]) / length
        dy = (rot[0, 1] * px + rot[1, 1] * py + rot[2, 1]) / length
        dz = (rot[0, 2] * px + rot[1, 2] * py + rot[2, 2]) / length
        dn = 2.0 * (dx * mirrors[y, x, 1] + dy * mirrors[y, x, 2] + dz)
        wx = dx - dn * mirrors[y, x, 1]
        wy = dy - dn * mirrors[y, x, 2]
        wz = abs(dz - dn) + 0.015
        # the mirrored ray in the camera's frame
        cx = rot[0, 0] * wx + rot[0, 1] * wy + rot[0, 2] * wz
        cy = rot[1, 0] * wx + rot[1, 1] * wy + rot[1, 2] * wz
        cz = rot[2, 0] * wx + rot[2, 1] * wy + rot[2, 2] * wz
        step = 0.25 + 0.02 * z
        t = step * (0.5 + hash01(x + 3, y + 7, 9))
        rr, rg, rb = reflection(env, tex, wx, wy, wz)
        for _ in range(22):
            qz = z + cz * t
            if qz < 0.1:
                break
            u = (px * z + cx * t) / qz * cam[3] + cam[5]
            v = (py * z + cy * t) / qz * cam[4] + cam[6]
            if u < 0.0 or v < 1.0 or u >= f32(width) or v >= f32(height - 1):
                break
            i = int(u)
            j = int(v)
            seen = inverse[j, i]
            if seen > 0.0:
                behind = qz - 1.0 / seen
                if behind > 0.02 and behind < step * 1.6 + 0.3:
                    edge = smooth(0.0, 0.08, min(u / f32(width), 1.0 - u / f32(width)))
                    hr = (radiance[j - 1, i, 0] + radiance[j, i, 0] + radiance[j + 1, i, 0]) / 3.0
                    hg = (radiance[j - 1, i, 1] + radiance[j, i, 1] + radiance[j + 1, i, 1]) / 3.0
                    hb = (radiance[j - 1, i, 2] + radiance[j, i, 2] + radiance[j + 1, i, 2]) / 3.0
                    rr += (min(hr, 6.0) - rr) * edge
                    rg += (min(hg, 6.0) - rg) * edge
                    rb += (min(hb, 6.0) - rb) * edge
                    break
            step *= 1.22
            t += step
        r += rr * share
        g += rg * share
        b += rb * share
    out[y, x, 0] = r
    out[y, x, 1] = g
    out[y, x, 2] = b


@single(**PARALLEL)
def reflect(radiance, mirrors, inverse, cam, rot, env, tex, out):
    """Fill out [H, W, 3] with radiance plus the mirror image of wet ground.

    A ray that leaves the picture or finds nothing mirrors the sky. The picture is stretched downwards a little by the
    ground's roughness: steps are jittered and their colour is averaged with the pixel above and below.
    """
    height, width, _ = radiance.shape
    for y in prange(height):
        for x in range(width):
            reflect_pixel(y, x, radiance, mirrors, inverse, cam, rot, env, tex, out)
