"""Every strategy against an independent reference in float64 that knows nothing of the module."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from clipping import KINDS, ClippingError, GradientClipper

SHAPES = [(6, 5), (6,), (3, 6), (3,)]
Grads = list[np.ndarray]


def length(grads: Grads, order: float = 2.0) -> float:
    flat = np.abs(np.concatenate([g.ravel() for g in grads]))
    return float(flat.max()) if math.isinf(order) else float((flat**order).sum() ** (1 / order))


def sequence(steps: int, seed: int = 0) -> list[Grads]:
    """Norms that wander over two orders of magnitude, with spikes."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(steps):
        size = 10.0 ** (0.8 * math.sin(k / 15)) * (40.0 if k % 23 == 7 else 1.0)
        out.append([(size * rng.normal(size=shape)).astype(np.float32).astype(np.float64) for shape in SHAPES])
    return out


def run(
    strategy: str, steps: list[Grads], weights: Grads | None = None, **options: Any
) -> tuple[list[Grads], list[Any]]:
    """What the optimiser stepped with, and the records."""
    clipper = GradientClipper(strategy, fold=False, **options)
    params = [
        torch.nn.Parameter(torch.tensor(w, dtype=torch.float32)) for w in weights or [np.zeros(s) for s in SHAPES]
    ]
    optimizer = torch.optim.SGD(params, lr=0.0)
    clipper.attach(optimizer)
    out = []
    for grads in steps:
        for p, g in zip(params, grads):
            p.grad = torch.tensor(g, dtype=torch.float32)
        optimizer.step()
        out.append([np.zeros(p.shape) if p.grad is None else p.grad.double().numpy().copy() for p in params])
    return out, clipper.drain()


def scaled(coefficient: Callable[[float], float], order: float = 2.0) -> Callable[[list[Grads]], list[Grads]]:
    return lambda steps: [[g * coefficient(length(gs, order)) for g in gs] for gs in steps]


def quantile_reference(steps: list[Grads]) -> list[Grads]:
    out, log_tau, typical, first = [], None, None, None
    for k, gs in enumerate(steps):
        n = length(gs)
        if log_tau is None:
            log_tau, first, typical = math.log(n), n, n
        elif k < 25:
            typical *= math.exp(0.1 if n > typical else -0.1)
        tau = math.exp(log_tau)
        log_tau = min(log_tau + 0.2 * ((n > tau) - (1 - 0.5)), math.log(10 * typical))
        tau = min(first if k < 25 else tau, 10 * typical)
        out.append([g * min(1.0, tau / n) for g in gs])
    return out


def zclip_reference(steps: list[Grads]) -> list[Grads]:
    out, warm, mu, var, first, typical = [], [], 0.0, 0.0, 0.0, 0.0
    for k, gs in enumerate(steps):
        n = length(gs)
        if k == 0:
            first = typical = n
        elif k < 25:
            typical *= math.exp(0.1 if n > typical else -0.1)
        if k < 25:
            warm.append(min(n, 10 * typical))
            mu, var = float(np.mean(warm)), float(np.var(warm))
            tau = min(first, 10 * typical)
            out.append([g * min(1.0, tau / n) for g in gs])
            continue
        z = (n - mu) / math.sqrt(var)
        tau = min(mu + 2.5 * math.sqrt(var) * (2.5 / z) if z > 2.5 else math.inf, 10 * typical)
        kept = min(n, tau)
        mu = 0.97 * mu + 0.03 * kept
        var = 0.97 * var + 0.03 * (kept - mu) ** 2
        out.append([g * kept / n for g in gs])
    return out


def autoclip_reference(steps: list[Grads]) -> list[Grads]:
    out, history, first, typical = [], [], 0.0, 0.0
    for k, gs in enumerate(steps):
        n = length(gs)
        if k == 0:
            first = typical = n
        elif k < 25:
            typical *= math.exp(0.1 if n > typical else -0.1)
        history = [*history, min(n, 10 * typical)][-50:]
        tau = first if k < 25 else float(np.percentile(history, 10))
        out.append([g * min(1.0, min(tau, 10 * typical) / n) for g in gs])
    return out


def adagc_reference(steps: list[Grads]) -> list[Grads]:
    out: list[Grads] = []
    gamma, top = [0.0] * len(SHAPES), [0.0] * len(SHAPES)
    for k, gs in enumerate(steps):
        done = []
        for i, g in enumerate(gs):
            n = length([g])
            h = min(1.0, 1.0 / length(gs)) if k < 20 else min(1.0, min(1.05 * gamma[i], 10 * top[i]) / n)
            gamma[i] = h * n if k == 0 else min(gamma[i], h * n) if k < 20 else 0.98 * gamma[i] + 0.02 * h * n
            top[i] = gamma[i] if k < 20 else top[i]
            done.append(g * h)
        out.append(done)
    return out


