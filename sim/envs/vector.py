"""Many driving worlds as one gymnasium.vector.VectorEnv, in one process."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from contracts import UserError
from sim.envs.batch import DrivingBatch
from sim.envs.observer import Observation, Observer
from sim.envs.single import action_space
from sim.envs.task import Task

F32 = NDArray[np.float32]


class DrivingVectorEnv(VectorEnv[Observation, F32, NDArray[Any]]):
    """W worlds of one task. Worlds that end are reset within the same step; `info["final_obs"]` and
    `info["final_info"]` then hold the last observation [W, size] and the reports of those in `info["_final_obs"]`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": ["rgb_array"]}

    def __init__(self, task: Task, num_envs: int = 1, render_mode: str | None = None) -> None:
        if num_envs < 1:
            raise UserError(f"num_envs: {num_envs} is less than 1")
        if render_mode not in (None, "rgb_array"):
            raise UserError(f"render_mode: {render_mode!r} is not one of None, 'rgb_array'")
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.task = task
        self.batch = DrivingBatch(task, num_envs)
        self.observer = Observer(task)
        self.single_observation_space, self.single_action_space = self.observer.space, action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeded = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start all worlds, or those of options["reset_mask"] [W]; an int seed gives world i the seed + i."""
        if seed is not None or not self._seeded:
            if isinstance(seed, list):
                if len(seed) != self.num_envs or any(s is None for s in seed):
                    raise UserError(f"seed: expected {self.num_envs} numbers")
                seeds = np.array(seed, np.int64)
            else:
                start = int(np.random.default_rng().integers(2**30)) if seed is None else seed
                seeds = start + np.arange(self.num_envs, dtype=np.int64)
            self.batch.seed(seeds)
            self._seeded = True
        mask = None if options is None else options.get("reset_mask")
        self.batch.reset(mask)
        return self.observer.all(self.batch), {}

    def step(self, actions: F32) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Advance all worlds by dt and reset those that end."""
        batch = self.batch
        batch.step(np.asarray(actions, np.float32))
        terminated, truncated = batch.terminated.copy(), batch.truncated.copy()
        reward, info = batch.reward.copy(), {}
        done = terminated | truncated
        if done.any():
            reports = np.full(self.num_envs, None, object)
            for w in np.flatnonzero(done):
                reports[w] = batch.report(int(w))
            info = {
                "final_obs": self.observer.all(batch),
                "_final_obs": done,
                "final_info": reports,
                "_final_info": done,
            }
            batch.reset(done)
        return self.observer.all(batch), reward, terminated, truncated, info

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:  # type: ignore[override]
        """Bird's-eye pictures of all worlds."""
        if self.render_mode is None:
            return None
        return tuple(self.batch.picture(w) for w in range(self.num_envs))
