"""Where a divergence began: the training goes on from its last good checkpoint once more, every gradient watched.

Trainings resume to the last bit, so the second pass sees what the first one did; a training that does not diverge pays
nothing for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from clipping import NonFiniteGradientError, Sb3Attachment
from control.config import ControlConfig
from control.env import make_training_env
from control.model import attach_clipping, build, set_threads
from control.train import restore


@dataclass(frozen=True)
class Origin:
    """The first number that was not finite."""

    step: int
    """Steps of the environments at that update."""
    update: int
    """Updates of that optimiser before it, since the replay's checkpoint."""
    what: str
    """gradient, or weight (the update itself overflowed)."""
    layers: list[str]
    """Parameters that were not finite, in the network's order; all of one optimiser means that the loss was not."""
    of: int
    """Parameters of that optimiser."""
    largest: str
    """The parameter with the largest finite gradient just before, where the explosion was strongest."""
    largest_norm: float

    def __str__(self) -> str:
        where = self.layers[0] if len(self.layers) < self.of else "all layers at once (the loss was not finite)"
        more = f" and {len(self.layers) - 1} more" if 1 < len(self.layers) < self.of else ""
        before = (
            f"; the largest gradient before was that of {self.largest}, {self.largest_norm:.3g}" if self.largest else ""
        )
        return f"step {self.step:,}: {self.what} of {where}{more}{before}"


class _Found(Exception):
    pass


def find_origin(config: ControlConfig, checkpoint: Path | None) -> Origin | None:
    """Replay a diverged training from `checkpoint` (None: from its start) up to the first number that is not finite.

    None where the replay ends without one, as with environments that cannot be saved.
    """
    set_threads(config)
    env = make_training_env(config.env, config.seed)
    try:
        if checkpoint is None:
            model = build(config, env)
            clippers: Sb3Attachment = attach_clipping(model, config)
        else:
            model, clippers, *_ = restore(checkpoint, config, env)
        model.set_logger(Logger(folder=None, output_formats=[]))
        watch = _Watch(model)
        left = config.total_steps - model.num_timesteps
        learn: Any = model.learn
        try:
            learn(left, log_interval=None, reset_num_timesteps=checkpoint is None)
        except (_Found, NonFiniteGradientError, ValueError):
            pass
        finally:
            watch.remove()
            clippers.detach()
        return watch.origin
    finally:
        env.close()


class _Watch:
    """Looks at every gradient before any clipper does, and at every weight after the update."""

    def __init__(self, model: BaseAlgorithm) -> None:
        self.model = model
        self.origin: Origin | None = None
        self.names = {id(p): name for name, p in model.policy.named_parameters()}
        self.updates: dict[int, int] = {}
        self.before: tuple[str, float] = ("", 0.0)
        self.hooks = [
            register_optimizer_step_pre_hook(self._gradients),  # of all optimisers: these run before their own hooks
            register_optimizer_step_post_hook(self._weights),
        ]

    def remove(self) -> None:
        for hook in self.hooks:
            hook.remove()

    def _parameters(self, optimizer: Optimizer) -> list[tuple[str, torch.Tensor]]:
        found = [p for group in optimizer.param_groups for p in group["params"]]
        return [(self.names.get(id(p), "log_ent_coef"), p) for p in found]

    def _gradients(self, optimizer: Optimizer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.updates[id(optimizer)] = self.updates.get(id(optimizer), 0) + 1
        norms = {n: float(p.grad.norm()) for n, p in self._parameters(optimizer) if p.grad is not None}
        bad = [name for name, norm in norms.items() if not math.isfinite(norm)]
        if bad:
            self._report(optimizer, "gradient", bad, len(norms))
        if norms:
            self.before = max(norms.items(), key=lambda item: item[1])

    def _weights(self, optimizer: Optimizer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        everything = self._parameters(optimizer)
        bad = [name for name, p in everything if not bool(torch.isfinite(p).all())]
        if bad:
            self._report(optimizer, "weight", bad, len(everything))

    def _report(self, optimizer: Optimizer, what: str, layers: list[str], of: int) -> None:
        step, update = self.model.num_timesteps, self.updates[id(optimizer)]
        self.origin = Origin(step, update, what, layers, of, *self.before)
        raise _Found
