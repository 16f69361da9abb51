"""Attached to real optimisers in real loops: what they step with, what a skipped step leaves, what resumes."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from clipping import ClippingError, GradientClipper, NonFiniteGradientError, attach

OPTIMIZERS: list[tuple[Any, dict[str, Any]]] = [
    (torch.optim.SGD, {}),
    (torch.optim.SGD, {"foreach": True}),
    (torch.optim.SGD, {"fused": True}),
    (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1}),
    (torch.optim.SGD, {"momentum": 0.9, "fused": True}),
    (torch.optim.RMSprop, {"momentum": 0.5}),
    (torch.optim.RMSprop, {"foreach": True}),
    (torch.optim.Adam, {"foreach": False}),
    (torch.optim.Adam, {"foreach": True, "amsgrad": True}),
    (torch.optim.Adam, {"fused": True}),
    (torch.optim.AdamW, {"foreach": True}),
    (torch.optim.AdamW, {"fused": True}),
    (torch.optim.Adagrad, {}),
    (torch.optim.Adagrad, {"fused": True}),
]
IDS = [f"{kind.__name__}-{'-'.join(options) or 'plain'}" for kind, options in OPTIMIZERS]
every_optimizer = pytest.mark.parametrize(("kind", "options"), OPTIMIZERS, ids=IDS)


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))


def batches(n: int, seed: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        x = torch.randn(16, 6, generator=generator)
        yield x, x.sum(1, keepdim=True) * 3


def train(model: nn.Module, optimizer: torch.optim.Optimizer, n: int, clip: Any = None, seed: int = 1) -> None:
    for x, y in batches(n, seed):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        if clip is not None:
            clip()
        optimizer.step()


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def everything(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Parameters and all state, in order."""
    out: list[Tensor] = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            out.append(p.detach().clone())
            out += [torch.as_tensor(v).clone() for v in optimizer.state[p].values() if v is not None]
    return out


@every_optimizer
def test_trains_as_with_clip_grad_norm(kind: Any, options: dict[str, Any]) -> None:
    ours, theirs = net(), net()
    a, b = kind(ours.parameters(), lr=0.01, **options), kind(theirs.parameters(), lr=0.01, **options)
    clipper = GradientClipper("global_norm", threshold=1.5)
    clipper.attach(a)
    assert clipper.folds == bool(options.get("fused"))
    train(ours, a, 30)
    train(theirs, b, 30, lambda: torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.5))
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-4, atol=1e-6)
    assert any(r["clipped"] for r in clipper.drain())


@every_optimizer
def test_an_infinite_threshold_changes_no_bit(kind: Any, options: dict[str, Any]) -> None:
    for strategy, threshold in (
        ("global_norm", math.inf),
        ("none", None),
        ("per_tensor_norm", 1e9),
        ("value", math.inf),
    ):
        ours, plain = net(), net()
        a, b = kind(ours.parameters(), lr=0.01, **options), kind(plain.parameters(), lr=0.01, **options)
        GradientClipper(strategy, threshold).attach(a)
        train(ours, a, 10)
        train(plain, b, 10)
        assert torch.equal(weights(ours), weights(plain))


@every_optimizer
@pytest.mark.parametrize("first", [True, False], ids=["at-the-first-step", "later"])
def test_a_skipped_update_leaves_everything_alone(kind: Any, options: dict[str, Any], first: bool) -> None:
    model = net()
    optimizer = kind(model.parameters(), lr=0.01, **options)
    clipper = GradientClipper("skip", threshold=100.0)
    clipper.attach(optimizer)
    if not first:
        train(model, optimizer, 3)
    before = everything(optimizer)
    for value in (1e3, math.nan, math.inf):
        optimizer.zero_grad()
        for p in model.parameters():
            p.grad = torch.full_like(p, value)
        optimizer.step()
    assert all(torch.equal(x, y) for x, y in zip(before, everything(optimizer)))
    train(model, optimizer, 3)
    assert all(x.isfinite().all() for x in everything(optimizer))
    records = clipper.drain()[-6:]
    assert [r["skipped"] for r in records] == [True] * 3 + [False] * 3
    assert [r["nonfinite"] for r in records] == [False, True, True] + [False] * 3


