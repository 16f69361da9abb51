"""What planning hands to control."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts import check
from contracts.errors import ContractError

PATH_POINTS = 20
PATH_SPACING = 1.0
SPEED_STEPS = 8
SPEED_PERIOD = 0.25


@dataclass(frozen=True)
class Plan:
    """Where to drive and how fast.

    path: [20, 2] metres, ego frame, points 1 m of path apart, the first 1 m ahead.
    speed: [8] m/s, 4 Hz, the first .25 s ahead.
    """

    path: NDArray[np.float32]
    speed: NDArray[np.float32]

    def validate(self) -> Plan:
        """Return self; raise ContractError where a shape, type, spacing or value is wrong."""
        check.array("Plan.path", self.path, (PATH_POINTS, 2))
        check.array("Plan.speed", self.speed, (SPEED_STEPS,))
        if (self.speed < 0).any():
            raise ContractError("Plan.speed: holds negative speeds")
        steps = np.linalg.norm(np.diff(self.path, axis=0, prepend=np.zeros((1, 2), np.float32)), axis=1)
        # The first point may start from a pose beside the path, so only the spacing between points is bound.
        if (np.abs(steps[1:] - PATH_SPACING) > 0.5).any():
            raise ContractError("Plan.path: points are not 1 m apart")
        return self
