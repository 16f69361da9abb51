"""Situations that matter, staged around the ego's route with actors that follow a script.

Each class looks for a place on the route in its constructor and raises NoPlace where there is none.
"""

from __future__ import annotations

import math
from typing import Any

import carla
import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from sim.client import Simulator
from sim.driving.loop import Step
from sim.driving.referee import Task
from sim.driving.route import route_rows
from sim.driving.surroundings import Surroundings
from sim.recorder.puppets import Vehicle, Walker, beside, lane_line, spaced
from sim.roads.network import RoadNetwork
from sim.roads.routing import Route
from sim.roads.tables import ConflictKind, StopControl

DT = 0.05
FIRST, LAST = 35.0, 20.0
"""Metres from the route's begin and end between which things happen."""
ACROSS, FOLLOWS = 12.0, 15.0
"""Metres behind the shared place, and from an ego ahead, at which the Traffic Manager takes a scripted vehicle."""


class NoPlace(Exception):
    """The route has no place for the scenario."""


class Scenario:
    """Plain traffic: the base of all scripts.

    places: (x, y) that traffic must leave free at the begin. task: what the ego has to get past in time, if anything.
    """

    def __init__(self, sim: Simulator, network: RoadNetwork, route: Route, seed: int) -> None:
        self.sim, self.route, self.seed = sim, route, seed
        self.tables, self.network = network.lane_tables(), network
        self.rng = np.random.default_rng([seed, 4])
        self.line = np.stack([route.x, route.y, route.z, route.yaw], 1).astype(float)
        self.half_width = route_rows(self.tables, route)[:, 3]
        self.places: list[tuple[float, float]] = []
        self.task: Task | None = None
        self.set_up()

    def set_up(self) -> None:
        """Find a place, spawn the actors. Raises NoPlace, UserError."""

    def act(self, step: Step) -> None:
        """Move the script on; called once a step of the simulation, before the tick."""

    # -- for the scripts ----------------------------------------------------------------------------------------------

    @property
    def manager(self) -> Any:
        """The Traffic Manager."""
        return self.sim.traffic_manager(self.seed)

    def open_points(self, margin: int = 12) -> NDArray[np.intp]:
        """Points of the route outside junctions, `margin` metres from any, neither at its begin nor its end."""
        free = self.tables.junction[self.route.lane] < 0
        for k in range(1, margin + 1):
            free[:-k] &= self.tables.junction[self.route.lane[k:]] < 0
            free[k:] &= self.tables.junction[self.route.lane[:-k]] < 0
        points = np.arange(len(free))
        found = np.flatnonzero(free & (points > FIRST) & (points < len(free) - LAST))
        if not len(found):
            raise NoPlace
        return found

    def keep_free(self, until: int) -> None:
        """No traffic on the route up to a point, so that the ego is the first to come there."""
        self.places += [(float(x), float(y)) for x, y, _, _ in self.line[10:until:10]]

    def pick(self, points: NDArray[np.intp], nearest: int = 80) -> int:
        """One of the first `nearest` of some points."""
        return int(points[self.rng.integers(min(len(points), nearest))])

    def crossing(
        self, kinds: tuple[int, ...], turn: int | None = None, oncoming: bool = False
    ) -> tuple[int, int, float]:
        """A place where another lane meets the route: (point of the route, the lane, metres along that lane).

        kinds: of ConflictKind. turn: of the route there (-1 left). oncoming: the other lane comes from ahead.
        """
        t, lanes = self.tables, self.route.lane
        enters = np.flatnonzero((lanes[1:] != lanes[:-1]) & (t.junction[lanes[1:]] >= 0)) + 1
        for point in enters[(enters > FIRST) & (enters < len(lanes) - LAST)].tolist():
            lane = int(lanes[point])
            if turn is not None and int(t.turn[lane]) != turn:
                continue
            rows = range(int(t.conflict_first[lane]), int(t.conflict_first[lane + 1]))
            for c in self.rng.permutation(np.array(rows, int)).tolist():
                other = int(t.conflict_lane[c])
                if int(t.conflict_kind[c]) not in kinds:
                    continue
                heading = float(t.yaw[t.first_point[other]]) - float(t.yaw[t.first_point[lane]])
                if (math.cos(heading) < -0.6) != oncoming:
                    continue
                return point + int(t.conflict_begin[c]), other, float(t.conflict_other_begin[c])
        raise NoPlace

    def approach(self, lane: int, before: float, after: float) -> tuple[NDArray[np.float64], float]:
        """A line through `lane`, from about `before` metres before it to `after` behind it; metres of it before."""
        t, chain, length = self.tables, [lane], 0.0
        while length < before:
            former = int(t.predecessors[chain[0]][0])
            if former < 0 or former in chain:
                break
            chain.insert(0, former)
            length += float(t.length[former])
        rest, last = after, lane
        while rest > 0:
            last = int(t.successors[last][0])
            if last < 0 or last in chain:
                break
            chain.append(last)
            rest -= float(t.length[last])
        line = lane_line(t, chain)
        skip = max(0, int(length - before))
        return line[skip:], length - skip

    def hold_green(self, lane: int, also: int = -1) -> None:
        """Keep the lights of these entrances green and the others of their junction red."""
        t = self.tables
        wanted = {int(t.light[k]) for k in (lane, also) if k >= 0 and t.control[k] == StopControl.LIGHT}
        if not wanted:
            return
        ids = {self.network.signals[int(t.light_signal[k])].id for k in wanted}
        junction = int(t.junction[lane])
        around = {self.network.signals[int(t.light_signal[k])].id for k in np.flatnonzero(t.light_junction == junction)}
        for actor in self.sim.world.get_actors().filter("traffic.traffic_light*"):
            if actor.get_opendrive_id() in around:
                green = actor.get_opendrive_id() in ids
                actor.set_state(carla.TrafficLightState.Green if green else carla.TrafficLightState.Red)


