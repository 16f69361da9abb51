"""Every Python block of docs/clipping.md and docs/clipping-checks.md runs as it stands, and clips."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from clipping import GradientClipper
from clipping.flat import FlatParameters
from clipping.testing import audit

PAGES = Path(__file__).parents[2] / "docs"
Names = dict[str, Any]


def blocks(page: str) -> dict[str, str]:
    """The last heading before each Python block -> its code."""
    parts = re.findall(r"^#+ ([^\n]+)$|```python\n(.*?)```", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)
    found, heading = {}, ""
    for title, code in parts:
        heading = title or heading
        if code:
            assert heading not in found
            found[heading] = code
    return found


def regression() -> Names:
    """What the blocks take for granted: a model, its data, its optimiser and one loss."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(16, 6)
    y = x.sum(1, keepdim=True) * 30
    return {
        "torch": torch,
        "GradientClipper": GradientClipper,
        "model": model,
        "x": x,
        "y": y,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
        "loss": nn.functional.mse_loss(model(x), y),
    }


def steps(names: Names, count: int = 1) -> None:
    """Train on; the optimiser is the one that the block made."""
    for _ in range(count):
        nn.functional.mse_loss(names["model"](names["x"]), names["y"]).backward()
        names["optimizer"].step()


def check_plain(code: str, tmp_path: Path) -> None:
    names = regression()
    exec(code, names)
    assert len(names["clipper"].drain()) == 1
    assert names["model"][0].weight.grad is None


def check_opening(code: str, tmp_path: Path) -> None:
    names = regression()
    with audit(1.0):
        exec(code.replace("...", "loss.backward(); optimizer.step()"), names)


def check_scaler(code: str, tmp_path: Path) -> None:
    names = regression()
    names["scaler"] = torch.amp.GradScaler("cpu", init_scale=1024.0)
    exec(code, names)
    (record,) = names["clipper"].drain()
    assert record["norm_after"] == pytest.approx(1.0)
    assert 1.0 < record["norm"] < 1000  # not that of the scaled gradient


def check_lightning(code: str, tmp_path: Path) -> None:
    names: Names = {"torch": torch}
    exec(code, names)

    class Model(lightning.LightningModule):
        configure_optimizers = names["configure_optimizers"]

        def __init__(self) -> None:
            super().__init__()
            self.net, self.clipper = nn.Linear(4, 2), GradientClipper("global_norm", threshold=0.25)

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            return (100 * self.net(batch[0]) - 1).square().mean()

    with audit(0.25) as seen:
        trainer(tmp_path).fit(Model(), DataLoader(TensorDataset(torch.randn(24, 4)), batch_size=8))
    assert len(seen.steps) == 3


def trainer(folder: Path, **options: Any) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, **options,
    )  # fmt: skip


def check_sb3(code: str, tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, n_epochs=2, seed=0, device="cpu", max_grad_norm=100.0)
    with audit(0.5):
        exec(code, {"GradientClipper": GradientClipper, "model": model, "total_timesteps": 64})


def check_distributed(code: str, tmp_path: Path) -> None:
    from torch.distributed.fsdp import fully_shard

    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        names = regression() | {"fully_shard": fully_shard, "clipper": GradientClipper("global_norm", threshold=0.5)}
        mesh = torch.distributed.init_device_mesh("cpu", (1,))  # type: ignore[attr-defined]
        names["fully_shard"] = lambda model: fully_shard(model, mesh=mesh)
        exec(code, names)
        with audit(0.5) as seen:
            steps(names, 2)
        assert len(seen.steps) == 2
    finally:
        torch.distributed.destroy_process_group()


def check_per_sample(code: str, tmp_path: Path) -> None:
    names = regression()
    exec(code, names)
    (record,) = names["clipper"].drain()
    assert 0.0 < record["norm"] <= 1.0  # a mean of gradients that are each at most 1 long


