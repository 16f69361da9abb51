"""How well does a policy drive where it was not trained: episodes, driving scores, baselines."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from contracts import UserError
from control.config import ControlConfig, EnvConfig
from control.env import is_driving, make_env, set_normalizer
from control.model import build, set_weights
from control.state import read
from sim.metrics import COSTS, VERSIONS, Route, benchmark, route_score

HELD_OUT_SEED = 1 << 30
"""Evaluation seeds begin here; trainings cannot be given a seed this large, so no episode is shared."""
CONSTANT_PEDALS = (0.15, 0.3, 0.6)
"""The constant-action baseline goes straight with the best of these."""
AT_ONCE = 256


class Policy(Protocol):
    """Anything that acts for many worlds at once."""

    def act(self, obs: Any, starts: NDArray[np.bool_]) -> NDArray[Any]:
        """Actions for the observations; `starts` marks worlds whose episode has just begun."""
        ...


class Learned:
    """A Stable-Baselines3 model, without exploration noise."""

    def __init__(self, model: BaseAlgorithm) -> None:
        self.model = model
        self._memory: Any = None

    def act(self, obs: Any, starts: NDArray[np.bool_]) -> NDArray[Any]:
        """The model's most likely action."""
        actions, self._memory = self.model.predict(obs, self._memory, starts, deterministic=True)
        return actions

    def look(self, obs: Any, starts: NDArray[np.bool_]) -> NDArray[Any]:
        """What the model would do, without taking it into its memory."""
        return self.model.predict(obs, self._memory, starts, deterministic=True)[0]


class Constant:
    """The same action always."""

    def __init__(self, action: NDArray[Any]) -> None:
        self.action = action

    def act(self, obs: Any, starts: NDArray[np.bool_]) -> NDArray[Any]:
        """The action for each world."""
        return np.repeat(self.action[None], len(starts), axis=0)


@dataclass(frozen=True)
class Episode:
    """One evaluated episode. `route` is None for environments that do not drive."""

    seed: int
    town: str
    reward: float
    steps: int
    seconds: float
    route: Route | None