def test_one_step_moves_by_the_threshold() -> None:
    for options in ({}, {"fused": True}):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, **options)  # type: ignore[arg-type]
        attach(optimizer, {"strategy": "global_norm", "threshold": 0.5})
        before = weights(model)
        (model(torch.randn(8, 6)) * 1e6).square().mean().backward()
        optimizer.step()
        assert float((weights(model) - before).double().norm()) == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize("positional", [True, False])
@pytest.mark.parametrize("options", [{}, {"fused": True}])
def test_with_a_closure_it_clips_this_steps_gradients(positional: bool, options: dict[str, Any]) -> None:
    model, other = net(), net()
    a = torch.optim.Adam(model.parameters(), lr=0.01, **options)
    b = torch.optim.Adam(other.parameters(), lr=0.01, **options)
    clipper = GradientClipper("global_norm", threshold=1.0)
    clipper.attach(a)
    for x, y in batches(10):

        def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
            a.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            return loss

        loss = a.step(closure) if positional else a.step(closure=closure)
        assert loss.requires_grad
    train(other, b, 10, lambda: torch.nn.utils.clip_grad_norm_(other.parameters(), 1.0))
    torch.testing.assert_close(weights(model), weights(other), rtol=1e-4, atol=1e-6)


def test_lbfgs_clips_at_every_evaluation() -> None:
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)
    clipper = GradientClipper("global_norm", threshold=0.01)
    clipper.attach(optimizer)
    (x, y), evaluations = next(batches(1)), 0

    def closure() -> Tensor:
        nonlocal evaluations
        evaluations += 1
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    records = clipper.drain()
    assert len(records) == evaluations > 1
    assert all(r["norm_after"] <= 0.01 * (1 + 1e-6) for r in records)


def test_accumulation_clips_the_sum_once() -> None:
    model, other = net(), net()
    a, b = torch.optim.SGD(model.parameters(), lr=0.01), torch.optim.SGD(other.parameters(), lr=0.01)
    clipper = GradientClipper("global_norm", threshold=0.7, measure="backward")
    clipper.attach(a)
    for net_, optimizer in ((model, a), (other, b)):
        for k, (x, y) in enumerate(batches(8)):
            nn.functional.mse_loss(net_(x), y).backward()
            if k % 4 == 3:
                if optimizer is b:
                    torch.nn.utils.clip_grad_norm_(other.parameters(), 0.7)
                optimizer.step()
                optimizer.zero_grad()
    torch.testing.assert_close(weights(model), weights(other), rtol=1e-5, atol=1e-7)
    assert len(clipper.drain()) == 2


def test_norms_taken_in_backward_notice_a_later_edit() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    clipper = GradientClipper("none", measure="backward")
    clipper.attach(optimizer)
    for x, y in batches(2):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        for p in model.parameters():
            p.grad.mul_(3.0)  # type: ignore[union-attr]
        want = float(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()]))  # type: ignore[misc]
        optimizer.step()
        assert clipper.drain()[0]["norm"] == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("fused", [True, False])
def test_grad_scaler(fused: bool) -> None:
    """A CPU GradScaler: the norm is that of the unscaled gradient, and its overflow steps are skipped and counted."""
    for strategy in ("global_norm", "value"):
        model, other = net(), net()
        a = torch.optim.Adam(model.parameters(), lr=0.01, fused=fused)
        b = torch.optim.Adam(other.parameters(), lr=0.01, fused=fused)
        clipper = GradientClipper(strategy, threshold=0.5)
        clipper.attach(a)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
        for k, (x, y) in enumerate(batches(8)):
            a.zero_grad()
            scaler.scale(nn.functional.mse_loss(model(x), y)).backward()
            if k == 3:
                model[0].weight.grad[0, 0] = math.inf  # type: ignore[union-attr, index]
            scaler.step(a)
            scaler.update()
            assert not hasattr(a, "grad_scale")
            if k == 3:
                continue
            b.zero_grad()
            nn.functional.mse_loss(other(x), y).backward()
            if strategy == "value":
                torch.nn.utils.clip_grad_value_(other.parameters(), 0.5)
            else:
                torch.nn.utils.clip_grad_norm_(other.parameters(), 0.5)
            b.step()
        torch.testing.assert_close(weights(model), weights(other), rtol=1e-4, atol=1e-6)
        assert scaler.get_scale() == 2.0**11
        records = clipper.drain()
        assert max(r["norm"] for r in records if not r["nonfinite"]) < 100
        assert sum(r["skipped"] for r in records) == int(fused)  # an unfused step is not even called by the scaler


