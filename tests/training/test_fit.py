"""The shared training loop: exact resume, clipping at every step, ranks that agree, honest ends."""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

sys.path.insert(0, str(Path(__file__).parent))
from toy import Net, Points, config, train

import training
from clipping import ClipConfig
from clipping.config import StrategyConfig
from clipping.testing import audit
from contracts import UserError
from throttle.runs import list_checkpoints
from training.data import draws
from training.loop import precision_of
from training.optim import lr_share


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def metrics(path: Path) -> list[tuple[str, ...]]:
    return [tuple(r.values()) for r in rows(path / "metrics.csv") if not r["name"].startswith("time/")]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
def test_every_optimiser_learns_and_keeps_to_the_threshold(optimizer: str, tmp_path: Path) -> None:
    with audit(0.5):  # fails too where no step reaches it
        result, net = train(tmp_path / "run", optimizer=optimizer, steps=60, lr=0.4 if optimizer == "sgd" else 0.05)
    assert result.state == "finished"
    assert result.step == 60
    first = next(r for r in rows(tmp_path / "run" / "metrics.csv") if r["name"] == "train/loss")
    assert result.best["error"] < 0.5 * float(first["value"])
    assert result.last["samples"] == 11
    telemetry = rows(tmp_path / "run" / "clip_toy.csv")
    assert [int(r["step"]) for r in telemetry] == list(range(1, 61))
    assert result.final_weights == training.weights_hash(net)
    best = training.load_weights(tmp_path / "run" / "best.pt")
    assert set(best) == set(net.state_dict())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_stopped_run_goes_on_to_the_last_bit(accumulate: int, tmp_path: Path) -> None:
    options: dict[str, Any] = {"accumulate": accumulate, "optimizer": "adam", "ema": 0.9}
    clip = ClipConfig("zclip", subsystem="toy", warmup=3)
    whole, _ = train(tmp_path / "whole", clip=clip, **options)
    asked = iter([False] * 6 + [True])
    part, _ = train(tmp_path / "part", clip=clip, stop=lambda: next(asked), **options)
    assert (part.state, part.step) == ("stopped", 7)
    rest, _ = train(tmp_path / "part", clip=clip, resume=True, **options)
    assert (rest.state, rest.step) == ("finished", 12)
    assert rest.final_weights == whole.final_weights != part.final_weights
    assert rest.initial_weights == whole.initial_weights
    assert rows(tmp_path / "part" / "clip_toy.csv") == rows(tmp_path / "whole" / "clip_toy.csv")
    averaged = [training.load_weights(tmp_path / name / "best.pt") for name in ("part", "whole")]
    assert all(torch.equal(value, averaged[1][name]) for name, value in averaged[0].items())
    kept = [r for r in metrics(tmp_path / "part") if r[1].startswith("validation/")]
    assert kept == [r for r in metrics(tmp_path / "whole") if r[1].startswith("validation/")]


def test_a_killed_run_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole", steps=400, checkpoint_every=20, workers=1)
    code = f"from toy import train; from pathlib import Path; train(Path({str(tmp_path / 'part')!r}), steps=400, "
    code += "checkpoint_every=20, workers=1)"
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[2]}"}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        limit = time.monotonic() + 120
        while len(list_checkpoints(tmp_path / "part")) < 2 and time.monotonic() < limit:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    rest, _ = train(tmp_path / "part", resume=True, steps=400, checkpoint_every=20, workers=1)
    assert rest.final_weights == whole.final_weights
    assert rows(tmp_path / "part" / "clip_toy.csv") == rows(tmp_path / "whole" / "clip_toy.csv")


