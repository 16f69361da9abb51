"""Which parameter follows which strategy."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field

from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

from clipping.config import ClipConfig, StrategyConfig
from clipping.errors import ClippingError
from clipping.norms import GradientSet
from clipping.strategies import build
from clipping.strategies.base import State, Strategy

REST = "rest"  # the name of what no pattern matched, where there are groups


@dataclass
class Group:
    """Parameters under one strategy, with the strategy's state."""

    name: str
    strategy: Strategy
    grads: GradientSet
    state: State = field(default_factory=dict)
    on_device: bool = False  # whether the state's scalars are tensors by now
    numbers: tuple[Tensor, Tensor, Tensor] | None = None  # 0, 1 and NaN on the device


def strategies(config: ClipConfig) -> dict[str, StrategyConfig]:
    """Group name -> its strategy's config; one group without a name where the config has no groups."""
    own = StrategyConfig(config.strategy, **config.numbers())
    return {**config.groups, REST: own} if config.groups else {"": own}


def divide(config: ClipConfig, optimizer: Optimizer, model: Module | None) -> list[Group]:
    """The optimiser's parameters by group, each parameter once however often it is shared.

    Raises:
        ClippingError: when a pattern matches nothing.
    """
    names = {id(p): name for name, p in model.named_parameters()} if model is not None else {}
    members: dict[str, list[Tensor]] = {name: [] for name in strategies(config)}
    seen: set[int] = set()
    for param_group in optimizer.param_groups:
        for p in param_group["params"]:
            if id(p) in seen:
                continue
            seen.add(id(p))
            labels = [str(param_group.get("name", "")), names.get(id(p), "")]
            members[_group_of(config, labels)].append(p)
    for pattern in config.groups:
        if not members[pattern]:
            known = "" if names else "; give the model to attach() to match parameter names"
            raise ClippingError(f"group {pattern!r} matches no parameter of the optimiser{known}")
    return [
        Group(name, build(strategy), GradientSet(members[name]))
        for name, strategy in strategies(config).items()
        if members[name]
    ]


def _group_of(config: ClipConfig, labels: list[str]) -> str:
    for pattern in config.groups:
        if any(label and fnmatch.fnmatchcase(label, pattern) for label in labels):
            return pattern
    return REST if config.groups else ""


def modules(group: Group, model: Module | None) -> list[str]:
    """For each parameter of the group the module that it belongs to; its number where no model is known."""
    names = {id(p): name for name, p in model.named_parameters()} if model is not None else {}
    return [
        names.get(id(p), f"tensor {i}").rpartition(".")[0] or names.get(id(p), f"tensor {i}")
        for i, p in enumerate(group.grads.params)
    ]