def test_groups_have_their_own_strategy_and_a_shared_parameter_counts_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Linear(4, 4, bias=False)
            self.head = nn.Linear(4, 4, bias=False)
            self.copy = nn.Linear(4, 4, bias=False)
            self.copy.weight = self.backbone.weight

    model = Tied()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    clipper = GradientClipper(
        "global_norm", threshold=1.0, groups={"head*": {"strategy": "value", "threshold": 0.25}}, per_module=True
    )
    clipper.attach(optimizer, model)
    model.backbone.weight.grad = torch.full((4, 4), 2.0)
    model.head.weight.grad = torch.full((4, 4), 1.0)
    optimizer.step()
    record = clipper.drain()[0]
    assert float(model.backbone.weight.grad.norm()) == pytest.approx(1.0)
    assert torch.equal(model.head.weight.grad, torch.full((4, 4), 0.25))
    assert record["groups"]["rest"]["norm"] == pytest.approx(8.0)
    assert record["groups"]["head*"]["norm_after"] == pytest.approx(1.0)
    assert record["norm"] == pytest.approx(math.hypot(8.0, 4.0))
    assert record["modules"] == {"head": pytest.approx(4.0), "backbone": pytest.approx(8.0)}
    with pytest.raises(ClippingError, match="'neck' matches no parameter"):
        GradientClipper("none", groups={"neck": {"strategy": "none"}}).attach(torch.optim.SGD(net().parameters()))


def test_param_groups_by_name_and_added_later() -> None:
    model = net()
    optimizer = torch.optim.SGD([{"params": model[0].parameters(), "name": "body"}], lr=0.1)
    clipper = GradientClipper("none", groups={"body": {"strategy": "global_norm", "threshold": 0.1}})
    clipper.attach(optimizer)
    optimizer.add_param_group({"params": list(model[2].parameters()), "name": "head"})
    train(model, optimizer, 1)
    assert set(clipper.drain()[0]["groups"]) == {"body", "rest"}


@pytest.mark.parametrize("strategy", ["adagc", "uclip"])
def test_state_per_tensor_grows_with_the_optimiser(strategy: str) -> None:
    model = net()
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    clipper = GradientClipper(strategy, threshold=0.1)
    clipper.attach(optimizer)
    train(model, optimizer, 2)
    optimizer.add_param_group({"params": list(model[2].parameters())})
    train(model, optimizer, 2)
    assert all(r["norm_after"] <= 0.1 * (1 + 1e-5) for r in clipper.drain())


@pytest.mark.parametrize("strategy", ["quantile", "zclip", "autoclip", "adagc", "uclip"])
def test_resumes_exactly(strategy: str) -> None:
    """40 steps in one go, or 23 steps, save, load into new objects, 17 steps: the same bits and the same records."""
    options: dict[str, Any] = {"threshold": 1.0} if strategy == "uclip" else {"warmup": 8}

    def fresh() -> tuple[nn.Module, torch.optim.Optimizer, GradientClipper]:
        model = net()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        clipper = GradientClipper(strategy, **options)
        clipper.attach(optimizer)
        return model, optimizer, clipper

    model, optimizer, clipper = fresh()
    train(model, optimizer, 23)
    file = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict(), clipper.state_dict()], file)
    train(model, optimizer, 17, seed=2)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    again, optimizer2, clipper2 = fresh()
    for target, state in zip((again, optimizer2, clipper2), states):
        target.load_state_dict(state)  # type: ignore[attr-defined]
    train(again, optimizer2, 17, seed=2)
    assert torch.equal(weights(model), weights(again))
    assert repr(clipper.drain()[23:]) == repr(clipper2.drain())  # (as text, because NaN differs from itself)
    with pytest.raises(ClippingError, match="strategies"):
        GradientClipper("none").load_state_dict(states[2])


