"""Situations on the road between junctions: who brakes, cuts in, steps out or has broken down ahead of the ego."""

from __future__ import annotations

import math

import carla
import numpy as np

from contracts import UserError
from sim.driving.loop import Step
from sim.driving.referee import Task
from sim.recorder.puppets import Vehicle, Walker, beside, lane_line, spaced
from sim.recorder.staging import DT, FIRST, NoPlace, Scenario


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
