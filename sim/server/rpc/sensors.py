"""Streams and what is asked about sensors."""

from __future__ import annotations

from typing import Any

from sim.server.arguments import boolean, integer, text
from sim.server.errors import CallError
from sim.server.rpc.table import Style, method, value, void
from sim.server.simulation import Simulation


@value
def get_sensor_token(sim: Simulation, stream: Any) -> list[Any]:
    """The token of a stream; its subscriber is awaited before the next tick."""
    number = integer(stream)
    sim.streams.expect(number)
    return [sim.token(number)]


@method(Style.VOID, "enable_sensor_for_ros", "disable_sensor_for_ros")
def ros_sensor(sim: Simulation, stream: Any) -> None:
    """Refused: there is no ROS bridge inside this server."""
    raise CallError("this server has no ROS interface")


@value
def is_sensor_enabled_for_ros(sim: Simulation, stream: Any) -> bool:
    """Never."""
    integer(stream)
    return False


@value
def are_gbuffers_enabled(sim: Simulation, actor: Any) -> bool:
    """Never: there is no deferred renderer."""
    sim.episode.registry.known(actor)
    return False


@void
def enable_gbuffers(sim: Simulation, actor: Any, enabled: Any) -> None:
    """Refused where they are wanted."""
    if boolean(enabled):
        raise CallError("this server has no g-buffers")


@value
def get_gbuffer_token(sim: Simulation, actor: Any, buffer: Any) -> bytes:
    """Refused, as enable_gbuffers."""
    raise CallError("this server has no g-buffers")


@void
def send(sim: Simulation, actor: Any, message: Any) -> None:
    """Let a custom V2X sensor send a message in the next tick."""
    from sim.server.v2x import Custom

    source = sim.episode.sensors.source(sim.episode.registry.live(actor).id)
    if not isinstance(source, Custom):
        raise CallError(f"actor {integer(actor)} is no sensor.other.v2x_custom")
    source.post(text(message))
