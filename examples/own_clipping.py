"""A clipping strategy of your own, with the telemetry, checkpoints and checks of the built-in ones.

python examples/own_clipping.py
"""

from __future__ import annotations

from typing import ClassVar

import torch

from clipping import GradientClipper
from clipping.config import StrategyConfig
from clipping.strategies import KINDS
from clipping.strategies.base import Decision, Math, Scalar, ScaleStrategy, State
from clipping.strategies.fixed import required


class Root(ScaleStrategy):
    """``root``: norms above tau are shortened to sqrt(tau * norm), so that large gradients still count for more."""

    name: ClassVar[str] = "root"
    reads: ClassVar[frozenset[str]] = frozenset({"threshold"})

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.threshold = required(self.name, config)

    def decide(self, norm: Scalar, state: State, math: Math) -> Decision:
        """Scalars are floats on the host and tensors on a device; `math` does for both what Python cannot."""
        return Decision(self.threshold, math.sqrt(math.shrink(norm, self.threshold)), norm != norm, state)


KINDS["root"] = Root


def main() -> None:
    """Three steps on a regression."""
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    clipper = GradientClipper("root", threshold=1.0)  # type: ignore[arg-type]
    clipper.attach(optimizer)
    for _ in range(3):
        optimizer.zero_grad()
        (100 * model(torch.randn(16, 4))).square().mean().backward()
        optimizer.step()
    for record in clipper.drain():
        print(f"norm {record['norm']:.1f} -> {record['norm_after']:.1f}")


if __name__ == "__main__":
    main()
