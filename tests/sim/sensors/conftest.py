"""One small town for all sensor tests: a shipped town, its scene, traffic and pedestrians."""

from dataclasses import dataclass

import numpy as np
import pytest

from sim import roads
from sim.roads.network import RoadNetwork
from sim.sensors.actors import WALKER, Actors
from sim.sensors.scene.town import Scene, scene_of


@dataclass
class Town:
    network: RoadNetwork
    scene: Scene

    def place(self, rng):
        """x, y, z, yaw of a random lane point outside junctions."""
        t = self.network.lane_tables()
        k = rng.choice(np.flatnonzero(t.junction[t.point_lane] < 0))
        return np.array([t.x[k], t.y[k], t.z[k], t.yaw[k]])

    def actors(self, rng, count=30, around=None):
        """Vehicles of all kinds and pedestrians within 60 m of `around`."""
        t = self.network.lane_tables()
        near = np.hypot(t.x - around[0], t.y - around[1]) if around is not None else np.full(len(t.x), 20.0)
        k = rng.choice(np.flatnonzero((near > 6) & (near < 60)), count)
        kind = np.where(np.arange(count) % 3 == 2, WALKER, np.arange(count) % 8)
        pose = np.stack([t.x[k] + rng.normal(0, 2, count), t.y[k] + rng.normal(0, 2, count), t.z[k], t.yaw[k]], 1)
        return Actors.of(
            kind, np.insert(pose, 3, rng.normal(0, 0.05, (2, count)), axis=1), lamps=rng.integers(0, 32, count),
            travelled=rng.uniform(0, 9, count), steer=rng.uniform(-0.5, 0.5, count),
        )  # fmt: skip


@pytest.fixture(scope="session")
def town():
    network = roads.load("Alder")
    return Town(network, scene_of(network, seed=3))
