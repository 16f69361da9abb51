"""The expert among forty cars of CARLA's Traffic Manager, through the real client: the benchmark's own eight routes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("carla")
ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("town", ["Alder", "Gridley", "Marlin"])
def test_it_gets_through_dense_traffic(town: str, tmp_path: Path) -> None:
    words = [sys.executable, "benchmarks/expert.py", "--server", "--routes", "8", "--cars", "40", "--towns", town]
    environment = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run([*words, "--out", str(tmp_path / "out.json")], cwd=ROOT, env=environment, timeout=1100)
    assert done.returncode == 0
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["completion"] == 100.0
    assert row["score"] > 85.0
    assert row["walker"] + row["static"] + row["red_light"] + row["stop_sign"] == 0
