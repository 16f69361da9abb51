"""Exact plan-view curves: lines, arcs and clothoids chained without a gap."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True)
class Pose:
    """A point with a heading (counter-clockwise from east)."""

    x: float
    y: float
    h: float

    def ahead(self, d: float) -> Pose:
        return Pose(self.x + d * math.cos(self.h), self.y + d * math.sin(self.h), self.h)

    def left(self, t: float) -> Pose:
        return Pose(self.x - t * math.sin(self.h), self.y + t * math.cos(self.h), self.h)

    def back(self) -> Pose:
        """The same point, facing the other way."""
        return Pose(self.x, self.y, wrap(self.h + math.pi))

    def local(self, x: float, y: float) -> tuple[float, float]:
        """(ahead, left) coordinates of a world point."""
        dx, dy, c, s = x - self.x, y - self.y, math.cos(self.h), math.sin(self.h)
        return dx * c + dy * s, dy * c - dx * s


def wrap(angle: float) -> float:
    """Into [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


@dataclass(frozen=True)
class Piece:
    """One geometry element; curvature runs linearly from c0 to c1 (equal: line or arc)."""

    start: Pose
    length: float
    c0: float = 0.0
    c1: float = 0.0

    def at(self, s: float) -> Pose:
        """Pose at arc length s; a clothoid by Gauss-Legendre quadrature of its heading (error far below 1 um)."""
        p = self.start
        if self.c0 == self.c1:
            h = p.h + self.c0 * s
            if self.c0 == 0.0:
                return p.ahead(s)
            return Pose(
                p.x + (math.sin(h) - math.sin(p.h)) / self.c0, p.y - (math.cos(h) - math.cos(p.h)) / self.c0, wrap(h)
            )
        rate = (self.c1 - self.c0) / self.length
        u = 0.5 * s * (_NODES + 1)
        heading = p.h + self.c0 * u + 0.5 * rate * u * u
        half = 0.5 * s
        x = p.x + half * float(np.dot(_WEIGHTS, np.cos(heading)))
        y = p.y + half * float(np.dot(_WEIGHTS, np.sin(heading)))
        return Pose(x, y, wrap(p.h + self.c0 * s + 0.5 * rate * s * s))


@dataclass
class Track:
    """A chain of pieces."""

    start: Pose
    pieces: list[Piece] = field(default_factory=list)

    @property
    def end(self) -> Pose:
        return self.pieces[-1].at(self.pieces[-1].length) if self.pieces else self.start

    @property
    def length(self) -> float:
        return sum(p.length for p in self.pieces)

    def line(self, length: float) -> Track:
        return self._add(length, 0.0, 0.0)

    def arc(self, length: float, curvature: float) -> Track:
        return self._add(length, curvature, curvature)

    def spiral(self, length: float, c0: float, c1: float) -> Track:
        if c0 == c1:
            raise ValueError("a spiral needs two different curvatures")
        return self._add(length, c0, c1)

    def _add(self, length: float, c0: float, c1: float) -> Track:
        if length > 1e-6:
            self.pieces.append(Piece(self.end, length, c0, c1))
        return self

    def at(self, s: float) -> Pose:
        for piece in self.pieces:
            if s <= piece.length:
                return piece.at(s)
            s -= piece.length
        return self.pieces[-1].at(self.pieces[-1].length + s)


def fillets(points: list[tuple[float, float]], radii: list[float], trim_start: float, trim_end: float) -> Track:
    """Straight lines through `points` with arcs of `radii` (one per inner point), shortened at both ends."""
    heads = [math.atan2(q[1] - p[1], q[0] - p[0]) for p, q in pairwise(points)]
    lengths = [math.hypot(q[0] - p[0], q[1] - p[1]) for p, q in pairwise(points)]
    tangents = [abs(r * math.tan(0.5 * wrap(h1 - h0))) for r, h0, h1 in zip(radii, heads, heads[1:])]
    track = Track(Pose(points[0][0], points[0][1], heads[0]).ahead(trim_start))
    used = trim_start
    for i, (length, head) in enumerate(zip(lengths, heads)):
        last = i == len(lengths) - 1
        rest = length - used - (trim_end if last else tangents[i])
        if rest < 0:
            raise ValueError(f"no room for the bend after {points[i]}: {rest:.2f} m")
        track.line(rest)
        if not last:
            turn = wrap(heads[i + 1] - head)
            track.arc(abs(turn) * radii[i], math.copysign(1.0 / radii[i], turn))
            used = tangents[i]
    return track


def connect(a: Pose, b: Pose, straight: float = 0.0) -> Track:
    """From pose a to pose b: a line, a line-arc-line turn (straight at each end where there is room), or two arcs."""
    u, v = a.local(b.x, b.y)
    turn = wrap(b.h - a.h)
    if abs(v) < 1e-7 and abs(turn) < 1e-9:
        return Track(a).line(u)
    if abs(turn) > 0.1:
        # Lines meet at p ahead of a and q behind b.
        p = u - v / math.tan(turn)
        q = v / math.sin(turn)
        if p > 1.0 and q > 1.0:
            tangent = min(p, q)
            tangent = max(tangent - straight, 0.55 * tangent)
            radius = tangent / math.tan(0.5 * abs(turn))
            track = Track(a).line(p - tangent).arc(radius * abs(turn), math.copysign(1.0 / radius, turn))
            return track.line(q - tangent)
    return _biarc(a, b)


def _biarc(a: Pose, b: Pose) -> Track:
    """Two arcs with equal tangent lengths (Bolton 1975)."""
    ta, tb = (math.cos(a.h), math.sin(a.h)), (math.cos(b.h), math.sin(b.h))
    v = (b.x - a.x, b.y - a.y)
    vt = v[0] * (ta[0] + tb[0]) + v[1] * (ta[1] + tb[1])
    vv = v[0] ** 2 + v[1] ** 2
    k = 2 * (1 - (ta[0] * tb[0] + ta[1] * tb[1]))
    d = vv / (2 * vt) if k < 1e-9 else (-vt + math.sqrt(vt * vt + k * vv)) / k
    mx = 0.5 * (a.x + d * ta[0] + b.x - d * tb[0])
    my = 0.5 * (a.y + d * ta[1] + b.y - d * tb[1])
    track = Track(a)
    for x, y in ((mx, my), (b.x, b.y)):
        u, w = track.end.local(x, y)
        chord = math.hypot(u, w)
        angle = 2 * math.atan2(w, u)
        if abs(angle) < 1e-9:
            track.line(chord)
        else:
            curvature = 2 * math.sin(0.5 * angle) / chord
            track.arc(angle / curvature, curvature)
    return track
