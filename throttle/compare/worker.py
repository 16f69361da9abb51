"""One run of a comparison, from nothing (or its last checkpoint) to its results, in whatever process it is given to.

Leaves in the run's folder, beside what every training leaves:
    result.json      how the training ended, hashes of the weights, time, where it diverged
    evaluation.json  town -> figures and episodes
    robustness.json  the score under perturbations
    done.json        written last: the run is over and is not done again
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipping.errors import ClippingError
from control import backprop
from control.backprop import BackpropConfig
from control.config import ControlConfig
from control.train import Result
from throttle.compare.plan import Planned
from throttle.runs import Run, latest_checkpoint, read_status, write_atomic
from throttle.tracking import Tracker, TrackingConfig

KIND = "control"
DONE = "done.json"
DRIVING = "driving_score/carla-lb-2.0"
"""The score of environments that drive; others are scored by their return."""
Show = Callable[[str, int, int, dict[str, float]], None]


class Stopped(Exception):
    """The run was asked to stop; it goes on from its checkpoint next time."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to know besides the run itself; all of it can be pickled."""

    run: Planned
    folder: Path
    tracking: TrackingConfig
    towns: tuple[str, ...]
    episodes: int
    robustness: tuple[str, ...]
    robustness_episodes: int

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder / self.run.name

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return (self.path / DONE).exists()


class _Shown:
    """Progress of a training, told under the name of its run."""

    def __init__(self, show: Callable[[int, int, dict[str, float]], None]) -> None:
        self.show = show

    def update(self, step: int, total: int, **figures: float) -> None:
        """Pass it on."""
        self.show(step, total, figures)


def work(job: Job, show: Callable[[int, int, dict[str, float]], None], stop: Callable[[], bool]) -> None:
    """Do what is left of a run. show(step, total, figures) is called as it goes.

    Raises Stopped where `stop` said so, and whatever a training raises; a training that diverges is a result.
    """
    if job.done:
        return
    result = _train(job, show, stop)
    figures = evaluate(job, result)
    write_atomic(job.path / "evaluation.json", json.dumps(figures))
    if job.robustness and isinstance(job.run.config, ControlConfig) and result["state"] != "diverged":
        write_atomic(job.path / "robustness.json", json.dumps(_robustness(job, figures)))
    write_atomic(job.path / DONE, json.dumps({"state": result["state"]}))


def _train(job: Job, show: Callable[[int, int, dict[str, float]], None], stop: Callable[[], bool]) -> dict[str, Any]:
    path, config = job.path, job.run.config
    file = path / "result.json"
    if file.exists():
        return _read(file)
    resume = (path / "status.json").exists()
    total, kind = _total(config)
    if resume:
        run = Run.resume(path, config.keep)
    else:
        shutil.rmtree(path, ignore_errors=True)
        run = Run.create_at(path, kind, config, total, config.keep)
    tracker = Tracker(run, job.tracking, kind, config)
    state = "failed"
    try:
        if isinstance(config, BackpropConfig):
            found = _kept(backprop.train(config, run, tracker, _Shown(show), resume, stop))
        elif isinstance(config, ControlConfig):
            from control.train import train

            found = _kept(train(config, run, tracker, _Shown(show), resume, stop))
            if found["state"] == "diverged":
                found["origin"] = _origin(config, path)
        else:
            from throttle.compare import supervised

            found = supervised.train(config, run, tracker, _Shown(show), resume, stop)
        state = found["state"]
        if state != "stopped":
            write_atomic(file, json.dumps(found))
        run.finish(state, found["origin"], found["step"])
    except BaseException as error:
        run.finish("failed", " ".join(repr(error).split()))
        raise
    finally:
        tracker.close(failed=state == "failed")
    if state == "stopped":
        raise Stopped
    return _read(file)


def _total(config: Any) -> tuple[int, str]:
    """Steps of a training, and the kind of its run."""
    if isinstance(config, ControlConfig):
        return config.total_steps, KIND
    if isinstance(config, BackpropConfig):
        return config.updates, KIND
    return config.train.steps, config.clip.subsystem


def _kept(result: Result) -> dict[str, Any]:
    """What a comparison keeps of a control training's result."""
    return {**dataclasses.asdict(result), "checkpoint": str(result.checkpoint or ""), "origin": result.message}


def _origin(config: ControlConfig, path: Path) -> str:
    """Step and layer where a divergence began, found by going once more over the steps since the last checkpoint."""
    from control.divergence import find_origin

    try:
        found = find_origin(config, latest_checkpoint(path))
    except (ClippingError, RuntimeError) as error:
        return f"not found: {' '.join(str(error).split())}"
    return "not found: the steps since the last checkpoint, done again, stayed finite" if found is None else str(found)


def evaluate(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """Town -> figures and episodes of the trained policy; the untrained one's where the training diverged.

    A policy of NaN cannot drive, and nobody would deploy its last checkpoint unseen: a diverged training is worth what
    one had before it.
    """
    config = job.run.config
    checkpoint = None if result["state"] == "diverged" else latest_checkpoint(job.path)
    if isinstance(config, BackpropConfig):
        return {"": backprop.evaluate(config, checkpoint, job.episodes)}
    if not isinstance(config, ControlConfig):
        from throttle.compare import supervised

        return supervised.evaluation(config, result)
    from control.evaluate import evaluate as drive
    from control.evaluate import load_learned, untrained
    from control.model import set_threads

    set_threads(config)
    found = {}
    for town in dict.fromkeys((str(config.env.arguments.get("town", "")), *job.towns)):
        changes: dict[str, Any] = {"town": town} if town else {}
        policy, prepare = (untrained(config), _nothing) if checkpoint is None else load_learned(checkpoint, config)
        found[town] = drive(job.run.name, policy, config.env, job.episodes, prepare=prepare, **changes).as_dict()
    return found


def _nothing(env: Any) -> None:
    del env


def _robustness(job: Job, figures: dict[str, Any]) -> dict[str, Any]:
    from control.evaluate import load_learned
    from control.robustness import robustness

    config = job.run.config
    checkpoint = latest_checkpoint(job.path)
    assert checkpoint is not None
    policy, prepare = load_learned(checkpoint, config)
    metric = score_name(next(iter(figures.values()))["figures"])
    return robustness(
        policy, config.env, list(job.robustness), metric, episodes=job.robustness_episodes, prepare=prepare
    )


def score_name(figures: dict[str, float]) -> str:
    """The figure that arms are compared by: the driving score where there is one, else the return."""
    return DRIVING if DRIVING in figures else "return"


def baselines(job: Job) -> dict[str, Any]:
    """Policies to compare all arms with: untrained, and (where something drives) the best constant action."""
    config = job.run.config
    if not isinstance(config, ControlConfig | BackpropConfig):
        return {}
    if isinstance(config, BackpropConfig):
        return {"untrained": {"": backprop.evaluate(config, None, job.episodes)}}
    from control.evaluate import best_constant, untrained
    from control.evaluate import evaluate as drive
    from control.model import set_threads

    set_threads(config)
    found: dict[str, Any] = {"untrained": {}, "constant": {}}
    for town in dict.fromkeys((str(config.env.arguments.get("town", "")), *job.towns)):
        changes: dict[str, Any] = {"town": town} if town else {}
        found["untrained"][town] = drive("untrained", untrained(config), config.env, job.episodes, **changes).as_dict()
        found["constant"][town] = best_constant(config.env, episodes=job.episodes, **changes).as_dict()
    return found


def state_of(path: Path) -> str:
    """State of the run in a folder: new where there is none yet."""
    return read_status(path).state if (path / "status.json").exists() else "new"


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
