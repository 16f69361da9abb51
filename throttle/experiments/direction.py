"""Direction: what each kind of clip does to one real gradient, when each is set so that it halves the gradient's norm.

Pruning (small entries set to zero), which is sometimes taken for clipping, stands beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from clipping import GradientClipper
from throttle.experiments.base import Experiment, Results, Trial, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TURNS = 0.01
"""Degrees from which a clip counts as turning the gradient."""


def raw_gradient(seed: int) -> tuple[list[nn.Parameter], list[Tensor]]:
    """Parameters and gradients (float64) of a fresh convolutional classifier on random images."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10)
    ).double()
    x, y = torch.randn(32, 1, 14, 14, dtype=torch.float64), torch.randint(0, 10, (32,))
    nn.functional.cross_entropy(net(x), y).backward()
    params = list(net.parameters())
    return params, [p.grad.clone() for p in params if p.grad is not None]


def clipped(kind: str, threshold: float, params: list[nn.Parameter], grads: list[Tensor]) -> Tensor:
    """The gradient [N] that is left of `grads`."""
    if kind == "pruning":
        flat = torch.cat([g.flatten() for g in grads])
        return torch.where(flat.abs() < threshold, 0.0, flat)
    for p, g in zip(params, grads):
        p.grad = g.clone()
    optimizer = torch.optim.SGD(params, lr=0.0, foreach=False)  # a rate of 0: only the gradients are of interest
    GradientClipper(kind, threshold=threshold).attach(optimizer)  # type: ignore[arg-type]
    optimizer.step()
    return torch.cat([p.grad.flatten() for p in params if p.grad is not None])


def mean_size(raw: Tensor, which: Tensor) -> float:
    """Mean absolute value of the chosen entries, 0 for none."""
    return float(raw[which].abs().mean()) if bool(which.any()) else 0.0


@dataclass(frozen=True)
class Direction(Experiment):
    """Arms: kinds of clip."""

    name: ClassVar[str] = "direction"
    question: ClassVar[str] = "Which clips turn the gradient, and is clipping a kind of pruning?"
    columns: ClassVar[tuple[str, ...]] = ("angle", "zeroed", "kept")

    kinds: tuple[str, ...] = ("global_norm", "inf_norm", "soft", "per_tensor_norm", "value", "pruning")

    @property
    def arms(self) -> tuple[str, ...]:
        return self.kinds

    def trial(self, arm: str, seed: int) -> Trial:
        params, grads = raw_gradient(seed)
        raw = torch.cat([g.flatten() for g in grads])
        goal = float(raw.norm()) / 2
        low, high = 1e-9, 10 * float(raw.norm())
        for _ in range(60):  # bisect (in the logarithm) for the threshold that halves the norm
            middle = math.sqrt(low * high)
            longer = float(clipped(arm, middle, params, grads).norm()) > goal
            if longer != (arm == "pruning"):
                high = middle
            else:
                low = middle
        left = clipped(arm, middle, params, grads)
        # atan2 of the parts across and along is exact for small angles, where acos of a cosine is not
        along = left @ raw / raw.norm()
        across = (left - along * raw / raw.norm()).norm()
        return {
            "angle": math.degrees(math.atan2(float(across), float(along))),
            "zeroed": float(((left == 0) & (raw != 0)).double().sum() / (raw != 0).double().sum()),
            "kept": float((left == raw)[raw != 0].double().mean()),
            "kept_size": mean_size(raw, (left == raw) & (raw != 0)),
            "changed_size": mean_size(raw, left != raw),
            "length": float(left.norm() / raw.norm()),
        }

    def sentence(self, results: Results) -> str:
        def turned(arm: str) -> bool:
            return results.median(arm, "angle").middle > TURNS

        turn = [f"{a} by {results.median(a, 'angle')} degrees" for a in self.arms if turned(a)]
        keep = [a for a in self.arms if not turned(a)]
        most = max(results.median(a, "zeroed").high for a in self.arms if a != "pruning")
        kept, zeroed = (100 * results.median("pruning", key).middle for key in ("kept", "zeroed"))
        same = 100 * results.median("value", "kept").middle
        return (
            f"Halving the norm, {', '.join(keep) or 'no clip'} kept the direction; turned it: "
            f"{', '.join(turn) or 'none'}. "
            f"Entries set to zero: at most {short(100 * most)}% by any clip, {short(zeroed)}% by pruning. "
            "Entries left as they "
            f"were: {short(same)}% by clipping values (the "
            f"{'small' if self._keeps_small(results, 'value') else 'large'} "
            f"ones), {short(kept)}% by pruning (the "
            f"{'small' if self._keeps_small(results, 'pruning') else 'large'} ones)."
        )

    @staticmethod
    def _keeps_small(results: Results, arm: str) -> bool:
        return results.median(arm, "kept_size").middle < results.median(arm, "changed_size").middle

    def plot(self, results: Results, figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, key, label in (
            (left, "angle", "angle to the raw gradient, degrees"),
            (right, "zeroed", "share set to zero"),
        ):
            for row, arm in enumerate(self.arms):
                values = results.values(arm, key)
                axes.plot(values, [row] * len(values), "o", alpha=0.6)
            axes.set_yticks(range(len(self.arms)), self.arms)
            axes.set_xlabel(label)
        left.invert_yaxis()


EXPERIMENT = Direction()