def uclip_reference(steps: list[Grads]) -> list[Grads]:
    out, carry = [], [np.zeros(s) for s in SHAPES]
    for gs in steps:
        u = [g + b for g, b in zip(gs, carry)]
        v = [x * min(1.0, 2.0 / length(u)) for x in u]
        carry = [x - y for x, y in zip(u, v)]
        out.append(v)
    return out


REFERENCES: dict[str, tuple[dict[str, Any], Callable[[list[Grads]], list[Grads]]]] = {
    "none": ({}, scaled(lambda n: 1.0)),
    "global_norm": ({"threshold": 2.0}, scaled(lambda n: min(1.0, 2.0 / n))),
    "inf_norm": ({"threshold": 0.5}, scaled(lambda n: min(1.0, 0.5 / n), math.inf)),
    "p_norm": ({"threshold": 2.0, "order": 3.0}, scaled(lambda n: min(1.0, 2.0 / n), 3.0)),
    "soft": ({"threshold": 2.0}, scaled(lambda n: 2.0 / (n + 2.0))),
    "skip": ({"threshold": 6.0}, scaled(lambda n: float(n <= 6.0))),
    "per_tensor_norm": ({"threshold": 2.0}, lambda s: [[g * min(1.0, 2.0 / length([g])) for g in gs] for gs in s]),
    "value": ({"threshold": 0.5}, lambda s: [[np.clip(g, -0.5, 0.5) for g in gs] for gs in s]),
    "quantile": ({}, quantile_reference),
    "zclip": ({}, zclip_reference),
    "autoclip": ({"window": 50}, autoclip_reference),
    "adagc": ({"warmup": 20}, adagc_reference),
    "uclip": ({"threshold": 2.0}, uclip_reference),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_against_reference(name: str) -> None:
    options, reference = REFERENCES[name]
    steps = sequence(150)
    got, records = run(name, steps, **options)
    for k, (a, b, before) in enumerate(zip(got, reference(steps), steps)):
        for x, y in zip(a, b):
            np.testing.assert_allclose(x, y, rtol=3e-5, atol=2e-6 * (length(before) + 1), err_msg=f"step {k}")
        order = {"inf_norm": math.inf, "p_norm": 3.0}.get(name, 2.0)
        assert records[k]["norm"] == pytest.approx(length(before, order), rel=1e-6)
        assert records[k]["norm_after"] == pytest.approx(length(b, order), rel=1e-4, abs=1e-6)
    assert any(r["clipped"] for r in records) == (name != "none")


def test_every_strategy_has_a_reference() -> None:
    assert set(KINDS) == {*REFERENCES, "agc", "per_sample"}


def test_value_range() -> None:
    got, records = run("value", sequence(3), lower=-0.2, upper=0.7)
    for a, before in zip(got, sequence(3)):
        for x, y in zip(a, before):
            np.testing.assert_allclose(x, np.clip(y, np.float32(-0.2), np.float32(0.7)), rtol=1e-7)
    assert records[0]["threshold"] == pytest.approx(0.7)


def test_agc_by_units_and_not_the_last_layer() -> None:
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=s) * 0.3 for s in SHAPES]
    weights[0][2] = 0.0  # a dead row counts with eps
    steps = sequence(4)
    steps.append([g * 1e-6 for g in steps[0]])
    got, records = run("agc", steps, weights)
    for k, (a, before) in enumerate(zip(got, steps)):
        want = [g.copy() for g in before]
        for i in (0, 1):
            rows = want[i].reshape(6, -1) if i == 0 else want[i].reshape(1, -1)
            bounds = np.linalg.norm(weights[i].reshape(rows.shape), axis=1).clip(1e-3) * 0.01
            norms = np.linalg.norm(rows, axis=1)
            rows *= np.minimum(1.0, bounds / norms)[:, None]
        for x, y in zip(a, want):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-9)
        assert records[k]["norm_after"] == pytest.approx(length(want), rel=1e-5)
    assert not records[-1]["clipped"]


@pytest.mark.parametrize("name", ["autoclip", "zclip", "quantile"])
def test_guards_of_automatic_thresholds(name: str) -> None:
    steps = [[np.full(s, 0.01) for s in SHAPES] for _ in range(200)]
    usual = length(steps[0])
    steps[10] = [g * 1e6 for g in steps[10]]  # a spike while warming up
    for k in range(100, 200):  # then a run that diverges
        steps[k] = [g * 1.2 ** (k - 99) for g in steps[k]]
    _, records = run(name, steps)
    assert records[10]["norm_after"] <= usual * 1.001
    assert max(r["norm_after"] for r in records) <= 13 * usual
    _, records = run(name, steps, threshold=usual / 2, warmup=20, ceiling=3 * usual)
    assert all(r["threshold"] == usual / 2 for r in records[:20])
    assert max(r["norm_after"] for r in records) <= 3 * usual * (1 + 1e-6)


