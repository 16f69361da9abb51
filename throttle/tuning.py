"""The search for a clipping threshold: strategies x thresholds over folds or seeds; used by all subsystems.

    found = tune(objective, ClipSpace(), folds=[0, 1, 2], path=Path("runs/tuning"), trials=20)

Every value goes into a database in the folder as soon as it is there, so a search killed at any moment goes on with
`resume=True` and repeats no fold that was done. The unclipped baseline is always the first trial and is never pruned.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from clipping import ClipConfig, ClippingError, GradientClipper
from contracts import UserError
from contracts.runs import Progress

DATABASE = "tuning.db"
log = logging.getLogger(__name__)


class Objective(Protocol):
    """What a subsystem hands in: trains with the parameters on one fold (or seed) and returns how good it became."""

    def __call__(self, params: Mapping[str, Any], fold: int) -> float:
        """params["clip"]: a mapping of ClipConfig's fields; other names as in the space. Not finite means diverged.

        With more than one job it runs in other processes, so it must be a module's function or a partial of one.
        """
        ...


@dataclass(frozen=True)
class Range:
    """A number between two limits, searched on a logarithmic scale where `log`."""

    low: float
    high: float
    log: bool = True
    field: str = "threshold"
    """The option of ClipConfig that it sets, for the range of a strategy."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UserError(f"a range goes from a lower to a higher number, not from {self.low:g} to {self.high:g}")
        if self.log and self.low <= 0:
            raise UserError(f"a logarithmic range begins above 0, not at {self.low:g}")

    def at(self, share: float) -> float:
        """The number at this share of the way from low to high."""
        if self.log:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + share * (self.high - self.low)


RANGES: dict[str, Range] = {
    "global_norm": Range(0.01, 100.0),
    "per_tensor_norm": Range(0.01, 100.0),
    "value": Range(1e-4, 10.0),
    "inf_norm": Range(1e-4, 10.0),
    "soft": Range(0.01, 100.0),
    "skip": Range(0.1, 1000.0),
    "agc": Range(1e-3, 1.0),
    "quantile": Range(0.1, 0.98, log=False, field="quantile"),
    "autoclip": Range(5.0, 98.0, log=False, field="percentile"),
    "zclip": Range(1.0, 5.0, log=False, field="z_threshold"),
    "adagc": Range(1.0, 3.0, log=False, field="factor"),
}
"""Where the threshold of a strategy is searched for, unless a ClipSpace says otherwise."""


@dataclass(frozen=True)
class ClipSpace:
    """What is searched: strategies, the range of each, and further numbers where a subsystem wants them."""

    strategies: tuple[str, ...] = ("global_norm", "quantile")
    ranges: Mapping[str, Range] = field(default_factory=dict)
    """Strategy -> range; a strategy without one has that of RANGES."""
    others: Mapping[str, Range] = field(default_factory=dict)
    """Further parameters by name, e.g. {"learning_rate": Range(1e-4, 1e-2)}."""

    def __post_init__(self) -> None:
        if not self.strategies or "none" in self.strategies:
            raise UserError("name at least one strategy to search, and not 'none': it is always tried")
        for name in self.strategies:
            if name not in self.ranges and name not in RANGES:
                raise UserError(f"strategy '{name}' has no range to search; there are {', '.join(RANGES)}")
            try:
                GradientClipper.from_config(ClipConfig(**self.clip(name, self.range(name).at(0.5))))
            except ClippingError as error:
                raise UserError(str(error)) from None

    def range(self, strategy: str) -> Range:
        """Where the strategy's number is searched."""
        return self.ranges.get(strategy) or RANGES[strategy]

    def clip(self, strategy: str, number: float) -> dict[str, Any]:
        """The fields of ClipConfig that a strategy with this number has."""
        return {"strategy": strategy, self.range(strategy).field: number}


