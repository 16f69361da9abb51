"""Handing the coefficient to a fused optimiser, which divides by ``grad_scale`` in the pass that it makes anyway.

Fused Adam, AdamW, SGD and Adagrad read ``optimizer.grad_scale`` (gradients are divided by it) and
``optimizer.found_inf`` (1 leaves parameters, moments and step count alone). GradScaler sets the same two attributes;
what it set is read before and put back after the step. Both would act on every later step if they stayed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

_ABSENT: Any = object()
_NAMES = ("grad_scale", "found_inf")
_LOW = (torch.float32, torch.float16, torch.bfloat16)  # grad_scale is float32: too coarse for float64 parameters


class Fold:
    """The two attributes of one optimiser."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        groups = optimizer.param_groups
        self.supported = bool(getattr(optimizer, "_step_supports_amp_scaling", False)) and all(
            group.get("fused") for group in groups
        )
        self.accurate = self.supported and all(p.dtype in _LOW for group in groups for p in group["params"])
        self.pending = False  # between hand() and restore()
        self._saved: tuple[Any, Any] | None = None
        self._handed: tuple[Any, Any] = (None, None)
        self._fix_momentum: Tensor | None = None

    def amp_scale(self) -> Tensor | None:
        """The scale that GradScaler left for the fused step to divide by, if any."""
        return getattr(self.optimizer, "grad_scale", None)

    def hand(self, scale: Tensor | None, found: Tensor | None) -> None:
        """Set both attributes for this step; :meth:`restore` must follow."""
        current = tuple(getattr(self.optimizer, name, _ABSENT) for name in _NAMES)
        if self._saved is None:
            self._saved, self.pending = current, True  # type: ignore[assignment]
        self._handed = (scale, found)
        for name, value in zip(_NAMES, self._handed):
            setattr(self.optimizer, name, value)
        # torch's fused SGD leaves the momentum buffer uninitialised when the first step is skipped (NaN later).
        momentum = any(group.get("momentum") for group in self.optimizer.param_groups)
        fresh = (
            found is not None and momentum and not any("momentum_buffer" in s for s in self.optimizer.state.values())
        )
        self._fix_momentum = found if fresh else None

    def restore(self) -> None:
        """Put back what was there before :meth:`hand`."""
        if self._saved is None:
            return
        for name, saved, handed in zip(_NAMES, self._saved, self._handed):
            # If a step died half-way, a scaler may have set the next scale already: leave that one.
            if getattr(self.optimizer, name, _ABSENT) is not handed:
                continue
            if saved is _ABSENT:
                delattr(self.optimizer, name)
            else:
                setattr(self.optimizer, name, saved)
        self._saved, self.pending = None, False
        if self._fix_momentum is not None:
            for state in self.optimizer.state.values():
                buffer = state.get("momentum_buffer")
                if buffer is not None:
                    skipped = self._fix_momentum.to(buffer.device) > 0
                    buffer.copy_(torch.where(skipped, torch.zeros_like(buffer), buffer))
            self._fix_momentum = None
