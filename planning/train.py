"""Train a planner: rows of a dataset through the shared loop, then rounds of DAgger where asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from contracts import UserError
from contracts.runs import Progress, RunDirectory, Tracking
from planning.config import AugmentConfig, PlanningConfig
from planning.dagger import Lesson, drive, lessons
from planning.data import Examples, join, load
from planning.errors import ErrorConfig, load_errors
from planning.losses import losses
from planning.model import FORECAST_TIMES, PlanningNet, to_plan
from planning.perturb import augment
from planning.phases import Phase, PhaseProgress, PhaseTracking
from planning.planner import BatchDriver, Planner
from planning.scenes import SPEED, Scenes
from planning.sight import ErringSight
from sim.driving.batch import Batch, BatchConfig
from sim.roads import load as load_town
from training import Data, Draw, Module, Result, check_fits, fit, load_weights, weights_hash, write_tensors

SEED_STRIDE = 1_000_003
"""Between the seeds of two rounds."""
STANDING = 0.3
"""m/s below which the ego stands."""
log = logging.getLogger(__name__)


class ExampleSet(Dataset[Draw]):
    """Examples for the loop: a draw stands for itself until `gather` makes a batch of many at once."""

    def __init__(self, examples: Examples, config: AugmentConfig, errors: ErrorConfig | None = None) -> None:
        self.examples, self.config, self.errors = examples, config, errors

    def __len__(self) -> int:
        return self.examples.rows

    def __getitem__(self, draw: Draw) -> Draw:
        return draw


@dataclass(frozen=True)
class Gather:
    """Draws to a batch; picklable, so that DDP's processes can have it."""

    train: ExampleSet
    validation: ExampleSet

    def __call__(self, draws: list[Draw]) -> Examples:
        """The rows drawn; those of the training set augmented with the draws' own seeds."""
        rows = torch.tensor([draw.item for draw in draws])
        if draws[0].seed is None:
            return self.validation.examples.take(rows)
        random = torch.Generator().manual_seed(draws[0].seed)
        return augment(self.train.examples.take(rows), self.train.config, random, self.train.errors)


class Learner(Module):
    """The network with its loss and its open-loop figures."""

    def __init__(self, config: PlanningConfig) -> None:
        super().__init__()
        self.settings = config
        self.net = PlanningNet(config.net)

    def training_step(self, batch: Examples, number: int) -> dict[str, Tensor]:
        """The loss and its terms."""
        return losses(self.net(batch.scenes), batch, self.settings.loss)

    def validation_step(self, batch: Examples, number: int) -> Any:
        """Sums over the batch: rows, loss, path ADE and FDE, speed ADE and FDE."""
        output = self.net(batch.scenes)
        path, speed = to_plan(output)
        gap = (path - batch.path).norm(dim=-1)
        slip = (speed - batch.speed).abs()
        rows = float(len(path))
        means = [losses(output, batch, self.settings.loss)["loss"], gap.mean(), gap[:, -1].mean(), slip.mean(),
                 slip[:, -1].mean()]  # fmt: skip
        return [rows, *(float(value) * rows for value in means)]

    def validation_figures(self, results: list[list[float]]) -> dict[str, float]:
        """Means over the set; metres and m/s."""
        rows, *sums = np.sum(results, axis=0)
        names = ("loss", "path_ade", "path_fde", "speed_ade", "speed_fde")
        return {name: float(value / rows) for name, value in zip(names, sums)}


def recorded(config: PlanningConfig, split: str, rows: int = 0) -> Examples:
    """The examples of a split, dull ones thinned; or at most `rows` of all, evenly spread, where not 0."""
    found = load(config.dataset, split).examples(FORECAST_TIMES, config.net.route_points)
    if not rows:
        return thinned(found, config.standing)
    return found.take(torch.linspace(0, found.rows - 1, min(rows, found.rows)).long())


def thinned(examples: Examples, share: float) -> Examples:
    """Evenly spread, only `share` of those examples in which the ego stands and is to stand."""
    dull = (examples.scenes.ego[:, SPEED] < STANDING) & (examples.speed.amax(1) < STANDING)
    count = dull.cumsum(0).double() * share
    kept = ~dull | (count.floor() > (count - share).floor())
    return examples.take(kept.nonzero()[:, 0])


