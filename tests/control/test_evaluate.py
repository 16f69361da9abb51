"""Evaluation: the same episodes for every policy, none shared with training, and what a report becomes."""

from __future__ import annotations

import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from control.config import EnvConfig
from control.evaluate import HELD_OUT_SEED, Constant, best_constant, evaluate, load_learned, to_route, untrained
from control.video import write
from sim.metrics import route_score

sys.path.insert(0, str(Path(__file__).parent))
from control_helpers import run_training, small

URBAN = EnvConfig(id="throttle/Urban-v0", worlds=4)
ROLL = Constant(np.array([0.3, 0.0], np.float32))


def test_same_policy_same_episodes_same_result() -> None:
    one, two = (evaluate("roll", ROLL, URBAN, episodes=6) for _ in range(2))
    assert one.as_dict() == two.as_dict()
    assert [e.seed for e in one.episodes] == [HELD_OUT_SEED + i for i in range(6)]
    assert len({e.reward for e in one.episodes}) > 1, "the routes differ"
    other = evaluate("roll", ROLL, URBAN, episodes=6, town="Gridley")
    assert other.episodes[0].town == "Gridley"
    assert other.as_dict()["episodes"] != one.as_dict()["episodes"]
    figures = one.figures()
    assert 0 < figures["completion"] < 100
    assert figures["driving_score/carla-lb-2.0"] <= figures["completion"]


def test_report_becomes_route() -> None:
    report = {
        "completion": 0.5, "hit_walker": 0, "hit_vehicle": 1, "hit_static": 0, "red_light": 1, "stop_sign": 2,
        "outside_distance": 10.0, "distance": 100.0, "speed_checks": 2, "speed_share": 1.5, "completed": 0,
        "scenario_timeout": 1, "yield_emergency": 2,
    }  # fmt: skip
    route = to_route(report)
    assert (route.vehicle, route.red_light, route.stop_sign, list(route.speeds)) == (1, 1, 2, [0.75, 0.75])
    assert (route.scenario_timeout, route.yield_emergency) == (1, 2)
    expected = 50 * 0.6 * 0.7 * 0.8**2 * 0.7**3 * 0.9 * (1 - 0.3 * 0.25) ** 2
    assert route_score(route, "carla-lb-2.0") == pytest.approx(expected)
    there = to_route({**report, "completion": 0.993, "completed": 1})
    assert (there.completion, there.finished) == (1.0, True), "a target reached is the whole route"


def test_trained_cartpole_beats_constant_and_films(tmp_path: Path) -> None:
    config = small("ppo", total_steps=8000, threshold=5.0)
    config.ppo.learning_rate = config.ppo.final_learning_rate = 2e-3
    config.ppo.n_epochs = 8
    result = run_training(tmp_path / "run", config)
    assert result.checkpoint is not None
    policy, prepare = load_learned(result.checkpoint, config)
    trained = evaluate("trained", policy, config.env, episodes=5, prepare=prepare)
    constant = best_constant(config.env, episodes=5)
    assert trained.figures()["return"] > 3 * constant.figures()["return"]
    films = {"trained": (policy, prepare), "untrained": (untrained(config), prepare)}
    write(tmp_path / "film.mp4", films, config.env, seconds=0.3)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))
    assert frames > 5
    assert seconds > 0.1
