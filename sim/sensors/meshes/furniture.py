"""Street furniture: lamps, traffic lights, signs, benches, bins, hydrants, bollards, bus shelters."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material, Mesh
from sim.sensors.meshes.shapes import box, disc, tube

_STEEL = (0.16, 0.17, 0.175)
LAMP_HEIGHT = 7.2
LAMP_ARM = 2.0


class SignFace(IntEnum):
    """What a sign shows."""

    STOP = 0
    YIELD = 1
    LIMIT = 2
    NO_ENTRY = 3
    PARKING = 4
    CROSSING = 5


def street_lamp(fine: bool) -> Mesh:
    """A lamp whose arm reaches LAMP_ARM metres along +x from its post at the origin."""
    mb = Builder()
    mb.semantic = Tag.POLE
    s = 8 if fine else 4
    tube(mb, [(0, 0, 0), (0, 0, 0.9), (0, 0, 1.0), (0, 0, 6.4)], [0.11, 0.11, 0.075, 0.055], s, Material.METAL, _STEEL)
    arm = [(0, 0, 6.4), (0.12, 0, 6.85), (0.55, 0, 7.15), (LAMP_ARM - 0.3, 0, 7.28)]
    tube(mb, arm if fine else arm[::3], 0.042, s, Material.METAL, _STEEL)
    box(mb, (LAMP_ARM, 0, 7.27), (0.36, 0.14, 0.055), Material.METAL, (0.25, 0.25, 0.26))
    corners = [
        (LAMP_ARM - 0.3, -0.11, 7.21),
        (LAMP_ARM + 0.3, -0.11, 7.21),
        (LAMP_ARM + 0.3, 0.11, 7.21),
        (LAMP_ARM - 0.3, 0.11, 7.21),
    ]
    mb.quad(corners, Material.STREET_LAMP, (0.9, 0.88, 0.80), np.zeros((4, 2)))
    return mb.build()


def _head(mb: Builder, at: np.ndarray, facing: float, light: int, fine: bool) -> None:
    """Three lenses with hoods in a box; they look along the angle `facing`."""
    f = np.array([np.cos(facing), np.sin(facing), 0])
    mb.semantic = Tag.TRAFFIC_LIGHT
    box(mb, at, (0.12, 0.17, 0.50), Material.PLAIN, (0.02, 0.022, 0.02), facing)
    box(mb, at - f * 0.06, (0.012, 0.28, 0.62), Material.PLAIN, (0.012, 0.012, 0.012), facing)
    colors = ((0.95, 0.045, 0.025), (1.0, 0.52, 0.03), (0.05, 0.95, 0.38))
    for k, color in enumerate(colors):
        centre = at + f * 0.125 + (0, 0, 0.32 - 0.32 * k)
        disc(mb, centre, f, 0.112, 12 if fine else 7, Material.SIGNAL, color, (float(light), float(k)))
        if fine:
            a = np.linspace(-0.2, np.pi + 0.2, 8)
            left = np.array([-f[1], f[0], 0])
            rim = np.cos(a)[:, None] * left * 0.125 + np.sin(a)[:, None] * np.array([0, 0, 0.125])
            mb.grid(np.stack([centre + rim, centre + rim + f * 0.17], 1), Material.PLAIN, (0.015, 0.016, 0.015))


HEAD_HALF = (0.14, 0.28, 0.62)
"""Half extents of a traffic light's head with its plate: along its view, across, up; metres."""


def mast_arm(offset: float) -> float:
    """Metres that a traffic light's arm reaches over the road, from its mast's distance to the reference line."""
    return min(max(abs(offset) - 1.2, 0.0), 5.0)


def light_heads(arm: float, facing: float) -> list[np.ndarray]:
    """Middles of a traffic light's heads, from the foot of its mast."""
    f = np.array([np.cos(facing), np.sin(facing), 0])
    left = np.array([-np.sin(facing), np.cos(facing), 0])
    heads = [np.array([0, 0, 3.1]) + f * 0.24]
    if arm > 0.5:
        heads.append(left * (arm - 0.2) + f * 0.16 + (0, 0, 5.55))
    if arm > 4.5:
        heads.append(left * arm * 0.5 + f * 0.16 + (0, 0, 5.5))
    return heads


def traffic_light(arm: float, facing: float, light: int, fine: bool) -> Mesh:
    """A mast at the origin with an arm of `arm` metres to its left seen from the approaching traffic.

    `facing`: the direction the lenses look to, radians.
    """
    mb = Builder()
    # the left of traffic that drives along -facing: heading h has its left at (sin h, -cos h), and h = facing + pi
    left = np.array([-np.sin(facing), np.cos(facing), 0])
    mb.semantic = Tag.POLE
    s = 8 if fine else 4
    top = np.array([0, 0, 5.7])
    tube(mb, [(0, 0, 0), (0, 0, 0.3), (0, 0, 5.8)], [0.14, 0.10, 0.08], s, Material.METAL, _STEEL)
    if arm > 0.5:
        tube(
            mb,
            [top, top + left * arm * 0.5 + (0, 0, 0.18), top + left * arm + (0, 0, 0.2)],
            [0.07, 0.055, 0.045],
            s,
            Material.METAL,
            _STEEL,
        )
    for head in light_heads(arm, facing):
        _head(mb, head, facing, light, fine)
    return mb.build()