class HardBrake(Scenario):
    """The vehicle ahead brakes as hard as it can, without a reason, and goes on after some seconds."""

    def set_up(self) -> None:
        """A vehicle ahead, driven by the Traffic Manager along the ego's route."""
        self.lead = Vehicle(self.sim, self.line[20:], DT)
        self.keep_free(60)
        self.after, self.since, self.seconds = self.rng.uniform(4.0, 10.0), -1.0, self.rng.uniform(2.0, 4.0)
        self.done = False

    def act(self, step: Step) -> None:
        """Brake once the ego follows."""
        if step.number == 0:
            self.lead.release(self.manager)
            path = [carla.Location(float(x), float(y), float(z)) for x, y, z, _ in self.line[25::5]]
            self.manager.set_path(self.lead.actor, path)
        x, y = self.lead.place()
        gap = math.hypot(x - step.around.x, y - step.around.y)
        now = step.number * DT
        if self.since < 0 and not self.done and now > self.after and gap < 28.0 and step.around.ego.speed > 4.0:
            self.since = now
            self.lead.take(self.manager)
        if self.since >= 0:
            self.lead.stand()
            if now - self.since > self.seconds:
                self.since, self.done = -1.0, True
                self.lead.release(self.manager)


class CutIn(Scenario):
    """A vehicle beside the ego moves into its lane, close ahead; on one-lane roads it pulls out from the roadside."""

    def set_up(self) -> None:
        """On the lane beside, or at the edge."""
        t, lanes = self.tables, self.route.lane
        point = self.pick(self.open_points(25), 60)
        lane = int(lanes[point])
        side = next((int(n) for n in (t.left[lane], t.right[lane]) if n >= 0), -1)
        self.moving = side >= 0
        start = max(point - 30, 8) if self.moving else point
        if self.moving:
            beside_lane = lane_line(t, [side])
            first = int(
                np.argmin(np.hypot(beside_lane[:, 0] - self.line[start, 0], beside_lane[:, 1] - self.line[start, 1]))
            )
            part = beside_lane[first : first + 25]
            if len(part) < 25:
                raise NoPlace
            behind = min(start + 25 + 18, len(self.line) - 2)
            line = np.concatenate([part[:, :3], self.line[behind:, :3]])
            self.reach = start + 25.0
        else:
            offset = float(self.half_width[point]) + 0.6
            line = np.concatenate([beside(self.line, offset)[start : start + 2, :3], self.line[start + 12 :, :3]])
            self.reach = float(start)
        if len(line) < 30:
            raise NoPlace
        self.other = Vehicle(self.sim, spaced(line), DT, "vehicle.seat.leon")
        self.keep_free(point)
        self.places.append((line[0, 0], line[0, 1]))
        self.eta, self.going = self.rng.uniform(2.0, 3.2), False

    def act(self, step: Step) -> None:
        """Go when the ego is some seconds away; then drive slowly before it."""
        tracker, ego = step.referee.tracker, step.around.ego
        wait = 8.0 if self.moving else self.eta * max(ego.speed, 3.0)
        place = self.reach - 25.0 if self.moving else self.reach
        if not self.going and tracker.along > place - wait:
            self.going = True
        if self.going and not self.other.free:
            self.other.follow(max(ego.speed, 4.0) + 1.5 if self.moving and self.other.left > len(self.line) else 5.0)
            if self.other.left < 8 or tracker.along > self.reach + 40:
                self.other.release(self.manager)


