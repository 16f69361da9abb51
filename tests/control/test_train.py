"""Real trainings: what the optimisers were given, equal arms, resuming, divergence."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3 import PPO

from clipping import ClipConfig
from clipping.testing import assert_clips, audit, scaled_losses
from control.clock import Clock
from control.config import ControlConfig, EnvConfig, PPOConfig
from throttle.runs import read_status

sys.path.insert(0, str(Path(__file__).parent))
from control_helpers import after, run_training, small

ALGORITHMS = ("ppo", "a2c", "recurrent_ppo", "sac", "td3", "tqc")


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_optimiser_step_keeps_to_the_threshold(algorithm: str, tmp_path: Path) -> None:
    config = small(algorithm, threshold=0.003, total_steps=400)
    with audit(0.003):  # fails too where an optimiser never reaches it, so that one that is not clipped cannot hide
        result = run_training(tmp_path / "run", config)
    assert result.state == "finished"
    several = [] if algorithm in ("ppo", "a2c", "recurrent_ppo") else ["actor", "critic"]
    several += ["ent_coef"] if algorithm in ("sac", "tqc") else []
    names = {f"clip_control_{name}.csv" for name in several} or {"clip_control.csv"}
    assert {path.name for path in (tmp_path / "run").glob("clip*.csv")} == names
    for name in names:
        written = rows(tmp_path / "run" / name)
        assert len(written) >= 6
        assert all(float(row["norm_after"]) <= 0.003 * (1 + 1e-5) for row in written)
    assert result.initial_weights != result.final_weights


def test_one_step_of_sgd_moves_by_the_rate_times_the_threshold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PPO with plain SGD in Adam's place, which would hide the length of a gradient."""
    build, runs = PPO.__init__, itertools.count()

    def with_sgd(self: PPO, *args: Any, policy_kwargs: dict[str, Any], **options: Any) -> None:
        policy_kwargs |= {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {}}
        build(self, *args, policy_kwargs=policy_kwargs, **options)

    monkeypatch.setattr(PPO, "__init__", with_sgd)

    def loop(threshold: float, loss_scale: float) -> None:
        with scaled_losses(loss_scale):
            run_training(tmp_path / str(next(runs)), small("ppo", threshold=threshold, total_steps=64))

    assert_clips(loop, 0.05)


def test_equal_arms_are_identical_and_infinity_is_no_clip(tmp_path: Path) -> None:
    base = small("ppo")
    arms = {
        "first": base,
        "second": base,
        "infinite": dataclasses.replace(base, clip=ClipConfig(subsystem="control", threshold=float("inf"))),
        "none": dataclasses.replace(base, clip=ClipConfig(subsystem="control", strategy="none")),
    }
    done = {name: run_training(tmp_path / name, config) for name, config in arms.items()}
    assert len({d.initial_weights for d in done.values()}) == 1
    assert done["first"].final_weights == done["second"].final_weights
    assert done["infinite"].final_weights == done["none"].final_weights
    assert done["first"].final_weights != done["none"].final_weights
    assert rows(tmp_path / "first" / "clip_control.csv") == rows(tmp_path / "second" / "clip_control.csv")


@pytest.mark.parametrize(
    ("algorithm", "stops_at"),  # between rollouts; SAC's while it still acts at random, TD3's and TQC's after
    [("ppo", 6), ("a2c", 4), ("recurrent_ppo", 6), ("sac", 6), ("td3", 60), ("tqc", 60)],
)
def test_resumed_is_the_uninterrupted_run(algorithm: str, stops_at: int, tmp_path: Path) -> None:
    config = small(algorithm, checkpoint_every=150)
    config.clip = ClipConfig(subsystem="control", strategy="zclip")  # a clipper with a memory
    whole = run_training(tmp_path / "whole", config)
    first = run_training(tmp_path / "parts", config, stop=after(stops_at))
    assert first.state == "stopped"
    assert 0 < first.step < whole.step
    second = run_training(tmp_path / "parts", config, resume=True)
    assert (second.state, second.step) == ("finished", whole.step)
    assert second.initial_weights == whole.initial_weights
    assert second.final_weights == whole.final_weights
    for path in (tmp_path / "whole").glob("clip*.csv"):
        parts, full = ([{**row, "timestep": ""} for row in rows(tmp_path / n / path.name)] for n in ("parts", "whole"))
        assert parts == full, "telemetry has every update once"


def test_a_resumed_training_counts_its_time_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small("ppo", checkpoint_every=150)
    with monkeypatch.context() as slow:
        slow.setattr(Clock, "read", lambda self: {"seconds": 1e3, "cpu_seconds": 1e3, "clip_seconds": 1e3})
        run_training(tmp_path, config, stop=after(6))
    second = run_training(tmp_path, config, resume=True)
    assert min(second.seconds, second.cpu_seconds, second.clip_seconds) > 1e3


def test_resumed_is_the_uninterrupted_run_with_normalisation(tmp_path: Path) -> None:
    config = small("sac")
    config.env.normalize = True
    whole = run_training(tmp_path / "whole", config)
    run_training(tmp_path / "parts", config, stop=after(60))
    assert run_training(tmp_path / "parts", config, resume=True).final_weights == whole.final_weights


@pytest.mark.parametrize("task", ["Urban", "SpeedControl", "EmergencyBrake", "TrackPlan", "LaneFollow"])
def test_resumed_is_the_uninterrupted_run_in_our_own_worlds(task: str, tmp_path: Path) -> None:
    config = ControlConfig(
        total_steps=1600,
        env=EnvConfig(id=f"throttle/{task}-v0", worlds=8),
        ppo=PPOConfig(n_steps=25, batch_size=100, n_epochs=2),
        clip=ClipConfig(subsystem="control", threshold=0.5),
    )
    whole = run_training(tmp_path / "whole", config)
    first = run_training(tmp_path / "parts", config, stop=after(5))
    assert (first.state, first.step) == ("stopped", 800)
    assert run_training(tmp_path / "parts", config, resume=True).final_weights == whole.final_weights


@pytest.mark.parametrize("nonfinite", ["ignore", "skip"])
def test_divergence_is_recorded_and_ends_cleanly(nonfinite: str, tmp_path: Path) -> None:
    config = small("ppo", total_steps=20_000)
    config.ppo.vf_coef = 1e38  # the loss overflows; the command line would refuse this
    config.clip = ClipConfig(subsystem="control", strategy="none", nonfinite=nonfinite)  # type: ignore[arg-type]
    result = run_training(tmp_path / "run", config)
    status = read_status(tmp_path / "run")
    assert (result.state, status.state) == ("diverged", "diverged")
    assert "finite" in status.message
    assert result.step < 20_000
    assert any(int(row["nonfinite"]) for row in rows(tmp_path / "run" / "clip_control.csv"))
