# mypy: disable-error-code="arg-type"
"""World: the one door to the batched world."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from contracts import Scene, UserError
from sim.roads.routing import Route
from sim.roads.tables import LaneTables, WalkTables
from sim.world import fields as f
from sim.world.config import WorldConfig
from sim.world.kernels import BLOCK, observe_worlds, reset_worlds, step_worlds
from sim.world.observe import TruthArrays
from sim.world.presets import OBJECT_CLASS, BodyType, preset_table, share_table
from sim.world.roads import pack
from sim.world.state import Buffers, WorldState
from sim.world.truth import Truth

F32 = NDArray[np.float32]
LONGEST = 0.1
"""Seconds of one step of the kernels; a longer one is made of several."""


class World:
    """W worlds on one road network, stepped together.

    `state` holds everything (see sim.world.state), `truth` what the egos may know (see sim.world.truth). Given the
    seed, every byte of both is the same whatever the number of threads.

    For environments: `reset(mask)`, then `step(control)` and `observe()` in turn. For a server: worlds = 1, egos = 0,
    `spawn`, `remove`, `set_*` on slots, and `step(dt=...)`.
    """

    def __init__(
        self, tables: LaneTables, walk: WalkTables | None = None, config: WorldConfig | None = None, seed: int = 0
    ) -> None:
        self.tables = tables
        self.walk = walk
        self.config = config = config or WorldConfig()
        self.state = WorldState(
            config.worlds, config.vehicles, config.walkers, config.statics, config.egos,
            len(tables.group_count), len(tables.light_x), config.route_points,
        )  # fmt: skip
        self.truth = Truth(config.worlds, config.egos, config.nearest, config.route_ahead)
        self.roads = pack(tables, walk)
        b = self.state.buffers
        b.wi[:, f.W_SEED] = (
            seed + np.arange(config.worlds)
        ) & 0x7FFFFFFF  # a world alone plays the same as among others
        b.wf[:, f.W_DENSITY] = config.density
        b.wf[:, f.W_WALKER_DENSITY] = config.walker_density
        b.wf[:, f.W_JAYWALK] = config.jaywalk
        b.wf[:, f.W_SPEED_FACTOR] = config.speed_factor
        b.wf[:, f.W_EMERGENCY] = config.emergency
        self._presets = preset_table()
        self._shares = share_table()
        self._classes = np.array([OBJECT_CLASS[kind] for kind in BodyType], np.int32)
        t = self.truth
        self._truth = TruthArrays(
            t.ego, t.objects, t.kind, t.slot, t.count, t.route, t.light, t.stop_distance, t.stop_sign, t.speed_limit
        )
        self._all = np.ones(config.worlds, np.bool_)
        self._no_control = np.zeros((config.worlds, 0, 3), np.float32)

    # -- batch ------------------------------------------------------------------------------------------------------

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Start the worlds of `mask` [W] (all without it) afresh: traffic, pedestrians, egos with a random route each.

        Each reset of a world draws from its next episode's random numbers. Events and counters return to 0.
        """
        mask = self._all if mask is None else np.ascontiguousarray(mask, np.bool_)
        length = np.float32(self.config.route_length)
        reset_worlds(*self.roads, self._presets, self._shares, self.state.buffers, mask, length)

    def set_route(self, world: int, ego: int, route: Route) -> None:
        """Give an ego a route (points 1 m apart, as sim.roads.routing makes them) from its first point on.

        Progress, distance, completion, the time allowed and the next stop line start afresh; events counted so far
        stay. The pose does not change. UserError where the route has more points than config.route_points.
        """
        n = len(route.x)
        b = self.state.buffers
        if not 2 <= n <= b.route.shape[2]:
            raise UserError(f"a route has 2 to {b.route.shape[2]} points (WorldConfig.route_points), this one {n}")
        t = self.tables
        points = b.route[world, ego]
        points[...] = 0
        points[:n, 0], points[:n, 1], points[:n, 2] = route.x, route.y, route.yaw
        # place on its lane: the lane's nearest point, plus what lies between along the lane
        for k in range(n):
            lane = int(route.lane[k])
            first, count = int(t.first_point[lane]), int(t.point_count[lane])
            dx = route.x[k] - t.x[first : first + count]
            dy = route.y[k] - t.y[first : first + count]
            m = int(np.argmin(dx * dx + dy * dy))
            yaw = float(t.yaw[first + m])
            points[k, 3] = t.half_width[first + m]
            points[k, 4] = m * t.spacing[lane] + dx[m] * math.cos(yaw) + dy[m] * math.sin(yaw)
            points[k, 5] = t.speed_limit[lane]
        b.route_lane[world, ego] = -1
        b.route_lane[world, ego, :n] = route.lane
        ef, ei = b.ef[world, :, ego], b.ei[world, :, ego]
        for row in (f.E_ALONG, f.E_OFFSET, f.E_ERROR, f.E_DISTANCE, f.E_OUTSIDE, f.E_BLOCKED, f.E_TIME, f.E_COMPLETION,
                    f.E_CHECK_SPEED, f.E_CHECK_TRAFFIC, f.E_SPEED_SHARE, f.E_HOLDING_UP):  # fmt: skip
            ef[row] = 0
        ef[f.E_LENGTH], ef[f.E_ALLOWED] = n - 1, 300.0
        ef[f.E_SPEED_LIMIT] = points[0, 5]
        ei[f.E_ROUTE_POINTS], ei[f.E_PROGRESS], ei[f.E_STOP_POINT] = n, 0, -1
        for row in (f.E_STOP_HONOURED, f.E_DEVIATED, f.E_STRAYED, f.E_STALLED, f.E_TIMEOUT, f.E_COMPLETED,
                    f.E_SPEED_CHECKS, f.E_SCENARIO, f.E_EMERGENCY):  # fmt: skip
            ei[row] = 0

    def set_scenario(self, world: int, ego: int, begin: float, end: float, limit: float = 240.0) -> None:
        """Give an ego something to get past: from `begin` to `end` metres along its route in `limit` seconds.

        The clock starts at `begin`. Passed in time, it counts in egos.scenarios_passed, else in egos.scenario_timeout,
        and is over; until then driving on the other side of the road is no fault. What stands in the way is the
        caller's to place and to remove. One scenario at a time. UserError where begin, end and limit do not grow from
        0, or nothing is left of the route behind `end`.
        """
        b = self.state.buffers
        length = float(b.ef[world, f.E_LENGTH, ego])
        if not (0 <= begin < end <= length and limit > 0):
            raise UserError(
                f"a scenario from {begin:g} to {end:g} m in {limit:g} s does not fit a route of {length:g} m"
            )
        ef = b.ef[world, :, ego]
        ef[f.E_SCENARIO_BEGIN], ef[f.E_SCENARIO_END], ef[f.E_SCENARIO_LIMIT] = begin, end, limit
        ef[f.E_SCENARIO_TIME] = 0
        b.ei[world, f.E_SCENARIO, ego] = 1

    def step(self, control: F32 | None = None, dt: float | None = None, substeps: int | None = None) -> None:
        """Advance all worlds by dt (config.dt without it).

        control: [W, E, 3] float32 throttle 0..1, brake 0..1, steer -1..1 of the EXTERNAL egos; without it they keep the
        pedals that state.vehicles holds. Values out of range are clipped, not finite ones count as 0.
        """
        dt = self.config.dt if dt is None else dt
        substeps = self.config.substeps if substeps is None else substeps
        pedals = self._no_control if control is None else np.ascontiguousarray(control, np.float32)
        # traffic decides at least ten times a second
        parts = max(1, math.ceil(dt / LONGEST - 1e-4))
        # waking a second thread costs more than the step of a few worlds
        threads = numba.get_num_threads()
        if self.config.worlds <= BLOCK:
            numba.set_num_threads(1)
        for _ in range(parts):
            step_worlds(
                *self.roads, self._presets, self._shares, self.state.buffers, pedals,
                np.float32(dt / parts), substeps, self.config.response,
            )  # fmt: skip
        numba.set_num_threads(threads)

    def observe(self) -> Truth:
        """Write `truth` for the present state and return it."""
        observe_worlds(self.state.buffers, self._classes, self._truth)
        return self.truth

    def scene(self, world: int = 0, ego: int = 0) -> Scene:
        """contracts.Scene of an ego as of the last observe()."""
        return self.truth.scene(world, ego)

    def snapshot(self) -> Buffers:
        """An exact copy of the state."""
        return self.state.snapshot()

    def restore(self, saved: Buffers) -> None:
        """Return to a snapshot: what follows is the same to the last bit."""
        self.state.restore(saved)

    # -- slots (server) -----------------------------------------------------------------------------------------------

    def spawn(
        self, world: int, kind: BodyType, x: float, y: float, z: float, yaw: float, mode: int = f.EXTERNAL
    ) -> int:
        """Put a vehicle into a free slot and return it; -1 where all are taken. Nothing of an earlier one stays."""
        free = np.flatnonzero(self.state.vehicles.mode[world] == f.ABSENT)
        if not len(free):
            return -1
        slot = int(free[0])
        b = self.state.buffers
        b.vf[world, :, slot] = self._presets[kind]
        b.vi[world, :, slot] = 0
        b.vi[world, f.V_KIND, slot] = kind
        for row in (f.V_LANE, f.V_NEXT1, f.V_NEXT2, f.V_NEXT3, f.V_GRANT, f.V_CHANGE_LANE):
            b.vi[world, row, slot] = -1
        b.vi[world, f.V_MODE, slot] = mode
        self.set_pose(world, slot, x, y, z, yaw)
        return slot

    def remove(self, world: int, slot: int) -> None:
        """Take a vehicle out."""
        self.state.buffers.vf[world, :, slot] = 0
        self.state.buffers.vi[world, :, slot] = 0

    def set_pose(self, world: int, slot: int, x: float, y: float, z: float, yaw: float) -> None:
        """Move a vehicle; its speed stays, its lane is found anew in the next step."""
        vf = self.state.buffers.vf[world, :, slot]
        vf[f.X], vf[f.Y], vf[f.Z] = x, y, z
        yaw = math.remainder(yaw, 2 * math.pi)
        vf[f.YAW], vf[f.COS], vf[f.SIN] = yaw, math.cos(yaw), math.sin(yaw)
        self.state.vehicles.lane[world, slot] = -1

    def set_velocity(self, world: int, slot: int, vx: float, vy: float, yaw_rate: float | None = None) -> None:
        """Velocity in world axes, m/s; and the yaw rate, rad/s, where given."""
        vf = self.state.buffers.vf[world, :, slot]
        cos, sin = vf[f.COS], vf[f.SIN]
        vf[f.SPEED], vf[f.SIDE_SPEED] = vx * cos + vy * sin, vy * cos - vx * sin
        if yaw_rate is not None:
            vf[f.YAW_RATE] = yaw_rate

    def apply_impulse(self, world: int, slot: int, jx: float, jy: float, jyaw: float = 0.0) -> None:
        """Impulse in world axes, N s, at the centre, and an angular one about z, N m s."""
        vf = self.state.buffers.vf[world, :, slot]
        cos, sin, mass = vf[f.COS], vf[f.SIN], vf[f.MASS]
        vf[f.SPEED] += (jx * cos + jy * sin) / mass
        vf[f.SIDE_SPEED] += (jy * cos - jx * sin) / mass
        vf[f.YAW_RATE] += jyaw / vf[f.INERTIA]
