"""A moving average of a network's weights: for the same training often better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Module


class Average:
    """The exponential moving average of a module's parameters and running statistics (Polyak and Juditsky 1992).

    decay: share of the average that stays at each step; less in the first steps, so that the start is soon forgotten.
    """

    def __init__(self, module: Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: Module, step: int) -> None:
        """Take in the weights after optimiser step `step` (from 1)."""
        share = 1 - min(self.decay, step / (step + 9))
        mine: list[Tensor] = []
        theirs: list[Tensor] = []
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                mine.append(self.values[name])
                theirs.append(value)
            else:  # a count
                self.values[name].copy_(value)
        torch._foreach_lerp_(mine, theirs, share)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Go on from the `values` of another time."""
        for name, value in self.values.items():
            value.copy_(values[name])

    @contextmanager
    def applied(self, module: Module) -> Iterator[None]:
        """Within the context the module has the averaged weights."""
        own = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.values)
        try:
            yield
        finally:
            module.load_state_dict(own)