class PedestrianCrosses(Scenario):
    """A pedestrian steps onto the road before the ego, half of the time from behind a parked van."""

    def set_up(self) -> None:
        """At the edge of the lane."""
        self.point = self.pick(self.open_points(8))
        side = float(self.rng.choice([1.0, 1.0, -1.0]))
        # from the left they come over the other lanes, too
        offset = side * (float(self.half_width[self.point]) + (1.6 if side > 0 else 4.6))
        x, y, z, yaw = beside(self.line, offset)[self.point]
        self.walker = Walker(self.sim, x, y, z, int(self.rng.integers(1000)))
        self.way = (side * math.sin(yaw), -side * math.cos(yaw))
        self.speed, self.eta = self.rng.uniform(1.3, 2.2), self.rng.uniform(2.0, 3.2)
        self.reach = abs(offset) + float(self.half_width[self.point]) + 3.0
        self.keep_free(self.point)
        self.going = False
        if side > 0 and self.rng.random() < 0.5 and self.point > FIRST + 8:
            try:
                van = beside(self.line, float(self.half_width[self.point]) + 0.9)[self.point - 6 :]
                Vehicle(self.sim, van, DT, "vehicle.mercedes.sprinter")
            except UserError:
                return  # no room for the van: the pedestrian comes without

    def act(self, step: Step) -> None:
        """Walk when the ego is some seconds away."""
        rest = self.point - step.referee.tracker.along
        if not self.going and rest < self.eta * max(step.around.ego.speed, 2.5) + 3.0:
            self.going = True
        if self.going:
            come = self.walker.walk(*self.way, self.speed)
            if come > self.reach:
                self.walker.stand()
                self.speed = 0.0


class Obstacle(Scenario):
    """A broken-down vehicle with hazard lights stands in the ego's lane."""

    def set_up(self) -> None:
        """In the lane, towards its edge."""
        point = self.pick(self.open_points(20))
        line = beside(self.line, self.rng.uniform(0.2, 1.2))[point:]
        self.other = Vehicle(self.sim, line, DT, "vehicle.volkswagen.t2")
        self.other.warn()
        self.task = Task(max(point - 40.0, 0.0), point + 12.0)
        self.keep_free(point + 10)

    def act(self, step: Step) -> None:
        """It stays."""
        if step.number == 0:
            self.other.stand()


