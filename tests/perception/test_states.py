"""States of lights are learned and told with regard to how frequent they are, by layers that leave the rest alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from perception.centre import CentreNet
from perception.classes import CLASSES, LIGHT, STATES
from perception.config import DataConfig, ModelConfig
from perception.data import Frames
from perception.heatmap import EVEN, decode, losses, state_losses
from training import Draw

GREEN, RED, OFF = (STATES.index(name) for name in ("green", "red", "off"))
SHARES = [0.1, 0.0, 0.6, 0.0, 0.3]


def maps(**logits: float) -> dict[str, torch.Tensor]:
    """A light in the middle of a picture, its state's logits by name, -9 else."""
    channels = {"heat": len(CLASSES), "box": 4, "depth": 1, "heading": 2, "state": len(STATES), "sign": 3, "binding": 1,
                "stop": 1}  # fmt: skip
    found = {name: torch.zeros(1, count, 8, 8) for name, count in channels.items()}
    found["heat"] -= 9.0
    found["heat"][0, LIGHT, 4, 4] = 3.0
    found["state"] -= 9.0
    for name, value in logits.items():
        found["state"][0, STATES.index(name), 4, 4] = value
    return found


def told(shares: list[float] | None, **logits: float) -> int:
    usual = None if shares is None else torch.tensor(shares)
    (state,) = decode(maps(**logits), 0, 100.0, shares=usual)["state"].tolist()
    return int(state)


def test_a_state_that_no_light_had_is_not_told() -> None:
    assert told(None, red=1.0, off=2.0) == OFF
    assert told(SHARES, red=1.0, off=2.0) == RED
    assert told(SHARES, green=1.1, red=1.0, off=2.0) == GREEN, "of the others the greatest"


def test_the_loss_expects_rare_states_rarely() -> None:
    logits = [0.3, -1.0, 0.7, 2.0, -0.4]
    weights = [share**EVEN * math.exp(logit) for share, logit in zip(SHARES, logits)]
    by_hand = [-math.log(weights[k] / sum(weights)) for k in (GREEN, RED)]
    wanted = torch.tensor([GREEN, RED, OFF, -1])
    shares, weight = torch.tensor(SHARES), torch.tensor([0.5, 2.0, 1.0, 1.0])
    rows = torch.tensor([logits] * 4, requires_grad=True)
    values, counted = state_losses(rows, wanted, weight, shares)
    assert values[:2].tolist() == pytest.approx(by_hand, rel=1e-3)
    assert counted.tolist() == [0.5, 2.0, 0.0, 0.0], "no light to learn from is off, and the last is no light"
    (values * counted).sum().backward()
    assert rows.grad is not None
    assert rows.grad.isfinite().all()
    plain, counted = state_losses(rows, wanted, weight)
    assert plain[2].item() == pytest.approx(-2.0 + math.log(sum(map(math.exp, logits))), rel=1e-5)
    assert counted.tolist() == [0.5, 2.0, 1.0, 0.0]


def test_states_are_learned_by_layers_of_their_own(data: Path) -> None:
    frames = Frames(DataConfig(str(data), width=192, height=96), "train")
    item = next(k for k, rows in enumerate(frames.annotations) if any("state" in a for a in rows))
    sample = frames[Draw(item, None)]
    net = CentreNet(ModelConfig(channels=[8, 8, 8, 8, 8], neck=8), len(frames.signs))
    shares = torch.tensor(frames.light_shares())
    losses(net(sample.image[None]), [sample.target], shares)["state"].backward()
    moved = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved == {name for name, _ in net.named_parameters() if name.startswith("heads.state.")}
