"""A small perception training in a run's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from clipping import ClipConfig
from perception.config import DataConfig, ModelConfig, PerceptionConfig
from perception.train import train
from throttle.runs import Run
from throttle.tracking import Tracker, TrackingConfig
from training import Result, TrainConfig


class Quiet:
    def update(self, step: int, total: int, **figures: float) -> None:
        assert 0 <= step <= total


def config(data: Path, clip: ClipConfig | None = None, model: dict[str, Any] | None = None,
           **changes: Any) -> PerceptionConfig:  # fmt: skip
    base: dict[str, Any] = {"steps": 6, "batch": 4, "lr": 3e-3, "warmup": 3, "threads": 1, "accelerator": "cpu",
                            "checkpoint_every": 2, "log_every": 2}  # fmt: skip
    plain = DataConfig(str(data), width=192, height=96)
    small = {"channels": [8, 16, 16, 24, 32], "neck": 16, **(model or {})}
    clip = clip or ClipConfig("global_norm", threshold=10.0, subsystem="perception")
    return PerceptionConfig(data=plain, model=ModelConfig(**small), clip=clip, train=TrainConfig(**{**base, **changes}))


def plain(settings: PerceptionConfig) -> PerceptionConfig:
    """Without augmentation."""
    return replace(settings, data=replace(settings.data, flip=0.0, zoom=0.0, jitter=0.0, gamma=0.0, blur=0.0))


def run_training(path: Path, settings: PerceptionConfig, resume: bool = False, stop: Any = None) -> Result:
    run = Run.resume(path) if resume else Run.create_at(path, "perception", settings)
    tracker = Tracker(run, TrackingConfig(wandb="disabled", tensorboard=False), "perception", settings)
    try:
        result = train(settings, run, tracker, Quiet(), resume, stop or (lambda: False))
        run.finish(result.state, result.message, result.step)
    finally:
        tracker.close()
    return result
