"""The simulation that clients share: settings, frames, episodes, Traffic Managers. No sockets in here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, Protocol

from sim.server import streams
from sim.server.episode import Episode
from sim.server.recorder import Recorder
from sim.server.replayer import Replayer
from sim.server.sensors import SENSOR_INDEX, WORLD_OBSERVER
from sim.server.settings import Settings
from sim.server.streams import Streams
from sim.server.town import Town
from sim.server.towns import TownLibrary
from sim.world.config import WorldConfig

NOWHERE = (0.0,) * 6
SLOWEST = 0.25
"""Seconds; the longest step of asynchronous time."""


class Caller(Protocol):
    """The connection that a call came on."""

    host: str
    """Address of the peer."""
    ticked: int
    """The newest frame that it asked for in synchronous mode, -1 before."""
    asked: int
    """Port of the Traffic Manager that it last asked for."""


@dataclass(frozen=True)
class Manager:
    """A Traffic Manager that a client announced: where it listens and on which connection it was announced."""

    host: str
    port: int
    owner: Caller | None


def say(text: str) -> None:
    """One line for who runs the server."""
    print(f"throttle sim: {text}", file=sys.stderr, flush=True)


class Simulation:
    """What the calls act upon. `caller` is the connection whose call is being served."""

    def __init__(self, towns: TownLibrary, town: str, stream_port: int, rate: float, config: WorldConfig) -> None:
        self.towns = towns
        self.stream_port = stream_port
        self.rate = rate
        self._config = config
        self.streams = Streams()
        self.settings = Settings()
        self.frame = 0
        self.managers: dict[int, Manager] = {}
        self.caller: Caller | None = None
        self.synchronous_owner: Caller | None = None
        """The connection that turned synchronous mode on, at the frame `synchronous_since`."""
        self.synchronous_since = 0
        self.recorder = Recorder()
        self.replayer = Replayer()
        self.custom_map: str | None = None
        """OpenDRIVE text of generate_opendrive_world."""
        self.batches = 0
        """Calls of apply_batch since the last tick by clients with a Traffic Manager: the end of its step."""
        self.looks = 0
        """Their calls of get_vehicle_light_states since then: its beginning."""
        self.announcers: dict[Caller, float | None] = {}
        """Connections that say when a client goes into a tick: since when (monotonic) it is in one, None outside."""
        self.announced_frame = 0
        """The frame at which the last of them said so."""
        self.on_load: list[Callable[[Town], object]] = []
        """Called with the town of each new episode."""
        self._map_changed = True
        self._last_wall = monotonic()
        self.episode = self._make(1, towns.load(town), None)

    def _make(self, number: int, town: Town, former: Episode | None) -> Episode:
        return Episode(number, town, self._config, self.streams, self.token, former)

    def token(self, stream: int) -> bytes:
        """The stream token of a stream of this server."""
        return streams.token(stream, self.stream_port)

    def load(self, town: Town, reset_settings: bool) -> None:
        """A new episode: all actors gone, lights and ids start anew, frames go on."""
        self.recorder.stop()
        self.replayer = Replayer()
        self.episode.close()
        self.episode = self._make(self.episode.number + 1, town, self.episode)
        self._map_changed = True
        if reset_settings:
            self.settings = Settings()
            self.synchronous_owner = None
        for callback in self.on_load:
            callback(town)
        say(f"episode {self.episode.number}: {town.name}")

    def load_for_replay(self, town: Town) -> None:
        """A new episode in a recording's town, with the replayer that asks for it and the settings as they are."""
        replayer = self.replayer
        self.load(town, False)
        self.replayer = replayer

    def set_settings(self, settings: Settings) -> None:
        """Change how time runs."""
        if settings.synchronous and not self.settings.synchronous:
            self.synchronous_owner, self.synchronous_since = self.caller, self.frame
        if not settings.synchronous:
            self.synchronous_owner = None
        self.settings = settings

    def step_seconds(self) -> float:
        """Length of the next tick."""
        fixed = self.settings.fixed_delta
        if fixed is not None:
            return fixed
        elapsed = monotonic() - self._last_wall
        return min(max(elapsed, 1e-3), SLOWEST)

    def ready(self) -> bool:
        """The next tick loses nobody anything: who is about to listen has arrived, what is listened to can measure."""
        return self.streams.settled() and self.episode.sensors.ready(self.streams.wanted)

    def tick(self) -> int:
        """Advance once and push what subscribers get; returns the frame."""
        dt = self.step_seconds()
        self._last_wall = monotonic()
        self.frame += 1
        self.batches = self.looks = 0
        episode = self.episode
        self.replayer.before_step(self, dt)
        episode.step(dt, self.settings.substeps(dt))
        self.replayer.after_step(self)
        moment = episode.moment(self.frame, dt)
        self._push(episode.sensors.measure(moment, True, self.streams.wanted))
        self.recorder.record(episode, self.frame, dt)
        head, rows = episode.registry.snapshot.body(episode.number, time(), dt, self._map_changed)
        self._map_changed = False
        self.streams.push(
            streams.WORLD, streams.header(WORLD_OBSERVER, self.frame, episode.elapsed, NOWHERE), head, rows
        )
        self._push(episode.sensors.measure(moment, False, self.streams.wanted))
        return self.frame

    def _push(self, messages: list[tuple[Any, bytes]]) -> None:
        for sensor, message in messages:
            pose = tuple(self.episode.registry.pose(sensor))
            index = SENSOR_INDEX[sensor.type_id]
            self.streams.push(sensor.stream, streams.header(index, self.frame, self.episode.elapsed, pose), message)

    def manages(self) -> bool:
        """The present call comes from a client that runs a Traffic Manager."""
        return any(manager.owner is self.caller for manager in self.managers.values())

    def leave(self, caller: Caller, others: list[Caller]) -> None:
        """A connection is gone: free what it held, so that time runs again and its Traffic Manager's port is free."""
        for port in [port for port, manager in self.managers.items() if manager.owner is caller]:
            del self.managers[port]
            say(f"the client at {caller.host} is gone: its Traffic Manager on port {port} is forgotten")
        self.announcers.pop(caller, None)
        if self.synchronous_owner is caller and self.settings.synchronous:
            self.synchronous_owner = None
            ticking = [other for other in others if other.ticked > self.synchronous_since]
            if ticking:
                self.synchronous_owner = ticking[0]
            else:
                self.settings = Settings()
                say(f"the client at {caller.host} left in synchronous mode: the server runs asynchronously again")
