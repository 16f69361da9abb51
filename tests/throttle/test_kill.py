"""Real processes, killed with SIGKILL or stopped with Ctrl-C, and called again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from throttle.runs import list_checkpoints, read_status

THROTTLE = [sys.executable, "-m", "throttle.cli"]
TRAIN = [*THROTTLE, "train", "control", "--config", "configs/control/cartpole_ppo.yaml", "--name", "k",
         "--checkpoint_every", "500", "--ppo.n_epochs", "4", "--tracking.tensorboard", "false"]  # fmt: skip
ROOT = str(Path(__file__).parents[2])
LONG = ["--total_steps", "100000000"]
SHORT = ["--total_steps", "12000"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": ROOT, "WANDB_MODE": "offline", "COLUMNS": "200"}


def start(command: list[str], folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command, cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(command: list[str], folder: Path) -> str:
    process = start(command, folder)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def wait_for(process: subprocess.Popen[str], ready) -> None:  # type: ignore[no-untyped-def]
    limit = time.monotonic() + 600
    while not ready():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < limit
        time.sleep(0.05)


def weights(said: str) -> str:
    found = re.search(r"weights \w+ -> (\w+)", said)
    assert found, said
    return found[1]


def test_killed_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = weights(finish([*TRAIN, *SHORT], tmp_path / "whole"))
    process = start([*TRAIN, *SHORT], tmp_path / "parts")
    runs = tmp_path / "parts" / "runs"
    wait_for(process, lambda: any(len(list_checkpoints(p)) >= 2 for p in runs.glob("*k")))
    process.kill()
    process.wait()
    run = next(runs.glob("*k"))
    assert read_status(run).state == "killed"
    saved = int(list_checkpoints(run)[-1].name)
    said = finish([*TRAIN[:5], "--resume", "last"], tmp_path / "parts")
    assert weights(said) == whole
    status = read_status(run)
    assert status.state == "finished"
    assert status.step >= 12000 > saved > 0
    log = (run / "run.log").read_text()
    resumed = re.search(r"resumed from .* at step (\d+)", log)
    assert resumed
    assert int(resumed[1]) >= saved, "only the steps since the last checkpoint were lost"
    assert len(list((run / "wandb").glob(f"offline-run-*-{status.wandb_id}"))) == 2, "one W&B run in two parts"


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = start([*TRAIN, *LONG], tmp_path)
    wait_for(process, lambda: any(list_checkpoints(p) for p in (tmp_path / "runs").glob("*k")))
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    run = next((tmp_path / "runs").glob("*k"))
    assert process.returncode == 130, said
    assert f"throttle train control --resume runs/{run.name}" in said
    status = read_status(run)
    assert status.state == "stopped"
    assert int(list_checkpoints(run)[-1].name) == status.step


@pytest.mark.slow
def test_demo_killed_in_every_stage_goes_on(tmp_path: Path) -> None:
    demo = [*THROTTLE, "demo", "--config", "configs/demo_small.yaml", "--tracking.wandb", "disabled"]
    runs = tmp_path / "runs"
    for seen in (
        "demo-*/dataset/meta/parts/*.jsonl", "demo-*/perception/*/status.json", "demo-*/planning/*/status.json",
        "demo-*/control/*/*-seed0/status.json", "demo-*/drive/*/status.json",
    ):  # fmt: skip
        process = start(demo, tmp_path)
        wait_for(process, lambda seen=seen: any(runs.glob(seen)))
        process.kill()
        process.wait()
    folder = next(runs.glob("demo-*"))
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("dataset/data/*.parquet")}
    assert len(kept) == 4
    said = finish(demo, tmp_path)
    assert all(path.stat().st_mtime_ns == old for path, old in kept.items()), "what is done is not done again"
    assert len(list(folder.glob("perception/*/status.json"))) == 1, "a killed training is resumed"
    found = json.loads((folder / "results.json").read_text())
    assert set(found["stages"]) == {"record", "perception", "planning", "control", "drive"}
    arms = json.loads(next(folder.glob("drive/*/result.json")).read_text())["arms"]
    assert {"stack", "control trained unclipped", "true perception", "expert"} == set(arms)
    assert all(arm["figures"]["driven"] == arm["figures"]["routes"] == 1 for arm in arms.values())
    assert "report.html" in said
    assert read_status(folder).state == "finished"
    again = finish(demo, tmp_path)
    assert again.count("(done before)") == 5
