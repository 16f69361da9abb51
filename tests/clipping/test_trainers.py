"""Lightning and Stable-Baselines3 / sb3-contrib: the real trainers, one attach call each.

Every run is under an audit, which looks at what the optimisers really apply: it fails if nothing were clipped.
"""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any

import gymnasium
import lightning
import pytest
import torch
from sb3_contrib import QRDQN, TQC, TRPO, CrossQ, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from torch import Tensor, nn

from clipping import ClippingError, GradientClipper, attach_sb3
from clipping.testing import audit

TAU = 0.5


class Model(lightning.LightningModule):
    def __init__(self, manual: bool, fused: bool, attached: bool, strategy: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
        self.automatic_optimization = not manual
        self.fused, self.attached = fused, attached
        self.clipper = GradientClipper(strategy, None if strategy == "none" else TAU)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Any:
        loss = nn.functional.mse_loss(self.net(batch[0]), batch[1])
        if self.automatic_optimization:
            return loss
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        if not self.attached:
            self.clip_gradients(optimizer, TAU, "norm")
        optimizer.step()
        return None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01, fused=self.fused)
        if self.attached:
            self.clipper.attach(optimizer)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["clipper"] = self.clipper.state_dict()


def fit(
    precision: Any = "32-true",
    accumulate: int = 1,
    manual: bool = False,
    fused: bool = False,
    attached: bool = True,
    strategy: str = "global_norm",
) -> Model:
    model = Model(manual, fused, attached, strategy)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, 6, generator=generator)
    rows = torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True) * 10)
    own = TAU if not attached and not manual and not fused else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            precision=precision,
            accumulate_grad_batches=accumulate,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=own,
        )
        trainer.fit(model, torch.utils.data.DataLoader(rows, batch_size=8))
    return model


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


@pytest.mark.parametrize(
    ("fused", "manual", "accumulate", "precision"),
    [
        (False, False, 1, "32-true"),
        (True, False, 1, "32-true"),
        (False, True, 1, "32-true"),
        (True, True, 1, "32-true"),
        (False, False, 4, "32-true"),
        (True, False, 1, "bf16-mixed"),
        (True, False, 2, "16-mixed"),
        (False, False, 1, "16-mixed"),
    ],
)
def test_lightning(fused: bool, manual: bool, accumulate: int, precision: str) -> None:
    """As Lightning's own clipping trains, where it has one (it refuses fused optimisers under mixed precision)."""
    with audit(TAU) as seen:
        ours = fit(precision, accumulate, manual, fused)
    assert len(seen.steps) >= 16 // accumulate - 2
    records = ours.clipper.drain()
    # 16-mixed: a scaler skips updates that overflow; with an unfused optimiser the clipper does not see them.
    assert 16 // accumulate - 2 <= len(records) <= 16 // accumulate
    good = [r for r in records if not r["skipped"]]
    assert len(good) >= 3
    assert all(r["norm_after"] <= TAU * (1 + 1e-6) for r in good)
    assert all(1.0 < r["norm"] < 1e3 for r in good)  # of the true gradient, not the scaled one
    theirs = fit(precision, accumulate, manual, fused=False, attached=False)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(p, q, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("manual", [False, True])
def test_lightning_without_the_clipper_is_caught(manual: bool) -> None:
    with pytest.raises(AssertionError, match="16 of 16 steps broke"), audit(TAU):
        fit(manual=manual, strategy="none")


OFF = {"learning_starts": 20, "batch_size": 16, "buffer_size": 200}
DISCRETE: list[tuple[Any, dict[str, Any], set[str]]] = [
    (PPO, {"n_steps": 32, "batch_size": 16, "n_epochs": 2}, {"policy"}),
    (A2C, {}, {"policy"}),
    (DQN, OFF, {"policy"}),
    (QRDQN, OFF, {"policy"}),
    (TRPO, {"n_steps": 32, "batch_size": 16}, {"policy"}),
    (RecurrentPPO, {"n_steps": 32, "batch_size": 16, "n_epochs": 2}, {"policy"}),
    (MaskablePPO, {"n_steps": 32, "batch_size": 16, "n_epochs": 2}, {"policy"}),
]
CONTINUOUS: list[tuple[Any, dict[str, Any], set[str]]] = [
    (SAC, OFF, {"actor", "critic", "ent_coef"}),
    (TD3, OFF, {"actor", "critic"}),
    (DDPG, OFF, {"actor", "critic"}),
    (TQC, OFF, {"actor", "critic", "ent_coef"}),
    (CrossQ, OFF, {"actor", "critic", "ent_coef"}),
]


@pytest.mark.parametrize(("kind", "options", "names"), DISCRETE + CONTINUOUS, ids=lambda v: getattr(v, "__name__", ""))
def test_stable_baselines(kind: Any, options: dict[str, Any], names: set[str], tmp_path: Any) -> None:
    environment = gymnasium.make("CartPole-v1" if kind in [d[0] for d in DISCRETE] else "Pendulum-v1")
    policy = "MlpLstmPolicy" if kind is RecurrentPPO else "MlpPolicy"
    more = {"use_masking": False} if kind is MaskablePPO else {}  # (CartPole has no masks)
    model = kind(policy, environment, policy_kwargs={"net_arch": [16]}, seed=0, device="cpu", **options)
    old = getattr(model, "max_grad_norm", None)
    clippers = attach_sb3(
        model, lambda name: GradientClipper("global_norm", threshold=1e-3, subsystem=f"control/{name}")
    )
    assert set(clippers) == names
    with audit(1e-3) as seen:
        model.learn(64, **more)
    assert len({step.optimizer for step in seen.steps}) == len(names)
    for name, clipper in clippers.items():
        records = clipper.drain()
        assert records, name
        assert any(r["clipped"] for r in records)
    if old is not None:
        assert model.max_grad_norm == math.inf
        clippers.detach()
        assert model.max_grad_norm == old
        model.max_grad_norm = math.inf
    for handle in clippers.handles:
        handle.detach()
    with pytest.raises(AssertionError, match="broke the threshold"), audit(1e-3):
        model.learn(64, **more)
    model.save(tmp_path / "model")
    again = kind.load(tmp_path / "model", env=environment)
    assert set(attach_sb3(again, lambda name: GradientClipper("none"))) == names


def test_an_algorithm_without_optimisers_is_refused() -> None:
    with pytest.raises(ClippingError, match="object has no torch optimiser"):
        attach_sb3(object(), lambda name: GradientClipper("none"))
