"""PPO end to end: steps a second in our worlds against Stable-Baselines3's bound, an environment that costs nothing.

Same network, worlds, rollout, batch and epochs for both; the bound uses SB3's own gradient clip, ours the shared
clipper with its telemetry. Turns are interleaved in one run and compared as ratios.

    python benchmarks/ppo.py [--turns 5] [--env throttle/Urban-v0] [--numba_threads 2]
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # not this folder: a benchmark in it is called clipping
importlib.import_module("control")  # says how threads wait, before torch is imported

import numpy as np  # noqa: E402
from gymnasium import spaces  # noqa: E402
from stable_baselines3.common.base_class import BaseAlgorithm  # noqa: E402
from stable_baselines3.common.logger import Logger  # noqa: E402
from stable_baselines3.common.vec_env import VecEnv  # noqa: E402

from clipping import ClipConfig  # noqa: E402
from control.config import ControlConfig, EnvConfig, PPOConfig  # noqa: E402
from control.env import make_env  # noqa: E402
from control.model import attach_clipping, build, set_threads  # noqa: E402


class FreeEnv(VecEnv):
    """Observations that were drawn beforehand: nothing is simulated, nothing ends."""

    def __init__(self, worlds: int, observation: spaces.Space, action: spaces.Space) -> None:
        super().__init__(worlds, observation, action)
        self._obs = np.random.default_rng(0).uniform(-1, 1, (4, worlds, *observation.shape)).astype(np.float32)  # type: ignore[misc]
        self._reward = np.zeros(worlds, np.float32)
        self._dones = np.zeros(worlds, np.bool_)
        self._infos: list[dict[str, Any]] = [{} for _ in range(worlds)]
        self._step = 0

    def reset(self) -> Any:
        """The first observations."""
        return self._obs[0].copy()

    def step_async(self, actions: Any) -> None:
        """Actions change nothing."""

    def step_wait(self) -> Any:
        """The next observations, as a copy, which SB3 needs."""
        self._step += 1
        return self._obs[self._step % 4].copy(), self._reward, self._dones, self._infos

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Nothing is random."""
        return [None] * self.num_envs

    def close(self) -> None:
        """Nothing is held."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """SB3 asks for the render mode."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set on the whole."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """There is no method."""
        raise AttributeError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Said to be monitored, so that SB3 adds no wrapper."""
        return [True] * self.num_envs


def turn(model: BaseAlgorithm, rollouts: int, size: int) -> float:
    """Steps a second over some rollouts with their updates."""
    began = time.perf_counter()
    model.learn(rollouts * size, reset_num_timesteps=False, log_interval=1_000_000)
    return rollouts * size / (time.perf_counter() - began)


def simulate(env: VecEnv, steps: int) -> float:
    """Steps a second of the environment alone, with actions drawn beforehand."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (8, env.num_envs, *env.action_space.shape)).astype(np.float32)  # type: ignore[misc]
    env.reset()
    began = time.perf_counter()
    for i in range(steps):
        env.step(actions[i % 8])
    return steps * env.num_envs / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="throttle/Urban-v0")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rollouts", type=int, default=6, help="rollouts in a turn")
    parser.add_argument("--worlds", type=int, default=256)
    parser.add_argument("--numba_threads", type=int, default=2)
    options = parser.parse_args()
    config = ControlConfig(
        env=EnvConfig(id=options.env, worlds=options.worlds),
        ppo=PPOConfig(n_steps=64, batch_size=4096, n_epochs=4),
        clip=ClipConfig(subsystem="control", threshold=0.5),
        numba_threads=options.numba_threads,
    )
    set_threads(config)
    size = config.env.worlds * config.ppo.n_steps
    world = make_env(config.env, 0)
    free = FreeEnv(config.env.worlds, world.observation_space, world.action_space)
    ours, bound = build(config, world), build(config, free)
    clippers = attach_clipping(ours, config)
    bound.max_grad_norm = 0.5  # type: ignore[attr-defined]
    for model in (ours, bound):
        model.set_logger(Logger(folder=None, output_formats=[]))
        turn(model, 1, size)  # compiles and warms caches
    found: dict[str, list[float]] = {"bound": [], "ours": [], "world alone": []}
    alone = make_env(config.env, 1)
    for _ in range(options.turns):
        found["bound"].append(turn(bound, options.rollouts, size))
        found["ours"].append(turn(ours, options.rollouts, size))
        found["world alone"].append(simulate(alone, 64))
        for clipper in clippers.values():
            clipper.drain()
    print(f"{options.env}, {config.env.worlds} worlds x {config.ppo.n_steps} steps, batch 4096, 4 epochs, 64x64 net, ")
    print(f"torch 1 thread, Numba {options.numba_threads}; median of {options.turns} interleaved turns")
    for name, values in found.items():
        print(f"{name:<12} {statistics.median(values):>9,.0f} steps/s  ({min(values):,.0f} to {max(values):,.0f})")
    ratios = [a / b for a, b in zip(found["ours"], found["bound"])]
    print(f"ours / bound {statistics.median(ratios):>9.2f}          ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
