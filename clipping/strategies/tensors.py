"""Strategies that clip tensors, rows or entries one by one: they may turn the direction of the gradient."""

from __future__ import annotations

import math as _math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from clipping.config import StrategyConfig, count, fraction, positive, real
from clipping.errors import ClippingError
from clipping.strategies.base import Scalar, State, TensorStrategy
from clipping.strategies.fixed import required

if TYPE_CHECKING:
    from clipping.norms import GradientSet


class PerTensorNorm(TensorStrategy):
    """``per_tensor_norm``: g_k * min(1, tau / ||g_k||_2) for each tensor k. Changes the direction.

    ``threshold`` is required. Not the global norm: with K tensors the whole may be as long as tau * sqrt(K).
    """

    name: ClassVar[str] = "per_tensor_norm"
    reads: ClassVar[frozenset[str]] = frozenset({"threshold"})

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.threshold = required(self.name, config)

    def apply(self, grads: GradientSet, norm: Scalar, state: State, ok: Scalar) -> tuple[Scalar, Scalar, State]:
        norms = grads.norms()
        coefs = torch.where(norms > self.threshold, self.threshold / norms, 1.0)
        grads.scale_each_(coefs)
        return grads.total(norms * coefs), self.threshold, state


class Value(TensorStrategy):
    """``value``: every entry clamped to [-tau, tau], or to [``lower``, ``upper``] with lower <= 0 <= upper.

    Changes the direction. Either ``threshold`` or both bounds. A range that leaves zero out (lower > 0 or upper < 0)
    would push every entry one way at every step and is refused.
    """

    name: ClassVar[str] = "value"
    bound: float  # the larger of the two, the threshold on record
    reads: ClassVar[frozenset[str]] = frozenset({"threshold", "lower", "upper"})

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        if config.threshold is not None:
            if config.lower is not None or config.upper is not None:
                raise ClippingError("strategy 'value' takes a threshold or lower and upper, not both")
            self.upper = positive("threshold", config.threshold)
            self.lower = -self.upper
            self.bound = self.upper
            return
        if config.lower is None or config.upper is None:
            raise ClippingError("strategy 'value' needs a threshold > 0, or both lower <= 0 and upper >= 0")
        self.lower, self.upper = real("lower", config.lower), real("upper", config.upper)
        if not (self.lower <= 0.0 <= self.upper and self.lower < self.upper):
            raise ClippingError(
                f"the range of 'value' must hold zero, or it adds a constant drift: lower <= 0 <= upper, "
                f"not [{self.lower:g}, {self.upper:g}]"
            )
        self.bound = max(-self.lower, self.upper)

    def measure_and_apply(self, grads: GradientSet) -> tuple[float, float] | None:
        return grads.clamp_both_(self.lower, self.upper)

    def apply(self, grads: GradientSet, norm: Scalar, state: State, ok: Scalar) -> tuple[Scalar, Scalar, State]:
        return grads.clamp_(self.lower, self.upper), self.bound, state


class AGC(TensorStrategy):
    """``agc``: adaptive gradient clipping; each output unit's gradient row g_r is held to
    ||g_r|| <= lambda * max(||w_r||, eps) (Brock, De, Smith, Simonyan 2021, NFNet, arXiv:2102.06171).

    ``threshold`` is lambda, default 0.01; ``eps`` default 1e-3. Units are the rows of dimension 0; vectors and scalars
    count as one unit. The last layer (the last weight of two or more dimensions and what follows it) is left alone, as
    the paper advises; a group of its own may clip it.
    """

    name: ClassVar[str] = "agc"
    reads: ClassVar[frozenset[str]] = frozenset({"threshold", "eps"})

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.ratio = 0.01 if config.threshold is None else positive("threshold", config.threshold)
        self.eps = positive("eps", 1e-3 if config.eps is None else config.eps, infinite=False)

    def measure_and_apply(self, grads: GradientSet) -> tuple[float, float] | None:
        return grads.scale_units_both_(self.ratio, self.eps)

    def apply(self, grads: GradientSet, norm: Scalar, state: State, ok: Scalar) -> tuple[Scalar, Scalar, State]:
        return grads.scale_units_(self.ratio, self.eps), _math.nan, state


