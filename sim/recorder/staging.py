"""What all scenarios share: the search for a place on the ego's route, ways through junctions, lights held green."""

from __future__ import annotations

import math
from typing import Any

import carla
import numpy as np
from numpy.typing import NDArray

from sim.client import Simulator
from sim.driving.loop import Step
from sim.driving.referee import Task
from sim.driving.route import route_rows
from sim.recorder.puppets import lane_line
from sim.roads.network import RoadNetwork
from sim.roads.routing import Route
from sim.roads.tables import StopControl

DT = 0.05
"""Seconds a step of the simulation."""
FIRST, LAST = 35.0, 20.0
"""Metres from the route's begin and end between which things happen."""


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
