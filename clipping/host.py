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


def clip(clipper: GradientClipper) -> None:
    """Measure, decide, clip (or leave out) the update that ``clipper``'s optimiser is about to make."""
    fold, groups = clipper.fold, clipper.groups
    assert fold is not None
    amp = fold.amp_scale()
    scale = 1.0 if amp is None else float(amp)
    norms = [_measure(group, scale) if group.grads.refresh() else None for group in groups]
    present = [n for n in norms if n is not None]
    if not present:
        return
    total = present[0] if len(groups) == 1 else math.hypot(*present)
    if not math.isfinite(total) and clipper.config.nonfinite != "ignore":
        _reject(clipper, norms, total)
        return
    clipper.bad_in_a_row = 0
    if scale != 1.0 and not clipper.folds:
        for group, norm in zip(groups, norms):
            if norm is not None:
                group.grads.scale_(1.0 / scale)
        fold.hand(None, getattr(fold.optimizer, "found_inf", None))
        scale = 1.0
    rows = [_apply(clipper, group, norm, scale) for group, norm in zip(groups, norms)]
    clipper.record(_combine(total, rows) if len(rows) > 1 else rows[0], rows)


def _measure(group: Group, scale: float) -> float:
    strategy = group.strategy
    order = strategy.order if isinstance(strategy, ScaleStrategy) else 2.0
    return group.grads.norm(order) / scale


def _reject(clipper: GradientClipper, norms: list[float | None], total: float) -> None:
    """Leave out an update whose gradients are not finite, and stop after too many in a row."""
    config = clipper.config
    clipper.bad_in_a_row += 1
    for group in clipper.groups:
        leave_out(group)
    rows = [(math.nan if n is None else n, 0.0, 0.0, math.nan, 0.0, 1.0, 1.0) for n in norms]
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


def _apply(clipper: GradientClipper, group: Group, norm: float | None, scale: float) -> Row:
    if norm is None:
        return (0.0, 0.0, 1.0, math.nan, 0.0, 0.0, 0.0)
    strategy = group.strategy
    if not math.isfinite(norm):  # policy "ignore": hand the gradient on as it is, teach the strategy nothing
        return (norm, norm, 1.0, math.nan, 0.0, 0.0, 1.0)
    if isinstance(strategy, TensorStrategy):
        after, tau, group.state = strategy.apply(group.grads, norm, group.state, True)
        changed = abs(after - norm) > 1e-9 * norm
        return (norm, after, after / norm if norm > 0.0 else 1.0, tau, float(changed), 0.0, 0.0)
    assert isinstance(strategy, ScaleStrategy)
    decision = strategy.decide(norm, group.state, HOST)
    group.state = decision.state
    coef, tau = decision.coef, decision.threshold
    if decision.skip:
        leave_out(group)
        return (norm, 0.0, 0.0, tau, 1.0, 1.0, 0.0)
    if coef != 1.0:
        if clipper.folds:
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
