"""Motorcycles and bicycles with their riders, without wheels (those turn)."""

from __future__ import annotations

import numpy as np

from sim.sensors.labels import Tag
from sim.sensors.mesh import Builder, Material, Mesh
from sim.sensors.meshes.designs import Lamp
from sim.sensors.meshes.people import looks, person
from sim.sensors.meshes.shapes import ball, box, tube, turn

WHEELBASE = {"motorcycle": 1.42, "bicycle": 1.06}
RADIUS = {"motorcycle": 0.31, "bicycle": 0.34}
_WHITE = (1.0, 1.0, 1.0)
_BLACK = (0.02, 0.02, 0.022)


def _lens(
    mb: Builder, at: tuple[float, float, float], half: tuple[float, float, float], lamp: Lamp, color: tuple[float, ...]
) -> None:
    own = Builder()
    box(own, at, half, Material.LAMP, color)
    mesh = own.build()
    mb.add(mesh.position, mesh.face, Material.LAMP, color, np.broadcast_to([float(lamp), 0.0], (mesh.size, 3, 2)))


def motorcycle(look: int, fine: bool) -> Mesh:
    """A road motorcycle and a rider with a helmet."""
    mb = Builder()
    mb.semantic = Tag.MOTORCYCLE
    s = 8 if fine else 5
    rear, front = -WHEELBASE["motorcycle"] / 2, WHEELBASE["motorcycle"] / 2
    tube(mb, [(front, 0.09, 0.31), (front - 0.26, 0.09, 0.92)], 0.028, s, Material.METAL, (0.4, 0.4, 0.42))
    tube(mb, [(front, -0.09, 0.31), (front - 0.26, -0.09, 0.92)], 0.028, s, Material.METAL, (0.4, 0.4, 0.42))
    tube(mb, [(front - 0.30, -0.36, 1.04), (front - 0.27, -0.1, 0.99), (front - 0.27, 0.1, 0.99),
              (front - 0.30, 0.36, 1.04)],
         0.018, s, Material.RUBBER, _BLACK)  # fmt: skip
    ball(mb, (0.14, 0, 0.86), (0.30, 0.155, 0.145), Material.PAINT, _WHITE, 6, s + 2)
    ball(mb, (0.36, 0, 0.72), (0.24, 0.14, 0.18), Material.PAINT, _WHITE, 6, s + 2)
    ball(mb, (-0.30, 0, 0.80), (0.34, 0.13, 0.075), Material.RUBBER, _BLACK, 5, s)
    ball(mb, (-0.62, 0, 0.83), (0.24, 0.10, 0.085), Material.PAINT, _WHITE, 5, s)
    box(mb, (0.05, 0, 0.46), (0.25, 0.13, 0.17), Material.METAL, (0.10, 0.10, 0.11))
    tube(mb, [(0.2, -0.15, 0.36), (-0.2, -0.17, 0.30), (-0.72, -0.18, 0.40)], 0.048, s, Material.METAL, (0.5, 0.5, 0.5))
    tube(mb, [(-0.05, 0.08, 0.42), (rear, 0.08, 0.31)], 0.03, s, Material.METAL, (0.15, 0.15, 0.15))
    _lens(mb, (front - 0.17, 0, 0.86), (0.05, 0.09, 0.075), Lamp.HEAD, (0.95, 0.95, 0.88))
    _lens(mb, (-0.86, 0, 0.84), (0.03, 0.075, 0.035), Lamp.BRAKE, (0.8, 0.02, 0.02))
    for sign, lamp in ((1, Lamp.RIGHT), (-1, Lamp.LEFT)):
        _lens(mb, (front - 0.22, sign * 0.2, 0.87), (0.03, 0.04, 0.03), lamp, (0.95, 0.42, 0.04))
        _lens(mb, (-0.80, sign * 0.16, 0.80), (0.03, 0.04, 0.03), lamp, (0.95, 0.42, 0.04))
    rider = person(looks()[look], [[1.15, -0.45], [1.15, -0.45]], [[0.95, 1.25], [0.95, 1.25]], 0.35, -0.02, fine,
                   Tag.RIDER, helmet=(0.06, 0.06, 0.07))  # fmt: skip
    mb.put(rider, turn(0.0, (-0.28, 0, 0.0)))
    return mb.build()


def bicycle(look: int, phase: int, phases: int, fine: bool) -> Mesh:
    """A city bicycle whose rider pedals: pose `phase` of `phases`."""
    mb = Builder()
    mb.semantic = Tag.BICYCLE
    s = 6 if fine else 4
    rear, front = -WHEELBASE["bicycle"] / 2, WHEELBASE["bicycle"] / 2
    crank, seat, head = np.array([-0.06, 0, 0.30]), np.array([-0.24, 0, 0.86]), np.array([0.36, 0, 0.86])
    steel = (0.85, 0.85, 0.85)
    pipes = [(crank, seat), (crank, head), (seat - (0, 0, 0.1), head), ((rear, 0.05, 0.34), crank),
             ((rear, -0.05, 0.34), crank), ((rear, 0.05, 0.34), seat), ((front, 0.05, 0.34), head),
             (head, head + (-0.05, 0, 0.16))]  # fmt: skip
    for a, b in pipes:
        tube(mb, np.array([a, b], float), 0.019, s, Material.PAINT, steel)
    tube(mb, [(0.22, -0.27, 1.02), (0.30, 0, 1.03), (0.22, 0.27, 1.02)], 0.014, s, Material.RUBBER, _BLACK)
    ball(mb, (-0.25, 0, 0.92), (0.14, 0.085, 0.04), Material.RUBBER, _BLACK, 4, s)
    _lens(mb, (0.44, 0, 0.92), (0.03, 0.03, 0.03), Lamp.HEAD, (0.95, 0.95, 0.88))
    _lens(mb, (-0.46, 0, 0.66), (0.02, 0.03, 0.03), Lamp.BRAKE, (0.8, 0.02, 0.02))
    turn_angle = 2 * np.pi * phase / phases
    legs = []
    for shift in (0.0, np.pi):
        a = turn_angle + shift
        pedal = crank + 0.165 * np.array([np.cos(a), 0, -np.sin(a)])
        hip = np.array([-0.24, 0, 0.96])
        reach = pedal + (-0.02, 0, 0.06) - hip
        far = min(float(np.hypot(reach[0], reach[2])), 0.845)
        # two links of .43 and .42 m from the hip to the pedal, knee forward
        toward = np.arctan2(reach[0], -reach[2])
        bend = np.arccos(np.clip((0.43**2 + far**2 - 0.42**2) / (2 * 0.43 * far), -1, 1))
        upper = toward + bend
        knee = hip + 0.43 * np.array([np.sin(upper), 0, -np.cos(upper)])
        rest = hip + far * np.array([np.sin(toward), 0, -np.cos(toward)]) - knee
        legs.append([float(upper), float(np.arctan2(rest[0], -rest[2]))])
    rider = person(looks()[look], legs, [[0.85, 1.05], [0.85, 1.05]], 0.38, 0.08, fine, Tag.RIDER,
                   helmet=(0.5, 0.08, 0.06) if look % 2 else None)  # fmt: skip
    mb.put(rider, turn(0.0, (-0.24, 0, 0.0)))
    return mb.build()
