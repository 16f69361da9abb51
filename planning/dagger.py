"""Rounds of DAgger (Ross et al. 2011, arXiv:1011.0686): the planner drives, the expert says what it would have done."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import ObjectClass
from planning.data import Episodes
from planning.planner import BatchDriver
from planning.scenes import Scenes
from planning.sight import true_scenes
from sim.driving.batch import Batch, BatchConfig
from sim.driving.expert import ExpertPlanner
from sim.driving.plans import Plans
from sim.driving.routes import NamedRoute, named_routes
from sim.driving.surroundings import STATIC_IDS, WALKER_IDS
from sim.roads import load
from sim.world.fields import W_JAYWALK

F32 = NDArray[np.float32]
NOISE_EVERY, NOISE_TIME = 12.0, 1.5
"""Seconds between two pushes of the wheel where the expert drives, on average; and how long one lasts."""
NOISE_STEER = 0.12
"""Standard deviation of such a push, a share of the wheel's range."""
ROUTE_LIMIT = 5
"""Column of WorldState.buffers.route."""
DENSITIES = (3.0, 6.0, 12.0)
"""Of the traffic in the parts of a round; see sim.driving.batch.BatchConfig."""


class Recording:
    """States of a batch with the expert's answers, a step at a time."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._steps: list[tuple[Any, ...]] = []

    def add(self, worlds: NDArray[np.bool_], plans: Plans, reason: NDArray[np.int64], time: float) -> None:
        """Keep the present state of those of `worlds` [W] that are still driven, and what the expert would do there."""
        batch = self._batch
        w = np.flatnonzero(batch.active & worlds)
        if not len(w):
            return
        truth, vehicles = batch.world.truth, batch.world.state.vehicles
        kind, slot = truth.kind[w, 0], truth.slot[w, 0].astype(np.int64)
        ids = slot + np.where(kind == ObjectClass.PEDESTRIAN, WALKER_IDS, 0)
        ids = np.where(kind < 0, -1, ids + np.where(kind == ObjectClass.STATIC, STATIC_IDS, 0))
        pose = np.stack([vehicles.x[w, 0], vehicles.y[w, 0], vehicles.yaw[w, 0]], 1)
        scenes = true_scenes(batch, w)
        self._steps.append(
            (w, scenes, ids, pose, plans.path[w], plans.speed[w], reason[w], np.full(len(w), time, np.float32))
        )

    def episodes(self) -> Episodes:
        """Everything kept, world by world."""
        world, scenes, ids, pose, path, speed, reason, time = zip(*self._steps, strict=True)
        worlds = np.concatenate(world)
        order = np.argsort(worlds, kind="stable")
        batch = self._batch

        def joined(parts: Sequence[Any]) -> Any:
            return np.concatenate(parts)[order]

        return Episodes(
            scenes=Scenes(*(joined(fields) for fields in zip(*scenes, strict=True))),
            ids=joined(ids),
            pose=joined(pose),
            path=joined(path),
            speed=joined(speed),
            episode=worlds[order].astype(np.int64),
            time=joined(time),
            reason=joined(reason),
            towns=[named.town for named in batch.routes],
            names=[named.name for named in batch.routes],
            densities=[batch.config.density] * len(batch.routes),
        )


@dataclass(frozen=True)
class Lesson:
    """How a recording is driven. seconds: simulated, at most. every: steps between two states that are kept.

    expert: share of the worlds that the expert drives, with pushes of the wheel; the planner drives the others.
    fastest: in half of the worlds all speeds are up to this many times higher (see `hurry`). In the other half,
    gap: m/s; a state at which some speed that the planner plans is further from the expert's is kept at any step.
    jaywalk: pedestrians step onto the road up to this many times as often. Where all is fast the expert brakes for
    what lies beyond the 64 m of route that the planner sees; to add more of that teaches it to be slow on a motorway.
    """

    seconds: float = 60.0
    every: int = 5
    gap: float = math.inf
    expert: float = 0.0
    fastest: float = 1.0
    jaywalk: float = 1.0


def hurry(batch: Batch, factor: NDArray[np.float64]) -> None:
    """Multiply the speed limit of each world's route and the speed that its traffic wants by `factor` [W].

    Only before a batch is driven. Bends are taken no faster: the expert knows what tyres and passengers bear.
    """
    state = batch.world.state
    state.buffers.route[:, 0, :, ROUTE_LIMIT] *= factor[:, None].astype(np.float32)
    state.vehicles.wish[:, 1:] *= factor[:, None].astype(np.float32)
    state.egos.speed_limit[:, 0] *= factor.astype(np.float32)
    batch.world.observe()


def drive(
    batch: Batch,
    driver: BatchDriver | None,
    lesson: Lesson,
    seed: int,
    stop: Callable[[], bool] = lambda: False,
) -> Episodes | None:
    """Drive a batch and keep what the expert would have done; None where it was stopped.

    driver: the planner; without one the expert drives all worlds.
    """
    random = np.random.default_rng(seed)
    worlds = len(batch.routes)
    by_expert = random.random(worlds) < (lesson.expert if driver is not None else 1.0)
    fast = random.random(worlds) < (0.5 if lesson.fastest > 1.0 else 0.0)
    hurry(batch, np.where(fast, lesson.fastest ** random.random(worlds), 1.0))
    often = np.where(fast, 1.0, lesson.jaywalk ** random.random(worlds))
    batch.world.state.buffers.wf[:, W_JAYWALK] *= often.astype(np.float32)
    expert, kept = ExpertPlanner(), Recording(batch)
    expert.begin(batch)
    if driver is not None:
        driver.begin(batch)
    dt, push, left = batch.config.dt, np.zeros(worlds, np.float32), np.zeros(worlds)
    steps = round(lesson.seconds / dt)
    for step in range(steps):
        if stop():
            return None
        if not batch.active.any():
            break
        plans = expert.plan(batch)  # at every step: it remembers what it decided
        due = np.full(worlds, step % lesson.every == 0)
        if driver is None:
            kept.add(due, plans, expert.reason, step * dt)
        else:
            learned = driver.plan(batch)
            wrong = np.abs(learned.speed - plans.speed).max(1) > lesson.gap
            kept.add(due | (wrong & ~fast), plans, expert.reason, step * dt)
            plans.path[~by_expert], plans.speed[~by_expert] = learned.path[~by_expert], learned.speed[~by_expert]
        begins = by_expert & (left <= 0) & (random.random(worlds) < dt / NOISE_EVERY)
        push[begins] = random.normal(0, NOISE_STEER, int(begins.sum()))
        left[begins] = NOISE_TIME
        left -= dt
        control = batch.tracker.act(plans, batch.world.truth.ego[:, 0])
        control[:, 2] = np.clip(control[:, 2] + np.where(left > 0, push, 0.0), -1.0, 1.0)
        control[~batch.active] = 0.0, 1.0, 0.0
        batch.drive(control)
    return kept.episodes()


def lessons(
    towns: Sequence[str], worlds: int, seed: int, config: BatchConfig | None = None
) -> list[tuple[str, list[NamedRoute], BatchConfig]]:
    """Routes of the training split for about `worlds` worlds: a part for each pair of a town and a traffic density."""
    config = config or BatchConfig()
    parts = [(town, density) for town in towns for density in DENSITIES]
    found = []
    for number, (town, density) in enumerate(parts):
        count = worlds // len(parts) + (number < worlds % len(parts))
        if count:
            routes = named_routes(load(town), "train", count, seed=seed)
            own = replace(config, density=density, seed=(seed * 977 + 7919 * number) % (1 << 30))
            found.append((town, routes, own))
    return found
