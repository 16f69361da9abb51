"""The database of a search: an Optuna study that holds each fold's value as soon as it is there."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts import UserError
from throttle.tuning.space import ClipSpace, Range

DATABASE = "tuning.db"
log = logging.getLogger(__name__)


def storage(path: Path) -> Any:
    """The database file in a folder, for Optuna."""
    import optuna

    return optuna.storages.RDBStorage(f"sqlite:///{path / DATABASE}", engine_kwargs={"connect_args": {"timeout": 60}})


def open_study(
    space: ClipSpace, folds: Sequence[int], path: Path, maximize: bool, resume: bool, trials: int, seed: int, grid: bool
) -> Any:
    """The study of the folder: a new one with its first half queued (all of a grid), or the one that is there."""
    import optuna

    path.mkdir(parents=True, exist_ok=True)
    asked = {"space": dataclasses.asdict(space), "folds": list(folds), "maximize": maximize, "grid": grid}
    settings = json.loads(json.dumps(asked))
    begun = (path / DATABASE).exists()
    if begun and not resume:
        raise UserError(f"{path} holds a search already; resume it, or choose another folder")
    study = optuna.create_study(
        study_name="threshold",
        storage=storage(path),
        direction="maximize" if maximize else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_min_trials=3),
        load_if_exists=True,
    )
    if "settings" not in study.user_attrs:
        for clip in _spread(space, trials if grid else trials / 2, trials):
            study.enqueue_trial(clip, skip_if_exists=True)
        study.set_user_attr("settings", settings)
    elif study.user_attrs["settings"] != settings:
        raise UserError(f"{path} holds a search with other strategies, ranges, folds or grid; choose another folder")
    return study


def _spread(space: ClipSpace, count: float, most: int) -> Iterator[dict[str, Any]]:
    """The baseline, then about `count` trials, at most `most`, spread evenly over strategies and ranges."""
    middle = {name: r.at(0.5) for name, r in space.others.items()}
    yield middle
    each = max(1, math.ceil(count / len(space.strategies)))
    points = [(strategy, (i + 0.5) / each) for i in range(each) for strategy in space.strategies]
    for strategy, share in points[:most]:
        yield {"strategy": strategy, f"threshold {strategy}": space.range(strategy).at(share), **middle}


def suggest(trial: Any, space: ClipSpace) -> dict[str, Any]:
    """The parameters of a trial, asked of Optuna (or of what is fixed); the first is the unclipped baseline."""
    clip: dict[str, Any] = {"strategy": "none"}
    if trial.number > 0:
        strategy = trial.suggest_categorical("strategy", list(space.strategies))
        r = space.range(strategy)
        clip = space.clip(strategy, trial.suggest_float(f"threshold {strategy}", r.low, r.high, log=r.log))
    others = {name: trial.suggest_float(name, r.low, r.high, log=r.log) for name, r in space.others.items()}
    return {"clip": clip, **others}


def space_of(settings: Mapping[str, Any]) -> ClipSpace:
    """The space that a study's settings hold."""
    kept = settings["space"]
    return ClipSpace(
        strategies=tuple(kept["strategies"]),
        ranges={name: Range(**r) for name, r in kept["ranges"].items()},
        others={name: Range(**r) for name, r in kept["others"].items()},
    )


def pruned(study: Any, trial: Any, folds: Sequence[int]) -> bool:
    """Whether the trial, one fold further, is worse than most were there; then it is over. Never in a grid."""
    import optuna

    values = [from_json(trial.user_attrs[f"fold{f}"]) for f in folds if f"fold{f}" in trial.user_attrs]
    trial.report(_limited(study, values), len(values))
    if trial.number == 0 or len(values) == len(folds) or study.user_attrs["settings"]["grid"]:
        return False
    if all(map(math.isfinite, values)) and not trial.should_prune():
        return False
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return True


def end(study: Any, trial: Any, folds: Sequence[int], params: Mapping[str, Any]) -> None:
    """Close a trial that was done on every fold."""
    values = [from_json(trial.user_attrs[f"fold{f}"]) for f in folds]
    study.tell(trial, _limited(study, values))
    log.info("trial %d: %s -> %s", trial.number, params, values)


def _limited(study: Any, values: Sequence[float]) -> float:
    """The mean; where a fold diverged, the worst number that the sampler can still sort."""
    import optuna

    if all(map(math.isfinite, values)):
        return statistics.fmean(values)
    return -1e30 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1e30


def queued(study: Any) -> int:
    """Trials that wait for their turn."""
    import optuna

    return sum(t.state == optuna.trial.TrialState.WAITING for t in study.trials)


def to_json(value: float) -> float | str:
    """The database's JSON has no infinity."""
    return float(value) if math.isfinite(value) else str(float(value))


def from_json(value: float | str) -> float:
    """What to_json made of a value."""
    return float(value)
