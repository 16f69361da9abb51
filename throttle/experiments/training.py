"""What the experiments share: a clipper from its short name, what it saw, and optimisers by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import Optimizer

from clipping import GradientClipper, NonFiniteGradientError

SHORT = {"tau": "global_norm", "norm": "global_norm", "tensor": "per_tensor_norm"}


def make_optimizer(name: str, params: Iterable[torch.nn.Parameter], rate: float) -> Optimizer:
    """sgd, momentum (SGD with 0.9), rmsprop, adam or adamw, otherwise with torch's defaults."""
    if name == "momentum":
        return torch.optim.SGD(params, lr=rate, momentum=0.9)
    kinds: dict[str, Any] = {
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }
    made: Optimizer = kinds[name](params, lr=rate)
    return made


def attach(clip: str, optimizer: Optimizer) -> GradientClipper:
    """A clipper from "none", "quantile", "tau=1" (global norm), "value=0.05", "value=-0.1..0.2", "tensor=1", "skip=5"
    ...

    "none" applies non-finite gradients as they are, like a loop without any clipping; the others skip them.
    """
    name, _, number = clip.partition("=")
    options: dict[str, Any] = {}
    if ".." in number:
        low, high = number.split("..")
        options = {"lower": float(low), "upper": float(high)}
    elif number:
        options = {"threshold": float(number)}
    if name == "none":
        options["nonfinite"] = "ignore"
    clipper = GradientClipper(SHORT.get(name, name), **options)
    clipper.attach(optimizer)
    return clipper


@contextmanager
def stops_when_diverged() -> Iterator[None]:
    """End the block quietly when the clipper gives up because gradients stay non-finite."""
    try:
        yield
    except NonFiniteGradientError:
        return


def seen(clipper: GradientClipper) -> dict[str, float]:
    """Largest and median raw norm and the share of clipped steps, from the clipper's own records."""
    records = clipper.drain()
    norms = [r["norm"] for r in records]
    finite = sorted(n for n in norms if math.isfinite(n))
    return {
        "largest_norm": finite[-1] if finite and len(finite) == len(norms) else math.inf,
        "median_norm": finite[len(finite) // 2] if finite else math.inf,
        "clipped": sum(bool(r["clipped"] or r["skipped"]) for r in records) / max(1, len(records)),
    }
