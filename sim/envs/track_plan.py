"""Tracking a Plan: what control does behind a planner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contracts import Plan
from contracts.plan import PATH_POINTS, SPEED_PERIOD, SPEED_STEPS
from sim.envs import rewards
from sim.envs.observation import PLAN_SIZE, encode_plan_rows
from sim.envs.single import DrivingEnv
from sim.envs.task import Task, TaskConfig

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch

F32 = NDArray[np.float32]
SPEED_UP, SLOW_DOWN = 1.8, 3.0
"""m/s^2 with which the planned speed moves towards its goal."""
SIDE_ACCELERATION = 2.5
"""m/s^2 that the planned speed allows in bends."""
LEASH = 1.5
"""m/s by which the planned speed may be off the ego's own: a planner plans from where the car is. Without it a policy
that only noise gets going learns to start, but its most likely action, when it stands before a plan long gone, does
not."""
CHANGE_RATE = 0.15
"""Changes of the speed wanted, per second; one in four is a stop."""


class TrackPlan(Task):
    """See TrackPlanEnv."""

    name = "TrackPlan"
    terms: ClassVar[tuple[str, ...]] = ("path", "speed", "off_road", "comfort")
    observation_size = PLAN_SIZE
    known = (slice(0, PLAN_SIZE),)

    def __init__(self, config: TaskConfig) -> None:
        super().__init__(config)
        self.wanted: F32 = np.zeros(0, np.float32)
        """[W] share of the speed limit wanted now."""
        self.planned: F32 = np.zeros(0, np.float32)
        """[W] m/s, the speed planned for this moment."""
        self._goal: F32 = np.zeros(0, np.float32)
        self.path: F32 = np.zeros((0, PATH_POINTS, 2), np.float32)
        self.speed: F32 = np.zeros((0, SPEED_STEPS), np.float32)

    def begin(self, batch: DrivingBatch, mask: NDArray[np.bool_]) -> None:
        """Draw the speed wanted; the planned speed starts at the ego's own."""
        if len(self.wanted) != batch.worlds:
            self.wanted = np.zeros(batch.worlds, np.float32)
            self.planned = np.zeros(batch.worlds, np.float32)
            self._goal = np.zeros(batch.worlds, np.float32)
            self.path = np.zeros((batch.worlds, PATH_POINTS, 2), np.float32)
            self.speed = np.zeros((batch.worlds, SPEED_STEPS), np.float32)
        self.wanted[mask] = (0.3 + 0.7 * batch.uniform(0))[mask]
        self.planned[mask] = batch.world.state.vehicles.speed[mask, 0]

    def before_step(self, batch: DrivingBatch) -> None:
        """Now and then the planner wants another speed, or a stop."""
        change = batch.uniform(1) < CHANGE_RATE * batch.dt
        wish = np.where(batch.uniform(2) < 0.25, 0.0, 0.3 + 0.7 * batch.uniform(3))
        self.wanted = np.where(change, wish, self.wanted).astype(np.float32)
        self.planned += np.clip(self._goal - self.planned, -SLOW_DOWN * batch.dt, SPEED_UP * batch.dt)
        speed = batch.truth.ego[:, 0, 0]
        np.clip(self.planned, speed - LEASH, speed + LEASH, out=self.planned)
        np.maximum(self.planned, 0.0, out=self.planned)

    def after_observe(self, batch: DrivingBatch) -> None:
        """Write the plan: the route ahead, and a speed that bends, the limit and the wish allow."""
        truth = batch.truth
        self.path[...] = truth.route[:, 0, 1 : PATH_POINTS + 1]
        first = np.diff(truth.route[:, 0, ::4], axis=1)
        heading = np.unwrap(np.arctan2(first[..., 1], first[..., 0]), axis=1)
        bend = np.abs(np.diff(heading, axis=1)).max(axis=1) / 4.0
        limit = np.minimum(truth.speed_limit[:, 0], np.sqrt(SIDE_ACCELERATION / np.maximum(bend, 1e-3)))
        self._goal = np.minimum(self.wanted * truth.speed_limit[:, 0], limit)
        ahead = SPEED_PERIOD * np.arange(1, SPEED_STEPS + 1, dtype=np.float32)
        gap = (self._goal - self.planned)[:, None]
        self.speed[...] = self.planned[:, None] + np.clip(gap, -SLOW_DOWN * ahead, SPEED_UP * ahead)

    def encode(self, batch: DrivingBatch, out: F32) -> None:
        """The plan vector of `sim.envs.observation`."""
        encode_plan_rows(batch.truth.ego[:, 0], self.path, self.speed, out)

    def plan(self, world: int) -> Plan:
        """The Plan of a world now."""
        return Plan(self.path[world].copy(), self.speed[world].copy())

    def rewards(self, batch: DrivingBatch) -> dict[str, F32]:
        """Up to .05 each a step for being on the path and at the planned speed."""
        offset = batch.world.state.egos.offset[:, 0]
        miss = batch.truth.ego[:, 0, 0] - self.planned
        return {
            "path": (0.05 * np.exp(-((offset / 0.5) ** 2))).astype(np.float32),
            "speed": (0.05 * np.exp(-((miss / 1.0) ** 2))).astype(np.float32),
            "off_road": np.float32(-4.0) * rewards.left_road(batch),
            "comfort": rewards.comfort(batch),
        }

    def terminated(self, batch: DrivingBatch) -> NDArray[np.bool_]:
        """Off the road or the route, or at the route's end."""
        return rewards.left_road(batch) | (batch.world.state.egos.completed[:, 0] > 0)


class TrackPlanEnv(DrivingEnv):
    """
    ## Description

    Drive along a planned path at a planned speed that changes, slows for bends and sometimes asks for a stop. This is
    the control subsystem's own task: a policy learned here drives behind any planner that hands out a `contracts.Plan`.
    The planned speed is never more than 1.5 m/s off the car's own, as a planner starts from where the car is.

    ## Action Space

    `Box(-1, 1, (2,), float32)`: pedal (above 0 throttle, below 0 brake) and steering (positive to the right, a share of
    what the tyres allow at the present speed, see `sim.envs.action`).

    ## Observation Space

    `Box(-1, 1, (PLAN_SIZE,), float32)`: a `contracts.Plan` and the ego's motion, encoded by `sim.envs.observation`.

    ## Rewards

    The sum of `path` (.05 exp(-(offset / .5 m)^2)), `speed` (.05 exp(-(speed error / 1 m/s)^2)), `off_road` (-4) and
    `comfort` (a little for jerk and a fluttering wheel).

    ## Starting State

    A random lane and a random route of `route_length` metres from it, and a speed wanted, drawn from the seed.

    ## Episode Termination

    Leaving the road or the path, or its end. Truncated after `time_limit` seconds.

    ## Arguments

    `town` (a shipped town or an .xodr file), `route_length` (m), `time_limit` (s), `dt` (s).

    ## Version History

    * v0: first version.
    """

    def __init__(self, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(make_track_plan(**arguments), render_mode)


def make_track_plan(**arguments: Any) -> TrackPlan:
    """The task with its defaults."""
    return TrackPlan(TaskConfig(**arguments))
