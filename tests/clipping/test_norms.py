"""Accuracy of the norm, with the compiled kernels and without, and the kernels against torch."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from clipping import GradientClipper, kernels, team
from clipping.norms import GradientSet

SIZES = [(1,), (3, 5), (1000,), (257, 1023), (8, 3, 3, 3), (0,)]


@pytest.fixture(params=["compiled", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setattr(kernels, "_compiled", False)
    else:
        assert kernels.available()
    return str(request.param)


def gradients(scale: float = 1.0) -> tuple[GradientSet, list[torch.Tensor]]:
    torch.manual_seed(0)
    params = [nn.Parameter(torch.zeros(s)) for s in SIZES]
    for p in params:
        p.grad = torch.randn_like(p) * scale
    params[4].grad = params[4].grad.to(memory_format=torch.channels_last)  # type: ignore[union-attr]
    grads = GradientSet(params)
    assert grads.refresh()
    return grads, [p.grad.double().clone() for p in params if p.grad is not None]


@pytest.mark.parametrize("entries", [10_000_000, 100_000_000])
def test_accuracy_at_many_entries(way: str, entries: int) -> None:
    """1e-6 relative where torch's own float32 norm is off by 4e-4 (1e7) and 1e-2 (1e8)."""
    p = nn.Parameter(torch.empty(entries))
    p.grad = torch.randn(entries, generator=torch.Generator().manual_seed(0)).mul_(1e-3).add_(1e-3)
    grads = GradientSet([p])
    grads.refresh()
    want = math.sqrt(sum(float(c.double().square().sum()) for c in p.grad.split(1 << 20)))
    assert grads.norm() == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
def test_norms_in_any_range(way: str, scale: float) -> None:
    grads, want = gradients(scale)
    assert grads.fast == (way == "compiled")
    norms = torch.stack([w.norm() for w in want])
    assert grads.norm() == pytest.approx(float(norms.norm()), rel=1e-6)
    torch.testing.assert_close(grads.norms(), norms, rtol=1e-6, atol=0.0)


def test_in_place_work(way: str) -> None:
    grads, want = gradients()
    grads.scale_(0.5)
    for g, w in zip(grads.locals, want):
        assert torch.equal(g.double(), w * 0.5)
    coefs = torch.tensor([1.0, 0.5, 1.0, 0.25, 2.0, 1.0], dtype=torch.float64)
    grads, want = gradients()
    grads.scale_each_(coefs)
    for g, w, c in zip(grads.locals, want, coefs):
        assert torch.equal(g.double(), w * c)
    grads, want = gradients()
    both = grads.clamp_both_(-0.5, 0.25) if way == "compiled" else (0.0, grads.clamp_(-0.5, 0.25))
    for g, w in zip(grads.locals, want):
        assert torch.equal(g.double(), w.clamp(-0.5, 0.25))
    assert both is not None
    assert both[1] == pytest.approx(math.sqrt(sum(float(w.clamp(-0.5, 0.25).square().sum()) for w in want)), rel=1e-6)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def long_gradient() -> GradientSet:
    p = nn.Parameter(torch.empty(3_000_001))
    p.grad = torch.randn(3_000_001, generator=torch.Generator().manual_seed(0))
    grads = GradientSet([p])
    assert grads.refresh()
    return grads


@pytest.mark.parametrize("pool", [False, True], ids=["torch's threads", "own threads"])
def test_the_thread_count_does_not_change_a_bit(pool: bool, threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if pool:
        monkeypatch.setattr(team, "_fork", False)
    found = []
    for n in (1, 2, 3):
        torch.set_num_threads(n)
        grads = long_gradient()
        assert grads.fast
        norm = grads.norm()
        found.append((norm, grads.clamp_both_(-1.0, 2.0), grads.norm()))
        grads.scale_(0.5)
        assert grads.norm() == pytest.approx(0.5 * found[-1][2])
    assert len(set(found)) == 1


def test_a_forked_process_measures_too(threads: None) -> None:
    """Neither torch's threads nor ours survive a fork: waiting for them would have no end."""
    torch.set_num_threads(2)
    want = long_gradient().norm()
    child = os.fork()
    if child == 0:
        os._exit(int(long_gradient().norm() != want) if torch.get_num_threads() == 2 else 2)
    for _ in range(600):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the forked process hangs")
    assert status == 0


@pytest.mark.parametrize("strategy", ["value", "agc", "per_tensor_norm", "global_norm"])
def test_compiled_and_torch_agree(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def step() -> tuple[list[torch.Tensor], Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(4, 2))
        clipper = GradientClipper(strategy, None if strategy == "agc" else 0.1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        clipper.attach(optimizer)
        for p in model.parameters():
            p.grad = torch.randn_like(p)
        optimizer.step()
        return [p.detach().clone() for p in model.parameters()], clipper.drain()[0]

    ours, record = step()
    monkeypatch.setattr(kernels, "_compiled", False)
    theirs, other = step()
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)
    for name in ("norm", "norm_after"):
        assert record[name] == pytest.approx(other[name], rel=1e-6)


def test_nan_survives_a_clamp(way: str) -> None:
    p = nn.Parameter(torch.zeros(5))
    p.grad = torch.tensor([math.nan, 5.0, -5.0, math.inf, 0.0])
    grads = GradientSet([p])
    grads.refresh()
    if way == "compiled":
        grads.clamp_both_(-1.0, 1.0)
    else:
        grads.clamp_(-1.0, 1.0)
    assert p.grad.tolist()[1:] == [1.0, -1.0, 1.0, 0.0]
    assert math.isnan(p.grad[0])
