"""The colour of one surface point: where the pixel's ray meets the triangle, what is there, and its light."""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call, operator, arg-type, assignment"
from __future__ import annotations

import math

import numpy as np

from sim.sensors.jit import INNER, f32, rough_log2, sat, single, unit
from sim.sensors.lighting import lighting
from sim.sensors.materials import appearance

U1, U2, U3, U4, U5, U6 = (np.uint32(k) for k in range(1, 7))
"""Places in vertices, in records (see sim.sensors.records) and in the tables that they point into."""


@single(forceinline=True, **INNER)
def _triangle(position, face, row):
    """Where the corners of a triangle begin in `position`, its first corner, and the edges to the two others."""
    at = np.uint32(row) * U3
    i = np.uint32(face[at]) * U3
    j = np.uint32(face[at + U1]) * U3
    k = np.uint32(face[at + U2]) * U3
    x = position[i]
    y = position[i + U1]
    z = position[i + U2]
    return (i, j, k, x, y, z, position[j] - x, position[j + U1] - y, position[j + U2] - z,
            position[k] - x, position[k + U1] - y, position[k + U2] - z)  # fmt: skip


@single(forceinline=True, **INNER)
def _bend(normal, i, j, k, u, v):
    """The corners' normals in between."""
    w = 1.0 - u - v
    return (
        w * normal[i] + u * normal[j] + v * normal[k],
        w * normal[i + U1] + u * normal[j + U1] + v * normal[k + U1],
        w * normal[i + U2] + u * normal[j + U2] + v * normal[k + U2],
    )


@single(forceinline=True, **INNER)
def surface(tid, px, py, occlusion, cam, rot, env, tex, position, normal, face, statics, m_position, m_normal, m_face,
            source, owner, record, looks, uvs, paints, lamp_bits, signals, outlines, near, far, moving, busy, light,
            lamps, l_origin, l_size, l_first, l_items, heads, head_count):  # fmt: skip
    """(r, g, b) leaving triangle `tid` towards pixel (px, py), before fog, the world point, its distance,

    and of wet ground the mirror's share and its slope (x, y). Vertices, faces, records and their tables are flat;
    unsigned indices spare the check for negative ones."""
    vx = (px - cam[5]) * cam[7]
    vy = (py - cam[6]) * cam[8]
    dx = rot[0, 0] * vx + rot[1, 0] * vy + rot[2, 0]
    dy = rot[0, 1] * vx + rot[1, 1] * vy + rot[2, 1]
    dz = rot[0, 2] * vx + rot[1, 2] * vy + rot[2, 2]
    src = tid
    who = -1
    if tid < statics:
        i0, i1, i2, ox, oy, oz, ax, ay, az, bx, by, bz = _triangle(position, face, tid)
    else:
        src = source[tid - statics]
        who = owner[tid - statics]
        i0, i1, i2, ox, oy, oz, ax, ay, az, bx, by, bz = _triangle(m_position, m_face, tid - statics)
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
    if who < 0:
        nx, ny, nz = _bend(normal, i0, i1, i2, u, v)
    else:
        nx, ny, nz = _bend(m_normal, i0, i1, i2, u, v)
    nx, ny, nz = unit(nx, ny, nz)
    if nx * gx + ny * gy + nz * gz < 0.0:
        nx = -nx
        ny = -ny
        nz = -nz
    at = np.uint32(src) * U4
    look = np.uint32(record[at]) * U4
    row = np.uint32(record[at + U1]) * U6
    w = 1.0 - u - v
    fg = distance * cam[7] / math.sqrt(cosv)
    level = rough_log2(max(fg * 256.0, 1e-3))
    r, g, b, nx, ny, nz, rough, f0, gloss, er, eg, eb, wrap, own, tilt_x, tilt_y, wet = appearance(
        env, tex, int(looks[look + U3]), record[at + U2], who, paints, lamp_bits, signals, outlines,
        looks[look], looks[look + U1], looks[look + U2], x, y, z, nx, ny, nz,
        w * uvs[row] + u * uvs[row + U2] + v * uvs[row + U4],
        w * uvs[row + U1] + u * uvs[row + U3] + v * uvs[row + U5], cosv, level, fg)  # fmt: skip
    r, g, b, mirror = lighting(
        env, tex, occlusion, r, g, b, x, y, z, dx, dy, dz, distance, nx, ny, nz, gx, gy, gz, rough, f0, gloss, er, eg,
        eb, wrap, own, tilt_x, tilt_y, wet, near, far, moving, busy, light, lamps, l_origin, l_size, l_first, l_items,
        heads, head_count)  # fmt: skip
    return r, g, b, x, y, z, distance, mirror, tilt_x, tilt_y
