"""Painted data, and a network that knows it by heart, made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import painted
from helpers import config, plain, run_training


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted.make(tmp_path_factory.mktemp("painted") / "data", lidar=True)


@pytest.fixture(scope="session")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose network was trained on 8 pictures until it knew them."""
    path = tmp_path_factory.mktemp("runs") / "heart"
    model = {"channels": [16, 24, 32, 48, 64], "neck": 32}
    settings = plain(config(data, model=model, steps=180, batch=8, lr=6e-3, warmup=10, checkpoint_every=1000))
    result = run_training(path, settings)
    assert result.state == "finished"
    return path
