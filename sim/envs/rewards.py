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
    most = batch.truth.speed_limit[:, 0] * np.float32(batch.dt)
    return METRE * np.clip(batch.gained, -most, most)


def factors(batch: DrivingBatch) -> F32:
    """Product of the factors in [0, 1]: off the lane's centre, above the speed limit, outside the route's lanes."""
    egos, truth = batch.world.state.egos, batch.truth
    offset = np.abs(egos.offset[:, 0])
    centring = np.clip(1.25 - 0.5 * offset, 0.0, 1.0)
    over = truth.ego[:, 0, 0] - truth.speed_limit[:, 0]
    speeding = np.clip(1.0 - (over - 0.5) / 3.0, 0.0, 1.0)
    outside = np.where(egos.is_outside[:, 0] > 0, 0.5, 1.0)
    return (centring * speeding * outside).astype(np.float32)


def comfort(batch: DrivingBatch) -> F32:
    """Minus a little for jerk and for a wheel that flutters."""
    jerk = np.clip(batch.world.state.egos.jerk[:, 0] / 20.0, -1.0, 1.0)
    turn = np.clip(batch.steer_change, -1.0, 1.0)
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
