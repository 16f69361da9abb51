"""Flat buffers for small networks, whose step is all dispatch: one gradient tensor, and one parameter tensor.

A policy network of a dozen tensors spends its step in calls, not in arithmetic. With :class:`FlatParameters` all
parameters are views of one tensor, and so are their gradients: norm, clip and a fused optimiser's step are one call
each.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from clipping.errors import ClippingError


class FlatParameters:
    """A module's parameters, and their gradients, in one buffer each.

    >>> flat = FlatParameters(policy)
    >>> optimizer = torch.optim.Adam([flat.parameter], lr=3e-4, fused=True)
    >>> clipper.attach(optimizer)
    >>> loss.backward(); optimizer.step(); flat.zero_grad()

    The module stays usable as before and its ``state_dict`` has the same keys; the optimiser sees one tensor. Zero the
    gradients with :meth:`zero_grad` (or ``set_to_none=False``): setting them to None would part them from the buffer,
    which :meth:`check` finds out. Not for strategies that look at single tensors (``per_tensor_norm``, ``agc``,
    ``adagc``), and not for modules that are moved to another device or dtype afterwards.

    Attributes:
        parameter: [n], all trainable parameters one after the other; its ``grad`` is the flat gradient.
    """

    def __init__(self, module: Module) -> None:
        self.params = [p for p in module.parameters() if p.requires_grad]
        kinds = {(p.dtype, p.device) for p in self.params}
        if len(kinds) != 1:
            raise ClippingError(f"flat parameters need one dtype and one device, not {sorted(map(str, kinds))}")
        with torch.no_grad():
            self.parameter = Parameter(torch.cat([p.reshape(-1) for p in self.params]))
            self.parameter.grad = torch.zeros_like(self.parameter)
            for p, values, grads in zip(
                self.params, self._views(self.parameter.data), self._views(self.parameter.grad)
            ):
                p.data, p.grad = values, grads

    def _views(self, buffer: Tensor) -> list[Tensor]:
        parts = buffer.split([p.numel() for p in self.params])
        return [part.view(p.shape) for part, p in zip(parts, self.params)]

    def zero_grad(self) -> None:
        """Zero every gradient in one call; also puts them back into the buffer where something took them out."""
        if self.parameter.grad is None or self.params[0].grad is None:
            self.parameter.grad = torch.zeros_like(self.parameter)
            for p, grads in zip(self.params, self._views(self.parameter.grad)):
                p.grad = grads
        else:
            self.parameter.grad.zero_()

    def check(self) -> None:
        """Raise ClippingError if a parameter or gradient no longer lies in the buffers."""
        grads = self.parameter.grad
        for p, values, views in zip(
            self.params, self._views(self.parameter.data), self._views(grads) if grads is not None else self.params
        ):
            if p.data_ptr() != values.data_ptr() or p.grad is None or p.grad.data_ptr() != views.data_ptr():
                raise ClippingError("a parameter or gradient has left the flat buffers; use zero_grad() of the buffers")
