"""Traffic lights, and the street lamps that there are none of."""

from __future__ import annotations

from math import degrees
from typing import Any

from sim.server.arguments import boolean, integer, items, number, text
from sim.server.blueprints import Kind
from sim.server.errors import CallError
from sim.server.rpc.table import value, void
from sim.server.simulation import Simulation


def light(sim: Simulation, actor: Any) -> int:
    """Index of the traffic light of an actor."""
    found = sim.episode.registry.live(actor)
    if found.kind is not Kind.LIGHT:
        raise CallError(f"actor {found.id} is not a traffic light")
    return found.signal


@void
def set_traffic_light_state(sim: Simulation, actor: Any, state: Any) -> None:
    """Show a colour until the junction's next change."""
    sim.episode.lights.force(light(sim, actor), integer(state, 0, 4, "state"))


def _set_time(sim: Simulation, actor: Any, stage: str, seconds: Any) -> None:
    wanted = number(seconds, "seconds")
    if not 0.0 <= wanted <= 1e6:
        raise CallError("seconds: out of range")
    sim.episode.lights.set_time(light(sim, actor), stage, wanted)


@void
def set_traffic_light_green_time(sim: Simulation, actor: Any, seconds: Any) -> None:
    """Seconds of green."""
    _set_time(sim, actor, "green", seconds)


@void
def set_traffic_light_yellow_time(sim: Simulation, actor: Any, seconds: Any) -> None:
    """Seconds of yellow."""
    _set_time(sim, actor, "yellow", seconds)


@void
def set_traffic_light_red_time(sim: Simulation, actor: Any, seconds: Any) -> None:
    """Seconds that all stay red after its yellow."""
    _set_time(sim, actor, "red", seconds)


@void
def freeze_traffic_light(sim: Simulation, actor: Any, frozen: Any) -> None:
    """Stop the clock of its junction."""
    sim.episode.lights.freeze(boolean(frozen), [light(sim, actor)])


@void
def freeze_all_traffic_lights(sim: Simulation, frozen: Any) -> None:
    """Stop all clocks."""
    sim.episode.lights.freeze(boolean(frozen))


@void
def reset_traffic_light_group(sim: Simulation, actor: Any) -> None:
    """Start its junction's cycle anew."""
    lights = sim.episode.lights
    lights.restart(lights.group(light(sim, actor)))


@void
def reset_all_traffic_lights(sim: Simulation) -> None:
    """Start all cycles anew."""
    sim.episode.lights.restart()


@value
def get_group_traffic_lights(sim: Simulation, actor: Any) -> list[int]:
    """Ids of the lights of its junction."""
    lights = sim.episode.lights
    return [lights.actors[i].id for i in lights.group(light(sim, actor))]


@value
def get_light_boxes(sim: Simulation, actor: Any) -> list[Any]:
    """Boxes of its heads, world frame, x the way they look."""
    from sim.sensors.meshes.furniture import HEAD_HALF, light_heads, mast_arm

    index = light(sim, actor)
    pose = sim.episode.registry.pose(sim.episode.lights.actors[index])
    tables, network = sim.episode.town.tables, sim.episode.town.network
    arm, facing = mast_arm(network.signals[int(tables.light_signal[index])].t), float(tables.light_yaw[index])
    return [
        [[pose.x + float(x), pose.y + float(y), pose.z + float(z)], list(HEAD_HALF), [0.0, degrees(facing), 0.0], 0]
        for x, y, z in light_heads(arm, facing)
    ]


@value
def query_lights_state(sim: Simulation, client: Any) -> list[Any]:
    """Street lamps: towns here have none."""
    text(client)
    return []


@void
def update_lights_state(sim: Simulation, client: Any, lights: Any, discard: Any) -> None:
    """Accepted: there are no street lamps to change."""
    items(lights, 0, "lights")
    boolean(discard)


@void
def update_day_night_cycle(sim: Simulation, client: Any, enabled: Any) -> None:
    """Accepted, as update_lights_state."""
    boolean(enabled)
