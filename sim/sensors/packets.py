"""Rays through hierarchies, 16 at a time: neighbours take much the same way, and one box or triangle is tested against

all of them by vector instructions. A packet is 176 numbers, 16 of each: origin x, y, z from 0, direction from 48, its
inverse from 96, the distance of the nearest hit from 144, what was hit from 160. Chunks of packets are answered by one
thread each, so results never depend on the number of threads.
"""

# numba knows these types, mypy does not
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import prange

from sim.sensors.jit import f32, shuffled, single

VECTOR = {"cache": True, "error_model": "numpy", "nogil": True, "fastmath": {"arcp", "nsz", "nnan"}}
"""No value here is ever not a number, which lets the least of 16 numbers be found by vector instructions."""
INNER = {**VECTOR, "_nrt": False}
"""As in sim.sensors.jit."""


@single(forceinline=True, **INNER)
def _enter(ray, lx, ly, lz, hx, hy, hz):
    """The least distance at which a ray of the packet enters a box before its nearest hit; 1e30 when all miss."""
    best = f32(1e30)
    for k in range(16):
        ax = (lx - ray[k]) * ray[96 + k]
        bx = (hx - ray[k]) * ray[96 + k]
        ay = (ly - ray[16 + k]) * ray[112 + k]
        by = (hy - ray[16 + k]) * ray[112 + k]
        az = (lz - ray[32 + k]) * ray[128 + k]
        bz = (hz - ray[32 + k]) * ray[128 + k]
        t0 = max(max(min(ax, bx), min(ay, by)), max(min(az, bz), 0.0))
        t1 = min(min(max(ax, bx), max(ay, by)), min(max(az, bz), ray[144 + k]))
        t = t0 if t0 <= t1 * 1.000001 else f32(1e30)
        best = min(best, t)
    return best


@single(forceinline=True, **INNER)
def _reach(ray):
    """The farthest of the packet's nearest hits."""
    far = f32(0.0)
    for k in range(16):
        far = max(far, ray[144 + k])
    return far


@single(forceinline=True, **INNER)
def _triangle(ray, corners, q):
    """Shorten the rays that hit triangle `q` of the leaves."""
    c = np.uint32(q) * np.uint32(9)
    cx = corners[c]
    cy = corners[c + np.uint32(1)]
    cz = corners[c + np.uint32(2)]
    ux = corners[c + np.uint32(3)]
    uy = corners[c + np.uint32(4)]
    uz = corners[c + np.uint32(5)]
    vx = corners[c + np.uint32(6)]
    vy = corners[c + np.uint32(7)]
    vz = corners[c + np.uint32(8)]
    number = f32(q)
    for k in range(16):
        dx = ray[48 + k]
        dy = ray[64 + k]
        dz = ray[80 + k]
        px = dy * vz - dz * vy
        py = dz * vx - dx * vz
        pz = dx * vy - dy * vx
        det = ux * px + uy * py + uz * pz
        inv = 1.0 / (det if det != 0.0 else f32(1e30))
        sx = ray[k] - cx
        sy = ray[16 + k] - cy
        sz = ray[32 + k] - cz
        u = (sx * px + sy * py + sz * pz) * inv
        rx = sy * uz - sz * uy
        ry = sz * ux - sx * uz
        rz = sx * uy - sy * ux
        v = (dx * rx + dy * ry + dz * rz) * inv
        t = (vx * rx + vy * ry + vz * rz) * inv
        far = ray[144 + k]
        ok = (u >= 0.0) & (v >= 0.0) & (u + v <= 1.0) & (t > 1e-4) & (t < far) & (det != 0.0)
        ray[144 + k] = t if ok else far
        ray[160 + k] = number if ok else ray[160 + k]


@single(forceinline=True, **INNER)
def _descend(nodes, children, k, ray, stack, entry, top):
    """Push the children of node k that a ray enters, the nearest last; returns the new top."""
    row = np.uint32(k) * np.uint32(24)
    base = top
    for c in range(4):
        child = children[np.uint32(k) * np.uint32(4) + np.uint32(c)]
        if child == 0:
            break
        at = row + np.uint32(c)
        t = _enter(ray, nodes[at], nodes[at + np.uint32(8)], nodes[at + np.uint32(16)], nodes[at + np.uint32(4)],
                   nodes[at + np.uint32(12)], nodes[at + np.uint32(20)])  # fmt: skip
        if t < 1e30:
            j = top
            while j > base and entry[j - 1] < t:
                entry[j] = entry[j - 1]
                stack[j] = stack[j - 1]
                j -= 1
            entry[j] = t
            stack[j] = child
            top += 1
    return top


