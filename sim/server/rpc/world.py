"""Version, episode, settings, ticks, weather, debug drawing."""

from __future__ import annotations

from typing import Any

from sim.server import settings as episode_settings
from sim.server.arguments import boolean, items, number, text
from sim.server.episode import WEATHER
from sim.server.errors import CallError
from sim.server.rpc.table import Style, method, value, void
from sim.server.simulation import Simulation
from sim.server.streams import WORLD

VERSION = "0.9.16"


@value
def version(sim: Simulation) -> str:
    """The CARLA version whose protocol this is."""
    return VERSION


@value
def get_episode_info(sim: Simulation) -> list[Any]:
    """Episode id and the token of the snapshot stream."""
    return [sim.episode.number, [sim.token(WORLD)]]


@value
def get_episode_settings(sim: Simulation) -> list[Any]:
    """EpisodeSettings."""
    return sim.settings.wire()


@value
def set_episode_settings(sim: Simulation, given: Any) -> int:
    """Change the settings; returns the current frame."""
    sim.set_settings(episode_settings.parse(given))
    return sim.frame


@value
def tick_cue(sim: Simulation) -> int:
    """Step once in synchronous mode; in asynchronous mode name the frame that the clock will reach next."""
    if not sim.settings.synchronous:
        return sim.frame + 1
    frame = sim.tick()
    if sim.caller is not None:
        sim.caller.ticked = frame
    return frame


@value
def get_weather_parameters(sim: Simulation) -> list[Any]:
    """WeatherParameters."""
    return sim.episode.weather


@void
def set_weather_parameters(sim: Simulation, weather: Any) -> None:
    """Rendered sensors look at it; as in CARLA it does not change the grip of the road.

    WeatherParameters.Default, whose first nine fields are -1, is the weather that an episode begins with.
    """
    values = [number(v, "weather") for v in items(weather, 14, "weather")[:14]]
    sim.episode.weather = list(WEATHER) if set(values[:9]) == {-1.0} else values


@value
def get_imui_gravity(sim: Simulation) -> float:
    """Gravity that the IMU feels, m/s^2."""
    return sim.episode.gravity


@void
def set_imui_gravity(sim: Simulation, gravity: Any) -> None:
    """Change it."""
    sim.episode.gravity = number(gravity, "gravity")


@void
def draw_debug_shape(sim: Simulation, shape: Any) -> None:
    """Accepted: there is no window to draw in."""
    items(shape, 4, "debug shape")


@method(Style.VOID, "clear_debug_shape", "clear_debug_string")
def clear_debug(sim: Simulation) -> None:
    """Accepted, as draw_debug_shape."""


@void
def set_annotations_traverse_translucency(sim: Simulation, enabled: Any) -> None:
    """Accepted: nothing is translucent."""
    boolean(enabled)


@void
def console_command(sim: Simulation, command: Any) -> None:
    """Refused: there is no Unreal console."""
    raise CallError(f"there is no console on this server for '{text(command)[:80]}'")