@dataclass(frozen=True)
class Attempt:
    """One trial. state: complete, pruned, or running (a search that was stopped)."""

    number: int
    strategy: str
    threshold: float | None
    """None for the unclipped baseline."""
    params: dict[str, Any]
    """What the objective got."""
    folds: dict[int, float]
    state: str

    @property
    def mean(self) -> float:
        """Mean over the folds that were done; not finite where one diverged, nan without any."""
        return statistics.fmean(self.folds.values()) if self.folds else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean; nan below two folds or where one diverged."""
        values = list(self.folds.values())
        if len(values) < 2 or not all(map(math.isfinite, values)):
            return math.nan
        return statistics.stdev(values) / math.sqrt(len(values))

    @property
    def diverged(self) -> int:
        """Folds whose value is not finite."""
        return sum(not math.isfinite(v) for v in self.folds.values())

    @property
    def name(self) -> str:
        """As the option --arms of `throttle compare` takes it."""
        if self.threshold is None:
            return self.strategy
        return f"{self.strategy}={self.threshold:.4g}"


@dataclass(frozen=True)
class Search:
    """All attempts of a search, in the order in which they began."""

    attempts: list[Attempt]
    maximize: bool

    @property
    def baseline(self) -> Attempt:
        """The unclipped one."""
        return self.attempts[0]

    @property
    def complete(self) -> list[Attempt]:
        """Those that were done on every fold."""
        return [a for a in self.attempts if a.state == "complete"]

    @property
    def best(self) -> Attempt:
        """The best clipped attempt; one that diverged loses to every other."""
        sign = 1.0 if self.maximize else -1.0
        clipped = [a for a in self.complete if a.threshold is not None]
        if not clipped:
            raise UserError("no clipped trial is complete yet")
        return max(clipped, key=lambda a: sign * a.mean if math.isfinite(a.mean) else -math.inf)

    def curve(self, strategy: str) -> list[Attempt]:
        """Quality against threshold: the strategy's attempts, pruned ones too, by rising threshold."""
        mine = [a for a in self.attempts if a.strategy == strategy and a.threshold is not None and a.folds]
        return sorted(mine, key=lambda a: a.threshold or 0.0)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each attempt, for tables."""
        return [
            {
                "trial": a.number, "arm": a.name, "strategy": a.strategy, "threshold": a.threshold, "mean": a.mean,
                "error": a.error, "folds": len(a.folds), "diverged": a.diverged, "state": a.state,
                "values": " ".join(f"{v:.6g}" for v in a.folds.values()),
            }
            for a in self.attempts
        ]  # fmt: skip


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
) -> Search:
    """Search `trials` thresholds (the unclipped baseline besides) and keep everything in the folder `path`.

    The first half is spread evenly over strategies and ranges, so that the curve has no holes; the rest is proposed by
    TPE. After each fold a trial whose mean is worse than the median of the others at the same fold is pruned.
    folds: numbers of folds or seeds, each handed to the objective in turn. stop: asked between folds.

    Raises UserError where the folder holds a search and `resume` is not set, or a search with other settings.
    """
    import optuna

    if trials < 1 or jobs < 1:
        raise UserError("a search needs at least one trial and one job")
    if not folds or len(set(folds)) != len(folds):
        raise UserError(f"folds must be different numbers, at least one, got {list(folds)}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _open(space, folds, path, maximize, resume, trials, seed)
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

    with _executor(jobs) as submit:
        while True:
            while len(running) < jobs and not stop():
                if not waiting:
                    if len(study.trials) - _queued(study) >= trials + 1:
                        break
                    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=4)
                    waiting.append(study.ask())
                trial = waiting.pop(0)
                params = _suggest(trial, space)
                fold = next((f for f in folds if f"fold{f}" not in trial.user_attrs), None)
                if fold is None:
                    _end(study, trial, folds, params)
                    continue
                running[submit(objective, params, fold)] = (trial, fold)
            show()
            if not running:
                return read(path)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                trial, fold = running.pop(future)
                trial.set_user_attr(f"fold{fold}", _plain(future.result()))
                if not _pruned(study, trial, folds):
                    waiting.insert(0, trial)


def read(path: Path) -> Search:
    """The search that lies in a folder, running or done; raises UserError where there is none."""
    import optuna

    if not (path / DATABASE).is_file():
        raise UserError(f"{path} holds no search for a threshold")
    study = optuna.load_study(study_name="threshold", storage=_storage(path))
    space = _space_of(study.user_attrs["settings"])
    attempts = []
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.WAITING:
            continue
        params = _suggest(optuna.trial.FixedTrial(trial.params, trial.number), space)
        clip = params["clip"]
        number = next((v for k, v in clip.items() if k != "strategy"), None)
        values = {int(k.removeprefix("fold")): _number(v) for k, v in trial.user_attrs.items() if k.startswith("fold")}
        attempts.append(Attempt(trial.number, clip["strategy"], number, params, values, trial.state.name.lower()))
    return Search(attempts, study.direction == optuna.study.StudyDirection.MAXIMIZE)


# -- inside ----------------------------------------------------------------------------------------------------------


def _storage(path: Path) -> Any:
    import optuna

    return optuna.storages.RDBStorage(f"sqlite:///{path / DATABASE}", engine_kwargs={"connect_args": {"timeout": 60}})


def _open(
    space: ClipSpace, folds: Sequence[int], path: Path, maximize: bool, resume: bool, trials: int, seed: int
) -> Any:
    """The study of the folder: a new one with its first half queued, or the one that is there."""
    import optuna

    path.mkdir(parents=True, exist_ok=True)
    settings = json.loads(json.dumps({"space": dataclasses.asdict(space), "folds": list(folds), "maximize": maximize}))
    begun = (path / DATABASE).exists()
    if begun and not resume:
        raise UserError(f"{path} holds a search already; resume it, or choose another folder")
    study = optuna.create_study(
        study_name="threshold",
        storage=_storage(path),
        direction="maximize" if maximize else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_min_trials=3),
        load_if_exists=True,
    )
    if "settings" not in study.user_attrs:
        for clip in _first_half(space, trials):
            study.enqueue_trial(clip, skip_if_exists=True)
        study.set_user_attr("settings", settings)
    elif study.user_attrs["settings"] != settings:
        raise UserError(f"{path} holds a search with other strategies, ranges or folds; choose another folder")
    return study


def _first_half(space: ClipSpace, trials: int) -> Iterator[dict[str, Any]]:
    """The baseline, then half of the trials spread evenly over strategies and ranges."""
    middle = {name: r.at(0.5) for name, r in space.others.items()}
    yield middle
    each = max(1, math.ceil(trials / 2 / len(space.strategies)))
    points = [(strategy, (i + 0.5) / each) for i in range(each) for strategy in space.strategies]
    for strategy, share in points[:trials]:
        yield {"strategy": strategy, f"threshold {strategy}": space.range(strategy).at(share), **middle}


def _suggest(trial: Any, space: ClipSpace) -> dict[str, Any]:
    """The parameters of a trial, asked of Optuna (or of what is fixed); the first is the unclipped baseline."""
    clip: dict[str, Any] = {"strategy": "none"}
    if trial.number > 0:
        strategy = trial.suggest_categorical("strategy", list(space.strategies))
        r = space.range(strategy)
        clip = space.clip(strategy, trial.suggest_float(f"threshold {strategy}", r.low, r.high, log=r.log))
    others = {name: trial.suggest_float(name, r.low, r.high, log=r.log) for name, r in space.others.items()}
    return {"clip": clip, **others}


def _space_of(settings: Mapping[str, Any]) -> ClipSpace:
    kept = settings["space"]
    return ClipSpace(
        strategies=tuple(kept["strategies"]),
        ranges={name: Range(**r) for name, r in kept["ranges"].items()},
        others={name: Range(**r) for name, r in kept["others"].items()},
    )


def _pruned(study: Any, trial: Any, folds: Sequence[int]) -> bool:
    """Whether the trial, one fold further, is worse than most were there; then it is over."""
    import optuna

    values = [_number(trial.user_attrs[f"fold{f}"]) for f in folds if f"fold{f}" in trial.user_attrs]
    trial.report(_limited(study, values), len(values))
    if trial.number == 0 or len(values) == len(folds):
        return False
    if all(map(math.isfinite, values)) and not trial.should_prune():
        return False
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return True


def _end(study: Any, trial: Any, folds: Sequence[int], params: Mapping[str, Any]) -> None:
    values = [_number(trial.user_attrs[f"fold{f}"]) for f in folds]
    study.tell(trial, _limited(study, values))
    log.info("trial %d: %s -> %s", trial.number, params, values)


def _limited(study: Any, values: Sequence[float]) -> float:
    """The mean; where a fold diverged, the worst number that the sampler can still sort."""
    import optuna

    if all(map(math.isfinite, values)):
        return statistics.fmean(values)
    return -1e30 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1e30


def _queued(study: Any) -> int:
    import optuna

    return sum(t.state == optuna.trial.TrialState.WAITING for t in study.trials)


def _plain(value: float) -> float | str:
    """The database's JSON has no infinity."""
    return float(value) if math.isfinite(value) else str(float(value))


def _number(value: float | str) -> float:
    return float(value)


class _executor:
    """Calls in this process with one job, in processes that die with this one otherwise."""

    def __init__(self, jobs: int) -> None:
        self._pool: ProcessPoolExecutor | None = None
        if jobs > 1:
            import multiprocessing
            import os

            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(jobs, context, initializer=_die_with, initargs=(os.getpid(),))

    def __enter__(self) -> Callable[..., Future[float]]:
        return self._here if self._pool is None else self._pool.submit

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool is not None:
            if kind is not None:  # what runs would be waited for, minutes perhaps
                for process in self._pool._processes.values():
                    process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    def _here(function: Callable[..., float], *arguments: Any) -> Future[float]:
        future: Future[float] = Future()
        future.set_result(function(*arguments))
        return future


def _die_with(parent: int) -> None:  # pragma: no cover - runs in its own process
    import ctypes
    import os
    import signal

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is answered by the parent
    if os.getppid() != parent:
        os._exit(1)
