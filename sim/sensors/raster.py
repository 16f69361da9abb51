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

    def touches(self, centre: F32, radius: F32) -> NDArray[np.bool_]:
        """Which spheres (centres [n, 3], radii [n]) may lie in the picture."""
        x, y, z = ((centre - self.position) @ self.rotation.T).T
        left, right = self.cx / self.fx, (self.width - self.cx) / self.fx
        top, bottom = self.cy / self.fy, (self.height - self.cy) / self.fy
        if self.orthographic:
            inside = (x < right + radius) & (-x < left + radius) & (y < bottom + radius) & (-y < top + radius)
            return np.asarray(inside)
        inside = z > self.near - radius
        for along, edge in ((x, right), (-x, left), (y, bottom), (-y, top)):
            inside &= along < edge * z + radius * math.hypot(1.0, edge)
        return np.asarray(inside)


def view_rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> F32:
    """World -> camera rotation [3, 3] of a camera looking along `yaw` (x towards y), `pitch` up, `roll` clockwise."""
    cy, sy, cp, sp, cr, sr = (g(a) for a in (yaw, pitch, roll) for g in (math.cos, math.sin))
    forward = np.array([cy * cp, sy * cp, sp])
    right = np.array([cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, -cp * sr])
    up = np.array([-cy * sp * cr - sy * sr, -sy * sp * cr + cy * sr, cp * cr])
    return np.stack([right, -up, forward]).astype(np.float32)


@njit(forceinline=True, **SERIAL)
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


@njit(forceinline=True, **SERIAL)
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


@njit(**PARALLEL)
def _setup(vertices, faces, draw, count, rot, pos, fx, fy, cx, cy, near, ortho, sw, sh, fine, shape, span, kept):
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
            sx0 = f32(0)
            sy0 = f32(0)
            sx1 = f32(0)
            sy1 = f32(0)
            sx2 = f32(0)
            sy2 = f32(0)
            w0 = f32(0)
            w1 = f32(0)
            w2 = f32(0)
            if ortho:
                sx0 = c[0, 0] * fx + cx
                sy0 = c[0, 1] * fy + cy
                sx1 = c[1, 0] * fx + cx
                sy1 = c[1, 1] * fy + cy
                sx2 = c[2, 0] * fx + cx
                sy2 = c[2, 1] * fy + cy
                if _missed(sx0, sy0, sx1, sy1, sx2, sy2, sw, sh, fine):
                    continue
            else:
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
                if behind == 0:
                    w0 = f32(1) / c[0, 2]
                    w1 = f32(1) / c[1, 2]
                    w2 = f32(1) / c[2, 2]
                    sx0 = c[0, 0] * w0 * fx + cx
                    sy0 = c[0, 1] * w0 * fy + cy
                    sx1 = c[1, 0] * w1 * fx + cx
                    sy1 = c[1, 1] * w1 * fy + cy
                    sx2 = c[2, 0] * w2 * fx + cx
                    sy2 = c[2, 1] * w2 * fy + cy
                    if _missed(sx0, sy0, sx1, sy1, sx2, sy2, sw, sh, fine):
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
                row += _emit(row, shape, span, sx0, sy0, sx1, sy1, sx2, sy2, nx * k / fx, ny * k / fy,
                             -d * k - (nx * k / fx) * cx - (ny * k / fy) * cy, lo, hi, tid, sh)  # fmt: skip
                continue
            if d == 0:
                continue
            k = f32(1) / d
            pa = nx * k / fx
            pb = ny * k / fy
            pc = nz * k - pa * cx - pb * cy
            if behind == 0:
                row += _emit(row, shape, span, sx0, sy0, sx1, sy1, sx2, sy2, pa, pb, pc, min(w0, min(w1, w2)),
                             max(w0, max(w1, w2)), tid, sh)  # fmt: skip
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
                if not _missed(q[0, 0], q[0, 1], q[e, 0], q[e, 1], q[e + 1, 0], q[e + 1, 1], sw, sh, fine):
                    row += _emit(row, shape, span, q[0, 0], q[0, 1], q[e, 0], q[e, 1], q[e + 1, 0], q[e + 1, 1],
                                 pa, pb, pc, lo, f32(1) / near, tid, sh)  # fmt: skip
        kept[b] = row - b * size * 2


