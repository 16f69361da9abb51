"""The module alone: an environment that holds torch, what torch requires, and the folder `clipping`; nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

import torch

CODE = """
import importlib.util
import sys

sys.path.append(sys.argv[1])
import torch
from clipping import STRATEGIES, GradientClipper
from clipping.sinks import CsvSink
from clipping.testing import audit

for strategy in STRATEGIES:
    model = torch.nn.Sequential(torch.nn.Linear(50, 40), torch.nn.Linear(40, 3), torch.nn.Linear(3, 1))
    fixed = strategy not in ("none", "agc", "adagc", "autoclip", "zclip", "quantile")
    clipper = GradientClipper(
        strategy, 0.01 if fixed else None, subsystem=strategy, drain_every=2, sinks=[CsvSink(sys.argv[2])]
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    clipper.attach(optimizer)
    for k in range(5):
        optimizer.zero_grad()
        x = torch.randn(8, 50) * 10**k
        if strategy == "per_sample":
            clipper.backward(model, torch.nn.functional.mse_loss, x, x[:, :1])
        else:
            torch.nn.functional.mse_loss(model(x), x[:, :1]).backward()
        optimizer.step()
    records = clipper.drain()
    assert len(records) == 5
    assert any(r["clipped"] for r in records) == (strategy not in ("none", "per_sample")), strategy
    assert clipper.summary().steps == 5
    clipper.load_state_dict(clipper.state_dict())
    clipper.close()

model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
GradientClipper("global_norm", 0.5).attach(optimizer)
with audit(0.5):
    model(torch.ones(1, 3) * 100).sum().backward()
    optimizer.step()
for refused in ("numpy", "numba", "lightning", "contracts"):
    assert importlib.util.find_spec(refused) is None
print("alone")
"""


def plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def required(name: str, found: set[str]) -> set[str]:
    """The distributions that `name` requires, itself included, however deep."""
    if plain(name) not in found:
        found.add(plain(name))
        try:
            lines = requires(name) or []
        except PackageNotFoundError:  # for another platform
            lines = []
        for line in lines:
            if "extra ==" not in line and (match := re.match("[A-Za-z0-9._-]+", line)):
                required(match.group(), found)
    return found


def tops(name: str) -> set[str]:
    """What a distribution has at the top of the site folder."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return set()
    return {file.parts[0] for file in files} - {"..", "__pycache__"}


def test_everything_works_with_torch_only(tmp_path: Path) -> None:
    alone, telemetry, site = tmp_path / "site", tmp_path / "telemetry", Path(torch.__file__).parents[1]
    alone.mkdir()
    (alone / "clipping").symlink_to(Path(__file__).parents[2] / "clipping")
    wanted = required("torch", set())
    for top in {top for name in wanted for top in tops(name)}:
        (alone / top).symlink_to(site / top)
    command = [sys.executable, "-I", "-S", "-c", CODE, str(alone), str(telemetry)]
    out = subprocess.run(command, capture_output=True, text=True)
    assert out.stdout.strip().endswith("alone"), out.stderr
    assert len(list(telemetry.glob("clip_*.csv"))) == 15
