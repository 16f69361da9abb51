"""From a policy's action to a Control."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts import Control

F32 = NDArray[np.float32]
SIDE_ACCELERATION = 8.0
"""m/s^2 that a full steering action asks for at speed: about the limit of dry tyres."""
WHEELBASE = 2.9
MAX_WHEEL = 1.22
"""Metres and radians of an ordinary car: how a curvature becomes a share of the greatest wheel angle."""


def steer_limit(speed: F32) -> F32:
    """The steer (share of the greatest wheel angle) that a full action means at `speed` [...] m/s.

    Wheel angle = wheelbase x curvature and curvature = side acceleration / speed^2, at most .6 of the greatest angle:
    a full action is a tight turn at walking pace and the tyres' limit on a motorway, so a policy explores what a driver
    would, and not spins.
    """
    curvature = np.float32(SIDE_ACCELERATION) / np.maximum(speed * speed, np.float32(1.0))
    return np.minimum(np.float32(WHEELBASE / MAX_WHEEL) * curvature, np.float32(0.6))


def to_pedals(action: F32, speed: F32, out: F32) -> None:
    """Write throttle, brake, steer [..., 3] for actions [..., 2] in [-1, 1] at speeds [...] m/s.

    action[..., 0]: above 0 throttle, below 0 brake. action[..., 1]: steering, a share of `steer_limit`. Values out of
    range are clipped.
    """
    pedal = np.clip(action[..., 0], -1.0, 1.0)
    np.maximum(pedal, 0.0, out=out[..., 0])
    np.maximum(-pedal, 0.0, out=out[..., 1])
    np.multiply(np.clip(action[..., 1], -1.0, 1.0), steer_limit(speed), out=out[..., 2])


def to_control(action: F32, speed: float) -> Control:
    """The contract's Control for one action [2] at a speed in m/s."""
    out = np.zeros(3, np.float32)
    to_pedals(np.asarray(action, np.float32), np.float32(speed), out)  # type: ignore[arg-type]
    return Control(float(out[0]), float(out[1]), float(out[2]))
