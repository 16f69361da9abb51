"""A rule-based driver that sees the truth."""

from __future__ import annotations

from dataclasses import dataclass

from contracts import Control, Plan
from sim.driving.baselines import lane_follower, scene_plan
from sim.driving.route import RouteTracker
from sim.driving.surroundings import Surroundings
from sim.driving.tracking import PlanTracker, Vehicle
from sim.roads.network import RoadNetwork
from sim.roads.routing import Route


@dataclass(frozen=True)
class Decision:
    """What a driver wants: plan, the pedals and wheel that follow it, and what its speed followed.

    reason: free, lead, light, stop_sign, junction, walker or obstacle.
    """

    plan: Plan
    control: Control
    reason: str


@dataclass(frozen=True)
class ExpertConfig:
    """How the expert drives. dt: seconds between two calls of `act`."""

    dt: float = 0.05


class Expert:
    """Drives one ego along a route. `tracker` is where it is on the route; others may use it, too."""

    def __init__(
        self, network: RoadNetwork, route: Route, config: ExpertConfig | None = None, vehicle: Vehicle | None = None
    ) -> None:
        self.config = config or ExpertConfig()
        self.tracker = RouteTracker(network, route)
        self._follower = PlanTracker(self.config.dt, vehicle)

    def act(self, around: Surroundings) -> Decision:
        """What to do in this step."""
        self.tracker.update(around)
        plan = scene_plan(lane_follower, self.tracker.scene(around))
        return Decision(plan, self._follower.act(plan, around.ego), "free")
