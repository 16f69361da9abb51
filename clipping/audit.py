"""An audit of any training loop: what length of gradient did every optimiser step really apply?

    with audit(1.0):
        train()

fails when one step of any optimiser applied more than 1.0, when no step came near 1.0 (so that nothing was shown), or
when no optimiser stepped at all. It needs no change to the loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

KINDS = ("global_norm", "per_tensor_norm", "value", "inf_norm")


def size(kind: str, tensors: list[torch.Tensor]) -> float:
    """The length that a clip of this kind limits, accumulated in float64.

    global_norm: norm of all tensors together. per_tensor_norm: the largest norm of one tensor. value and inf_norm: the
    largest absolute entry. A non-finite entry gives inf or nan. Sharded tensors (DTensor) are reduced over their mesh.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    order = math.inf if kind in ("value", "inf_norm") else 2.0
    norms = []
    for tensor in tensors:
        dense = tensor.coalesce().values() if tensor.layout == torch.sparse_coo else tensor
        if dense.numel() == 0:
            continue
        norm: Any = torch.linalg.vector_norm(dense, order, dtype=torch.float64)
        norms.append(float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm))
    if any(math.isnan(n) for n in norms):
        return math.nan
    if kind == "global_norm":
        return math.hypot(*norms)
    return max(norms, default=0.0)


@dataclass(frozen=True)
class Step:
    """One optimiser step as it was applied."""

    optimizer: str
    """Class name and the order in which the audit met it, e.g. "Adam#1"."""
    index: int
    """0 for this optimiser's first step inside the audit."""
    size: float
    """Length of the gradient that the step applied, in the audit's kind of norm."""
    limit: float
    skipped: bool
    """The fused optimiser was told through `found_inf` to leave the parameters alone."""

    def __str__(self) -> str:
        return f"{self.optimizer} step {self.index}: {self.size:.6g} > {self.limit:g}"


@dataclass
class Audit:
    """What an audit saw; filled while the `with` block runs."""

    kind: str
    tolerance: float
    steps: list[Step] = field(default_factory=list)

    @property
    def violations(self) -> list[Step]:
        """Steps that applied more than the limit (or a non-finite gradient)."""
        return [s for s in self.steps if not s.skipped and not s.size <= s.limit * (1 + self.tolerance)]

    @property
    def reached(self) -> list[str]:
        """Optimisers that came within one percent of their limit at least once."""
        return sorted({s.optimizer for s in self.steps if not s.skipped and s.size >= 0.99 * s.limit})

    def report(self) -> str:
        """One line per optimiser: steps, skipped, largest length, limit."""
        lines = []
        for name in dict.fromkeys(s.optimizer for s in self.steps):
            mine = [s for s in self.steps if s.optimizer == name]
            applied = [s.size for s in mine if not s.skipped]
            largest = max(applied, key=lambda x: (math.isnan(x), x), default=0.0)
            skipped = len(mine) - len(applied)
            lines.append(f"{name}: {len(mine)} steps, {skipped} skipped, largest {largest:.6g} of {mine[0].limit:g}")
        return "\n".join(lines)

    def check(self, must_reach: bool = True) -> None:
        """Raise AssertionError with one clear text if the loop did not keep to its threshold."""
        if not self.steps:
            raise AssertionError("audit: no optimiser stepped, so nothing was tested")
        if bad := self.violations:
            shown = "; ".join(str(s) for s in bad[:5])
            more = f"; and {len(bad) - 5} more" if len(bad) > 5 else ""
            raise AssertionError(f"audit: {len(bad)} of {len(self.steps)} steps broke the threshold: {shown}{more}")
        idle = sorted({s.optimizer for s in self.steps} - set(self.reached))
        if must_reach and idle:
            raise AssertionError(
                f"audit: no step of {', '.join(idle)} reached its threshold, so nothing was tested; lower it "
                f"or scale the loss up ({self.report()})"
            )


