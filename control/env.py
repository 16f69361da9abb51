"""The environments that a policy trains and is evaluated in, and their state for a checkpoint."""

from __future__ import annotations

import logging
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
from control.state import Opaque, arrays_of, environment_state, set_arrays, set_environment

LOUD = 50.0  # how many times too large a glitch makes an observation
log = logging.getLogger(__name__)


def is_driving(id: str) -> bool:
    """An id, or module:id, of a driving task: one of ours or one that the module registers with `sim.envs`."""
    if ":" not in id:
        return id.startswith("throttle/")
    from sim.envs import TASKS, find_task

    return find_task(id) in TASKS


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
    if is_driving(config.id):
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


def make_training_env(config: EnvConfig, seed: int) -> VecEnv:
    """The environments that a training sees: with sensor glitches, where it is to have them."""
    env = make_env(config, seed)
    return Glitches(env, config.glitches, seed) if config.glitches else env


def _is_own(env: VecEnv) -> bool:
    return hasattr(env, "batch") and hasattr(env.batch, "world")


def save_state(env: VecEnv) -> dict[str, Any]:
    """Everything that the environments' future depends on; empty parts where an environment cannot be copied."""
    state: dict[str, Any] = {}
    if isinstance(env, Glitches):
        state["glitches"] = env.steps
    normalizer = unwrap_vec_normalize(env)
    if normalizer is not None:
        state["normalizer"] = normalizer_state(normalizer)
    inner: Any = env.unwrapped
    if _is_own(inner):
        batch = inner.batch
        state["own"] = {"world": list(batch.world.snapshot()), "batch": arrays_of(batch), "task": arrays_of(batch.task)}
    elif isinstance(inner, DummyVecEnv):
        try:
            state["envs"] = [environment_state(single) for single in inner.envs]
        except Opaque as error:
            log.info("the environment cannot be saved (%s): a resumed run begins new episodes", error)
        monitor = _monitor(env)
        if "envs" in state and monitor is not None:
            state["monitor"] = (monitor.episode_returns, monitor.episode_lengths)
    return state


def load_state(env: VecEnv, state: dict[str, Any]) -> bool:
    """Return to a saved state. False where the environments must be reset, because they could not be saved."""
    if isinstance(env, Glitches):
        env.steps = state["glitches"]
    normalizer = unwrap_vec_normalize(env)
    if normalizer is not None:
        set_normalizer(normalizer, state["normalizer"])
    inner: Any = env.unwrapped
    if "own" in state:
        batch = inner.batch
        batch.reset()  # the task makes its scenario's objects; all that they hold is set below
        batch.world.restore(state["own"]["world"])
        set_arrays(batch, state["own"]["batch"])
        set_arrays(batch.task, state["own"]["task"])
        batch.world.observe()
        batch.task.after_observe(batch)
        return True
    if "envs" in state:
        for single, saved in zip(inner.envs, state["envs"]):
            set_environment(single, saved)
        monitor = _monitor(env)
        if monitor is not None and "monitor" in state:
            monitor.episode_returns, monitor.episode_lengths = state["monitor"]
        return True
    return False


def normalizer_state(normalizer: VecNormalize) -> dict[str, Any]:
    """The running means of a normalisation, and the last step that it saw."""
    names = ("returns", "old_reward", "old_obs")
    state = {name: getattr(normalizer, name) for name in names if hasattr(normalizer, name)}
    for name in ("obs_rms", "ret_rms"):
        if hasattr(normalizer, name):
            rms = getattr(normalizer, name)
            state[name] = {"mean": rms.mean, "var": rms.var, "count": float(rms.count)}
    return state


def set_normalizer(normalizer: VecNormalize, state: dict[str, Any]) -> None:
    """Return to what `normalizer_state` gave."""
    for name, value in state.items():
        if name in ("obs_rms", "ret_rms"):
            vars(getattr(normalizer, name)).update(value)
        else:
            setattr(normalizer, name, value)


def _monitor(env: VecEnv) -> VecMonitor | None:
    layer: Any = env
    while isinstance(layer, VecEnvWrapper):
        if isinstance(layer, VecMonitor):
            return layer
        layer = layer.venv
    return None