class AdaGC(TensorStrategy):
    """``adagc``: per tensor h = min(1, factor * gamma / ||g_k||), then gamma <- decay * gamma + (1 - decay) * ||h g_k||
    (Wang et al. 2025, arXiv:2502.11034).

    The first ``warmup`` 100 updates clip the global norm at ``threshold`` 1.0, and gamma is the least clipped norm so
    far; ``factor`` 1.05, ``decay`` 0.98. ``ceiling`` bounds every tensor's threshold; default 10 times its gamma at the
    end of the warm-up.
    """

    name: ClassVar[str] = "adagc"
    reads: ClassVar[frozenset[str]] = frozenset({"threshold", "decay", "factor", "warmup", "ceiling"})

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.guard = 1.0 if config.threshold is None else positive("threshold", config.threshold)
        self.decay = fraction("decay", 0.98 if config.decay is None else config.decay)
        self.factor = positive("factor", 1.05 if config.factor is None else config.factor, infinite=False)
        self.warmup = 100 if config.warmup is None else count("warmup", config.warmup)
        self.ceiling = None if config.ceiling is None else positive("ceiling", config.ceiling)

    def initial(self) -> State:
        return {"seen": 0.0}

    def apply(self, grads: GradientSet, norm: Scalar, state: State, ok: Scalar) -> tuple[Scalar, Scalar, State]:
        norms, present = grads.norms(), grads.present
        # One number per parameter of the group (which may grow), negative until its first gradient.
        gamma_all, top_all = state.get("gamma", norms.new_zeros(0)), state.get("top", norms.new_zeros(0))
        if len(gamma_all) < grads.size:
            new = grads.size - len(gamma_all)
            gamma_all = torch.cat([gamma_all, norms.new_full((new,), -1.0)])
            top_all = torch.cat([top_all, norms.new_zeros(new)])
        gamma, top = gamma_all[present], top_all[present]
        seen = torch.as_tensor(state["seen"], dtype=norms.dtype, device=norms.device)
        warm, total = seen < self.warmup, torch.as_tensor(norm, dtype=norms.dtype, device=norms.device)
        fresh = gamma < 0.0
        tau = torch.minimum(
            self.factor * gamma, 10.0 * top if self.ceiling is None else torch.full_like(top, self.ceiling)
        )
        shared = torch.where(total > self.guard, self.guard / total, 1.0)
        own = torch.where((norms > tau) & ~fresh, tau / norms, 1.0)
        coefs = torch.where(warm | fresh, shared, own)
        after = norms * coefs
        started = torch.where(after > 0.0, after, -1.0)  # (a minimum of zero would clip to nothing for ever)
        least = torch.where(after > 0.0, torch.minimum(gamma, after), gamma)
        moved = torch.where(warm, least, self.decay * gamma + (1.0 - self.decay) * after)
        grown = torch.where(fresh, started, moved)
        new_top = torch.where(warm | fresh, grown, top)
        grads.scale_each_(coefs)
        keep = torch.as_tensor(ok, device=norms.device)
        after_state: State = {
            "seen": state["seen"] + (ok if isinstance(ok, Tensor) else float(ok)),
            "gamma": gamma_all.index_put((present,), torch.where(keep, grown, gamma)),
            "top": top_all.index_put((present,), torch.where(keep, new_top, top)),
        }
        return grads.total(after), _math.nan, after_state


class UClip(TensorStrategy):
    """``uclip``: v = clip(g + b) to the global norm tau, then b <- b + g - v (Elesedy, Hutter 2023, arXiv:2302.02971).

    The carry b hands on what was cut, so that the sum of updates follows the sum of gradients: unbiased on average
    where plain clipping is not. One extra copy of the gradients in memory. ``threshold`` is required.
    """

    name: ClassVar[str] = "uclip"
    reads: ClassVar[frozenset[str]] = frozenset({"threshold"})

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.threshold = required(self.name, config)

    def apply(self, grads: GradientSet, norm: Scalar, state: State, ok: Scalar) -> tuple[Scalar, Scalar, State]:
        carry: list[Tensor] = state.get("carry", [])
        carry = carry + [torch.zeros_like(p) for p in grads.local_params()[len(carry) :]]
        mine = [carry[i] for i in grads.indices]
        grads.add_(mine)
        total = torch.as_tensor(grads.norm(2.0), device=grads.device)
        coef = torch.where(total > self.threshold, self.threshold / total, 1.0)
        keep = torch.as_tensor(ok, device=grads.device)
        for b, g in zip(mine, grads.locals):
            # (g + b) - v, where g already holds g + b
            left = g * (1.0 - coef).to(g.dtype)
            b.copy_(torch.where(keep, left, b))
        grads.scale_(coef)
        return total * coef, self.threshold, {"carry": carry}


class PerSample(TensorStrategy):
    """``per_sample``: the mean over samples of g_i * min(1, C / ||g_i||), C the ``threshold`` (Abadi et al. 2016,
    arXiv:1607.00133, without the noise).

    The clipping is done where the samples are still apart, by ``clipper.backward(model, loss, *batch)`` in place of
    ``loss.backward()``; the step only measures what came of it. ``threshold`` is required.
    """

    name: ClassVar[str] = "per_sample"
    reads: ClassVar[frozenset[str]] = frozenset({"threshold"})

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.threshold = required(self.name, config)

    def apply(self, grads: GradientSet, norm: Scalar, state: State, ok: Scalar) -> tuple[Scalar, Scalar, State]:
        return norm, self.threshold, state
