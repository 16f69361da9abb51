"""Telemetry, sinks, summary and flat buffers: what a user reads is what happened."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch
from torch import nn

from clipping import ClippingError, GradientClipper
from clipping.flat import FlatParameters
from clipping.sinks import CallSink, CsvSink, ParquetSink, WandbSink


def steps(clipper: GradientClipper, norms: list[float]) -> None:
    p = nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.SGD([p], lr=0.1)
    handle = clipper.attach(optimizer)
    for norm in norms:
        p.grad = torch.tensor([norm, 0.0, 0.0, 0.0])
        optimizer.step()
    handle.detach()


def test_files_hold_every_update(tmp_path: Path) -> None:
    points: list[tuple[dict[str, float], int]] = []
    sinks = [CsvSink(tmp_path), ParquetSink(tmp_path), CallSink(lambda point, step: points.append((point, step)))]
    clipper = GradientClipper("global_norm", 2.0, subsystem="control/actor", drain_every=3, sinks=sinks)
    steps(clipper, [1.0, 4.0, math.nan, 8.0])
    clipper.close()
    with (tmp_path / "clip_control_actor.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["step"] for r in rows] == ["1", "2", "3", "4"]
    assert [float(r["coef"]) for r in rows] == [1.0, 0.5, 0.0, 0.25]
    assert [r["clipped"] for r in rows] == ["0", "1", "0", "1"]
    table = pyarrow.parquet.read_table(tmp_path / "clip_control_actor.parquet").to_pylist()
    assert [r["skipped"] for r in table] == [0, 0, 1, 0]
    assert [step for _, step in points] == [3, 4]
    want = {"norm", "norm_after", "coef", "threshold", "fraction", "skipped", "nonfinite"}
    assert {f"clip/control/actor/{name}" for name in want} <= set(points[0][0])
    assert points[0][0]["clip/control/actor/fraction"] == pytest.approx(1 / 3)
    assert [r["norm"] for r in clipper.drain()][3] == 8.0
    assert clipper.drain() == []


def test_wandb_gets_one_point_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(mode="offline", dir=tmp_path, project="clip")
    try:
        clipper = GradientClipper("quantile", subsystem="planning", drain_every=50, sinks=[WandbSink(run)])
        steps(clipper, [1.0 + 0.01 * k for k in range(100)])
        clipper.close()
        assert run.step == 2
        assert run.summary["clip/planning/step"] == 100
        assert run.summary["clip/planning/norm"] == pytest.approx(1.745)
    finally:
        run.finish()
    with pytest.raises(ClippingError, match="with log"):
        WandbSink("run")


@pytest.mark.parametrize(
    ("norms", "effect", "words"),
    [
        ([1.0] * 95 + [50.0] * 5, "brake", "brake on spikes"),
        ([5.0] * 90 + [1.0] * 10, "rate", "change of learning rate"),
        ([1.0] * 70 + [5.0] * 30, "mixed", "ordinary gradients too"),
        ([1.0] * 100, "nothing", "changed nothing"),
    ],
)
def test_summary_says_what_the_threshold_did(norms: list[float], effect: str, words: str) -> None:
    clipper = GradientClipper("global_norm", 2.0, subsystem="planning")
    steps(clipper, norms)
    summary = clipper.summary()
    assert summary.effect == effect
    assert words in summary.text
    assert summary.clipped == pytest.approx(sum(n > 2.0 for n in norms) / 100)
    assert summary.quantile == pytest.approx(sum(n <= 2.0 for n in norms) / 100)
    counts, edges = clipper.histogram.bins()
    assert counts.sum() == 100
    assert edges[0] <= min(norms) < edges[1]


def test_an_update_costs_no_file_until_the_batch_is_full(tmp_path: Path) -> None:
    written: list[Any] = []
    clipper = GradientClipper("none", drain_every=10, sinks=[CallSink(lambda point, step: written.append(step))])
    p = nn.Parameter(torch.zeros(4))
    clipper.attach(torch.optim.SGD([p], lr=0.1))
    p.grad = torch.ones(4)
    for _ in range(25):
        clipper.before_step()
    assert written == [10, 20]


def test_flat_parameters_train_as_the_module_does() -> None:
    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))

    plain, flat_module = make(), make()
    flat = FlatParameters(flat_module)
    a = torch.optim.Adam(plain.parameters(), lr=0.01, fused=True)
    b = torch.optim.Adam([flat.parameter], lr=0.01, fused=True)
    for optimizer in (a, b):
        GradientClipper("global_norm", threshold=0.5).attach(optimizer)
    for k in range(10):
        x = torch.randn(8, 6)
        for module, optimizer in ((plain, a), (flat_module, b)):
            loss = nn.functional.mse_loss(module(x), x[:, :1])
            (loss * (math.nan if k == 4 else 1.0)).backward()
            flat.check() if module is flat_module else None
            optimizer.step()
        a.zero_grad()
        flat.zero_grad()
    for p, q in zip(plain.parameters(), flat_module.parameters()):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-6)
    flat_module.zero_grad()
    with pytest.raises(ClippingError, match="left the flat buffers"):
        flat.check()
