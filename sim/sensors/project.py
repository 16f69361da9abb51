"""Triangles on their way to the picture: transformed, clipped at the near plane, projected, or dropped.

Inverse depth comes from the triangle's plane in camera space (w = n . ray / n . v0), which stays exact for triangles
that are cut by the near plane.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit, prange

from sim.sensors.jit import INNER, PARALLEL, f32, shuffled

BLOCKS = 16
"""Parts that the triangles of a drawing are cut into; results must not depend on the number of threads."""


@njit(forceinline=True, **INNER)
def _missed(ax, ay, bx, by, cx, cy, sw, sh, fine):
    """Whether no sample can lie in a projected triangle: they are at k + 1/2, and pixel centres (`fine`) at 2 k + 1."""
    margin = f32(1e-3)  # edges are interpolated, and must not lose a sample that they own by rounding
    x0 = min(ax, min(bx, cx)) - margin
    x1 = max(ax, max(bx, cx)) + margin
    y0 = min(ay, min(by, cy)) - margin
    y1 = max(ay, max(by, cy)) + margin
    if x1 < f32(0.5) or y1 < f32(0.5) or x0 > sw - f32(0.5) or y0 > sh - f32(0.5):
        return True
    half = f32(0.5)
    if np.ceil(x0 - half) <= np.floor(x1 - half) and np.ceil(y0 - half) <= np.floor(y1 - half):
        return False
    if not fine:
        return True
    one = f32(1)
    return (np.ceil((x0 - one) * half) > np.floor((x1 - one) * half)) or (
        np.ceil((y0 - one) * half) > np.floor((y1 - one) * half)
    )


@njit(forceinline=True, **INNER)
def _seen_from(rot, x, y, z):
    """A point relative to the camera, along its axes."""
    return (
        rot[0, 0] * x + rot[0, 1] * y + rot[0, 2] * z,
        rot[1, 0] * x + rot[1, 1] * y + rot[1, 2] * z,
        rot[2, 0] * x + rot[2, 1] * y + rot[2, 2] * z,
    )


@njit(forceinline=True, **INNER)
def _corners(vertices, faces, row, rot, pos):
    """The corners of a triangle along the camera's axes."""
    at = np.uint32(row)
    i = np.uint32(faces[at, 0])
    j = np.uint32(faces[at, 1])
    k = np.uint32(faces[at, 2])
    ax, ay, az = _seen_from(rot, vertices[i, 0] - pos[0], vertices[i, 1] - pos[1], vertices[i, 2] - pos[2])
    bx, by, bz = _seen_from(rot, vertices[j, 0] - pos[0], vertices[j, 1] - pos[1], vertices[j, 2] - pos[2])
    cx, cy, cz = _seen_from(rot, vertices[k, 0] - pos[0], vertices[k, 1] - pos[1], vertices[k, 2] - pos[2])
    return ax, ay, az, bx, by, bz, cx, cy, cz


@njit(forceinline=True, **INNER)
def _emit(k, shape, span, ax, ay, bx, by, cx, cy, pa, pb, pc, wlo, whi, tid, sh):
    """Store a projected triangle at row k unless it is seen from its edge; returns 1 if stored."""
    if (bx - ax) * (cy - ay) == (cx - ax) * (by - ay):
        return 0
    # corners from the top down and the slopes of the three edges
    px, py, qx, qy, rx, ry = ax, ay, bx, by, cx, cy
    if py > qy:
        px, py, qx, qy = qx, qy, px, py
    if qy > ry:
        qx, qy, rx, ry = rx, ry, qx, qy
    if py > qy:
        px, py, qx, qy = qx, qy, px, py
    shape[k, 0] = px
    shape[k, 1] = py
    shape[k, 2] = qx
    shape[k, 3] = qy
    shape[k, 4] = ry
    shape[k, 5] = (rx - px) / (ry - py) if ry > py else f32(0)
    shape[k, 6] = (qx - px) / (qy - py) if qy > py else f32(0)
    shape[k, 7] = (rx - qx) / (ry - qy) if ry > qy else f32(0)
    shape[k, 8] = pa
    shape[k, 9] = pb
    shape[k, 10] = pc
    shape[k, 11] = wlo
    shape[k, 12] = whi
    span[k, 0] = tid
    span[k, 1] = int(max(f32(0), np.floor(py - f32(0.5))))
    span[k, 2] = int(min(sh - f32(1), np.ceil(ry - f32(0.5))))
    return 1


@njit(forceinline=True, **INNER)
def _clip(q, n, x0, y0, z0, x1, y1, z1, near, fx, fy, cx, cy):
    """Append to the outline q [4, 2] what an edge that begins in front of the near plane or crosses it adds to it;

    returns the number of points."""
    if z0 >= near:
        q[n, 0] = x0 / z0 * fx + cx
        q[n, 1] = y0 / z0 * fy + cy
        n += 1
    if (z0 >= near) != (z1 >= near):
        u = (near - z0) / (z1 - z0)
        q[n, 0] = (x0 + u * (x1 - x0)) / near * fx + cx
        q[n, 1] = (y0 + u * (y1 - y0)) / near * fy + cy
        n += 1
    return n


