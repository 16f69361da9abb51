"""Braking in time for a vehicle that stops or a pedestrian who steps out, and not braking without a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.envs import rewards
from sim.envs.script import RailVehicle, route_pose
from sim.envs.single import DrivingEnv
from sim.envs.task import Task, TaskConfig
from sim.world import fields as f

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch

F32 = NDArray[np.float32]
LEAD = 1
WALKER = 0
NOTHING, BRAKING_LEAD, STOPPED_VEHICLE, PEDESTRIAN = range(4)
HALF_STEP = 0.3
"""Half of a pedestrian's depth and width, metres."""


class EmergencyBrake(Task):
    """See EmergencyBrakeEnv."""

    name = "EmergencyBrake"
    terms: ClassVar[tuple[str, ...]] = ("progress", "crash", "off_road", "comfort", "saved")
    signals_bind = False

    def __init__(self, config: TaskConfig) -> None:
        super().__init__(config)
        self._lead: RailVehicle | None = None
        self.danger: NDArray[np.int32] = np.zeros(0, np.int32)
        """[W] what this episode holds: NOTHING, BRAKING_LEAD, STOPPED_VEHICLE or PEDESTRIAN."""

    def begin(self, batch: DrivingBatch, mask: NDArray[np.bool_]) -> None:
        """Draw the danger: none, a lead that brakes to a stop, a vehicle that stands, a pedestrian who steps out."""
        if self._lead is None or len(self.danger) != batch.worlds:
            self._lead = RailVehicle(batch, LEAD)
            self.danger = np.zeros(batch.worlds, np.int32)
            self._where, self._side, self._walked, self._pace, self._hold = (
                np.zeros(batch.worlds, np.float32) for _ in range(5)
            )
        state = batch.world.state
        along, zero = state.egos.along[:, 0], np.zeros(batch.worlds, np.float32)
        speed = np.maximum(state.vehicles.speed[:, 0], np.float32(6.0))
        self.danger[mask] = np.minimum((4 * batch.uniform(0)).astype(np.int32), 3)[mask]
        self._where[mask] = (along + 45 + 60 * batch.uniform(1))[mask]
        self._side[mask] = np.where(batch.uniform(2) < 0.5, -1.0, 1.0)[mask]
        self._pace[mask] = (1.2 + 2.3 * batch.uniform(3))[mask]
        self._hold[mask] = (3.0 + 4.0 * batch.uniform(4))[mask]
        self._walked[mask] = -1.0
        stands = self.danger == STOPPED_VEHICLE
        self._lead.place(batch, mask & (self.danger == BRAKING_LEAD), along + 16 + 14 * batch.uniform(5), speed, zero)
        self._lead.place(batch, mask & stands, self._where, zero, (0.8 * self._side).astype(np.float32))
        absent = mask & ((self.danger == NOTHING) | (self.danger == PEDESTRIAN))
        state.vehicles.mode[absent, LEAD] = f.ABSENT
        self._pose_walker(batch, mask)

    def before_step(self, batch: DrivingBatch) -> None:
        """The lead brakes to a stop at its place; the pedestrian walks when the ego comes near."""
        assert self._lead is not None
        ego, own = batch.world.state.egos.along[:, 0], batch.world.state.vehicles.speed[:, 0]
        leads = self.danger == BRAKING_LEAD
        brakes = leads & (self._lead.along > self._where)
        pull = np.where(brakes, -3.0 - self._hold, np.where(leads, np.clip(own - self._lead.speed, -2.0, 2.0), 0.0))
        self._lead.advance(batch, pull.astype(np.float32), self._lead.offset)
        # seconds of sight: a brisk but possible stop from the ego's present speed
        reach = own * 1.2 + own * own / (2 * 5.0) + 4.0
        starts = (self.danger == PEDESTRIAN) & (self._walked < 0) & (self._where - ego < reach)
        moving = self._walked >= 0
        # half of them hesitate in the middle of the lane
        waits = moving & (self._walked > 3.5) & (self._walked < 4.0) & (self._hold > 5.0)
        pace = np.where(waits, 0.1, self._pace) * np.float32(batch.dt)
        self._walked = np.where(starts, 0.0, np.where(moving, self._walked + pace, -1.0)).astype(np.float32)
        self._pose_walker(batch, self.danger == PEDESTRIAN)

    def _pose_walker(self, batch: DrivingBatch, mask: NDArray[np.bool_]) -> None:
        walkers = batch.world.state.walkers
        offset = self._side * (4.0 - np.maximum(self._walked, 0.0))
        x, y, yaw = route_pose(batch, self._where, offset.astype(np.float32))
        yaw = yaw - self._side * np.float32(np.pi / 2)
        here = mask & (self.danger == PEDESTRIAN)
        speed = np.where((self._walked >= 0) & here, self._pace, 0.0)
        for name, value in (("x", x), ("y", y), ("yaw", yaw), ("cos", np.cos(yaw)), ("sin", np.sin(yaw)),
                            ("half_length", HALF_STEP), ("half_width", HALF_STEP), ("half_height", 0.9),
                            ("speed", speed), ("vx", speed * np.cos(yaw)), ("vy", speed * np.sin(yaw)),
                            ("mode", f.KINEMATIC)):  # fmt: skip
            getattr(walkers, name)[here, WALKER] = value if np.isscalar(value) else np.asarray(value)[here]
        walkers.mode[mask & ~here, WALKER] = f.ABSENT

    def rewards(self, batch: DrivingBatch) -> dict[str, F32]:
        """Progress times factors, minus crashes; a bonus for an episode that ends without one."""
        speed = np.abs(batch.truth.ego[:, 0, 0])
        over = (batch.length >= batch.limit) & ~rewards.collided(batch) & ~rewards.left_road(batch)
        return {
            "progress": rewards.progress(batch) * rewards.factors(batch),
            "crash": np.where(rewards.collided(batch), -5.0 - 0.5 * speed, 0.0).astype(np.float32),
            "off_road": np.float32(-4.0) * rewards.left_road(batch),
            "comfort": rewards.comfort(batch),
            "saved": np.float32(2.0) * over,
        }

    def terminated(self, batch: DrivingBatch) -> NDArray[np.bool_]:
        """A collision, off the road or the route, or at the route's end."""
        return rewards.collided(batch) | rewards.left_road(batch) | (batch.world.state.egos.completed[:, 0] > 0)


