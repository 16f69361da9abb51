"""VehiclePhysicsControl: what a vehicle's is by default, and what a changed one does to the world's vehicle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.server.arguments import boolean, items, number, vector
from sim.server.errors import CallError
from sim.world import fields as f

TIRE_FRICTION = 3.5
"""CARLA's usual tire_friction; the world's tyres have their own, which scales with it."""
MAX_RPM = 5800.0
FINAL_RATIO = 4.0
WHEEL_TORQUE = 1500.0
"""N m of each brake at full pedal, by default."""
GEARS = [[4.0, 0.5, 0.65], [2.2, 0.5, 0.65], [1.4, 0.5, 0.65], [1.0, 0.5, 0.65], [0.8, 0.5, 0.65], [0.65, 0.5, 0.65]]

(
    TORQUE_CURVE, RPM, MOI, DAMPING_FULL, DAMPING_ENGAGED, DAMPING_FREE, AUTOBOX, SWITCH_TIME, CLUTCH, FINAL, GEAR_LIST,
    MASS, DRAG, CENTRE, STEERING, WHEELS, SWEEP,
) = range(17)  # fmt: skip
FRICTION, W_DAMPING, MAX_STEER, RADIUS, MAX_BRAKE, MAX_HAND_BRAKE, LAT_LOAD, LAT_VALUE, LONG_VALUE, POSITION = range(10)


def default(row: NDArray[np.float32], wheels: int, base: list[float]) -> list[Any]:
    """The control of a fresh vehicle whose world parameters are `row`; `base` is its position (m) at spawn.

    It has four wheels: those of a two-wheeler stand in pairs, as CARLA's do.
    """
    radius = 0.34 if wheels == 4 else 0.32
    peak = float(row[f.FORCE]) * radius / (GEARS[0][0] * FINAL_RATIO)
    angle = math.degrees(float(row[f.MAX_WHEEL]))
    half, side = float(row[f.WHEELBASE]) / 2, float(row[f.HALF_WIDTH]) * 0.8
    side = side if wheels == 4 else 0.1
    places = [(half, -side), (half, side), (-half, -side), (-half, side)]
    found = []
    for x, y in places:
        front = x > 0
        position = [100 * (base[0] + x), 100 * (base[1] + y), 100 * base[2]]
        steer, hand = (angle, 0.0) if front else (0.0, 3000.0)
        found.append([TIRE_FRICTION, 0.25, steer, 100 * radius, WHEEL_TORQUE, hand, 2.0, 17.0, 1000.0, position])
    return [
        [[0.0, 0.8 * peak], [0.5 * MAX_RPM, peak], [MAX_RPM, 0.8 * peak]], MAX_RPM, 1.0, 0.15, 2.0, 0.35, True, 0.5,
        10.0, FINAL_RATIO, [list(g) for g in GEARS], float(row[f.MASS]), 0.3, [0.0, 0.0, 0.0],
        [[0.0, 1.0], [20.0, 0.9], [60.0, 0.8], [120.0, 0.7]], found, False,
    ]  # fmt: skip


def checked(control: Any) -> list[Any]:
    """A control as a client sent it, every field checked; raises CallError."""
    given = items(control, 17, "physics control")
    out: list[Any] = [number(v, "physics control") if i in _NUMBERS else v for i, v in enumerate(given[:17])]
    for i in (TORQUE_CURVE, STEERING):
        out[i] = [[number(p[0]), number(p[1])] for p in (items(q, 2, "curve") for q in items(given[i], 0, "curve"))]
    out[GEAR_LIST] = [[number(v) for v in items(g, 3, "gear")[:3]] for g in items(given[GEAR_LIST], 0, "gears")]
    out[AUTOBOX], out[SWEEP] = boolean(given[AUTOBOX]), boolean(given[SWEEP])
    out[CENTRE] = list(vector(given[CENTRE]))
    out[WHEELS] = [
        [number(v) for v in items(w, 10, "wheel")[:9]] + [list(vector(w[POSITION]))]
        for w in items(given[WHEELS], 0, "wheels")
    ]
    if len(out[WHEELS]) > 20 or len(out[GEAR_LIST]) > 50:
        raise CallError("physics control: too many wheels or gears")
    if out[MASS] <= 0:
        raise CallError("physics control: mass must be positive")
    return out


_NUMBERS = {RPM, MOI, DAMPING_FULL, DAMPING_ENGAGED, DAMPING_FREE, SWITCH_TIME, CLUTCH, FINAL, MASS, DRAG}


def apply(
    row: NDArray[np.float32], fresh: NDArray[np.float32], before: list[Any], after: list[Any], weight: bool
) -> None:
    """Change the world's parameters `row` by what `after` changes against the default control `before`.

    fresh: the row as it was at spawn. weight: gravity presses the vehicle on its wheels. Mass, tyre friction, brake
    torque, steering angle, drag, torque and gearing act. Damping, moment of the engine, clutch, centre of mass and tyre
    stiffness are kept and reported, without effect.
    """

    def ratio(new: float, old: float, low: float = 0.0, high: float = 100.0) -> float:
        return min(max(new / old if old else 1.0, low), high)

    mass = ratio(after[MASS], before[MASS], 0.01)
    row[f.MASS], row[f.INERTIA] = fresh[f.MASS] * mass, fresh[f.INERTIA] * mass
    grip = ratio(_mean(after, FRICTION), _mean(before, FRICTION)) if after[WHEELS] and before[WHEELS] else 1.0
    # a wheel that slides or hangs free does not resist
    row[f.ROLL] = fresh[f.ROLL] * mass * min(grip, 1.0) * weight
    row[f.MU] = fresh[f.MU] * grip * weight
    row[f.DRAG] = fresh[f.DRAG] * ratio(after[DRAG], before[DRAG])
    torque = ratio(_peak(after), _peak(before))
    ratios = after[GEAR_LIST][0][0] * after[FINAL] if after[GEAR_LIST] else before[GEAR_LIST][0][0] * after[FINAL]
    gearing = ratio(ratios, before[GEAR_LIST][0][0] * before[FINAL])
    row[f.FORCE] = fresh[f.FORCE] * torque * gearing
    row[f.POWER] = fresh[f.POWER] * torque * ratio(after[RPM], before[RPM])
    if after[WHEELS] and before[WHEELS]:
        row[f.BRAKE_FORCE] = fresh[f.BRAKE_FORCE] * ratio(_mean(after, MAX_BRAKE), _mean(before, MAX_BRAKE))
        angle = max(abs(w[MAX_STEER]) for w in after[WHEELS])
        row[f.MAX_WHEEL] = math.radians(min(angle, 85.0))


def _peak(control: list[Any]) -> float:
    return max((point[1] for point in control[TORQUE_CURVE]), default=0.0)


def _mean(control: list[Any], field: int) -> float:
    return float(sum(w[field] for w in control[WHEELS]) / len(control[WHEELS]))
