"""Closed-loop driving of many worlds at once: a planner of many worlds, the batched follower, the world's own judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contracts import Plan, Scene, UserError
from sim import metrics
from sim.driving.baselines import SceneRows
from sim.driving.evaluation import EVENTS, Drive, Evaluation, outcome
from sim.driving.plans import Plans
from sim.driving.referee import Infraction
from sim.driving.routes import NamedRoute
from sim.driving.surroundings import STATIC_IDS, WALKER_IDS
from sim.driving.tracking import BatchTracker
from sim.roads.network import RoadNetwork
from sim.world import fields as f
from sim.world.config import WorldConfig
from sim.world.world import World

Bool = NDArray[np.bool_]
START_SPEED = 0.5
"""Share of the speed limit at which an ego starts, as traffic does."""
CLEAR, CLEAR_WALKERS = 25.0, 4.0
"""Metres around the ego's start from which vehicles and pedestrians are taken away."""
_ENDS = (
    ("completed", f.E_COMPLETED), ("deviated", f.E_DEVIATED), ("strayed", f.E_STRAYED), ("blocked", f.E_STALLED),
    ("timeout", f.E_TIMEOUT),
)  # fmt: skip


@dataclass(frozen=True)
class BatchConfig:
    """The worlds that routes are driven in, a world a route.

    density: vehicles for each kilometre of lanes outside junctions (3 is light, 6 normal, 12 dense traffic). walkers:
    pedestrians in each world. jaywalk: as in WorldConfig. seed: of the traffic; world n has seed + n. dt: seconds a
    step. limit: seconds after which a route that has not ended is ended.
    """

    density: float = 6.0
    walkers: int = 24
    jaywalk: float = 0.2
    seed: int = 0
    dt: float = 0.1
    limit: float = 600.0

    def __post_init__(self) -> None:
        if not 0.02 <= self.dt <= 0.25:
            raise UserError(f"dt: {self.dt:g} is not in 0.02..0.25 seconds")
        if not 0.0 <= self.density <= 30.0:
            raise UserError(f"density: {self.density:g} is not in 0..30 vehicles for each kilometre")

    def vehicles(self, network: RoadNetwork) -> int:
        """Vehicles of a world in a town, the ego not counted."""
        t = network.lane_tables()
        return round(self.density * float(t.length[t.junction < 0].sum()) / 1000.0)


class Planner(Protocol):
    """Plans for all worlds of a batch, once a step."""

    def begin(self, batch: Batch) -> None:
        """The batch is about to start: all egos stand at the begin of their routes."""
        ...

    def plan(self, batch: Batch) -> Plans:
        """Plans for all worlds; those of worlds that are not `batch.active` are not used."""
        ...


class RowsPlanner:
    """A planner from a function of the truth arrays of all worlds."""

    def __init__(self, function: Callable[[SceneRows], Plans]) -> None:
        self._function = function

    def begin(self, batch: Batch) -> None:
        """Nothing to do."""

    def plan(self, batch: Batch) -> Plans:
        """The function's."""
        return self._function(batch.rows())


class ScenePlanner:
    """A planner from a function of a list of Scenes, one of each world that is driven."""

    def __init__(self, function: Callable[[list[Scene]], Sequence[Plan]]) -> None:
        self._function = function

    def begin(self, batch: Batch) -> None:
        """Nothing to do."""

    def plan(self, batch: Batch) -> Plans:
        """The function's."""
        worlds = np.flatnonzero(batch.active).tolist()
        plans = Plans.empty(len(batch.routes))
        for w, plan in zip(worlds, self._function([batch.world.scene(w) for w in worlds])):
            plans.path[w], plans.speed[w] = plan.path, plan.speed
        return plans