def sign(face: SignFace, fine: bool, value: int = 0) -> Mesh:
    """A sign on a post, 2.1 m up, that looks along +x; `value`: the speed on a LIMIT sign."""
    mb = Builder()
    mb.semantic = Tag.POLE
    tube(mb, [(-0.04, 0, 0), (-0.04, 0, 2.75)], 0.03, 6 if fine else 4, Material.METAL, (0.42, 0.42, 0.43))
    mb.semantic = Tag.TRAFFIC_SIGN
    sides, radius, phase = {SignFace.STOP: (8, 0.38, np.pi / 8), SignFace.YIELD: (3, 0.46, -np.pi / 2)}.get(
        face, (20 if fine else 10, 0.34, 0.0)
    )
    if face in (SignFace.PARKING, SignFace.CROSSING):
        sides, radius, phase = 4, 0.44, np.pi / 4
    disc(mb, (0, 0, 2.45), (1, 0, 0), radius, sides, Material.SIGN, (float(face), float(value), radius), phase=phase)
    disc(mb, (-0.012, 0, 2.45), (-1, 0, 0), radius, sides, Material.METAL, (0.38, 0.38, 0.39), (0.0, 0.0), phase)
    return mb.build()


def bench(fine: bool) -> Mesh:
    """A wooden bench that looks along +x."""
    mb = Builder()
    mb.semantic = Tag.STATIC
    wood = (0.27, 0.16, 0.085)
    for k in range(4 if fine else 1):
        width = 0.05 if fine else 0.22
        box(mb, (-0.18 + 0.12 * k if fine else 0, 0, 0.45), (width, 0.85, 0.022), Material.BARK, wood)
    for k in range(3 if fine else 1):
        box(mb, (-0.27 - 0.02 * k, 0, 0.60 + 0.12 * k), (0.02, 0.85, 0.05), Material.BARK, wood)
    for y in (-0.7, 0.7):
        box(mb, (0, y, 0.21), (0.22, 0.03, 0.22), Material.METAL, (0.05, 0.05, 0.05))
    return mb.build()


def bin_(fine: bool) -> Mesh:
    """A litter bin."""
    mb = Builder()
    mb.semantic = Tag.STATIC
    s = 12 if fine else 6
    tube(mb, [(0, 0, 0), (0, 0, 0.85)], [0.24, 0.27], s, Material.PLAIN, (0.05, 0.12, 0.075), True)
    tube(mb, [(0, 0, 0.85), (0, 0, 0.92)], [0.29, 0.29], s, Material.METAL, (0.12, 0.12, 0.12), True)
    return mb.build()


def hydrant(fine: bool) -> Mesh:
    """A fire hydrant."""
    mb = Builder()
    mb.semantic = Tag.STATIC
    red = (0.50, 0.03, 0.025)
    s = 10 if fine else 5
    profile = [
        (0, 0.15),
        (0.06, 0.15),
        (0.08, 0.10),
        (0.48, 0.10),
        (0.5, 0.13),
        (0.55, 0.13),
        (0.66, 0.07),
        (0.72, 0.03),
    ]
    tube(mb, [(0, 0, z) for z, _ in profile], [r for _, r in profile], s, Material.PAINT, red)
    tube(mb, [(0, -0.18, 0.38), (0, 0.18, 0.38)], 0.06, s, Material.PAINT, red, True)
    return mb.build()


def bollard(fine: bool) -> Mesh:
    """A low post."""
    mb = Builder()
    mb.semantic = Tag.STATIC
    s = 8 if fine else 4
    tube(mb, [(0, 0, 0), (0, 0, 0.86), (0, 0, 0.95)], [0.07, 0.065, 0.03], s, Material.METAL, (0.10, 0.10, 0.11))
    return mb.build()


def shelter(fine: bool) -> Mesh:
    """A bus shelter that opens towards +x."""
    mb = Builder()
    mb.semantic = Tag.STATIC
    for y in (-1.9, 1.9):
        for x in (-0.7, 0.6):
            tube(mb, [(x, y, 0), (x, y, 2.4)], 0.04, 6 if fine else 4, Material.METAL, _STEEL)
    box(mb, (-0.05, 0, 2.45), (0.85, 2.1, 0.06), Material.METAL, (0.2, 0.2, 0.21))
    box(mb, (-0.72, 0, 1.25), (0.015, 1.85, 0.95), Material.GLASS, (0.05, 0.07, 0.07))
    box(mb, (-0.45, 0, 0.5), (0.2, 1.3, 0.025), Material.BARK, (0.27, 0.16, 0.085))
    return mb.build()