@single(**INNER)
def nearest(nodes, children, corners, root, ray, stack, entry):
    """Update distance and hit (the place in the leaves) of each ray that hits a triangle before its nearest hit."""
    stack[0] = root
    entry[0] = 0.0
    top = 1
    far = _reach(ray)
    while top > 0:
        top -= 1
        if entry[top] >= far:
            continue
        k = stack[top]
        if k >= 0:
            top = _descend(nodes, children, k, ray, stack, entry, top)
            continue
        code = -1 - k
        for q in range(code >> 3, (code >> 3) + (code & 7)):
            _triangle(ray, corners, q)
        far = _reach(ray)


@single(forceinline=True, **INNER)
def _invert(ray):
    """Fill the rows of inverse directions."""
    for k in range(48):
        d = ray[48 + k]
        ray[96 + k] = 1.0 / (d if abs(d) > 1e-12 else f32(1e-12))


@single(parallel=True, **VECTOR)
def cast(nodes, children, corners, order, t_nodes, t_children, t_corners, t_order, t_root, t_first,
         a_nodes, a_children, a_order, a_inverse, a_template, origin, direction, turn, far, distance, triangle,
         actor):  # fmt: skip
    """Nearest hits of n rays among static triangles and actors.

    origin [n or 1, 3]; direction [n, 3], unit vectors that `turn` [3, 3] turns into the world. `t_*`: the templates'
    trees in one (see Tree.joined), each with its root and the number of its first triangle. An actor part is a template
    under the inverse of its world matrix a_inverse [parts, 3, 4] (rigid or scaled). Fills distance [n] (`far` for no
    hit), triangle [n] (of the static scene or the template; -1 none) and actor [n] (part index, -1 static).
    """
    n = direction.shape[0]
    packets = (n + 15) // 16
    chunks = (packets + 15) // 16
    for part in prange(chunks):
        chunk = shuffled(part, chunks)
        ray = np.empty(176, np.float32)
        own = np.empty(176, np.float32)
        stack = np.empty(192, np.int32)
        entry = np.empty(192, np.float32)
        upper = np.empty(96, np.int32)
        upper_entry = np.empty(96, np.float32)
        for packet in range(chunk * 16, min(packets, chunk * 16 + 16)):
            for k in range(16):
                i = min(packet * 16 + k, n - 1)
                o = i if origin.shape[0] > 1 else 0
                for a in range(3):
                    ray[16 * a + k] = origin[o, a]
                    ray[48 + 16 * a + k] = (
                        turn[a, 0] * direction[i, 0] + turn[a, 1] * direction[i, 1] + turn[a, 2] * direction[i, 2]
                    )
                ray[144 + k] = far
                ray[160 + k] = -1.0
            _invert(ray)
            nearest(nodes, children, corners, np.int32(0), ray, stack, entry)
            for k in range(min(16, n - packet * 16)):
                q = int(ray[160 + k])
                triangle[packet * 16 + k] = order[q] if q >= 0 else -1
                actor[packet * 16 + k] = -1
            top = 1 if a_order.shape[0] > 0 else 0
            upper[0] = 0
            upper_entry[0] = 0.0
            reach = _reach(ray)
            while top > 0:
                top -= 1
                if upper_entry[top] >= reach:
                    continue
                k = upper[top]
                if k >= 0:
                    top = _descend(a_nodes, a_children, k, ray, upper, upper_entry, top)
                    continue
                code = -1 - k
                for z in range(code >> 3, (code >> 3) + (code & 7)):
                    j = a_order[z]
                    m = a_inverse[j]
                    for a in range(3):
                        for k in range(16):
                            own[16 * a + k] = m[a, 0] * ray[k] + m[a, 1] * ray[16 + k] + m[a, 2] * ray[32 + k] + m[a, 3]
                            own[48 + 16 * a + k] = m[a, 0] * ray[48 + k] + m[a, 1] * ray[64 + k] + m[a, 2] * ray[80 + k]
                    for k in range(16):
                        own[144 + k] = ray[144 + k]
                        own[160 + k] = -1.0
                    _invert(own)
                    g = a_template[j]
                    nearest(t_nodes, t_children, t_corners, t_root[g], own, stack, entry)
                    for k in range(min(16, n - packet * 16)):
                        q = int(own[160 + k])
                        if q >= 0:
                            ray[144 + k] = own[144 + k]
                            triangle[packet * 16 + k] = t_order[q] + t_first[g]
                            actor[packet * 16 + k] = j
                reach = _reach(ray)
            for k in range(min(16, n - packet * 16)):
                distance[packet * 16 + k] = ray[144 + k]
