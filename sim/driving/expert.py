# mypy: disable-error-code="no-untyped-call"
"""A rule-based driver that sees the truth, in the manner of PDM-Lite: the teacher of planners and the bar for them.

It follows the route (lane changes stretched to a comfortable length), forecasts others along their lanes for seconds
(forecast.py), plays its own motion under IDM, stop lines, lights and signs (profile.py), yields to whom it would meet
(decide.py), and goes round what stands in its lane (avoid.py). Right of way comes from the road network's table of
conflicts. `Expert` drives one ego on any server, `ExpertPlanner` those of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from contracts import Control, Plan, UserError
from sim.driving import decide as d
from sim.driving.batch import Batch
from sim.driving.forecast import BODY
from sim.driving.jit import entry, parallel_entry
from sim.driving.path import smooth_changes
from sim.driving.plans import Plans
from sim.driving.route import RouteTracker
from sim.driving.surroundings import Surroundings
from sim.driving.tracking import PlanTracker, Vehicle
from sim.roads.network import RoadNetwork
from sim.roads.routing import Route
from sim.world import fields as f
from sim.world.presets import OBJECT_CLASS, BodyType
from sim.world.roads import Roads, pack

F64 = NDArray[np.float64]
REASONS = ("free", "lead", "light", "stop_sign", "junction", "walker", "obstacle")
"""What the expert's speed followed, by the numbers of sim.driving.profile."""
CHANGE_SECONDS = 3.0
"""Seconds that a lane change takes at the speed limit."""
_CLASSES = np.array([OBJECT_CLASS[kind] for kind in BodyType], np.int64)


@dataclass(frozen=True)
class Decision:
    """What a driver wants: plan, the pedals and wheel that follow it, and what its speed followed (see REASONS)."""

    plan: Plan
    control: Control
    reason: str


@dataclass(frozen=True)
class ExpertConfig:
    """How the expert drives. dt: seconds between two calls of `act`."""

    dt: float = 0.05

    def __post_init__(self) -> None:
        if not 0.01 <= self.dt <= 0.25:
            raise UserError(f"dt: {self.dt:g} is not in 0.01..0.25 seconds")


@lru_cache(maxsize=4)
def packed(network: RoadNetwork) -> Roads:
    """A network's lane tables as kernels read them, kept."""
    return pack(network.lane_tables(), None)


@entry
def _act(
    lanes: Any, conflicts: Any, grid: Any, route: Any, route_lane: Any, stop_point: int, honoured: bool, ego: Any,
    bodies: Any, kinds: Any, lights: Any, memory: Any, dt: float, path: Any, speed: Any,
) -> int:  # fmt: skip
    return d.decide(
        lanes, conflicts, grid, route, route_lane, len(route_lane), stop_point, honoured, ego, bodies, kinds,
        len(kinds), lights, memory, dt, path, speed,
    )  # fmt: skip


class Expert:
    """Drives one ego along a route. `tracker` is where it is on the route; others may use it, too."""

    def __init__(
        self, network: RoadNetwork, route: Route, config: ExpertConfig | None = None, vehicle: Vehicle | None = None
    ) -> None:
        self.config = config or ExpertConfig()
        self.tracker = RouteTracker(network, route)
        self._follower = PlanTracker(self.config.dt, vehicle)
        self._roads = packed(network)
        self._rows = self.tracker.points.copy()
        self._lanes = np.ascontiguousarray(self.tracker.lanes)
        smooth_changes(self._roads.lanes, self._rows, self._lanes, len(self._lanes), CHANGE_SECONDS)
        self._memory = np.zeros(d.MEMORY)

    def plan(self, around: Surroundings) -> tuple[Plan, str]:
        """The plan for this step, and what its speed followed."""
        tracker = self.tracker
        tracker.update(around)
        yaw = around.yaw_of_ego
        ego = np.array([
            around.x, around.y, float(around.pose[2]), np.cos(yaw), np.sin(yaw), around.ego.speed,
            0.5 * around.ego.length, 0.5 * around.ego.width, tracker.along, tracker.offset,
        ])  # fmt: skip
        n = len(around)
        bodies = np.empty((n, BODY))
        bodies[:, 0:3] = around.place
        bodies[:, 3], bodies[:, 4] = np.cos(around.yaw), np.sin(around.yaw)
        bodies[:, 5:7], bodies[:, 7:9] = around.half_extent[:, 0:2], around.velocity
        path, speed = np.empty((20, 2), np.float32), np.empty(8, np.float32)
        reason = _act(
            self._roads.lanes, self._roads.conflicts, self._roads.grid, self._rows, self._lanes, tracker.line,
            tracker.honoured, ego, bodies, around.kind.astype(np.int64), around.lights, self._memory,
            self.config.dt, path, speed,
        )  # fmt: skip
        return Plan(path, speed), REASONS[reason]

    def act(self, around: Surroundings) -> Decision:
        """What to do in this step."""
        plan, reason = self.plan(around)
        return Decision(plan, self._follower.act(plan, around.ego), reason)


