"""One update on a device: norm, threshold, averages and counters are 0-dim tensors there; the host reads nothing.

A branch is not possible, so an update is left out in one of two ways: fused optimisers skip on ``found_inf``; for the
others, and where groups are left out one by one, parameters and state are copied before the step and put back by
``where`` after it (that costs two copies of both; prefer ``fused=True``, or ``nonfinite="ignore"`` where it matters).
Step counts that an optimiser keeps on the host are set right when the telemetry is drained. Errors about non-finite
gradients are raised then, too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from clipping.groups import Group
from clipping.norms import local
from clipping.strategies.base import DEVICE, ScaleStrategy, State, TensorStrategy, precision
from clipping.strategies.fixed import Skip

if TYPE_CHECKING:
    from clipping.clipper import GradientClipper


class Rollback:
    """Parameters and optimiser state as they were before a step that may turn out not to count."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._saved: list[tuple[list[Tensor], Tensor, Tensor]] = []  # live, their entries, whether to put them back
        self._known: list[tuple[Tensor, set[str], Tensor]] = []

    def save(self, group: Group, skip: Tensor) -> None:
        """Copy what the step may change of ``group``; ``skip`` is a 0-dim bool."""
        kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for i in group.grads.indices:
            p = group.grads.params[i]
            state = self.optimizer.state.get(p, {})
            on_device = [v for v in state.values() if isinstance(v, Tensor) and v.device == p.device]
            for value in (p.detach(), *on_device):
                kinds.setdefault((value.dtype, value.device), []).append(local(value))
            self._known.append((p, set(state), skip))
        self._saved += [(live, _entries(live), skip) for live in kinds.values()]

    def restore(self) -> None:
        """After the step: put back what did not count."""
        with torch.no_grad():
            for live, before, skip in self._saved:
                chosen = torch.where(skip.to(before.device), before, _entries(live))
                parts = chosen.split([x.numel() for x in live])
                torch._foreach_copy_(live, [part.view(x.shape) for part, x in zip(parts, live)])
            for p, known, skip in self._known:  # state made by this very step starts from zero
                for name, value in self.optimizer.state.get(p, {}).items():
                    if name not in known and isinstance(value, Tensor) and value.device == p.device:
                        value.copy_(torch.where(skip, torch.zeros_like(value), value))
        self._saved, self._known = [], []


class Late:
    """Steps that were left out, of which an optimiser that counts on the host learns when telemetry is drained.

    A step that drains has yet to be counted: what it finds is set right once it is over.
    """

    def __init__(self) -> None:
        self.waits = False
        """Whether a step is under way."""
        self._skipped: list[tuple[Group, int]] = []

    def learn(self, clipper: GradientClipper, rows: Tensor) -> None:
        """Take note of drained ``rows`` [updates, numbers] (see clipping.telemetry)."""
        if not clipper.folds:
            several = bool(clipper._recorder.groups)
            for g, group in enumerate(clipper.groups):
                self._skipped.append((group, int(rows[:, 5 + 7 * (g + 1) if several else 5].sum())))
        if not self.waits:
            self.settle(clipper)

    def settle(self, clipper: GradientClipper) -> None:
        """Take them off the counts."""
        assert clipper.fold is not None
        for group, skipped in self._skipped:
            for p in group.grads.params:
                state = clipper.fold.optimizer.state.get(p, {})
                step = state.get("step")
                if isinstance(step, Tensor) and step.device.type == "cpu" and p.device.type != "cpu":
                    step -= skipped
                elif isinstance(step, int):
                    state["step"] = step - skipped
        self.waits, self._skipped = False, []


def _entries(tensors: list[Tensor]) -> Tensor:
    """All entries one after the other, a copy."""
    return torch.cat([x.reshape(-1) for x in tensors])


