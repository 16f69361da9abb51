"""The runs of a comparison: every arm with every seed in every setting, differing in clipping alone."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from contracts import UserError
from control.backprop import BackpropConfig
from control.config import ControlConfig, EnvConfig, PPOConfig
from throttle.compare.arms import Arm
from throttle.compare.config import BACKPROP, ControlComparison


@dataclass(frozen=True)
class Setting:
    """What the arms are compared in; scores are compared within a setting only."""

    algorithm: str
    task: str
    learning_rate: float

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.algorithm}, {self.task}, lr {self.learning_rate:g}"

    @property
    def slug(self) -> str:
        """For folders."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", f"{self.algorithm}-{self.task}-lr{self.learning_rate:g}").strip("-")


@dataclass(frozen=True)
class Planned:
    """One training and its evaluation."""

    name: str
    """The folder of the run, within the comparison's."""
    arm: str
    seed: int
    setting: Setting
    config: Any
    """Of the training: ControlConfig, or BackpropConfig."""


def plan(design: ControlComparison) -> list[Planned]:
    """All runs; arms of one seed and setting come together, so that a comparison cut short has whole pairs.

    Raises UserError for a setting that cannot be (a batch larger than the rollout, an environment that is not there).
    """
    arms = design.parsed()
    settings = _settings(design)
    several = len(settings) > 1
    runs = []
    for seed in design.seeds:
        for setting, config in settings:
            for arm in arms:
                name = f"{setting.slug}-{arm.slug}-seed{seed}" if several else f"{arm.slug}-seed{seed}"
                runs.append(Planned(name, arm.name, seed, setting, _armed(config, arm, seed, name)))
    return runs


def _armed(config: Any, arm: Arm, seed: int, name: str) -> Any:
    clip = arm.clip
    if isinstance(config, ControlConfig):
        # What follows a clipped gradient must be alike: how often telemetry is fetched is the configuration's.
        clip = dataclasses.replace(clip, drain_every=config.clip.drain_every)
    return dataclasses.replace(config, name=name, seed=seed, clip=clip)


def _settings(design: ControlComparison) -> list[tuple[Setting, Any]]:
    found: list[tuple[Setting, Any]] = []
    config: Any
    for algorithm in design.algorithms or [design.control.algorithm]:
        if algorithm == BACKPROP:
            for rate in design.learning_rates or [design.backprop.learning_rate]:
                config = dataclasses.replace(design.backprop, learning_rate=rate)
                found.append((Setting(BACKPROP, f"wavy road ({config.optimizer})", rate), config))
            continue
        for task in design.tasks or [""]:
            base = dataclasses.replace(design.control, algorithm=algorithm, env=_environment(design.control.env, task))  # type: ignore[arg-type]
            for rate in design.learning_rates or [base.settings.learning_rate]:
                settings = dataclasses.replace(base.settings, learning_rate=rate)
                if isinstance(settings, PPOConfig) and isinstance(base.settings, PPOConfig):  # its end goes with it
                    share = base.settings.final_learning_rate / base.settings.learning_rate
                    settings = dataclasses.replace(settings, final_learning_rate=share * rate)
                config = dataclasses.replace(base, **{algorithm: settings})  # type: ignore[arg-type]
                found.append((Setting(algorithm, task or _name(config.env), rate), config))
    return found


def _environment(env: EnvConfig, task: str) -> EnvConfig:
    """The environment that a task names: ID, or ID@TOWN."""
    if not task:
        return env
    identity, at, town = task.partition("@")
    if not identity or (at and not town):
        raise UserError(f"task '{task}' must be ID or ID@TOWN")
    arguments = {**env.arguments, **({"town": town} if town else {})}
    if not identity.startswith("throttle/") and not town:
        arguments.pop("town", None)
    return dataclasses.replace(env, id=identity, arguments=arguments)


def _name(env: EnvConfig) -> str:
    town = env.arguments.get("town", "")
    return f"{env.id}@{town}" if town else env.id


def pinned(config: Any, at_once: int, cores: int) -> Any:
    """The same training with no more threads than its share of the cores.

    Policies' networks are small: torch gets one thread, the simulator the rest, whose bits do not depend on it.
    """
    if not isinstance(config, ControlConfig | BackpropConfig):
        return dataclasses.replace(config, train=dataclasses.replace(config.train, threads=max(1, cores // at_once)))
    changes: dict[str, Any] = {"torch_threads": 1}
    if isinstance(config, ControlConfig):
        changes["numba_threads"] = max(1, min(config.numba_threads, cores // at_once))
    return dataclasses.replace(config, **changes)
