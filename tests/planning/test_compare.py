"""Planners compared: paired, the same in equal arms, scored on held-out routes."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipping import ClipConfig
from contracts import UserError
from planning.config import NetConfig, PlanningConfig
from throttle.compare.collect import collect
from throttle.compare.comparison import Comparison
from throttle.compare.curves import curves
from throttle.compare.supervised import PlanningComparison, before, plan
from throttle.compare.worker import work
from throttle.report.build import build
from throttle.runs import Run
from throttle.tracking import TrackingConfig
from training import TrainConfig


def small(dataset: Path) -> PlanningConfig:
    loop = TrainConfig(steps=8, batch=16, threads=1, warmup=2, log_every=2, validate_every=4, checkpoint_every=4)
    net = NetConfig(dim=32, layers=1, heads=2, objects=8)
    clip = ClipConfig(subsystem="planning", threshold=2.0)
    return PlanningConfig(dataset=str(dataset), train=loop, net=net, validation_rows=40, standing=1.0, clip=clip)


def test_equal_arms_are_identical_and_the_report_names_the_held_out_loss(dataset: Path, tmp_path: Path) -> None:
    made = PlanningComparison(arms="none,global_norm=0.5,same:global_norm=0.5", seeds=[4], planning=small(dataset))
    tracking = TrackingConfig(wandb="disabled", tensorboard=False)
    comparison = Comparison(made, Run.create_at(tmp_path / "run", "comparison", made), tracking)
    comparison.warm_up(lambda what, done, total: None)
    for job in comparison.left():
        work(job, lambda step, total, figures: None, lambda: False)
    assert not comparison.left()
    comparison.references()
    assert comparison.videos() == []
    found = collect(tmp_path / "run")
    none, clipped, same = found.rows
    assert len({r.initial_weights for r in found.rows}) == 1
    assert clipped.final_weights == same.final_weights != none.final_weights
    assert clipped.score == same.score == -clipped.figures["loss"]
    assert none.metric == "minus held-out loss"
    assert none.clipped == 0.0 < clipped.clipped
    made_curves = curves(found, found.settings[0])
    assert made_curves is not None
    assert made_curves.measured == "validation/loss"
    built = build([found], tmp_path / "report")
    assert "minus held-out loss" in built.files["report"].read_text()
    assert before(small(dataset), tmp_path / "run" / none.name) < 0


def test_what_cannot_be_paired_is_refused(dataset: Path, tmp_path: Path) -> None:
    config = small(dataset)
    config.train.minutes = 1.0
    with pytest.raises(UserError, match="the clock"):
        plan(PlanningComparison(planning=config))
    missing = PlanningComparison(seeds=[0], planning=small(tmp_path / "nowhere"))
    place = Comparison(missing, Run.create_at(tmp_path / "run", "comparison", missing), TrackingConfig())
    with pytest.raises(UserError, match="nowhere"):
        place.warm_up(lambda what, done, total: None)
