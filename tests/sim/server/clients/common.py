"""What the scenarios of the real client share. Each prints one JSON object of what it saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import carla

SCENARIOS: dict[str, Callable[..., dict[str, Any]]] = {}


def scenario(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    SCENARIOS[function.__name__] = function
    return function


def connect(port: int, town: str | None = None, delta: float | None = 0.05) -> tuple[Any, Any]:
    """Client and world on a fresh episode, synchronous unless `delta` is None."""
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(30.0)
    world = client.load_world(town) if town else client.reload_world()
    if delta is not None:
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, delta
        world.apply_settings(settings)
    return client, world


def car(world: Any, n: int = 0, blueprint: str = "vehicle.tesla.model3") -> Any:
    vehicle = world.spawn_actor(world.get_blueprint_library().find(blueprint), world.get_map().get_spawn_points()[n])
    world.tick()
    return vehicle


def xyz(v: Any) -> list[float]:
    return [v.x, v.y, v.z]


def fails(call: Callable[[], Any]) -> str:
    """The error that a call raises; empty where it raises none."""
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return ""