class Batch:
    """Worlds of one town, each with an ego at the begin of one of `routes`.

    world: sim.world.world.World with one ego a world; its `truth` holds 64 points of the route and the nearest 32
    objects. active: [W] the route has not ended.
    """

    def __init__(self, network: RoadNetwork, routes: Sequence[NamedRoute], config: BatchConfig | None = None) -> None:
        if not routes:
            raise UserError("there are no routes to drive")
        self.network, self.routes = network, list(routes)
        self.config = c = config or BatchConfig()
        longest = max(len(named.route.x) for named in routes)
        self.world = World(
            network.lane_tables(), network.walk_tables(),
            WorldConfig(
                worlds=len(routes), vehicles=c.vehicles(network) + 1, walkers=c.walkers, statics=4, egos=1,
                dt=c.dt, jaywalk=c.jaywalk, route_length=20.0,
                route_points=max(longest, 64), nearest=32, route_ahead=64,
            ), c.seed,
        )  # fmt: skip
        self.world.reset()
        for w, named in enumerate(self.routes):
            self._start(w, named)
        self.world.observe()
        self.active: Bool = np.ones(len(routes), np.bool_)
        self.seconds = np.zeros(len(routes))
        self.tracker = BatchTracker.of_world(self.world, c.dt)
        self.infractions: list[list[Infraction]] = [[] for _ in routes]
        self.ended = [""] * len(routes)
        self._final: list[metrics.Route | None] = [None] * len(routes)
        self._counts = self.world.state.buffers.ei.copy()
        self._squares = np.zeros((3, len(routes)))

    def _start(self, w: int, named: NamedRoute) -> None:
        """Put the ego at its route's begin and make room around it."""
        x, y, z, yaw = named.start
        b, state = self.world.state.buffers, self.world.state
        vehicles, walkers = state.vehicles, state.walkers
        near = np.hypot(vehicles.x[w, 1:] - x, vehicles.y[w, 1:] - y) < CLEAR
        for slot in np.flatnonzero(near & (vehicles.mode[w, 1:] != f.ABSENT)) + 1:
            self.world.remove(w, int(slot))
        b.pi[w, f.P_MODE, np.hypot(walkers.x[w] - x, walkers.y[w] - y) < CLEAR_WALKERS] = f.ABSENT
        limit = float(self.network.lane_tables().speed_limit[named.route.lane[0]])
        b.vf[w, f.SPEED, 0] = START_SPEED * limit
        self.world.set_pose(w, 0, x, y, z, yaw)
        self.world.set_route(w, 0, named.route)

    def rows(self) -> SceneRows:
        """The truth of all worlds as arrays (views)."""
        t = self.world.truth
        return SceneRows(
            t.ego[:, 0], t.objects[:, 0], t.count[:, 0], t.route[:, 0], t.light[:, 0], t.stop_distance[:, 0],
            t.stop_sign[:, 0], t.speed_limit[:, 0],
        )  # fmt: skip

    def step(self, plans: Plans) -> None:
        """Follow the plans for one step and judge it; egos whose route has ended stand."""
        control = self.tracker.act(plans, self.world.truth.ego[:, 0])
        control[~self.active] = 0.0, 1.0, 0.0
        self.drive(control)

    def drive(self, control: NDArray[np.float32]) -> None:
        """One step with pedals and wheel [W, 3]."""
        b = self.world.state.buffers
        self._counts[...] = b.ei
        self.world.step(control[:, None])
        self.world.observe()
        self.seconds[self.active] += self.config.dt
        ego, limit = self.world.truth.ego[:, 0], np.maximum(self.world.truth.speed_limit[:, 0], 1.0)
        now = np.stack([ego[:, 1] ** 2, b.ef[:, f.E_JERK, 0] ** 2, ego[:, 0] / limit])
        self._squares[:, self.active] += now[:, self.active]
        self._note()
        self._end()

    def _note(self) -> None:
        ei = self.world.state.buffers.ei
        for kind, row in EVENTS.items():
            for w in np.flatnonzero((ei[:, row, 0] > self._counts[:, row, 0]) & self.active).tolist():
                ego = self.world.state.vehicles
                place = float(ego.x[w, 0]), float(ego.y[w, 0])
                other = self._touched(w, kind)
                self.infractions[w].append(Infraction(kind, float(self.seconds[w]), place, other))

    def _touched(self, w: int, kind: str) -> int:
        """Id of what the ego of world w touches, of a kind; -1 for none."""
        b = self.world.state.buffers
        wanted = {"vehicle": 0, "walker": 1, "static": 2}.get(kind, -1)
        for one, slot, two, other in b.contact[w, : int(b.wi[w, f.W_CONTACTS])].tolist():
            if one == 0 and slot == 0 and two == wanted:
                return int(other) + (0, WALKER_IDS, STATIC_IDS)[two]
            if two == 0 and other == 0 and one == wanted:
                return int(slot) + (0, WALKER_IDS, STATIC_IDS)[one]
        return -1

    def _end(self) -> None:
        ei = self.world.state.buffers.ei
        over = self.active & (self.seconds >= self.config.limit - 1e-6)
        for _, row in _ENDS:
            over |= self.active & (ei[:, row, 0] > 0)
        for w in np.flatnonzero(over).tolist():
            self.ended[w] = next((name for name, row in _ENDS if ei[w, row, 0] > 0), "limit")
            self._final[w] = outcome(self.world, w)
        self.active &= ~over

    def run(
        self, name: str, planner: Planner, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Evaluation:
        """Drive all routes to their ends. `progress` is called with the routes done and all."""
        planner.begin(self)
        done = 0
        while self.active.any():
            self.step(planner.plan(self))
            if (now := int((~self.active).sum())) != done:
                done = now
                progress(done, len(self.routes))
        return self.evaluation(name)

    def evaluation(self, name: str) -> Evaluation:
        """What has happened so far, of all routes."""
        drives = []
        for w, named in enumerate(self.routes):
            steps = max(self.seconds[w] / self.config.dt, 1.0)
            accel, jerk, speed = self._squares[:, w] / steps
            drives.append(
                Drive(
                    named.name, named.town, self.config.seed + w, float(self.seconds[w]), self.ended[w],
                    self._final[w] or outcome(self.world, w), tuple(self.infractions[w]),
                    {"acceleration": float(accel**0.5), "jerk": float(jerk**0.5), "speed_of_limit": float(speed)},
                )
            )  # fmt: skip
        return Evaluation(name, tuple(drives))
