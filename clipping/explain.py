"""What a threshold did to a run, in words, from the norms that the run recorded: arrays in, an explanation out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Column = Sequence[float] | Sequence[bool] | Tensor | Any
"""A number or a flag a step: a sequence, a tensor or a NumPy array [T]."""

ADAPTIVE = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta")
"""Optimisers that divide by the gradient's own size, so that a constant factor cancels."""
BRAKE, RATE = 0.1, 0.5  # shares of clipped steps up to which a clip is a brake, and from which it sets the rate
SPREAD = 1.5  # coefficients whose central 80% lie within this factor are as good as one constant factor
DRIFT = 3.0  # change of the median norm over the run from which one fixed threshold cannot fit all of it


@dataclass(frozen=True)
class Explanation:
    """Shares are of all recorded steps unless said otherwise; norms are of the gradient before clipping."""

    subsystem: str
    steps: int
    nonfinite: int
    skipped: int
    clipped: float
    """Share of steps with a finite gradient that were shortened or left out by the threshold."""
    threshold: float
    """Median over the steps; inf when nothing was limited, nan when the strategy has no single number."""
    threshold_low: float
    threshold_high: float
    sits_at: float
    """Quantile of the finite norms at which the median threshold sits, 0 to 1."""
    norm_median: float
    norm_p90: float
    norm_p99: float
    norm_max: float
    spikes: float
    """Share of finite norms beyond the bulk (`bulk_limit`)."""
    drift: float
    """Median norm of the last fifth over that of the first fifth."""
    coef_low: float
    coef_high: float
    """10% and 90% quantile of the coefficient over clipped steps; 1 where there is none."""
    acts_as: str
    """nothing, brake, both or rate; unclipped for a run that only measured; empty for one without finite norms."""
    suggested: float
    """Threshold just above the bulk of the norms; nan without norms."""
    suggested_clips: float
    """Share of finite norms above the suggestion."""
    words: str

    def __str__(self) -> str:
        return self.words


def _column(values: Column, kind: torch.dtype = torch.float64) -> Tensor:
    return torch.as_tensor(values).to("cpu", kind)


def _quantile(sorted_values: Tensor, share: float) -> float:
    """Linear between ranks; nan without values. (torch.quantile takes no more than 2^24 values.)"""
    if not len(sorted_values):
        return math.nan
    rank = share * (len(sorted_values) - 1)
    low, high = float(sorted_values[math.floor(rank)]), float(sorted_values[math.ceil(rank)])
    return low if low == high else low + (high - low) * (rank - math.floor(rank))


def _median(values: Tensor) -> float:
    return _quantile(values.sort().values, 0.5)


def bulk_limit(norms: Column) -> float:
    """The largest norm that belongs to the bulk: exp(median + 3 * 1.4826 * MAD) of the logarithms.

    Free of units, and a spike does not move it however tall it is (the scaled MAD estimates a standard deviation).
    """
    values = _column(norms)
    logs = values[values > 0].log()
    if not len(logs):
        return math.nan
    middle = _median(logs)
    return math.exp(middle + 3 * 1.4826 * _median((logs - middle).abs()))


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%" if share == 0 or share >= 0.001 else "under 0.1%"


def _thresholds(threshold: Tensor) -> tuple[float, float, float]:
    known = threshold[~threshold.isnan()].sort().values
    return _quantile(known, 0.5), _quantile(known, 0.0), _quantile(known, 1.0)


def _kind(unlimited: bool, share: float) -> str:
    if unlimited:
        return "unclipped"
    if share == 0:
        return "nothing"
    return "brake" if share <= BRAKE else "both" if share < RATE else "rate"


