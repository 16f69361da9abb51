"""A small regression with dropout and augmentation: enough of a training to see whether it goes on exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import training
from clipping import ClipConfig
from throttle.runs import Run
from throttle.tracking import Tracker, TrackingConfig
from training import Draw, TrainConfig


class Points(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, samples: int = 40, seed: int = 0, bad: int = -1) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(samples, 6, generator=generator)
        self.y = self.x[:, :1] * 2 - self.x[:, 1:2]
        self.bad = bad

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        x, y = self.x[draw.item], self.y[draw.item]
        if draw.seed is not None:
            x = x + 0.01 * torch.randn(6, generator=torch.Generator().manual_seed(draw.seed))
        return (x * float("nan") if draw.item == self.bad else x), y


class Net(training.Module):
    monitor = "error"
    higher_is_better = False

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout))
        self.head = nn.Linear(16, 1)

    def training_step(self, batch: Any, number: int) -> dict[str, Tensor]:
        x, y = batch
        loss = ((self.head(self.body(x)) - y) ** 2).mean()
        return {"loss": loss, "root": loss.sqrt()}

    def validation_step(self, batch: Any, number: int) -> Any:
        x, y = batch
        return ((self.head(self.body(x)) - y) ** 2).flatten().tolist()

    def validation_figures(self, results: list[Any]) -> dict[str, float]:
        every = [e for part in results for e in part]
        return {"error": sum(every) / len(every), "samples": float(len(every))}


class Quiet:
    def update(self, step: int, total: int, **figures: float) -> None:
        assert 0 <= step <= total


def config(**changes: Any) -> TrainConfig:
    base: dict[str, Any] = {
        "steps": 12, "batch": 8, "lr": 0.05, "warmup": 2, "threads": 1, "accelerator": "cpu", "log_every": 2,
        "validate_every": 4, "checkpoint_every": 3,
    }  # fmt: skip
    return TrainConfig(**{**base, **changes})


def train(path: Path, resume: bool = False, clip: ClipConfig | None = None, stop: Any = None, dropout: float = 0.1,
          points: Points | None = None, **changes: Any) -> tuple[training.Result, Net]:  # fmt: skip
    training.seed_all(3)
    module = Net(dropout)
    settings = config(**changes)
    run = Run.resume(path) if resume else Run.create_at(path, "toy", settings)
    tracker = Tracker(run, TrackingConfig(wandb="disabled", tensorboard=False), "toy", settings)
    try:
        data = training.Data(points or Points(), Points(11, seed=1))
        clipping = clip or ClipConfig("global_norm", threshold=0.5, subsystem="toy")
        result = training.fit(
            module, data, settings, clipping, run, tracker, Quiet(), seed=5, resume=resume, stop=stop or (lambda: False)
        )
        run.finish(result.state, result.message, result.step)
    finally:
        tracker.close()
    return result, module
