"""Urban driving on a route, through traffic, lights, signs and pedestrians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from sim.envs import rewards
from sim.envs.blockage import Blockage
from sim.envs.single import DrivingEnv
from sim.envs.task import Task, TaskConfig

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class UrbanConfig(TaskConfig):
    """blocked: share of the routes with a standing vehicle in the lane, to be got past within 240 s."""

    blocked: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.blocked, bool) or not isinstance(self.blocked, int | float) or not 0 <= self.blocked <= 1:
            raise UserError(f"blocked: {self.blocked!r} is not in [0, 1]")


class Urban(Task):
    """See UrbanEnv."""

    name = "Urban"
    terms: ClassVar[tuple[str, ...]] = ("progress", "crash", "red_light", "stop_sign", "off_road", "comfort", "arrival")
    statics = 4

    def __init__(self, config: UrbanConfig) -> None:
        super().__init__(config)
        self.blocked = config.blocked
        self.blockage: Blockage | None = None

    def begin(self, batch: DrivingBatch, mask: NDArray[np.bool_]) -> None:
        """Choose where lanes will be blocked."""
        if self.blocked > 0:
            if self.blockage is None or len(self.blockage.place) != batch.worlds:
                self.blockage = Blockage(batch.worlds, slot=0)
            self.blockage.draw(batch, mask, self.blocked)

    def before_step(self, batch: DrivingBatch) -> None:
        """The obstacle comes and goes."""
        if self.blockage is not None:
            self.blockage.step(batch)

    def rewards(self, batch: DrivingBatch) -> dict[str, F32]:
        """Progress times factors, minus infractions, plus the arrival."""
        return urban_terms(
            progress=rewards.progress(batch) * rewards.factors(batch),
            speed=batch.truth.ego[:, 0, 0],
            crashed=rewards.collided(batch),
            red_light=batch.new("red_light"),
            stop_sign=batch.new("stop_sign"),
            left_road=rewards.left_road(batch),
            comfort=rewards.comfort(batch),
            arrived=batch.new("completed"),
        )

    def terminated(self, batch: DrivingBatch) -> NDArray[np.bool_]:
        """A collision, off the road or the route, too much of it outside its lanes, a red light, blocked, or there."""
        egos = batch.world.state.egos
        return (
            rewards.collided(batch)
            | rewards.left_road(batch)
            | (batch.new("red_light") > 0)
            | (egos.strayed[:, 0] > 0)
            | (egos.stalled[:, 0] > 0)
            | (egos.completed[:, 0] > 0)
        )


def urban_terms(
    progress: F32, speed: F32, crashed: Any, red_light: Any, stop_sign: Any, left_road: Any, comfort: F32, arrived: Any
) -> dict[str, F32]:
    """The terms of urban driving from what happened in a step: flags and counts, progress times its factors, m/s."""
    return {
        "progress": progress,
        "crash": np.where(crashed, -3.0 - 0.3 * np.abs(speed), 0.0).astype(np.float32),
        "red_light": np.float32(-4.0) * np.minimum(red_light, 1),
        "stop_sign": np.float32(-2.0) * np.minimum(stop_sign, 1),
        "off_road": np.float32(-4.0) * left_road,
        "comfort": comfort,
        "arrival": np.float32(2.0) * arrived,
    }


class UrbanEnv(DrivingEnv):
    """
    ## Description

    Drive a random route through a town with traffic, pedestrians, traffic lights and stop signs. Other vehicles follow
    their lanes, keep their distance, change lanes, obey lights and signs and give way; pedestrians use crossings.

    ## Action Space

    `Box(-1, 1, (2,), float32)`: pedal (above 0 throttle, below 0 brake) and steering (positive to the right, a share of
    what the tyres allow at the present speed, see `sim.envs.action`).

    ## Observation Space

    `Box(-1, 1, (SCENE_SIZE,), float32)`: a `contracts.Scene` encoded by `sim.envs.observation`: the ego's motion, the
    light and stop line ahead, the speed limit, the route ahead, what is on it, and the 10 nearest objects.

    ## Rewards

    The sum of `progress` (.1 a metre along the route, up to the speed limit, times factors for keeping to the lane's
    centre, to the limit and inside the route's lanes), `crash` (-3 - .3 x speed), `red_light` (-4), `stop_sign` (-2),
    `off_road` (-4), `comfort` (a little for jerk and a fluttering wheel) and `arrival` (+2).

    ## Starting State

    A random lane and a random route of `route_length` metres from it; traffic and pedestrians spread over the town
    around, at random; all drawn from the seed.

    ## Episode Termination

    A collision, leaving the road or the route, driving outside its lanes for more than 30% of its length, a red light
    run, 180 s without moving, or the arrival. Truncated after `time_limit` seconds.

    ## Arguments

    `town` (a shipped town or an .xodr file), `traffic` and `walkers` (densities 0..1), `vehicles` and `pedestrians`
    (slots in the world), `emergency` (share of the traffic that are emergency vehicles on duty, to be let past),
    `blocked` (share of the routes with a standing vehicle in the lane, to be got past on the other side of the road),
    `route_length` (m), `time_limit` (s), `dt` (s).

    ## Version History

    * v0: first version.
    """

    def __init__(self, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(make_urban(**arguments), render_mode)


def make_urban(**arguments: Any) -> Urban:
    """The task with its defaults."""
    return Urban(UrbanConfig(**{"traffic": 0.7, "walkers": 0.5, "vehicles": 24, "pedestrians": 12, **arguments}))