@njit(**PARALLEL)
def project(vertices, faces, statics, m_vertices, m_faces, draw, rot, pos, fx, fy, cx, cy, near, ortho, sw, sh, fine,
            shape, span, kept):  # fmt: skip
    """Transform, clip and project the triangles `draw`; block b writes rows from 2 b size on, their number to kept[b].

    Numbers from `statics` on are moving triangles, with vertices of their own. A row is: shape (corners from the top
    down x, y, x, y and y; slopes of the long, upper and lower edge; inverse depth as a plane pa x + pb y + pc; its
    least and greatest value), span (triangle, first and last row of samples).
    """
    count = len(draw)
    size = (count + BLOCKS - 1) // BLOCKS
    # the picture's edges at depth 1
    left = cx / fx
    right = (sw - cx) / fx
    top = cy / fy
    bottom = (sh - cy) / fy
    for part in prange(BLOCKS):
        b = shuffled(part, BLOCKS)
        row = b * size * 2
        q = np.empty((4, 2), np.float32)
        for at in range(b * size, min(count, (b + 1) * size)):
            tid = draw[at]
            if tid < statics:
                x0, y0, z0, x1, y1, z1, x2, y2, z2 = _corners(vertices, faces, tid, rot, pos)
            else:
                x0, y0, z0, x1, y1, z1, x2, y2, z2 = _corners(m_vertices, m_faces, tid - statics, rot, pos)
            sx0 = f32(0)
            sy0 = f32(0)
            sx1 = f32(0)
            sy1 = f32(0)
            sx2 = f32(0)
            sy2 = f32(0)
            w0 = f32(0)
            w1 = f32(0)
            w2 = f32(0)
            whole = True
            if ortho:
                sx0 = x0 * fx + cx
                sy0 = y0 * fy + cy
                sx1 = x1 * fx + cx
                sy1 = y1 * fy + cy
                sx2 = x2 * fx + cx
                sy2 = y2 * fy + cy
                if _missed(sx0, sy0, sx1, sy1, sx2, sy2, sw, sh, fine):
                    continue
            else:
                if z0 < near and z1 < near and z2 < near:
                    continue
                # wholly beside the picture
                if (x0 > right * z0 and x1 > right * z1 and x2 > right * z2) or (
                    -x0 > left * z0 and -x1 > left * z1 and -x2 > left * z2
                ):
                    continue
                if (y0 > bottom * z0 and y1 > bottom * z1 and y2 > bottom * z2) or (
                    -y0 > top * z0 and -y1 > top * z1 and -y2 > top * z2
                ):
                    continue
                whole = z0 >= near and z1 >= near and z2 >= near
                if whole:
                    w0 = f32(1) / z0
                    w1 = f32(1) / z1
                    w2 = f32(1) / z2
                    sx0 = x0 * w0 * fx + cx
                    sy0 = y0 * w0 * fy + cy
                    sx1 = x1 * w1 * fx + cx
                    sy1 = y1 * w1 * fy + cy
                    sx2 = x2 * w2 * fx + cx
                    sy2 = y2 * w2 * fy + cy
                    if _missed(sx0, sy0, sx1, sy1, sx2, sy2, sw, sh, fine):
                        continue
            ux = x1 - x0
            uy = y1 - y0
            uz = z1 - z0
            vx = x2 - x0
            vy = y2 - y0
            vz = z2 - z0
            nx = uy * vz - uz * vy
            ny = uz * vx - ux * vz
            nz = ux * vy - uy * vx
            d = nx * x0 + ny * y0 + nz * z0
            if ortho:
                if nz == 0:
                    continue
                k = f32(1) / nz
                lo = min(-z0, min(-z1, -z2))
                hi = max(-z0, max(-z1, -z2))
                row += _emit(row, shape, span, sx0, sy0, sx1, sy1, sx2, sy2, nx * k / fx, ny * k / fy,
                             -d * k - (nx * k / fx) * cx - (ny * k / fy) * cy, lo, hi, tid, sh)  # fmt: skip
                continue
            if d == 0:
                continue
            k = f32(1) / d
            pa = nx * k / fx
            pb = ny * k / fy
            pc = nz * k - pa * cx - pb * cy
            if whole:
                row += _emit(row, shape, span, sx0, sy0, sx1, sy1, sx2, sy2, pa, pb, pc, min(w0, min(w1, w2)),
                             max(w0, max(w1, w2)), tid, sh)  # fmt: skip
                continue
            lo = f32(1) / max(z0, max(z1, z2))
            n = _clip(q, 0, x0, y0, z0, x1, y1, z1, near, fx, fy, cx, cy)
            n = _clip(q, n, x1, y1, z1, x2, y2, z2, near, fx, fy, cx, cy)
            n = _clip(q, n, x2, y2, z2, x0, y0, z0, near, fx, fy, cx, cy)
            for e in range(1, n - 1):
                if not _missed(q[0, 0], q[0, 1], q[e, 0], q[e, 1], q[e + 1, 0], q[e + 1, 1], sw, sh, fine):
                    row += _emit(row, shape, span, q[0, 0], q[0, 1], q[e, 0], q[e, 1], q[e + 1, 0], q[e + 1, 1],
                                 pa, pb, pc, lo, f32(1) / near, tid, sh)  # fmt: skip
        kept[b] = row - b * size * 2
