"""The search for a threshold: folds of whole routes, unclipped beside clipped at each rate, resumed."""

from __future__ import annotations

import csv
from pathlib import Path

import painted
import pytest
from helpers import config

from contracts import UserError
from perception.train import folded
from throttle.cli import main


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted.make(tmp_path_factory.mktemp("routes") / "data", pictures=3, train=3)


def test_folds_hold_whole_routes_and_each_once(routes: Path) -> None:
    held = []
    for fold in range(3):
        part, checks = folded(config(routes), fold, 3)
        mine, other = ({r["episode_index"] for r in frames.records} for frames in (part, checks))
        assert not mine & other
        assert len(mine) == 2
        held += sorted(other)
    assert sorted(held) == [0, 3, 4]
    with pytest.raises(UserError, match="cannot make 4 folds"):
        folded(config(routes), 0, 4)


def test_a_search_tries_unclipped_beside_clipped_at_each_rate_and_goes_on(routes: Path, tmp_path: Path) -> None:
    small = {"data.path": routes, "data.width": 96, "data.height": 64, "model.channels": "[8,8,8,8,8]",
             "model.neck": 8, "train.steps": 2, "train.batch": 2, "train.warmup": 1, "train.threads": 1,
             "train.accelerator": "cpu"}  # fmt: skip
    options = [word for name, value in small.items() for word in (f"--perception.{name}", str(value))]
    options += ["--strategies", "[global_norm]", "--trials", "1", "--folds", "2", "--rates", "[0.001,0.002]"]
    quiet = ["--runs", str(tmp_path), "--tracking.wandb", "disabled", "--tracking.tensorboard", "false"]
    assert main(["tune", "perception", *options, *quiet]) == 0
    (place,) = tmp_path.glob("*-tune-perception")
    for rate in ("0.001", "0.002"):
        with open(place / f"lr-{rate}" / "tuning.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["strategy"] for row in rows} == {"none", "global_norm"}
        assert list((place / f"lr-{rate}").glob("*.html"))
    done = {path: path.stat().st_mtime_ns for path in place.glob("lr-*/trainings/*/config.yaml")}
    assert len(done) == 8
    assert main(["tune", "perception", "--resume", str(place), *quiet]) == 0
    assert {path: path.stat().st_mtime_ns for path in place.glob("lr-*/trainings/*/config.yaml")} == done
