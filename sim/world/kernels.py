# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""The step of all worlds: one kernel, parallel over worlds."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from sim.world import fields as f
from sim.world.dynamics import advance, turn_wheel
from sim.world.maths import F, kernel, parallel_kernel, sincos, wrap
from sim.world.state import Buffers


@kernel
def move_vehicle(vf: NDArray[np.float32], vi: NDArray[np.int32], i: int, dt: float, substeps: int) -> None:
    """Advance vehicle i of one world by dt in substeps, from its pedals and wheel."""
    step = dt / F(substeps)
    flags = vi[f.V_FLAGS, i]
    sin_pitch, _ = sincos(vf[f.PITCH, i])
    start = vf[f.SPEED, i]
    for _ in range(substeps):
        vf[f.WHEEL, i] = turn_wheel(
            vf[f.WHEEL, i], vf[f.STEER, i], vf[f.SPEED, i], vf[f.MAX_WHEEL, i], vf[f.WHEEL_RATE, i], step
        )
        speed, side, rate = advance(
            vf[f.SPEED, i], vf[f.SIDE_SPEED, i], vf[f.YAW_RATE, i], vf[f.WHEEL, i], vf[f.THROTTLE, i], vf[f.BRAKE, i],
            (flags & f.REVERSE) != 0, (flags & f.HAND_BRAKE) != 0, sin_pitch, vf[f.MASS, i], vf[f.INERTIA, i],
            vf[f.WHEELBASE, i], vf[f.MU, i], vf[f.POWER, i], vf[f.FORCE, i], vf[f.BRAKE_FORCE, i], vf[f.DRAG, i],
            vf[f.ROLL, i], vf[f.TOP_SPEED, i], step,
        )  # fmt: skip
        mid = F(0.5) * (vf[f.YAW_RATE, i] + rate) * step
        sin, cos = sincos(vf[f.YAW, i] + F(0.5) * mid)
        along = F(0.5) * (vf[f.SPEED, i] + speed)
        across = F(0.5) * (vf[f.SIDE_SPEED, i] + side)
        vf[f.SIDE_ACCEL, i] = (side - vf[f.SIDE_SPEED, i]) / step + speed * rate
        vf[f.X, i] += (along * cos - across * sin) * step
        vf[f.Y, i] += (along * sin + across * cos) * step
        vf[f.YAW, i] = wrap(vf[f.YAW, i] + mid)
        vf[f.SPEED, i] = speed
        vf[f.SIDE_SPEED, i] = side
        vf[f.YAW_RATE, i] = rate
    vf[f.ACCEL, i] = (vf[f.SPEED, i] - start) / dt
    vf[f.SIN, i], vf[f.COS, i] = sincos(vf[f.YAW, i])


@parallel_kernel
def step_worlds(b: Buffers, control: NDArray[np.float32], dt: float, substeps: int) -> None:
    for w in numba.prange(b.vf.shape[0]):
        vf = b.vf[w]
        vi = b.vi[w]
        for e in range(control.shape[1]):
            if vi[f.V_MODE, e] == f.EXTERNAL:
                vf[f.THROTTLE, e] = control[w, e, 0]
                vf[f.BRAKE, e] = control[w, e, 1]
                vf[f.STEER, e] = control[w, e, 2]
        for i in range(vf.shape[1]):
            if vi[f.V_MODE, i] == f.EXTERNAL:
                move_vehicle(vf, vi, i, dt, substeps)
        b.wi[w, f.W_TICK] += 1
        b.wf[w, f.W_TIME] += dt
