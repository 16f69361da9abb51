"""A network of your own in the training loop that perception and planning share: clipping, W&B, resume, early stop.

python examples/own_network.py runs/own-network            # a kill is no harm:
python examples/own_network.py runs/own-network --resume
"""

from __future__ import annotations

import sys
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


class Waves(Dataset[tuple[Tensor, Tensor]]):
    """A data set is indexed by Draw: which sample, and the seed of its augmentation (None in validation)."""

    def __len__(self) -> int:
        return 512

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        x = torch.tensor([draw.item / 512.0])
        if draw.seed is not None:
            x = x + 0.002 * torch.randn(1, generator=torch.Generator().manual_seed(draw.seed))
        return x, torch.sin(12.0 * x)


class Net(training.Module):
    """Losses by name in training_step ("loss" is minimised); figures of the whole validation set at once."""

    monitor = "error"
    higher_is_better = False

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))

    def training_step(self, batch: Any, number: int) -> dict[str, Tensor]:
        """A batch's loss."""
        x, y = batch
        return {"loss": (self.body(x) - y).square().mean()}

    def validation_step(self, batch: Any, number: int) -> Any:
        """What validation_figures needs of a batch."""
        x, y = batch
        return (self.body(x) - y).square().flatten().tolist()

    def validation_figures(self, results: list[Any]) -> dict[str, float]:
        """The best of `monitor` is kept as best.pt."""
        every = [error for part in results for error in part]
        return {"error": sum(every) / len(every)}


class Silent:
    """Where progress is told; throttle.progress.ProgressBar draws it."""

    def update(self, step: int, total: int, **figures: float) -> None:
        """Nothing."""


def main(folder: str, resume: bool = False) -> str:
    """Train in a folder; returns finished, stopped or diverged."""
    training.seed_all(0)
    config = TrainConfig(steps=200, batch=64, lr=0.02, warmup=10, threads=1, accelerator="cpu", validate_every=50,
                         checkpoint_every=50, log_every=20)  # fmt: skip
    run = Run.resume(Path(folder)) if resume else Run.create_at(Path(folder), "own", config)
    tracker = Tracker(run, TrackingConfig(wandb="disabled"), "own", config)
    clip = ClipConfig("global_norm", threshold=0.5, subsystem="own")
    try:
        data = training.Data(Waves(), Waves())
        result = training.fit(Net(), data, config, clip, run, tracker, Silent(), seed=0, resume=resume)
        run.finish(result.state, result.message, result.step)
    finally:
        tracker.close()
    print(f"{result.state} at step {result.step}; every update is a row of {folder}/clip_own.csv")
    return result.state


if __name__ == "__main__":
    main(sys.argv[1], resume="--resume" in sys.argv)
