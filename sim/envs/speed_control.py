"""Following a lead vehicle that brakes, and others that cut in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.envs import rewards
from sim.envs.script import RailVehicle
from sim.envs.single import DrivingEnv
from sim.envs.task import Task, TaskConfig

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch

F32 = NDArray[np.float32]
LEAD, CUT_IN = 1, 2
LANE = -3.5
"""Metres to the left where a vehicle that cuts in comes from."""
CUT_IN_SECONDS = 2.5
CHANGE_RATE, BRAKE_SHARE, CUT_IN_RATE = 0.25, 0.4, 0.06
"""Changes of the lead's wish per second, how many of them are hard braking, cut-ins per second."""
HEADWAY = 1.5
"""Seconds behind the vehicle ahead that are paid in full."""


class SpeedControl(Task):
    """See SpeedControlEnv."""

    name = "SpeedControl"
    terms: ClassVar[tuple[str, ...]] = ("progress", "headway", "crash", "off_road", "comfort")
    signals_bind = False

    def __init__(self, config: TaskConfig) -> None:
        super().__init__(config)
        self._lead: RailVehicle | None = None
        self._goal: F32 = np.zeros(0, np.float32)
        self._rate: F32 = np.zeros(0, np.float32)
        self._merge: F32 = np.zeros(0, np.float32)
        """Seconds since the cut-in began, -1 before."""

    def begin(self, batch: DrivingBatch, mask: NDArray[np.bool_]) -> None:
        """A lead 15 to 40 m ahead at the ego's pace; the vehicle that will cut in waits far ahead on the left."""
        if self._lead is None or len(self._goal) != batch.worlds:
            self._lead, self._other = RailVehicle(batch, LEAD), RailVehicle(batch, CUT_IN)
            self._goal = np.zeros(batch.worlds, np.float32)
            self._rate = np.zeros(batch.worlds, np.float32)
            self._merge = np.full(batch.worlds, -1.0, np.float32)
        along, speed = batch.world.state.egos.along[:, 0], batch.world.state.vehicles.speed[:, 0]
        pace = np.maximum(speed, np.float32(4.0))
        zero = np.zeros(batch.worlds, np.float32)
        self._lead.place(batch, mask, along + 15 + 25 * batch.uniform(0), pace, zero)
        self._other.place(batch, mask, along + 60, pace, zero + np.float32(LANE))
        self._goal[mask] = pace[mask]
        self._rate[mask] = 1.5
        self._merge[mask] = -1.0

    def before_step(self, batch: DrivingBatch) -> None:
        """The lead changes its mind, sometimes hard; the other drives beside the ego until it cuts in before it."""
        assert self._lead is not None
        dt = np.float32(batch.dt)
        limit = batch.truth.speed_limit[:, 0]
        change = batch.uniform(1) < CHANGE_RATE * dt
        hard = batch.uniform(2) < BRAKE_SHARE
        wish = np.where(hard, 0.5 * batch.uniform(3), 0.4 + 0.6 * batch.uniform(4)) * limit
        self._goal = np.where(change, wish, self._goal).astype(np.float32)
        self._rate = np.where(change, np.where(hard, 3.0 + 4.0 * batch.uniform(5), 1.5), self._rate)
        self._rate = self._rate.astype(np.float32)
        pull = np.clip((self._goal - self._lead.speed) / dt, -self._rate, 1.5)
        self._lead.advance(batch, pull.astype(np.float32), self._lead.offset)

        ego = batch.world.state.egos.along[:, 0]
        own = batch.world.state.vehicles.speed[:, 0]
        waiting = self._merge < 0
        start = waiting & (batch.uniform(6) < CUT_IN_RATE * dt) & (np.abs(self._other.along - ego - 14) < 6)
        self._merge = np.where(start, 0.0, np.where(waiting, -1.0, self._merge + dt)).astype(np.float32)
        share = np.clip(self._merge / CUT_IN_SECONDS, 0.0, 1.0)
        offset = LANE * (1 - share * share * (3 - 2 * share))
        # beside the ego it keeps 14 m ahead; once in the lane it keeps behind the lead, a little slower than the ego
        hold = 0.6 * (ego + 14 - self._other.along) + 1.2 * (own - self._other.speed)
        room = self._lead.along - self._other.along - 8
        follow = np.minimum(0.3 * (room - 1.2 * self._other.speed) + 1.0 * (self._lead.speed - self._other.speed),
                            0.85 * limit - self._other.speed)  # fmt: skip
        pull = np.clip(np.where(self._merge < 0, hold, follow), -7.0, 2.5)
        self._other.advance(batch, pull.astype(np.float32), offset.astype(np.float32))

    def rewards(self, batch: DrivingBatch) -> dict[str, F32]:
        """Progress times factors, minus following too closely, crashes and leaving the road."""
        assert self._lead is not None
        speed = np.abs(batch.truth.ego[:, 0, 0])
        ego = batch.world.state.egos.along[:, 0]
        gap = self._lead.along - ego
        merged = (self._merge > 0.6 * CUT_IN_SECONDS) & (self._other.along > ego)
        gap = np.where(merged, np.minimum(gap, self._other.along - ego), gap) - 4.7
        short = np.clip(1.0 - gap / (2.0 + HEADWAY * speed), 0.0, 1.0)
        return {
            "progress": rewards.progress(batch) * rewards.factors(batch),
            "headway": (-0.1 * short * short).astype(np.float32),
            "crash": np.where(rewards.collided(batch), -3.0 - 0.3 * speed, 0.0).astype(np.float32),
            "off_road": np.float32(-4.0) * rewards.left_road(batch),
            "comfort": rewards.comfort(batch),
        }

    def terminated(self, batch: DrivingBatch) -> NDArray[np.bool_]:
        """A collision, off the road or the route, or at the route's end."""
        return rewards.collided(batch) | rewards.left_road(batch) | (batch.world.state.egos.completed[:, 0] > 0)


class SpeedControlEnv(DrivingEnv):
    """
    ## Description

    Follow a lead vehicle that speeds up, slows down and brakes hard, while another drives beside and cuts in.

    ## Action Space

    `Box(-1, 1, (2,), float32)`: pedal (above 0 throttle, below 0 brake) and steering (positive to the right, a share of
    what the tyres allow at the present speed, see `sim.envs.action`).

    ## Observation Space

    `Box(-1, 1, (SCENE_SIZE,), float32)`: a `contracts.Scene` encoded by `sim.envs.observation`. No light or sign binds.

    ## Rewards

    The sum of `progress` (.1 a metre along the route, up to the speed limit, times factors for keeping to the lane's
    centre, to the limit and inside the route's lanes), `headway` (down to -.1 a step for less than 2 m + 1.5 s to the
    vehicle ahead), `crash` (-3 - .3 x speed), `off_road` (-4) and `comfort`.

    ## Starting State

    A random lane and route; the lead 15 to 40 m ahead at the ego's pace; the other beside the lane, on the left.

    ## Episode Termination

    A collision, leaving the road or the route, or its end. Truncated after `time_limit` seconds.

    ## Arguments

    `town` (a shipped town or an .xodr file), `route_length` (m), `time_limit` (s), `dt` (s).

    ## Version History

    * v0: first version.
    """

    def __init__(self, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(make_speed_control(**arguments), render_mode)


def make_speed_control(**arguments: Any) -> SpeedControl:
    """The task with its defaults."""
    return SpeedControl(TaskConfig(**{"vehicles": 3, "route_length": 400.0, **arguments}))