def check_flat(code: str, tmp_path: Path) -> None:
    names = regression() | {"FlatParameters": FlatParameters, "clipper": GradientClipper("global_norm", threshold=0.5)}
    exec(code, names)
    with audit(0.5) as seen:
        steps(names)
        names["flat"].check()
    assert len(seen.steps) == 1


def check_groups(code: str, tmp_path: Path) -> None:
    names = regression()
    head = nn.ModuleDict({"body": nn.Linear(6, 8), "head": nn.Linear(8, 1)})
    names |= {"model": head, "optimizer": torch.optim.SGD(head.parameters(), lr=0.1)}
    exec(code, names)
    for p in head.parameters():
        p.grad = torch.ones_like(p)
    names["optimizer"].step()
    assert float(head["head"].weight.grad.max()) == pytest.approx(0.1)


def check_telemetry(code: str, tmp_path: Path) -> None:
    import wandb

    names = regression()
    names["run"] = wandb.init(mode="offline", dir=tmp_path, project="clip", settings=wandb.Settings(silent=True))
    try:
        exec(code, names)
        names["clipper"].attach(names["optimizer"])
        steps(names, 3)
        names["clipper"].close()
        assert names["run"].summary["clip/planning/step"] == 3
    finally:
        names["run"].finish()
    assert len((tmp_path / "runs/7/clip_planning.csv").read_text().splitlines()) == 4


def check_loop(code: str, tmp_path: Path) -> None:
    def train(model: nn.Module, optimizer: Any, clip: float, loss_scale: float, steps: int) -> None:
        x = torch.randn(8, 6)
        for _ in range(steps):
            optimizer.zero_grad()
            (loss_scale * model(x).square().mean()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1e30 if clip == float("inf") else clip)
            optimizer.step()

    names = {"torch": torch, "MyModel": lambda: nn.Linear(6, 1), "train": train}
    exec(code, names)
    with pytest.raises(AssertionError, match="does not clip"):
        exec(code, names | {"train": lambda *a, **k: train(*a, **{**k, "clip": float("inf")})})


def check_audit(code: str, tmp_path: Path) -> None:
    class Model(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(4, 2)

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            return (100 * self.net(batch[0]) - 1).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters())

        def train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(TensorDataset(torch.randn(24, 4)), batch_size=8)

    exec(code, {"trainer": trainer(tmp_path, gradient_clip_val=0.5), "model": Model()})
    with pytest.raises(AssertionError, match="3 of 3 steps broke"):
        exec(code, {"trainer": trainer(tmp_path), "model": Model()})


def check_overfits(code: str, tmp_path: Path) -> None:
    names = regression()
    model, optimizer = names["model"], torch.optim.Adam(names["model"].parameters(), lr=0.03)
    batch = (names["x"], names["y"] / 30)

    def train_one_step(batch: Any) -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss

    exec(code, {"train_one_step": train_one_step, "batch": batch})


CHECKS: dict[str, dict[str, Callable[[str, Path], None]]] = {
    "clipping.md": {
        "Clipping": check_opening,
        "Plain loop": check_plain,
        "GradScaler": check_scaler,
        "Lightning": check_lightning,
        "Stable-Baselines3 and sb3-contrib": check_sb3,
        "DistributedDataParallel": check_distributed,
        "FSDP2": check_distributed,
        "Per-sample clipping": check_per_sample,
        "A small network in flat buffers": check_flat,
        "Groups": check_groups,
        "Telemetry": check_telemetry,
    },
    "clipping-checks.md": {
        "A loop of your own: `assert_clips`": check_loop,
        "Any run, any optimiser: `audit`": check_audit,
        "Softmax before a loss that expects logits: `assert_overfits`": check_overfits,
    },
}


@pytest.mark.parametrize("page", CHECKS)
def test_every_block_is_checked(page: str) -> None:
    assert list(blocks(page)) == list(CHECKS[page])


@pytest.mark.parametrize(("page", "heading"), [(page, h) for page, checks in CHECKS.items() for h in checks])
def test_the_block_runs_and_clips(page: str, heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CHECKS[page][heading](blocks(page)[heading], tmp_path)
