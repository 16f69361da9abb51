"""What a search for a threshold tries: strategies, the range of each, further numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clipping import ClipConfig, ClippingError, GradientClipper
from contracts import UserError


@dataclass(frozen=True)
class Range:
    """A number between two limits, searched on a logarithmic scale where `log`."""

    low: float
    high: float
    log: bool = True
    field: str = "threshold"
    """The option of ClipConfig that it sets, for the range of a strategy."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UserError(f"a range goes from a lower to a higher number, not from {self.low:g} to {self.high:g}")
        if self.log and self.low <= 0:
            raise UserError(f"a logarithmic range begins above 0, not at {self.low:g}")

    def at(self, share: float) -> float:
        """The number at this share of the way from low to high."""
        if self.log:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + share * (self.high - self.low)


RANGES: dict[str, Range] = {
    "global_norm": Range(0.01, 100.0),
    "per_tensor_norm": Range(0.01, 100.0),
    "value": Range(1e-4, 10.0),
    "inf_norm": Range(1e-4, 10.0),
    "soft": Range(0.01, 100.0),
    "skip": Range(0.1, 1000.0),
    "agc": Range(1e-3, 1.0),
    "quantile": Range(0.1, 0.98, log=False, field="quantile"),
    "autoclip": Range(5.0, 98.0, log=False, field="percentile"),
    "zclip": Range(1.0, 5.0, log=False, field="z_threshold"),
    "adagc": Range(1.0, 3.0, log=False, field="factor"),
}
"""Where the threshold of a strategy is searched for, unless a ClipSpace says otherwise."""


@dataclass(frozen=True)
class ClipSpace:
    """What is searched: strategies, the range of each, and further numbers where a subsystem wants them."""

    strategies: tuple[str, ...] = ("global_norm", "quantile")
    ranges: Mapping[str, Range] = field(default_factory=dict)
    """Strategy -> range; a strategy without one has that of RANGES."""
    others: Mapping[str, Range] = field(default_factory=dict)
    """Further parameters by name, e.g. {"learning_rate": Range(1e-4, 1e-2)}."""

    @staticmethod
    def of(strategies: Sequence[str], limits: Mapping[str, Sequence[float]]) -> ClipSpace:
        """A space from options: limits are strategy -> [lowest, highest number]; the others have those of RANGES."""
        ranges = {}
        for name, pair in limits.items():
            if name not in strategies or name not in RANGES:
                raise UserError(f"ranges names '{name}', which is not searched; strategies are {', '.join(strategies)}")
            if len(pair) != 2:
                raise UserError(f"ranges of {name} must be [lowest, highest], got {list(pair)}")
            ranges[name] = replace(RANGES[name], low=float(pair[0]), high=float(pair[1]))
        return ClipSpace(tuple(strategies), ranges)

    def __post_init__(self) -> None:
        if not self.strategies or "none" in self.strategies:
            raise UserError("name at least one strategy to search, and not 'none': it is always tried")
        for name in self.strategies:
            if name not in self.ranges and name not in RANGES:
                raise UserError(f"strategy '{name}' has no range to search; there are {', '.join(RANGES)}")
            try:
                GradientClipper.from_config(ClipConfig(**self.clip(name, self.range(name).at(0.5))))
            except ClippingError as error:
                raise UserError(str(error)) from None

    def range(self, strategy: str) -> Range:
        """Where the strategy's number is searched."""
        return self.ranges.get(strategy) or RANGES[strategy]

    def clip(self, strategy: str, number: float) -> dict[str, Any]:
        """The fields of ClipConfig that a strategy with this number has."""
        return {"strategy": strategy, self.range(strategy).field: number}
