"""Perturbations, glitches in training, and where a divergence began."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from clipping import ClipConfig
from control.divergence import find_origin
from control.env import Glitches, make_env
from control.evaluate import evaluate, load_learned
from control.robustness import SEVERITIES, Perturbed, Sensitivity, robustness
from throttle.runs import latest_checkpoint

sys.path.insert(0, str(Path(__file__).parent))
from control_helpers import after, run_training, small

BOX = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
QUIET = np.zeros(3, np.bool_)


class Echo:
    """A policy whose action is the first two numbers that it sees."""

    def act(self, obs: Any, starts: Any) -> Any:
        """As it says."""
        return obs[:, :2].astype(np.float32)


def test_each_perturbation_does_what_it_says() -> None:
    obs = np.tile(np.linspace(-0.5, 0.5, 4, dtype=np.float32), (3, 1))
    plain = Echo().act(obs, QUIET)
    for kind in SEVERITIES:
        assert np.array_equal(Perturbed(Echo(), kind, 0, BOX).act(obs, QUIET), plain)
    gain = Perturbed(Echo(), "actuator_gain", 3, BOX).act(obs, QUIET)
    assert gain == pytest.approx(0.6 * plain)
    late = Perturbed(Echo(), "action_delay", 2, BOX)  # two steps
    given = [late.act(obs + n, QUIET)[0, 0] for n in range(4)]
    assert given == pytest.approx([0, 0, plain[0, 0], plain[0, 0] + 1])
    starts = np.array([True, False, False])
    after_reset = late.act(obs + 4, starts)
    assert after_reset[0, 0] == 0, "an action of the episode before does not reach the new one"
    assert after_reset[1, 0] == pytest.approx(plain[1, 0] + 2)
    for kind, amount in (("sensor_noise", 0.4), ("disturbance", 0.8)):
        many = np.zeros((4000, 4), np.float32)
        acted = Perturbed(Echo(), kind, 5, gymnasium.spaces.Box(-9, 9, (2,))).act(many, np.zeros(4000, np.bool_))
        assert acted.std() == pytest.approx(amount, rel=0.05)
    twice = [Perturbed(Echo(), "disturbance", 2, BOX, seed=1).act(obs, QUIET) for _ in range(2)]
    assert np.array_equal(*twice)
    random = Perturbed(Echo(), "disturbance", 5, gymnasium.spaces.Discrete(2))
    random.policy = type("One", (), {"act": lambda self, o, s: np.ones(len(o), np.int64)})()
    assert 0.3 < random.act(np.zeros((4000, 4)), np.zeros(4000, np.bool_)).mean() < 0.7


def test_curves_begin_with_the_unperturbed_score(tmp_path: Path) -> None:
    config = small("ppo")
    run_training(tmp_path / "run", config)
    checkpoint = latest_checkpoint(tmp_path / "run")
    assert checkpoint
    policy, _ = load_learned(checkpoint, config)
    found = robustness(policy, config.env, ["sensor_noise", "action_delay"], "return", episodes=6)
    plain = evaluate("plain", policy, config.env, 6).figures()["return"]
    assert [len(c) for c in found["curves"].values()] == [6, 6]
    assert {c[0] for c in found["curves"].values()} == {plain}
    values = found["curves"]["action_delay"]
    assert found["area"]["action_delay"] == pytest.approx(sum(values) / 5 - (values[0] + values[-1]) / 10)


def test_sensitivity_is_that_of_a_linear_policy() -> None:
    class Linear:
        def act(self, obs: Any, starts: Any) -> Any:
            return 3.0 * obs

        look = act

    measured = Sensitivity(Linear())  # type: ignore[arg-type]
    measured.act(np.zeros((50, 4)), np.zeros(50, np.bool_))
    assert measured.mean == pytest.approx(3.0)


def test_glitches_reach_the_training_alone_and_resume(tmp_path: Path) -> None:
    config = small("ppo", checkpoint_every=150)
    env = Glitches(make_env(dataclasses.replace(config.env, worlds=200), 0), 0.1, seed=5)
    clean = make_env(dataclasses.replace(config.env, worlds=200), 0)
    seen, real = np.asarray(env.reset()), np.asarray(clean.reset())
    hit = (seen != real).any(1)
    assert 5 < hit.sum() < 40
    assert seen[hit] == pytest.approx(50 * real[hit])
    config.env.glitches = 0.2
    whole = run_training(tmp_path / "whole", config)
    run_training(tmp_path / "parts", config, stop=after(6))
    assert run_training(tmp_path / "parts", config, resume=True).final_weights == whole.final_weights
    plain = run_training(tmp_path / "plain", small("ppo", checkpoint_every=150))
    assert plain.initial_weights == whole.initial_weights
    assert plain.final_weights != whole.final_weights


@pytest.mark.parametrize("nonfinite", ["ignore", "skip"])
def test_the_origin_of_a_divergence_is_found_again(nonfinite: str, tmp_path: Path) -> None:
    config = small("ppo", total_steps=20_000)
    config.ppo.vf_coef = 1e38  # only the value's side of the loss overflows
    config.clip = ClipConfig(subsystem="control", strategy="none", nonfinite=nonfinite)  # type: ignore[arg-type]
    result = run_training(tmp_path / "run", config)
    assert result.state == "diverged"
    origin = find_origin(config, latest_checkpoint(tmp_path / "run"))
    assert origin is not None
    assert 0 < origin.step <= result.step
    assert origin.update >= 1
    assert origin.layers
    assert all("value" in name for name in origin.layers) or len(origin.layers) == origin.of
    assert str(origin).startswith(f"step {origin.step:,}: ")
    assert find_origin(small("ppo", total_steps=200), None) is None, "a training that stays finite has none"
