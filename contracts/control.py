"""What control hands to the vehicle."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import check


@dataclass(frozen=True)
class Control:
    """Pedals and wheel, with the meaning of CARLA's VehicleControl; one a simulation step.

    throttle: 0..1. brake: 0..1. steer: -1..1, positive to the right, a share of the vehicle's greatest wheel angle.
    """

    throttle: float
    brake: float
    steer: float

    def validate(self) -> Control:
        """Return self; raise ContractError where a value is out of range or not finite."""
        check.number("Control.throttle", self.throttle, 0.0, 1.0)
        check.number("Control.brake", self.brake, 0.0, 1.0)
        check.number("Control.steer", self.steer, -1.0, 1.0)
        return self
