"""Strategies that choose the threshold from the norms seen so far; all guarded in the same three ways.

Tried without guards, automatic thresholds let a spike through while warming up, followed a diverging run upwards, and
took in non-finite norms. So every one has (1) a warm-up under a fixed threshold, (2) a ceiling, (3) is never fed a
non-finite norm.
"""

from __future__ import annotations

import bisect
import math as _math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from clipping.config import StrategyConfig, count, fraction, positive
from clipping.strategies.base import HOST, Decision, Math, Scalar, ScaleStrategy, State, precision

CEILING = 10.0  # the default ceiling, in typical norms of the warm-up
TYPICAL_ETA = 0.2  # step of the running median of the warm-up's norms, in log(norm)


class Automatic(ScaleStrategy):
    """The guard around every automatic threshold.

    For ``warmup`` updates the threshold is fixed: ``threshold`` if given, else the first positive norm of the run (so
    that the whole is free of units). Afterwards it is the strategy's proposal, never above ``ceiling``: default 10
    times the running median of the warm-up's norms.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"threshold", "warmup", "ceiling"})
    default_warmup: ClassVar[int] = 25

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.guard = _math.inf if config.threshold is None else positive("threshold", config.threshold)
        self.warmup = self.default_warmup if config.warmup is None else count("warmup", config.warmup, 0)
        self.ceiling = None if config.ceiling is None else positive("ceiling", config.ceiling)

    def initial(self) -> State:
        # An infinite guard or typical norm means: not seen yet.
        return {"seen": 0.0, "guard": self.guard, "typical": _math.inf}

    def decide(self, norm: Scalar, state: State, math: Math) -> Decision:
        warm = state["seen"] < self.warmup
        first = math.where(norm > 0.0, norm, _math.inf)
        guard = math.where(state["guard"] == _math.inf, first, state["guard"])
        old = state["typical"]
        moved = old * math.exp(math.where(norm > old, 0.5 * TYPICAL_ETA, -0.5 * TYPICAL_ETA))
        learnt = math.where(old == _math.inf, first, moved)
        # With no warm-up at all the first norm still sets what is typical.
        typical = math.where(warm, learnt, math.where(old == _math.inf, first, old))
        limit = CEILING * typical if self.ceiling is None else self.ceiling
        proposal, memory = self.propose(norm, math.where(norm > limit, limit, norm), state, math)
        tau = math.where(warm, guard, proposal)
        tau = math.where(tau > limit, limit, tau)
        coef = math.shrink(norm, tau)
        new = {"seen": state["seen"] + 1.0, "guard": guard, "typical": typical}
        new.update(self.learn(norm * coef, limit, warm, memory, math))
        return Decision(tau, coef, False, new)

    @abstractmethod
    def propose(self, norm: Scalar, bounded: Scalar, state: State, math: Math) -> tuple[Scalar, State]:
        """The threshold for ``norm`` and the strategy's memory; ``bounded`` is min(norm, ceiling)."""

    def learn(self, clipped: Scalar, limit: Scalar, warm: Scalar, memory: State, math: Math) -> State:
        """The memory after the update; ``clipped`` is the norm after clipping."""
        return memory


class Quantile(Automatic):
    """``quantile``: log tau += eta * (1[||g|| > tau] - (1 - q)), global norm clipping at tau (Andrew, Thakkar,
    McMahan, Ramaswamy 2021, arXiv:1905.03871).

    tau follows the q-quantile of the norms with one number of memory, in any unit, without a branch. Defaults: ``eta``
    0.2, ``quantile`` 0.5, ``warmup`` 25. The recommended automatic choice.
    """

    name: ClassVar[str] = "quantile"
    reads: ClassVar[frozenset[str]] = Automatic.reads | {"eta", "quantile"}

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.eta = positive("eta", 0.2 if config.eta is None else config.eta, infinite=False)
        self.quantile = fraction("quantile", 0.5 if config.quantile is None else config.quantile)

    def initial(self) -> State:
        return {**super().initial(), "tau": _math.inf}

    def propose(self, norm: Scalar, bounded: Scalar, state: State, math: Math) -> tuple[Scalar, State]:
        tau = math.where(state["tau"] == _math.inf, math.where(norm > 0.0, norm, _math.inf), state["tau"])
        # Kept as tau, not log tau: a loss scaled by a power of two then gives bit-identical training.
        up, down = self.eta * self.quantile, self.eta * (self.quantile - 1.0)
        return tau, {"tau": tau * math.exp(math.where(norm > tau, up, down))}

    def learn(self, clipped: Scalar, limit: Scalar, warm: Scalar, memory: State, math: Math) -> State:
        return {"tau": math.where(memory["tau"] > limit, limit, memory["tau"])}


