"""One comparison in its folder `runs/<date>-<name>/`: the trainings, what all are compared with, the videos.

Each run has a folder of its own below it; whatever is finished is not done again, so a comparison that was stopped or
killed at any moment goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from contracts import UserError
from control.config import ControlConfig
from throttle.compare.config import ControlComparison, Design
from throttle.compare.plan import Planned, Setting, pinned, plan
from throttle.compare.scheduler import cores, run_here
from throttle.compare.worker import Job, Show, baselines, state_of, work
from throttle.runs import Run, latest_checkpoint, write_atomic
from throttle.tracking import TrackingConfig

KIND = "comparison"
PLAN = "plan.json"


class Comparison:
    """The runs of a design, in the folder of `run`."""

    def __init__(self, design: Design, run: Run, tracking: TrackingConfig) -> None:
        self.design, self.run = design, run
        self.path = run.path
        self.tracking = dataclasses.replace(tracking, group=tracking.group or self.path.name)
        self.planned = planned_of(design)
        text = json.dumps([describe(p) for p in self.planned], indent=1)
        write_atomic(self.path / PLAN, text)

    def job(self, planned: Planned, at_once: int) -> Job:
        """What a worker needs for a run."""
        d = self.design if isinstance(self.design, ControlComparison) else ControlComparison()
        config = pinned(planned.config, at_once, cores())
        return Job(
            run=dataclasses.replace(planned, config=config),
            folder=self.path,
            tracking=self.tracking,
            towns=tuple(d.towns),
            episodes=d.episodes,
            robustness=tuple(d.robustness),
            robustness_episodes=d.robustness_episodes,
        )

    @property
    def at_once(self) -> int:
        """Trainings at once."""
        return min(self.design.jobs or cores(), len(self.planned))

    def left(self) -> list[Job]:
        """What is not done yet."""
        jobs = [self.job(p, self.at_once) for p in self.planned]
        return [job for job in jobs if not job.done]

    def warm_up(self, show: Callable[[str, int, int], None]) -> None:
        """Step each environment once, which compiles the simulator's kernels, so that not every worker does.

        It also ends a bad id or argument in one clear line (UserError) before anything trains.
        """
        from control.env import make_env
        from control.model import check_actions

        if not isinstance(self.design, ControlComparison):
            from throttle.compare import supervised

            supervised.check(self.design)  # type: ignore[arg-type]
        firsts = [(s, p.config) for s, p in self.firsts().items() if isinstance(p.config, ControlConfig)]
        for n, (setting, config) in enumerate(firsts):
            show(setting.task, n, len(firsts))
            env = make_env(config.env, 0, worlds=2)
            check_actions(config, env)
            env.reset()
            env.step(np.stack([env.action_space.sample() for _ in range(2)]))
            env.close()
        if firsts:
            show("ready", len(firsts), len(firsts))

    def train_all(self, show: Show, address: str = "") -> None:
        """Do all that is left, on this machine's cores, or on a Ray cluster at `address`.

        Raises KeyboardInterrupt when the user stops it, UserError naming the runs that failed (the rest are done).
        """
        jobs = [(job.run.name, job) for job in self.left()]
        if address:
            from throttle.compare.cluster import run_on_cluster

            failed = run_on_cluster(address, [job for _, job in jobs], show)
        else:
            failed = run_here(work, jobs, self.at_once, show)
        if failed:
            name, why = next(iter(failed.items()))
            raise UserError(
                f"{len(failed)} of {len(self.planned)} runs failed, {name} first: {why} (see its run.log); "
                f"--resume {self.path} tries them again"
            )

    def references(self) -> None:
        """Evaluate what all arms are compared with, once a setting: the untrained policy and a constant action."""
        for setting, planned in self.firsts().items():
            file = self.path / f"references-{setting.slug}.json"
            if not file.exists():
                write_atomic(file, json.dumps(baselines(self.job(planned, 1))))

    def firsts(self) -> dict[Setting, Planned]:
        """The first run of each setting."""
        found: dict[Setting, Planned] = {}
        for planned in self.planned:
            found.setdefault(planned.setting, planned)
        return found

    def videos(self, progress: Callable[[str], None] = lambda name: None) -> list[Path]:
        """Side by side, the arms of the first seed on the same routes: a video a setting; those that have a picture."""
        found: list[Path] = []
        seconds = self.design.video_seconds if isinstance(self.design, ControlComparison) else 0.0
        for setting in self.firsts():
            path = self.path / f"video-{setting.slug}.mp4"
            mark = self.path / f".{path.name}.done"
            if not mark.exists() and seconds:
                progress(setting.label)
                self._film(path, setting, seconds)
                mark.touch()
            if path.exists():
                found.append(path)
        return found

    def _film(self, path: Path, setting: Setting, seconds: float) -> None:
        from control.evaluate import load_learned
        from control.video import write

        seed = self.design.seeds[0]
        policies: dict[str, Any] = {}
        config: Any = None
        for planned in self.planned:
            if planned.setting != setting or planned.seed != seed or not isinstance(planned.config, ControlConfig):
                continue
            checkpoint = latest_checkpoint(self.path / planned.name)
            if checkpoint is None or state_of(self.path / planned.name) == "diverged":
                continue  # there is no policy to film
            config = planned.config
            policies[planned.arm] = load_learned(checkpoint, config)
        if policies:
            write(path, policies, config.env, seconds=seconds)


def planned_of(design: Design) -> list[Planned]:
    """All runs of a design. Raises UserError for one that cannot be."""
    if isinstance(design, ControlComparison):
        return plan(design)
    from throttle.compare import supervised

    return supervised.plan(design)  # type: ignore[arg-type]


def describe(planned: Planned) -> dict[str, Any]:
    """A planned run for plan.json, which a report reads without any subsystem."""
    return {
        "name": planned.name, "arm": planned.arm, "seed": planned.seed, **dataclasses.asdict(planned.setting),
        "setting": planned.setting.label, "slug": planned.setting.slug,
    }  # fmt: skip
