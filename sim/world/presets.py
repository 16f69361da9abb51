"""What vehicles are like: one table of parameters per body type.

Figures are those of typical vehicles (sedan, panel van, light box truck, midi bus, motorcycle, bicycle), rounded;
`force` is the greatest driving force (torque through first gear, so it exceeds power / speed at low speed), `drag` is
.5 rho cd A, `roll` is .012 m g.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from contracts import ObjectClass
from sim.world import fields as f


class BodyType(IntEnum):
    """Kinds of vehicle body."""

    CAR = 0
    VAN = 1
    TRUCK = 2
    BUS = 3
    MOTORCYCLE = 4
    BICYCLE = 5


OBJECT_CLASS = {
    BodyType.CAR: ObjectClass.CAR,
    BodyType.VAN: ObjectClass.CAR,
    BodyType.TRUCK: ObjectClass.TRUCK,
    BodyType.BUS: ObjectClass.BUS,
    BodyType.MOTORCYCLE: ObjectClass.MOTORCYCLE,
    BodyType.BICYCLE: ObjectClass.BICYCLE,
}


@dataclass(frozen=True)
class Preset:
    """Parameters of one body type; units as in sim.world.state.Vehicles."""

    length: float
    width: float
    height: float
    mass: float
    wheelbase: float
    max_wheel: float
    mu: float
    power: float
    force: float
    brake_force: float
    drag: float
    wheel_rate: float
    top_speed: float
    urge: float
    comfort: float
    headway: float
    share: float
    """Part of the random traffic that is of this type."""


PRESETS: dict[BodyType, Preset] = {
    BodyType.CAR: Preset(4.6, 1.9, 1.5, 1600, 2.8, 1.22, 1.0, 110e3, 9.0e3, 18e3, 0.42, 4.0, 50, 2.0, 2.5, 1.1, 0.73),
    BodyType.VAN: Preset(5.6, 2.1, 2.3, 2300, 3.4, 1.10, 0.9, 105e3, 10e3, 24e3, 0.75, 3.5, 42, 1.7, 2.5, 1.2, 0.09),
    BodyType.TRUCK: Preset(7.4, 2.4, 3.2, 7500, 4.2, 0.90, 0.75, 160e3, 24e3, 66e3, 2.6, 2.5, 30, 1.2, 2.2, 1.4, 0.05),
    BodyType.BUS: Preset(9.6, 2.5, 3.1, 10000, 4.8, 0.95, 0.7, 200e3, 28e3, 88e3, 3.2, 2.5, 28, 1.1, 2.0, 1.4, 0.02),
    BodyType.MOTORCYCLE: Preset(2.2, 0.8, 1.5, 280, 1.45, 0.7, 1, 6e4, 2.2e3, 3.0e3, 0.3, 4.0, 55, 2.4, 2.8, 1.0, 0.06),
    BodyType.BICYCLE: Preset(1.8, 0.6, 1.7, 95, 1.05, 0.80, 0.8, 380, 180.0, 620, 0.28, 4.0, 9.5, 0.9, 2.0, 1.2, 0.05),
}  # fmt: skip


def preset_table() -> NDArray[np.float32]:
    """[types, VEHICLE_FLOATS] float32: the rows that a fresh vehicle slot of a type starts with (pose and motion 0)."""
    table = np.zeros((len(BodyType), f.VEHICLE_FLOATS), np.float32)
    for kind, p in PRESETS.items():
        row = table[kind]
        row[f.COS] = 1.0
        row[f.HALF_LENGTH], row[f.HALF_WIDTH], row[f.HALF_HEIGHT] = p.length / 2, p.width / 2, p.height / 2
        row[f.MASS], row[f.WHEELBASE], row[f.MAX_WHEEL], row[f.MU] = p.mass, p.wheelbase, p.max_wheel, p.mu
        row[f.INERTIA] = p.mass * (p.length**2 + p.width**2) / 12 * 0.9
        row[f.POWER], row[f.FORCE], row[f.BRAKE_FORCE], row[f.DRAG] = p.power, p.force, p.brake_force, p.drag
        row[f.ROLL] = 0.012 * 9.81 * p.mass
        row[f.WHEEL_RATE], row[f.TOP_SPEED] = p.wheel_rate, p.top_speed
        row[f.WISH], row[f.HEADWAY], row[f.MIN_GAP] = 1.0, p.headway, 2.0
        row[f.URGE], row[f.COMFORT], row[f.POLITE] = p.urge, p.comfort, 0.2
    return table


def share_table() -> NDArray[np.float32]:
    """[types] float32: cumulative shares of the random traffic, ending at 1."""
    total = np.cumsum([PRESETS[kind].share for kind in BodyType])
    return (total / total[-1]).astype(np.float32)
