"""One update on the host: everything is on the CPU, scalars are floats, a branch costs nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from clipping.errors import NonFiniteGradientError
from clipping.groups import Group
from clipping.strategies.base import HOST, ScaleStrategy, TensorStrategy

if TYPE_CHECKING:
    from clipping.clipper import GradientClipper

Row = tuple[float, ...]
Measured = tuple[float, float | None]


def clip_simply(clipper: GradientClipper) -> bool:
    """The short way for one group under one coefficient, where every microsecond of a small network counts.

    False, with nothing done, where the gradients or their norm need more care.
    """
    group = clipper.groups[0]
    grads, fold = group.grads, clipper.fold
    assert fold is not None
    if fold.pending or fold.amp_scale() is not None or grads.earlier is not None or not grads.refresh_fast():
        return False
    strategy = group.strategy
    if isinstance(strategy, TensorStrategy):
        both = strategy.measure_and_apply(grads)
        if both is None:
            return False
        if not math.isfinite(both[0]):
            _reject(clipper, [both], both[0])
            return True
        row = _row(*both, getattr(strategy, "bound", math.nan))
    else:
        norm = grads.norm()
        if not math.isfinite(norm):
            return False
        row = _scale(clipper, group, norm, 1.0)
    clipper.bad_in_a_row = 0
    clipper.record(row, [row])
    return True


def clip(clipper: GradientClipper) -> None:
    """Measure, decide, clip (or leave out) the update that ``clipper``'s optimiser is about to make."""
    fold, groups = clipper.fold, clipper.groups
    assert fold is not None
    amp = fold.amp_scale()
    scale = 1.0 if amp is None else float(amp)
    if scale != 1.0 and not clipper.folds:  # a scaled gradient whose coefficient cannot be folded: unscale it here
        for group in groups:
            if group.grads.refresh():
                group.grads.scale_(1.0 / scale)
        fold.hand(None, getattr(fold.optimizer, "found_inf", None))
        scale = 1.0
    if len(groups) == 1:
        measured = [_measure(groups[0], scale, clipper)]
        if measured[0] is None:
            return
        total = measured[0][0]
    else:
        measured = [_measure(group, scale, clipper) for group in groups]
        present = [m[0] for m in measured if m is not None]
        if not present:
            return
        total = math.hypot(*present)
    if not math.isfinite(total) and clipper.config.nonfinite != "ignore":
        _reject(clipper, measured, total)
        return
    clipper.bad_in_a_row = 0
    rows = [_apply(clipper, group, m, scale) for group, m in zip(groups, measured)]
    clipper.record(_combine(total, rows) if len(rows) > 1 else rows[0], rows)


def _measure(group: Group, scale: float, clipper: GradientClipper) -> Measured | None:
    """The norm, and the norm after where the strategy has clipped in the same pass; None without gradients."""
    grads, strategy = group.grads, group.strategy
    if not grads.refresh():
        return None
    if isinstance(strategy, ScaleStrategy):
        return grads.norm(strategy.order) / scale, None
    # Clipping before the norm is known to be finite is right only if a bad gradient is thrown away anyway.
    if clipper.config.nonfinite == "skip" and not grads.watch and isinstance(strategy, TensorStrategy):
        both = strategy.measure_and_apply(grads)
        if both is not None:
            return both
    return grads.norm(), None


def _reject(clipper: GradientClipper, measured: list[Measured | None], total: float) -> None:
    """Leave out an update whose gradients are not finite, and stop after too many in a row."""
    config = clipper.config
    clipper.bad_in_a_row += 1
    for group in clipper.groups:
        leave_out(group)
    rows = [(math.nan if m is None else m[0], 0.0, 0.0, math.nan, 0.0, 1.0, 1.0) for m in measured]
    clipper.record((total, 0.0, 0.0, math.nan, 0.0, 1.0, 1.0), rows)
    if config.nonfinite == "raise":
        raise NonFiniteGradientError(f"the gradients of {config.subsystem!r} are not finite (norm {total})")
    if clipper.bad_in_a_row >= config.max_nonfinite:
        raise NonFiniteGradientError(
            f"the gradients of {config.subsystem!r} were not finite for {clipper.bad_in_a_row} updates in a row; "
            f"nothing is learnt any more"
        )


def leave_out(group: Group) -> None:
    """No update of this group: every torch optimiser leaves parameters without a gradient, and their state, alone."""
    for p in group.grads.params:
        p.grad = None


def _apply(clipper: GradientClipper, group: Group, measured: Measured | None, scale: float) -> Row:
    if measured is None:
        return (0.0, 0.0, 1.0, math.nan, 0.0, 0.0, 0.0)
    (norm, after), strategy = measured, group.strategy
    if not math.isfinite(norm):  # policy "ignore": hand the gradient on as it is, teach the strategy nothing
        return (norm, norm, 1.0, math.nan, 0.0, 0.0, 1.0)
    if isinstance(strategy, TensorStrategy):
        tau = getattr(strategy, "bound", math.nan)
        if after is None:
            after, tau, group.state = strategy.apply(group.grads, norm, group.state, True)
        return _row(norm, after, tau)
    return _scale(clipper, group, norm, scale)


def _row(norm: float, after: float, tau: float) -> Row:
    """The row of a strategy that clips tensors or entries."""
    changed = abs(after - norm) > 1e-9 * norm
    return (norm, after, after / norm if norm > 0.0 else 1.0, tau, float(changed), 0.0, 0.0)


def _scale(clipper: GradientClipper, group: Group, norm: float, scale: float) -> Row:
    """One coefficient for the whole group: decide, and multiply or fold."""
    strategy = group.strategy
    assert isinstance(strategy, ScaleStrategy)
    decision = strategy.decide(norm, group.state, HOST)
    group.state = decision.state
    coef, tau = decision.coef, decision.threshold
    if decision.skip:
        leave_out(group)
        return (norm, 0.0, 0.0, tau, 1.0, 1.0, 0.0)
    if coef != 1.0:
        # One more pass over a small gradient is cheaper than handing a tensor to the optimiser.
        if clipper.folds and (scale != 1.0 or clipper.config.fold or not group.grads.small):
            assert clipper.fold is not None
            found = getattr(clipper.fold.optimizer, "found_inf", None)
            clipper.fold.hand(torch.tensor(scale / coef, dtype=torch.float32), found)
        else:
            group.grads.scale_(coef)
    return (norm, norm * coef, coef, tau, float(norm > tau), 0.0, 0.0)


def _combine(total: float, rows: list[Row]) -> Row:
    after = math.hypot(*(row[1] for row in rows))
    coef = after / total if total > 0.0 else 1.0
    clipped, skipped, bad = (max(row[i] for row in rows) for i in (4, 5, 6))
    return (total, after, coef, math.nan, clipped, skipped, bad)
