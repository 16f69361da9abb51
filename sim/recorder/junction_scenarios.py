"""Situations at junctions: who runs a red light, turns in close ahead, or comes towards an ego that turns left."""

from __future__ import annotations

import math

from sim.driving.loop import Step
from sim.driving.surroundings import Surroundings
from sim.recorder.puppets import Vehicle
from sim.recorder.staging import DT, NoPlace, Scenario
from sim.roads.tables import ConflictKind

ACROSS, FOLLOWS = 12.0, 15.0
"""Metres behind the shared place, and from an ego ahead, at which the Traffic Manager takes a scripted vehicle."""


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
