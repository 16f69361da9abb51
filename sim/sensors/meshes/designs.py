"""Vehicle bodies in figures: what meshes, shader, lamps and boxes are made from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Body(IntEnum):
    """Vehicle bodies that have a mesh."""

    SEDAN = 0
    HATCHBACK = 1
    SUV = 2
    VAN = 3
    TRUCK = 4
    BUS = 5
    MOTORCYCLE = 6
    BICYCLE = 7


class Lamp(IntEnum):
    """Bit numbers of an actor's lamps."""

    HEAD = 0
    BRAKE = 1
    LEFT = 2
    RIGHT = 3
    REVERSE = 4


@dataclass(frozen=True)
class Design:
    """A body's figures in metres, origin on the ground in the middle, x forward."""

    length: float
    width: float
    height: float
    belt: float
    """Height of the lower edge of the windows."""
    bonnet: float
    """Height of the bonnet's front end."""
    tail: float
    """Height of the rear end of the hull."""
    clearance: float
    screen: tuple[float, float]
    """x of the windscreen's foot and top."""
    rear: tuple[float, float]
    """x of the rear window's top and foot."""
    pillars: tuple[float, float]
    """x of the B and C pillars (-99: none)."""
    axles: tuple[float, float]
    """x of the rear and front axle."""
    wheel: float
    """Radius."""
    windows_from: float = -99.0
    """No side windows behind this x."""
    taper: float = 0.12
    """How much narrower the roof is than the belt, a share."""


DESIGNS: dict[Body, Design] = {
    Body.SEDAN: Design(
        4.6, 1.86, 1.45, 0.93, 0.74, 0.98, 0.20, (1.10, 0.28), (-1.05, -1.75), (-0.28, -99), (-1.38, 1.40), 0.33
    ),
    Body.HATCHBACK: Design(
        4.0, 1.78, 1.50, 0.95, 0.78, 0.98, 0.20, (0.98, 0.30), (-1.45, -1.86), (-0.35, -99), (-1.25, 1.25), 0.31
    ),
    Body.SUV: Design(
        4.7, 1.95, 1.72, 1.08, 0.95, 1.08, 0.27, (1.02, 0.42), (-1.85, -2.22), (-0.28, -1.15), (-1.40, 1.42), 0.37
    ),
    Body.VAN: Design(
        5.6, 2.05, 2.35, 1.18, 1.02, 1.18, 0.28, (2.05, 1.22), (-2.66, -2.76), (0.35, -99), (-1.75, 1.80), 0.36,
        0.4, 0.08
    ),
    Body.BUS: Design(
        10.8, 2.50, 3.05, 1.15, 1.15, 1.15, 0.30, (5.33, 5.16), (-5.28, -5.36), (-99, -99), (-2.95, 2.75), 0.48,
        -99, 0.03
    ),
}  # fmt: skip

TRUCK_CAB = Design(
    8.2, 2.45, 2.75, 1.55, 1.45, 1.55, 0.45, (3.98, 3.70), (2.22, 2.20), (-99, -99), (-2.35, 2.65), 0.46, 2.6, 0.05
)

OUTLINE_FIELDS = 16
SIDE_KIND = {Body.SEDAN: 0, Body.HATCHBACK: 1, Body.SUV: 2, Body.VAN: 3, Body.BUS: 4, Body.TRUCK: 5}


def outlines() -> NDArray[np.float32]:
    """[kinds, OUTLINE_FIELDS]: what the shader needs to draw a body's side.

    belt z, clearance, screen foot x, screen top x, rear top x, rear foot x, B pillar x, C pillar x, rear axle x,
    front axle x, wheel radius, windows from x, pitch of the pillars (0: only B and C), half length.
    """
    table = np.zeros((len(SIDE_KIND), OUTLINE_FIELDS), np.float32)
    for body, row in SIDE_KIND.items():
        d = DESIGNS.get(body, TRUCK_CAB)
        table[row, :14] = (
            d.belt, d.clearance, *d.screen, *d.rear, *d.pillars, *d.axles, d.wheel, d.windows_from,
            1.55 if body == Body.BUS else 0.0, d.length / 2,
        )  # fmt: skip
    return table
