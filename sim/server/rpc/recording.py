"""Recorder and replayer."""

from __future__ import annotations

from typing import Any

from sim.server.arguments import boolean, integer, number, text, transform
from sim.server.errors import CallError
from sim.server.recorder import RecordingError
from sim.server.rpc.table import value, void
from sim.server.simulation import Simulation


@value
def start_recorder(sim: Simulation, name: Any, additional_data: Any = False) -> str:
    """Record the episode into a file of the server's recordings folder; answers its path."""
    boolean(additional_data)
    try:
        return sim.recorder.start(sim.episode, text(name))
    except RecordingError as error:
        raise CallError(str(error)) from error


@void
def stop_recorder(sim: Simulation) -> None:
    """Finish the file."""
    sim.recorder.stop()


@value
def show_recorder_file_info(sim: Simulation, name: Any, every: Any) -> str:
    """A recording in words; with `every` one line for each frame's actors."""
    return sim.recorder.describe(text(name), boolean(every))


@value
def show_recorder_collisions(sim: Simulation, name: Any, first: Any, second: Any) -> str:
    """Collisions of a recording between two kinds of actor (h hero, v vehicle, w walker, t light, o other, a any)."""
    return sim.recorder.collisions(text(name), chr(integer(first, 0, 127)), chr(integer(second, 0, 127)))


@value
def show_recorder_actors_blocked(sim: Simulation, name: Any, seconds: Any, metres: Any) -> str:
    """Actors of a recording that moved less than `metres` for more than `seconds`."""
    return sim.recorder.blocked(text(name), number(seconds), number(metres))


@value
def replay_file(
    sim: Simulation, name: Any, start: Any, duration: Any, follow: Any, sensors: Any = False, offset: Any = None
) -> str:
    """Play a recording from `start` seconds (negative: from its end) for `duration` (0: all), also its `sensors`."""
    view = transform(offset) if offset is not None else None
    begin, length, watched = number(start), number(duration), integer(follow)
    try:
        return sim.replayer.start(sim, text(name), begin, length, watched, view, boolean(sensors))
    except RecordingError as error:
        raise CallError(str(error)) from error


@void
def stop_replayer(sim: Simulation, keep_actors: Any) -> None:
    """End the replay, keeping its actors or not."""
    sim.replayer.stop(sim, boolean(keep_actors))


@void
def set_replayer_time_factor(sim: Simulation, factor: Any) -> None:
    """Speed of the replay."""
    sim.replayer.factor = max(0.0, min(number(factor), 100.0))


@void
def set_replayer_ignore_hero(sim: Simulation, ignore: Any) -> None:
    """Leave the hero out of the next replay."""
    sim.replayer.ignore_hero = boolean(ignore)


@void
def set_replayer_ignore_spectator(sim: Simulation, ignore: Any) -> None:
    """Leave the spectator where it is."""
    sim.replayer.ignore_spectator = boolean(ignore)
