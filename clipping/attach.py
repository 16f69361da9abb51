"""Hooking a clipper into an optimiser's step, with or without a closure."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer

if TYPE_CHECKING:
    from clipping.clipper import GradientClipper


class Attachment:
    """A clipper at work on an optimiser; :meth:`detach` ends it. Hooks do not survive pickling or deepcopy of the
    optimiser: attach again after loading."""

    def __init__(self, clipper: GradientClipper, optimizer: Optimizer) -> None:
        self.clipper = clipper
        self.optimizer = optimizer
        self.seconds = 0.0
        """Time spent on measuring and clipping; on a GPU, on asking for it."""
        self._hooks: list[Any] = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        ]

    def detach(self) -> None:
        """Remove the hooks; the clipper keeps its state and may be attached again."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if self.clipper.attachment is self:
            self.clipper.release()

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Clip now; or, where the step has a closure that computes the gradients, right after the closure.

        A plain pre-hook would see the gradients of the step before (Lightning's automatic optimisation).
        """
        if not kwargs and len(args) == 1:  # (the usual call, as short as it can be: small networks pay for every line)
            began = perf_counter()
            self.clipper.before_step()
            self.seconds += perf_counter() - began
            return None
        closure, positional = kwargs.get("closure"), False
        if closure is None and len(args) > 1:
            closure, positional = args[1], True
        if closure is None:
            self._clip()
            return None

        def clipped() -> Any:
            loss = closure()
            self._clip()
            return loss

        if positional:
            return (args[0], clipped, *args[2:]), kwargs
        return args, {**kwargs, "closure": clipped}

    def _clip(self) -> None:
        began = perf_counter()
        self.clipper.before_step()
        self.seconds += perf_counter() - began

    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.clipper.after_step()
