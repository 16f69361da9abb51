"""Scripted actors for scenarios: vehicles that ride along the ego's route on rails, in every world at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.world import fields as f
from sim.world.presets import BodyType, preset_table

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch

F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]


def route_pose(batch: DrivingBatch, along: F32, offset: F32) -> tuple[F32, F32, F32]:
    """x, y, yaw [W] at `along` metres of the egos' routes, `offset` metres to the right of them."""
    route = batch.world.state.buffers.route[:, 0]
    last = batch.world.state.egos.route_points[:, 0] - 2
    at = np.clip(along, 0.0, last.astype(np.float32) + np.float32(0.999))
    i = np.clip(at.astype(np.int32), 0, np.maximum(last, 0))
    t = (at - i).astype(np.float32)
    rows = np.arange(len(route))
    a, b = route[rows, i], route[rows, i + 1]
    x = a[:, 0] + t * (b[:, 0] - a[:, 0])
    y = a[:, 1] + t * (b[:, 1] - a[:, 1])
    yaw = np.arctan2(b[:, 1] - a[:, 1], b[:, 0] - a[:, 0])
    return x - np.sin(yaw) * offset, y + np.cos(yaw) * offset, yaw


class RailVehicle:
    """One vehicle slot of each world, moved along the ego's route: state `along`, `speed`, `offset`, all [W]."""

    def __init__(self, batch: DrivingBatch, slot: int) -> None:
        self.slot = slot
        self.along: F32 = np.zeros(batch.worlds, np.float32)
        self.speed: F32 = np.zeros(batch.worlds, np.float32)
        self.offset: F32 = np.zeros(batch.worlds, np.float32)
        self._preset = preset_table()[BodyType.CAR]

    def place(self, batch: DrivingBatch, mask: Bool, along: F32, speed: F32, offset: F32) -> None:
        """Put it into the worlds of `mask` as a car with no past."""
        b = batch.world.state.buffers
        b.vf[mask, :, self.slot] = self._preset
        b.vi[mask, :, self.slot] = 0
        for row in (f.V_LANE, f.V_NEXT1, f.V_NEXT2, f.V_NEXT3, f.V_GRANT, f.V_CHANGE_LANE):
            b.vi[mask, row, self.slot] = -1
        b.vi[mask, f.V_KIND, self.slot] = int(BodyType.CAR)
        b.vi[mask, f.V_MODE, self.slot] = f.KINEMATIC
        self.along[mask], self.speed[mask], self.offset[mask] = along[mask], speed[mask], offset[mask]
        self._write(batch)

    def advance(self, batch: DrivingBatch, acceleration: F32, offset: F32) -> None:
        """Move by dt with an acceleration [W] (never backwards), towards the given offsets [W]."""
        dt = np.float32(batch.dt)
        before = self.speed
        self.speed = np.maximum(self.speed + acceleration * dt, 0.0).astype(np.float32)
        self.along = (self.along + 0.5 * (before + self.speed) * dt).astype(np.float32)
        self.offset = np.asarray(offset, np.float32)
        self._write(batch)

    def _write(self, batch: DrivingBatch) -> None:
        vehicles = batch.world.state.vehicles
        x, y, yaw = route_pose(batch, self.along, self.offset)
        vehicles.x[:, self.slot], vehicles.y[:, self.slot], vehicles.yaw[:, self.slot] = x, y, yaw
        vehicles.z[:, self.slot] = vehicles.z[:, 0]
        vehicles.cos[:, self.slot], vehicles.sin[:, self.slot] = np.cos(yaw), np.sin(yaw)
        vehicles.speed[:, self.slot] = self.speed
