"""The visibility buffer: which triangle each sample sees, and its inverse depth.

Triangles are transformed, clipped and projected once (`_setup`, in a fixed number of blocks), sorted into bands of rows
(`_bin`), and each band is filled by one thread in draw order, so the picture is the same on any number of
threads. Inverse depth comes from the triangle's plane in camera space (w = n . ray / n . v0), which stays exact for
triangles that are cut by the near plane. One setup can fill two buffers: 2 x 2 samples a pixel for colour, the pixel's
centre for labels.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sim.sensors.jit import PARALLEL, SERIAL, f32

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
BAND = 16
BLOCKS = 16


@dataclass(frozen=True)
class View:
    """A camera: world -> camera rotation (rows: right, down, forward), position, pinhole in pixels.

    `orthographic` cameras (shadow maps) use `fx`, `fy` as pixels per metre and see every depth.
    """

    rotation: F32
    position: F32
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    near: float = 0.05
    orthographic: bool = False

    @staticmethod
    def perspective(rotation: F32, position: F32, width: int, height: int, fov: float) -> View:
        """`fov`: horizontal field of view, radians."""
        f = width / 2 / math.tan(fov / 2)
        return View(rotation, position, f, f, width / 2, height / 2, width, height)


def view_rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> F32:
    """World -> camera rotation [3, 3] of a camera looking along `yaw` (x towards y), `pitch` up, `roll` clockwise."""
    cy, sy, cp, sp, cr, sr = (g(a) for a in (yaw, pitch, roll) for g in (math.cos, math.sin))
    forward = np.array([cy * cp, sy * cp, sp])
    right = np.array([cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, -cp * sr])
    up = np.array([-cy * sp * cr - sy * sr, -sy * sp * cr + cy * sr, cp * cr])
    return np.stack([right, -up, forward]).astype(np.float32)


@njit(forceinline=True, **SERIAL)
def _emit(k, shape, span, ax, ay, bx, by, cx, cy, pa, pb, pc, wlo, whi, tid, sw, sh):
    """Store a projected triangle at row k unless no sample can lie in it; returns 1 if stored."""
    x0 = min(ax, min(bx, cx))
    x1 = max(ax, max(bx, cx))
    y0 = min(ay, min(by, cy))
    y1 = max(ay, max(by, cy))
    if x1 < f32(0.5) or y1 < f32(0.5) or x0 > sw - f32(0.5) or y0 > sh - f32(0.5):
        return 0
    # samples lie on multiples of 1/2, so a triangle between two of them is seen by none
    if np.ceil(f32(2) * x0) > np.floor(f32(2) * x1) or np.ceil(f32(2) * y0) > np.floor(f32(2) * y1):
        return 0
    if (bx - ax) * (cy - ay) == (cx - ax) * (by - ay):
        return 0
    shape[k, 0] = ax
    shape[k, 1] = ay
    shape[k, 2] = bx
    shape[k, 3] = by
    shape[k, 4] = cx
    shape[k, 5] = cy
    shape[k, 6] = pa
    shape[k, 7] = pb
    shape[k, 8] = pc
    shape[k, 9] = wlo
    shape[k, 10] = whi
    span[k, 0] = tid
    span[k, 1] = int(max(f32(0), np.floor(y0 - f32(0.5))))
    span[k, 2] = int(min(sh - f32(1), np.ceil(y1 - f32(0.5))))
    return 1


@njit(**PARALLEL)
def _setup(vertices, faces, draw, count, rot, pos, fx, fy, cx, cy, near, ortho, sw, sh, shape, span, kept):
    """Transform, clip and project `draw[:count]`; block b writes rows from 2 b size on and their number to kept[b]."""
    size = (count + BLOCKS - 1) // BLOCKS
    for b in prange(BLOCKS):
        row = b * size * 2
        q = np.empty((4, 3), np.float32)
        c = np.empty((3, 3), np.float32)
        for at in range(b * size, min(count, (b + 1) * size)):
            tid = draw[at]
            behind = 0
            for e in range(3):
                v = faces[tid, e]
                x = vertices[v, 0] - pos[0]
                y = vertices[v, 1] - pos[1]
                z = vertices[v, 2] - pos[2]
                for r in range(3):
                    c[e, r] = rot[r, 0] * x + rot[r, 1] * y + rot[r, 2] * z
                if c[e, 2] < near:
                    behind += 1
            if not ortho:
                if behind == 3:
                    continue
                # wholly beside the picture
                left = cx / fx
                right = (sw - cx) / fx
                top = cy / fy
                bottom = (sh - cy) / fy
                if (c[0, 0] > right * c[0, 2] and c[1, 0] > right * c[1, 2] and c[2, 0] > right * c[2, 2]) or (
                    -c[0, 0] > left * c[0, 2] and -c[1, 0] > left * c[1, 2] and -c[2, 0] > left * c[2, 2]
                ):
                    continue
                if (c[0, 1] > bottom * c[0, 2] and c[1, 1] > bottom * c[1, 2] and c[2, 1] > bottom * c[2, 2]) or (
                    -c[0, 1] > top * c[0, 2] and -c[1, 1] > top * c[1, 2] and -c[2, 1] > top * c[2, 2]
                ):
                    continue
            ux = c[1, 0] - c[0, 0]
            uy = c[1, 1] - c[0, 1]
            uz = c[1, 2] - c[0, 2]
            vx = c[2, 0] - c[0, 0]
            vy = c[2, 1] - c[0, 1]
            vz = c[2, 2] - c[0, 2]
            nx = uy * vz - uz * vy
            ny = uz * vx - ux * vz
            nz = ux * vy - uy * vx
            d = nx * c[0, 0] + ny * c[0, 1] + nz * c[0, 2]
            if ortho:
                if nz == 0:
                    continue
                k = f32(1) / nz
                lo = min(-c[0, 2], min(-c[1, 2], -c[2, 2]))
                hi = max(-c[0, 2], max(-c[1, 2], -c[2, 2]))
                row += _emit(row, shape, span, c[0, 0] * fx + cx, c[0, 1] * fy + cy, c[1, 0] * fx + cx,
                             c[1, 1] * fy + cy, c[2, 0] * fx + cx, c[2, 1] * fy + cy,
                             nx * k / fx, ny * k / fy, -d * k - (nx * k / fx) * cx - (ny * k / fy) * cy, lo, hi,
                             tid, sw, sh)  # fmt: skip
                continue
            if d == 0:
                continue
            k = f32(1) / d
            pa = nx * k / fx
            pb = ny * k / fy
            pc = nz * k - pa * cx - pb * cy
            if behind == 0:
                w0 = f32(1) / c[0, 2]
                w1 = f32(1) / c[1, 2]
                w2 = f32(1) / c[2, 2]
                row += _emit(row, shape, span, c[0, 0] * w0 * fx + cx, c[0, 1] * w0 * fy + cy,
                             c[1, 0] * w1 * fx + cx, c[1, 1] * w1 * fy + cy,
                             c[2, 0] * w2 * fx + cx, c[2, 1] * w2 * fy + cy, pa, pb, pc,
                             min(w0, min(w1, w2)), max(w0, max(w1, w2)), tid, sw, sh)  # fmt: skip
                continue
            n = 0
            lo = f32(1e30)
            for e in range(3):
                a = e
                g = (e + 1) % 3
                za = c[a, 2]
                zg = c[g, 2]
                if za >= near:
                    q[n, 0] = c[a, 0] / za * fx + cx
                    q[n, 1] = c[a, 1] / za * fy + cy
                    lo = min(lo, f32(1) / za)
                    n += 1
                if (za >= near) != (zg >= near):
                    u = (near - za) / (zg - za)
                    q[n, 0] = (c[a, 0] + u * (c[g, 0] - c[a, 0])) / near * fx + cx
                    q[n, 1] = (c[a, 1] + u * (c[g, 1] - c[a, 1])) / near * fy + cy
                    n += 1
            lo = min(lo, f32(1) / near)
            for e in range(1, n - 1):
                row += _emit(row, shape, span, q[0, 0], q[0, 1], q[e, 0], q[e, 1], q[e + 1, 0], q[e + 1, 1],
                             pa, pb, pc, lo, f32(1) / near, tid, sw, sh)  # fmt: skip
        kept[b] = row - b * size * 2


@njit(**SERIAL)
def _bin(span, kept, size, bands, start, items):
    """Counting sort of triangles by band; returns the number of entries, negative when `items` is too short."""
    total = np.zeros(bands + 1, np.int64)
    for b in range(BLOCKS):
        for k in range(b * size * 2, b * size * 2 + kept[b]):
            for r in range(span[k, 1] // BAND, span[k, 2] // BAND + 1):
                total[r] += 1
    s = 0
    for r in range(bands):
        start[r] = s
        s += total[r]
    start[bands] = s
    if s > items.shape[0]:
        return -s
    place = start.copy()
    for b in range(BLOCKS):
        for k in range(b * size * 2, b * size * 2 + kept[b]):
            for r in range(span[k, 1] // BAND, span[k, 2] // BAND + 1):
                items[place[r]] = k
                place[r] += 1
    return s


@njit(forceinline=True, **SERIAL)
def _fill(shape, k, tid, first, last, off, step, width, inverse, ids):
    """Fill rows first..last of one triangle; sample i of a row lies at off + step i (both axes)."""
    ax = shape[k, 0]
    ay = shape[k, 1]
    bx = shape[k, 2]
    by = shape[k, 3]
    cx = shape[k, 4]
    cy = shape[k, 5]
    pa = shape[k, 6]
    pb = shape[k, 7]
    pc = shape[k, 8]
    lo = shape[k, 9]
    hi = shape[k, 10]
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
    if by > cy:
        bx, by, cx, cy = cx, cy, bx, by
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
    kac = (cx - ax) / (cy - ay) if cy > ay else f32(0)
    kab = (bx - ax) / (by - ay) if by > ay else f32(0)
    kbc = (cx - bx) / (cy - by) if cy > by else f32(0)
    inv = f32(1) / step
    y0 = max(first, int(np.ceil((ay - off) * inv)))
    y1 = min(last, int(np.ceil((cy - off) * inv)) - 1)
    pas = pa * step
    for y in range(y0, y1 + 1):
        yc = off + step * f32(y)
        xl = ax + (yc - ay) * kac
        xr = ax + (yc - ay) * kab if yc < by else bx + (yc - by) * kbc
        if xl > xr:
            xl, xr = xr, xl
        i0 = max(0, int(np.ceil((xl - off) * inv)))
        i1 = min(width, int(np.ceil((xr - off) * inv)))
        base = pc + pb * yc + pa * off
        for x in range(i0, i1):
            w = min(hi, max(lo, base + pas * f32(x)))
            if w > inverse[y, x]:
                inverse[y, x] = w
                ids[y, x] = tid


@njit(**PARALLEL)
def _raster(shape, span, start, items, bands, fine, inverse, ids, inverse1, ids1, clear):
    """Clear and fill every band of the sample buffer and, when `fine`, of the pixel-centre buffer of half its size."""
    height, width = ids.shape
    for rr in prange(bands):
        # interleave bands, so that each thread's share covers the whole picture
        half = (bands + 1) // 2
        r = rr * 2 if rr < half else (rr - half) * 2 + 1
        y0 = r * BAND
        y1 = min(height, y0 + BAND) - 1
        inverse[y0 : y1 + 1] = clear
        ids[y0 : y1 + 1] = -1
        c0 = y0 // 2
        c1 = min(ids1.shape[0], c0 + BAND // 2) - 1
        if fine:
            inverse1[c0 : c1 + 1] = clear
            ids1[c0 : c1 + 1] = -1
        for at in range(start[r], start[r + 1]):
            k = items[at]
            _fill(shape, k, span[k, 0], y0, y1, f32(0.5), f32(1), width, inverse, ids)
            if fine:
                _fill(shape, k, span[k, 0], c0, c1, f32(1), f32(2), ids1.shape[1], inverse1, ids1)


class Raster:
    """Buffers of one picture size. `inverse`, `ids` [rows, columns]: 1/z (0: nothing) and triangle id (-1: nothing).

    With `samples` = 2 they have twice the picture's rows and columns and `inverse1`, `ids1` hold the pixel
    centres; with 1 they are the pixel centres and the second pair is the same arrays.
    """

    def __init__(self, width: int, height: int, samples: int = 1) -> None:
        self.samples = samples
        w, h = width * samples, height * samples
        self.inverse = np.zeros((h, w), np.float32)
        self.ids = np.full((h, w), -1, np.int32)
        self.inverse1 = np.zeros((height, width), np.float32) if samples == 2 else self.inverse
        self.ids1 = np.full((height, width), -1, np.int32) if samples == 2 else self.ids
        self._bands = (h + BAND - 1) // BAND
        self._start = np.zeros(self._bands + 1, np.int64)
        self._items = np.empty(1 << 16, np.int32)
        self._kept = np.zeros(BLOCKS, np.int64)
        self._shape = np.empty((0, 11), np.float32)
        self._span = np.empty((0, 3), np.int32)

    def draw(self, vertices: F32, faces: I32, draw: I32, view: View) -> None:
        """Rasterise triangles `faces[draw]` ([n] int32) seen from `view`, whose size is the picture's."""
        size = (len(draw) + BLOCKS - 1) // BLOCKS
        need = size * 2 * BLOCKS
        if need > len(self._shape):
            self._shape = np.empty((need * 5 // 4, 11), np.float32)
            self._span = np.empty((need * 5 // 4, 3), np.int32)
        k = float(self.samples)
        h, w = self.ids.shape
        _setup(
            vertices, faces, draw, len(draw), view.rotation, view.position,
            f32(view.fx * k), f32(view.fy * k), f32(view.cx * k), f32(view.cy * k), f32(view.near), view.orthographic,
            f32(w), f32(h), self._shape, self._span, self._kept,
        )  # fmt: skip
        entries = _bin(self._span, self._kept, size, self._bands, self._start, self._items)
        if entries < 0:
            self._items = np.empty(-entries * 3 // 2, np.int32)
            _bin(self._span, self._kept, size, self._bands, self._start, self._items)
        clear = f32(-1e30) if view.orthographic else f32(0)
        _raster(
            self._shape, self._span, self._start, self._items, self._bands, self.samples == 2,
            self.inverse, self.ids, self.inverse1, self.ids1, clear,
        )  # fmt: skip
