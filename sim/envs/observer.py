"""What an agent is shown: the task's vector, or its own camera's picture beside what a car knows of itself.

The picture is rendered in this process by `sim.sensors`: no server, no socket. One scene is built per town (some
seconds, see docs/sensors.md) and shared by all environments of the process.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim.envs.task import Task
from sim.roads import load

if TYPE_CHECKING:
    from sim.envs.batch import DrivingBatch
    from sim.sensors.camera import Renderer

Observation = Any
"""float32 [size], or {"image": uint8 [H, W, 3], "state": float32 [n]}; with a first axis W for many worlds."""


@lru_cache(maxsize=2)
def _renderer(town: str) -> Renderer:
    from sim.sensors.camera import Renderer  # numba's cache of the kernels is read only by those who look

    return Renderer(load(town))


class Observer:
    """Makes the observations of a task's batch."""

    def __init__(self, task: Task) -> None:
        self._config = task.config
        self._known = np.concatenate([np.arange(s.start, s.stop) for s in task.known])
        self.space: spaces.Space[Any] = spaces.Box(-1.0, 1.0, (task.observation_size,), np.float32)
        if self._config.observation == "camera":
            size = (self._config.image_height, self._config.image_width, 3)
            self.space = spaces.Dict({
                "image": spaces.Box(0, 255, size, np.uint8),
                "state": spaces.Box(-1.0, 1.0, (len(self._known),), np.float32),
            })  # fmt: skip

    def all(self, batch: DrivingBatch) -> Observation:
        """Fresh observations of every world, each array with a first axis [W]."""
        if self._config.observation != "camera":
            return batch.obs.copy()
        images = np.stack([self.image(batch, w) for w in range(batch.worlds)])
        return {"image": images, "state": batch.obs[:, self._known]}

    def image(self, batch: DrivingBatch, world: int) -> NDArray[np.uint8]:
        """[H, W, 3] RGB from the place of the ego's driver, its own body left out."""
        from sim.sensors.camera import Camera
        from sim.sensors.weather import Weather
        from sim.sensors.world_view import actors_of, lights_of

        c, state = self._config, batch.world.state
        v = state.vehicles
        x, y, z, yaw, half, tall = (
            float(a[world, 0]) for a in (v.x, v.y, v.z, v.yaw, v.half_length, v.half_height)
        )  # fmt: skip
        weather = Weather.named(c.weather)
        camera = Camera(
            width=c.image_width, height=c.image_height, fov=c.image_fov, x=x + 0.3 * half * np.cos(yaw),
            y=y + 0.3 * half * np.sin(yaw), z=z + max(1.35, 1.5 * tall), pitch=float(v.pitch[world, 0]) - 0.03, yaw=yaw,
        )  # fmt: skip
        actors = actors_of(state, batch.lanes, world, weather, hide=0)
        step = int(batch.length[world])
        got = _renderer(c.town).render(
            camera, actors, weather, lights_of(state, world), ("rgb",), time=step * c.dt, frame=step
        )
        return got["rgb"]


def one(observation: Observation, world: int = 0) -> Observation:
    """The observation of one world of many, a copy."""
    if isinstance(observation, dict):
        return {name: value[world].copy() for name, value in observation.items()}
    return observation[world].copy()
