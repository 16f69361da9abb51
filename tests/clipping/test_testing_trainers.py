"""The audit on loops that other libraries own: Lightning's automatic optimisation and Stable-Baselines3's PPO."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from clipping import GradientClipper
from clipping.testing import assert_clips, audit


def fit(folder: Path, threshold: float, scale: float = 1.0, own: bool = False, lr: float = 0.1) -> None:
    """Three Lightning steps under plain SGD; clipped by Lightning itself (own) or by our clipper."""
    import lightning

    class Model(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Linear(4, 2)

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            return scale * (self.net(batch[0]) - 1).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            optimizer = torch.optim.SGD(self.parameters(), lr=lr)
            if not own:
                GradientClipper(threshold=threshold).attach(optimizer)
            return optimizer

    torch.manual_seed(0)
    model, data = Model(), TensorDataset(torch.randn(24, 4))
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder,
        gradient_clip_val=threshold if own and not math.isinf(threshold) else None,
    )  # fmt: skip
    trainer.fit(model, DataLoader(data, batch_size=8))


@pytest.mark.parametrize("own", [False, True])
def test_lightning_loops_pass(own: bool, tmp_path: Path) -> None:
    with audit(0.25) as seen:
        fit(tmp_path, 0.25, 1e3, own)
    assert len(seen.steps) == 3
    assert_clips(lambda threshold, scale: fit(tmp_path, threshold, scale, own), 0.25)


def test_a_lightning_loop_without_clipping_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="3 of 3 steps broke"), audit(0.25):
        fit(tmp_path, math.inf, 1e3)


@pytest.mark.parametrize("own", [False, True])
def test_sb3_loops_pass_and_without_clipping_are_caught(own: bool) -> None:
    from stable_baselines3 import PPO

    def learn(threshold: float) -> None:
        model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, n_epochs=2, seed=0, device="cpu",
                    max_grad_norm=threshold if own else math.inf)  # fmt: skip
        if not own:
            GradientClipper(threshold=threshold).attach(model.policy.optimizer)
        model.learn(64)

    with audit(0.5) as seen:
        learn(0.5)
    assert len(seen.steps) == 2
    with pytest.raises(AssertionError, match="2 of 2 steps broke"), audit(0.5):
        learn(5.0)
