"""Run folders: checkpoints whole or not at all, one owner, honest states."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from contracts import UserError
from control.config import ControlConfig
from throttle.runs import Run, find_run, latest_checkpoint, list_runs, read_status
from throttle.tracking import Tracker, TrackingConfig, read_metrics

CONFIG = ControlConfig()


def text(content: str):  # type: ignore[no-untyped-def]
    return lambda folder: (folder / "a.txt").write_text(content) and None


def test_newest_checkpoints_stay_and_damage_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = Run.create(tmp_path, "one", "control", CONFIG, keep=2)
    for step in (10, 20, 30):
        run.checkpoint(step, text(str(step)))
    assert [int(p.name) for p in run.checkpoints()] == [20, 30]
    assert (run.path / "checkpoints" / "000000000030" / "a.txt").read_text() == "30"
    (run.path / "checkpoints" / "000000000030" / "a.txt").write_text("31")
    found = run.latest()
    assert found is not None
    assert found.name == "000000000020"
    assert "damaged (a.txt" in caplog.text


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "one", "control", CONFIG)
    run.checkpoint(10, text("good"))

    def broken(folder: Path) -> None:
        (folder / "a.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run.checkpoint(20, broken)
    assert [p.name for p in run.checkpoints()] == ["000000000010"]
    run.finish("failed")
    resumed = Run.resume(run.path)
    assert sorted(p.name for p in (run.path / "checkpoints").iterdir()) == ["000000000010"]
    resumed.finish("stopped")


def test_states_owner_and_names(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "one", "control", CONFIG)
    assert read_status(run.path).state == "running"
    with pytest.raises(UserError, match="in use"):
        Run.resume(run.path)
    run.finish("finished", step=7)
    assert read_status(run.path).step == 7
    child = "import os, time; from throttle.runs import Run; from control.config import ControlConfig as C\n"
    child += f"run = Run.create({str(tmp_path)!r}, 'two', 'control', C())\n"
    child += "if os.fork() == 0: time.sleep(5); os._exit(0)\n"  # a worker that outlives its run does not hold it
    child += "os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", child], check=False).returncode == -9
    newest, status = next(list_runs(tmp_path, "control"))
    assert newest.name.endswith("two")
    assert status.state == "killed"
    assert find_run(tmp_path, "last") == newest
    assert find_run(tmp_path, run.path.name) == run.path
    assert Run.create(tmp_path, "one", "control", CONFIG).path.name == run.path.name + "-2"
    for wrong in ("../x", "", "a b"):
        with pytest.raises(UserError, match="name"):
            Run.create(tmp_path, wrong, "control", CONFIG)
    with pytest.raises(UserError, match="no run"):
        find_run(tmp_path, "nothing")
    with pytest.raises(UserError, match="is a run of control"):
        find_run(tmp_path, str(run.path), "planning")
    assert latest_checkpoint(run.path) is None


def test_numbers_rewind_to_a_checkpoint(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "one", "control", CONFIG)
    tracker = Tracker(run, TrackingConfig(wandb="disabled"), "control", CONFIG)
    for step in (10, 20, 30):
        tracker.scalars({"loss": step / 10}, step)
        tracker.rows("clip", [{"step": step, "norm": 1.5}])
    tracker.close()
    with open(run.path / "clip.csv", "a") as file:
        file.write("40,1.")  # a line cut short by a kill
    tracker.rewind(20)
    tracker.scalars({"loss": 9.0}, 25)
    tracker.rows("clip", [{"step": 25, "norm": 2.5}])
    with pytest.raises(ValueError, match="columns"):
        tracker.rows("clip", [{"step": 26, "other": 2.5}])
    tracker.close()
    assert read_metrics(run.path) == {"loss": [(10, 1.0), (20, 2.0), (25, 9.0)]}
    assert (run.path / "clip.csv").read_text().split() == ["step,norm", "10,1.5", "20,1.5", "25,2.5"]


def test_wandb_without_network_or_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    config = TrackingConfig(group="experiment")
    assert config.mode() == "offline"
    run = Run.create(tmp_path, "one", "control", CONFIG)
    tracker = Tracker(run, config, "control", CONFIG)
    tracker.scalars({"loss": 1.0}, 1)
    tracker.table("table", [{"a": 1, "b": "x"}, {"a": 2, "c": 0.5}])
    assert "the run goes on" not in caplog.text, "a row may lack a column"
    checkpoint = run.checkpoint(1, text("weights"))
    tracker.artifact("policy", checkpoint, "model")
    tracker.close()
    identity = run.status.wandb_id
    assert identity
    assert list((run.path / "wandb").glob(f"offline-run-*-{identity}/run-{identity}.wandb"))
    run.finish("stopped")
    again = Run.resume(run.path)
    Tracker(again, config, "control", CONFIG).close()
    assert again.status.wandb_id == identity, "a resumed run stays the same run"
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert config.mode() == "online"
    assert list((run.path / "tensorboard").iterdir())


def test_a_failing_mirror_never_stops_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    monkeypatch.setenv("WANDB_DIR", "/proc/nowhere")
    run = Run.create(tmp_path, "one", "control", CONFIG)
    tracker = Tracker(run, TrackingConfig(project="no/such:project?"), "control", CONFIG)
    tracker.scalars({"loss": 1.0}, 1)
    tracker.image("picture", tmp_path / "missing.png")
    tracker.close()
    assert read_metrics(run.path) == {"loss": [(1, 1.0)]}
    assert "the run goes on" in caplog.text
