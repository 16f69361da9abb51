"""Pedestrians who walk and riders who sit: limbs from joint angles, one mesh per pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material, Mesh
from sim.sensors.meshes.shapes import ball, tube

PHASES = 12
"""Poses of one stride (two steps)."""
STRIDE = 1.4
"""Metres walked in one stride."""
LOOKS = 6
Color = tuple[float, float, float]
_EYES = (0.03, 0.025, 0.02)


@dataclass(frozen=True)
class Look:
    """Linear RGB of what a person wears."""

    shirt: Color
    trousers: Color
    skin: Color
    hair: Color
    shoes: Color = (0.04, 0.035, 0.03)
    bag: Color | None = None


def looks() -> list[Look]:
    """The LOOKS sets of clothes, always the same."""
    return [
        Look((0.32, 0.05, 0.06), (0.035, 0.05, 0.12), (0.52, 0.31, 0.21), (0.03, 0.02, 0.015)),
        Look((0.60, 0.60, 0.58), (0.05, 0.05, 0.055), (0.60, 0.38, 0.28), (0.16, 0.09, 0.04), bag=(0.08, 0.10, 0.07)),
        Look((0.06, 0.16, 0.30), (0.20, 0.17, 0.12), (0.22, 0.12, 0.07), (0.01, 0.01, 0.01)),
        Look((0.08, 0.22, 0.11), (0.04, 0.04, 0.05), (0.62, 0.41, 0.31), (0.30, 0.20, 0.08)),
        Look((0.55, 0.33, 0.05), (0.06, 0.08, 0.16), (0.40, 0.24, 0.15), (0.02, 0.02, 0.02), bag=(0.25, 0.05, 0.04)),
        Look((0.05, 0.05, 0.06), (0.10, 0.10, 0.11), (0.58, 0.36, 0.26), (0.25, 0.25, 0.25)),
    ]


def _limb(start: np.ndarray, angles: list[float], lengths: list[float], side: float = 0.0) -> list[np.ndarray]:
    """Joints of a chain in the x-z plane; an angle of 0 hangs down, positive swings forward."""
    joints = [np.asarray(start, float)]
    for angle, length in zip(angles, lengths):
        joints.append(joints[-1] + length * np.array([np.sin(angle), side, -np.cos(angle)]))
    return joints


def _soft(joints: list[np.ndarray]) -> np.ndarray:
    """Points along a bent limb, rounded at the middle joint."""
    a, b, c = joints[:3]
    return np.array([a, a + (b - a) * 0.5, a + (b - a) * 0.88, b + (c - b) * 0.12, b + (c - b) * 0.55, c])


def person(look: Look, legs: list[list[float]], arms: list[list[float]], lean: float, lift: float, fine: bool, tag: Tag,
           helmet: Color | None = None) -> Mesh:  # fmt: skip
    """A 1.75 m tall person: `legs`, `arms` are [left, right] of [upper, lower] angles; `lean` forward, hips lifted by
    `lift`; the origin is on the ground below the hips."""
    mb = Builder()
    mb.semantic = tag
    sides = 10 if fine else 5
    hip = np.array([0, 0, 0.90 + lift])
    spine = np.array([np.sin(lean), 0, np.cos(lean)])
    chest = hip + spine * 0.40
    neck = hip + spine * 0.58
    head = neck + spine * 0.10 + np.array([0.03, 0, 0.09])
    for side, angles in zip((-1, 1), legs):
        joints = _limb(hip + (0, side * 0.095, -0.02), angles, [0.43, 0.42])
        path = _soft(joints)
        tube(mb, path, [0.092, 0.082, 0.066, 0.060, 0.055, 0.045], sides, Material.CLOTH, look.trousers)
        foot = joints[-1]
        ball(mb, foot + (0.06, 0, -0.015), (0.135, 0.048, 0.042), Material.RUBBER, look.shoes, 4, sides)
    for side, angles in zip((-1, 1), arms):
        joints = _limb(chest + (0, side * 0.185, 0.07), angles, [0.29, 0.26], side * 0.10)
        path = _soft(joints)
        ball(
            mb,
            joints[0] + np.array([0, -0.01 * side, 0.0]),
            (0.062, 0.062, 0.060),
            Material.CLOTH,
            look.shirt,
            4,
            sides,
        )
        tube(mb, path[:4], [0.058, 0.050, 0.044, 0.042], sides, Material.CLOTH, look.shirt)
        tube(mb, path[3:], [0.040, 0.036, 0.030], sides, Material.SKIN, look.skin)
        ball(mb, joints[-1] + (0.01, 0, -0.04), (0.042, 0.026, 0.065), Material.SKIN, look.skin, 4, sides)
    at = [-0.08, 0.0, 0.14, 0.30, 0.42, 0.50, 0.55, 0.585]
    across = [0.10, 0.155, 0.145, 0.175, 0.190, 0.168, 0.10, 0.055]
    deep = [0.09, 0.115, 0.105, 0.118, 0.112, 0.095, 0.072, 0.052]
    ring = np.arange(sides + 4) * 2 * np.pi / (sides + 4)
    body = [
        hip + spine * s + np.stack([d * np.cos(ring), w * np.sin(ring), 0 * ring], -1)
        for s, w, d in zip(at, across, deep)
    ]
    mb.grid(np.array(body[1:]), Material.CLOTH, look.shirt, closed=True)
    mb.grid(np.array(body[:3]) * 1.0, Material.CLOTH, look.trousers, closed=True)
    tube(mb, [neck - spine * 0.05, head], [0.052, 0.050], sides, Material.SKIN, look.skin)
    rings, around = (9, 14) if fine else (4, sides)
    ball(mb, head, (0.098, 0.078, 0.118), Material.SKIN, look.skin, rings, around)
    if fine:
        ball(mb, head + (0.097, 0, -0.012), (0.016, 0.013, 0.024), Material.SKIN, look.skin, 4, 6)
        for side in (-1, 1):
            ball(mb, head + (0.085, side * 0.030, 0.018), (0.012, 0.013, 0.008), Material.PLAIN, _EYES, 3, 6)
            ball(mb, head + (-0.005, side * 0.078, 0.0), (0.020, 0.010, 0.030), Material.SKIN, look.skin, 4, 6)
    if helmet:
        ball(mb, head + (-0.005, 0, 0.03), (0.135, 0.112, 0.125), Material.PAINT, helmet, rings, around)
    else:
        ball(mb, head + (-0.028, 0, 0.042), (0.096, 0.086, 0.095), Material.CLOTH, look.hair, rings, around)
    if look.bag and tag == Tag.PEDESTRIAN:
        ball(mb, chest + spine * 0.02 + (-0.16, 0, 0), (0.10, 0.145, 0.20), Material.CLOTH, look.bag, 5, sides)
    return mb.build()


def walker(look: int, phase: int, fine: bool) -> Mesh:
    """Pose `phase` (0..PHASES - 1) of a stride; phase PHASES stands still."""
    if phase >= PHASES:
        return person(
            looks()[look], [[0.02, 0.0], [-0.02, -0.03]], [[0.05, 0.2], [0.02, 0.15]], 0.0, -0.005, fine, Tag.PEDESTRIAN
        )
    t = 2 * np.pi * phase / PHASES
    legs, arms = [], []
    for shift in (0.0, np.pi):
        swing = 0.46 * np.sin(t + shift)
        knee = 0.10 + 0.75 * max(0.0, np.cos(t + shift)) ** 1.5
        legs.append([swing + 0.06, swing + 0.06 - knee])
        arms.append([-0.40 * np.sin(t + shift), -0.40 * np.sin(t + shift) + 0.35])
    # the standing leg carries the hips: they sink when the legs are spread
    reach = max(0.43 * np.cos(a) + 0.42 * np.cos(b) for a, b in legs)
    return person(looks()[look], legs, arms, 0.05, reach - 0.85, fine, Tag.PEDESTRIAN)
