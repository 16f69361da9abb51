"""From a Plan to pedals and wheel: pure pursuit of the path, feed-forward with a little feedback for the speed.

Steering: the rear axle is led to a point of the path some metres ahead (Coulter 1992); the wheel angle comes from the
kinematic bicycle, and from it the share of the vehicle's greatest angle, which shrinks with speed as CARLA's does.

Pedals: the plan asks for an acceleration; throttle or brake that give it are computed from the vehicle's greatest
driving force, power, brake and resistance. What the vehicle did not deliver so far is added (a slow integral), so that
a vehicle other than described is still driven at the planned speed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import Control, Ego, Plan
from contracts.plan import PATH_POINTS
from sim.driving.jit import entry, part
from sim.driving.plans import Plans
from sim.world import fields as f
from sim.world.presets import PRESETS, BodyType
from sim.world.world import World

F32 = NDArray[np.float32]
MEMORY = 2
"""Numbers kept from step to step: acceleration asked for, what it lacked so far."""
WHEELBASE, MAX_WHEEL, PULL, POWER, BRAKE, ROLL, DRAG = range(7)
LOOK, LOOK_TIME = 2.2, 0.4
"""Metres, and seconds on top, from the rear axle to the point that is steered to."""
HORIZON = 0.4
"""Seconds in which the planned speed is to be reached."""
ENGINE_BRAKE = 0.3
"""m/s^2 of a closed throttle."""
GAIN, MOST = 0.4, 1.0
"""Of the integral: 1/s, and its bound in m/s^2."""
STOP_SPEED = 0.3
"""m/s: a plan slower than this is a stop, held by the brake."""
STANDING_BRAKE = 0.6
"""The pedal that holds it."""


@dataclass(frozen=True)
class Vehicle:
    """What the follower knows of its vehicle; the default is an ordinary car.

    wheelbase: m. max_wheel: greatest angle of the front wheels, rad. pull, brake: greatest acceleration and
    deceleration of the pedals, m/s^2. power: W/kg. roll: rolling resistance, m/s^2. drag: 1/m.
    """

    wheelbase: float = PRESETS[BodyType.CAR].wheelbase
    max_wheel: float = PRESETS[BodyType.CAR].max_wheel
    pull: float = PRESETS[BodyType.CAR].force / PRESETS[BodyType.CAR].mass
    power: float = PRESETS[BodyType.CAR].power / PRESETS[BodyType.CAR].mass
    brake: float = PRESETS[BodyType.CAR].brake_force / PRESETS[BodyType.CAR].mass
    roll: float = 0.012 * 9.81
    drag: float = PRESETS[BodyType.CAR].drag / PRESETS[BodyType.CAR].mass

    def row(self) -> NDArray[np.float64]:
        """[7] in the order of the constants of this module."""
        return np.array([self.wheelbase, self.max_wheel, self.pull, self.power, self.brake, self.roll, self.drag])


@part
def _wheel(path: Any, speed: float, wheelbase: float, max_wheel: float) -> float:
    """Steer -1..1."""
    half = 0.5 * wheelbase
    at = min(max(LOOK + LOOK_TIME * speed - half, 1.0), float(PATH_POINTS)) - 1.0
    k = min(int(at), PATH_POINTS - 2)
    share = at - k
    x = path[k, 0] + share * (path[k + 1, 0] - path[k, 0]) + half
    y = path[k, 1] + share * (path[k + 1, 1] - path[k, 1])
    curvature = 2.0 * y / max(x * x + y * y, 1.0)
    wheel = math.atan(wheelbase * curvature)
    reach = max_wheel * (1.0 - 0.3 * min(abs(speed) / 33.3, 1.0))
    return min(max(wheel / reach, -1.0), 1.0)


@entry
def _stands(plan: Any, speed: float) -> bool:
    """The plan is to stand, and the car all but does."""
    soon = plan[0] + (plan[1] - plan[0]) * (HORIZON - 0.25) / 0.25
    return bool(soon < STOP_SPEED and plan[3] < STOP_SPEED and speed < STOP_SPEED)


@part
def _pedals(plan: Any, speed: float, accel: float, vehicle: Any, memory: Any, dt: float) -> tuple[float, float]:
    """Throttle and brake."""
    soon = plan[0] + (plan[1] - plan[0]) * (HORIZON - 0.25) / 0.25
    wanted = (soon - speed) / HORIZON
    if _stands(plan, speed):
        memory[0] = memory[1] = 0.0
        return 0.0, STANDING_BRAKE
    if speed > 1.0 and abs(wanted) < 3.0:
        memory[1] = min(max(memory[1] + GAIN * (memory[0] - accel) * dt, -MOST), MOST)
    memory[0] = wanted
    wanted += memory[1]
    resist = vehicle[ROLL] + vehicle[DRAG] * speed * speed
    coast = -resist - ENGINE_BRAKE * min(speed * 0.5, 1.0)
    if wanted >= coast:
        return min(max((wanted + resist) / min(vehicle[PULL], vehicle[POWER] / max(speed, 0.5)), 0.0), 1.0), 0.0
    return 0.0, min(max((-wanted - resist) / vehicle[BRAKE], 0.0), 1.0)


@entry
def _follow(path: Any, speed: Any, ego: Any, vehicle: Any, memory: Any, dt: float, out: Any) -> None:
    """Rows of W worlds: path, speed as Plans, ego [W, >= 2] speed and acceleration, vehicle [W, 7]; writes [W, 3]."""
    for w in range(len(path)):
        v = max(float(ego[w, 0]), 0.0)
        throttle, brake = _pedals(speed[w], v, float(ego[w, 1]), vehicle[w], memory[w], dt)
        out[w, 0], out[w, 1] = throttle, brake
        out[w, 2] = _wheel(path[w], v, vehicle[w, WHEELBASE], vehicle[w, MAX_WHEEL])


class BatchTracker:
    """Follows the plans of W worlds, called once every dt seconds."""

    def __init__(self, worlds: int, dt: float = 0.1, vehicle: Vehicle | None = None) -> None:
        self.dt = dt
        self._vehicle = np.repeat((vehicle or Vehicle()).row()[None], worlds, axis=0)
        self._memory = np.zeros((worlds, MEMORY))
        self.control: F32 = np.zeros((worlds, 3), np.float32)
        """The last answer."""

    @staticmethod
    def of_world(world: World, dt: float) -> BatchTracker:
        """For the first ego of every world, each with the vehicle that it has."""
        tracker = BatchTracker(world.config.worlds, dt)
        row = world.state.buffers.vf[:, :, 0].astype(np.float64)
        mass = np.maximum(row[:, f.MASS], 1.0)
        tracker._vehicle[:, WHEELBASE], tracker._vehicle[:, MAX_WHEEL] = row[:, f.WHEELBASE], row[:, f.MAX_WHEEL]
        for column, field in (
            (PULL, f.FORCE),
            (POWER, f.POWER),
            (BRAKE, f.BRAKE_FORCE),
            (ROLL, f.ROLL),
            (DRAG, f.DRAG),
        ):
            tracker._vehicle[:, column] = row[:, field] / mass
        return tracker

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget what was before, in the worlds of `mask` (all without it)."""
        self._memory[slice(None) if mask is None else mask] = 0.0

    def act(self, plans: Plans, ego: F32) -> F32:
        """[W, 3] throttle, brake, steer for plans and ego [W, >= 2] (speed, acceleration along its heading, ...)."""
        _follow(plans.path, plans.speed, ego, self._vehicle, self._memory, self.dt, self.control)
        return self.control


def stands(plan: Plan, ego: Ego) -> bool:
    """The plan is to stand, and the car all but does: a follower of plans then keeps the brake on."""
    return bool(_stands(plan.speed, max(ego.speed, 0.0)))


class PlanTracker:
    """Follows the plans of one ego, called once every dt seconds."""

    def __init__(self, dt: float = 0.05, vehicle: Vehicle | None = None) -> None:
        self._batch = BatchTracker(1, dt, vehicle)
        self._ego = np.zeros((1, 2), np.float32)

    def reset(self) -> None:
        """Forget what was before."""
        self._batch.reset()

    def act(self, plan: Plan, ego: Ego) -> Control:
        """The pedals and wheel for this step."""
        self._ego[0] = ego.speed, ego.acceleration
        throttle, brake, steer = self._batch.act(Plans(plan.path[None], plan.speed[None]), self._ego)[0].tolist()
        return Control(throttle, brake, steer)
