"""What is installed and where things are kept: versions, processors and devices, caches, optional parts."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

PACKAGES = (
    "throttle-drive", "torch", "torchvision", "lightning", "stable-baselines3", "sb3-contrib", "gymnasium", "carla",
    "numba", "numpy", "wandb", "tensorboard",
)  # fmt: skip
OPTIONAL = {"ray": "clusters", "onnxruntime": "ONNX export", "rerun": "the 3-D viewer", "metadrive": "benchmarks"}


def add_arguments(parser: ArgumentParser) -> None:
    """How to print."""
    parser.add_argument("--json", type=bool, default=False, help="print JSON")


def collect() -> dict[str, dict[str, Any]]:
    """All facts, by section."""
    import torch

    from sim.envs import TASKS
    from sim.world.maths import cache_folder
    from throttle.tracking import TrackingConfig

    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    devices: dict[str, Any] = {
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "torch threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none (not needed)",
    }
    root = Path(__file__).parents[2]
    places = {
        "program": str(root),
        "presets": str(root / "configs"),
        "numba cache": f"{cache_folder()} (NUMBA_CACHE_DIR changes it)",
        "runs": str(Path("runs").resolve()),
        "wandb": TrackingConfig().mode(),
    }
    towns = {path.stem: str(path) for path in sorted((root / "sim" / "roads" / "towns").glob("*.xodr"))}
    optional = {
        name: f"{'installed' if importlib.util.find_spec(name) else 'not installed'} ({use})"
        for name, use in OPTIONAL.items()
    }
    environments = {name: (kind[0].__doc__ or "").split("##")[1].split("\n\n")[1] for name, kind in TASKS.items()}
    environments = {name: " ".join(text.split()).split(". ")[0].rstrip(".") for name, text in environments.items()}
    return {
        "versions": versions,
        "devices": devices,
        "places": places,
        "towns": towns,
        "environments": environments,
        "optional": optional,
    }


def run(arguments: Namespace) -> int:
    """Print the facts."""
    facts = collect()
    if arguments.json:
        json.dump(facts, sys.stdout, indent=1)
        print()
        return 0
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for section, values in facts.items():
        table = Table(title=section, title_justify="left", show_header=False, box=None, padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in values.items():
            table.add_row(name, str(value))
        console.print(table)
    return 0