def _grads(optimizer: Optimizer) -> list[torch.Tensor]:
    """Every gradient the step will read, a shared parameter once."""
    seen: dict[int, torch.Tensor] = {}
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is not None:
                seen.setdefault(id(p), p.grad)
    return list(seen.values())


def _scalar(value: Any) -> float:
    return float(value) if value is not None else 0.0


def applied_size(optimizer: Optimizer, kind: str) -> tuple[float, bool]:
    """(length of the gradient this optimiser is about to apply, whether it will skip the step).

    A fused optimiser divides by `optimizer.grad_scale` and skips on `optimizer.found_inf`: both are counted in.
    """
    length = size(kind, _grads(optimizer))
    scale = getattr(optimizer, "grad_scale", None)
    if scale is not None:
        length /= float(scale)
    return length, _scalar(getattr(optimizer, "found_inf", None)) != 0.0


def closure_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any] | None:
    """The closure in the arguments of `optimizer.step` (which begin with the optimiser itself)."""
    return kwargs.get("closure") or (args[1] if len(args) > 1 else None)


def replace_closure(
    args: tuple[Any, ...], kwargs: dict[str, Any], closure: Callable[[], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same arguments with another closure."""
    if "closure" in kwargs:
        return args, {**kwargs, "closure": closure}
    return (args[0], closure, *args[2:]), kwargs


@contextmanager
def last_before_step(look: Callable[[Optimizer], None]) -> Iterator[None]:
    """Call look(optimizer) at the last moment before the parameters of any optimiser move, while the block runs.

    Global pre-hooks run before an optimiser's own, so they would see gradients that an attached clipper has not touched
    yet. So the global hook only puts a private hook at the end of that optimiser's own list, anew at each step. With a
    closure the gradients exist only after it has run: then look is called after the closure.
    """
    handles: dict[int, Any] = {}

    def private(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        closure = closure_of(args, kwargs)
        if closure is None:
            look(optimizer)
            return None

        def watched() -> Any:
            loss = closure()
            look(optimizer)
            return loss

        return replace_closure(args, kwargs, watched)

    def first(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if id(optimizer) in handles:
            handles[id(optimizer)].remove()
        handles[id(optimizer)] = optimizer.register_step_pre_hook(private)

    everywhere = register_optimizer_step_pre_hook(first)
    try:
        yield
    finally:
        everywhere.remove()
        for handle in handles.values():
            handle.remove()


@contextmanager
def audit(
    threshold: float | Callable[[Optimizer], float | None],
    *,
    kind: str = "global_norm",
    tolerance: float = 1e-5,
    must_reach: bool = True,
) -> Iterator[Audit]:
    """Watch every step of every optimiser in the block; raise AssertionError if a step applies more than the threshold.

    threshold: a number, or a function from an optimiser to its threshold (None: this optimiser is not audited).
    kind: what the threshold limits (see `size`). tolerance: relative, for rounding; half-precision gradients need about
    1e-2. must_reach: also fail if an audited optimiser never came within one percent of its threshold, because then the
    run shows nothing. Right for plain loops, closures, attached hooks, GradScaler, and clippers that fold their
    coefficient into a fused optimiser through `optimizer.grad_scale`. Yields the `Audit`, which may be read afterwards.
    It costs a pass over the gradients and a host read per step: a test tool, not for production runs.
    """
    size(kind, [])
    seen = Audit(kind, tolerance)
    known: dict[int, tuple[Optimizer, str, int]] = {}  # holding the optimiser keeps its id from being used again

    def look(optimizer: Optimizer) -> None:
        limit = threshold(optimizer) if callable(threshold) else threshold
        if limit is None:
            return
        _, name, index = known.get(id(optimizer), (optimizer, f"{type(optimizer).__name__}#{len(known)}", 0))
        known[id(optimizer)] = (optimizer, name, index + 1)
        length, skipped = applied_size(optimizer, kind)
        seen.steps.append(Step(name, index, length, float(limit), skipped))

    with last_before_step(look):
        yield seen
    seen.check(must_reach)
