"""On a real GPU: no step waits for the device, and clipping gives the numbers that it gives on the processor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from device_cases import IDS, NAMES, WARM, make, optimizers

from clipping import GradientClipper

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
OPTIMIZERS = optimizers(0.01)
STEPS, BAD = 40, 25
FIRST = 1
"""Steps after which the strategy's state and the optimiser's moments are on the device."""


@contextmanager
def no_waiting() -> Iterator[None]:
    """Any call that makes the host wait for the device raises."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def run(strategy: str, kind: Any, options: dict[str, Any], device: str, bad: int) -> tuple[list[Tensor], Any]:
    """Parameters and telemetry after STEPS steps; on a GPU all but the first and the one that drains must not wait.

    It drains after the bad step, so that step counts which the optimiser keeps on the host are right from there on.
    """
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(*shape, generator=generator).to(device)) for shape in ((40, 30), (40,))]
    optimizer = kind(params, **options)
    clipper = make(strategy, drain_every=bad + 1, **({"warmup": 5} if strategy in WARM else {}))
    clipper.attach(optimizer)
    for k in range(STEPS):
        for p in params:
            p.grad = (torch.randn(p.shape, generator=generator) * (30.0 if k % 17 == 5 else 1.0)).to(device)
        if k == bad:
            params[0].grad[0, 0] = float("nan")  # type: ignore[index]
        if device == "cuda" and k >= FIRST and k != bad:
            with no_waiting():
                optimizer.step()
        else:
            optimizer.step()
    return [p.detach().cpu() for p in params], clipper.drain()


def test_a_read_would_be_noticed() -> None:
    with no_waiting(), pytest.raises(RuntimeError, match="synchroniz"):
        torch.ones(3, device="cuda").sum().item()


@pytest.mark.parametrize("strategy", NAMES)
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS, ids=IDS)
def test_no_step_waits_and_the_numbers_are_those_of_the_processor(
    strategy: str, kind: Any, options: dict[str, Any]
) -> None:
    ours, records = run(strategy, kind, options, "cuda", BAD)
    want, expected = run(strategy, kind, options, "cpu", BAD)
    for a, b in zip(ours, want):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert [r["skipped"] for r in records] == [r["skipped"] for r in expected]
    assert records[BAD]["nonfinite"]
    assert records[BAD]["skipped"]
    for name in ("norm", "norm_after", "coef", "threshold"):
        a, b = (torch.tensor([r[name] for r in rows]) for rows in (records, expected))
        keep = ~torch.tensor([r["nonfinite"] for r in expected])
        torch.testing.assert_close(a[keep], b[keep], rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_a_gradscaler_changes_nothing(kind: Any) -> None:
    """Training with a GradScaler gives what training without one gives, clipping included."""

    def train(scaled: bool) -> tuple[Tensor, Any]:
        torch.manual_seed(0)
        model = torch.nn.Linear(20, 5).cuda()
        optimizer = kind(model.parameters(), lr=0.05, fused=True)
        clipper = GradientClipper("global_norm", threshold=0.05)
        clipper.attach(optimizer)
        scaler = torch.amp.GradScaler("cuda", init_scale=2.0**10, enabled=scaled)
        for _ in range(20):
            x = torch.randn(16, 20, device="cuda")
            scaler.scale(model(x).square().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
        return model.weight.detach(), clipper.drain()

    plain, records = train(False)
    scaled, others = train(True)
    torch.testing.assert_close(scaled, plain, rtol=1e-5, atol=1e-6)
    norms, again = (torch.tensor([r["norm"] for r in rows]) for rows in (records, others))
    torch.testing.assert_close(again, norms, rtol=1e-5, atol=1e-7)
    assert any(r["clipped"] for r in records)


def test_by_sample_as_on_the_processor() -> None:
    found = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
        x, y = torch.randn(32, 6), torch.randn(32, 1)
        model, x, y = model.to(device), x.to(device), y.to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        clipper = GradientClipper("per_sample", threshold=0.05)
        clipper.attach(optimizer, model)
        for k in range(5):
            optimizer.zero_grad()
            clipper.backward(model, torch.nn.functional.mse_loss, x, y)
            if device == "cuda" and k >= FIRST:
                with no_waiting():
                    optimizer.step()
            else:
                optimizer.step()
        found.append(torch.cat([p.detach().cpu().reshape(-1) for p in model.parameters()]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-6)
