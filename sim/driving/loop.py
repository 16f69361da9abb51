"""Driving one route on a CARLA server, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import carla

from contracts import Control, Plan, Scene
from sim.client import Simulator
from sim.driving.carla_view import CarlaView
from sim.driving.expert import Decision
from sim.driving.referee import Infraction, Referee, Task
from sim.driving.route import RouteTracker
from sim.driving.surroundings import Surroundings
from sim.driving.tracking import PlanTracker, Vehicle
from sim.roads.routing import Route

PATH_STEP = 5
"""Metres from point to point of the path that a Traffic Manager is given."""


class Driver(Protocol):
    """Who drives one ego along the route of its tracker."""

    tracker: RouteTracker

    def act(self, around: Surroundings) -> Decision:
        """What to do in this step."""
        ...


class SceneDriver:
    """A driver from a function of the true Scene, such as a learned planner; its plans are followed by PlanTracker."""

    def __init__(
        self, tracker: RouteTracker, planner: Callable[[Scene], Plan], dt: float = 0.05, vehicle: Vehicle | None = None
    ) -> None:
        self.tracker, self._planner = tracker, planner
        self._follower = PlanTracker(dt, vehicle)

    def act(self, around: Surroundings) -> Decision:
        """Plan and follow."""
        self.tracker.update(around)
        plan = self._planner(self.tracker.scene(around))
        return Decision(plan, self._follower.act(plan, around.ego), "free")


@dataclass(frozen=True)
class Step:
    """One step: what was seen and decided, what the car was given; infractions: counted in the step before it."""

    number: int
    around: Surroundings
    decision: Decision
    applied: Control
    infractions: list[Infraction]
    referee: Referee


def steps(
    sim: Simulator,
    ego: Any,
    view: CarlaView,
    driver: Driver,
    change: Callable[[Step], Control] | None = None,
    limit: float = 600.0,
    autopilot: bool = False,
    task: Task | None = None,
) -> Iterator[Step]:
    """Drive until the referee ends the route or `limit` seconds have passed; a Step before each tick.

    `change` may give the car another control than the driver's (noise). `autopilot`: a Traffic Manager has the car, the
    driver only says what it would do. `task`: what is to be got past in time. After the last step the referee of the
    Step holds the result. The simulator must be in synchronous mode.
    """
    referee = Referee(driver.tracker, task=task)
    number, begin = 0, None
    while True:
        around = view.look()
        driver.tracker.update(around)
        found = referee.update(around)
        begin = around.time if begin is None else begin
        if referee.ended or around.time - begin >= limit:
            return
        decision = driver.act(around)
        step = Step(number, around, decision, decision.control, found, referee)
        if autopilot:
            given = ego.get_control()
            step = replace(step, applied=Control(given.throttle, given.brake, given.steer))
        elif change is not None:
            step = replace(step, applied=change(step))
        if not autopilot:
            apply(ego, step.applied)
        yield step
        sim.tick()
        number += 1


def apply(ego: Any, control: Control) -> None:
    """Give a vehicle pedals and wheel from the next tick on."""
    ego.apply_control(carla.VehicleControl(control.throttle, control.steer, control.brake))


def hand_over(ego: Any, manager: Any, route: Route) -> None:
    """Have a Traffic Manager drive the ego along a route, at the speed limit, keeping its lanes."""
    pace = range(PATH_STEP, len(route.x), PATH_STEP)
    path = [carla.Location(float(route.x[k]), float(route.y[k]), float(route.z[k])) for k in pace]
    ego.set_autopilot(True, manager.get_port())
    manager.auto_lane_change(ego, False)
    manager.vehicle_percentage_speed_difference(ego, 0.0)
    manager.set_path(ego, path)


def drive_route(
    sim: Simulator, ego: Any, view: CarlaView, driver: Driver, limit: float = 600.0, autopilot: bool = False
) -> Referee:
    """Drive a route to its end; the referee holds what happened."""
    referee = None
    for step in steps(sim, ego, view, driver, limit=limit, autopilot=autopilot):
        referee = step.referee
    if referee is None:
        raise ValueError("the route was over before it began")
    if not referee.ended:
        referee.ended = "limit"
    return referee
