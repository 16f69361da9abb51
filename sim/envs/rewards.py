"""Reward terms that tasks share: small functions of a batch, each [W]. A task names its terms; the batch sums them.

The start is CaRL's reward: progress along the route, multiplied by factors in [0, 1] for driving badly, and a penalty
where an infraction ends the episode (Jaeger et al. 2025, "CaRL: Learning Scalable Planning Policies with Simple
Rewards").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch

F32 = NDArray[np.float32]
METRE = np.float32(0.1)
"""Reward of one metre of progress driven well."""


def progress(batch: DrivingBatch) -> F32:
    """Metres gained along the route in this step, at most what the speed limit allows, times METRE."""
    return progress_of(batch.gained, batch.truth.speed_limit[:, 0], batch.dt)


def progress_of(gained: F32, limit: F32, dt: float) -> F32:
    """The same of metres gained in `dt` seconds where the speed limit is `limit`, m/s."""
    most = limit * np.float32(dt)
    return METRE * np.clip(gained, -most, most)


def factors(batch: DrivingBatch) -> F32:
    """Product of the factors in [0, 1]: off the lane's centre, above the speed limit, outside the route's lanes."""
    egos, truth = batch.world.state.egos, batch.truth
    over = truth.ego[:, 0, 0] - truth.speed_limit[:, 0]
    return factors_of(egos.offset[:, 0], over, egos.is_outside[:, 0] > 0)


def factors_of(offset: F32, over: F32, outside: NDArray[np.bool_]) -> F32:
    """The same of metres beside the lane's centre, m/s above the limit, and whether outside the route's lanes."""
    centring = np.clip(1.25 - 0.5 * np.abs(offset), 0.0, 1.0)
    speeding = np.clip(1.0 - (over - 0.5) / 3.0, 0.0, 1.0)
    return (centring * speeding * np.where(outside, 0.5, 1.0)).astype(np.float32)


def comfort(batch: DrivingBatch) -> F32:
    """Minus a little for jerk and for a wheel that flutters."""
    return comfort_of(batch.world.state.egos.jerk[:, 0], batch.steer_change)


def comfort_of(jerk: F32, steer_change: F32) -> F32:
    """The same of the jerk, m/s^3, and the change of the steering asked for."""
    jerk = np.clip(jerk / 20.0, -1.0, 1.0)
    turn = np.clip(steer_change, -1.0, 1.0)
    return (-0.004 * jerk * jerk - 0.05 * turn * turn).astype(np.float32)


def collided(batch: DrivingBatch) -> NDArray[np.bool_]:
    """A collision in this step, whether or not the ego was moving."""
    return (
        (batch.new("hit_vehicle") > 0)
        | (batch.new("hit_walker") > 0)
        | (batch.new("hit_static") > 0)
        | (batch.new("hits_forgiven") > 0)
    )


def left_road(batch: DrivingBatch) -> NDArray[np.bool_]:
    """The ego has left every driving lane, or is 30 m off its route."""
    egos = batch.world.state.egos
    return (egos.is_off_road[:, 0] > 0) | (egos.deviated[:, 0] > 0) | (np.abs(egos.offset[:, 0]) > 6.0)