def clip(clipper: GradientClipper) -> None:
    """As :func:`clipping.host.clip`, without reading anything."""
    fold = clipper.fold
    assert fold is not None
    clipper.late.waits = True
    groups = [group for group in clipper.groups if group.grads.refresh()]
    if not groups:
        return
    amp, found = fold.amp_scale(), getattr(fold.optimizer, "found_inf", None)
    device = groups[0].grads.device
    if amp is not None and not clipper.folds:
        for group in groups:
            group.grads.scale_(amp.to(group.grads.device).reciprocal())
    scale = amp if clipper.folds else None
    norms = {}
    for group in groups:
        order = group.strategy.order if isinstance(group.strategy, ScaleStrategy) else 2.0
        norm = group.grads.norm(order)
        norms[group.name] = norm if scale is None else norm / scale
    if len(groups) == 1:
        total = norms[groups[0].name]
    else:
        total = torch.stack([n.to(device) for n in norms.values()]).square().sum().sqrt()
    ok = total < math.inf  # (a norm is not negative, and NaN is below nothing)
    protect = clipper.config.nonfinite != "ignore"
    alike = len(groups) == 1 or not any(isinstance(group.strategy, Skip) for group in groups)
    rows, rollback, left_out = [], None, None
    for group in groups:
        home = group.grads.device
        row, coef, skip = _decide(group, norms[group.name], ok.to(home), protect)
        rows.append(row.to(device))
        may_skip = protect or isinstance(group.strategy, Skip)
        if clipper.folds:
            low = coef.to(torch.float32)
            factor = low.reciprocal() if scale is None else scale / low
            flag = skip.to(torch.float32)
            fold.hand(factor, flag if found is None else torch.maximum(flag, found.to(home)))
        else:
            if isinstance(group.strategy, ScaleStrategy):
                group.grads.scale_(coef)
            if may_skip and alike and fold.supported:
                left_out = skip.to(device, torch.float32)
            elif may_skip:
                rollback = rollback or Rollback(fold.optimizer)
                rollback.save(group, skip)
    if left_out is not None and found is not None:
        left_out = torch.maximum(left_out, found.to(device))
    if not clipper.folds and (left_out is not None or amp is not None):
        fold.hand(None, found if left_out is None else left_out)
    clipper.rollback = rollback
    by_name = dict(zip(norms, rows))
    blank = torch.tensor([0.0, 0.0, 1.0, math.nan, 0.0, 0.0, 0.0], dtype=rows[0].dtype)
    every = [by_name[g.name] if g.name in by_name else blank.to(device) for g in clipper.groups]
    clipper.record(_combine(total, rows) if len(clipper.groups) > 1 else rows[0], every)


def _decide(group: Group, norm: Tensor, ok: Tensor, protect: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The telemetry row [7], the coefficient and whether to leave the update out, all on the device."""
    strategy, device = group.strategy, norm.device
    if not group.on_device:
        group.state, group.on_device = strategy.to_device(group.state, device), True
    if group.numbers is None:
        one = torch.ones((), dtype=precision(device), device=device)
        group.numbers = torch.zeros_like(one), one, torch.full_like(one, math.nan)
    zero, one, nothing = group.numbers
    bad = ~ok
    skip = bad if protect else torch.zeros((), dtype=torch.bool, device=device)
    if isinstance(strategy, TensorStrategy):
        after, tau, group.state = strategy.apply(group.grads, norm, group.state, ok)
        coef = torch.where(ok & (norm > 0.0), after / norm, one)
        clipped = (after - norm).abs() > 1e-6 * norm
    else:
        assert isinstance(strategy, ScaleStrategy)
        decision = strategy.decide(norm, group.state, DEVICE)
        group.state = _keep(ok, decision.state, group.state)
        use = ok
        if decision.skip is not False:
            skip = skip | (decision.skip & ok)
            use = ok & ~decision.skip
        coef = torch.where(use, decision.coef, one)
        tau = decision.threshold
        clipped = norm > tau
        after = norm * coef
    reported = torch.where(skip, zero, coef)
    tau = torch.where(ok, tau, nothing)
    numbers = [norm, torch.where(skip, zero, after), reported, tau]
    flags = torch.stack([clipped & ok, skip, bad])
    return torch.cat([torch.stack([x.to(one.dtype) for x in numbers]), flags.to(one.dtype)]), coef, skip


def _keep(ok: Tensor, new: State, old: State) -> State:
    return {key: torch.where(ok, value, old[key]) for key, value in new.items()}


def _combine(total: Tensor, rows: list[Tensor]) -> Tensor:
    table = torch.stack(rows)
    after = table[:, 1].square().sum().sqrt()
    flags = table[:, 4:].amax(0)
    coef = torch.where(total > 0.0, after / total, torch.ones_like(total))
    return torch.cat([torch.stack([total, after, coef, torch.full_like(total, math.nan)]), flags])


def longest_run(flags: Tensor, before: int) -> tuple[int, int]:
    """The longest run of true flags, counting on from ``before`` of them; and the run that the last flag ends."""
    longest, run = before, before
    for flag in flags.tolist():
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest, run


__all__: list[Any] = ["Late", "Rollback", "clip", "longest_run"]
