"""Reference lines: where a road runs, as positions and headings by arc length.

OpenDRIVE frame (x east, y north, heading counter-clockwise), float64. The five geometries of OpenDRIVE 1.4 to 1.7
reduce to two families, and every query of a whole map is answered at once:

- line, arc, spiral: the heading is hdg + k0 d + (k1 - k0) d^2 / (2 L). Constant curvature has the closed form of a
  chord (length d sinc(k d / 2), direction hdg + k d / 2); a spiral is integrated by 16-point Gauss-Legendre
  panels that turn at most 2 rad each, which is exact to rounding.
- poly3, paramPoly3: u(p), v(p) are cubics; the parameter is found for a given arc length (as carla.Map does) from a
  table of 32 steps, refined by Newton.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_STEPS = 32
_PANEL_TURN = 2.0


@dataclass
class Segments:
    """Reference-line segments of a whole map as arrays, in road order.

    `curvature` [n, 2] start and end; `cubic` [n, 8] aU bU cU dU aV bV cV dV; `top` [n] greatest parameter of a cubic,
    0 for the other geometries.
    """

    s: list[float] = field(default_factory=list)
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    heading: list[float] = field(default_factory=list)
    length: list[float] = field(default_factory=list)
    curvature: list[tuple[float, float]] = field(default_factory=list)
    cubic: list[tuple[float, ...]] = field(default_factory=list)
    top: list[float] = field(default_factory=list)
    road: list[int] = field(default_factory=list)

    def append(
        self,
        road: int,
        start: tuple[float, float, float, float, float],
        curvature: tuple[float, float] = (0.0, 0.0),
        cubic: tuple[float, ...] = (0.0,) * 8,
        top: float = 0.0,
    ) -> None:
        """Add a segment; start is (s, x, y, heading, length)."""
        for values, value in zip((self.s, self.x, self.y, self.heading, self.length), start):
            values.append(value)
        self.road.append(road)
        self.curvature.append(curvature)
        self.cubic.append(cubic)
        self.top.append(top)


class ReferenceLines:
    """The reference lines of all roads of a map."""

    def __init__(self, segments: Segments) -> None:
        self.s = np.array(segments.s, np.float64)
        self.x = np.array(segments.x, np.float64)
        self.y = np.array(segments.y, np.float64)
        self.heading = np.array(segments.heading, np.float64)
        self.length = np.array(segments.length, np.float64)
        self.road = np.array(segments.road, np.int64)
        self.curvature = np.array(segments.curvature, np.float64).reshape(-1, 2)
        self.cubic = np.array(segments.cubic, np.float64).reshape(-1, 8)
        self.top = np.array(segments.top, np.float64)
        # One sorted key finds road and segment together; roads are shorter than 1e6 m (checked by the reader).
        self._key = self.road * 1e6 + self.s
        self.first = np.searchsorted(self.road, np.arange(self.road[-1] + 2 if len(self.road) else 1))
        self._arc = np.zeros((len(self.s), _STEPS + 1))
        curved = np.flatnonzero(self.top > 0)
        if len(curved):
            edges = self.top[curved, None] * np.linspace(0, 1, _STEPS + 1)
            pieces = _cubic_length(self.cubic[curved, None, :], edges[:, :-1], edges[:, 1:])
            self._arc[curved, 1:] = np.cumsum(pieces, axis=1)

    def evaluate(self, road: NDArray[np.integer] | int, s: F64) -> tuple[F64, F64, F64]:
        """x, y, heading [n] of road index `road` at s [n]; s is clipped to the road's geometry."""
        s = np.asarray(s, np.float64)
        road = np.broadcast_to(np.asarray(road), s.shape)
        at = np.searchsorted(self._key, road * 1e6 + s, side="right") - 1
        at = np.clip(at, self.first[road], self.first[road + 1] - 1)
        d = np.clip(s - self.s[at], 0.0, self.length[at])
        h = self.heading[at]
        k0, k1 = self.curvature[at, 0], self.curvature[at, 1]
        # Chord of a constant curvature; the right answer for lines and arcs, overwritten for the others.
        chord, towards = d * np.sinc(k0 * d / (2 * np.pi)), h + k0 * d / 2
        x, y, heading = self.x[at] + chord * np.cos(towards), self.y[at] + chord * np.sin(towards), h + k0 * d
        spiral = np.flatnonzero(k0 != k1)
        if len(spiral):
            g = at[spiral]
            rate = (k1[spiral] - k0[spiral]) / self.length[g]
            dx, dy = _spiral(h[spiral], k0[spiral], rate, d[spiral])
            x[spiral], y[spiral] = self.x[g] + dx, self.y[g] + dy
            heading[spiral] = h[spiral] + d[spiral] * (k0[spiral] + rate * d[spiral] / 2)
        curved = np.flatnonzero(self.top[at] > 0)
        if len(curved):
            g = at[curved]
            p = self._parameter(g, d[curved])
            u, v = _cubic(self.cubic[g], p)
            du, dv = _cubic_slope(self.cubic[g], p)
            c, n = np.cos(h[curved]), np.sin(h[curved])
            x[curved], y[curved] = self.x[g] + u * c - v * n, self.y[g] + u * n + v * c
            heading[curved] = h[curved] + np.arctan2(dv, du)
        return x, y, heading

    def _parameter(self, at: NDArray[np.integer], d: F64) -> F64:
        """Cubic parameter at arc length d; past the table's end the curve goes on (lengths are often rounded)."""
        arc, step = self._arc[at], self.top[at] / _STEPS
        node = np.clip((arc <= d[:, None]).sum(axis=1) - 1, 0, _STEPS - 1)
        rows = np.arange(len(at))
        below, above = arc[rows, node], arc[rows, node + 1]
        begin = node * step
        p = begin + step * (d - below) / np.maximum(above - below, 1e-12)
        for _ in range(3):
            speed = np.hypot(*_cubic_slope(self.cubic[at], p))
            p = p + (d - below - _cubic_length(self.cubic[at], begin, p)) / np.maximum(speed, 1e-9)
        return np.clip(p, 0.0, 2 * self.top[at])


