"""Trainings for real: they learn, go on exactly, DAgger adds, processes together do the same."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from clipping import ClipConfig
from clipping.testing import assert_clips, audit, scaled_losses
from contracts import UserError
from planning.config import AugmentConfig, DaggerConfig, NetConfig, PlanningConfig
from planning.train import train
from throttle.runs import Run, list_checkpoints, read_status
from throttle.tracking import Tracker, TrackingConfig
from training import Result, TrainConfig

QUIET = TrackingConfig(wandb="disabled", tensorboard=False)
ROOT = Path(__file__).parents[2]


class Silent:
    def update(self, step: int, total: int, **figures: float) -> None:
        """Nobody watches."""


def small(dataset: Path, **changes: object) -> PlanningConfig:
    loop = TrainConfig(steps=12, batch=16, threads=1, warmup=2, log_every=4, validate_every=6, checkpoint_every=4)
    config = PlanningConfig(
        dataset=str(dataset), train=loop, net=NetConfig(dim=32, layers=1, heads=2, objects=8),
        validation_rows=40, standing=1.0,
        clip=ClipConfig(subsystem="planning", threshold=2.0),
        dagger=DaggerConfig(steps=8, worlds=3, seconds=4.0, every=5, gap=1e3, expert=0.3, towns=["Alder"]),
    )  # fmt: skip
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def run_training(
    path: Path, config: PlanningConfig, resume: bool = False, stop: Callable[[], bool] = lambda: False
) -> Result:
    run = Run.resume(path) if resume else Run.create_at(path, "planning", config)
    tracker = Tracker(run, QUIET, "planning", config)
    try:
        return train(config, run, tracker, Silent(), resume, stop)
    finally:
        tracker.close()
        run.finish("finished")


def test_a_small_set_is_learnt_by_heart(dataset: Path, tmp_path: Path) -> None:
    config = small(
        dataset,
        train=TrainConfig(steps=300, batch=64, threads=1, lr=3e-3, warmup=10, log_every=20, weight_decay=0.0),
        augment=AugmentConfig(pose=0.0, noise=0.0),
    )
    begun = run_training(tmp_path / "begun", dataclasses.replace(config, train=TrainConfig(steps=1, threads=1)))
    learnt = run_training(tmp_path / "learnt", config)
    assert learnt.state == "finished"
    assert learnt.last["path_ade"] < 0.25
    assert learnt.last["speed_ade"] < 0.4 * begun.last["speed_ade"]
    rows = [line.split(",") for line in (tmp_path / "learnt" / "metrics.csv").read_text().splitlines()]
    forecast = [float(value) for _, name, value in rows if name == "train/forecast"]
    assert forecast[-1] < 0.9 * forecast[0]  # where the others go is learnt, too


def test_every_step_keeps_to_the_threshold(dataset: Path, tmp_path: Path) -> None:
    with audit(0.01):
        result = run_training(tmp_path, small(dataset, clip=ClipConfig(subsystem="planning", threshold=0.01)))
    assert result.state == "finished"
    assert "100% of them limited" in result.clipping


def test_one_step_of_sgd_moves_by_the_rate_times_the_threshold(dataset: Path, tmp_path: Path) -> None:
    sgd = TrainConfig(optimizer="sgd", weight_decay=0.0, lr=0.1, warmup=0, steps=1, batch=16, threads=1)
    runs = itertools.count()

    def loop(threshold: float, loss_scale: float) -> None:
        clip = ClipConfig(subsystem="planning", threshold=threshold)
        with scaled_losses(loss_scale):
            run_training(tmp_path / str(next(runs)), small(dataset, train=sgd, clip=clip))

    assert_clips(loop, 0.01)


@pytest.mark.parametrize("after", [5, 12, 17])
def test_a_stopped_training_goes_on_as_if_nothing_had_happened(dataset: Path, tmp_path: Path, after: int) -> None:
    """Stopped within the first training, at its end, and after the round of DAgger."""
    config = small(dataset, dagger=dataclasses.replace(small(dataset).dagger, rounds=1))
    whole = run_training(tmp_path / "whole", config)
    assert whole.step == 20

    def stop() -> bool:
        return any(int(c.name) >= after - after % 4 for c in list_checkpoints(tmp_path / "parts"))

    parts = run_training(tmp_path / "parts", config, stop=stop)
    assert parts.state == "stopped"
    assert parts.step < 20
    assert parts.final_weights != whole.final_weights
    rest = run_training(tmp_path / "parts", config, resume=True)
    assert (rest.state, rest.step) == ("finished", 20)
    assert rest.final_weights == whole.final_weights
    assert rest.initial_weights == whole.initial_weights
    metrics = [(tmp_path / name / "metrics.csv").read_text().splitlines() for name in ("whole", "parts")]
    validated = [[line for line in lines if "validation/" in line] for lines in metrics]
    assert validated[0] == validated[1]
    assert len(validated[0]) > 10


def test_a_round_of_dagger_adds_what_the_planner_met(dataset: Path, tmp_path: Path) -> None:
    config = small(dataset, dagger=dataclasses.replace(small(dataset).dagger, rounds=2))
    result = run_training(tmp_path, config)
    assert result.step == 12 + 2 * 8
    for number in (1, 2):
        kept = torch.load(tmp_path / f"dagger-{number}.pt", weights_only=True)
        assert len(kept["rest"][0]) == 3 * 8  # 3 worlds, 40 steps, every fifth
        assert kept["rest"][1].max() > 1.0  # the expert would have driven off


def test_a_round_keeps_more_of_what_the_planner_got_wrong(dataset: Path, tmp_path: Path) -> None:
    config = small(dataset, dagger=dataclasses.replace(small(dataset).dagger, rounds=1, gap=0.0))
    assert run_training(tmp_path, config).state == "finished"
    kept = torch.load(tmp_path / "dagger-1.pt", weights_only=True)
    assert len(kept["rest"][0]) == 3 * 40  # its speeds are never quite the expert's
    assert kept["rest"][3].any()  # where the objects went is known


def test_options_that_do_not_go_together_are_refused(dataset: Path) -> None:
    with pytest.raises(UserError, match=r"dagger\.rounds and train\.minutes"):
        small(dataset, train=TrainConfig(minutes=1), dagger=DaggerConfig(rounds=1))
    with pytest.raises(UserError, match=r"net\.dim 30 is not a multiple"):
        NetConfig(dim=30)
    with pytest.raises(UserError, match="clip"):
        small(dataset, clip=ClipConfig(threshold=-1.0))


@pytest.mark.slow
def test_a_killed_command_resumes_to_the_same_weights(dataset: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "throttle.cli", "train", "planning", "--dataset", str(dataset), "--name", "k",
        "--train.steps", "120", "--train.batch", "32", "--train.threads", "1", "--train.checkpoint_every", "20",
        "--net.layers", "1", "--net.dim", "32", "--tracking.tensorboard", "false",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline", "COLUMNS": "200"}

    def finish(words: list[str], folder: Path) -> str:
        folder.mkdir(exist_ok=True)
        done = subprocess.run(words, cwd=folder, env=environment, text=True, capture_output=True, timeout=500)
        assert done.returncode == 0, done.stderr
        found = re.search(r"weights \w+ -> (\w+)", done.stderr)
        assert found, done.stderr
        return found[1]

    whole = finish(command, tmp_path / "whole")
    (tmp_path / "parts").mkdir()
    process = subprocess.Popen(command, cwd=tmp_path / "parts", env=environment, stderr=subprocess.PIPE)
    limit = time.monotonic() + 300
    while not any(len(list_checkpoints(p)) >= 1 for p in (tmp_path / "parts/runs").glob("*k")):
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    folder = next((tmp_path / "parts/runs").glob("*k"))
    assert read_status(folder).state == "killed"
    assert (
        finish([*command[:5], "--resume", str(folder), "--tracking.tensorboard", "false"], tmp_path / "parts") == whole
    )


@pytest.mark.slow
def test_two_processes_learn_together(dataset: Path, tmp_path: Path) -> None:
    loop = dataclasses.replace(small(dataset).train, devices=2, strategy="ddp", accelerator="cpu")
    result = run_training(tmp_path, small(dataset, train=loop))
    assert result.state == "finished"
    assert result.last["loss"] < 10
