"""What a search for a threshold found: its attempts, the best of them, quality against threshold."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from contracts import UserError


@dataclass(frozen=True)
class Attempt:
    """One trial. state: complete, pruned, or running (a search that was stopped)."""

    number: int
    strategy: str
    threshold: float | None
    """None for the unclipped baseline."""
    params: dict[str, Any]
    """What the objective got."""
    folds: dict[int, float]
    state: str

    @property
    def mean(self) -> float:
        """Mean over the folds that were done; not finite where one diverged, nan without any."""
        return statistics.fmean(self.folds.values()) if self.folds else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean; nan below two folds or where one diverged."""
        values = list(self.folds.values())
        if len(values) < 2 or not all(map(math.isfinite, values)):
            return math.nan
        return statistics.stdev(values) / math.sqrt(len(values))

    @property
    def diverged(self) -> int:
        """Folds whose value is not finite."""
        return sum(not math.isfinite(v) for v in self.folds.values())

    @property
    def name(self) -> str:
        """As the option --arms of `throttle compare` takes it."""
        if self.threshold is None:
            return self.strategy
        return f"{self.strategy}={self.threshold:.4g}"


@dataclass(frozen=True)
class Search:
    """All attempts of a search, in the order in which they began."""

    attempts: list[Attempt]
    maximize: bool

    @property
    def baseline(self) -> Attempt:
        """The unclipped one."""
        return self.attempts[0]

    @property
    def complete(self) -> list[Attempt]:
        """Those that were done on every fold."""
        return [a for a in self.attempts if a.state == "complete"]

    @property
    def best(self) -> Attempt:
        """The best clipped attempt; one that diverged loses to every other."""
        sign = 1.0 if self.maximize else -1.0
        clipped = [a for a in self.complete if a.threshold is not None]
        if not clipped:
            raise UserError("no clipped trial is complete yet")
        return max(clipped, key=lambda a: sign * a.mean if math.isfinite(a.mean) else -math.inf)

    def curve(self, strategy: str) -> list[Attempt]:
        """Quality against threshold: the strategy's attempts, pruned ones too, by rising threshold."""
        mine = [a for a in self.attempts if a.strategy == strategy and a.threshold is not None and a.folds]
        return sorted(mine, key=lambda a: a.threshold or 0.0)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each attempt, for tables."""
        return [
            {
                "trial": a.number, "arm": a.name, "strategy": a.strategy, "threshold": a.threshold, "mean": a.mean,
                "error": a.error, "folds": len(a.folds), "diverged": a.diverged, "state": a.state,
                "values": " ".join(f"{v:.6g}" for v in a.folds.values()),
            }
            for a in self.attempts
        ]  # fmt: skip
