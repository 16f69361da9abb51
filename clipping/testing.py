"""Checks that users put on their own training loops: does this loop really clip?

Three of them, needing torch only:

    assert_clips(loop, 0.5)         runs the loop a few times with plain SGD and a huge loss
    with audit(0.5): train()        watches every optimiser step of any real run
    assert_overfits(step)           one batch learnt by heart; catches losses that expect logits and get probabilities

The order of operations must never be tested with Adam: its first step is the same whether the gradient was clipped or
not (a constant factor cancels), so every mistake passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from clipping.audit import KINDS, Audit, audit, size

__all__ = ["KINDS", "Audit", "ClipChecks", "assert_clips", "assert_overfits", "audit", "scaled_losses"]

Loop = Callable[[float, float], object]
"""loop(threshold, loss_scale): build, seed and train a few steps with plain SGD, clipping at threshold."""


def _split(flat: torch.Tensor, pieces: list[int]) -> list[torch.Tensor]:
    return list(torch.split(flat, pieces))


@dataclass
class Taken:
    """The first step that one optimiser took, and the length of all of its steps."""

    name: str
    start: torch.Tensor
    """[N] float64, parameters before the first step."""
    update: torch.Tensor
    """[N] float64, (before - after) / lr of the first step: the gradient that was applied."""
    pieces: list[int]
    """Number of entries of each tensor."""
    sizes: list[float]
    """Length of what was applied at each step, in the kind of norm that is tested."""

    def split(self) -> list[torch.Tensor]:
        return _split(self.update, self.pieces)


@dataclass(frozen=True)
class ClipChecks:
    """What `assert_clips` measured: the raw length at loss_scale, and the checks that passed."""

    raw: float
    loss_scale: float
    passed: tuple[str, ...]


def _plain_sgd(optimizer: Optimizer) -> None:
    plain = isinstance(optimizer, torch.optim.SGD) and all(
        not g["momentum"] and not g["weight_decay"] and not g["maximize"] and float(g["lr"]) > 0
        for g in optimizer.param_groups
    )
    if not plain:
        raise ValueError(
            f"assert_clips needs torch.optim.SGD with lr > 0 and no momentum or weight decay, not this "
            f"{type(optimizer).__name__}: any other optimiser hides the length of the gradient (use audit() for those)"
        )


@contextmanager
def _record(kind: str) -> Iterator[list[Taken]]:
    """Record the parameter updates of every optimiser that steps in the block, from outside of the loop."""
    taken: list[Taken] = []
    order: dict[int, tuple[Optimizer, Taken | None]] = {}
    before: dict[int, list[tuple[torch.Tensor, float]]] = {}

    def pre(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        _plain_sgd(optimizer)
        params = {id(p): (p, float(g["lr"])) for g in optimizer.param_groups for p in g["params"]}
        before[id(optimizer)] = [(p.detach().double().clone(), lr) for p, lr in params.values()]

    def post(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        old = before.pop(id(optimizer))
        new = {id(p): p.detach().double() for g in optimizer.param_groups for p in g["params"]}
        moved = [(a - b) / lr for (a, lr), b in zip(old, new.values())]
        _, mine = order.get(id(optimizer), (optimizer, None))
        if mine is None:
            start = torch.cat([a.flatten() for a, _ in old])
            update = torch.cat([m.flatten() for m in moved])
            mine = Taken(f"{type(optimizer).__name__}#{len(taken)}", start, update, [m.numel() for m in moved], [])
            order[id(optimizer)] = (optimizer, mine)
            taken.append(mine)
        mine.sizes.append(size(kind, moved))

    handles = [register_optimizer_step_pre_hook(pre), register_optimizer_step_post_hook(post)]
    try:
        yield taken
    finally:
        for handle in handles:
            handle.remove()


def _run(loop: Loop, threshold: float, scale: float, kind: str) -> list[Taken]:
    with _record(kind) as taken:
        loop(threshold, scale)
    if not taken:
        raise ValueError("assert_clips: the loop took no optimiser step")
    return taken


def _clipped(raw: Taken, threshold: float, kind: str) -> torch.Tensor:
    """What a right loop applies instead of the raw gradient (an independent formula, float64)."""
    pieces = raw.split()
    if kind == "value":
        return raw.update.clamp(-threshold, threshold)
    if kind == "per_tensor_norm":
        return torch.cat([p * min(1.0, threshold / max(float(p.norm()), 1e-300)) for p in pieces])
    return raw.update * min(1.0, threshold / size(kind, pieces))


def _close(a: torch.Tensor, b: torch.Tensor, rtol: float) -> bool:
    return bool(torch.isfinite(a).all()) and float((a - b).norm()) <= rtol * float(b.norm())


def _diagnose(raw: Taken, got: Taken, threshold: float, rtol: float) -> str:
    """The most likely mistake, from what the step applied."""
    g, v = raw.split(), got.split()
    tight = min(rtol, 1e-3)
    same = [_close(a, b, tight) for a, b in zip(v, g) if float(b.norm()) > 0]
    norms = [float(a.norm()) for a in v]
    limited = [n for n, b in zip(norms, g) if float(b.norm()) > threshold]
    zero = got.update == 0
    if bool((zero & (raw.update != 0)).any()) and _close(got.update[~zero], raw.update[~zero], rtol):
        return "small entries were set to zero and large ones kept: that is pruning, not clipping"
    if all(same):
        return (
            "the unclipped gradient was applied: is it clipped after the step, before backward, on copies, or with the "
            "closure still to come?"
        )
    if any(same):
        return f"{sum(same)} of {len(same)} tensors came through unclipped: are all parameters given to the clip?"
    if limited and all(abs(n - threshold) <= rtol * threshold for n in limited) and len(limited) > 1:
        return "each tensor was clipped by itself to the threshold: that is per-tensor, not global clipping"
    if float(got.update.abs().max()) <= threshold * (1 + rtol):
        return "the entries were limited one by one (value clipping), or the threshold was met in another norm"
    return "the applied gradient is neither the raw nor the clipped one"


def _checks(runs: dict[str, Taken], tau: float, kind: str, rtol: float) -> dict[str, bool]:
    """Name of each check and whether it holds for one optimiser."""
    inf, at, double, louder, above = (runs[k] for k in ("inf", "tau", "2 tau", "16x", "above"))
    want = {t: _clipped(inf, t, kind) for t in (tau, 2 * tau)}
    length = {t: size(kind, _split(w, inf.pieces)) for t, w in want.items()}
    return {
        f"one step moves by lr * {tau:g}": abs(at.sizes[0] - length[tau]) <= rtol * length[tau],
        f"no step moves further than lr * {tau:g}": max(at.sizes) <= tau * (1 + rtol),
        "a louder loss changes nothing": abs(louder.sizes[0] - at.sizes[0]) <= rtol * at.sizes[0]
        and (kind == "value" or _close(louder.update, at.update, rtol)),
        f"a threshold of {2 * tau:g} moves as far as that": abs(double.sizes[0] - length[2 * tau])
        <= rtol * length[2 * tau],
        "the direction is that of the formula": _close(at.update, want[tau], rtol),
        "a threshold above the gradient changes nothing": torch.equal(above.update, inf.update),
    }


def assert_clips(
    loop: Loop,
    threshold: float,
    *,
    kind: str = "global_norm",
    unclipped: Callable[[float], object] | None = None,
    rtol: float = 1e-2,
) -> ClipChecks:
    """Raise AssertionError, with the likely mistake, unless the loop clips every step at its threshold.

    loop(threshold, loss_scale) must build its model and data from a fixed seed, train one or more steps with plain
    `torch.optim.SGD` (no momentum, no weight decay; any lr), multiply its loss by loss_scale, and clip at threshold
    (math.inf: do not clip). It is run six times; parameters are watched by global optimiser hooks, so nothing else is
    asked of it. kind: which clip it claims to be (see `clipping.audit.KINDS`). unclipped(loss_scale): the same loop
    without any clipping code, to be matched bit for bit by threshold inf. rtol: relative tolerance of lengths and
    directions; float32 parameters moved by a tiny lr need it.

    Checks, with g the raw gradient: one SGD step moves by exactly lr * threshold under a huge loss; no later step moves
    further; a 16 times louder loss and a doubled threshold act as they must; direction as in the formula; a threshold
    above ||g|| (and inf) is bit-identical to no clipping. Every optimiser that the loop steps is checked.

    Raises ValueError if the loop is not testable: not plain SGD, not repeatable, ignores loss_scale.
    """
    if not threshold > 0 or math.isinf(threshold):
        raise ValueError(f"threshold must be a finite number above 0, not {threshold!r}")
    quiet = _run(loop, math.inf, 1.0, kind)
    smallest = min(t.sizes[0] for t in quiet)
    if not 0 < smallest < math.inf:
        raise ValueError(
            f"assert_clips: the first gradient has length {smallest:g}; the test needs a finite one above 0"
        )
    # A power of two changes no digit of the gradient; the first step must be far above twice the threshold.
    scale = 2.0 ** max(0, math.ceil(math.log2(1000 * threshold / smallest)))
    runs = {
        "inf": _run(loop, math.inf, scale, kind),
        "tau": _run(loop, threshold, scale, kind),
        "2 tau": _run(loop, 2 * threshold, scale, kind),
        "16x": _run(loop, threshold, 16 * scale, kind),
        "above": _run(loop, 4 * max(t.sizes[0] for t in quiet) * scale, scale, kind),
    }
    if unclipped is not None:
        with _record(kind) as plain:
            unclipped(scale)
        runs["plain"] = plain
    if any(
        len(r) != len(quiet) or any(not torch.equal(a.start, b.start) for a, b in zip(r, quiet)) for r in runs.values()
    ):
        raise ValueError("assert_clips: the loop is not repeatable: seed its model and data inside it")
    passed: tuple[str, ...] = ()
    for i, before in enumerate(quiet):
        mine = {name: r[i] for name, r in runs.items()}
        raw = mine["inf"]
        if scale > 1 and not _close(raw.update / scale, before.update, rtol):
            # A loop that always clips also looks like this: its applied length does not grow with the loss.
            reason = "it ignores loss_scale, or clips although the threshold is inf"
            raise AssertionError(f"{raw.name}: with threshold inf the update does not grow with the loss: {reason}")
        checks = _checks(mine, threshold, kind, rtol)
        if "plain" in mine:
            checks["threshold inf is bit-identical to no clipping"] = torch.equal(raw.update, mine["plain"].update)
        if failed := [name for name, held in checks.items() if not held]:
            raise AssertionError(
                f"{raw.name} does not clip at {threshold:g} ({kind}): not true: {'; '.join(failed)}. The first step "
                f"applied {mine['tau'].sizes[0]:.6g} of a raw {raw.sizes[0]:.6g}: "
                f"{_diagnose(raw, mine['tau'], threshold, rtol)}"
            )
        passed = tuple(checks)
    return ClipChecks(max(t.sizes[0] for t in runs["inf"]), scale, passed)


@contextmanager
def scaled_losses(scale: float) -> Iterator[None]:
    """In the block every `loss.backward()` begins with scale * loss, whoever calls it.

    Gives `assert_clips` its loss_scale in trainings that have no such argument: a trainer's, a library's.
    """
    plain: Any = torch.Tensor.backward

    def backward(self: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        plain(self * scale, *args, **kwargs)

    torch.Tensor.backward = backward  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.Tensor.backward = plain  # type: ignore[method-assign]


def assert_overfits(step: Callable[[], Any], *, limit: float = 0.01, steps: int = 1000) -> int:
    """Raise AssertionError unless `step` (one training step on one fixed batch, returning its loss) learns it by heart.

    Returns the number of steps after which the loss was below limit. A network that ends in softmax under a loss that
    expects logits (cross-entropy) stops at ln(1 + (C - 1) / e) for C classes instead: 1.46 for ten.
    """
    loss = math.inf
    for done in range(1, steps + 1):
        loss = float(torch.as_tensor(step()).detach())
        if loss < limit:
            return done
        if not math.isfinite(loss):
            raise AssertionError(f"the loss became {loss} at step {done}")
    classes = 1 + math.e * (math.exp(min(loss, 50.0)) - 1)
    raise AssertionError(
        f"one batch is not learnt: loss {loss:.4g} after {steps} steps, not below {limit:g}. A softmax before a loss "
        f"that expects logits cannot fall below ln(1 + (C - 1) / e) for C classes (from this loss, C = {classes:.1f})"
    )
