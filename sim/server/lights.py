"""Traffic lights: the world's signals as CARLA's actors, what clients force on them, and which vehicle stands at which.

A vehicle is "at" a light from the place where it must brake to stop at the line. The client's Traffic Manager looks at
nothing else: it brakes a vehicle as soon as that says so and the light is not green.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.roads.tables import LaneTables, StopControl
from sim.server.actors import Actor, Registry
from sim.server.bodies import Bodies
from sim.world import fields as f
from sim.world.world import World

RED, YELLOW, GREEN, OFF, UNKNOWN = range(5)
"""TrafficLightState of CARLA."""
_FROM_WORLD = np.array([OFF, GREEN, YELLOW, RED], np.uint8)
_TO_WORLD = {RED: f.RED, YELLOW: f.YELLOW, GREEN: f.GREEN}
BRAKING = 5.0
"""m/s^2 that a vehicle is taken to brake with for a line."""
REACH = 2.5
"""Metres before the line at which even a slow vehicle is at the light."""
BEYOND = 1.0
"""Metres that the nose may be over the line and the vehicle still is at the light."""
LOOK_AHEAD = 60.0


def approaches(tables: LaneTables) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """[L] the light that ends the lane (or the lanes it leads into, without a fork), -1 none; [L] metres from the
    lane's end to its stop line."""
    lanes = len(tables.length)
    light, beyond = np.full(lanes, -1, np.int32), np.zeros(lanes, np.float32)
    for lane in range(lanes):
        for after in tables.successors[lane]:
            if after >= 0 and tables.control[after] == StopControl.LIGHT and tables.light[after] >= 0:
                light[lane] = tables.light[after]
                break
    pending = [int(lane) for lane in np.flatnonzero(light >= 0)]
    while pending:
        lane = pending.pop()
        reach = beyond[lane] + tables.length[lane]
        if reach > LOOK_AHEAD or tables.junction[lane] >= 0:
            continue
        for before in tables.predecessors[lane]:
            single = before >= 0 and tables.junction[before] < 0 and tables.successors[before][1] < 0
            if single and light[before] < 0:
                light[before], beyond[before] = light[lane], reach
                pending.append(int(before))
    return light, beyond


class TrafficLights:
    """The lights of the episode. `actors[i]` stands for light i of the town's tables."""

    def __init__(self, tables: LaneTables, world: World, actors: list[Actor], registry: Registry) -> None:
        self._world, self._registry, self.actors = world, registry, actors
        self._light, beyond = approaches(tables)
        self._end, self._limit = tables.length + beyond, tables.speed_limit * np.float32(3.6)
        self._junction = tables.light_junction
        self._ids = np.array([*(a.id for a in actors), 0], np.uint32)
        self._colours = np.full(len(actors) + 1, GREEN, np.uint8)
        """What each light shows, and green for a vehicle that stands at none."""
        self._rows, self._version = np.zeros(0, np.intp), -1
        self._forced: dict[int, tuple[int, tuple[int, int]]] = {}
        self._elapsed = np.zeros(len(actors), np.float32)
        self._shown = np.full(len(actors), 255, np.uint8)
        self._at = np.full(world.state.vehicles.mode.shape[1], -1, np.int32)
        for pole, actor in enumerate(actors):
            registry.snapshot.lights["pole"][actor.row] = pole
        self.write(0.0)

    # -- what clients do ----------------------------------------------------------------------------------------------

    def force(self, light: int, state: int) -> None:
        """Show `state` until the junction's next change (for ever where it is frozen)."""
        self._forced[light] = (state, self._stage(light))

    def set_time(self, light: int, stage: str, seconds: float) -> None:
        """Seconds of a light's green, yellow or red."""
        getattr(self._world.state.signals, stage)[0, light] = seconds

    def freeze(self, frozen: bool, lights: list[int] | None = None) -> None:
        """Stop the clocks of the junctions of `lights`, all of them without it."""
        junctions = slice(None) if lights is None else np.unique(self._junction[lights])
        self._world.state.signals.frozen[0, junctions] = int(frozen)

    def restart(self, lights: list[int] | None = None) -> None:
        """Begin the cycle of the junctions of `lights` anew; of all without it."""
        signals = self._world.state.signals
        junctions = slice(None) if lights is None else np.unique(self._junction[lights])
        for part in (signals.elapsed, signals.group, signals.stage):
            part[0, junctions] = 0
        self._elapsed[slice(None) if lights is None else lights] = 0.0
        self._forced = {k: v for k, v in self._forced.items() if lights is not None and k not in lights}

    def group(self, light: int) -> list[int]:
        """All lights of the same junction."""
        return [int(i) for i in np.flatnonzero(self._junction == self._junction[light])]

    # -- every tick ---------------------------------------------------------------------------------------------------

    def _stage(self, light: int) -> tuple[int, int]:
        signals, junction = self._world.state.signals, self._junction[light]
        return int(signals.group[0, junction]), int(signals.stage[0, junction])

    def write(self, dt: float) -> None:
        """The lights' states into the snapshot."""
        if not self.actors:
            return
        signals = self._world.state.signals
        for light, (state, stage) in list(self._forced.items()):
            if self._stage(light) != stage:
                del self._forced[light]
            elif state in _TO_WORLD:
                signals.state[0, light] = _TO_WORLD[state]
        shown = _FROM_WORLD[signals.state[0]]
        for light, (state, _) in self._forced.items():
            shown[light] = state
        self._elapsed += np.float32(dt)
        self._elapsed[shown != self._shown] = 0.0
        self._shown = self._colours[:-1] = shown
        if self._version != self._registry.version:
            self._version = self._registry.version
            self._rows = np.array([actor.row for actor in self.actors], np.intp)
        rows, union = self._rows, self._registry.snapshot.lights
        union["state"][rows], union["elapsed"][rows] = shown, self._elapsed
        union["green"][rows], union["yellow"][rows] = signals.green[0], signals.yellow[0]
        union["red"][rows], union["frozen"][rows] = signals.red[0], signals.frozen[0, self._junction]

    def write_vehicles(self, bodies: Bodies) -> None:
        """Speed limit and light of every vehicle into the snapshot."""
        rows, slots = bodies.rows(self._registry)
        if not bodies.of_vehicle:
            return
        v, union = self._world.state.vehicles, self._registry.snapshot.vehicles
        lane = v.lane[0, slots]
        known = lane >= 0
        limit, light, end = self._limit[lane], self._light[lane], self._end[lane]
        if not known.all():  # the last lane's, where there is none
            limit = np.where(known, limit, np.maximum(union["speed_limit"][rows], np.float32(30.0)))
            light = np.where(known, light, -1)
        part = bodies.fields
        left = end - part[f.S] - part[f.HALF_LENGTH]
        reach = np.maximum(np.float32(REACH), part[f.SPEED] ** 2 / np.float32(2 * BRAKING) + np.float32(1.0))
        here = (light >= 0) & (left > -BEYOND) & ((left < reach) | (self._at[slots] == light))
        at = np.where(here, light, -1)
        self._at[slots] = at
        union["speed_limit"][rows], union["has_light"][rows] = limit, here
        # -1 is the entry of a vehicle that stands at no light
        union["light_state"][rows], union["light_id"][rows] = self._colours[at], self._ids[at]

    def forget(self, slot: int) -> None:
        """A vehicle slot has a new tenant."""
        self._at[slot] = -1
