"""The one door to any CARLA server, ours or a real one: connect, retry, check, tick, clean up, come back.

    with connect(ClientConfig(port=2000, town="Alder")) as sim:
        car = sim.spawn("vehicle.tesla.model3", sim.map.get_spawn_points()[0])
        frame = sim.tick()

Whatever happens inside the block, actors that were spawned here are destroyed and the server's settings are as before.
Values are CARLA's own (metres, degrees) and objects are those of the `carla` package.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from time import monotonic, sleep
from types import FrameType
from typing import Any, TypeVar

import carla

from contracts import UserError
from sim.client_config import PROBE_SECONDS, ClientConfig, free_port, wait_for_server
from sim.first_walkers import spend_first_walker
from sim.herald import Herald

__all__ = ["PROBE_SECONDS", "ClientConfig", "ServerLost", "Simulator", "connect", "free_port", "wait_for_server"]

T = TypeVar("T")
GREETING_SECONDS = 10.0
"""How long a server may take for its first answer before another connection is made."""


class ServerLost(RuntimeError):
    """The server does not answer any more. `Simulator.reconnect` comes back to it; `Simulator.run` does that alone."""


class Simulator:
    """A connection to a server. Use `connect` to make one; `world` and `map` are those of the present episode."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self.episodes = 0
        """Towns loaded so far."""
        self._actors: list[Any] = []
        self._manager: Any = None
        self._before: Any = None
        self._herald: Herald | None = None
        self._open()

    # -- coming and going ---------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Connect, load the town, set the mode. Raises UserError."""
        self._connect()
        self.world = self._patiently(self.client.get_world)
        if self._before is None:
            self._before = self.world.get_settings()
        if self.config.town is not None:
            self.load(self.config.town)
        else:
            self._set_mode()

    def _connect(self) -> None:
        """A client of a server that answers and has our version. Raises UserError."""
        config = self.config
        end = monotonic() + config.startup
        while True:
            wait_for_server(config.host, config.port, max(end - monotonic(), PROBE_SECONDS))
            # a fresh client for each try: one whose connection broke never makes another. The port of a real server is
            # open long before it answers, that of a container before its server has one, and of a dying server still
            self.client = carla.Client(config.host, config.port)
            self.client.set_timeout(min(config.timeout, GREETING_SECONDS))
            try:
                server = self.client.get_server_version()
                break
            except RuntimeError as error:
                if monotonic() > end:
                    raise UserError(f"the server at {config.host}:{config.port} does not answer") from error
        self.client.set_timeout(config.timeout)
        mine = self.client.get_client_version()
        if server != mine:
            raise UserError(f"the server at {config.host}:{config.port} is CARLA {server}, this client is {mine}")
        if self._herald is not None:
            self._herald.close()
        self._herald = Herald.of(config.host, config.port)

    def _patiently(self, call: Callable[[], T]) -> T:
        """A call that a busy server may answer late: tried again within the start-up time."""
        end = monotonic() + self.config.startup
        while True:
            try:
                return call()
            except RuntimeError as error:
                text = str(error)
                if "time-out" not in text and "timeout" not in text:
                    raise UserError(text) from error
                if monotonic() > end:
                    raise ServerLost(text) from error

    def _set_mode(self) -> None:
        if self.config.observe:
            self.map = self.world.get_map()
            return
        settings = self.world.get_settings()
        settings.no_rendering_mode = not self.config.rendering
        if self.config.delta is not None:
            settings.synchronous_mode = True
            settings.fixed_delta_seconds = self.config.delta
            settings.substepping = True
            settings.max_substep_delta_time = 0.01
            settings.max_substeps = max(1, min(16, round(self.config.delta / 0.01)))
        self.world.apply_settings(settings)
        self.map = self.world.get_map()
        if self.config.delta is not None:
            self.tick()

    def load(self, town: str) -> None:
        """A fresh episode in `town` (the same one is reloaded). All actors are gone afterwards. Raises UserError."""
        config = self.config
        self._release()
        if config.restart_every and self.episodes and self.episodes % config.restart_every == 0:
            self._restart()
            self._connect()
        self.episodes += 1
        # a real server may need more than the usual time-out for this
        self.client.set_timeout(max(config.timeout, config.startup))
        try:
            names = {name.split("/")[-1] for name in self.client.get_available_maps()}
            if town.split("/")[-1] not in names:
                raise UserError(f"the server has no map '{town}'; it has {', '.join(sorted(names))}")
            self._patiently(lambda: spend_first_walker(self.world))
            # in synchronous mode no step passes before the first that is asked for: an episode can be repeated
            self.world = self._patiently(lambda: self.client.load_world(town, reset_settings=False))
        finally:
            self.client.set_timeout(config.timeout)
        self._set_mode()

    def _restart(self) -> None:
        """Run the restart command and wait for the server."""
        command = shlex.split(self.config.restart)
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=self.config.startup)
        except (OSError, subprocess.SubprocessError) as error:
            raise UserError(f"the restart command '{self.config.restart}' failed: {error}") from error
        wait_for_server(self.config.host, self.config.port, self.config.startup)

    def reconnect(self) -> None:
        """Come back to a server that died: restart it where a command is known, wait for it, set all up again.

        Actors of before are gone. Raises UserError where it does not come back.
        """
        self._actors, self._manager = [], None
        if self.config.restart:
            self._restart()
        self._open()

    def run(self, episode: Callable[[Simulator], T]) -> T:
        """Run `episode`; when the server is lost, reconnect and start the episode again, at most `retries` times."""
        for attempt in range(self.config.retries + 1):
            try:
                return episode(self)
            except (ServerLost, RuntimeError) as error:
                if attempt == self.config.retries or not (isinstance(error, ServerLost) or not self.alive()):
                    raise
                print(f"lost the CARLA server ({error}); reconnecting", file=sys.stderr)
                self.reconnect()
        raise AssertionError("unreachable")

    def alive(self) -> bool:
        """The server answers now."""
        try:
            wait_for_server(self.config.host, self.config.port, PROBE_SECONDS)
            self.client.get_server_version()
        except (RuntimeError, UserError):
            return False
        return True

    def close(self) -> None:
        """Destroy what was spawned here and restore the settings, as far as the server still answers."""
        if not self.alive():
            self._actors, self._manager = [], None
            return
        self.client.set_timeout(min(self.config.timeout, 10.0))
        self._release()
        if not self.config.observe:
            with suppress(RuntimeError):
                self.world.apply_settings(self._before)
        if self._herald is not None:
            self._herald.close()
            self._herald = None

    def clear(self) -> None:
        """Destroy everything that was spawned here; the world and its settings stay."""
        self._release()

    def _release(self) -> None:
        """Stop sensors and the Traffic Manager, destroy actors."""
        for actor in self._actors:
            if hasattr(actor, "stop") and getattr(actor, "is_listening", False):
                with suppress(RuntimeError):
                    actor.stop()
        if self._manager is not None:
            # a manager left in synchronous mode blocks the next tick of anybody
            with suppress(RuntimeError):
                self._manager.set_synchronous_mode(False)
                self._manager.shut_down()
            self._manager = None
        if self._actors:
            with suppress(RuntimeError):
                destroy = [carla.command.DestroyActor(actor.id) for actor in reversed(self._actors)]
                self.client.apply_batch_sync(destroy, False)
        self._actors = []

    # -- the work -----------------------------------------------------------------------------------------------------

    def tick(self) -> int:
        """One step in synchronous mode (elsewhere the next frame); returns the frame. Raises ServerLost."""
        before = int(self.world.get_snapshot().frame)
        try:
            if self.config.delta is None:
                return int(self.world.wait_for_tick(self.config.timeout).frame)
            with self._herald.tick() if self._herald is not None else nullcontext():
                return int(self.world.tick(self.config.timeout))
        except RuntimeError as error:
            # the answer may be late rather than lost: asking again would step twice
            end = monotonic() + self.config.timeout
            while monotonic() < end and self.alive():
                frame = int(self.world.get_snapshot().frame)
                if frame > before:
                    return frame
                sleep(0.1)
            raise ServerLost(str(error)) from error

    def spawn(self, blueprint: str, pose: Any, attach_to: Any = None, **attributes: object) -> Any:
        """Spawn an actor that is destroyed at the end; attribute values may be numbers. Raises UserError."""
        try:
            found = self.world.get_blueprint_library().find(blueprint)
        except IndexError as error:
            raise UserError(f"the server has no blueprint '{blueprint}'") from error
        for name, value in attributes.items():
            if not found.has_attribute(name):
                raise UserError(f"{blueprint} has no attribute '{name}'")
            found.set_attribute(name, str(value).lower() if isinstance(value, bool) else str(value))
        try:
            actor = self.world.spawn_actor(found, pose, attach_to=attach_to)
        except RuntimeError as error:
            raise UserError(f"{blueprint}: {error}") from error
        self._actors.append(actor)
        return actor

    def own(self, *actors: Any) -> None:
        """Take actors that were spawned elsewhere (in a batch) into those destroyed at the end."""
        self._actors.extend(actors)

    def destroy(self, actor: Any) -> None:
        """Destroy one actor now."""
        if hasattr(actor, "stop") and getattr(actor, "is_listening", False):
            actor.stop()
        self._actors = [other for other in self._actors if other.id != actor.id]
        actor.destroy()

    def traffic_manager(self, seed: int = 0) -> Any:
        """This client's Traffic Manager, on a free port, in step with the world, its random numbers from `seed`."""
        if self._manager is None:
            self._manager = self.client.get_trafficmanager(free_port(self.config.manager_port))
            self._manager.set_synchronous_mode(self.config.delta is not None)
            self._manager.set_random_device_seed(seed)
        return self._manager


@contextmanager
def connect(config: ClientConfig | None = None) -> Iterator[Simulator]:
    """A connection that cleans up after itself, also after an error, Ctrl-C or SIGTERM. Raises UserError."""
    with _terminate_gently():
        sim = Simulator(config or ClientConfig())
        try:
            yield sim
        finally:
            sim.close()


@contextmanager
def _terminate_gently() -> Iterator[None]:
    """Let SIGTERM leave the block as an exception (exit code 143) where nobody else handles it."""
    default = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not default or threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
