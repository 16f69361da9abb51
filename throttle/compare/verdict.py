"""What may be said about a difference between two arms, and in what words.

A difference is claimed only where the 95% interval of the IQM's difference leaves zero out and an exact permutation
test, adjusted for the number of arms compared, stays under 5%. Tests count how often this claims a difference that is
not there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from throttle.compare import statistics as s
from throttle.compare.statistics import Interval, Scores

LEVEL = 0.05
UNDECIDED = 2.0
"""A lead that so many times the seeds would prove, is it real, is called undecided and not a failure to help."""
MANY = 200
"""More runs than this are called out of reach."""


@dataclass(frozen=True)
class Verdict:
    """One arm against the baseline."""

    arm: str
    baseline: str
    runs: int
    """Runs an arm (seeds)."""
    tasks: int
    score: Interval
    """IQM of the arm."""
    baseline_score: Interval
    difference: Interval
    """IQM of the arm minus that of the baseline."""
    improvement: Interval
    """P(a run of the arm scores higher than one of the baseline)."""
    p: float
    """Of the permutation test, adjusted for all arms that were compared with the baseline (Holm)."""
    diverged: tuple[int, int]
    """Diverged runs of the arm and of the baseline."""
    diverged_p: float
    """Fisher's exact test of these."""
    needed: float
    """Runs an arm that would show the difference seen, were it the true one, in 4 of 5 comparisons; inf without one.
    Never fewer than the exact test needs to claim anything (4 with two arms)."""

    @property
    def claim(self) -> str:
        """better, worse or none."""
        if self.p > LEVEL or self.difference.low <= 0.0 <= self.difference.high:
            return "none"
        return "better" if self.difference.value > 0 else "worse"

    @property
    def more(self) -> float:
        """How many more seeds an arm it would take; 0 where a difference is claimed, inf where none would do."""
        return 0.0 if self.claim != "none" else max(1.0, self.needed - self.runs)


def judge(
    scores: Mapping[str, Scores | Sequence[float]], baseline: str, diverged: Mapping[str, int] | None = None
) -> list[Verdict]:
    """A verdict on every arm but the baseline.

    scores: arm -> [runs, tasks] (or [runs]), higher is better, a diverged run counted with what it is worth.
    Raises KeyError without the baseline, ValueError for scores that are no numbers.
    """
    lost = diverged or {}
    arrays = {arm: s.as_scores(np.asarray(values, np.float64)) for arm, values in scores.items()}
    base = arrays[baseline]
    others = [arm for arm in arrays if arm != baseline]
    adjusted = s.holm([s.permutation_p(arrays[arm], base) for arm in others])
    found = []
    for arm, p in zip(others, adjusted):
        mine = arrays[arm]
        counts = lost.get(arm, 0), lost.get(baseline, 0)
        found.append(
            Verdict(
                arm=arm,
                baseline=baseline,
                runs=min(len(mine), len(base)),
                tasks=base.shape[1],
                score=s.iqm_interval(mine),
                baseline_score=s.iqm_interval(base),
                difference=s.difference(mine, base),
                improvement=s.probability_of_improvement(mine, base),
                p=p,
                diverged=counts,
                diverged_p=s.fisher_p(counts[0], mine.size, counts[1], base.size),
                needed=max(s.runs_needed(mine, base), _least(len(others))),
            )
        )
    return found


def _least(compared: int) -> int:
    """The fewest runs an arm with which the exact test can claim anything, for so many arms compared."""
    return next(n for n in range(2, 99) if 2 * compared / math.comb(2 * n, n) <= LEVEL)


def sentence(found: Verdict, metric: str, detail: str = "") -> str:
    """The verdict in plain words, from the numbers alone: what may be said, then what it rests on."""
    return f"{claim_words(found)} {evidence(found, metric, detail)}"


def claim_words(found: Verdict) -> str:
    """What may be said of an arm and the baseline, how many more seeds it would take, and what diverged."""
    lost = ""
    if any(found.diverged):
        sure = f" (a difference in itself, p = {found.diverged_p:.2g})" if found.diverged_p <= LEVEL else ""
        lost = f" Trainings that diverged: {found.diverged[0]} {found.arm}, {found.diverged[1]} {found.baseline}{sure}."
    if found.claim != "none":
        return f"{found.arm} is {found.claim} than {found.baseline}.{lost}"
    start = f"{found.arm} against {found.baseline}: no difference can be claimed"
    if found.runs == 1:
        return f"{start} from one seed.{lost}"
    return f"{start}. {more_words(found)}{lost}"


def evidence(found: Verdict, metric: str, detail: str = "") -> str:
    """The numbers behind a verdict. metric: e.g. "points of carla-lb-2.0"."""
    n = f"n = {found.runs} seed{'s' if found.runs > 1 else ''} an arm{', ' + detail if detail else ''}"
    d, i = found.difference, found.improvement
    start = f"{found.arm} - {found.baseline}: {number(d.value, True)} {metric}"
    if found.runs == 1:
        return f"{start} ({n})."
    return (
        f"{start}, 95% interval {number(d.low, True)} to {number(d.high, True)}; a run of {found.arm} beats one of "
        f"{found.baseline} in {i.value:.0%} of pairs; p = {found.p:.2g} ({n})."
    )


def more_words(found: Verdict) -> str:
    """How many more seeds it would take, in words; empty where a difference is claimed."""
    if found.claim != "none":
        return ""
    if math.isinf(found.needed):
        return "The arms scored alike: no number of further seeds can be named."
    if found.needed > MANY:
        return f"A difference as small as this would take more than {MANY} seeds an arm to show."
    if found.needed <= found.runs:
        return "A few more seeds would tell: so many should have shown a difference of this size."
    plural = "s" if found.more > 1 else ""
    return f"If it is real, about {found.more:.0f} more seed{plural} an arm would show it (4 times in 5)."


def number(value: float, signed: bool = False) -> str:
    """Three or more digits, one after the point for large numbers."""
    plus = "+" if signed else ""
    return (
        f"{value:{plus}.1f}" if abs(value) >= 10 else f"{value:{plus}.2f}" if abs(value) >= 1 else f"{value:{plus}.3f}"
    )


def headline(verdicts: Sequence[Verdict], metric: str) -> str:
    """One sentence for somebody in a hurry. A result against clipping is as loud as one for it."""
    if not verdicts:
        return "There is nothing to compare: a single arm."
    base = verdicts[0].baseline
    better = [v.arm for v in verdicts if v.claim == "better"]
    worse = [v.arm for v in verdicts if v.claim == "worse"]
    steadier = [v for v in verdicts if v.diverged_p <= LEVEL]
    parts = []
    if better:
        parts.append(f"{_and(better)} scored better than {base}")
    if worse:
        parts.append(f"{_and(worse)} scored worse than {base}")
    alike = [v.arm for v in verdicts if v.claim == "none"]
    if not parts:
        parts.append(f"No difference in {metric} can be claimed between {base} and {_and(alike)}")
    elif alike:
        parts.append(f"of {_and(alike)} no difference can be claimed")
    text = ", and ".join(parts) + "."
    for v in steadier:
        text += f" {v.diverged[1]} runs of {base} diverged, {v.diverged[0]} of {v.arm}."
    if (
        not better
        and any(v.baseline == "none" for v in verdicts)
        and not any(v.diverged[0] < v.diverged[1] for v in steadier)
    ):
        open_ = any(v.claim == "none" and v.difference.value > 0 and v.needed <= UNDECIDED * v.runs for v in verdicts)
        text = f"{'Whether clipping helps is not decided here' if open_ else 'Clipping did not help here'}. {text}"
    return text


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