class Runner(Scenario):
    """A vehicle crosses a junction against its red light (or without giving way) just as the ego comes."""

    kinds: tuple[int, ...] = (ConflictKind.CROSS,)
    lead = 0.0
    """Seconds by which it is at the shared place before the ego."""
    green = True

    def set_up(self) -> None:
        """Before the junction, on a way that crosses the route."""
        self.point, self.lane, s = self.crossing(self.kinds)
        line, before = self.approach(self.lane, 30.0, 60.0)
        if len(line) < 45 or before < 12.0:
            raise NoPlace
        self.far = before + s
        self.keep_free(self.point)
        self.speed = self.rng.uniform(7.0, 10.0)
        self.other = Vehicle(self.sim, line, DT, "vehicle.ford.mustang")
        self.places.append((line[0, 0], line[0, 1]))
        self.going = False
        self.shift = self.lead + self.rng.uniform(-0.4, 0.8)

    def act(self, step: Step) -> None:
        """Start so as to meet the ego."""
        rest = self.point - step.referee.tracker.along
        if self.green and 0 < rest < 60.0 and step.number % 10 == 0:
            self.hold_green(int(self.route.lane[min(self.point, len(self.route.lane) - 1)]))
        needed = self.far / self.speed + self.speed / 6.0
        if not self.going and rest / max(step.around.ego.speed, 3.0) < needed + self.shift:
            self.going = True
        if self.going and not self.other.free:
            self.other.follow(self.speed)
            # once across, and behind an ego that was faster, it drives as others do
            if self.other.left < len(self.other.line) - self.far - ACROSS or self._follows(step.around):
                self.other.release(self.manager)

    def _follows(self, around: Surroundings) -> bool:
        """The ego is right ahead of the vehicle and goes its way."""
        x, y = self.other.place()
        yaw = math.radians(self.other.actor.get_transform().rotation.yaw)
        dx, dy = around.x - x, around.y - y
        ahead, aside = dx * math.cos(yaw) + dy * math.sin(yaw), dy * math.cos(yaw) - dx * math.sin(yaw)
        return 0.0 < ahead < FOLLOWS and abs(aside) < 2.0 and math.cos(around.yaw_of_ego - yaw) > 0.7


class Merging(Runner):
    """A vehicle from another road turns into the ego's lane close before it."""

    kinds = (ConflictKind.MERGE,)
    lead = 1.2
    green = False


class UnprotectedTurn(Scenario):
    """The ego turns left over the way of vehicles that come towards it."""

    def set_up(self) -> None:
        """A column of vehicles that comes straight on."""
        self.point, self.lane, _ = self.crossing((ConflictKind.CROSS,), turn=-1, oncoming=True)
        line, before = self.approach(self.lane, 75.0, 60.0)
        self.column = []
        gap = self.rng.uniform(14.0, 26.0)
        for k in range(3):
            start = int(before - 14.0 - k * gap)
            if start < 0:
                break
            self.column.append(Vehicle(self.sim, line[start:], DT, "vehicle.tesla.model3"))
            self.places.append((line[start, 0], line[start, 1]))
        if not self.column:
            raise NoPlace
        self.keep_free(self.point)
        self.speed, self.going = self.rng.uniform(6.0, 9.0), False

    def act(self, step: Step) -> None:
        """The column starts when the ego is near."""
        rest = self.point - step.referee.tracker.along
        if 0 < rest < 50.0 and step.number % 10 == 0:
            self.hold_green(int(self.route.lane[min(self.point, len(self.route.lane) - 1)]), self.lane)
        if not self.going and rest < 25.0:
            self.going = True
        for vehicle in self.column if self.going else ():
            if not vehicle.free:
                vehicle.follow(self.speed)
                if vehicle.left < 10:
                    vehicle.release(self.manager)


SCRIPTS: dict[str, type[Scenario]] = {
    "": Scenario, "cut_in": CutIn, "hard_brake": HardBrake, "pedestrian": PedestrianCrosses,
    "red_light_runner": Runner, "unprotected_turn": UnprotectedTurn, "obstacle": Obstacle, "merging": Merging,
}  # fmt: skip
