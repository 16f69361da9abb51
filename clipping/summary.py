"""What a threshold did over a run, in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipping.telemetry import Record

MOSTLY = 0.5  # a larger clipped share is a change of learning rate,
SPIKES = 0.1  # a smaller one is a brake on spikes


@dataclass
class Summary:
    """The effect of clipping on a run.

    Attributes:
        subsystem, strategy: what was clipped and how.
        steps: updates seen.
        clipped, skipped, nonfinite: shares of them, 0 to 1.
        median, p95, largest: of the finite norms before clipping.
        threshold: median threshold; NaN where the strategy has no single one, inf where nothing was clipped.
        quantile: the share of norms at or below their threshold; NaN without one.
        shrink: the median coefficient of the clipped updates; 1 if there were none.
        suggested: the 95th percentile of the norms after the first tenth of the run: a brake on one update in twenty.
    """

    subsystem: str
    strategy: str
    steps: int
    clipped: float
    skipped: float
    nonfinite: float
    median: float
    p95: float
    largest: float
    threshold: float
    quantile: float
    shrink: float
    suggested: float

    @property
    def effect(self) -> str:
        """``nothing``, ``brake`` (on spikes), ``mixed`` or ``rate`` (a change of learning rate)."""
        if self.clipped == 0.0:
            return "nothing"
        if self.clipped <= SPIKES:
            return "brake"
        return "mixed" if self.clipped <= MOSTLY else "rate"

    @property
    def text(self) -> str:
        """The summary in words."""
        if not self.steps:
            return f"{self.subsystem}: no update was seen."
        said = [
            f"{self.subsystem}, {self.strategy}: {self.steps} updates, {self.clipped:.1%} clipped, "
            f"{self.skipped:.1%} left out, {self.nonfinite:.1%} not finite.",
            f"The gradient norm was {self.median:.3g} in the median, {self.p95:.3g} at the 95th percentile, "
            f"{self.largest:.3g} at most.",
        ]
        if math.isfinite(self.threshold):
            said.append(f"The threshold {self.threshold:.3g} sits at quantile {self.quantile:.2f} of the norm.")
        said.append(_EFFECTS[self.effect].format(shrink=self.shrink))
        if math.isfinite(self.suggested):
            said.append(f"As a brake on spikes these norms suggest a threshold of {self.suggested:.3g}.")
        return " ".join(said)

    def __str__(self) -> str:
        return self.text


_EFFECTS = {
    "nothing": "It changed nothing.",
    "brake": "It acted as a brake on spikes: only unusual gradients were shortened.",
    "mixed": "It acted on ordinary gradients too, between a brake on spikes and a change of learning rate.",
    "rate": (
        "It acted as a change of learning rate: most gradients were shortened, to {shrink:.2g} of their length in the "
        "median. Under Adam, AdamW and RMSprop a constant factor cancels, so that most of this did nothing there."
    ),
}


def summarize(records: Sequence[Record], strategy: str = "", subsystem: str = "model") -> Summary:
    """The summary of ``records``, as :meth:`GradientClipper.drain` gives them or as read back from a file."""
    if not records:
        nan = math.nan
        return Summary(subsystem, strategy, 0, 0.0, 0.0, 0.0, nan, nan, nan, nan, nan, 1.0, nan)
    column = {name: np.array([float(r[name]) for r in records]) for name in records[0] if name not in _NESTED}
    norm, tau, clipped = column["norm"], column["threshold"], column["clipped"] > 0
    good = np.isfinite(norm)
    finite = norm[good]
    late = norm[len(norm) // 10 :]
    late = late[np.isfinite(late)]
    bounded = good & ~np.isnan(tau)
    return Summary(
        subsystem=subsystem,
        strategy=strategy,
        steps=len(records),
        clipped=float(clipped.mean()),
        skipped=float(column["skipped"].mean()),
        nonfinite=float(column["nonfinite"].mean()),
        median=_percentile(finite, 50.0),
        p95=_percentile(finite, 95.0),
        largest=float(finite.max()) if len(finite) else math.nan,
        threshold=float(np.median(tau[bounded])) if bounded.any() else math.nan,
        quantile=float((norm[bounded] <= tau[bounded]).mean()) if bounded.any() else math.nan,
        shrink=float(np.median(column["coef"][clipped])) if clipped.any() else 1.0,
        suggested=_percentile(late, 95.0),
    )


_NESTED = ("groups", "modules")


def _percentile(values: np.ndarray, percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else math.nan