def test_non_finite_policies() -> None:
    def bad(policy: str, n: int, **options: Any) -> Tensor:
        p = nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([p], lr=0.1)
        GradientClipper("global_norm", threshold=1.0, nonfinite=policy, subsystem="control", **options).attach(
            optimizer
        )
        for _ in range(n):
            p.grad = torch.tensor([1.0, math.nan, math.inf])
            optimizer.step()
        return p.detach()

    assert torch.equal(bad("skip", 4, max_nonfinite=5), torch.ones(3))
    with pytest.raises(NonFiniteGradientError, match="'control' were not finite for 5 updates in a row"):
        bad("skip", 5, max_nonfinite=5)
    with pytest.raises(NonFiniteGradientError, match="'control' are not finite"):
        bad("raise", 1)
    assert not bad("ignore", 1).isfinite().all()


def test_attach_and_detach() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    clipper = GradientClipper("global_norm", threshold=0.1)
    handle = clipper.attach(optimizer)
    with pytest.raises(ClippingError, match="attached already"):
        clipper.attach(optimizer)
    with pytest.raises(ClippingError, match="has a clipper already"):
        GradientClipper("none").attach(optimizer)
    with pytest.raises(ClippingError, match="not Linear"):
        GradientClipper("none").attach(nn.Linear(1, 1))  # type: ignore[arg-type]
    handle.detach()
    train(model, optimizer, 2)
    assert clipper.drain() == []
    clipper.attach(copy.deepcopy(optimizer))  # hooks do not travel with copies


def test_sparse_and_half_gradients() -> None:
    table = nn.Embedding(10, 4, sparse=True)
    optimizer = torch.optim.SGD(table.parameters(), lr=1.0)
    attach(optimizer, {"strategy": "global_norm", "threshold": 0.5})
    before = table.weight.detach().clone()
    (table(torch.tensor([1, 1, 3])) * 100).sum().backward()
    optimizer.step()
    assert float((table.weight.detach() - before).norm()) == pytest.approx(0.5, rel=1e-5)
    half = nn.Parameter(torch.zeros(1000, dtype=torch.float16))
    clipper = GradientClipper("global_norm", threshold=1.0)
    clipper.attach(torch.optim.SGD([half], lr=1.0))
    half.grad = torch.full_like(half, 3e4)  # squares overflow float16
    clipper.before_step()
    assert clipper.drain()[0]["norm"] == pytest.approx(3e4 * math.sqrt(1000), rel=1e-3)


def test_per_sample_is_robust_to_a_bad_sample() -> None:
    model, loss = net(), nn.functional.mse_loss
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    clipper = GradientClipper("per_sample", threshold=0.5)
    clipper.attach(optimizer)
    x, y = next(batches(1))
    x[3] = math.nan
    want = [torch.zeros_like(p, dtype=torch.float64) for p in model.parameters()]
    for i in range(len(x)):
        if i == 3:
            continue
        grads = torch.autograd.grad(loss(model(x[i : i + 1]), y[i : i + 1]), list(model.parameters()))
        norm = math.sqrt(sum(float(g.double().square().sum()) for g in grads))
        for w, g in zip(want, grads):
            w += g.double() * min(1.0, 0.5 / norm) / len(x)
    clipper.backward(model, loss, x, y)
    for p, w in zip(model.parameters(), want):
        torch.testing.assert_close(p.grad.double(), w, rtol=1e-5, atol=1e-7)  # type: ignore[union-attr]
    optimizer.step()
    with pytest.raises(ClippingError, match="call that first"):
        optimizer.step()
    with pytest.raises(ClippingError, match="BatchNorm"):
        clipper.backward(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), loss, x, y)