class ZClip(Automatic):
    """``zclip``: z = (||g|| - mu) / sigma; if z > z_t, clip to tau = mu + z_t * sigma * (z_t / z) (Kumar et al. 2025,
    ZClip, arXiv:2504.02507).

    mu and sigma^2 are moving averages fed with the clipped norm (so that a spike does not teach them), started from
    mean and variance of the warm-up. Defaults: ``alpha`` 0.97, ``z_threshold`` 2.5, ``warmup`` 25. Where z <= z_t the
    threshold on record is mu + z_t * sigma, and nothing is clipped.
    """

    name: ClassVar[str] = "zclip"
    reads: ClassVar[frozenset[str]] = Automatic.reads | {"alpha", "z_threshold"}

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.alpha = fraction("alpha", 0.97 if config.alpha is None else config.alpha)
        self.warmup = count("warmup", self.warmup, 2)  # a variance needs two norms
        self.z = positive("z_threshold", 2.5 if config.z_threshold is None else config.z_threshold, infinite=False)

    def initial(self) -> State:
        return {**super().initial(), "mean": 0.0, "var": 0.0}

    def propose(self, norm: Scalar, bounded: Scalar, state: State, math: Math) -> tuple[Scalar, State]:
        mean, var = state["mean"], state["var"]
        edge = self.z * math.sqrt(var)
        over = norm - mean
        spike = over > edge
        tau = mean + math.where(spike, self.z * self.z * var / math.where(spike, over, 1.0), edge)
        return tau, {"mean": mean, "var": var, "seen": state["seen"], "bounded": bounded}

    def learn(self, clipped: Scalar, limit: Scalar, warm: Scalar, memory: State, math: Math) -> State:
        mean, var, x = memory["mean"], memory["var"], memory["bounded"]
        # Warm-up: running mean and population variance (Welford) of the norms, bounded by the ceiling.
        k = memory["seen"] + 1.0
        start = mean + (x - mean) / k
        start_var = var + ((x - mean) * (x - start) - var) / k
        # Afterwards: moving averages of the clipped norm.
        beta = 1.0 - self.alpha
        ema = self.alpha * mean + beta * clipped
        ema_var = self.alpha * var + beta * (clipped - ema) * (clipped - ema)
        return {"mean": math.where(warm, start, ema), "var": math.where(warm, start_var, ema_var)}


class AutoClip(Automatic):
    """``autoclip``: tau = the p-th percentile of the norm's history, this norm included (Seetharaman, Wichern, Pardo,
    Le Roux 2020, arXiv:2007.14469), linear between ranks.

    Defaults: ``percentile`` 10, ``window`` 1000 norms (the original's history is unbounded), ``warmup`` 25.
    """

    name: ClassVar[str] = "autoclip"
    reads: ClassVar[frozenset[str]] = Automatic.reads | {"percentile", "window"}

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        percent = 10.0 if config.percentile is None else config.percentile
        self.share = fraction("percentile", percent, 0.0, 100.0) / 100.0
        self.window = count("window", 1000 if config.window is None else config.window)

    def initial(self) -> State:
        return {**super().initial(), "history": []}

    def propose(self, norm: Scalar, bounded: Scalar, state: State, math: Math) -> tuple[Scalar, State]:
        if math is HOST:
            return self._host(bounded, state)
        ring: Tensor = state["history"]
        slot = torch.remainder(state["seen"], self.window).to(torch.int64)
        ring = torch.where(torch.arange(self.window, device=ring.device) == slot, bounded, ring)
        filled = torch.clamp(state["seen"] + 1.0, max=float(self.window))
        rank = self.share * (filled - 1.0)
        low = torch.floor(rank)
        values = torch.sort(ring).values  # empty slots are infinite: they come last
        a = torch.take(values, low.to(torch.int64))
        b = torch.take(values, torch.minimum(low + 1.0, filled - 1.0).to(torch.int64))
        return a + (b - a) * (rank - low), {"history": ring}

    def _host(self, bounded: float, state: State) -> tuple[float, State]:
        history: list[float] = state["history"]
        # "sorted" is a view of the history kept for speed; it is not saved.
        values: list[float] = state.get("sorted") or sorted(history)
        if len(history) < self.window:
            history.append(bounded)
        else:
            slot = int(state["seen"]) % self.window
            del values[bisect.bisect_left(values, history[slot])]
            history[slot] = bounded
        bisect.insort(values, bounded)
        rank = self.share * (len(values) - 1)
        low = int(rank)
        a, b = values[low], values[min(low + 1, len(values) - 1)]
        return a + (b - a) * (rank - low), {"history": history, "sorted": values}

    def to_device(self, state: State, device: torch.device) -> State:
        state = dict(state)
        state.pop("sorted", None)
        history = torch.tensor(state.pop("history"), dtype=precision(device))
        ring = torch.full((self.window,), _math.inf, dtype=precision(device))
        ring[: len(history)] = history
        return {**super().to_device(state, device), "history": ring.to(device)}

    def saved(self, state: State) -> State:
        return super().saved({key: value for key, value in state.items() if key != "sorted"})

    def to_host(self, state: State) -> State:
        out: dict[str, Any] = super().to_host({k: v for k, v in state.items() if k != "sorted"})
        if isinstance(out["history"], Tensor):
            out["history"] = [v for v in out["history"].tolist() if v != _math.inf]
        else:
            out["history"] = list(out["history"])
        return out
