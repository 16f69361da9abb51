"""What perception (or the simulator's truth) hands to planning and control."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from contracts import check
from contracts.errors import ContractError


class ObjectClass(IntEnum):
    """Classes of the objects around the ego."""

    CAR = 0
    TRUCK = 1
    BUS = 2
    MOTORCYCLE = 3
    BICYCLE = 4
    PEDESTRIAN = 5
    STATIC = 6


class LightState(IntEnum):
    """State of the traffic light that binds the ego; NONE where no light does."""

    NONE = 0
    GREEN = 1
    YELLOW = 2
    RED = 3


@dataclass(frozen=True)
class Ego:
    """The ego's own motion.

    speed: m/s along its heading. acceleration: m/s^2 along its heading. yaw_rate: rad/s, positive to the right.
    steer: -1..1, the wheel's present position as in Control. length, width: metres, of the body.
    """

    speed: float
    acceleration: float
    yaw_rate: float
    steer: float
    length: float = 4.5
    width: float = 1.9


@dataclass(frozen=True)
class Objects:
    """N objects around the ego, in the ego frame.

    kind: [N] int32, ObjectClass. centre: [N, 2] metres. half_extent: [N, 2] metres, along and across its heading.
    yaw: [N] radians. velocity: [N, 2] m/s, over ground, in ego axes. confidence: [N] 0..1, 1 for the truth.
    """

    kind: NDArray[np.int32]
    centre: NDArray[np.float32]
    half_extent: NDArray[np.float32]
    yaw: NDArray[np.float32]
    velocity: NDArray[np.float32]
    confidence: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.kind)

    @staticmethod
    def empty() -> Objects:
        """No objects."""
        one, two = np.zeros(0, np.float32), np.zeros((0, 2), np.float32)
        return Objects(np.zeros(0, np.int32), two, two, one, two, one)

    def validate(self) -> Objects:
        """Return self; raise ContractError where a shape, type or value is wrong."""
        n = len(self.kind)
        check.array("Objects.kind", self.kind, (n,), np.int32)
        check.array("Objects.centre", self.centre, (n, 2))
        check.array("Objects.half_extent", self.half_extent, (n, 2))
        check.array("Objects.yaw", self.yaw, (n,))
        check.array("Objects.velocity", self.velocity, (n, 2))
        check.array("Objects.confidence", self.confidence, (n,))
        if n and not (self.kind.min() >= 0 and self.kind.max() < len(ObjectClass)):
            raise ContractError("Objects.kind: holds an unknown class")
        if n and self.half_extent.min() <= 0:
            raise ContractError("Objects.half_extent: must be positive")
        if n and not (self.confidence.min() >= 0 and self.confidence.max() <= 1):
            raise ContractError("Objects.confidence: must be in [0, 1]")
        return self


@dataclass(frozen=True)
class Scene:
    """All that planning and control may know; the same type from the simulator (truth) and from perception.

    ego: own motion. objects: what is around. route: [R, 2] metres, ego frame, points 1 m apart along the route ahead.
    light: the light that binds the ego now. stop_distance: metres along the route to the stop line of that light or
    of a stop sign, inf where there is none. stop_sign: whether that line belongs to a stop sign not yet honoured.
    speed_limit: m/s.
    """

    ego: Ego
    objects: Objects
    route: NDArray[np.float32]
    light: LightState
    stop_distance: float
    stop_sign: bool
    speed_limit: float

    def validate(self) -> Scene:
        """Return self; raise ContractError where a shape, type or value is wrong."""
        check.number("Ego.speed", self.ego.speed, -100.0, 150.0)
        check.number("Ego.acceleration", self.ego.acceleration)
        check.number("Ego.yaw_rate", self.ego.yaw_rate)
        check.number("Ego.steer", self.ego.steer, -1.0, 1.0)
        check.number("Ego.length", self.ego.length, 0.1, 50.0)
        check.number("Ego.width", self.ego.width, 0.1, 10.0)
        self.objects.validate()
        check.array("Scene.route", self.route, (None, 2))
        if not isinstance(self.light, LightState):
            raise ContractError(f"Scene.light: expected a LightState, got {self.light!r}")
        if not self.stop_distance >= 0:
            raise ContractError(f"Scene.stop_distance: {self.stop_distance} is not at least 0")
        check.number("Scene.speed_limit", self.speed_limit, 0.0, 100.0)
        return self