def test_nothing_needs_the_weights_once_lightning_has_taken_them_from_their_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = train(tmp_path / "whole", steps=10)  # its last validation is not one of every fourth step

    def teardown(strategy: SingleDeviceStrategy) -> None:
        super(SingleDeviceStrategy, strategy).teardown()
        for parameter in strategy.model.parameters():
            parameter.data = parameter.data.double()

    monkeypatch.setattr(SingleDeviceStrategy, "teardown", teardown)
    torn, net = train(tmp_path / "torn", steps=10)
    assert next(net.parameters()).dtype == torch.float64
    assert (torn.state, torn.last) == ("finished", whole.last)
    kept = [training.load_weights(result.checkpoint) for result in (whole, torn)]
    assert all(torch.equal(value, kept[1][name]) for name, value in kept[0].items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("precision", ["32", "16-mixed", "bf16-mixed"])
def test_on_a_gpu_a_stopped_run_goes_on(precision: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"accelerator": "gpu", "precision": precision, "steps": 60, "ema": 0.9}
    whole, _ = train(tmp_path / "whole", **options)
    asked = iter([False] * 30 + [True])
    part, _ = train(tmp_path / "part", stop=lambda: next(asked), **options)
    assert (part.state, part.step) == ("stopped", 31)
    rest, _ = train(tmp_path / "part", resume=True, **options)
    assert (rest.state, rest.step) == ("finished", 60)
    assert rest.last["error"] == pytest.approx(whole.last["error"], rel=0.05)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_as_one(strategy: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 6, "checkpoint_every": 3, "optimizer": "momentum"}
    one, _ = train(tmp_path / "one", dropout=0.0, **options)
    two, _ = train(tmp_path / "two", dropout=0.0, devices=2, strategy=strategy, **options)
    norms = [[float(r["norm"]) for r in rows(tmp_path / name / "clip_toy.csv")] for name in ("one", "two")]
    assert norms[1] == pytest.approx(norms[0], rel=1e-4)
    assert any(r["clipped"] == "1" for r in rows(tmp_path / "two" / "clip_toy.csv"))
    mine, other = training.load_weights(one.checkpoint), training.load_weights(two.checkpoint)
    for name, value in mine.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-6)
    assert two.last["samples"] == 11
    assert two.last["error"] == pytest.approx(one.last["error"], rel=1e-3)
    asked = iter([False, False, True])
    part, _ = train(tmp_path / "part", dropout=0.0, devices=2, strategy=strategy, stop=lambda: next(asked), **options)
    assert (part.state, part.step) == ("stopped", 3)
    rest, _ = train(tmp_path / "part", dropout=0.0, resume=True, devices=2, strategy=strategy, **options)
    assert rest.step == 6
    assert rest.final_weights == two.final_weights


def test_accumulation_is_a_larger_batch_and_bf16_trains(tmp_path: Path) -> None:
    large, a = train(tmp_path / "large", dropout=0.0, optimizer="sgd", batch=8)
    small, b = train(tmp_path / "small", dropout=0.0, optimizer="sgd", batch=4, accumulate=2)
    assert small.step == large.step
    for p, q in zip(a.parameters(), b.parameters()):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-6)
    half, _ = train(tmp_path / "half", precision="bf16-mixed", steps=30)
    assert half.state == "finished"
    assert math.isfinite(half.last["error"])
    assert precision_of(config(precision="auto")) in ("32", "bf16-mixed")
    chosen, _ = train(tmp_path / "chosen", precision="auto", steps=30)
    by_name, _ = train(tmp_path / "by_name", precision=precision_of(config(precision="auto")), steps=30)
    assert chosen.final_weights == by_name.final_weights


def test_best_weights_are_the_moving_average(tmp_path: Path) -> None:
    """Against the average worked out from the checkpoints of every step; the training itself does not change."""
    options: dict[str, Any] = {"steps": 4, "checkpoint_every": 1, "validate_every": 0}
    plain, _ = train(tmp_path / "plain", **options)
    run, _ = train(tmp_path / "run", ema=0.15, **options)
    assert run.final_weights == plain.final_weights
    steps = [training.load_weights(path) for path in sorted((tmp_path / "run").glob("checkpoints/*"))[-2:]]
    best = training.load_weights(tmp_path / "run" / "best.pt")
    for name, value in best.items():
        # of the steps before, .15 ** 2 is left
        near = 0.85 * steps[1][name] + 0.15 * 0.85 * steps[0][name]
        assert not torch.equal(value, steps[1][name])
        gap = (value - near).abs().max()
        assert gap < 0.15**2 * (steps[0][name].abs().max() + 1)


