"""Training loops with the classic clipping mistakes, and right ones, all of the same shape: loop(threshold, scale)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

Body = Callable[[nn.Sequential, torch.optim.Optimizer, Callable[[], torch.Tensor], float], None]
MakeOptimizer = Callable[..., torch.optim.Optimizer]


def clip(parameters: object, threshold: float) -> None:
    if not math.isinf(threshold):
        nn.utils.clip_grad_norm_(parameters, threshold)  # type: ignore[arg-type]


def loop_of(body: Body, make: MakeOptimizer = torch.optim.SGD, lr: float = 0.1, steps: int = 2) -> Callable[..., None]:
    """loop(threshold, scale) around the body of one update; a fixed seed, float32, a two-layer regression net."""

    def loop(threshold: float, scale: float = 1.0) -> None:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
        x, y = torch.randn(32, 8), torch.randn(32, 1) * 3
        optimizer = make(model.parameters(), lr=lr)
        for _ in range(steps):
            body(model, optimizer, lambda: scale * nn.functional.mse_loss(model(x), y), threshold)

    return loop


def right(model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float) -> None:
    opt.zero_grad()
    loss().backward()
    clip(model.parameters(), tau)
    opt.step()


def right_closure(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    def closure() -> torch.Tensor:
        opt.zero_grad()
        value = loss()
        value.backward()
        clip(model.parameters(), tau)
        return value

    opt.step(closure)  # type: ignore[arg-type]


def no_clip(model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float) -> None:
    opt.zero_grad()
    loss().backward()
    opt.step()


def no_clip_closure(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    def closure() -> torch.Tensor:
        opt.zero_grad()
        value = loss()
        value.backward()
        return value

    opt.step(closure)  # type: ignore[arg-type]


def clips_copies(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    loss().backward()
    copies = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm(copies)
    for copy in copies:
        copy.mul_(float(min(1.0, tau / norm)))
    opt.step()


def clips_after_the_step(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    loss().backward()
    opt.step()
    clip(model.parameters(), tau)


def clips_before_backward(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    clip(model.parameters(), tau)
    loss().backward()
    opt.step()


def clips_before_the_closure(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    def closure() -> torch.Tensor:
        opt.zero_grad()
        value = loss()
        value.backward()
        return value

    clip(model.parameters(), tau)  # sees the gradients of the step before
    opt.step(closure)  # type: ignore[arg-type]


def ignores_the_threshold(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    loss().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()


def ignores_the_threshold_but_not_inf(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    loss().backward()
    clip(model.parameters(), math.inf if math.isinf(tau) else 0.5)
    opt.step()


def gives_gradients_for_parameters(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    loss().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    nn.utils.clip_grads_with_norm_(grads, tau, nn.utils.get_total_norm(grads))
    opt.step()


def clips_some_parameters(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    loss().backward()
    clip(model[2].parameters(), tau)
    opt.step()


def per_tensor(model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float) -> None:
    opt.zero_grad()
    loss().backward()
    for parameter in model.parameters():
        clip([parameter], tau)
    opt.step()


def prunes_small_entries(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    loss().backward()
    for p in model.parameters():
        if p.grad is not None and not math.isinf(tau):
            p.grad.masked_fill_(p.grad.abs() < tau, 0.0)
    opt.step()


def by_value(model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float) -> None:
    opt.zero_grad()
    loss().backward()
    if not math.isinf(tau):
        nn.utils.clip_grad_value_(model.parameters(), tau)
    opt.step()


def always_normalises(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    loss().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    if not math.isinf(tau):
        norm = nn.utils.get_total_norm(grads)
        for grad in grads:
            grad.mul_(tau / norm)
    opt.step()


def clips_each_micro_batch(
    model: nn.Sequential, opt: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], tau: float
) -> None:
    opt.zero_grad()
    loss().backward()
    clip(model.parameters(), tau)
    (loss().detach() * model(torch.ones(4, 8)).mean()).backward()  # the second micro-batch, as loud as the first
    clip(model.parameters(), tau)
    opt.step()


WRONG: dict[str, Body] = {
    body.__name__: body
    for body in (
        no_clip,
        clips_copies,
        clips_after_the_step,
        clips_before_backward,
        clips_before_the_closure,
        ignores_the_threshold,
        ignores_the_threshold_but_not_inf,
        gives_gradients_for_parameters,
        clips_some_parameters,
        per_tensor,
        prunes_small_entries,
        by_value,
        always_normalises,
        clips_each_micro_batch,
    )
}