def test_guards_of_adagc() -> None:
    """Per tensor: the fixed global norm of the warm-up, then never above the ceiling, whatever the run does."""
    steps = [[np.full(s, 0.1) for s in SHAPES] for _ in range(120)]
    steps[10] = [g * 1e6 for g in steps[10]]
    for k in range(60, 120):
        steps[k] = [g * 1.2 ** (k - 59) for g in steps[k]]
    got, records = run("adagc", steps, warmup=50)
    assert max(r["norm_after"] for r in records[:50]) <= 1.0 + 1e-6
    for i in range(len(SHAPES)):
        usual = min(length([g[i]]) for g in got[:50])
        assert usual < max(length([g[i]]) for g in got[50:]) <= 10 * usual * (1 + 1e-5)
    got, _ = run("adagc", steps, warmup=50, threshold=0.5, ceiling=0.2)
    assert max(length(g) for g in got[:50]) <= 0.5 + 1e-6
    assert max(length([x]) for g in got[50:] for x in g) <= 0.2 + 1e-6


@pytest.mark.parametrize("name", ["autoclip", "quantile", "zclip"])
def test_loss_scale_does_not_matter_to_the_bit(name: str) -> None:
    """Metamorphic: the loss times 2^k, Adam with eps 0, gives the same parameters bit for bit."""

    def train(scale: float, **options: Any) -> torch.Tensor:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, eps=0.0, foreach=False)
        clipper = GradientClipper(**options)
        clipper.attach(optimizer)
        for _ in range(80):
            x = torch.randn(16, 16)
            optimizer.zero_grad()
            (torch.nn.functional.mse_loss(model(x), x[:, :1].tanh()) * scale).backward()
            optimizer.step()
        assert any(r["clipped"] for r in clipper.drain())
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    want = train(1.0, strategy=name)
    for power in (-10, 10):
        assert torch.equal(train(2.0**power, strategy=name), want)
    fixed = {"strategy": "global_norm", "threshold": 0.3}
    assert not torch.equal(train(2.0, **fixed), train(1.0, **fixed))


WRONG: list[tuple[dict[str, Any], str]] = [
    *(
        ({"strategy": "global_norm", "threshold": v}, "threshold")
        for v in (True, "1", 0, 0.0, -1, -0.5, math.nan, [1.0])
    ),
    ({"strategy": "global_norm"}, "needs a threshold"),
    ({"strategy": "none", "threshold": 1.0}, "does not read 'threshold'"),
    ({"strategy": "value", "lower": 0.1, "upper": 1.0}, "hold zero"),
    ({"strategy": "value", "lower": -1.0, "upper": -0.5}, "hold zero"),
    ({"strategy": "value", "lower": -1.0}, "both lower"),
    ({"strategy": "value", "threshold": 1.0, "upper": 1.0}, "not both"),
    ({"strategy": "value", "lower": math.nan, "upper": 1.0}, "hold zero"),
    ({"strategy": "p_norm", "threshold": 1.0, "order": 0.5}, "order"),
    ({"strategy": "quantile", "quantile": 1.0}, "quantile"),
    ({"strategy": "quantile", "ceiling": 0}, "ceiling"),
    ({"strategy": "autoclip", "percentile": 100}, "percentile"),
    ({"strategy": "zclip", "warmup": 1}, "warmup"),
    ({"strategy": "adagc", "warmup": True}, "warmup"),
    ({"strategy": "global_nrom", "threshold": 1.0}, "did you mean 'global_norm'"),
    ({"strategy": "global_norm", "threshold": 1.0, "percentile": 5}, "percentile"),
    ({"strategy": "global_norm", "threshold": 1.0, "treshold": 5}, "treshold"),
    ({"strategy": "global_norm", "threshold": 1.0, "nonfinite": "drop"}, "nonfinite"),
    ({"strategy": "global_norm", "threshold": 1.0, "drain_every": 0}, "drain_every"),
    ({"strategy": "global_norm", "threshold": 1.0, "max_nonfinite": 1.5}, "max_nonfinite"),
    ({"strategy": "global_norm", "threshold": 1.0, "groups": {"head": {"threshold": -1}}}, "threshold"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[str(list(o.values())) for o, _ in WRONG])
def test_wrong_numbers_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ClippingError) as caught:
        GradientClipper.from_config(options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
