"""Norms taken during the backward pass, while each gradient is still in the cache.

Only where a gradient is final when autograd has accumulated it: one process (DistributedDataParallel reduces later),
plain CPU tensors, an L2 norm over one group or several. Whatever changes a gradient after its hook (an unscaling, an
edit by hand) changes its version; the norm is then measured again at the step.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from clipping import kernels
from clipping.errors import ClippingError
from clipping.groups import Group
from clipping.norms import sum_squares
from clipping.strategies.base import ScaleStrategy


class BackwardNorms:
    """Hooks on every parameter of ``groups``; each group's GradientSet asks them for the sums of squares."""

    def __init__(self, groups: list[Group], model: Module | None) -> None:
        spread = torch.distributed.is_available() and torch.distributed.is_initialized()
        if isinstance(model, torch.nn.parallel.DistributedDataParallel) or (
            spread and torch.distributed.get_world_size() > 1
        ):
            raise ClippingError("measure='backward' is for one process: here gradients are reduced after the hooks")
        for group in groups:
            order = group.strategy.order if isinstance(group.strategy, ScaleStrategy) else None
            if not group.grads.host or order != 2.0:
                raise ClippingError("measure='backward' is for CPU gradients and strategies of one global L2 norm")
        params = [p for group in groups for p in group.grads.params]
        self._kernels = {id(p): kernels.Kernel() for p in params} if kernels.available() else {}
        self._taken: dict[int, tuple[Any, int, float]] = {}
        self._hooks = [p.register_post_accumulate_grad_hook(self._take) for p in params]
        for group in groups:
            group.grads.earlier = self.lookup

    def _take(self, p: Tensor) -> None:
        grad = p.grad
        if grad is None or grad.is_sparse:
            return
        kernel = self._kernels.get(id(p))
        total = kernel.sum_squares() if kernel is not None and kernel.load([grad]) else float(sum_squares(grad))
        self._taken[id(p)] = (weakref.ref(grad), grad._version, total)

    def lookup(self, params: list[Tensor]) -> float | None:
        """The sum of squares over the gradients of ``params``; None unless all are as their hooks saw them."""
        total = 0.0
        for p in params:
            taken = self._taken.pop(id(p), None)
            if taken is None or taken[0]() is not p.grad or p.grad is None or taken[1] != p.grad._version:
                return None
            total += taken[2]
        return total

    def remove(self) -> None:
        """Take the hooks off."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
