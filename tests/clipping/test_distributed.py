"""DDP and FSDP2 on two gloo processes: every rank clips by the one global norm and trains as a single process would."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from clipping import ClippingError, GradientClipper
from clipping.testing import audit

STRATEGIES: dict[str, dict[str, Any]] = {
    "global_norm": {"threshold": 0.8},
    "quantile": {"warmup": 3},
    "per_tensor_norm": {"threshold": 0.4},
    "inf_norm": {"threshold": 0.1},
    "value": {"threshold": 0.05},
    "uclip": {"threshold": 0.8},
    "agc": {},
    "p_norm": {"threshold": 0.3, "order": 3.0},
    "skip": {"threshold": 7.0},
    "soft": {"threshold": 0.8},
    "autoclip": {"warmup": 3},
    "zclip": {"warmup": 3},
    "adagc": {"warmup": 3},
}


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 4), nn.Tanh(), nn.Linear(4, 1))


def data(step: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
    return x, x.sum(1, keepdim=True) * 3


def alone(strategy: str) -> tuple[Tensor, list[Any]]:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    clipper = GradientClipper(strategy, **STRATEGIES[strategy])
    clipper.attach(optimizer)
    for step in range(8):
        x, y = data(step)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()]), clipper.drain()


def by_torch(optimizer_kind: Any, **options: Any) -> Tensor:
    """One process and torch's own clipping: what no mistake of ours can touch."""
    model = net()
    optimizer = optimizer_kind(model.parameters(), lr=0.1, **options)
    for step in range(8):
        x, y = data(step)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.8)
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def worker(rank: int, folder: str) -> None:
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    mesh = dist.init_device_mesh("cpu", (2,))
    for strategy, options in STRATEGIES.items():
        want, expected = alone(strategy)
        assert any(r["clipped"] for r in expected), strategy
        if strategy == "global_norm":
            assert torch.allclose(want, by_torch(torch.optim.SGD, momentum=0.9), rtol=1e-4, atol=1e-5)
        for way in ("ddp", "fsdp2"):
            model: nn.Module = net()
            if way == "ddp":
                model = nn.parallel.DistributedDataParallel(model)
            else:
                fully_shard(model[0], mesh=mesh)  # type: ignore[index]
                fully_shard(model, mesh=mesh)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            clipper = GradientClipper(strategy, **options)
            clipper.attach(optimizer)
            for step in range(8):
                x, y = (t[rank * 4 : rank * 4 + 4] for t in data(step))
                optimizer.zero_grad()
                nn.functional.mse_loss(model(x), y).backward()
                optimizer.step()
            full = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in model.parameters()]
            got = torch.cat([p.detach().flatten() for p in full])
            assert torch.allclose(got, want, rtol=1e-4, atol=1e-5), (strategy, way, got - want)
            for a, b in zip(clipper.drain(), expected):
                for name in ("norm", "norm_after"):
                    assert math.isclose(a[name], b[name], rel_tol=1e-3), (strategy, way, name, a, b)
    # A fused optimiser, to which the coefficient is handed.
    for way in ("ddp", "fsdp2"):
        model = net()
        if way == "ddp":
            model = nn.parallel.DistributedDataParallel(model)
        else:
            fully_shard(model, mesh=mesh)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, eps=1e-3, fused=True)
        clipper = GradientClipper("global_norm", threshold=0.8, fold=True)
        clipper.attach(optimizer)
        with audit(0.8) as seen:
            for step in range(8):
                x, y = (t[rank * 4 : rank * 4 + 4] for t in data(step))
                optimizer.zero_grad()
                nn.functional.mse_loss(model(x), y).backward()
                optimizer.step()
        assert len(seen.steps) == 8
        full = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in model.parameters()]
        got = torch.cat([p.detach().flatten() for p in full])
        want = by_torch(torch.optim.AdamW, eps=1e-3)
        assert torch.allclose(got, want, rtol=1e-3, atol=1e-4), (way, got - want)
    # A non-finite shard on one rank is left out by both.
    model = net()
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    clipper = GradientClipper("global_norm", threshold=1.0)
    clipper.attach(optimizer)
    nn.functional.mse_loss(model(data(0)[0]), data(0)[1]).backward()
    if rank == 0:
        next(model.parameters()).grad.to_local()[0] = math.nan  # type: ignore[union-attr]
    optimizer.step()
    assert clipper.drain()[0]["skipped"]
    try:
        GradientClipper("none", measure="backward").attach(torch.optim.SGD(net().parameters(), lr=0.1))
    except ClippingError:
        Path(folder, f"done{rank}").touch()
    dist.destroy_process_group()


def test_ddp_and_fsdp2(tmp_path: Path) -> None:
    mp.spawn(worker, (str(tmp_path),), nprocs=2)
    assert (tmp_path / "done0").exists()
    assert (tmp_path / "done1").exists()
