"""Vehicle bodies: lofted, smooth, two levels of detail, without wheels (see `wheels`).

A body is two lofts along x (forward): the hull up to the belt line and the cabin above it. Windows, pillars, door seams
and wheel arches are drawn by the shader from `designs.outlines`, which keeps the mesh light and its edges sharp.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material, Mesh
from sim.sensors.meshes.designs import DESIGNS, SIDE_KIND, TRUCK_CAB, Body, Design, Lamp
from sim.sensors.meshes.shapes import box

F64 = NDArray[np.float64]
_WHITE = (1.0, 1.0, 1.0)
_DARK = (0.02, 0.02, 0.022)


def _stations(d: Design, back: float, fine: bool) -> F64:
    """x of the hull's sections, denser at the rounded ends."""
    front = d.length / 2
    n = 26 if fine else 9
    t = np.linspace(0, 1, n)
    # ease towards both ends: rounded bumpers need close sections
    t = t + 0.75 / (2 * np.pi) * -np.sin(2 * np.pi * t)
    return np.asarray(back + (front - back) * t)


def _hull(mb: Builder, d: Design, back: float, fine: bool, boxy: float) -> None:
    """The body below the belt line: sections from sill to sill over the top."""
    x = _stations(d, back, fine)
    front = d.length / 2
    half = d.width / 2
    # plan view: nearly straight sides, rounded ends
    end = 0.55 - 0.35 * boxy
    to_front = np.clip((front - x) / end, 0, 1)
    to_back = np.clip((x - back) / end, 0, 1)
    plan = 0.80 + 0.20 * np.minimum(1 - (1 - to_front) ** 2.6, 1 - (1 - to_back) ** 2.6)
    plan = plan + boxy * (1 - plan) * 0.6
    w = half * plan
    top = np.interp(x, [back, back + 0.25, d.rear[1], d.screen[0], front - 0.35, front],
                    [d.tail - 0.05, d.tail, d.belt, d.belt, d.bonnet + 0.03, d.bonnet - 0.05])  # fmt: skip
    if fine:
        top = np.convolve(np.pad(top, 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid")
    low = d.clearance + 0.16 * (1 - to_front) ** 2 + 0.16 * (1 - to_back) ** 2
    h = top - low
    # half section: (share of width, share of height)
    outline = [(0.80, 0), (0.93, 0.015), (0.975, 0.07), (0.992, 0.22), (1.0, 0.45), (0.996, 0.66), (0.978, 0.84),
               (0.945, 0.945), (0.88, 0.985)]  # fmt: skip
    lid = [(0.88, 0.985), (0.80, 1.0), (0.5, 1.022), (0.0, 1.03)]
    if not fine:
        outline, lid = [outline[i] for i in (0, 2, 4, 7, 8)], [lid[0], lid[3]]
    side = np.array(outline)
    for sign in (1, -1):
        y = sign * w[:, None] * side[None, :, 0]
        z = low[:, None] + h[:, None] * side[None, :, 1]
        p = np.stack([np.broadcast_to(x[:, None], y.shape), y, z], -1)
        mb.grid(p, Material.BODY_SIDE, _WHITE, uv=p[..., [0, 2]])
    cover = np.array(lid + [(-a, b) for a, b in lid[-2::-1]])
    y = w[:, None] * cover[None, :, 0]
    z = low[:, None] + h[:, None] * cover[None, :, 1]
    mb.grid(np.stack([np.broadcast_to(x[:, None], y.shape), y, z], -1), Material.PAINT, _WHITE)
    # ends: close the section with a bulged cap
    ring = np.concatenate([side, cover[1:-1], side[::-1] * (-1, 1)])
    for at, out in ((0, -1), (-1, 1)):
        r = np.stack([np.full(len(ring), x[at]), w[at] * ring[:, 0], low[at] + h[at] * ring[:, 1]], -1)
        middle = r.mean(0)
        rings = [r, middle + (r - middle) * 0.9 + (out * 0.035, 0, 0), middle + (r - middle) * 0.5 + (out * 0.05, 0, 0),
                 middle + (r - middle) * 0.0 + (out * 0.055, 0, 0)]  # fmt: skip
        mb.grid(np.array(rings if fine else [rings[0], rings[3]]), Material.PAINT, _WHITE, closed=True)
    floor = np.array(
        [[back + 0.2, -half * 0.85], [front - 0.2, -half * 0.85], [front - 0.2, half * 0.85], [back + 0.2, half * 0.85]]
    )
    mb.quad([(a, b, d.clearance + 0.01) for a, b in floor], Material.RUBBER, _DARK, np.zeros((4, 2)))


def _cabin(mb: Builder, d: Design, fine: bool) -> None:
    """The part above the belt line: sides, roof, windscreen and rear window."""
    xa, xb = d.screen
    xc, xd = d.rear
    n = 4 if fine else 1
    m = 8 if fine else 2
    # slightly convex screens
    t = np.linspace(0, 1, n + 1)
    rise = t + 0.10 * np.sin(np.pi * t)
    xs = np.concatenate([xa + (xb - xa) * t, np.linspace(xb, xc, m + 1)[1:], xc + (xd - xc) * t[1:]])
    up = np.concatenate([rise, np.ones(m - 1) if m > 1 else [], rise[::-1]])
    roof = d.height - d.belt
    arch = np.zeros_like(xs)
    inner = (xs < xb) & (xs > xc)
    arch[inner] = 0.045 * np.sin(np.pi * (xb - xs[inner]) / (xb - xc)) * min(1.0, roof)
    top = d.belt + (roof - 0.05) * np.clip(up, 0, 1.02) + arch
    belt_half = d.width / 2 * 0.885
    v = np.clip((top - d.belt) / (roof - 0.03), 0, 1)
    rows = np.linspace(0, 1, 5 if fine else 2)

    # the side leans in as it rises, a little bowed
    def lean(s: F64) -> F64:
        return np.asarray(belt_half * (1 - d.taper * s - 0.03 * (s * s - s)))

    for sign in (1, -1):
        share = rows[None] * v[:, None]
        z = d.belt - 0.02 + (roof - 0.03) * share + 0.02 * share
        y = sign * lean(share)
        p = np.stack([np.broadcast_to(xs[:, None], z.shape), y, z], -1)
        mb.grid(p, Material.CABIN_SIDE, _WHITE, uv=np.stack([p[..., 0], share], -1))
    edge = lean(v)
    across = np.array([-1, -0.93, -0.8, -0.4, 0, 0.4, 0.8, 0.93, 1]) if fine else np.array([-1, 0.0, 1])
    crown = np.where(np.abs(across) < 0.99, 0.035 * (1 - across**2) + 0.012, 0.0)
    zt = d.belt - 0.02 + (roof - 0.03) * v + 0.02 * v
    y = edge[:, None] * across[None]
    z = zt[:, None] + crown[None] * np.minimum(1, 3 * v)[:, None]
    p = np.stack([np.broadcast_to(xs[:, None], y.shape), y, z], -1)
    parts = [
        (0, n + 1, Material.WINDSCREEN),
        (n, n + m + 1, Material.PAINT),
        (n + m, 2 * n + m + 1, Material.WINDSCREEN),
    ]
    for first, last, material in parts:
        if last - first < 2:
            continue
        uv = np.stack(
            [
                np.broadcast_to(across, (last - first, len(across))),
                np.broadcast_to(v[first:last, None], (last - first, len(across))),
            ],
            -1,
        )
        # a van's or truck's closed back has no window
        closed = material == Material.WINDSCREEN and first > 0 and d.windows_from > -50
        mb.grid(p[first:last], Material.PAINT if closed else material, _WHITE, uv=uv)


def _lamps(mb: Builder, d: Design, back: float, fine: bool) -> None:
    """Head lamps, tail lamps, indicators, plates, mirrors, grille."""
    front, half = d.length / 2, d.width / 2
    zf = min(d.bonnet - 0.12, 0.95)
    zr = min(d.tail - 0.13, 1.05)

    def lens(
        x: float, y: float, z: float, size: tuple[float, float, float], lamp: Lamp, color: tuple[float, ...]
    ) -> None:
        start = Builder()
        box(start, (x, y, z), size, Material.LAMP, color)
        mesh = start.build()
        mb.add(mesh.position, mesh.face, Material.LAMP, color, np.broadcast_to([float(lamp), 0.0], (mesh.size, 3, 2)))

    for sign, turn_lamp in ((1, Lamp.RIGHT), (-1, Lamp.LEFT)):
        lens(front - 0.06, sign * half * 0.68, zf, (0.09, half * 0.17, 0.060), Lamp.HEAD, (0.95, 0.95, 0.88))
        lens(front - 0.13, sign * half * 0.885, zf, (0.07, half * 0.030, 0.055), turn_lamp, (0.95, 0.42, 0.04))
        lens(back + 0.03, sign * half * 0.70, zr, (0.075, half * 0.13, 0.065), Lamp.BRAKE, (0.80, 0.02, 0.02))
        lens(back + 0.06, sign * half * 0.865, zr, (0.075, half * 0.032, 0.065), turn_lamp, (0.95, 0.42, 0.04))
        if fine:
            lens(back - 0.03, sign * half * 0.50, zr, (0.05, half * 0.05, 0.045), Lamp.REVERSE, (0.85, 0.85, 0.85))
            box(
                mb,
                (d.screen[0] - 0.28, sign * (half + 0.09), d.belt + 0.07),
                (0.06, 0.10, 0.065),
                Material.PAINT,
                _WHITE,
            )
    if fine:
        box(mb, (front + 0.025, 0, zf - 0.16), (0.03, half * 0.55, 0.07), Material.PLAIN, (0.02, 0.02, 0.022))
        box(mb, (front + 0.04, 0, d.clearance + 0.24), (0.03, 0.26, 0.055), Material.PLAIN, (0.75, 0.75, 0.72))
        box(mb, (back - 0.04, 0, zr - 0.12), (0.03, 0.26, 0.055), Material.PLAIN, (0.75, 0.75, 0.72))
        box(mb, (back - 0.01, 0, d.clearance + 0.16), (0.05, half * 0.70, 0.07), Material.RUBBER, _DARK)


def body(kind: Body, fine: bool) -> Mesh:
    """The body without wheels (two-wheelers: see `two_wheelers`)."""
    mb = Builder()
    tag = {Body.TRUCK: Tag.TRUCK, Body.BUS: Tag.BUS}.get(kind, Tag.CAR)
    mb.semantic, mb.instance = tag, SIDE_KIND[kind]
    if kind == Body.TRUCK:
        d = TRUCK_CAB
        _hull(mb, d, 2.0, fine, 0.8)
        _cabin(mb, d, fine)
        box(mb, (-1.05, 0, 0.85), (2.95, 0.42, 0.14), Material.RUBBER, (0.03, 0.03, 0.03))
        box(mb, (-1.08, 0, 2.25), (2.99, 1.22, 1.18), Material.PLAIN, (0.72, 0.72, 0.70))
        for sign in (1, -1):
            box(mb, (-1.08, sign * 1.225, 1.10), (2.99, 0.01, 0.04), Material.METAL, (0.3, 0.3, 0.3))
            box(mb, (-0.1, sign * 1.0, 0.62), (1.2, 0.05, 0.2), Material.METAL, (0.2, 0.2, 0.2))
        _lamps(mb, d, -4.05, fine)
        return mb.build()
    d = DESIGNS[kind]
    _hull(mb, d, -d.length / 2, fine, {Body.BUS: 1.0, Body.VAN: 0.6}.get(kind, 0.0))
    _cabin(mb, d, fine)
    _lamps(mb, d, -d.length / 2, fine)
    return mb.build()
