"""The search for a threshold: folds share no route, the command goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch

from contracts import UserError
from planning.config import PlanningConfig
from planning.train import folded
from throttle.tuning import read


def test_folds_share_no_route_and_cover_all(dataset: Path) -> None:
    config = PlanningConfig(dataset=str(dataset), standing=1.0, validation_rows=10**6)
    parts = [folded(config, fold, 3) for fold in range(3)]
    total = parts[0][0].rows + parts[0][1].rows
    assert sum(held.rows for _, held in parts) == total
    for rest, held in parts:
        assert held.rows > 0
        gap = (rest.scenes.objects[:, None] - held.scenes.objects[None, :50]).abs().amax((2, 3))
        assert gap.min() > 1e-3  # no scene is in both
    assert torch.equal(parts[0][1].path, folded(config, 0, 3)[1].path)
    with pytest.raises(UserError, match="fewer than 50 folds"):
        folded(config, 0, 50)


def test_the_command_searches_and_says_what_to_run_next(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from throttle.cli import main

    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    options = ["--planning.dataset", str(dataset), "--planning.train.steps", "4", "--planning.train.batch", "16",
               "--planning.train.threads", "1", "--planning.net.layers", "1", "--planning.net.dim", "32",
               "--trials", "1", "--folds", "2", "--strategies", "[global_norm]", "--rates", "[0.003]",
               "--tracking.tensorboard", "false"]  # fmt: skip
    assert main(["tune", "planning", *options]) == 0
    said = capsys.readouterr().out
    assert "throttle train planning --dataset" in " ".join(said.split())
    assert "--train.lr 0.003" in " ".join(said.split())
    assert "--clip.threshold" in said
    (place,) = (tmp_path / "runs").iterdir()
    found = read(place / "lr-0.003")
    assert [len(a.folds) for a in found.attempts] == [2, 2]
    assert found.best.mean < 20
    assert cv2.imread(str(place / "tuning.png")).shape[0] > 300
    done = {path: path.stat().st_mtime_ns for path in place.glob("lr-*/trainings/*/config.yaml")}
    assert len(done) == 4
    assert main(["tune", "planning", "--resume", str(place)]) == 0
    assert {path: path.stat().st_mtime_ns for path in place.glob("lr-*/trainings/*/config.yaml")} == done