def _cubic(c: F64, p: F64) -> tuple[F64, F64]:
    u = c[..., 0] + p * (c[..., 1] + p * (c[..., 2] + p * c[..., 3]))
    return u, c[..., 4] + p * (c[..., 5] + p * (c[..., 6] + p * c[..., 7]))


def _cubic_slope(c: F64, p: F64) -> tuple[F64, F64]:
    du = c[..., 1] + p * (2 * c[..., 2] + 3 * p * c[..., 3])
    return du, c[..., 5] + p * (2 * c[..., 6] + 3 * p * c[..., 7])


def _cubic_length(c: F64, begin: F64, end: F64) -> F64:
    """Signed arc length of the cubics between two parameters, by Gauss-Legendre."""
    half = (end - begin) / 2
    p = begin[..., None] + half[..., None] * (_NODES + 1)
    return half * (np.hypot(*_cubic_slope(c[..., None, :], p)) @ _WEIGHTS)


def _spiral(heading: F64, k0: F64, rate: F64, d: F64) -> tuple[F64, F64]:
    """Displacement along clothoids of start curvature k0 and curvature change `rate` after d metres."""
    turn = np.abs(k0) * d + np.abs(rate) * d * d / 2
    panels = max(1, int(np.ceil(turn.max(initial=0.0) / _PANEL_TURN)))
    width = d / panels
    dx, dy = np.zeros_like(d), np.zeros_like(d)
    for panel in range(panels):
        q = width[:, None] * (panel + (_NODES + 1) / 2)
        theta = heading[:, None] + q * (k0[:, None] + rate[:, None] * q / 2)
        dx += width / 2 * (np.cos(theta) @ _WEIGHTS)
        dy += width / 2 * (np.sin(theta) @ _WEIGHTS)
    return dx, dy
