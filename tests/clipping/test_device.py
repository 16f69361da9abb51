"""The device path: no host read under FakeTensorMode, and the same numbers as the host path when run for real.

FakeTensorMode makes tensors on a "cuda" device without a GPU; reading a value from one raises. For numbers, the device
path is run on CPU tensors by telling the clipper that they are on a device: every operation is the same.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

sys.path.insert(0, str(Path(__file__).parent))
from device_cases import IDS, NAMES, WARM, make, optimizers

from clipping import GradientClipper, NonFiniteGradientError
from clipping.kernels import Kernel, available

OPTIMIZERS = optimizers(0.1)


@pytest.mark.parametrize("strategy", NAMES)
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS, ids=IDS)
def test_no_host_read(strategy: str, kind: Any, options: dict[str, Any]) -> None:
    with FakeTensorMode():
        params = [
            torch.nn.Parameter(torch.zeros(4, 3, device="cuda")),
            torch.nn.Parameter(torch.zeros(4, device="cuda")),
        ]
        with pytest.raises(DataDependentOutputException):
            float(params[0].detach().sum())  # so a read would be noticed
        optimizer = kind(params, **options)
        clipper = make(strategy)
        clipper.attach(optimizer)
        for _ in range(3):
            for p in params:
                p.grad = torch.ones_like(p)
            if kind is torch.optim.SGD and options.get("fused"):  # torch has no fake kernel for its step
                clipper.before_step()
                clipper.after_step()
            else:
                optimizer.step()
        assert clipper._recorder._filled == 3


GROUPS = {"0.*": {"strategy": "agc"}, "1.*": {"strategy": "zclip"}}
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("groups", {"strategy": "quantile", "groups": GROUPS, "per_module": True}),
    ("modules", {"strategy": "autoclip", "per_module": True}),
    ("policy ignore", {"strategy": "global_norm", "threshold": 0.1, "nonfinite": "ignore"}),
    ("policy raise", {"strategy": "skip", "threshold": 0.1, "nonfinite": "raise"}),
    ("not folded", {"strategy": "global_norm", "threshold": 0.1, "fold": False}),
]


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
@pytest.mark.parametrize("fused", [False, True], ids=["foreach", "fused"])
@pytest.mark.parametrize("options", [o for _, o in WAYS], ids=[name for name, _ in WAYS])
def test_no_host_read_whatever_is_asked_for(options: dict[str, Any], fused: bool, scaled: bool) -> None:
    """Groups, module norms, policies, and the scale and flag that GradScaler leaves on a fused optimiser."""
    with FakeTensorMode():
        with torch.device("cuda"):
            model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
        optimizer = torch.optim.AdamW(model.parameters(), fused=fused)
        clipper = GradientClipper(**options)
        clipper.attach(optimizer, model)
        for _ in range(3):
            for p in model.parameters():
                p.grad = torch.ones_like(p)
            if scaled and fused:
                optimizer.grad_scale, optimizer.found_inf = (  # type: ignore[attr-defined]
                    torch.full((), v, device="cuda") for v in (1024.0, 0.0)
                )
            optimizer.step()
        assert clipper._recorder._filled == 3


def test_no_host_read_by_sample() -> None:
    """On the meta device, whose tensors cannot be read either: a backward pass on a fake GPU needs a real one."""
    with torch.device("meta"):
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
        x, y = torch.randn(8, 3), torch.randn(8, 1)
    with pytest.raises(RuntimeError, match="meta"):
        float(x.sum())  # so a read would be noticed
    optimizer = torch.optim.Adam(model.parameters())
    clipper = GradientClipper("per_sample", 0.1)
    clipper.attach(optimizer, model)
    for _ in range(3):
        optimizer.zero_grad()
        clipper.backward(model, torch.nn.functional.mse_loss, x, y)
        optimizer.step()
    assert clipper._recorder._filled == 3


def pretend_device(clipper: GradientClipper) -> None:
    for group in clipper.groups:
        group.grads.host, group.grads._kernel = False, None
    clipper._on_host = False


def run(
    strategy: str, kind: Any, options: dict[str, Any], device: bool, bad: int = -1, **more: Any
) -> tuple[list[Tensor], Any]:
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(4, 3)), torch.nn.Parameter(torch.randn(4))]
    optimizer = kind(params, **options)
    clipper = make(strategy, **more)
    clipper.attach(optimizer)
    if device:
        pretend_device(clipper)
    generator = torch.Generator().manual_seed(1)
    for k in range(60):
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator) * (30.0 if k % 17 == 5 else 1.0)
        if k == bad:
            params[0].grad[0, 0] = float("nan")  # type: ignore[index]
        optimizer.step()
    return [p.detach().clone() for p in params], clipper.drain()


@pytest.mark.parametrize("strategy", NAMES)
def test_device_and_host_agree(strategy: str) -> None:
    for kind, options in OPTIMIZERS[:2]:
        more = {"warmup": 10} if strategy in WARM else {}
        ours, records = run(strategy, kind, options, device=True, bad=40, **more)
        want, expected = run(strategy, kind, options, device=False, bad=40, **more)
        for a, b in zip(ours, want):
            torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-6)
        assert [r["skipped"] for r in records] == [r["skipped"] for r in expected]
        assert records[40]["nonfinite"]
        assert records[40]["skipped"]
        for name in ("norm", "norm_after", "coef", "threshold"):
            a, b = (torch.tensor([r[name] for r in rows]) for rows in (records, expected))
            keep = ~torch.tensor([r["nonfinite"] for r in expected])
            torch.testing.assert_close(a[keep], b[keep], rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS, ids=IDS)
def test_a_skipped_device_step_leaves_everything_alone(kind: Any, options: dict[str, Any]) -> None:
    params = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))]
    optimizer = kind(params, **options)
    clipper = GradientClipper("global_norm", threshold=1.0, drain_every=4)
    clipper.attach(optimizer)
    pretend_device(clipper)
    twin = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))]
    other = kind(twin, **options)
    for k in range(4):  # the very first step is a bad one
        for p, q in zip(params, twin):
            p.grad, q.grad = torch.full_like(p, 0.1), torch.full_like(q, 0.1)
        if k in (0, 2):
            params[0].grad[1] = float("inf")  # type: ignore[index]
        else:
            other.step()
        optimizer.step()
    for p, q in zip(params, twin):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)
        for name, value in other.state[q].items():
            if name != "step" or options.get("fused"):  # (a step on the host is told to settle on real devices only)
                torch.testing.assert_close(torch.as_tensor(optimizer.state[p][name]), torch.as_tensor(value))
    assert not hasattr(optimizer, "grad_scale")
    assert not hasattr(optimizer, "found_inf")


def test_the_kernels_never_touch_a_tensor_without_memory() -> None:
    """A fake CPU tensor has no address: reading it would end the process."""
    with FakeTensorMode():
        assert not Kernel().load([torch.zeros(8)])
    assert not Kernel().load([torch.zeros(8, device="meta")])
    assert Kernel().load([torch.zeros(8)]) == available()


def test_errors_come_with_the_drain() -> None:
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([p], lr=0.1)
    clipper = GradientClipper("global_norm", threshold=1.0, drain_every=3, max_nonfinite=3)
    clipper.attach(optimizer)
    pretend_device(clipper)
    p.grad = torch.full_like(p, float("nan"))
    for _ in range(2):
        optimizer.step()
    with pytest.raises(NonFiniteGradientError, match="3 updates in a row"):
        optimizer.step()
    assert torch.equal(p.detach(), torch.ones(3))
