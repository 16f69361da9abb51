"""The table of strategies: fixed.py, automatic.py and tensors.py hold them by family."""

from __future__ import annotations

import difflib

from clipping.config import STRATEGIES, StrategyConfig
from clipping.errors import ClippingError
from clipping.strategies.automatic import AutoClip, Automatic, Quantile, ZClip
from clipping.strategies.base import ScaleStrategy, Strategy, TensorStrategy
from clipping.strategies.fixed import GlobalNorm, InfNorm, NoClip, PNorm, Skip, Soft
from clipping.strategies.tensors import AGC, AdaGC, PerSample, PerTensorNorm, UClip, Value

KINDS: dict[str, type[Strategy]] = {
    kind.name: kind
    for kind in (
        NoClip,
        GlobalNorm,
        PerTensorNorm,
        Value,
        InfNorm,
        PNorm,
        Skip,
        AGC,
        AutoClip,
        ZClip,
        Quantile,
        AdaGC,
        Soft,
        UClip,
        PerSample,
    )
}


def build(config: StrategyConfig) -> Strategy:
    """The strategy that ``config`` names, its numbers checked.

    Raises:
        ClippingError: for an unknown name, a missing or wrong number, or one that the strategy does not read.
    """
    kind = KINDS.get(config.strategy) if isinstance(config.strategy, str) else None
    if kind is None:
        near = difflib.get_close_matches(str(config.strategy), STRATEGIES, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(STRATEGIES)}"
        raise ClippingError(f"no clipping strategy {config.strategy!r}{hint}")
    return kind(config)


__all__ = [
    "AGC",
    "KINDS",
    "AdaGC",
    "AutoClip",
    "Automatic",
    "GlobalNorm",
    "InfNorm",
    "NoClip",
    "PNorm",
    "PerSample",
    "PerTensorNorm",
    "Quantile",
    "ScaleStrategy",
    "Skip",
    "Soft",
    "Strategy",
    "TensorStrategy",
    "UClip",
    "Value",
    "ZClip",
    "build",
]
