"""The checks for users' loops catch every classic mistake and let right loops pass."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from clipping import GradientClipper
from clipping.testing import assert_clips, assert_overfits, audit

_spec = importlib.util.spec_from_file_location("wrong_loops", Path(__file__).with_name("wrong_loops.py"))
assert _spec is not None
assert _spec.loader is not None
loops = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(loops)

MakeOptimizer = Callable[..., torch.optim.Optimizer]
adam = torch.optim.Adam
sgd = torch.optim.SGD


@pytest.mark.parametrize("name", loops.WRONG)
@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_every_wrong_loop_is_caught(name: str, tau: float) -> None:
    with pytest.raises(AssertionError, match=r"does not clip|does not grow"):
        assert_clips(loops.loop_of(loops.WRONG[name]), tau)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clips_copies", "unclipped gradient was applied"),
        ("clips_some_parameters", "all parameters"),
        ("per_tensor", "per-tensor, not global"),
        ("by_value", "value clipping"),
        ("ignores_the_threshold", "clips although the threshold is inf"),
    ],
)
def test_the_message_names_the_mistake(name: str, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        assert_clips(loops.loop_of(loops.WRONG[name]), 0.5)


def test_pruning_is_named_where_it_prunes() -> None:
    with pytest.raises(AssertionError, match="that is pruning"):
        assert_clips(loops.loop_of(loops.prunes_small_entries), 20.0)


@pytest.mark.parametrize("body", [loops.right, loops.right_closure])
@pytest.mark.parametrize("tau", [1e-3, 0.5, 100.0])
def test_right_loops_pass(body: Any, tau: float) -> None:
    plain = partial(loops.loop_of(loops.no_clip), math.inf)
    seen = assert_clips(loops.loop_of(body), tau, unclipped=plain)
    assert len(seen.passed) == 7
    assert seen.raw >= 1000 * tau


def test_other_kinds_are_checked_as_what_they_are() -> None:
    assert_clips(loops.loop_of(loops.per_tensor), 0.5, kind="per_tensor_norm")
    assert_clips(loops.loop_of(loops.by_value), 0.5, kind="value")
    with pytest.raises(AssertionError):
        assert_clips(loops.loop_of(loops.right), 0.5, kind="value")
    with pytest.raises(AssertionError):
        assert_clips(loops.loop_of(loops.right), 0.5, kind="per_tensor_norm")


def test_loops_that_cannot_be_tested_are_refused() -> None:
    with pytest.raises(ValueError, match=r"torch\.optim\.SGD"):
        assert_clips(loops.loop_of(loops.right, adam), 0.5)
    with pytest.raises(ValueError, match="momentum"):
        assert_clips(loops.loop_of(loops.right, partial(sgd, momentum=0.9)), 0.5)
    with pytest.raises(ValueError, match="finite number above 0"):
        assert_clips(loops.loop_of(loops.right), 0.0)
    with pytest.raises(ValueError, match="no optimiser step"):
        assert_clips(lambda threshold, scale: None, 0.5)
    generator = torch.Generator().manual_seed(0)

    def unseeded(threshold: float, scale: float) -> None:
        weight = nn.Parameter(torch.randn(3, generator=generator))
        weight.grad = weight.detach() * scale
        loops.clip([weight], threshold)
        sgd([weight], lr=1.0).step()

    with pytest.raises(ValueError, match="seed its model"):
        assert_clips(unseeded, 0.5)


UNSEEN_BY_A_BOUND = {  # these keep within the threshold: only assert_clips sees that they turn or stretch the gradient
    "prunes_small_entries",
    "always_normalises",
    "clips_each_micro_batch",
}


@pytest.mark.parametrize("make", [sgd, adam])
@pytest.mark.parametrize("name", sorted(set(loops.WRONG) - UNSEEN_BY_A_BOUND))
def test_audit_catches_the_wrong_loops_with_any_optimiser(
    name: str, make: Callable[..., torch.optim.Optimizer]
) -> None:
    # .3 and not .5: one of the wrong loops clips at .5 whatever it is told
    with pytest.raises(AssertionError, match="broke the threshold"), audit(0.3):
        loops.loop_of(loops.WRONG[name], make, lr=1e-3, steps=3)(0.3, 1e3)


@pytest.mark.parametrize("make", [sgd, partial(sgd, momentum=0.9), adam, torch.optim.AdamW, torch.optim.RMSprop])
@pytest.mark.parametrize("body", [loops.right, loops.right_closure])
def test_audit_passes_right_loops(body: Any, make: Callable[..., torch.optim.Optimizer]) -> None:
    with audit(0.5) as seen:
        loops.loop_of(body, make, lr=1e-3, steps=5)(0.5, 1e3)
    assert len(seen.steps) == 5
    assert seen.reached == [seen.steps[0].optimizer]
    assert "5 steps, 0 skipped" in seen.report()


def test_audit_says_which_optimiser_and_step_broke() -> None:
    def two(threshold: float) -> None:
        good, bad = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
        first, second = sgd([good], lr=0.1), adam([bad], lr=0.1)
        for step in range(3):
            good.grad, bad.grad = torch.full((3,), 9.0), torch.full((3,), 9.0)
            loops.clip([good], threshold)
            loops.clip([bad], threshold if step != 2 else math.inf)
            first.step()
            second.step()

    with pytest.raises(AssertionError, match=r"1 of 6 steps broke the threshold: Adam#1 step 2: 15\.58"), audit(1.0):
        two(1.0)
    with audit(lambda optimizer: 1.0 if isinstance(optimizer, sgd) else None) as seen:
        two(1.0)
    assert len(seen.steps) == 3


def test_audit_refuses_runs_that_show_nothing() -> None:
    with pytest.raises(AssertionError, match="no optimiser stepped"), audit(1.0):
        pass
    with pytest.raises(AssertionError, match="reached its threshold"), audit(1e6):
        loops.loop_of(loops.right)(1e6, 1.0)
    with audit(1e6, must_reach=False):
        loops.loop_of(loops.right)(1e6, 1.0)


def test_audit_sees_the_gradient_that_a_fused_optimiser_applies() -> None:
    weight = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.SGD([weight], lr=1.0, fused=True)

    def step(scale: float, found_inf: float = 0.0) -> None:
        weight.grad = torch.full((4,), 8.0)  # norm 16
        optimizer.grad_scale = torch.tensor(scale)  # type: ignore[attr-defined]
        optimizer.found_inf = torch.tensor(found_inf)  # type: ignore[attr-defined]
        optimizer.step()

    with audit(1.0) as seen:
        step(16.0)
        step(1.0, found_inf=1.0)  # far too long, but not applied
    assert [s.skipped for s in seen.steps] == [False, True]
    assert torch.equal(weight, torch.full((4,), 0.5))
    with pytest.raises(AssertionError, match="broke the threshold"), audit(1.0):
        step(2.0)


def test_audit_looks_after_hooks_that_were_attached_before_and_during_it() -> None:
    weight = nn.Parameter(torch.ones(4))
    optimizer = sgd([weight], lr=0.1)

    def step() -> None:
        weight.grad = torch.full((4,), 8.0)
        optimizer.step()

    def hook(*_: Any) -> None:
        loops.clip([weight], 1.0)

    handle = optimizer.register_step_pre_hook(hook)
    with audit(1.0) as seen:
        step()
        handle.remove()
        handle = optimizer.register_step_pre_hook(hook)
        step()
    assert [round(s.size, 5) for s in seen.steps] == [1.0, 1.0]
    handle.remove()
    assert not optimizer._optimizer_step_pre_hooks, "the audit leaves no hook behind"


def test_audit_calls_a_gradient_that_is_not_finite_a_violation() -> None:
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([math.nan, 1.0])
    with pytest.raises(AssertionError, match="nan"), audit(1.0):
        sgd([weight], lr=0.1).step()


def digits_step(softmax: bool) -> Callable[[], torch.Tensor]:
    torch.manual_seed(0)
    x, y = torch.randn(16, 20), torch.arange(16) % 10
    layers: list[nn.Module] = [nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10)]
    model = nn.Sequential(*layers, *([nn.Softmax(dim=1)] if softmax else []))
    optimizer = adam(model.parameters(), lr=0.01)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def test_a_softmax_before_a_loss_that_expects_logits_is_caught() -> None:
    assert assert_overfits(digits_step(softmax=False), steps=300) < 300
    with pytest.raises(AssertionError, match=r"C = 10\.") as caught:
        assert_overfits(digits_step(softmax=True), steps=300)
    assert "logits" in str(caught.value)


def ours(make: MakeOptimizer, closure: bool = False, lr: float = 0.1, steps: int = 3, **options: Any) -> Any:
    """The loop without clipping code, around an optimiser that has our clipper attached."""
    body = loops.no_clip_closure if closure else loops.no_clip

    def loop(threshold: float, scale: float = 1.0) -> None:
        def clipped(params: Any, lr: float) -> torch.optim.Optimizer:
            optimizer = make(params, lr=lr)
            GradientClipper(threshold=threshold, **options).attach(optimizer)
            return optimizer

        loops.loop_of(body, clipped, lr=lr, steps=steps)(math.inf, scale)

    return loop


@pytest.mark.parametrize("closure", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_our_clipper_passes_folded_or_not(fused: bool, closure: bool) -> None:
    make: MakeOptimizer = partial(sgd, fused=True) if fused else partial(sgd, foreach=False)
    plain = partial(loops.loop_of(loops.no_clip, make, steps=3), math.inf)
    assert_clips(ours(make, closure), 0.5, unclipped=plain)
    for kind in ("value", "per_tensor_norm", "inf_norm"):
        assert_clips(ours(make, closure, strategy=kind), 0.5, kind=kind)


@pytest.mark.parametrize("closure", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        sgd,
        partial(sgd, momentum=0.9, fused=True),
        torch.optim.RMSprop,
        torch.optim.Adagrad,
        adam,
        partial(adam, fused=True),
        partial(torch.optim.AdamW, foreach=True),
        partial(torch.optim.AdamW, fused=True),
    ],
)
def test_audit_passes_our_clipper_with_every_optimiser(make: MakeOptimizer, closure: bool) -> None:
    with audit(0.5) as seen:
        ours(make, closure, lr=1e-3, steps=4)(0.5, 1e3)
    assert len(seen.steps) == 4
    with pytest.raises(AssertionError, match="4 of 4 steps broke"), audit(0.25):
        ours(make, closure, lr=1e-3, steps=4)(0.5, 1e3)


def test_audit_counts_what_our_clipper_skips() -> None:
    with pytest.raises(AssertionError, match="no step of"), audit(0.5):
        ours(partial(adam, fused=True), strategy="skip", lr=1e-3)(0.5, 1e3)