class EmergencyBrakeEnv(DrivingEnv):
    """
    ## Description

    Drive on while nothing is wrong, and stop in time when something is: one episode in four each has no danger, a lead
    that brakes to a stop, a vehicle that stands half in the lane, and a pedestrian who steps out.

    ## Action Space

    `Box(-1, 1, (2,), float32)`: pedal (above 0 throttle, below 0 brake) and steering (positive to the right, a share of
    what the tyres allow at the present speed, see `sim.envs.action`).

    ## Observation Space

    `Box(-1, 1, (SCENE_SIZE,), float32)`: a `contracts.Scene` encoded by `sim.envs.observation`. No light or sign binds.

    ## Rewards

    The sum of `progress` (.1 a metre along the route, up to the speed limit, times factors for keeping to the lane's
    centre, to the limit and inside the route's lanes), `crash` (-5 - .5 x speed), `off_road` (-4), `comfort` and
    `saved` (+2 at the time limit without a crash).

    ## Starting State

    A random lane and route; the danger, its place 45 to 105 m ahead, its side and its violence drawn from the seed.

    ## Episode Termination

    A collision, leaving the road or the route, or its end. Truncated after `time_limit` seconds.

    ## Arguments

    `town` (a shipped town or an .xodr file), `route_length` (m), `time_limit` (s), `dt` (s).

    ## Version History

    * v0: first version.
    """

    def __init__(self, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(make_emergency_brake(**arguments), render_mode)


def make_emergency_brake(**arguments: Any) -> EmergencyBrake:
    """The task with its defaults."""
    return EmergencyBrake(
        TaskConfig(**{"vehicles": 2, "pedestrians": 1, "route_length": 300.0, "time_limit": 25.0, **arguments})
    )
