"""Comparisons of seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from control.backprop import BackpropConfig
from control.config import ControlConfig, EnvConfig, NetConfig, PPOConfig
from throttle.compare.comparison import Comparison
from throttle.compare.config import ControlComparison
from throttle.runs import Run
from throttle.tracking import TrackingConfig

QUIET = TrackingConfig(wandb="disabled", tensorboard=False)


def design(**changes: Any) -> ControlComparison:
    """PPO on CartPole, two arms, two seeds."""
    control = ControlConfig(
        total_steps=changes.pop("total_steps", 512),
        checkpoint_every=changes.pop("checkpoint_every", 256),
        env=EnvConfig(id="CartPole-v1", worlds=4),
        net=NetConfig(hidden=[16]),
        ppo=PPOConfig(n_steps=16, batch_size=32, n_epochs=2, learning_rate=changes.pop("learning_rate", 1e-3)),
        numba_threads=1,
    )
    options: dict[str, Any] = {
        "arms": "none,global_norm=0.05", "seeds": [0, 1], "episodes": 4, "video_seconds": 0, "jobs": 2,
        "control": control, "backprop": BackpropConfig(updates=6, horizon=8, batch=4, hidden=[8]),
    }  # fmt: skip
    return ControlComparison(**{**options, **changes})


def begin(folder: Path, made: ControlComparison) -> Comparison:
    """The comparison in its folder."""
    if (folder / "status.json").exists():
        return Comparison(made, Run.resume(folder), QUIET)
    return Comparison(made, Run.create_at(folder, "comparison", made), QUIET)


def silent(name: str, step: int, total: int, figures: dict[str, float]) -> None:
    """Progress that nobody watches."""


def result(folder: Path, name: str) -> dict[str, Any]:
    """What a run left."""
    found: dict[str, Any] = json.loads((folder / name / "result.json").read_text())
    return found
