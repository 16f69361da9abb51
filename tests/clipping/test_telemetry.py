"""Telemetry, sinks, summary and flat buffers: what a user reads is what happened."""

from __future__ import annotations

import csv
import math
import weakref
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch
from torch import nn

from clipping import ClippingError, GradientClipper
from clipping.flat import FlatParameters
from clipping.sinks import CallSink, CsvSink, ParquetSink, WandbSink
from clipping.telemetry import Sink


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
    collect = CallSink(lambda point, step: points.append((point, step)))
    sinks: list[Sink] = [CsvSink(tmp_path), ParquetSink(tmp_path), collect]
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
    ("norms", "effect"),
    [
        ([1.0] * 95 + [50.0] * 5, "brake"),
        ([5.0] * 90 + [1.0] * 10, "rate"),
        ([1.0] * 70 + [5.0] * 30, "both"),
        ([1.0] * 100, "nothing"),
    ],
)
def test_summary_says_what_the_threshold_did(norms: list[float], effect: str) -> None:
    clipper = GradientClipper("global_norm", 2.0, subsystem="planning")
    assert str(clipper.summary()) == "planning: no step is recorded yet."
    steps(clipper, norms)
    summary = clipper.summary()
    assert summary.acts_as == effect
    assert summary.clipped == pytest.approx(sum(n > 2.0 for n in norms) / 100)
    assert summary.sits_at == pytest.approx(sum(n <= 2.0 for n in norms) / 100)
    assert ("Under SGD" in str(summary)) == (effect in ("rate", "both"))  # it knows what it was attached to
    counts, edges = clipper.histogram.bins()
    assert sum(counts) == 100
    assert edges[0] <= min(norms) < edges[1]


def test_a_file_with_other_columns_is_not_appended_to(tmp_path: Path) -> None:
    first = GradientClipper("none", sinks=[CsvSink(tmp_path)])
    steps(first, [1.0])
    first.close()
    (tmp_path / "clip_model.csv").write_text("step,norm\n1,1.0\n")
    with pytest.raises(ClippingError, match="other columns"):
        steps(GradientClipper("none", sinks=[CsvSink(tmp_path)]), [1.0])


def test_groups_and_modules_reach_the_files(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    groups = {"1.*": {"strategy": "value", "threshold": 0.5}}
    points: list[dict[str, float]] = []
    sinks: list[Sink] = [CsvSink(tmp_path), CallSink(lambda point, step: points.append(point))]
    clipper = GradientClipper("global_norm", 1.0, groups=groups, per_module=True, sinks=sinks)
    clipper.attach(optimizer := torch.optim.SGD(model.parameters(), lr=0.1), model)
    for _ in range(3):
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        optimizer.step()
    clipper.close()
    with (tmp_path / "clip_model.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert rows[1]["rest/clipped"] == "1"
    assert float(rows[1]["rest/norm"]) == float(rows[1]["module/0"]) == pytest.approx(math.sqrt(8))
    assert float(rows[1]["1.*/norm_after"]) == pytest.approx(0.5 * math.sqrt(3))
    assert points[0]["clip/model/module/1"] == pytest.approx(math.sqrt(3))
    assert points[0]["clip/model/1.*/fraction"] == 1.0


def test_gradients_are_let_go_after_the_step() -> None:
    """Held on to, they would double the memory of the next backward pass."""
    for options in ({}, {"measure": "backward"}, {"per_module": True}):
        p = nn.Parameter(torch.zeros(4))
        GradientClipper("none", **options).attach(optimizer := torch.optim.SGD([p], lr=0.1))  # type: ignore[arg-type]
        p.square().sum().backward()
        grad = weakref.ref(p.grad)  # type: ignore[arg-type]
        optimizer.step()
        optimizer.zero_grad()
        assert grad() is None


def test_an_update_costs_no_file_until_the_batch_is_full() -> None:
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
