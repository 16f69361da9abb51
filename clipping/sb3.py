"""Clipping for every optimiser of a Stable-Baselines3 or sb3-contrib algorithm, found by duck typing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.nn import Module
from torch.optim import Optimizer

from clipping.attach import Attachment
from clipping.clipper import GradientClipper
from clipping.errors import ClippingError


def optimizers_of(algorithm: Any) -> dict[str, tuple[Optimizer, Module | None]]:
    """The optimisers of an algorithm by name, each with the module that it trains.

    ``policy`` (PPO, A2C, DQN, TRPO, QR-DQN, RecurrentPPO, MaskablePPO), or ``actor`` and ``critic`` (SAC, TD3, DDPG,
    TQC, CrossQ), and ``ent_coef`` where the entropy coefficient is learnt.
    """
    found: dict[str, tuple[Optimizer, Module | None]] = {}
    for name in ("policy", "actor", "critic"):
        module = getattr(algorithm, name, None)
        optimizer = getattr(module, "optimizer", None)
        if isinstance(optimizer, Optimizer):
            found[name] = (optimizer, module)
    entropy = getattr(algorithm, "ent_coef_optimizer", None)
    if isinstance(entropy, Optimizer):
        found["ent_coef"] = (entropy, None)
    return found


class Sb3Attachment(dict[str, GradientClipper]):
    """The clippers by optimiser name; :meth:`detach` takes all off and gives the algorithm its own clipping back."""

    def __init__(self, algorithm: Any) -> None:
        super().__init__()
        self.algorithm = algorithm
        self.handles: list[Attachment] = []
        self.max_grad_norm: float | None = None

    def detach(self) -> None:
        """Remove every hook and restore ``max_grad_norm``."""
        for handle in self.handles:
            handle.detach()
        self.handles = []
        if self.max_grad_norm is not None:
            self.algorithm.max_grad_norm = self.max_grad_norm

    def state_dict(self) -> dict[str, Any]:
        """The states of all clippers, by name."""
        return {name: clipper.state_dict() for name, clipper in self.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume all clippers from :meth:`state_dict`."""
        for name, clipper in self.items():
            clipper.load_state_dict(state[name])


def attach_sb3(algorithm: Any, factory: Callable[[str], GradientClipper | None]) -> Sb3Attachment:
    """Attach a clipper to each optimiser of ``algorithm``.

    The algorithm's own clipping is switched off with ``max_grad_norm = inf`` (0 would stop learning silently, a
    negative number would flip the gradient). Hooks do not survive ``save`` and ``load``: attach again to what
    ``load`` returns.

    Args:
        algorithm: a model of Stable-Baselines3 or sb3-contrib.
        factory: gives the clipper for ``policy``, ``actor``, ``critic`` or ``ent_coef``; None leaves that one alone.

    Raises:
        ClippingError: when the algorithm has no optimiser (ARS has none).
    """
    found = optimizers_of(algorithm)
    if not found:
        raise ClippingError(f"{type(algorithm).__name__} has no torch optimiser to clip")
    out = Sb3Attachment(algorithm)
    for name, (optimizer, module) in found.items():
        clipper = factory(name)
        if clipper is not None:
            out[name] = clipper
            out.handles.append(clipper.attach(optimizer, module))
    if out and hasattr(algorithm, "max_grad_norm"):
        out.max_grad_norm = algorithm.max_grad_norm
        algorithm.max_grad_norm = float("inf")
    return out
