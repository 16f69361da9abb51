"""A standing vehicle in the ego's lane, to be got past in time: a scenario of urban driving, in all worlds at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.envs.script import route_pose
from sim.world import fields as f
from sim.world.presets import PRESETS, BodyType

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch

Bool = NDArray[np.bool_]
APPEARS = 70.0
"""Metres before it at which it appears; traffic between goes with it, so that nobody queues before the ego."""
BEFORE, BEHIND = 40.0, 12.0
"""Metres before and behind it between which the scenario runs."""
CLEAR = (30, 25)
"""Route points before and behind it that must be one lane outside junctions."""
TRIES = 8


class Blockage:
    """A static obstacle of a car's size on the routes of some worlds, gone once it is passed or its time is over."""

    def __init__(self, worlds: int, slot: int) -> None:
        self.slot = slot
        self.place: NDArray[np.int32] = np.full(worlds, -1, np.int32)
        """[W] route point where it stands or will stand, -1 for none."""
        self.stands: Bool = np.zeros(worlds, np.bool_)

    def draw(self, batch: DrivingBatch, mask: Bool, share: float) -> None:
        """Choose its place in about `share` of the worlds of `mask`: a stretch of one lane ahead on the route."""
        self.place[mask], self.stands[mask] = -1, False
        batch.world.state.statics.mode[mask, self.slot] = f.ABSENT
        b, egos = batch.world.state.buffers, batch.world.state.egos
        points = egos.route_points[:, 0].astype(np.float32)
        rows = np.arange(batch.worlds)
        wanted = mask & (batch.uniform(32) < share)
        for attempt in range(TRIES):
            k = (APPEARS + batch.uniform(33 + attempt) * np.maximum(points - APPEARS - CLEAR[1] - 2, 0)).astype(
                np.int32
            )
            low, high = k - CLEAR[0], np.minimum(k + CLEAR[1], b.route.shape[2] - 1)
            lane = b.route_lane[rows, 0, k]
            fits = (k + CLEAR[1] + 2 < points) & (batch.lanes.junction[lane] < 0)
            fits &= (b.route_lane[rows, 0, low] == lane) & (b.route_lane[rows, 0, high] == lane)
            here = wanted & fits & (self.place < 0)
            self.place[here] = k[here]

    def step(self, batch: DrivingBatch) -> None:
        """Let it appear where an ego comes near, and go where the scenario is over."""
        along, scenario = batch.world.state.egos.along[:, 0], batch.world.state.egos.scenario[:, 0]
        over = self.stands & (scenario == 0)
        if over.any():
            batch.world.state.statics.mode[over, self.slot] = f.ABSENT
            self.place[over], self.stands[over] = -1, False
        for w in map(int, np.flatnonzero((self.place >= 0) & ~self.stands & (along > self.place - APPEARS))):
            self._appear(batch, w)

    def _appear(self, batch: DrivingBatch, w: int) -> None:
        state, k = batch.world.state, int(self.place[w])
        ego = float(state.egos.along[w, 0])
        ahead = state.buffers.route[w, 0, int(ego) + 6 : k + 10, :2]
        v = state.vehicles
        near = np.hypot(v.x[w][:, None] - ahead[:, 0], v.y[w][:, None] - ahead[:, 1]).min(axis=1) < 2.5
        near[0] = False
        for slot in np.flatnonzero(near & (v.mode[w] != f.ABSENT)):
            batch.world.remove(w, int(slot))
        x, y, yaw = (a[w] for a in route_pose(batch, self.place.astype(np.float32), np.zeros(batch.worlds, np.float32)))
        car = PRESETS[BodyType.CAR]
        for name, value in (("x", x), ("y", y), ("z", v.z[w, 0]), ("yaw", yaw), ("cos", np.cos(yaw)),
                            ("sin", np.sin(yaw)), ("half_length", car.length / 2), ("half_width", car.width / 2),
                            ("half_height", car.height / 2), ("mode", f.PARKED)):  # fmt: skip
            getattr(state.statics, name)[w, self.slot] = value
        end = min(k + BEHIND, float(state.egos.length[w, 0]))
        batch.world.set_scenario(w, 0, max(k - BEFORE, 0.0), end)
        self.stands[w] = True
