"""Strategies with one fixed threshold and one coefficient for the whole gradient."""

from __future__ import annotations

import math as _math
from typing import ClassVar

from clipping.config import StrategyConfig, positive, real
from clipping.errors import ClippingError
from clipping.strategies.base import HOST, Decision, Math, Scalar, ScaleStrategy, State


def required(strategy: str, config: StrategyConfig) -> float:
    """The threshold that ``strategy`` cannot do without."""
    if config.threshold is None:
        raise ClippingError(f"strategy {strategy!r} needs a threshold, a number > 0")
    return positive("threshold", config.threshold)


class NoClip(ScaleStrategy):
    """``none``: g. Measured with the same telemetry, never changed. Takes no number."""

    name: ClassVar[str] = "none"

    def decide(self, norm: Scalar, state: State, math: Math) -> Decision:
        return Decision(_math.inf, 1.0, False, state)


class GlobalNorm(ScaleStrategy):
    """``global_norm``: g * min(1, tau / ||g||_2) over all tensors together (Pascanu, Mikolov, Bengio 2013).

    No epsilon: the result has norm tau, and a gradient below tau comes back bit for bit. ``threshold`` is required.
    """

    name: ClassVar[str] = "global_norm"
    reads: ClassVar[frozenset[str]] = frozenset({"threshold"})

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.threshold = required(self.name, config)

    def decide(self, norm: Scalar, state: State, math: Math) -> Decision:
        tau = self.threshold
        return Decision(tau, math.shrink(norm, tau), False, state)


class InfNorm(GlobalNorm):
    """``inf_norm``: g * min(1, tau / max_i |g_i|). Bounds every entry like ``value`` and keeps the direction.

    ``threshold`` is required, in units of an entry.
    """

    name: ClassVar[str] = "inf_norm"
    order = _math.inf


class PNorm(GlobalNorm):
    """``p_norm``: g * min(1, tau / ||g||_p), ``order`` p >= 1 (inf allowed), default 2. ``threshold`` is required."""

    name: ClassVar[str] = "p_norm"
    reads: ClassVar[frozenset[str]] = frozenset({"threshold", "order"})

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.order = real("order", 2.0 if config.order is None else config.order)
        if not self.order >= 1.0:
            raise ClippingError(f"order must be a number >= 1, not {config.order!r}")


class Skip(GlobalNorm):
    """``skip`` (truncation): no update at all unless ||g||_2 <= tau; parameters, moments and step count stay.

    ``threshold`` is required. Removes a spike entirely, at the price of standing still when every norm is above tau.
    """

    name: ClassVar[str] = "skip"

    def decide(self, norm: Scalar, state: State, math: Math) -> Decision:
        skip = norm > self.threshold
        return Decision(self.threshold, math.where(skip, 0.0, 1.0), skip, state)


class Soft(GlobalNorm):
    """``soft``: g * tau / (||g||_2 + tau), smooth in g and always below tau (Zhang, He, Sra, Jadbabaie 2020).

    Within a factor 2 of ``global_norm`` everywhere; it shortens every gradient. ``threshold`` is required.
    """

    name: ClassVar[str] = "soft"

    def decide(self, norm: Scalar, state: State, math: Math) -> Decision:
        tau = self.threshold
        coef = tau / (norm + tau) if _math.isfinite(tau) else (1.0 if math is HOST else norm * 0.0 + 1.0)
        return Decision(tau, coef, False, state)
