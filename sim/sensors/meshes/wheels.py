"""Wheels, apart from the bodies, so that they turn and steer."""

from __future__ import annotations

import numpy as np

from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material, Mesh
from sim.sensors.meshes.shapes import disc, tube


def wheel(radius: float, width: float, tag: Tag, fine: bool, thin: bool = False) -> Mesh:
    """A wheel with its axle along y, centred; the outer face looks towards +y (and -y: it is symmetric)."""
    mb = Builder()
    mb.semantic = tag
    sides = 20 if fine else 9
    a = np.arange(sides) * 2 * np.pi / sides
    ring = np.stack([np.cos(a), 0 * a, np.sin(a)], -1)
    half = width / 2
    profile = [(0.62, half), (0.93, half), (1.0, half * 0.6), (1.0, -half * 0.6), (0.93, -half), (0.62, -half)]
    if thin:
        profile = [(0.90, half), (1.0, half * 0.3), (1.0, -half * 0.3), (0.90, -half), (0.90, half)]
    p = np.array([ring * r * radius + (0, y, 0) for r, y in profile])
    mb.grid(p, Material.RUBBER, (0.03, 0.03, 0.032), closed=True)
    if thin:
        for k in range(10 if fine else 4):
            t = k * 2 * np.pi / (10 if fine else 4)
            tube(
                mb,
                [(0, 0, 0), (0.9 * radius * np.cos(t), 0, 0.9 * radius * np.sin(t))],
                [0.006, 0.005],
                3,
                Material.METAL,
                (0.5, 0.5, 0.5),
            )
        return mb.build()
    spokes = 5
    for side in (1, -1):
        disc(mb, (0, side * half * 0.55, 0), (0, side, 0), radius * 0.62, sides, Material.RUBBER, (0.015, 0.015, 0.016))
        if not fine:
            disc(mb, (0, side * half * 0.9, 0), (0, side, 0), radius * 0.5, 8, Material.METAL, (0.38, 0.39, 0.40))
            continue
        disc(mb, (0, side * half * 0.95, 0), (0, side, 0), radius * 0.18, 10, Material.METAL, (0.5, 0.5, 0.52))
        for k in range(spokes):
            t = k * 2 * np.pi / spokes
            u, v = np.array([np.cos(t), 0, np.sin(t)]), np.array([-np.sin(t), 0, np.cos(t)])
            y = np.array([0, side * half * 0.9, 0])
            q = [u * radius * 0.12 + v * 0.055 * radius / 0.33, u * radius * 0.63 + v * 0.06 * radius / 0.33]
            q = [*q, u * radius * 0.63 - v * 0.06 * radius / 0.33, u * radius * 0.12 - v * 0.055 * radius / 0.33]
            mb.quad([c + y for c in q], Material.METAL, (0.5, 0.51, 0.53), np.zeros((4, 2)))
        inner = [(0.60, half * 0.9), (0.66, half * 1.02)]
        mb.grid(
            np.array([ring * r * radius + (0, side * y, 0) for r, y in inner]),
            Material.METAL,
            (0.45, 0.46, 0.47),
            closed=True,
        )
    return mb.build()
