"""The demonstration: the same trainings clipped and unclipped, driven on routes not trained on, compared.

Every stage leaves its result in the folder and is done once: after a kill at any moment the next call goes on.
"""

from __future__ import annotations

import ctypes
import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np

from contracts import UserError
from control.config import ControlConfig
from throttle.runs import Run, read_status, write_atomic
from throttle.stopping import StopSignal
from throttle.tracking import TrackingConfig

ARMS = ("clipped", "unclipped")
KIND = "control"


@dataclass
class DemoConfig:
    """What the demonstration trains and drives."""

    control: ControlConfig = field(default_factory=ControlConfig)
    """The clipped arm's training; the unclipped arm differs in clip.strategy alone. Its seed is not used."""
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    new_towns: list[str] = field(default_factory=lambda: ["Alder"])
    """Towns that were not trained in, driven in the evaluation beside new routes of the town that was."""
    episodes: int = 100
    """Routes in each town."""
    video_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise UserError(f"seeds must be different numbers, at least one, got {self.seeds}")
        if not 1 <= self.episodes <= 100_000:
            raise UserError(f"episodes must be from 1 to 100000, got {self.episodes}")
        if not 0 < self.video_seconds <= 3600:
            raise UserError(f"video_seconds must be above 0 and at most 3600, got {self.video_seconds}")
        if self.control.clip.strategy == "none":
            raise UserError("control.clip.strategy must clip: the unclipped arm is made from it")

    def arm(self, arm: str, seed: int) -> ControlConfig:
        """The training of one arm and seed."""
        clip = self.control.clip
        if arm == "unclipped":
            clip = type(clip)(
                subsystem=clip.subsystem, strategy="none", nonfinite=clip.nonfinite, max_nonfinite=clip.max_nonfinite
            )
        return dataclasses.replace(self.control, name=f"{arm}-seed{seed}", seed=seed, clip=clip)

    @property
    def towns(self) -> list[str]:
        """Where the evaluation drives, the town trained in first; an empty name for environments without towns."""
        return [str(self.control.env.arguments.get("town", "")), *self.new_towns]


