"""What a strategy is, and scalar arithmetic that reads the same for floats (host) and 0-dim tensors (device)."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from clipping.config import StrategyConfig
from clipping.errors import ClippingError

if TYPE_CHECKING:
    from clipping.norms import GradientSet

Scalar = Any  # a float on the host path, a 0-dim tensor on a device path
State = dict[str, Any]  # str -> float, list of floats, Tensor or list of Tensor


class HostMath:
    """Scalars are Python floats: a branch is free."""

    @staticmethod
    def where(condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
        return a if condition else b

    @staticmethod
    def exp(x: Scalar) -> Scalar:
        return math.exp(x)

    @staticmethod
    def sqrt(x: Scalar) -> Scalar:
        return math.sqrt(x)

    @staticmethod
    def shrink(norm: Scalar, threshold: Scalar) -> Scalar:
        """min(1, threshold / norm), exactly 1.0 where nothing is to be clipped; an infinite threshold never clips."""
        return threshold / norm if norm > threshold else 1.0


class DeviceMath:
    """Scalars are 0-dim tensors on the device: no branch, no host read."""

    @staticmethod
    def where(condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
        like = condition.device
        a = a if isinstance(a, Tensor) else torch.full((), a, dtype=precision(like), device=like)
        b = b if isinstance(b, Tensor) else torch.full((), b, dtype=precision(like), device=like)
        return torch.where(condition, a, b)

    @staticmethod
    def exp(x: Scalar) -> Scalar:
        return torch.exp(x)

    @staticmethod
    def sqrt(x: Scalar) -> Scalar:
        return torch.sqrt(x)

    @staticmethod
    def shrink(norm: Scalar, threshold: Scalar) -> Scalar:
        return torch.where(norm > threshold, threshold / norm, torch.ones_like(norm))


def precision(device: torch.device) -> torch.dtype:
    """The widest float that scalars can have on ``device``."""
    return torch.float32 if device.type == "mps" else torch.float64


HOST = HostMath()
DEVICE = DeviceMath()
Math = HostMath | DeviceMath


@dataclass(slots=True)
class Decision:
    """What to do with one gradient: multiply by ``coef`` (<= 1), or leave the update out where ``skip``.

    Numbers that no norm changes are floats on either path, and ``skip`` is False of what never leaves one out.
    """

    threshold: Scalar
    coef: Scalar
    skip: Scalar
    state: State


class Strategy(ABC):
    """One row of the table. The numbers are fixed when it is made; everything that changes lives in a ``State``."""

    name: ClassVar[str]
    reads: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, config: StrategyConfig) -> None:
        self.config = config
        for number in config.numbers():
            if number not in self.reads:
                takes = ", ".join(sorted(self.reads)) or "nothing"
                raise ClippingError(f"strategy {self.name!r} does not read {number!r}; it reads {takes}")

    def initial(self) -> State:
        """The state before the first update, of host scalars."""
        return {}

    def to_device(self, state: State, device: torch.device) -> State:
        """The same state as tensors on ``device``."""
        return {
            key: value.to(device)
            if isinstance(value, Tensor)
            else torch.full((), value, dtype=precision(device), device=device)
            if isinstance(value, float)
            else value
            for key, value in state.items()
        }

    def to_host(self, state: State) -> State:
        """The same state of plain floats where a value is a scalar (reads the device)."""
        return {k: float(v) if isinstance(v, Tensor) and v.ndim == 0 else v for k, v in state.items()}

    def saved(self, state: State) -> State:
        """A copy of ``state`` (on the host) that later updates do not change."""
        return copy.deepcopy(state)


class ScaleStrategy(Strategy):
    """One coefficient for the whole group, from its norm alone: keeps the direction and folds into fused optimisers."""

    order: float = 2.0  # the p of the norm that decides

    @abstractmethod
    def decide(self, norm: Scalar, state: State, math: Math) -> Decision:
        """The decision for a finite ``norm``."""


class TensorStrategy(Strategy):
    """A strategy that looks at tensors, rows or entries, and may turn the direction."""

    def measure_and_apply(self, grads: GradientSet) -> tuple[float, float] | None:
        """Clip in the very pass that measures, on the host: the norms before and after; None where that cannot be."""
        return None

    @abstractmethod
    def apply(self, grads: GradientSet, norm: Scalar, state: State, ok: Scalar) -> tuple[Scalar, Scalar, State]:
        """Clip in place.

        Args:
            grads: the gradients of the group.
            norm: their L2 norm, a scalar.
            state: what the last update left.
            ok: False where the gradient is not finite (a device path cannot branch on it).

        Returns:
            the L2 norm after, the threshold (NaN where there is not one number), the new state (old where not ``ok``).
        """
