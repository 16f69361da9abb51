"""The experiments: theory met exactly, every experiment runs, the same seed gives the same numbers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from throttle import experiments
from throttle.cli import main
from throttle.experiments.base import Results
from throttle.experiments.bias import Bias, expected
from throttle.experiments.direction import Direction
from throttle.experiments.loss_scale import LossScale
from throttle.experiments.smooth import iterations

TINY: dict[str, dict[str, Any]] = {
    "recurrent": {"rates": (0.1,), "clips": ("none", "tau=1"), "steps": 12, "length": 6, "batch": 8},
    "bicycle": {"rates": (1e-3,), "clips": ("none", "tau=1"), "steps": 4, "horizon": 5, "batch": 4},
    "glitches": {"steps": 20},
    "optimizers": {"steps": 10},
    "thresholds": {"steps": 10, "fixed": (0.1, 1.0)},
    "loss-scale": {"steps": 5, "clips": ("none", "tau=0.1", "quantile"), "exponents": (-3, 3)},
    "smooth": {"starts": (2.0, 4.0)},
    "bias": {"taus": (1.0,), "rates": (0.02,), "epochs": 40},
    "vanishing": {"depth": 3, "steps": 5, "rates": (0.03,)},
    "direction": {},
    "cost": {"rounds": 2},
    "cartpole": {"settings": (("adam", 1e-3),), "timesteps": 1024},
}


def test_smooth_descent_needs_the_iterations_of_theory() -> None:
    assert [iterations(start, clipped=True) for start in (10.0, 20.0, 40.0, 80.0)] == [308, 408, 608, 1008]
    assert iterations(10.0, clipped=False) == 1748
    assert iterations(20.0, clipped=False) == 7010


@pytest.mark.slow
def test_smooth_descent_without_clipping_from_far_away() -> None:
    assert [iterations(start, clipped=False) for start in (40.0, 80.0)] == [28062, 112272]


@pytest.mark.parametrize("tau", [0.5, 2.0, 3.0])
def test_clipped_sgd_stalls_where_theory_says_and_uclip_does_not(tau: float) -> None:
    bias = Bias(taus=(tau,), rates=(0.005,), epochs=1500)
    stall = bias.trial(f"global_norm tau={tau:g}, lr 0.005", 0)["stall"]
    assert stall == pytest.approx(expected(tau), abs=0.01)
    assert bias.trial(f"uclip tau={tau:g}, lr 0.005", 0)["stall"] == pytest.approx(0.0, abs=0.005)


def test_automatic_thresholds_do_not_depend_on_the_units_of_the_loss() -> None:
    scale = LossScale(steps=60)
    assert scale.trial("none", 0)["identical"] == 1
    assert scale.trial("quantile", 0)["identical"] == 1
    assert scale.trial("autoclip", 0)["identical"] == 1
    assert scale.trial("tau=0.1", 0)["difference"] > 1e-4


def test_norm_clips_keep_the_direction_and_others_turn_it() -> None:
    direction = Direction()
    for kind in ("global_norm", "inf_norm", "soft"):
        trial = direction.trial(kind, 0)
        assert trial["angle"] < 1e-6
        assert trial["length"] == pytest.approx(0.5)
    assert direction.trial("value", 0)["angle"] > 5
    assert direction.trial("per_tensor_norm", 0)["angle"] > 1
    value, pruning = direction.trial("value", 0), direction.trial("pruning", 0)
    assert pruning["zeroed"] > 0.5 > value["zeroed"]
    assert value["kept_size"] < value["changed_size"]
    assert pruning["kept_size"] > pruning["changed_size"]


def test_every_experiment_is_covered_here() -> None:
    assert set(TINY) == set(experiments.NAMES)


@pytest.mark.parametrize("name", experiments.NAMES)
def test_every_experiment_runs_and_repeats(name: str) -> None:
    experiment = dataclasses.replace(experiments.load(name), **TINY[name])  # type: ignore[type-var]
    assert experiment.name == name
    trials = {(arm, seed): experiment.trial(arm, seed) for arm in experiment.arms for seed in range(2)}
    if not experiment.timed:
        arm = experiment.arms[-1]
        assert json.dumps(experiment.trial(arm, 1)) == json.dumps(trials[arm, 1])
    results = Results(trials)
    for arm in experiment.arms:
        for column in experiment.columns:
            assert results.median(arm, column).count == 2
    text = experiment.sentence(results)
    assert text.endswith(".")
    assert not {"nan", "None"} & set(text.replace(",", " ").split())
    figure = Figure()
    experiment.plot(results, figure)
    assert figure.axes[0].has_data()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Old\n\n## bias\n\nfound before\n\n## direction\n\nstale words\n")
    assert main(["experiments", "--list"]) == 0
    assert "recurrent" in capsys.readouterr().out
    assert main(["experiments", "direction", "--out", str(tmp_path), "--seeds", "2", "--page", str(page)]) == 0
    text = page.read_text()
    assert "| global_norm |" in text
    assert text.count("## bias\n\nfound before\n") == 1, "what has no new results stays"
    assert text.count("## direction") == 1
    assert "stale words" not in text.split("## direction")[1]
    assert (tmp_path / "page" / "direction.png").stat().st_size > 1000
    told = capsys.readouterr().out
    assert "Halving the norm" in told
    body = json.loads((tmp_path / "direction" / "results.json").read_text())
    assert body["command"] == "throttle experiments direction --seeds 2"
    assert body["seeds"] == [0, 1]
    assert main(["experiments", "recurent"]) == 2
    assert "did you mean 'recurrent'" in capsys.readouterr().err
    assert main(["experiments", "direction", "--seeds", "0"]) == 2