def explain(
    norm: Column,
    threshold: Column,
    coef: Column,
    clipped: Column,
    skipped: Column,
    subsystem: str = "model",
    optimizer: str | None = None,
) -> Explanation:
    """Explain a run from its records, oldest first, all of length T.

    norm: before clipping. threshold: in force at that step (nan: the strategy has no single one, inf: none). coef: what
    the gradient was multiplied with. clipped, skipped: as recorded. optimizer: class name where known ("AdamW"), else
    None. Raises ValueError when the lengths differ.
    """
    n, t, c = (_column(a) for a in (norm, threshold, coef))
    hit, out = (_column(a, torch.bool) for a in (clipped, skipped))
    if len({len(a) for a in (n, t, c, hit, out)}) != 1:
        raise ValueError("the records of a run must all have the same length")
    good = n.isfinite()
    middle, low, high = _thresholds(t[good])
    finite = n[good]
    ranked = finite.sort().values
    limited = (hit | out) & good
    share = int(limited.sum()) / max(1, len(finite))
    coefs = c[hit & good & ~out].sort().values
    fifth = max(1, len(finite) // 5)
    limit = bulk_limit(finite)
    first = _median(finite[:fifth])
    beyond = _share(finite > limit)
    facts = Explanation(
        subsystem=subsystem,
        steps=len(n),
        nonfinite=len(n) - len(finite),
        skipped=int(out.sum()),
        clipped=share,
        threshold=middle,
        threshold_low=low,
        threshold_high=high,
        sits_at=math.nan if math.isnan(middle) else _share(finite <= middle),
        norm_median=_quantile(ranked, 0.5),
        norm_p90=_quantile(ranked, 0.9),
        norm_p99=_quantile(ranked, 0.99),
        norm_max=_quantile(ranked, 1.0),
        spikes=beyond,
        drift=_median(finite[-fifth:]) / first if first > 0 else math.nan,
        coef_low=_quantile(coefs, 0.1) if len(coefs) else 1.0,
        coef_high=_quantile(coefs, 0.9) if len(coefs) else 1.0,
        acts_as=_kind(math.isinf(middle) and share == 0, share) if len(finite) else "empty",
        suggested=limit,
        suggested_clips=beyond,
        words="",
    )
    sentences = (_counts(facts), _where(facts), _effect(facts, optimizer), _advice(facts))
    return dataclasses.replace(facts, words=" ".join(s for s in sentences if s))


def _share(flags: Tensor) -> float:
    return float(flags.double().mean()) if len(flags) else 0.0


def _counts(f: Explanation) -> str:
    if not f.steps:
        return f"{f.subsystem}: no step is recorded yet."
    text = f"{f.subsystem}: {f.steps} steps, {_percent(f.clipped)} of them limited by the threshold."
    if f.nonfinite:
        text += f" Gradients that were not finite: {f.nonfinite}."
    if f.skipped:
        text += f" Skipped updates: {f.skipped}."
    return text


def _where(f: Explanation) -> str:
    if not f.steps:
        return ""
    if f.acts_as == "empty":
        return "No gradient was finite: look for the first bad loss, not for a threshold."
    norms = f"Norms: median {f.norm_median:.4g}, 99% below {f.norm_p99:.4g}, largest {f.norm_max:.4g}."
    if f.acts_as == "unclipped":
        return f"The run measured without clipping. {norms}"
    if math.isnan(f.threshold):
        return f"The strategy limits parts of the gradient, so it has no single threshold. {norms}"
    moves = (
        ""
        if f.threshold_low == f.threshold_high
        else f" (it moved from {f.threshold_low:.4g} to {f.threshold_high:.4g})"
    )
    return f"The threshold {f.threshold:.4g}{moves} sits at the {_percent(f.sits_at)} quantile of the norm. {norms}"


def _effect(f: Explanation, optimizer: str | None) -> str:
    adaptive = optimizer in ADAPTIVE
    if f.acts_as == "nothing":
        return "It never acted: this run is the same as one without clipping."
    if f.acts_as == "brake":
        return "It acted as a brake on spikes: most updates were left alone, the largest were shortened."
    if f.acts_as not in ("both", "rate"):
        return ""
    factors = f"{f.coef_low:.3g} to {f.coef_high:.3g}"
    constant = f.coef_low > 0 and f.coef_high / f.coef_low <= SPREAD
    start = (
        "It acted as a change of the learning rate"
        if f.acts_as == "rate"
        else "It acted partly as a brake on spikes and partly as a change of the learning rate"
    )
    text = f"{start}: clipped updates were multiplied by {factors} (80% of them)."
    if adaptive and constant:
        text += f" Under {optimizer} a factor that hardly varies cancels: the threshold did next to nothing there."
    elif adaptive:
        text += f" Under {optimizer} the constant part of that cancels; what stays is that all gradients weigh alike."
    elif optimizer is None:
        text += " Under Adam and its kin a constant factor cancels; under SGD it is a smaller learning rate."
    else:
        text += f" Under {optimizer} that is a learning rate {1 / max(f.coef_high, 1e-12):.3g} or more times smaller."
    return text


def _advice(f: Explanation) -> str:
    if f.acts_as == "empty" or math.isnan(f.suggested):
        return ""
    text = (
        f"From its own norms: {f.suggested:.4g} lies just above their bulk ({_percent(f.suggested_clips)} are longer)."
    )
    if f.spikes == 0:
        text += " No norm left the bulk, so there is no spike for a brake to stop."
    if f.drift > DRIFT or f.drift < 1 / DRIFT:
        text += (
            f" The median norm changed by a factor of {f.drift:.3g} over the run: no fixed threshold fits all "
            "of it; the "
            "strategy 'quantile' follows."
        )
    return text


def histogram(norm: Column, threshold: float = math.nan, rows: int = 12, width: int = 40) -> str:
    """The finite norms above 0 as text: a row per logarithmic bin, its count, and a mark where the threshold lies."""
    values = _column(norm)
    values = values[values.isfinite() & (values > 0)]
    if not len(values):
        return "(no finite norm)"
    low, high = float(values.min()), float(values.max())
    if high <= low * (1 + 1e-9):
        rows, high = 1, low * (1 + 1e-9)
    edges = [low * (high / low) ** (i / rows) for i in range(rows + 1)]
    inner = torch.tensor(edges[1:-1], dtype=torch.float64)
    counts = torch.bincount(torch.bucketize(values, inner, right=True), minlength=rows).tolist()
    lines = []
    for i, count in enumerate(counts):
        last = i == len(counts) - 1
        inside = edges[i] <= threshold and (threshold < edges[i + 1] or (last and threshold <= edges[i + 1]))
        bar = "#" * max(1 if count else 0, round(width * count / max(counts)))
        lines.append(
            f"{edges[i]:>10.3g} .. {edges[i + 1]:<10.3g} {bar:<{width}} {count:>7}{' <- threshold' if inside else ''}"
        )
    return "\n".join(lines)
