"""Small configurations and the parts that a training needs, without a command line."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipping import ClipConfig
from control.config import ControlConfig, EnvConfig, NetConfig, OffPolicyConfig, PPOConfig, RecurrentPPOConfig
from control.train import Result, train
from throttle.runs import Run
from throttle.tracking import Tracker, TrackingConfig

QUIET = TrackingConfig(wandb="disabled", tensorboard=False)
DISCRETE = {"ppo", "a2c", "recurrent_ppo"}


class Silent:
    """Progress that nobody watches."""

    def update(self, step: int, total: int, **figures: float) -> None:
        """Nothing."""


def small(algorithm: str, **changes: Any) -> ControlConfig:
    """A training of seconds: CartPole, or Pendulum for algorithms with continuous actions."""
    config = ControlConfig(
        name=f"test-{algorithm}",
        algorithm=algorithm,  # type: ignore[arg-type]
        total_steps=changes.pop("total_steps", 600),
        env=EnvConfig(id="CartPole-v1" if algorithm in DISCRETE else "Pendulum-v1", worlds=4),
        net=NetConfig(hidden=[16]),
        clip=ClipConfig(subsystem="control", threshold=changes.pop("threshold", 0.05)),
        ppo=PPOConfig(n_steps=16, batch_size=32, n_epochs=2),
        recurrent_ppo=RecurrentPPOConfig(n_steps=16, batch_size=32, n_epochs=2, lstm_size=8),
        numba_threads=1,
        **changes,
    )
    part = config.settings
    if isinstance(part, OffPolicyConfig):
        part.learning_starts, part.batch_size, part.gradient_steps, part.buffer_size = 100, 32, 1, 5000
    return config


def run_training(
    folder: Path, config: ControlConfig, resume: bool = False, stop: Callable[[], bool] = lambda: False
) -> Result:
    """Train in `folder` with real run and tracking objects."""
    run = Run.resume(folder) if resume else Run.create_at(folder, "control", config, config.total_steps)
    tracker = Tracker(run, QUIET, "control", config)
    result = train(config, run, tracker, Silent(), resume, stop)
    tracker.close()
    run.finish(result.state, result.message, result.step)
    return result


def after(calls: int) -> Callable[[], bool]:
    """A stop that is asked for at the `calls`-th question."""
    counter = itertools.count(1)
    return lambda: next(counter) >= calls
