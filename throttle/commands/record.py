"""Record a dataset: a rule-based expert drives routes on a CARLA server while cameras, lidar and the truth are written.

Without --port a server of our own is started for each worker. The same command again goes on with a recording that was
interrupted or killed. Presets lie in configs/record/; any option can be changed after them:
throttle record --config configs/record/small.yaml --out datasets/small --seed 1
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser, Namespace

from contracts import UserError
from sim.recorder.config import RecordConfig
from sim.recorder.recording import Estimate, Recording, State, Where, estimate
from sim.roads import check_towns
from throttle.commands.train_control import find_preset
from throttle.tracking import TrackingConfig

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_A_ROW, SECONDS_A_MEGAPIXEL, SECONDS_AN_EPISODE = 0.014, 0.95, 1.5
"""Measured on one core: an expert's row, a million pixels of all four outputs, setting up an episode."""


def add_arguments(parser: ArgumentParser) -> None:
    """The recording, the server, and where the dataset and its W&B record go."""
    parser.add_argument("--config", action="config", help="a YAML preset; options after it override it")
    parser.add_class_arguments(RecordConfig)
    parser.add_class_arguments(Where)
    parser.add_argument("--out", type=str, default="datasets/small", help="folder of the dataset")
    parser.add_argument("--runs", type=str, default="runs", help="folder of the runs, where W&B's record of it goes")
    parser.add_argument(
        "--artifact", type=Literal["reference", "files", "none"], default="reference",
        help="what W&B keeps: digests and places of the files, copies of them, or nothing",
    )  # fmt: skip
    parser.add_class_arguments(TrackingConfig, "tracking")


def rewrite(options: list[str]) -> list[str]:
    """Let presets be named from anywhere."""
    return find_preset(options)


def config_of(arguments: Namespace) -> RecordConfig:
    """The part of the arguments that is the recording."""
    return RecordConfig(**{name: arguments[name] for name in RecordConfig.__dataclass_fields__})


def run(arguments: Namespace) -> int:
    """Record; exit code 0 complete, 130 stopped by the user."""
    from rich.console import Console

    config = config_of(arguments)
    where = Where(**{name: arguments[name] for name in Where.__dataclass_fields__})
    if not where.port:
        check_towns([*config.towns, *(config.test_towns if config.test else [])], where.maps)
    console = Console(stderr=True)
    recording = Recording(Path(arguments.out), config, where)
    if recording.complete:
        console.print(f"{recording.root} is complete", highlight=False)
        return 0
    lacking = recording.missing_disk()
    if lacking:
        raise UserError(f"{recording.root}: the disk lacks about {lacking / 1e9:.1f} GB for this recording")
    if record(recording, console):
        _keep(recording, config, arguments)
        folder = shlex.quote(str(recording.root))
        console.print(f"next: throttle data info {folder}; throttle data view {folder}", highlight=False)
        return 0
    again = shlex.join(["throttle", *sys.argv[1:]])
    console.print(f"stopped; nothing is lost. next: {again}", highlight=False, soft_wrap=True)
    return 130


def record(recording: Recording, console: Console) -> bool:
    """Record with a bar; True when it is complete."""
    from throttle.progress import ProgressBar
    from throttle.stopping import StopSignal

    config, crew = recording.config, recording.where.crew(recording.config.episodes)
    whole = estimate(config)
    done = len(recording.state.done)
    console.print(
        f"{config.episodes - done} of {config.episodes} episodes to record on {crew} worker{'s' * (crew > 1)}: "
        f"about {whole.rows:,} rows, {whole.images:,} pictures, {whole.size / 1e6:,.0f} MB, "
        f"{_minutes(config, whole, crew)} in all -> {recording.root}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if not recording.where.port and not _compiled():
        console.print("the first recording of an installation compiles for some minutes before its first row")
    began = time.monotonic()
    with StopSignal() as stop, ProgressBar("record", console) as bar:

        def show(state: State) -> None:
            rows, images = sum(state.rows.values()), sum(state.images.values())
            seconds = max(time.monotonic() - began, 1e-3)
            figures = {"rows": float(rows), "pictures": float(images), "rows_a_second": rows / seconds}
            if state.restarts:
                figures["restarts"] = float(state.restarts)
            bar.update(len(state.done), state.total, **figures)

        complete = recording.run(show, stop)
    if complete:
        seconds = time.monotonic() - began
        console.print(
            f"complete: {recording.size() / 1e6:,.1f} MB in {seconds:.0f} s -> {recording.root}", highlight=False
        )
    return complete


def _compiled() -> bool:
    """The camera's kernels lie in numba's cache."""
    import sim.sensors

    own = Path(sim.sensors.__file__).parent / "__pycache__"
    known = [own, *([Path(os.environ["NUMBA_CACHE_DIR"])] if "NUMBA_CACHE_DIR" in os.environ else [])]
    return any(next(place.rglob("raster.*.nbi"), None) is not None for place in known)


def _minutes(config: RecordConfig, whole: Estimate, crew: int) -> str:
    pixels = sum(c.width * c.height for c in config.cameras.values()) / 1e6
    shots = whole.rows / config.image_every if config.sensors() else 0
    work = whole.rows * SECONDS_A_ROW + shots * pixels * SECONDS_A_MEGAPIXEL + config.episodes * SECONDS_AN_EPISODE
    return f"{max(work / crew / 60, 0.1):.1f} minutes"


def _keep(recording: Recording, config: RecordConfig, arguments: Any) -> None:
    """A W&B artifact of the dataset, offline unless a key is set."""
    tracking: TrackingConfig = arguments.tracking
    if arguments.artifact == "none" or tracking.mode() == "disabled":
        return
    from throttle.runs import Run
    from throttle.tracking import Tracker

    place = Run.create(arguments.runs, "record", "record", config)
    tracker = Tracker(place, tracking, "record", config)
    try:
        name = f"dataset-{recording.root.resolve().name}"
        tracker.artifact(name, recording.root, "dataset", reference=arguments.artifact == "reference")
        place.finish("finished", str(recording.root), recording.state.total)
    finally:
        tracker.close()