def test_groups_have_their_own_thresholds_and_files(tmp_path: Path) -> None:
    groups = {"body*": StrategyConfig("global_norm", 0.01), "head*": StrategyConfig("global_norm", 0.2)}
    clip = ClipConfig("none", subsystem="toy", groups=groups)
    train(tmp_path / "run", clip=clip)
    for name, tau in (("body", 0.01), ("head", 0.2)):
        after = [float(r["norm_after"]) for r in rows(tmp_path / "run" / f"clip_toy_{name}.csv")]
        assert len(after) == 12
        assert max(after) == pytest.approx(tau, rel=1e-4)


def test_divergence_is_a_state(tmp_path: Path) -> None:
    skipped, _ = train(tmp_path / "a", points=Points(bad=3), steps=20)
    assert skipped.state == "finished"  # bad batches are left out and counted
    assert any(r["nonfinite"] == "1" for r in rows(tmp_path / "a" / "clip_toy.csv"))
    clip = ClipConfig("none", subsystem="toy", nonfinite="ignore")
    result, _ = train(tmp_path / "b", points=Points(bad=3), clip=clip, steps=20, validate_every=1)
    assert result.state == "diverged"
    assert "not finite" in result.message
    assert all(torch.isfinite(v).all() for v in training.load_weights(tmp_path / "b" / "best.pt").values())


def test_patience_ends_a_training_and_the_best_weights_stay(tmp_path: Path) -> None:
    result, net = train(tmp_path / "run", lr=20.0, schedule="constant", steps=200, validate_every=2, patience=3,
                        optimizer="sgd")  # fmt: skip
    assert result.step < 200
    net.load_state_dict(training.load_weights(tmp_path / "run" / "best.pt"))
    points = Points(11, seed=1)
    net.eval()
    again = net.validation_figures([net.validation_step((points.x, points.y), 0)])
    assert again["error"] == pytest.approx(result.best["error"], rel=1e-5)


def test_a_checkpoint_of_another_module_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Longer(Net):
        def __init__(self, dropout: float) -> None:
            super().__init__(dropout)
            self.tail = torch.nn.Linear(1, 1)

    train(tmp_path / "run", steps=3)
    monkeypatch.setattr("toy.Net", Longer)
    with pytest.raises(UserError, match=r"^[^\n]*not the weights of this network \(tail.bias and 1 more[^\n]*$"):
        train(tmp_path / "run", resume=True, steps=6)


def test_order_and_schedules() -> None:
    every = draws(7, 1, 0, 21)
    for epoch in range(3):
        assert sorted(d.item for d in every[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert draws(7, 1, 5, 10) == every[5:15]
    assert len({d.seed for d in every}) == 21
    assert [d.item for d in draws(7, 2, 0, 21)] != [d.item for d in every]
    cosine = config(schedule="cosine", warmup=0, final_lr=0.1)
    assert [lr_share(cosine, 9, x) for x in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.55, 0.1])
    assert lr_share(config(schedule="constant", warmup=3), 0, 0.5) == 0.25
    linear = config(schedule="linear", warmup=0, final_lr=0.2)
    assert [lr_share(linear, 9, x) for x in (0.0, 0.25, 1.0)] == pytest.approx([1.0, 0.8, 0.2])
    assert [lr_share(config(schedule="step", warmup=0), 0, x) for x in (0.5, 0.7, 0.9)] == [1.0, 0.1, 0.01]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "must be set"),
        ({"devices": 2}, "does not go with"),
        ({"batch": 7, "devices": 2, "strategy": "ddp"}, "divided among"),
        ({"ema": 0.9, "devices": 2, "strategy": "fsdp"}, "whole weights"),
        ({"lr": math.nan}, "train.lr must be a number"),
        ({"patience": 2, "validate_every": 0}, "needs train.validate_every"),
    ],
)
def test_bad_options_are_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        config(**changes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="torch finds 0 GPUs"):
        train(tmp_path / "run", accelerator="gpu")


def test_weights_files_are_data_only(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"state_dict": {"a": Payload()}}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="cannot be read as weights"):
        training.load_weights(tmp_path / "evil.pt")
    with pytest.raises(UserError, match="from its first validation on"):
        training.load_weights(tmp_path / "best.pt")
    assert not (tmp_path / "ran").exists()
