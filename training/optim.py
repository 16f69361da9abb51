"""Optimisers by name, and the learning rate over the course of a training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import Module
from torch.optim import Optimizer

from training.config import TrainConfig


def parameter_groups(module: Module, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: those with weight decay, and biases and norms without."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    decayed, plain = [p for p in trainable if p.ndim > 1], [p for p in trainable if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def make_optimizer(groups: list[dict[str, Any]], config: TrainConfig, fused: bool | None = None) -> Optimizer:
    """The optimiser that `config` names; fused on request (then the clip folds into its pass)."""
    lr, name = config.lr, config.optimizer
    for group in groups:
        group["peak_lr"] = group.get("lr", lr)
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=lr, momentum=config.momentum)
    if name in ("sgd", "momentum"):
        return torch.optim.SGD(groups, lr=lr, momentum=config.momentum if name == "momentum" else 0.0, fused=fused)
    return (torch.optim.Adam if name == "adam" else torch.optim.AdamW)(groups, lr=lr, fused=fused)


def lr_share(config: TrainConfig, step: int, done: float) -> float:
    """Share of the peak learning rate at optimiser step `step` (from 0), `done` (0..1) of the training behind."""
    done = min(max(done, 0.0), 1.0)
    share = 1.0
    if config.schedule == "linear":
        share = 1 - (1 - config.final_lr) * done
    elif config.schedule == "cosine":
        share = config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * done))
    elif config.schedule == "step":
        share = 1.0 if done < 0.6 else 0.1 if done < 0.85 else 0.01
    return share * min(1.0, (step + 1) / (config.warmup + 1))


def set_lr(optimizer: Optimizer, share: float) -> None:
    """Give every parameter group `share` of its peak learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * share
