"""The visibility buffer: which triangle each sample sees, and its inverse depth.

Projected triangles (see sim.sensors.project) are sorted into bands of rows (`_bin`), and each band is filled by one
thread in draw order, so the picture is the same on any number of threads. One projection can fill two buffers: 2 x 2
samples a pixel for colour, the pixel's centre for labels.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sim.sensors.jit import INNER, PARALLEL, f32, shuffled
from sim.sensors.mesh import Geometry
from sim.sensors.project import BLOCKS, project
from sim.sensors.view import View

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
BAND = 16


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


@njit(forceinline=True, **INNER)
def _fill(shape, k, tid, first, last, off, step, width, inverse, named, ids):
    """Fill rows first..last of one triangle; sample i of a row lies at off + step i (both axes). `named`: fill ids."""
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
        numbers = ids[np.uint32(y if named else 0)]
        for x in range(i0, i1):
            w = min(hi, max(lo, base + pas * f32(x)))
            at = np.uint32(x)
            if w > depths[at]:
                depths[at] = w
                if named:
                    numbers[at] = tid


@njit(**PARALLEL)
def _raster(shape, span, start, items, bands, fine, inverse, named, ids, inverse1, ids1, clear, clean):
    """Clear and fill every band of the sample buffer and, when `fine`, of the pixel-centre buffer of half its size.

    `clean` [bands]: which bands hold nothing.
    """
    height, width = inverse.shape
    for rr in prange(bands):
        r = shuffled(rr, bands)
        if clean[r] and start[r] == start[r + 1]:
            continue
        clean[r] = start[r] == start[r + 1]
        y0 = r * BAND
        y1 = min(height, y0 + BAND) - 1
        inverse[y0 : y1 + 1] = clear
        if named:
            ids[y0 : y1 + 1] = -1
        c0 = y0 // 2
        c1 = min(ids1.shape[0], c0 + BAND // 2) - 1
        if fine:
            inverse1[c0 : c1 + 1] = clear
            ids1[c0 : c1 + 1] = -1
        for at in range(start[r], start[r + 1]):
            k = items[at]
            _fill(shape, k, span[k, 0], y0, y1, f32(0.5), f32(1), width, inverse, named, ids)
            if fine:
                _fill(shape, k, span[k, 0], c0, c1, f32(1), f32(2), ids1.shape[1], inverse1, named, ids1)


class Scratch:
    """Room for projected triangles, which rasters that draw one after another can share."""

    def __init__(self) -> None:
        self.shape = np.empty((0, 13), np.float32)
        self.span = np.empty((0, 3), np.int32)
        self.items = np.empty(1 << 16, np.int32)
        self.kept = np.zeros(BLOCKS, np.int64)

    def reserve(self, rows: int) -> None:
        """Make room for so many projected triangles."""
        if rows > len(self.shape):
            self.shape = np.empty((rows * 5 // 4, 13), np.float32)
            self.span = np.empty((rows * 5 // 4, 3), np.int32)


class Raster:
    """Buffers of one picture size. `inverse`, `ids` [rows, columns]: 1/z (0: nothing) and triangle id (-1: nothing).

    With `samples` = 2 they have twice the picture's rows and columns and `inverse1`, `ids1` hold the pixel
    centres; with 1 they are the pixel centres and the second pair is the same arrays. Without `named` there are no ids:
    shadow maps need the depth alone.
    """

    def __init__(self, width: int, height: int, scratch: Scratch, samples: int = 1, named: bool = True) -> None:
        self.samples, self._scratch, self._named = samples, scratch, named
        w, h = width * samples, height * samples
        self.inverse = np.empty((h, w), np.float32)
        self.ids = np.empty((h, w) if named else (1, 1), np.int32)
        self.inverse1 = np.empty((height, width), np.float32) if samples == 2 else self.inverse
        self.ids1 = np.empty((height, width), np.int32) if samples == 2 else self.ids
        self._bands = (h + BAND - 1) // BAND
        self.start = np.zeros(self._bands + 1, np.int64)
        """First entry of each band of the last drawing."""
        self._clean = np.zeros(self._bands, np.bool_)

    def draw(self, still: Geometry, moving: Geometry, draw: I32, view: View) -> None:
        """Rasterise triangles seen from `view`, whose size is the picture's.

        `draw` [n] int32 counts through those of `still` and on through those of `moving`.
        """
        s, samples = self._scratch, self.samples
        size = (len(draw) + BLOCKS - 1) // BLOCKS
        s.reserve(size * 2 * BLOCKS)
        k = float(samples)
        h, w = self.inverse.shape
        project(
            still.position, still.face, still.size, moving.position, moving.face, draw, view.rotation, view.position,
            f32(view.fx * k), f32(view.fy * k), f32(view.cx * k), f32(view.cy * k), f32(view.near), view.orthographic,
            f32(w), f32(h), samples == 2, s.shape, s.span, s.kept,
        )  # fmt: skip
        entries = _bin(s.span, s.kept, size, self._bands, self.start, s.items)
        if entries < 0:
            s.items = np.empty(-entries * 3 // 2, np.int32)
            _bin(s.span, s.kept, size, self._bands, self.start, s.items)
        clear = f32(-1e30) if view.orthographic else f32(0)
        _raster(
            s.shape, s.span, self.start, s.items, self._bands, samples == 2, self.inverse, self._named, self.ids,
            self.inverse1, self.ids1, clear, self._clean,
        )  # fmt: skip

    def take(self) -> F32:
        """Hand over the depths that were drawn; the next drawing gets a buffer of its own."""
        taken = self.inverse
        self.inverse = np.empty_like(taken)
        if self.samples == 1:
            self.inverse1 = self.inverse
        self._clean[:] = False
        return taken
