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
from throttle.report.rates import difference, sentence
from throttle.tuning import Attempt, Search


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
    options += ["--strategies", "[global_norm]", "--ranges", "{global_norm: [0.1, 100]}", "--grid", "true"]
    options += ["--trials", "1", "--folds", "2", "--rates", "[0.001,0.002]"]
    quiet = ["--runs", str(tmp_path), "--tracking.wandb", "disabled", "--tracking.tensorboard", "false"]
    assert main(["tune", "perception", *options, *quiet]) == 0
    (place,) = tmp_path.glob("*-tune-perception")
    for rate in ("0.001", "0.002"):
        with open(place / f"lr-{rate}" / "tuning.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["strategy"] for row in rows] == ["none", "global_norm"]
        assert [float(row["threshold"]) for row in rows[1:]] == pytest.approx([10**0.5])
        assert [row["folds"] for row in rows] == ["2"] * 2
        assert list((place / f"lr-{rate}").glob("*.html"))
    done = {path: path.stat().st_mtime_ns for path in place.glob("lr-*/trainings/*/config.yaml")}
    assert len(done) == 8
    lines = [line.split(" | ") for line in (place / "tuning.md").read_text().splitlines() if line.startswith("| 0.00")]
    assert [(cells[1], cells[2]) for cells in lines if cells[1] == "none"] == [("none", "0%")] * 2
    assert [cells[2] for cells in lines if cells[1] == "global_norm=3.162"] == ["100%"] * 2
    assert main(["tune", "perception", "--resume", str(place), *quiet]) == 0
    assert {path: path.stat().st_mtime_ns for path in place.glob("lr-*/trainings/*/config.yaml")} == done


def test_clipped_and_unclipped_are_compared_fold_by_fold() -> None:
    def attempt(number: int, threshold: float | None, values: list[float]) -> Attempt:
        strategy = "none" if threshold is None else "global_norm"
        return Attempt(number, strategy, threshold, {}, dict(enumerate(values)), "complete")

    bare = attempt(0, None, [0.10, 0.20, 0.30])
    # folds differ by far more than arms: 0.01, 0.02, 0.03 more; Student's t of 2 degrees at 97.5% is 4.3027
    more = attempt(1, 1.0, [0.11, 0.22, 0.33])
    mean, low, high = difference(more, bare)
    assert mean == pytest.approx(0.02)
    assert (high - low) / 2 == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    steady, worse = attempt(2, 5.0, [0.12, 0.22, 0.32]), attempt(3, 50.0, [0.05, 0.15, 0.25])
    said = sentence({0.01: Search([bare, more, steady, worse], True)}, "map50")
    assert "1 had a better and 1 a worse map50" in said
    assert "Better: global_norm=5 at 0.01. Worse: global_norm=50 at 0.01." in said
    lost = attempt(1, 1.0, [0.1, float("nan"), 0.3])
    assert "0 had a better and 0 a worse" in sentence({0.01: Search([bare, lost], True)}, "map50")
    assert "diverged: 1 of 3 at 0.01" in sentence({0.01: Search([lost, bare], True)}, "map50")
