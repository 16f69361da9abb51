"""One driving world as a gymnasium.Env."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from contracts import Scene, UserError
from sim.envs.batch import DrivingBatch
from sim.envs.observer import Observation, Observer, one
from sim.envs.task import Task

F32 = NDArray[np.float32]


def action_space() -> spaces.Box:
    """Pedal and steering of one world."""
    return spaces.Box(-1.0, 1.0, (2,), np.float32)


class DrivingEnv(gymnasium.Env[Observation, F32]):
    """Base of the driving environments; each task's class documents itself.

    With `observation="camera"` an observation is {"image": [H, W, 3] uint8, "state": the parts of the task's vector
    that a car knows without looking (`Task.known`: its own motion and the route)}.

    `info` of step holds "terms" (the reward's terms by name), and at the end of an episode "report" (return by term,
    route completion, counts of every event).
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, task: Task, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise UserError(f"render_mode: {render_mode!r} is not one of None, 'rgb_array'")
        self.render_mode = render_mode
        self.task = task
        self.metadata = {**self.metadata, "render_fps": round(1.0 / task.config.dt)}
        self.batch = DrivingBatch(task, 1)
        self.observer = Observer(task)
        self.observation_space = self.observer.space
        self.action_space = action_space()  # type: ignore[assignment]
        self._seeded = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next episode; with a seed, the first episode of that seed."""
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            start = seed if seed is not None else int(self.np_random.integers(2**31 - 1))
            self.batch.seed(np.array([start], np.int64))
            self._seeded = True
        self.batch.reset()
        return one(self.observer.all(self.batch)), {}

    def step(self, action: F32) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advance the world by dt."""
        batch = self.batch
        batch.step(np.asarray(action, np.float32).reshape(1, 2))
        terminated, truncated = bool(batch.terminated[0]), bool(batch.truncated[0])
        info: dict[str, Any] = {"terms": dict(zip(self.task.terms, map(float, batch.terms[0])))}
        if terminated or truncated:
            info["report"] = batch.report(0)
        return one(self.observer.all(batch)), float(batch.reward[0]), terminated, truncated, info

    def scene(self) -> Scene:
        """The truth as contracts.Scene."""
        return self.batch.scene()

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """A bird's-eye picture [512, 512, 3] around the ego, heading up; None without a render mode."""
        if self.render_mode is None:
            return None
        return self.batch.picture(0)
