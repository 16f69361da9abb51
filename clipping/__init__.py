"""The shared gradient-clipping module. Pure torch; knows nothing of driving.

    from clipping import GradientClipper
    clipper = GradientClipper("global_norm", threshold=1.0)
    clipper.attach(optimizer)

docs/clipping.md has the table of strategies, an example per trainer, and advice on thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.nn import Module
from torch.optim import Optimizer

from clipping.attach import Attachment
from clipping.clipper import GradientClipper
from clipping.config import STRATEGIES, ClipConfig, StrategyConfig
from clipping.errors import ClippingError, NonFiniteGradientError
from clipping.explain import Explanation
from clipping.per_sample import per_sample_backward
from clipping.sb3 import Sb3Attachment, attach_sb3
from clipping.strategies import KINDS, Strategy


def attach(optimizer: Optimizer, config: ClipConfig | Mapping[str, Any], model: Module | None = None) -> Attachment:
    """Make a clipper from ``config`` and attach it: ``attach(optimizer, {"strategy": "quantile"})``.

    Raises:
        ClippingError: as :class:`GradientClipper` and its ``attach``.
    """
    return GradientClipper.from_config(config).attach(optimizer, model)


__all__ = [
    "KINDS",
    "STRATEGIES",
    "Attachment",
    "ClipConfig",
    "ClippingError",
    "Explanation",
    "GradientClipper",
    "NonFiniteGradientError",
    "Sb3Attachment",
    "Strategy",
    "StrategyConfig",
    "attach",
    "attach_sb3",
    "per_sample_backward",
]
