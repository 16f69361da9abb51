"""The torch twin against the world's dynamics, its gradients, and the training through it."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import torch

from clipping import ClipConfig
from clipping.testing import audit
from contracts import UserError
from control import backprop, twin
from control.backprop import BackpropConfig
from sim.world.dynamics import advance, turn_wheel
from sim.world.presets import BodyType
from throttle.runs import Run
from throttle.tracking import Tracker

sys.path.insert(0, str(Path(__file__).parent))
from control_helpers import QUIET, Silent, after


@numba.njit(error_model="numpy")
def original(rows: Any, body: Any, dt: Any, out: Any) -> None:
    """rows [N, 7]: speed, side, yaw rate, wheel, throttle, brake, steer -> out [N, 4]: wheel, speed, side, yaw rate."""
    mass, inertia, base, mu, power, force, stop, drag, roll, top, most, rate = body
    for n in range(len(rows)):
        speed, side, turn, wheel, throttle, brake, steer = rows[n]
        out[n, 0] = turn_wheel(wheel, steer, speed, most, rate, dt)
        out[n, 1], out[n, 2], out[n, 3] = advance(
            speed, side, turn, out[n, 0], throttle, brake, False, False, np.float32(0), mass, inertia, base, mu, power,
            force, stop, drag, roll, top, dt,
        )  # fmt: skip


@pytest.mark.parametrize("kind", [BodyType.CAR, BodyType.BUS])
def test_the_twin_moves_as_the_world_does(kind: BodyType) -> None:
    body, dt, count = twin.Body.of(kind), 0.05, 4000
    rng = np.random.default_rng(1)
    rows = np.stack(
        [
            rng.choice([0.0, 1.0, 3.0, 8.0, 25.0], count) * rng.uniform(0.9, 1.1, count), rng.normal(0, 1.5, count),
            rng.normal(0, 0.6, count), rng.uniform(-0.6, 0.6, count) * rng.choice([0.05, 1.0], count),
            rng.choice([0.0, 0.3, 1.0], count), rng.choice([0.0, 0.5, 1.0], count), rng.uniform(-1, 1, count),
        ],
        1,
    ).astype(np.float32)  # fmt: skip
    out = np.zeros((count, 4), np.float32)
    original(rows, tuple(np.float32(v) for v in dataclasses.astuple(body)), np.float32(dt), out)
    speed, side, turn, wheel, throttle, brake, steer = torch.from_numpy(rows).T
    new_wheel = twin.turn_wheel(wheel, steer, speed, body, dt)
    moved = twin.advance(speed, side, turn, new_wheel, throttle, brake, body, dt)
    mine = torch.stack([new_wheel, *moved], 1).numpy()
    close = np.isclose(mine, out, rtol=2e-4, atol=2e-4).all(1)
    assert close.mean() > 0.999  # a comparison that falls on the edge of a branch may go either way
    sliding = np.abs(out[:, 2]) > 1.0
    assert 0.02 < sliding.mean() < 0.9
    assert (out[:, 1] == 0.0).any()
    assert (out[:, 1] > 20).any()


def test_gradients_are_those_of_finite_differences_and_never_nan() -> None:
    body, count = twin.Body.of(), 200
    rng = torch.Generator().manual_seed(0)
    for name in ("speed", "wheel", "throttle", "brake"):
        values = {
            "speed": 30 * torch.rand(count, generator=rng, dtype=torch.float64),
            "wheel": 0.1 * torch.randn(count, generator=rng, dtype=torch.float64),
            "throttle": 0.05 + 0.9 * torch.rand(count, generator=rng, dtype=torch.float64),
            "brake": 0.05 + 0.9 * torch.rand(count, generator=rng, dtype=torch.float64),
        }

        def total(**changed: torch.Tensor) -> torch.Tensor:
            v = {**values, **changed}  # noqa: B023 - called in this round of the loop only
            zero = torch.zeros(count, dtype=torch.float64)
            out = twin.advance(v["speed"], zero, zero, v["wheel"], v["throttle"], v["brake"], body, 0.05)
            return out[0] + 2 * out[1] + 3 * out[2]

        x = values[name].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(total(**{name: x}).sum(), x)
        assert torch.isfinite(gradient).all()
        h = 1e-6
        numeric = (total(**{name: values[name] + h}) - total(**{name: values[name] - h})) / (2 * h)
        assert torch.isclose(gradient, numeric, rtol=1e-3, atol=1e-4).double().mean() > 0.97  # kinks: clamps
    state = twin.Motion.standing(3)  # at rest everything divides by a speed of zero
    act = torch.zeros(3, requires_grad=True)
    for _ in range(3):
        state = twin.step(state, act + 0.5, act, act, body, 0.1)
    state.x.sum().backward()
    assert act.grad is not None
    assert torch.isfinite(act.grad).all()


def training(folder: Path, config: BackpropConfig, **options: Any) -> Any:
    run = Run.resume(folder) if options.get("resume") else Run.create_at(folder, "control", config, config.updates)
    tracker = Tracker(run, QUIET, "control", config)
    result = backprop.train(config, run, tracker, Silent(), **options)
    tracker.close()
    run.finish(result.state, result.message, result.step)
    return result


SMALL = BackpropConfig(updates=40, horizon=20, batch=8, hidden=[16], checkpoint_every=15)


def test_the_training_clips_learns_and_resumes_to_the_last_bit(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, clip=ClipConfig(subsystem="control", threshold=0.5))
    with audit(0.5):
        whole = training(tmp_path / "whole", config)
    assert whole.state == "finished"
    before, behind = (backprop.evaluate(config, c, 32, steps=40)["figures"]["return"] for c in (None, whole.checkpoint))
    assert behind > before
    first = training(tmp_path / "parts", config, stop=after(22))
    assert (first.state, first.step) == ("stopped", 22)
    second = training(tmp_path / "parts", config, resume=True)
    assert (second.initial_weights, second.final_weights) == (whole.initial_weights, whole.final_weights)
    one, other = ((tmp_path / n / "clip_control.csv").read_text() for n in ("whole", "parts"))
    assert one == other


def test_divergence_names_where_it_began(tmp_path: Path) -> None:
    clip = ClipConfig(subsystem="control", strategy="none", nonfinite="ignore")
    config = dataclasses.replace(SMALL, clip=clip)
    config.learning_rate = 1e38  # the command line would refuse this
    result = training(tmp_path / "run", config)
    assert result.state == "diverged"
    assert result.message.startswith("step ")
    assert any(word in result.message for word in ("weight", "bias", "cost"))


def test_nonsense_is_refused() -> None:
    with pytest.raises(UserError, match=r"backprop\.horizon"):
        BackpropConfig(horizon=0)
