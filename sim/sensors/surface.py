"""The colour of one surface point: where the pixel's ray meets the triangle, what is there, and its light."""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import math

import numpy as np

from sim.sensors.jit import INNER, f32, rough_log2, sat, single, unit
from sim.sensors.lighting import lighting
from sim.sensors.materials import appearance

U1, U2, U3, U4, U6 = (np.uint32(k) for k in (1, 2, 3, 4, 6))
"""Places in vertices, in records (see sim.sensors.records) and in the tables that they point into."""
FACT = 39
"""Numbers that `grasp` notes of a triangle: first corner o and edges a, b to the two others; unit normal; the corners'

normals; u, v of the corners; red, green, blue; and, s being the way from o to the camera, b x a, b x s and s x a."""


@single(forceinline=True, **INNER)
def _corners(fact, position, normal, face, row):
    """Note a triangle's corners and their normals."""
    at = np.uint32(row) * U3
    for c in range(3):
        i = np.uint32(face[at + np.uint32(c)]) * U3
        for a in range(3):
            fact[3 * c + a] = position[i + np.uint32(a)]
            fact[12 + 3 * c + a] = normal[i + np.uint32(a)]


@single(forceinline=True, **INNER)
def grasp(fact, tid, cam, position, normal, face, statics, m_position, m_normal, m_face, source, owner, record, looks,
          uvs):  # fmt: skip
    """Note in `fact` [FACT] what is the same all over triangle `tid`; returns material, seed and row of the actors.

    Vertices, faces, records and their tables are flat; unsigned indices spare the check for negative ones.
    """
    src = tid
    who = np.int32(-1)
    if tid < statics:
        _corners(fact, position, normal, face, tid)
    else:
        src = source[tid - statics]
        who = owner[tid - statics]
        _corners(fact, m_position, m_normal, m_face, tid - statics)
    sx = cam[0] - fact[0]
    sy = cam[1] - fact[1]
    sz = cam[2] - fact[2]
    ax = fact[3] - fact[0]
    ay = fact[4] - fact[1]
    az = fact[5] - fact[2]
    bx = fact[6] - fact[0]
    by = fact[7] - fact[1]
    bz = fact[8] - fact[2]
    fact[3] = ax
    fact[4] = ay
    fact[5] = az
    fact[6] = bx
    fact[7] = by
    fact[8] = bz
    gx = ay * bz - az * by
    gy = az * bx - ax * bz
    gz = ax * by - ay * bx
    fact[9], fact[10], fact[11] = unit(gx, gy, gz)
    fact[30] = -gx
    fact[31] = -gy
    fact[32] = -gz
    fact[33] = by * sz - bz * sy
    fact[34] = bz * sx - bx * sz
    fact[35] = bx * sy - by * sx
    fact[36] = sy * az - sz * ay
    fact[37] = sz * ax - sx * az
    fact[38] = sx * ay - sy * ax
    at = np.uint32(src) * U4
    look = np.uint32(record[at]) * U4
    row = np.uint32(record[at + U1]) * U6
    for k in range(6):
        fact[21 + k] = uvs[row + np.uint32(k)]
    for k in range(3):
        fact[27 + k] = looks[look + np.uint32(k)]
    return np.int32(looks[look + U3]), record[at + U2], who


@single(forceinline=True, **INNER)
def surface(fact, m, seed, who, px, py, occlusion, cam, rot, env, tex, paints, lamp_bits, signals, outlines, near, far,
            moving, busy, light, lamps, l_origin, l_size, l_first, l_items, heads, head_count):  # fmt: skip
    """(r, g, b) leaving the triangle of `fact` towards pixel (px, py), before fog, the world point, its distance,

    and of wet ground the mirror's share and its slope (x, y). `m`, `seed`, `who`: as `grasp` returned them."""
    vx = (px - cam[5]) * cam[7]
    vy = (py - cam[6]) * cam[8]
    dx = rot[0, 0] * vx + rot[1, 0] * vy + rot[2, 0]
    dy = rot[0, 1] * vx + rot[1, 1] * vy + rot[2, 1]
    dz = rot[0, 2] * vx + rot[1, 2] * vy + rot[2, 2]
    det = dx * fact[30] + dy * fact[31] + dz * fact[32]
    inv = 1.0 / det if det != 0.0 else f32(0.0)
    u = sat((dx * fact[33] + dy * fact[34] + dz * fact[35]) * inv)
    v = sat((dx * fact[36] + dy * fact[37] + dz * fact[38]) * inv)
    if u + v > 1.0:
        k = 1.0 / (u + v)
        u *= k
        v *= k
    w = 1.0 - u - v
    x = fact[0] + u * fact[3] + v * fact[6]
    y = fact[1] + u * fact[4] + v * fact[7]
    z = fact[2] + u * fact[5] + v * fact[8]
    dx = x - cam[0]
    dy = y - cam[1]
    dz = z - cam[2]
    distance = math.sqrt(dx * dx + dy * dy + dz * dz) + 1e-6
    k = 1.0 / distance
    dx *= k
    dy *= k
    dz *= k
    gx = fact[9]
    gy = fact[10]
    gz = fact[11]
    cosv = -(gx * dx + gy * dy + gz * dz)
    if cosv < 0.0:
        gx = -gx
        gy = -gy
        gz = -gz
        cosv = -cosv
    cosv = max(cosv, 0.04)
    nx, ny, nz = unit(
        w * fact[12] + u * fact[15] + v * fact[18],
        w * fact[13] + u * fact[16] + v * fact[19],
        w * fact[14] + u * fact[17] + v * fact[20],
    )
    if nx * gx + ny * gy + nz * gz < 0.0:
        nx = -nx
        ny = -ny
        nz = -nz
    fg = distance * cam[7] / math.sqrt(cosv)
    level = rough_log2(max(fg * 256.0, 1e-3))
    r, g, b, nx, ny, nz, rough, f0, gloss, er, eg, eb, wrap, own, tilt_x, tilt_y, wet = appearance(
        env, tex, m, seed, who, paints, lamp_bits, signals, outlines, fact[27], fact[28], fact[29], x, y, z, nx, ny, nz,
        w * fact[21] + u * fact[23] + v * fact[25], w * fact[22] + u * fact[24] + v * fact[26], cosv, level,
        fg)  # fmt: skip
    r, g, b, mirror = lighting(
        env, tex, occlusion, r, g, b, x, y, z, dx, dy, dz, distance, nx, ny, nz, gx, gy, gz, rough, f0, gloss, er, eg,
        eb, wrap, own, tilt_x, tilt_y, wet, near, far, moving, busy, light, lamps, l_origin, l_size, l_first, l_items,
        heads, head_count)  # fmt: skip
    return r, g, b, x, y, z, distance, mirror, tilt_x, tilt_y
