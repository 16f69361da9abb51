"""Search a clipping threshold for a driving policy: strategies x thresholds, each trained and driven on some seeds.

    throttle tune control --config configs/control/lane_follow_ppo.yaml --strategies '[global_norm,quantile]' --trials 8

The unclipped training is always tried too. Stop it or kill it at any moment: --resume goes on and repeats nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from clipping import ClipConfig
from contracts import UserError
from control.config import ControlConfig
from throttle.runs import Run, dump_config, find_run, write_atomic
from throttle.tracking import TrackingConfig
from throttle.tuning import ClipSpace, supervised

KIND = "tuning"


@dataclasses.dataclass
class TuneConfig:
    """A search, with the training whose clip it chooses."""

    name: str = "tune"
    """The search's folder is runs/<date>-<name>."""
    strategies: list[str] = dataclasses.field(default_factory=lambda: ["global_norm", "quantile"])
    """Ways to clip whose threshold is searched."""
    trials: int = 12
    """Thresholds that are tried, besides no clipping."""
    seeds: list[int] = dataclasses.field(default_factory=lambda: [0, 1, 2])
    """Each threshold is trained once with each, until it is clearly no good."""
    episodes: int = 32
    """Episodes of the evaluation, none of them trained on."""
    jobs: int = 2
    """Trainings at once."""
    control: ControlConfig = dataclasses.field(default_factory=ControlConfig)

    def __post_init__(self) -> None:
        if self.trials < 1 or self.jobs < 1 or self.episodes < 1:
            raise UserError("trials, jobs and episodes must be at least 1")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise UserError(f"seeds must be different numbers from 0, at least one, got {self.seeds}")
        self.space()

    def space(self) -> ClipSpace:
        """What is searched."""
        return ClipSpace(tuple(self.strategies))


def add_arguments(parser: ArgumentParser) -> None:
    """The search, the training (control.*), and where everything goes."""
    supervised.add_arguments(parser, TuneConfig, "a YAML preset of the training or of the search")


def rewrite(options: list[str]) -> list[str]:
    """Begin with RUN's own configuration after `--resume RUN`; take a preset of a training as the part `control`."""
    found = supervised.rewrite(options, KIND)
    for n, word in enumerate(found[:-1]):
        if word == "--config" and _is_training(found[n + 1]):
            found[n] = "--control"
    return found


def _is_training(path: str) -> bool:
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return False  # the parser says what is wrong with it
    return isinstance(content, dict) and "control" not in content


def objective(
    params: Mapping[str, Any], fold: int, folder: Path, config: TuneConfig, tracking: TrackingConfig
) -> float:
    """Train with one clip and seed, and drive; nan where the training diverged."""
    from throttle.compare.collect import figures_of
    from throttle.compare.plan import Planned, Setting, pinned
    from throttle.compare.scheduler import cores
    from throttle.compare.worker import Job, score_name, work

    clip = ClipConfig(subsystem="control", **params["clip"])
    if clip.strategy == "none":
        clip.nonfinite = "ignore"
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:8]
    name = f"{clip.strategy}-{digest}-seed{fold}"
    training = dataclasses.replace(config.control, name=name, seed=fold, clip=clip)
    setting = Setting(training.algorithm, training.env.id, training.settings.learning_rate)
    planned = Planned(name, name, fold, setting, pinned(training, config.jobs, cores()))
    job = Job(planned, folder, tracking, (), config.episodes, (), 1)
    work(job, lambda step, total, figures: None, lambda: False)
    result = json.loads((job.path / "result.json").read_text(encoding="utf-8"))
    if result["state"] == "diverged":
        return float("nan")
    figures = figures_of(json.loads((job.path / "evaluation.json").read_text(encoding="utf-8")))
    return figures[score_name(figures)]


def run(arguments: Namespace) -> int:
    """Search, report; exit code 0, or 130 when stopped."""
    from rich.console import Console

    from control.env import make_env
    from throttle.progress import ProgressBar
    from throttle.report.thresholds import words, write
    from throttle.stopping import StopSignal
    from throttle.tuning import tune

    config = TuneConfig(**{name: arguments[name] for name in TuneConfig.__dataclass_fields__})
    console = Console()
    if arguments.resume:
        place = Run.resume(find_run(arguments.runs, arguments.resume, KIND))
    else:
        make_env(config.control.env, 0, worlds=1).close()  # a bad id ends here, before a folder is made
        place = Run.create(arguments.runs, config.name, KIND, config)
    tracking = dataclasses.replace(arguments.tracking, group=arguments.tracking.group or place.path.name)
    console.print(f"search {place.path}; stop it at any moment, --resume {place.path} goes on", soft_wrap=True)
    work = functools.partial(objective, folder=place.path, config=config, tracking=tracking)
    try:
        with StopSignal(say=supervised.STOPPING) as stop, ProgressBar("tune", console) as bar:
            found = tune(
                work, config.space(), config.seeds, place.path, trials=config.trials, resume=bool(arguments.resume),
                progress=bar, jobs=config.jobs, stop=stop,
            )  # fmt: skip
            stopped = stop()
    except BaseException as error:
        place.finish("stopped" if isinstance(error, KeyboardInterrupt) else "failed", " ".join(str(error).split()))
        raise
    if stopped:
        place.finish("stopped")
        console.print(f"stopped; next: throttle tune control --resume {place.path}", soft_wrap=True)
        return 130
    score = "driving score carla-lb-2.0" if config.control.env.id.startswith("throttle/") else "return"
    files = write(found, place.path, place.path.name, score)
    console.print(words(found, score), highlight=False, style="bold", soft_wrap=True)
    for what, path in files.items():
        console.print(f"{what:<9}{path}", highlight=False, soft_wrap=True)
    training = place.path / "control.yaml"
    write_atomic(training, dump_config(config.control))
    fresh = str([max(config.seeds) + 1 + n for n in range(5)]).replace(" ", "")
    confirm = ["--control", str(training), "--arms", f"none,{found.best.name}", "--seeds", fresh]
    console.print(f"next     throttle compare control {shlex.join(confirm)}", soft_wrap=True, highlight=False)
    place.finish("finished")
    return 0
