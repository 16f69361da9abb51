"""What the planner is held to: the expert's path and speeds, and where the objects went."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from contracts.plan import SPEED_PERIOD, SPEED_STEPS
from planning.config import LossConfig
from planning.data import Examples
from planning.model import ACCELERATIONS, Output
from planning.scenes import SPEED


def two_hot(value: Tensor, classes: Tensor) -> Tensor:
    """Values [...] as weights of the classes [K] (ascending): shared between the two neighbours, so the mean is exact.

    Values outside the classes' range count as the nearest class. Returns [..., K].
    """
    value = value.clamp(float(classes[0]), float(classes[-1])).contiguous()
    high = torch.searchsorted(classes, value).clamp(1, len(classes) - 1)
    low = high - 1
    share = (value - classes[low]) / (classes[high] - classes[low])
    one_hot = functional.one_hot
    return one_hot(low, len(classes)) * (1.0 - share)[..., None] + one_hot(high, len(classes)) * share[..., None]


def losses(output: Output, wanted: Examples, config: LossConfig) -> dict[str, Tensor]:
    """The terms, means over the batch, and "loss", their weighted sum.

    path: smooth L1 of the points, metres. speed: cross-entropy against the two-hot acceleration plus the smooth
    L1 of the mean speeds; for values the latter alone. forecast: smooth L1 over the objects whose future was seen.
    """
    terms = {"path": functional.smooth_l1_loss(output.path, wanted.path)}
    regression = functional.smooth_l1_loss(output.speed, wanted.speed)
    if output.logits is None:
        terms["speed"] = regression
    else:
        device = output.logits.device
        times = SPEED_PERIOD * torch.arange(1, SPEED_STEPS + 1, device=device)
        acceleration = (wanted.speed - wanted.scenes.ego[:, SPEED : SPEED + 1]) / times
        target = two_hot(acceleration, torch.tensor(ACCELERATIONS, device=device))
        terms["speed"] = -(target * output.logits.log_softmax(-1)).sum(-1).mean() + regression
    if output.future is not None:
        index = output.chosen[..., None].expand(-1, -1, wanted.known.shape[2])
        there = wanted.scenes.kind.gather(1, output.chosen) >= 0
        seen = wanted.known.gather(1, index) & there[..., None]
        target = wanted.future.gather(1, index[..., None].expand(-1, -1, -1, 2))
        error = functional.smooth_l1_loss(output.future, target, reduction="none").sum(-1)
        terms["forecast"] = (error * seen).sum() / seen.sum().clamp_min(1)
    terms["loss"] = sum(getattr(config, name) * term for name, term in terms.items())  # type: ignore[assignment]
    return terms
