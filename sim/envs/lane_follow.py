"""Following a lane on an empty road."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.envs import rewards
from sim.envs.single import DrivingEnv
from sim.envs.task import Task, TaskConfig

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch

F32 = NDArray[np.float32]


class LaneFollow(Task):
    """See LaneFollowEnv."""

    name = "LaneFollow"
    terms: ClassVar[tuple[str, ...]] = ("progress", "off_road", "comfort", "arrival")
    signals_bind = False

    def rewards(self, batch: DrivingBatch) -> dict[str, F32]:
        """Progress times factors, minus leaving the road, plus the arrival."""
        return {
            "progress": rewards.progress(batch) * rewards.factors(batch),
            "off_road": np.float32(-4.0) * rewards.left_road(batch),
            "comfort": rewards.comfort(batch),
            "arrival": np.float32(2.0) * batch.new("completed"),
        }

    def terminated(self, batch: DrivingBatch) -> NDArray[np.bool_]:
        """Off the road or the route, blocked, or there."""
        egos = batch.world.state.egos
        return rewards.left_road(batch) | (egos.stalled[:, 0] > 0) | (egos.completed[:, 0] > 0)


class LaneFollowEnv(DrivingEnv):
    """
    ## Description

    Follow the lanes of a random route through an empty town at the speed limit, around bends and across junctions.

    ## Action Space

    `Box(-1, 1, (2,), float32)`: pedal (above 0 throttle, below 0 brake) and steering (positive to the right, a share of
    what the tyres allow at the present speed, see `sim.envs.action`).

    ## Observation Space

    `Box(-1, 1, (SCENE_SIZE,), float32)`: a `contracts.Scene` encoded by `sim.envs.observation`. No light or sign binds.

    ## Rewards

    The sum of `progress` (.1 a metre along the route, up to the speed limit, times factors for keeping to the lane's
    centre, to the limit and inside the route's lanes), `off_road` (-4), `comfort` (a little for jerk and a fluttering
    wheel) and `arrival` (+2).

    ## Starting State

    A random lane and a random route of `route_length` metres from it, drawn from the seed.

    ## Episode Termination

    Leaving the road or the route, 180 s without moving, or the arrival. Truncated after `time_limit` seconds.

    ## Arguments

    `town` (a shipped town or an .xodr file), `route_length` (m), `time_limit` (s), `dt` (s).

    ## Version History

    * v0: first version.
    """

    def __init__(self, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(make_lane_follow(**arguments), render_mode)


def make_lane_follow(**arguments: Any) -> LaneFollow:
    """The task with its defaults."""
    return LaneFollow(TaskConfig(**arguments))
