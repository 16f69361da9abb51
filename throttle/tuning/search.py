"""The loop of a search for a threshold.

Every value goes into a database in the folder as soon as it is there, so a search killed at any moment goes on with
`resume=True` and repeats no fold that was done. The unclipped baseline is always the first trial and is never pruned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, Protocol

from contracts import UserError
from contracts.runs import Progress
from throttle.tuning.attempts import Attempt, Search
from throttle.tuning.pool import Pool
from throttle.tuning.space import ClipSpace
from throttle.tuning.study import (
    DATABASE,
    end,
    from_json,
    open_study,
    pruned,
    queued,
    space_of,
    storage,
    suggest,
    to_json,
)


class Objective(Protocol):
    """What a subsystem hands in: trains with the parameters on one fold (or seed) and returns how good it became."""

    def __call__(self, params: Mapping[str, Any], fold: int) -> float:
        """params["clip"]: a mapping of ClipConfig's fields; other names as in the space. Not finite means diverged.

        With more than one job it runs in other processes, so it must be a module's function or a partial of one.
        """
        ...


def tune(
    objective: Objective,
    space: ClipSpace,
    folds: Sequence[int],
    path: Path,
    *,
    trials: int = 20,
    maximize: bool = True,
    resume: bool = False,
    progress: Progress | None = None,
    jobs: int = 1,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
    grid: bool = False,
) -> Search:
    """Search `trials` thresholds (the unclipped baseline besides) and keep everything in the folder `path`.

    The first half is spread evenly over strategies and ranges, so that the curve has no holes; the rest is proposed by
    TPE. After each fold a trial whose mean is worse than the median of the others at the same fold is pruned.
    grid: instead, all of them are spread evenly and none is pruned: dearer, and a whole curve.
    folds: numbers of folds or seeds, each handed to the objective in turn. stop: asked between folds.

    Raises UserError where the folder holds a search and `resume` is not set, or a search with other settings.
    """
    import optuna

    if trials < 1 or jobs < 1:
        raise UserError("a search needs at least one trial and one job")
    if not folds or len(set(folds)) != len(folds):
        raise UserError(f"folds must be different numbers, at least one, got {list(folds)}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = open_study(space, folds, path, maximize, resume, trials, seed, grid)
    broken_off = [t for t in study.trials if t.state == optuna.trial.TrialState.RUNNING]
    waiting = [optuna.trial.Trial(study, t._trial_id) for t in broken_off]
    total = (trials + 1) * len(folds)
    running: dict[Future[float], tuple[Any, int]] = {}

    def show() -> None:
        if progress is None:
            return
        found = read(path)
        done = sum(len(folds) if a.state != "running" else len(a.folds) for a in found.attempts)
        best = [a.mean for a in found.complete if a.threshold is not None and math.isfinite(a.mean)]
        figures = {"best": max(best) if maximize else min(best)} if best else {}
        progress.update(min(done, total), total, trial=float(len(found.attempts)), **figures)

    with Pool(jobs) as submit:
        while True:
            while len(running) < jobs and not stop():
                if not waiting:
                    if len(study.trials) - queued(study) >= trials + 1:
                        break
                    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=4)
                    waiting.append(study.ask())
                trial = waiting.pop(0)
                params = suggest(trial, space)
                fold = next((f for f in folds if f"fold{f}" not in trial.user_attrs), None)
                if fold is None:
                    end(study, trial, folds, params)
                    continue
                running[submit(objective, params, fold)] = (trial, fold)
            show()
            if not running:
                return read(path)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                trial, fold = running.pop(future)
                trial.set_user_attr(f"fold{fold}", to_json(future.result()))
                if not pruned(study, trial, folds):
                    waiting.insert(0, trial)


def read(path: Path) -> Search:
    """The search that lies in a folder, running or done; raises UserError where there is none."""
    import optuna

    if not (path / DATABASE).is_file():
        raise UserError(f"{path} holds no search for a threshold")
    study = optuna.load_study(study_name="threshold", storage=storage(path))
    space = space_of(study.user_attrs["settings"])
    attempts = []
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.WAITING:
            continue
        params = suggest(optuna.trial.FixedTrial(trial.params, trial.number), space)
        clip = params["clip"]
        number = next((v for k, v in clip.items() if k != "strategy"), None)
        values = {
            int(k.removeprefix("fold")): from_json(v) for k, v in trial.user_attrs.items() if k.startswith("fold")
        }
        attempts.append(Attempt(trial.number, clip["strategy"], number, params, values, trial.state.name.lower()))
    return Search(attempts, study.direction == optuna.study.StudyDirection.MAXIMIZE)
