"""Strategies and optimisers whose device path is tested, with and without a GPU."""

from __future__ import annotations

from typing import Any

import torch

from clipping import GradientClipper
from clipping.strategies import KINDS

NEEDED: dict[str, dict[str, Any]] = {
    "none": {},
    "agc": {},
    "adagc": {},
    "autoclip": {},
    "zclip": {},
    "quantile": {},
    "value": {"lower": -0.1, "upper": 0.2},
    "p_norm": {"threshold": 0.1, "order": 3.0},
}
NAMES = [name for name in KINDS if name != "per_sample"]
WARM = {"autoclip", "zclip", "quantile", "adagc"}


def optimizers(lr: float) -> list[tuple[Any, dict[str, Any]]]:
    """Classes and options; `lr` of those that divide by a mean square."""
    return [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "fused": True}),
        (torch.optim.RMSprop, {"lr": lr}),
        (torch.optim.Adam, {"lr": lr}),
        (torch.optim.AdamW, {"lr": lr, "fused": True}),
        (torch.optim.Adagrad, {"lr": 0.1}),
    ]


IDS = [kind.__name__ + ("-fused" if options.get("fused") else "") for kind, options in optimizers(0.1)]


def make(strategy: str, **options: Any) -> GradientClipper:
    return GradientClipper(strategy, **{**NEEDED.get(strategy, {"threshold": 0.1}), **options})
