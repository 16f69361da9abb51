"""Many driving worlds as one Stable-Baselines3 VecEnv, in one process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from contracts import UserError
from sim.envs.batch import DrivingBatch
from sim.envs.observer import Observer, one
from sim.envs.single import action_space
from sim.envs.task import Task

F32 = NDArray[np.float32]


class DrivingVecEnv(VecEnv):
    """W worlds of one task; worlds that end are reset within the step.

    Their info then holds "terminal_observation", "TimeLimit.truncated", "episode" (r, l, t as SB3's Monitor writes) and
    "report" (see DrivingBatch.report), so that no wrapper is needed.
    """

    def __init__(self, task: Task, worlds: int, seed: int = 0, render_mode: str | None = None) -> None:
        if worlds < 1:
            raise UserError(f"worlds: {worlds} is less than 1")
        self.render_mode = render_mode
        self.task = task
        self.batch = DrivingBatch(task, worlds, seed)
        self.observer = Observer(task)
        super().__init__(worlds, self.observer.space, action_space())
        self.seed(seed)
        self._actions: F32 = np.zeros((worlds, 2), np.float32)
        self._started = time.perf_counter()
        self._plain: list[dict[str, Any]] = [{} for _ in range(worlds)]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """World i gets the seed + i with the next reset."""
        start = int(np.random.default_rng().integers(2**30)) if seed is None else seed
        seeds = start + np.arange(self.num_envs, dtype=np.int64)
        self.batch.seed(seeds)
        return [int(s) for s in seeds]

    def reset(self) -> VecEnvObs:
        """Start all worlds."""
        self._reset_seeds()
        self.batch.reset()
        return self.observer.all(self.batch)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions [W, 2] for step_wait."""
        self._actions = np.asarray(actions, np.float32)

    def step_wait(self) -> VecEnvStepReturn:
        """Advance all worlds by dt and reset those that end."""
        batch = self.batch
        batch.step(self._actions)
        reward, done = batch.reward.copy(), batch.terminated | batch.truncated
        infos = self._plain
        if done.any():
            infos, last = list(infos), self.observer.all(batch)
            for w in map(int, np.flatnonzero(done)):
                report = batch.report(w)
                infos[w] = {
                    "terminal_observation": one(last, w),
                    "TimeLimit.truncated": bool(batch.truncated[w]),
                    "episode": {
                        "r": report["return"],
                        "l": report["steps"],
                        "t": round(time.perf_counter() - self._started, 6),
                    },
                    "report": report,
                }
            batch.reset(done)
        return self.observer.all(batch), reward, done, infos

    def close(self) -> None:
        """Nothing is held outside memory."""

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Bird's-eye pictures of at most 16 worlds."""
        return [self.batch.picture(w) for w in range(min(self.num_envs, 16))]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The same for all worlds: an attribute of this object."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of this object, which all worlds share."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the batch with each world's index first."""
        method = getattr(self.batch, method_name)
        return [method(w, *args, **kwargs) for w in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """No world is wrapped; but each already reports its episodes, as Monitor would."""
        from stable_baselines3.common.monitor import Monitor

        return [wrapper_class is Monitor for _ in self._get_indices(indices)]
