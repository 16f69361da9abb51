"""The search for a control threshold, for real and small."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from throttle.cli import main, make_parser
from throttle.compare.arms import parse_arms
from throttle.report.thresholds import words
from throttle.runs import find_run, read_status
from throttle.tuning import Attempt, Search, read


def test_a_search_trains_drives_reports_and_says_how_to_confirm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "tune", "control", "--config", "configs/control/cartpole_ppo.yaml", "--control.total_steps", "512",
        "--control.ppo.n_epochs", "2", "--trials", "3", "--seeds", "[0,1]", "--jobs", "1", "--episodes", "4",
        "--runs", str(tmp_path), "--tracking.wandb", "disabled", "--tracking.tensorboard", "false",
    ]  # fmt: skip
    assert main(options) == 0
    said = capsys.readouterr().out
    place = find_run(tmp_path, "last", "tuning")
    found = read(place)
    assert len(found.attempts) == 4
    assert found.baseline.folds.keys() == {0, 1}
    assert {read_status(p.parent).state for p in place.glob("*/status.json")} == {"finished"}
    trained = len(list(place.glob("*-seed*")))
    assert trained == sum(len(a.folds) for a in found.attempts)
    page = (place / "tuning.html").read_text()
    assert "<svg" in page
    assert found.best.name in page
    following = re.search(r"throttle (compare control .*)", said)
    assert following, "the command that confirms it"
    parser, module = make_parser("compare control")
    confirm = parser.instantiate(parser.parse_args(module.rewrite(shlex.split(following[1])[2:])))
    assert [a.clip.strategy for a in parse_arms(confirm.arms)] == ["none", found.best.strategy]
    assert confirm.seeds == [2, 3, 4, 5, 6], "fresh ones"
    assert (confirm.control.env.id, confirm.control.total_steps) == ("CartPole-v1", 512), "the same training"
    assert main([*options[:2], "--resume", "last", *options[-6:]]) == 0
    assert len(list(place.glob("*-seed*"))) == trained, "nothing is trained again"


def test_words_promise_no_more_than_was_found() -> None:
    def attempt(n: int, threshold: float | None, values: list[float]) -> Attempt:
        strategy = "none" if threshold is None else "global_norm"
        return Attempt(n, strategy, threshold, {}, dict(enumerate(values)), "complete")

    bare = attempt(0, None, [10.0, 11.0, 12.0])
    assert "No threshold was better" in words(Search([bare, attempt(1, 1.0, [1.0, 2.0, 3.0])], True), "points")
    assert "within the noise" in words(Search([bare, attempt(1, 1.0, [10.5, 11.5, 12.5])], True), "points")
    assert "flattered by chance" in words(Search([bare, attempt(1, 1.0, [30.0, 31.0, 32.0])], True), "points")
    lost = words(Search([attempt(0, None, [float("nan")] * 3), attempt(1, 1.0, [1.0, 2.0, 3.0])], True), "points")
    assert "3 of 3 unclipped trainings diverged" in lost
