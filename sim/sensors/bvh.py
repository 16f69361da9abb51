"""Bounding volume hierarchies for rays: one over the static scene, one per template, one over the actors of a frame.

Built by binned surface-area heuristic; a node is a box and two integers (left child and 0, or first item and count).
Rays are answered in chunks, each by one thread, so results never depend on the number of threads.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sim.sensors.jit import PARALLEL, SERIAL, f32

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
BINS = 16
CHUNK = 256
_BIG = f32(1e30)


@njit(**SERIAL)
def _area(lo, hi):
    dx = hi[0] - lo[0]
    dy = hi[1] - lo[1]
    dz = hi[2] - lo[2]
    return dx * dy + dy * dz + dz * dx


@njit(**SERIAL)
def _split(lo, hi, centre, order, begin, end, counts, bin_lo, bin_hi, suffix):
    """Partition order[begin:end] at the cheapest of 3 x 15 planes; returns the middle."""
    clo = np.full(3, 1e30, np.float32)
    chi = np.full(3, -1e30, np.float32)
    for i in range(begin, end):
        for a in range(3):
            clo[a] = min(clo[a], centre[order[i], a])
            chi[a] = max(chi[a], centre[order[i], a])
    best = f32(1e30)
    axis = -1
    plane = -1
    box_lo = np.empty(3, np.float32)
    box_hi = np.empty(3, np.float32)
    for a in range(3):
        if chi[a] - clo[a] < f32(1e-6):
            continue
        scale = f32(BINS) / (chi[a] - clo[a])
        counts[:] = 0
        bin_lo[:] = f32(1e30)
        bin_hi[:] = f32(-1e30)
        for i in range(begin, end):
            t = order[i]
            b = min(BINS - 1, int((centre[t, a] - clo[a]) * scale))
            counts[b] += 1
            for c in range(3):
                bin_lo[b, c] = min(bin_lo[b, c], lo[t, c])
                bin_hi[b, c] = max(bin_hi[b, c], hi[t, c])
        box_lo[:] = f32(1e30)
        box_hi[:] = f32(-1e30)
        for b in range(BINS - 1, 0, -1):
            for c in range(3):
                box_lo[c] = min(box_lo[c], bin_lo[b, c])
                box_hi[c] = max(box_hi[c], bin_hi[b, c])
            suffix[b] = _area(box_lo, box_hi)
        box_lo[:] = f32(1e30)
        box_hi[:] = f32(-1e30)
        left = 0
        for b in range(BINS - 1):
            for c in range(3):
                box_lo[c] = min(box_lo[c], bin_lo[b, c])
                box_hi[c] = max(box_hi[c], bin_hi[b, c])
            left += counts[b]
            if left == 0 or left == end - begin:
                continue
            cost = _area(box_lo, box_hi) * f32(left) + suffix[b + 1] * f32(end - begin - left)
            if cost < best:
                best = cost
                axis = a
                plane = b
    if axis < 0:
        return (begin + end) // 2
    scale = f32(BINS) / (chi[axis] - clo[axis])
    i = begin
    j = end - 1
    while i <= j:
        if min(BINS - 1, int((centre[order[i], axis] - clo[axis]) * scale)) <= plane:
            i += 1
        else:
            order[i], order[j] = order[j], order[i]
            j -= 1
    return i


@njit(**SERIAL)
def build(lo, hi, leaf):
    """Boxes lo, hi [n, 3] -> node boxes [m, 6], node links [m, 2], order [n] of items; leaves hold at most `leaf`."""
    n = lo.shape[0]
    order = np.arange(n).astype(np.int32)
    boxes = np.empty((2 * n, 6), np.float32)
    links = np.empty((2 * n, 2), np.int32)
    centre = (lo + hi) * f32(0.5)
    todo = np.empty((256, 3), np.int32)
    todo[0] = 0
    todo[0, 2] = n
    waiting = 1
    nodes = 1
    counts = np.zeros(BINS, np.int64)
    bin_lo = np.empty((BINS, 3), np.float32)
    bin_hi = np.empty((BINS, 3), np.float32)
    suffix = np.empty(BINS, np.float32)
    while waiting > 0:
        waiting -= 1
        k = todo[waiting, 0]
        begin = todo[waiting, 1]
        end = todo[waiting, 2]
        for a in range(3):
            low = f32(1e30)
            high = f32(-1e30)
            for i in range(begin, end):
                low = min(low, lo[order[i], a])
                high = max(high, hi[order[i], a])
            boxes[k, a] = low
            boxes[k, a + 3] = high
        if end - begin <= leaf:
            links[k, 0] = begin
            links[k, 1] = end - begin
            continue
        middle = _split(lo, hi, centre, order, begin, end, counts, bin_lo, bin_hi, suffix)
        links[k, 0] = nodes
        links[k, 1] = 0
        todo[waiting, 0] = nodes
        todo[waiting, 1] = begin
        todo[waiting, 2] = middle
        todo[waiting + 1, 0] = nodes + 1
        todo[waiting + 1, 1] = middle
        todo[waiting + 1, 2] = end
        waiting += 2
        nodes += 2
    return boxes[:nodes].copy(), links[:nodes].copy(), order


@dataclass(frozen=True)
class Tree:
    """A hierarchy over triangles: `corners` [n, 9] hold corner and two edges in the order of the leaves."""

    boxes: F32
    links: I32
    order: I32
    corners: F32

    @staticmethod
    def of(vertices: F32, faces: I32) -> Tree:
        """Over `faces` [n, 3] of `vertices` [m, 3]."""
        v = vertices[faces]
        boxes, links, order = build(v.min(1), v.max(1), 4)
        w = v[order]
        corners = np.concatenate([w[:, 0], w[:, 1] - w[:, 0], w[:, 2] - w[:, 0]], 1)
        return Tree(boxes, links, order, np.ascontiguousarray(corners.astype(np.float32)))


@njit(inline="always", **SERIAL)
def _enter(boxes, k, ox, oy, oz, ix, iy, iz, far):
    """Distance at which the ray enters the box, 1e30 when it misses or the box lies beyond `far`."""
    a = (boxes[k, 0] - ox) * ix
    b = (boxes[k, 3] - ox) * ix
    t0 = min(a, b)
    t1 = max(a, b)
    a = (boxes[k, 1] - oy) * iy
    b = (boxes[k, 4] - oy) * iy
    t0 = max(t0, min(a, b))
    t1 = min(t1, max(a, b))
    a = (boxes[k, 2] - oz) * iz
    b = (boxes[k, 5] - oz) * iz
    t0 = max(t0, min(a, b))
    t1 = min(t1, max(a, b))
    t0 = max(t0, f32(0))
    return t0 if t0 <= t1 * f32(1.000001) and t0 < far else _BIG


@njit(inline="always", **SERIAL)
def _inverse(d):
    return f32(1) / d if abs(d) > f32(1e-12) else f32(1e12)


@njit(**SERIAL)
def nearest(boxes, links, corners, ox, oy, oz, dx, dy, dz, far, stack):
    """(distance, leaf position) of the nearest triangle hit before `far`; position -1 for none."""
    ix = _inverse(dx)
    iy = _inverse(dy)
    iz = _inverse(dz)
    best = np.int32(-1)
    top = 0
    k = np.int32(0)
    if _enter(boxes, 0, ox, oy, oz, ix, iy, iz, far) >= _BIG:
        return far, best
    while True:
        count = links[k, 1]
        if count > 0:
            first = links[k, 0]
            for q in range(first, first + count):
                px = dy * corners[q, 8] - dz * corners[q, 7]
                py = dz * corners[q, 6] - dx * corners[q, 8]
                pz = dx * corners[q, 7] - dy * corners[q, 6]
                det = corners[q, 3] * px + corners[q, 4] * py + corners[q, 5] * pz
                if det == 0:
                    continue
                inv = f32(1) / det
                sx = ox - corners[q, 0]
                sy = oy - corners[q, 1]
                sz = oz - corners[q, 2]
                u = (sx * px + sy * py + sz * pz) * inv
                if u < 0 or u > 1:
                    continue
                rx = sy * corners[q, 5] - sz * corners[q, 4]
                ry = sz * corners[q, 3] - sx * corners[q, 5]
                rz = sx * corners[q, 4] - sy * corners[q, 3]
                v = (dx * rx + dy * ry + dz * rz) * inv
                if v < 0 or u + v > 1:
                    continue
                t = (corners[q, 6] * rx + corners[q, 7] * ry + corners[q, 8] * rz) * inv
                if t > f32(1e-4) and t < far:
                    far = t
                    best = np.int32(q)
        else:
            left = links[k, 0]
            a = _enter(boxes, left, ox, oy, oz, ix, iy, iz, far)
            b = _enter(boxes, left + 1, ox, oy, oz, ix, iy, iz, far)
            if a <= b:
                if b < _BIG:
                    stack[top] = left + 1
                    top += 1
                if a < _BIG:
                    k = left
                    continue
            else:
                if a < _BIG:
                    stack[top] = left
                    top += 1
                k = left + 1
                continue
        if top == 0:
            return far, best
        top -= 1
        k = stack[top]


@njit(**PARALLEL)
def cast(boxes, links, corners, order, t_boxes, t_links, t_corners, t_order, t_offset,
         a_boxes, a_links, a_order, a_inverse, a_template, origin, direction, far, distance, triangle,
         actor):  # fmt: skip
    """Nearest hits of rays origin [n, 3], direction [n, 3] (unit) among static triangles and actors.

    The templates' trees lie one after another; t_offset [templates, 2] gives the first node and first triangle of each.
    An actor part is a template under the inverse of its world matrix a_inverse [parts, 3, 4] (rigid or scaled). Fills
    distance [n] (`far` for no hit), triangle [n] (of the static scene or the template; -1 none) and actor [n]
    (part index, -1 static).
    """
    n = origin.shape[0]
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        stack = np.empty(128, np.int32)
        upper = np.empty(128, np.int32)
        for i in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK)):
            ox = origin[i, 0]
            oy = origin[i, 1]
            oz = origin[i, 2]
            dx = direction[i, 0]
            dy = direction[i, 1]
            dz = direction[i, 2]
            t, q = nearest(boxes, links, corners, ox, oy, oz, dx, dy, dz, far, stack)
            hit = order[q] if q >= 0 else np.int32(-1)
            who = np.int32(-1)
            if a_order.shape[0] > 0:
                ix = _inverse(dx)
                iy = _inverse(dy)
                iz = _inverse(dz)
                top = 1
                upper[0] = 0
                while top > 0:
                    top -= 1
                    k = upper[top]
                    if _enter(a_boxes, k, ox, oy, oz, ix, iy, iz, t) >= _BIG:
                        continue
                    if a_links[k, 1] == 0:
                        upper[top] = a_links[k, 0]
                        upper[top + 1] = a_links[k, 0] + 1
                        top += 2
                        continue
                    for z in range(a_links[k, 0], a_links[k, 0] + a_links[k, 1]):
                        j = a_order[z]
                        m = a_inverse[j]
                        g = a_template[j]
                        node = t_offset[g, 0]
                        tri = t_offset[g, 1]
                        px = m[0, 0] * ox + m[0, 1] * oy + m[0, 2] * oz + m[0, 3]
                        py = m[1, 0] * ox + m[1, 1] * oy + m[1, 2] * oz + m[1, 3]
                        pz = m[2, 0] * ox + m[2, 1] * oy + m[2, 2] * oz + m[2, 3]
                        ex = m[0, 0] * dx + m[0, 1] * dy + m[0, 2] * dz
                        ey = m[1, 0] * dx + m[1, 1] * dy + m[1, 2] * dz
                        ez = m[2, 0] * dx + m[2, 1] * dy + m[2, 2] * dz
                        t2, q2 = nearest(
                            t_boxes[node:], t_links[node:], t_corners[tri:], px, py, pz, ex, ey, ez, t, stack
                        )
                        if q2 >= 0:
                            t = t2
                            hit = t_order[tri + q2] + tri
                            who = np.int32(j)
            distance[i] = t
            triangle[i] = hit
            actor[i] = who
