"""Actors of a scenario: a vehicle that follows a line at a speed, one that stands, a pedestrian that crosses."""

from __future__ import annotations

import math
from typing import Any

import carla
import numpy as np
from numpy.typing import NDArray

from contracts import Ego, Plan
from contracts.plan import PATH_POINTS, SPEED_STEPS
from sim.client import Simulator
from sim.driving.tracking import PlanTracker
from sim.roads.tables import LaneTables

F64 = NDArray[np.float64]
LIFT = 0.3
"""Metres above the ground at which a vehicle is spawned."""


def lane_line(tables: LaneTables, lanes: list[int]) -> F64:
    """[N, 4] x, y, z, yaw of the middle of consecutive lanes, points 1 m apart."""
    parts = []
    for lane in lanes:
        first, count = int(tables.first_point[lane]), int(tables.point_count[lane])
        rows = slice(first, first + count)
        parts.append(np.stack([tables.x[rows], tables.y[rows], tables.z[rows]], 1).astype(float))
    return spaced(np.concatenate(parts))


def spaced(points: F64) -> F64:
    """[N, 4] x, y, z, yaw: a polyline [M, 3] with points 1 m apart."""
    step = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    keep = np.concatenate([[True], step > 1e-3])
    points = points[keep]
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1))])
    at = np.arange(0.0, s[-1], 1.0)
    x, y, z = (np.interp(at, s, points[:, k]) for k in range(3))
    yaw = np.unwrap(np.arctan2(np.gradient(y), np.gradient(x)))
    return np.stack([x, y, z, yaw], 1)


def beside(line: F64, offset: float) -> F64:
    """The line `offset` metres to its right."""
    out = line.copy()
    out[:, 0] -= np.sin(line[:, 3]) * offset
    out[:, 1] += np.cos(line[:, 3]) * offset
    return out


def transform(row: F64) -> carla.Transform:
    """Where a vehicle on a line's point is spawned."""
    x, y, z, yaw = (float(v) for v in row)
    return carla.Transform(carla.Location(x, y, z + LIFT), carla.Rotation(yaw=math.degrees(yaw)))


class Vehicle:
    """A vehicle at the begin of `line` [N, 4]; stands until `follow` is called. Raises UserError where no room is."""

    def __init__(self, sim: Simulator, line: F64, dt: float, blueprint: str = "vehicle.audi.tt") -> None:
        self.line = line
        self.actor: Any = sim.spawn(blueprint, transform(line[0]))
        self._sim, self._follower, self._at = sim, PlanTracker(dt), 0
        self.free = False
        """The Traffic Manager has it."""
        self.stand()

    @property
    def left(self) -> float:
        """Metres of line ahead."""
        return float(len(self.line) - 1 - self._at)

    def place(self) -> tuple[float, float]:
        """x, y"""
        here = self.actor.get_transform().location
        return here.x, here.y

    def stand(self, brake: float = 1.0) -> None:
        """Brake until told otherwise."""
        self.actor.apply_control(carla.VehicleControl(brake=brake))

    def warn(self) -> None:
        """Hazard lights."""
        both = carla.VehicleLightState.RightBlinker | carla.VehicleLightState.LeftBlinker
        self.actor.set_light_state(carla.VehicleLightState(both))

    def follow(self, speed: float) -> None:
        """Drive on along the line for one step."""
        pose, velocity = self.actor.get_transform(), self.actor.get_velocity()
        x, y, yaw = pose.location.x, pose.location.y, math.radians(pose.rotation.yaw)
        window = self.line[self._at : self._at + 12]
        self._at += int(np.argmin(np.hypot(window[:, 0] - x, window[:, 1] - y)))
        ahead = self.line[np.minimum(self._at + 1 + np.arange(PATH_POINTS), len(self.line) - 1), :2] - (x, y)
        cos, sin = math.cos(yaw), math.sin(yaw)
        path = np.stack([ahead[:, 0] * cos + ahead[:, 1] * sin, ahead[:, 1] * cos - ahead[:, 0] * sin], 1)
        plan = Plan(path.astype(np.float32), np.full(SPEED_STEPS, speed, np.float32))
        gained = self.actor.get_acceleration()
        ego = Ego(velocity.x * cos + velocity.y * sin, gained.x * cos + gained.y * sin, 0.0, 0.0)
        control = self._follower.act(plan, ego)
        self.actor.apply_control(carla.VehicleControl(control.throttle, control.steer, control.brake))

    def release(self, manager: Any) -> None:
        """From now on the Traffic Manager drives it."""
        if not self.free:
            self.free = True
            self.actor.set_autopilot(True, manager.get_port())

    def take(self, manager: Any) -> None:
        """Take it back from the Traffic Manager."""
        if self.free:
            self.free = False
            self.actor.set_autopilot(False, manager.get_port())


class Walker:
    """A pedestrian who stands at (x, y, z) until `walk` is called. Raises UserError where no room is."""

    def __init__(self, sim: Simulator, x: float, y: float, z: float, number: int) -> None:
        library = sorted(sim.world.get_blueprint_library().filter("walker.pedestrian.*"), key=lambda b: b.id)
        place = carla.Transform(carla.Location(x, y, z + 1.0))
        self.actor: Any = sim.spawn(library[number % len(library)].id, place)
        self._from = (x, y)

    def walk(self, dx: float, dy: float, speed: float) -> float:
        """Go towards (dx, dy) (a unit vector) at `speed`; returns how far it has come, metres."""
        self.actor.apply_control(carla.WalkerControl(carla.Vector3D(dx, dy, 0.0), speed, False))
        here = self.actor.get_transform().location
        return math.hypot(here.x - self._from[0], here.y - self._from[1])

    def stand(self) -> None:
        """Stop."""
        self.actor.apply_control(carla.WalkerControl(carla.Vector3D(1.0, 0.0, 0.0), 0.0, False))
