"""A policy under perturbations of five severities: sensor noise, delayed actions, disturbances, weak actuators.

The perturbation sits between policy and environment, so the routes are the same at every severity and for every arm.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from control.config import EnvConfig
from control.evaluate import Learned, Policy, evaluate

SEVERITIES: dict[str, tuple[float, ...]] = {
    "sensor_noise": (0.02, 0.05, 0.1, 0.2, 0.4),
    "action_delay": (1, 2, 3, 5, 8),
    "disturbance": (0.05, 0.1, 0.2, 0.4, 0.8),
    "actuator_gain": (0.9, 0.75, 0.6, 0.4, 0.2),
}
"""What the five severities are: standard deviation of noise added to observations; steps that an action comes late;
standard deviation of what is added to actions (with memory, 1 s at 10 Hz; a share of random ones where actions are
discrete); factor on actions."""
MEMORY = 0.9  # of a disturbance from step to step
SMALL = 1e-3  # standard deviation of the noise that local sensitivity is measured with


class Perturbed:
    """A policy that sees through noise and acts through faults; the same seed gives the same ones."""

    def __init__(self, policy: Policy, kind: str, severity: int, actions: Any, seed: int = 0) -> None:
        """severity 0 (none) to 5; actions: the environment's action space."""
        self.policy, self.kind, self.actions = policy, kind, actions
        self.amount = SEVERITIES[kind][severity - 1] if severity else 0.0
        self.random = np.random.default_rng((seed, severity))
        self.late: deque[NDArray[Any]] = deque()
        self.push: NDArray[np.float64] | None = None
        self.discrete = hasattr(actions, "n")
        self.active = severity > 0

    def act(self, obs: Any, starts: NDArray[np.bool_]) -> NDArray[Any]:
        """The action that reaches the vehicle."""
        if not self.active:
            return self.policy.act(obs, starts)
        if self.kind == "sensor_noise":
            obs = (obs + self.random.normal(0.0, self.amount, obs.shape)).astype(obs.dtype)
        action = self.policy.act(obs, starts)
        if self.kind == "action_delay":
            return self._delayed(action, starts)
        if self.kind == "disturbance":
            return self._disturbed(action, starts)
        if self.kind == "actuator_gain" and not self.discrete:
            return (action * self.amount).astype(action.dtype)
        return action

    def _delayed(self, action: NDArray[Any], starts: NDArray[np.bool_]) -> NDArray[Any]:
        self.late.append(action.copy())
        if len(self.late) <= self.amount:
            return np.zeros_like(action)
        for waiting in self.late:
            waiting[starts & (waiting is not self.late[-1])] = 0  # a fresh episode begins without an action on its way
        return self.late.popleft()

    def _disturbed(self, action: NDArray[Any], starts: NDArray[np.bool_]) -> NDArray[Any]:
        if self.discrete:
            hit = self.random.random(len(action)) < self.amount
            return np.where(hit, self.random.integers(0, self.actions.n, len(action)), action)
        fresh = self.random.normal(0.0, self.amount, action.shape)
        if self.push is None:
            self.push = fresh
        else:
            self.push = MEMORY * self.push + np.sqrt(1 - MEMORY**2) * fresh
        self.push[starts] = fresh[starts]
        pushed = np.clip(action + self.push, self.actions.low, self.actions.high)
        return pushed.astype(action.dtype)


class Sensitivity:
    """A learned policy; measures ||change of action|| / ||change of observation|| at small changes while it acts."""

    def __init__(self, policy: Learned, seed: int = 0) -> None:
        self.policy = policy
        self.random = np.random.default_rng(seed)
        self.total, self.count = 0.0, 0

    def act(self, obs: Any, starts: NDArray[np.bool_]) -> NDArray[Any]:
        """The policy's own action."""
        noise = self.random.normal(0.0, SMALL, obs.shape).astype(obs.dtype)
        moved = self.policy.look(obs + noise, starts)
        action = self.policy.act(obs, starts)
        change = np.linalg.norm(np.reshape(moved - action, (len(obs), -1)), axis=1)
        self.total += float((change / np.linalg.norm(noise.reshape(len(obs), -1), axis=1)).sum())
        self.count += len(obs)
        return action

    @property
    def mean(self) -> float:
        """Mean over all steps."""
        return self.total / max(self.count, 1)


def robustness(policy: Learned, config: EnvConfig, kinds: list[str], metric: str, **options: Any) -> dict[str, Any]:
    """The metric at severities 0 to 5 of each kind, the area under that curve (mean, trapezoids), and the sensitivity.

    metric: a name among the figures of an evaluation. options: as of `control.evaluate.evaluate`.
    """
    curves: dict[str, list[float]] = {}
    plain: float | None = None
    sensitivity, actions = Sensitivity(policy), policy.model.action_space
    for kind in kinds:
        values = []
        for severity in range(len(SEVERITIES[kind]) + 1):
            if severity == 0 and plain is not None:
                values.append(plain)
                continue
            driver: Policy = Perturbed(policy, kind, severity, actions) if severity else sensitivity
            figures = evaluate(f"{kind} {severity}", driver, config, **options).figures()
            values.append(figures[metric])
            plain = values[0]
        curves[kind] = values
    area = {kind: float(np.mean([(a + b) / 2 for a, b in itertools.pairwise(v)])) for kind, v in curves.items()}
    severities = {kind: list(SEVERITIES[kind]) for kind in kinds}
    return {
        "metric": metric, "severities": severities, "curves": curves, "area": area, "sensitivity": sensitivity.mean,
    }  # fmt: skip
