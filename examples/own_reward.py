"""A driving task with a reward of your own, for every training of control.

    throttle train control --env.id examples.own_reward:mine/Hurry-v0 --env.worlds 64 --total_steps 100000

The batch sums the terms and keeps each one's sum in info["report"]["terms"].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.envs import DrivingEnv, TaskConfig, register, rewards
from sim.envs.lane_follow import LaneFollow

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch


class Hurry(LaneFollow):
    """Lane following that pays for time: progress, a fine for each second, and one for leaving the road."""

    name = "Hurry"
    terms: ClassVar[tuple[str, ...]] = ("progress", "time", "off_road")

    def rewards(self, batch: DrivingBatch) -> dict[str, NDArray[np.float32]]:
        """Each term [W]."""
        return {
            "progress": rewards.progress(batch),
            "time": np.full(batch.worlds, -0.05 * batch.dt, np.float32),
            "off_road": np.float32(-4.0) * rewards.left_road(batch),
        }


class HurryEnv(DrivingEnv):
    """The task as a Gymnasium environment."""

    def __init__(self, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(make_hurry(**arguments), render_mode)


def make_hurry(town: str = "Alder", route_length: float = 250.0, time_limit: float = 60.0) -> Hurry:
    """The task; its arguments are those of `--env.arguments`."""
    return Hurry(TaskConfig(town=town, route_length=route_length, time_limit=time_limit))


register("mine/Hurry-v0", HurryEnv, make_hurry)
