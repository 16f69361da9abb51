"""What an experiment is: arms x seeds of small trials, a plot, and a sentence made from what was measured."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Trial = dict[str, Any]
"""Name -> number, or name -> list of numbers (a curve). A diverged number is inf."""


@dataclass(frozen=True)
class Median:
    """A median over seeds and the interval that two of the sorted values span."""

    middle: float
    low: float
    high: float
    coverage: float
    """Probability that the interval holds the true median, exact for any distribution (order statistics)."""
    count: int
    diverged: int

    def __str__(self) -> str:
        return self.text()

    def text(self, lost_word: str = "diverged") -> str:
        """Figures in words; lost_word says what an infinite value means."""
        if self.diverged == self.count:
            return f"{lost_word} in {self.count} of {self.count}"
        lost = f", {lost_word} in {self.diverged} of {self.count}" if self.diverged else ""
        same = self.low == self.high
        return f"{short(self.middle)}" + ("" if same else f" [{short(self.low)}, {short(self.high)}]") + lost


def short(value: float) -> str:
    """Three digits, without a plus sign or padding in the exponent."""
    if not math.isfinite(value):
        return "inf" if value > 0 else "-inf" if value < 0 else "nan"
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def median(values: Iterable[float]) -> Median:
    """Median with the narrowest central order-statistic interval of at least 93% coverage (else all values).

    P(x_(k) <= m <= x_(n+1-k)) = 1 - 2 P(Binomial(n, 1/2) < k): for five seeds their whole range covers 93.75%. A value
    that is not finite counts as diverged and sorts above every finite one.
    """
    ordered = sorted(v if math.isfinite(v) else math.inf for v in values)
    n = len(ordered)
    if n == 0:
        raise ValueError("a median needs at least one value")

    def covered(k: int) -> float:
        return 1.0 - 2.0 * sum(math.comb(n, i) for i in range(k)) / 2.0**n

    k = max((k for k in range(1, (n + 1) // 2 + 1) if covered(k) >= 0.93), default=1)
    middle = ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2
    return Median(middle, ordered[k - 1], ordered[n - k], covered(k), n, sum(math.isinf(v) for v in ordered))


class Results:
    """Trials by arm and seed."""

    def __init__(self, trials: dict[tuple[str, int], Trial]) -> None:
        self.trials = trials
        self.arms = list(dict.fromkeys(arm for arm, _ in trials))
        self.seeds = sorted({seed for _, seed in trials})

    def values(self, arm: str, key: str) -> list[Any]:
        """What the trials of an arm measured under this name, in the order of the seeds."""
        return [self.trials[arm, seed][key] for seed in self.seeds]

    def median(self, arm: str, key: str) -> Median:
        """Median over the seeds of one arm."""
        return median(self.values(arm, key))

    def best(self, arms: Sequence[str], key: str) -> str:
        """The arm of lowest median; the first of equals. A diverged median loses to every finite one."""
        return min(arms, key=lambda arm: self.median(arm, key).middle)

    def wins(self, arm: str, other: str, key: str) -> int:
        """Seeds in which `arm` is strictly lower than `other` (paired: same data, same initial weights)."""
        return sum(a < b for a, b in zip(self.values(arm, key), self.values(other, key)))


class Experiment(ABC):
    """A question, the arms that answer it, and how a single trial is run.

    A subclass is a frozen dataclass whose fields are its settings, so that a trial is cached under all that decides it.
    """

    name: ClassVar[str]
    question: ClassVar[str]
    seeds: ClassVar[int] = 5
    timed: ClassVar[bool] = False
    """Trials measure time, so they must run one after another."""
    columns: ClassVar[tuple[str, ...]]
    """Measured numbers that the printed table shows."""
    lost_words: ClassVar[dict[str, str]] = {}
    """What an infinite value of a column means, where it is not "diverged"."""

    @property
    @abstractmethod
    def arms(self) -> tuple[str, ...]:
        """Names of what is compared, in the order of the table."""

    @abstractmethod
    def trial(self, arm: str, seed: int) -> Trial:
        """Run one arm with one seed; the same arguments give the same numbers (times excepted)."""

    def cell(self, results: Results, arm: str, column: str) -> str:
        """A number of the table with its interval."""
        return results.median(arm, column).text(self.lost_words.get(column, "diverged"))

    @abstractmethod
    def sentence(self, results: Results) -> str:
        """What was seen, in words and figures taken from the results alone."""

    @abstractmethod
    def plot(self, results: Results, figure: Figure) -> None:
        """Draw the results."""