def folded(config: PlanningConfig, fold: int, folds: int) -> tuple[Examples, Examples]:
    """The training split in two: all episodes but each `folds`-th from number `fold` on, and at most `validation_rows`
    rows of those. The folds share no route.

    Raises UserError where there are fewer routes than folds.
    """
    episodes = load(config.dataset, "train")
    routes = {name: number for number, name in enumerate(dict.fromkeys(episodes.names))}
    if len(routes) < folds:
        raise UserError(f"{config.dataset} has {len(routes)} training routes, fewer than {folds} folds")
    mine = np.array([routes[name] % folds == fold for name in episodes.names])[episodes.episode]
    every = episodes.examples(FORECAST_TIMES, config.net.route_points)
    inside, outside = torch.from_numpy(np.flatnonzero(~mine)), torch.from_numpy(np.flatnonzero(mine))
    shown = torch.linspace(0, len(outside) - 1, min(config.validation_rows, len(outside))).long()
    return thinned(every.take(inside), config.standing), every.take(outside[shown])


def train(
    config: PlanningConfig,
    run: RunDirectory,
    tracking: Tracking,
    progress: Progress,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    sets: tuple[Examples, Examples] | None = None,
) -> Result:
    """Train as `config` says, or go on from the run's newest checkpoint; the last weights are the run's best.pt.

    sets: examples to train on and to validate with, instead of the dataset's splits. A resumed training continues as
    if nothing had happened, to the last bit, rounds of DAgger included: what a round added is kept in the run's folder.
    """
    examples, held_out = sets or (recorded(config, "train"), recorded(config, "validation", config.validation_rows))
    errors = load_errors(config.errors) if config.errors else None
    validation = ExampleSet(held_out, config.augment)
    torch.manual_seed(config.seed)
    learner = Learner(config)
    initial = weights_hash(learner)
    first = config.train.total(examples.rows)
    total = first + config.dagger.rounds * config.dagger.steps
    for number in range(config.dagger.rounds + 1):
        begin = first + (number - 1) * config.dagger.steps if number else 0
        steps = config.dagger.steps if number else first
        settings = config.train
        if number:
            added = taught(config, learner, number, run.path, stop, errors)
            if added is None:
                return _stopped(run, begin, initial, learner)
            examples = join([examples, added])
            settings = replace(settings, steps=steps, epochs=0.0, lr=config.dagger.lr)
        newest = run.latest() if resume else None
        if newest is not None and int(newest.name) >= begin + steps and number < config.dagger.rounds:
            weights = load_weights(newest)
            check_fits(learner, weights, newest)
            learner.load_state_dict(weights)
            continue
        data_set = ExampleSet(examples, config.augment, errors)
        result = fit(
            learner,
            Data(data_set, validation, Gather(data_set, validation)),
            settings,
            config.clip,
            Phase(run, begin, total),
            PhaseTracking(tracking, begin),
            PhaseProgress(progress, begin, total),
            seed=config.seed + SEED_STRIDE * number,
            resume=resume,
            stop=stop,
        )
        result = replace(result, step=begin + result.step, initial_weights=initial)
        if result.state != "finished":
            break
    return result


def taught(
    config: PlanningConfig, learner: Learner, number: int, folder: Path, stop: Callable[[], bool],
    errors: ErrorConfig | None,
) -> Examples | None:  # fmt: skip
    """What round `number` of DAgger adds; kept in the run's folder, so that it is driven once. None: stopped."""
    kept = folder / f"dagger-{number}.pt"
    if kept.exists():
        values = torch.load(kept, weights_only=True)
        return Examples(Scenes(*values["scenes"]), *values["rest"])
    settings = config.dagger
    seed = config.seed + SEED_STRIDE * number
    lesson = Lesson(
        settings.seconds, settings.every, settings.gap, settings.expert / number, settings.fastest, settings.jaywalk
    )
    sight = None if errors is None else ErringSight(errors, seed, settings.erring, lines=False)
    driver = BatchDriver(Planner(learner.net), sight)
    parts = []
    for town, routes, traffic in lessons(settings.towns, settings.worlds, seed, BatchConfig(walkers=settings.walkers)):
        episodes = drive(Batch(load_town(town), routes, traffic), driver, lesson, seed, stop)
        if episodes is None:
            return None
        parts.append(episodes.examples(FORECAST_TIMES, config.net.route_points))
    learner.train()
    added = thinned(join(parts), config.standing)
    log.info("round %d of DAgger added %d rows", number, added.rows)
    write_tensors(kept, {"scenes": list(added.scenes), "rest": list(added[1:])})
    return added


def _stopped(run: RunDirectory, step: int, initial: str, learner: Learner) -> Result:
    return Result("stopped", step, 0.0, "", initial, weights_hash(learner), run.latest(), {}, {}, 0.0, "")
