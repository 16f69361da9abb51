"""The typed configuration of a clipper, and the strict checks of every number in it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from clipping.errors import ClippingError

StrategyName = Literal[
    "none",
    "global_norm",
    "per_tensor_norm",
    "value",
    "inf_norm",
    "p_norm",
    "skip",
    "agc",
    "autoclip",
    "zclip",
    "quantile",
    "adagc",
    "soft",
    "uclip",
    "per_sample",
]
NonFinitePolicy = Literal["skip", "raise", "ignore"]
Measure = Literal["step", "backward"]

STRATEGIES: tuple[str, ...] = get_args(StrategyName)


def positive(name: str, value: object, *, infinite: bool = True) -> float:
    """``value`` as a float > 0; infinity passes where ``infinite``.

    Raises:
        ClippingError: for bool (True would mean 1.0), strings, NaN, zero and negative numbers.
    """
    number = real(name, value)
    if math.isnan(number) or number <= 0.0 or (math.isinf(number) and not infinite):
        kind = "a number > 0" if infinite else "a finite number > 0"
        raise ClippingError(f"{name} must be {kind}, not {value!r}")
    return number


def real(name: str, value: object) -> float:
    """``value`` as a float; bool and everything that is not an int or a float is refused with ClippingError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ClippingError(f"{name} must be a number, not {value!r} ({type(value).__name__})")
    return float(value)


def fraction(name: str, value: object, low: float = 0.0, high: float = 1.0) -> float:
    """``value`` as a float strictly between ``low`` and ``high``, else ClippingError."""
    number = real(name, value)
    if not low < number < high:
        raise ClippingError(f"{name} must lie between {low:g} and {high:g}, not {value!r}")
    return number


def count(name: str, value: object, least: int = 1) -> int:
    """``value`` as an int of at least ``least``, else ClippingError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ClippingError(f"{name} must be a whole number >= {least}, not {value!r}")
    return value


@dataclass
class StrategyConfig:
    """A strategy and its numbers. ``None`` means the strategy's own default; a number that it does not read is refused.

    Attributes:
        strategy: a name of the table in docs/clipping.md.
        threshold: tau > 0, in units of the gradient's norm (``agc``: lambda, a ratio; ``value``: the bound of an entry;
            automatic strategies: the fixed threshold that guards their warm-up, default the first norm seen).
        lower: ``value`` only, with ``upper`` instead of a threshold: the least value of an entry, at most 0.
        upper: ``value`` only, with ``lower``: the largest value of an entry, at least 0.
        order: ``p_norm`` only, the p >= 1 of the norm.
        eps: ``agc`` only, the least norm a weight row counts with.
        percentile: ``autoclip`` only, 0 to 100.
        window: ``autoclip`` only, norms remembered.
        alpha: ``zclip`` only, decay of its moving averages.
        z_threshold: ``zclip`` only, deviations beyond which a norm is a spike.
        eta: ``quantile`` only, step of log(tau) per update.
        quantile: ``quantile`` only, the quantile of the norm that tau follows, 0 to 1.
        decay: ``adagc`` only, decay of a tensor's moving average.
        factor: ``adagc`` only, how far above its average a tensor's norm may go.
        warmup: automatic strategies, updates under the fixed threshold.
        ceiling: automatic strategies, the largest threshold they may choose; default 10 times the typical norm of
            the warm-up, ``inf`` for none.
    """

    strategy: StrategyName = "global_norm"
    threshold: float | None = None
    lower: float | None = None
    upper: float | None = None
    order: float | None = None
    eps: float | None = None
    percentile: float | None = None
    window: int | None = None
    alpha: float | None = None
    z_threshold: float | None = None
    eta: float | None = None
    quantile: float | None = None
    decay: float | None = None
    factor: float | None = None
    warmup: int | None = None
    ceiling: float | None = None

    def numbers(self) -> dict[str, Any]:
        """The numbers that were set, by name."""
        names = [f.name for f in dataclasses.fields(StrategyConfig) if f.name != "strategy"]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@dataclass
class ClipConfig(StrategyConfig):
    """Everything a :class:`clipping.GradientClipper` is made of; a plain dataclass, so jsonargparse can fill it.

    Attributes:
        subsystem: names the telemetry keys, ``clip/<subsystem>/...``.
        nonfinite: what to do with a NaN or infinite gradient: ``skip`` the update (parameters, moments and step count
            stay as they are), ``raise``, or ``ignore`` (apply the formula to it, as torch does).
        max_nonfinite: under ``skip``, stop with an error after so many non-finite updates in a row.
        groups: pattern -> strategy for parts of the model. A pattern is matched (fnmatch) against the ``name`` of the
            optimiser's parameter groups, then against parameter names of the model given to ``attach``; the first
            match wins, the rest of the parameters follow the strategy above.
        drain_every: updates between two transfers of telemetry to the host and to the sinks.
        per_module: also record the norm of every module's gradient.
        fold: hand the coefficient to fused optimisers instead of scaling gradients; None means where possible.
        measure: ``backward`` takes the norm while gradients are hot in cache (single process, global L2 norms only).
    """

    subsystem: str = "model"
    nonfinite: NonFinitePolicy = "skip"
    max_nonfinite: int = 25
    groups: dict[str, StrategyConfig] = field(default_factory=dict)
    drain_every: int = 100
    per_module: bool = False
    fold: bool | None = None
    measure: Measure = "step"

    def __post_init__(self) -> None:
        if not isinstance(self.subsystem, str) or not self.subsystem:
            raise ClippingError(f"subsystem must be a name, not {self.subsystem!r}")
        if self.nonfinite not in get_args(NonFinitePolicy):
            raise ClippingError(
                f"nonfinite must be one of {', '.join(get_args(NonFinitePolicy))}, not {self.nonfinite!r}"
            )
        if self.measure not in get_args(Measure):
            raise ClippingError(f"measure must be one of {', '.join(get_args(Measure))}, not {self.measure!r}")
        count("max_nonfinite", self.max_nonfinite)
        count("drain_every", self.drain_every)
        self.groups = {
            pattern: group if isinstance(group, StrategyConfig) else make(StrategyConfig, group)
            for pattern, group in self.groups.items()
        }


def make(kind: type[Any], values: object) -> Any:
    """A config of ``kind`` from a mapping; ClippingError for a name that it does not have."""
    if not isinstance(values, dict):
        raise ClippingError(f"a clipping config is a mapping, not {values!r}")
    names = {f.name for f in dataclasses.fields(kind)}
    for name in values:
        if name not in names:
            raise ClippingError(f"clipping has no option {name!r}; it has {', '.join(sorted(names))}")
    return kind(**values)