class Demo:
    """One demonstration in its folder `runs/demo-<hash of the configuration>/`."""

    def __init__(self, config: DemoConfig, root: Path | str, tracking: TrackingConfig, fresh: bool = False) -> None:
        """fresh: forget what an earlier call with this configuration left."""
        self.config = config
        text = json.dumps(dataclasses.asdict(config), sort_keys=True)
        self.path = Path(root) / f"demo-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self.tracking = dataclasses.replace(tracking, group=tracking.group or self.path.name)
        if fresh and self.path.exists():
            shutil.rmtree(self.path)
        begun = (self.path / "status.json").exists()
        self.run = Run.resume(self.path) if begun else Run.create_at(self.path, "demo", config)
        (self.path / "stages").mkdir(exist_ok=True)
        self.trainings = [(arm, seed) for seed in config.seeds for arm in ARMS]

    # -- stages ---------------------------------------------------------------------------------------------------

    def once(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a stage: from its file, or from `work`, whose result is then kept."""
        file = self.path / "stages" / f"{name}.json"
        if file.exists():
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return found
        result = work()
        write_atomic(file, json.dumps(result))
        return result

    def warm_up(self, show: Callable[[str, int, int], None]) -> float:
        """Compile the kernels of simulator and clipper, or load them from the cache on disk; returns seconds.

        show(what, done, total) is called before each part. Trainings begin after this, so that none compiles the same.
        """
        began = time.perf_counter()
        parts = 5
        show("loading torch and the simulator", 0, parts)
        import torch

        from clipping import GradientClipper
        from control.env import OWN, make_env

        environment = self.config.control.env
        if environment.id.startswith(OWN):
            from sim.envs.batch import town_tables
            from sim.world import warm_up

            warm_up(*town_tables(self.config.towns[0]), lambda what, done, total: show(what, done, parts))
        show("observations", 3, parts)
        env = make_env(environment, 0, worlds=2)
        env.reset()
        env.step(np.stack([env.action_space.sample() for _ in range(2)]))
        env.close()
        show("clipper", 4, parts)
        weight = torch.nn.Linear(64, 64)
        optimizer = torch.optim.Adam(weight.parameters())
        GradientClipper.from_config(self.config.control.clip).attach(optimizer)
        weight(torch.ones(1, 64)).sum().backward()
        optimizer.step()
        show("ready", parts, parts)
        return time.perf_counter() - began

    def done(self) -> list[tuple[str, int]]:
        """Trainings that are over."""
        return [item for item in self.trainings if self.training_state(*item) in ("finished", "diverged")]

    def training_state(self, arm: str, seed: int) -> str:
        """State of one training; "new" where it has not begun."""
        path = self.path / f"{arm}-seed{seed}"
        return read_status(path).state if (path / "status.json").exists() else "new"

    def train_all(self, show: Callable[[str, int, int, dict[str, float]], None]) -> None:
        """Train what is not trained yet, one process a core; show(name, step, total, figures) is called as they go.

        Raises KeyboardInterrupt when the user stops it (the trainings have saved), UserError when one fails.
        """
        cores = len(os.sched_getaffinity(0))
        at_once = max(1, min(cores, len(self.trainings)))
        context = multiprocessing.get_context("spawn")
        waiting = [item for item in self.trainings if item not in self.done()]
        running: dict[Connection, tuple[str, Any]] = {}
        stopping, failed = False, ""
        stop = StopSignal()
        with stop:
            while waiting or running:
                if (stop() or failed) and not stopping:
                    stopping = True
                    for _, process in running.values():
                        process.terminate()  # they save, and end
                while waiting and len(running) < at_once and not stopping:
                    arm, seed = waiting.pop(0)
                    config = self.config.arm(arm, seed)
                    if config.numba_threads * at_once > cores:
                        config = dataclasses.replace(config, numba_threads=max(1, cores // at_once))
                    mine, theirs = context.Pipe(duplex=False)
                    arguments = (theirs, self.path / config.name, config, self.tracking, os.getpid())
                    process = context.Process(target=_train_one, args=arguments, name=config.name)
                    # A Ctrl-C reaches the whole group of processes; only this one is to answer it.
                    answer = signal.signal(signal.SIGINT, signal.SIG_IGN)
                    process.start()
                    signal.signal(signal.SIGINT, answer)
                    theirs.close()
                    running[mine] = (config.name, process)
                if not running:
                    break
                for ready in wait(list(running), timeout=0.5):
                    assert isinstance(ready, Connection)
                    name, process = running[ready]
                    try:
                        show(name, *ready.recv())
                    except EOFError:
                        process.join()
                        del running[ready]
                        if process.exitcode != 0 and not stopping:
                            failed = f"{name} failed (exit code {process.exitcode}); see {self.path / name / 'run.log'}"
        if failed:
            raise UserError(failed)
        if stop():
            raise KeyboardInterrupt

    def summary(self, arm: str, seed: int) -> dict[str, Any]:
        """What a training left: state, hashes of its weights, clipping in words."""
        found: dict[str, Any] = json.loads((self.path / f"{arm}-seed{seed}" / "result.json").read_text("utf-8"))
        return found

    def evaluate(self, show: Callable[[str, int, int], None]) -> dict[str, dict[str, dict[str, Any]]]:
        """town -> policy -> Evaluation.as_dict(), for every training and the baselines."""
        from control.evaluate import best_constant, evaluate, load_learned, untrained
        from control.model import set_threads
        from throttle.runs import latest_checkpoint

        set_threads(self.config.control)
        environment = self.config.control.env
        names = [f"{arm}-seed{seed}" for arm, seed in self.trainings] + ["untrained", "constant"]
        results: dict[str, dict[str, dict[str, Any]]] = {}
        total, done = len(names) * len(self.config.towns), 0
        for town in self.config.towns:
            changes = {"town": town} if town else {}
            options: dict[str, Any] = {"episodes": self.config.episodes, **changes}

            def drive(name: str, options: dict[str, Any] = options) -> dict[str, Any]:
                if name == "untrained":
                    start = untrained(self.config.arm("clipped", self.config.seeds[0]))
                    return evaluate(name, start, environment, **options).as_dict()
                if name == "constant":
                    return best_constant(environment, **options).as_dict()
                arm, seed = name.rsplit("-seed", 1)
                checkpoint = latest_checkpoint(self.path / name)
                if checkpoint is None:
                    raise UserError(f"{self.path / name} has no whole checkpoint; call with --fresh true")
                policy, prepare = load_learned(checkpoint, self.config.arm(arm, int(seed)))
                return evaluate(name, policy, environment, prepare=prepare, **options).as_dict()

            for name in names:
                show(f"{name} {town}".strip(), done, total)
                stage = f"evaluate-{town or 'here'}-{name}"
                results.setdefault(town, {})[name] = self.once(stage, lambda name=name: drive(name))  # type: ignore[misc]
                done += 1
        show("evaluated", total, total)
        return results

    def video(self, show: Callable[[], None]) -> Path:
        """Clipped, unclipped (first seed) and untrained on the first new routes, side by side."""
        path = self.path / "demo.mp4"

        def work() -> dict[str, Any]:
            from control.evaluate import load_learned, untrained
            from control.video import write
            from throttle.runs import latest_checkpoint

            seed = self.config.seeds[0]
            policies: dict[str, Any] = {}
            for arm in ARMS:
                checkpoint = latest_checkpoint(self.path / f"{arm}-seed{seed}")
                assert checkpoint is not None
                policies[arm] = load_learned(checkpoint, self.config.arm(arm, seed))
            policies["untrained"] = (untrained(self.config.arm("clipped", seed)), lambda env: None)
            town = self.config.towns[0]
            changes: dict[str, Any] = {"town": town} if town else {}
            write(path, policies, self.config.control.env, seconds=self.config.video_seconds, progress=show, **changes)
            return {"video": path.name}

        self.once("video", work)
        return path


class _Pipe:
    """Progress that goes through a pipe to the process that shows it."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def update(self, step: int, total: int, **figures: float) -> None:
        """Send it on."""
        self.pipe.send((step, total, figures))


def _train_one(
    pipe: Connection, path: Path, config: ControlConfig, tracking: TrackingConfig, parent: int
) -> None:  # pragma: no cover - runs in its own process
    """One training in a process that dies with its parent."""
    from control.train import train
    from throttle.tracking import Tracker

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        return
    resume = (path / "status.json").exists()
    if resume:
        run = Run.resume(path, config.keep)
    else:
        shutil.rmtree(path, ignore_errors=True)
        run = Run.create_at(path, KIND, config, config.total_steps, config.keep)
    tracker = Tracker(run, tracking, KIND, config)
    try:
        with StopSignal(signal.SIGTERM) as stop:
            result = train(config, run, tracker, _Pipe(pipe), resume, stop)
        write_atomic(path / "result.json", json.dumps(dataclasses.asdict(result), default=str))
        run.finish(result.state, result.message, result.step)
    except BaseException as error:
        run.finish("failed", repr(error))
        raise
    finally:
        tracker.close()
