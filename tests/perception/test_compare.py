"""Detectors compared: paired, the same in equal arms, scored by the held-out map50, resumed without repeating."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import config, plain

from contracts import UserError
from throttle.compare.collect import collect
from throttle.compare.comparison import Comparison
from throttle.compare.supervised import PerceptionComparison, plan
from throttle.compare.worker import work
from throttle.report.build import build
from throttle.runs import Run
from throttle.tracking import TrackingConfig

QUIET = TrackingConfig(wandb="disabled", tensorboard=False)


def test_equal_arms_are_identical_and_scored_by_the_held_out_map50(data: Path, tmp_path: Path) -> None:
    training = plain(config(data, steps=4, validate_every=2))
    arms = "none,global_norm=0.5,same:global_norm=0.5"
    made = PerceptionComparison(arms=arms, seeds=[4], learning_rates=[0.001], perception=training)
    place = tmp_path / "run"
    comparison = Comparison(made, Run.create_at(place, "comparison", made), QUIET)
    comparison.warm_up(lambda what, done, total: None)
    for job in comparison.left():
        work(job, lambda step, total, figures: None, lambda: False)
    over = {path: path.stat().st_mtime_ns for path in place.glob("*/done.json")}
    assert len(over) == 3
    comparison.run.finish("stopped")
    again = Comparison(made, Run.resume(place), QUIET)
    assert again.left() == []
    assert {path: path.stat().st_mtime_ns for path in over} == over
    none, clipped, same = collect(place).rows
    assert len({r.initial_weights for r in (none, clipped, same)}) == 1
    assert clipped.final_weights == same.final_weights != none.final_weights
    assert (none.metric, none.learning_rate) == ("map50", 0.001)
    assert none.score == none.figures["map50"]
    assert none.clipped == 0.0 < clipped.clipped
    assert none.norm_median > 0
    assert "map50, a dot a seed" in build([collect(place)], tmp_path / "report").files["report"].read_text()


def test_what_cannot_be_paired_is_refused(data: Path) -> None:
    training = config(data)
    timed = replace(training, train=replace(training.train, minutes=1.0))
    with pytest.raises(UserError, match="the clock"):
        plan(PerceptionComparison(perception=timed))