@njit(**PARALLEL)
def _bin(span, kept, size, bands, start, items):
    """Counting sort of triangles by band; returns the number of entries, negative when `items` is too short."""
    place = np.zeros((BLOCKS, bands), np.int64)
    for b in prange(BLOCKS):
        for k in range(b * size * 2, b * size * 2 + kept[b]):
            for r in range(span[k, 1] // BAND, span[k, 2] // BAND + 1):
                place[b, r] += 1
    # within a band the blocks' entries follow one another, so that the drawing order stays
    s = 0
    for r in range(bands):
        start[r] = s
        for b in range(BLOCKS):
            n = place[b, r]
            place[b, r] = s
            s += n
    start[bands] = s
    if s > items.shape[0]:
        return -s
    for b in prange(BLOCKS):
        for k in range(b * size * 2, b * size * 2 + kept[b]):
            for r in range(span[k, 1] // BAND, span[k, 2] // BAND + 1):
                items[place[b, r]] = k
                place[b, r] += 1
    return s


@njit(forceinline=True, **SERIAL)
def _fill(shape, k, tid, first, last, off, step, width, inverse, ids):
    """Fill rows first..last of one triangle; sample i of a row lies at off + step i (both axes)."""
    ax = shape[k, 0]
    ay = shape[k, 1]
    cy = shape[k, 4]
    inv = f32(1) / step
    y0 = max(first, int(np.ceil((ay - off) * inv)))
    y1 = min(last, int(np.ceil((cy - off) * inv)) - 1)
    if y0 > y1:
        return
    bx = shape[k, 2]
    by = shape[k, 3]
    kac = shape[k, 5]
    kab = shape[k, 6]
    kbc = shape[k, 7]
    pb = shape[k, 9]
    lo = shape[k, 11]
    hi = shape[k, 12]
    pas = shape[k, 8] * step
    left = shape[k, 10] + shape[k, 8] * off
    for y in range(y0, y1 + 1):
        yc = off + step * f32(y)
        xl = ax + (yc - ay) * kac
        xr = ax + (yc - ay) * kab if yc < by else bx + (yc - by) * kbc
        if xl > xr:
            xl, xr = xr, xl
        i0 = max(0, int(np.ceil((xl - off) * inv)))
        i1 = min(width, int(np.ceil((xr - off) * inv)))
        base = left + pb * yc
        # unsigned indices spare the check for negative ones
        depths = inverse[np.uint32(y)]
        numbers = ids[np.uint32(y)]
        for x in range(i0, i1):
            w = min(hi, max(lo, base + pas * f32(x)))
            at = np.uint32(x)
            if w > depths[at]:
                depths[at] = w
                numbers[at] = tid


@njit(**PARALLEL)
def _raster(shape, span, start, items, bands, fine, inverse, ids, inverse1, ids1, clear, clean):
    """Clear and fill every band of the sample buffer and, when `fine`, of the pixel-centre buffer of half its size.

    `clean` [bands]: which bands hold nothing.
    """
    height, width = ids.shape
    for rr in prange(bands):
        # interleave bands, so that each thread's share covers the whole picture
        half = (bands + 1) // 2
        r = rr * 2 if rr < half else (rr - half) * 2 + 1
        if clean[r] and start[r] == start[r + 1]:
            continue
        clean[r] = start[r] == start[r + 1]
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
        self.start = np.zeros(self._bands + 1, np.int64)
        """First entry of each band of the last drawing."""
        self._clean = np.zeros(self._bands, np.bool_)
        self._items = np.empty(1 << 16, np.int32)
        self._kept = np.zeros(BLOCKS, np.int64)
        self._shape = np.empty((0, 13), np.float32)
        self._span = np.empty((0, 3), np.int32)

    def draw(self, vertices: F32, faces: I32, draw: I32, view: View) -> None:
        """Rasterise triangles `faces[draw]` ([n] int32) seen from `view`, whose size is the picture's."""
        size = (len(draw) + BLOCKS - 1) // BLOCKS
        need = size * 2 * BLOCKS
        if need > len(self._shape):
            self._shape = np.empty((need * 5 // 4, 13), np.float32)
            self._span = np.empty((need * 5 // 4, 3), np.int32)
        k = float(self.samples)
        h, w = self.ids.shape
        _setup(
            vertices, faces, draw, len(draw), view.rotation, view.position,
            f32(view.fx * k), f32(view.fy * k), f32(view.cx * k), f32(view.cy * k), f32(view.near), view.orthographic,
            f32(w), f32(h), self.samples == 2, self._shape, self._span, self._kept,
        )  # fmt: skip
        entries = _bin(self._span, self._kept, size, self._bands, self.start, self._items)
        if entries < 0:
            self._items = np.empty(-entries * 3 // 2, np.int32)
            _bin(self._span, self._kept, size, self._bands, self.start, self._items)
        clear = f32(-1e30) if view.orthographic else f32(0)
        _raster(
            self._shape, self._span, self.start, self._items, self._bands, self.samples == 2,
            self.inverse, self.ids, self.inverse1, self.ids1, clear, self._clean,
        )  # fmt: skip
