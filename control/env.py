"""The environments that a policy trains and is evaluated in, and their state for a checkpoint."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnv,
    VecEnvWrapper,
    VecMonitor,
    VecNormalize,
    unwrap_vec_normalize,
)
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from contracts import UserError
from control.config import EnvConfig

OWN = "throttle/"  # ids of our own environments begin so
LOUD = 50.0  # how many times too large a glitch makes an observation
log = logging.getLogger(__name__)


def make_env(
    config: EnvConfig, seed: int, worlds: int | None = None, render_mode: str | None = None, **changes: Any
) -> VecEnv:
    """`worlds` (default: config.worlds) environments in one process, seeded seed, seed + 1, ...

    changes: arguments of the environment that differ from the configuration's.
    Raises UserError for an unknown id, an unknown argument, or an action space that is neither Box nor Discrete.
    """
    arguments: dict[str, Any] = {**config.arguments, **changes}
    count = config.worlds if worlds is None else worlds
    env: VecEnv
    if config.id.startswith(OWN):
        from sim.envs import make_sb3

        env = make_sb3(config.id, worlds=count, seed=seed, render_mode=render_mode, **arguments)
    else:

        def build() -> gymnasium.Env:
            return gymnasium.make(config.id, render_mode=render_mode, **arguments)

        try:
            env = VecMonitor(DummyVecEnv([build] * count))
        except (gymnasium.error.Error, TypeError, ModuleNotFoundError) as error:
            raise UserError(f"env.id {config.id}: {' '.join(str(error).split())}") from None
    if not isinstance(env.action_space, gymnasium.spaces.Box | gymnasium.spaces.Discrete):
        raise UserError(f"env.id {config.id}: its action is a {type(env.action_space).__name__}, not a Box or Discrete")
    env.seed(seed)
    if config.normalize:
        env = VecNormalize(env)
    return env


class Glitches(VecEnvWrapper):
    """Some of the observations arrive LOUD times too large; which ones depends on seed and step alone."""

    def __init__(self, env: VecEnv, share: float, seed: int) -> None:
        super().__init__(env)
        self.share, self.seed_of_glitches, self.steps = share, seed, 0

    def _spoilt(self, obs: VecEnvObs) -> VecEnvObs:
        assert isinstance(obs, np.ndarray)
        hit = np.random.default_rng((self.seed_of_glitches, self.steps)).random(len(obs)) < self.share
        self.steps += 1
        spoilt = obs.copy()
        spoilt[hit] *= LOUD
        return spoilt

    def reset(self) -> VecEnvObs:
        """Start all worlds."""
        return self._spoilt(self.venv.reset())

    def step_wait(self) -> VecEnvStepReturn:
        """Advance all worlds; rewards are those of the world as it is."""
        obs, rewards, dones, infos = self.venv.step_wait()
        return self._spoilt(obs), rewards, dones, infos


def _is_own(env: VecEnv) -> bool:
    return hasattr(env, "batch") and hasattr(env.batch, "world")


def _arrays(owner: object) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in vars(owner).items() if isinstance(value, np.ndarray)}


def save_state(env: VecEnv) -> bytes:
    """Everything that the environments' future depends on; empty parts where an environment cannot be copied."""
    state: dict[str, Any] = {}
    if isinstance(env, Glitches):
        state["glitches"] = env.steps
    normalizer = unwrap_vec_normalize(env)
    if normalizer is not None:
        names = ("obs_rms", "ret_rms", "returns", "old_reward", "old_obs")
        state["normalizer"] = {name: getattr(normalizer, name) for name in names if hasattr(normalizer, name)}
    inner = env.unwrapped
    if _is_own(inner):
        batch = inner.batch  # type: ignore[attr-defined]
        state["own"] = (batch.world.snapshot(), _arrays(batch), batch.task)
    elif isinstance(inner, DummyVecEnv) and not any(
        isinstance(single.unwrapped, gymnasium.utils.EzPickle) for single in inner.envs
    ):  # EzPickle would give back an environment that was never reset
        try:
            state["envs"] = pickle.dumps(inner.envs)
        except Exception as error:
            log.info("the environment cannot be saved (%s): a resumed run begins new episodes", error)
        monitor: Any = env
        while monitor is not inner and not isinstance(monitor, VecMonitor):
            monitor = monitor.venv
        if "envs" in state and isinstance(monitor, VecMonitor):
            state["monitor"] = (monitor.episode_returns, monitor.episode_lengths)
    return pickle.dumps(state)


def load_state(env: VecEnv, data: bytes) -> bool:
    """Return to a saved state. False where the environments must be reset, because they could not be saved."""
    state = pickle.loads(data)
    if isinstance(env, Glitches):
        env.steps = state["glitches"]
    normalizer = unwrap_vec_normalize(env)
    if normalizer is not None:
        vars(normalizer).update(state["normalizer"])
    inner: Any = env.unwrapped
    if "own" in state:
        snapshot, arrays, task = state["own"]
        inner.batch.world.restore(snapshot)
        vars(inner.batch).update(arrays)
        inner.task = inner.batch.task = task
        inner.batch.world.observe()
        task.after_observe(inner.batch)
        return True
    if "envs" in state:
        inner.envs = pickle.loads(state["envs"])
        monitor: Any = env
        while "monitor" in state and not isinstance(monitor, VecMonitor):
            monitor = monitor.venv
        if "monitor" in state:
            monitor.episode_returns, monitor.episode_lengths = state["monitor"]
        return True
    return False