@dataclass
class Evaluation:
    """All episodes of one policy."""

    policy: str
    environment: str
    episodes: list[Episode]

    def figures(self) -> dict[str, float]:
        """Means: return and steps; and for driving, the scores of every version with its name."""
        found = {
            "episodes": float(len(self.episodes)),
            "return": float(np.mean([e.reward for e in self.episodes])),
            "steps": float(np.mean([e.steps for e in self.episodes])),
        }
        routes = [e.route for e in self.episodes if e.route is not None]
        if routes:
            for version in VERSIONS:
                part = benchmark(routes, version)
                found[f"driving_score/{version}"] = part.pop("driving_score")
                found[f"penalty/{version}"] = part.pop("penalty")
                found |= part
            found["mean_speed"] = sum(r.distance for r in routes) / max(sum(e.seconds for e in self.episodes), 1e-9)
            for event in COSTS:
                found[f"events/{event}"] = float(sum(getattr(r, event) for r in routes))
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the means, and every episode with its scores."""
        rows = []
        for e in self.episodes:
            row = dataclasses.asdict(e)
            if e.route is not None:
                row["scores"] = {version: route_score(e.route, version) for version in VERSIONS}
            rows.append(row)
        return {"policy": self.policy, "environment": self.environment, "figures": self.figures(), "episodes": rows}


def to_route(report: dict[str, Any]) -> Route:
    """A driving environment's report of an episode as events of a route.

    The report holds the sum of the speed checks' shares, so each check counts with their mean. A target that was
    reached is the whole route, as the leaderboards have it.
    """
    checks = report["speed_checks"]
    return Route(
        completion=1.0 if report["completed"] else min(max(report["completion"], 0.0), 1.0),
        walker=report["hit_walker"],
        vehicle=report["hit_vehicle"],
        static=report["hit_static"],
        red_light=report["red_light"],
        stop_sign=report["stop_sign"],
        scenario_timeout=report["scenario_timeout"],
        yield_emergency=report["yield_emergency"],
        outside=min(report["outside_distance"] / max(report["distance"], 1.0), 1.0),
        speeds=[report["speed_share"] / checks] * checks if checks else [],
        distance=report["distance"],
        finished=bool(report["completed"]),
    )


def evaluate(
    name: str,
    policy: Policy,
    config: EnvConfig,
    episodes: int = 64,
    seed: int = 0,
    prepare: Callable[[VecEnv], None] = lambda env: None,
    progress: Callable[[int], None] = lambda done: None,
    **changes: Any,
) -> Evaluation:
    """Drive `episodes` episodes with the seeds HELD_OUT_SEED + seed, + 1, ...: the same routes for every policy.

    prepare: called with the environments before they start. progress: called with the number of episodes done.
    changes: arguments of the environment that differ from the configuration's, e.g. town.
    """
    town = str(changes.get("town", config.arguments.get("town", "")))
    found: list[Episode] = []
    for first in range(0, episodes, AT_ONCE):
        worlds = min(AT_ONCE, episodes - first)
        start = HELD_OUT_SEED + seed + first
        env = make_env(config, start, worlds, **changes)
        prepare(env)
        finished = _drive(policy, env, lambda done, first=first: progress(first + done))  # type: ignore[misc]
        env.close()
        for world, (steps, info) in enumerate(finished):
            report = info.get("report")
            found.append(
                Episode(
                    seed=start + world,
                    town=town,
                    reward=float(info["episode"]["r"]),
                    steps=steps,
                    seconds=float(report["seconds"]) if report else 0.0,
                    route=to_route(report) if report else None,
                )
            )
    return Evaluation(name, config.id, found)


def _drive(policy: Policy, env: VecEnv, progress: Callable[[int], None]) -> list[tuple[int, dict[str, Any]]]:
    """Each world's first episode: steps and last info."""
    obs: Any = env.reset()
    starts = np.ones(env.num_envs, np.bool_)
    open_worlds = np.ones(env.num_envs, np.bool_)
    finished: list[tuple[int, dict[str, Any]]] = [(0, {})] * env.num_envs
    step = 0
    while open_worlds.any():
        obs, _, dones, infos = env.step(policy.act(obs, starts))
        starts = np.asarray(dones, np.bool_)
        step += 1
        for world in np.flatnonzero(starts & open_worlds):
            finished[world] = (step, dict(infos[world]))
            open_worlds[world] = False
            progress(int(env.num_envs - open_worlds.sum()))
    return finished


def load_learned(checkpoint: Path, config: ControlConfig) -> tuple[Learned, Callable[[VecEnv], None]]:
    """The policy of a checkpoint, and what prepares its environments (their normalisation, where it was used).

    Raises UserError where the checkpoint cannot be read.
    """
    learned = untrained(config)
    set_weights(learned.model, checkpoint / "model.zip")

    def prepare(env: VecEnv) -> None:
        if isinstance(env, VecNormalize):
            set_normalizer(env, read(checkpoint / "state.pt")["environments"]["normalizer"])
            env.training = False

    return learned, prepare


def untrained(config: ControlConfig) -> Learned:
    """The policy that a training of this configuration begins with."""
    env = make_env(config.env, config.seed, worlds=1)
    try:
        with warnings.catch_warnings():  # SB3 finds the batch large for a single world, but nothing is trained here
            warnings.simplefilter("ignore", UserWarning)
            return Learned(build(config, env))
    finally:
        env.close()


def constants(config: EnvConfig) -> dict[str, Constant]:
    """The constant-action baselines of an environment, by name."""
    if is_driving(config.id):
        return {f"constant {pedal:g}": Constant(np.array([pedal, 0.0], np.float32)) for pedal in CONSTANT_PEDALS}
    env = make_env(config, 0, worlds=1)
    env.close()
    space = env.action_space
    if isinstance(space, gymnasium.spaces.Discrete):
        return {f"constant {a}": Constant(np.array(a)) for a in range(int(space.n))}
    if not isinstance(space, gymnasium.spaces.Box):
        raise UserError(f"{config.id} has no constant action")
    return {"constant 0": Constant(np.zeros(space.shape, space.dtype))}


def best_constant(config: EnvConfig, **options: Any) -> Evaluation:
    """The best of the constant actions on these episodes, by completion (return where nothing is driven)."""
    tried: Sequence[Evaluation] = [evaluate(name, p, config, **options) for name, p in constants(config).items()]
    return max(tried, key=lambda e: e.figures().get("completion", e.figures()["return"]))