@parallel_entry
def _act_all(
    lanes: Any, conflicts: Any, grid: Any, vf: Any, vi: Any, pf: Any, pi: Any, of: Any, oi: Any, ef: Any, ei: Any,
    lights: Any, route: Any, route_lane: Any, active: Any, classes: Any, memory: Any, dt: float, path: Any, speed: Any,
    reason: Any,
) -> None:  # fmt: skip
    for w in numba.prange(len(active)):
        if not active[w]:
            continue
        most = vf.shape[2] + pf.shape[2] + of.shape[2]
        bodies, kinds = np.empty((most, BODY)), np.empty(most, np.int64)
        n = 0
        for j in range(1, vf.shape[2]):
            if vi[w, f.V_MODE, j] == f.ABSENT:
                continue
            cos, sin = vf[w, f.COS, j], vf[w, f.SIN, j]
            _body(bodies[n], vf[w], j)
            bodies[n, 7] = vf[w, f.SPEED, j] * cos - vf[w, f.SIDE_SPEED, j] * sin
            bodies[n, 8] = vf[w, f.SPEED, j] * sin + vf[w, f.SIDE_SPEED, j] * cos
            kinds[n] = classes[vi[w, f.V_KIND, j]]
            n += 1
        for j in range(pf.shape[2]):
            if pi[w, f.P_MODE, j] != f.ABSENT:
                _body(bodies[n], pf[w], j)
                bodies[n, 7], bodies[n, 8] = pf[w, f.P_VX, j], pf[w, f.P_VY, j]
                kinds[n] = d.PEDESTRIAN
                n += 1
        for j in range(of.shape[2]):
            if oi[w, f.O_MODE, j] != f.ABSENT:
                _body(bodies[n], of[w], j)
                bodies[n, 7], bodies[n, 8] = 0.0, 0.0
                kinds[n] = d.STATIC
                n += 1
        ego = np.empty(d.EGO)
        own = vf[w, :, 0]
        ego[0], ego[1], ego[2], ego[3], ego[4] = own[f.X], own[f.Y], own[f.Z], own[f.COS], own[f.SIN]
        ego[5], ego[6], ego[7] = own[f.SPEED], own[f.HALF_LENGTH], own[f.HALF_WIDTH]
        ego[8], ego[9] = ef[w, f.E_ALONG, 0], ef[w, f.E_OFFSET, 0]
        reason[w] = d.decide(
            lanes, conflicts, grid, route[w], route_lane[w], ei[w, f.E_ROUTE_POINTS, 0], ei[w, f.E_STOP_POINT, 0],
            ei[w, f.E_STOP_HONOURED, 0] > 0, ego, bodies, kinds, n, lights[w], memory[w], dt, path[w], speed[w],
        )  # fmt: skip


@numba.njit(inline="always")
def _body(row: Any, buffer: Any, j: int) -> None:
    row[0], row[1], row[2] = buffer[f.X, j], buffer[f.Y, j], buffer[f.Z, j]
    row[3], row[4] = buffer[f.COS, j], buffer[f.SIN, j]
    row[5], row[6] = buffer[f.HALF_LENGTH, j], buffer[f.HALF_WIDTH, j]


class ExpertPlanner:
    """The expert for all worlds of a batch (see sim.driving.batch). `reason` [W]: numbers of REASONS, last step's."""

    def __init__(self) -> None:
        self.reason: NDArray[np.int64] = np.zeros(0, np.int64)
        self._memory: F64 = np.zeros((0, d.MEMORY))
        self._plans = Plans.empty(0)
        self._rows: NDArray[np.float32] = np.zeros((0, 0, 6), np.float32)

    def begin(self, batch: Batch) -> None:
        """Take the routes in."""
        b, worlds = batch.world.state.buffers, len(batch.routes)
        self.reason = np.zeros(worlds, np.int64)
        self._memory = np.zeros((worlds, d.MEMORY))
        self._plans = Plans.empty(worlds)
        self._rows = b.route[:, 0].copy()
        for w in range(worlds):
            points = int(b.ei[w, f.E_ROUTE_POINTS, 0])
            smooth_changes(batch.world.roads.lanes, self._rows[w], b.route_lane[w, 0], points, CHANGE_SECONDS)

    def plan(self, batch: Batch) -> Plans:
        """Plans for the active worlds, in arrays that the next call overwrites."""
        b, roads = batch.world.state.buffers, batch.world.roads
        _act_all(
            roads.lanes, roads.conflicts, roads.grid, b.vf, b.vi, b.pf, b.pi, b.of, b.oi, b.ef, b.ei,
            b.li[:, f.L_STATE], self._rows, b.route_lane[:, 0], batch.active, _CLASSES, self._memory, batch.config.dt,
            self._plans.path, self._plans.speed, self.reason,
        )  # fmt: skip
        return self._plans
