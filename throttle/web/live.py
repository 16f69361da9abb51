"""The live world behind the page: a thread that watches or runs a CARLA server and keeps the latest of it.

The page never talks to the server itself, so a hundred pages cost it no more than one, and none can stall it.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import carla

from contracts import UserError
from sim.client import PROBE_SECONDS, ClientConfig, ServerLost, Simulator, connect, wait_for_server
from sim.roads.network import RoadNetwork
from throttle.web.config import LiveConfig
from throttle.web.crew import Crew, Pace
from throttle.web.own import OwnServer
from throttle.web.picture import VIEWS, Picture, Pictures
from throttle.web.town import shapes

DELTA = 0.05
REFRESH = 1.0
"""Seconds between looks at what changes rarely: settings, weather, the episode."""
AGAIN = 1.0
"""Seconds before another try to reach the server."""
SILENCE = 1.0
"""Seconds without a tick after which a server is asked whether it still answers."""
ANSWER = 5.0
"""Seconds that a call may take before the server counts as busy: compiling its renderer, loading a town."""
log = logging.getLogger(__name__)
WEATHERS = {
    name: value
    for name, value in vars(carla.WeatherParameters).items()
    if isinstance(value, carla.WeatherParameters) and name != "Default"
}


class LiveWorld:
    """Start, ask for `state`, `town` and `picture`, give orders, stop. Safe to call from any thread."""

    def __init__(self, config: LiveConfig) -> None:
        self.config = config
        self.state: bytes = json.dumps({"status": "starting", "number": 0}).encode()
        """JSON of the present moment."""
        self.number = 0
        """Grows with every state."""
        self.town: bytes = b"null"
        """JSON of the town's shapes."""
        self.pictures = Pictures(config.width, config.height, config.rate)
        self._orders: queue.Queue[tuple[Callable[[Simulator], None], Future[None]]] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-world", daemon=True)
        self._followed = 0
        self._view = "chase"
        self._paused = False
        self._before_pause: Any = None
        self._foreign_clock = False
        self._weather = ""

    def start(self) -> None:
        """Begin; what goes wrong is said in the state and tried again."""
        self._thread.start()

    def stop(self) -> None:
        """End, leaving the server as it was."""
        self._stop.set()
        self._thread.join(30.0)

    @property
    def picture(self) -> Picture | None:
        """The latest picture; asking keeps the camera on."""
        return self.pictures.latest()

    # -- orders -------------------------------------------------------------------------------------------------------

    def order(self, what: str, value: Any = None) -> Future[None]:
        """Do something to the world; the future holds a UserError where it cannot be done.

        follow: id of a vehicle. view: one of VIEWS. pause: bool. step: a tick while paused. weather: a CARLA preset.
        """
        done: Future[None] = Future()
        known = {
            "follow": self._follow, "view": self._look, "pause": self._pause, "step": self._step,
            "weather": self._set_weather,
        }  # fmt: skip
        if what not in known:
            done.set_exception(UserError(f"unknown order '{what}'; known: {', '.join(known)}"))
        else:
            self._orders.put((lambda sim: known[what](sim, value), done))
        return done

    def _follow(self, sim: Simulator, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 32:
            raise UserError("follow: needs the number of a vehicle")
        actor = sim.world.get_actor(value)
        if actor is None or not actor.type_id.startswith("vehicle."):
            raise UserError(f"follow: there is no vehicle {value}")
        self._followed = value

    def _look(self, sim: Simulator, value: Any) -> None:
        if not isinstance(value, str) or value not in VIEWS:
            raise UserError(f"view: one of {', '.join(VIEWS)}")
        self._view = value

    def _pause(self, sim: Simulator, value: Any) -> None:
        if not isinstance(value, bool):
            raise UserError("pause: true or false")
        if self._foreign_clock:
            raise UserError("another client drives this server's time: it cannot be paused from here")
        if value == self._paused:
            return
        if value:
            settings = sim.world.get_settings()
            self._before_pause = sim.world.get_settings()
            settings.synchronous_mode = True
            settings.fixed_delta_seconds = settings.fixed_delta_seconds or DELTA
            sim.world.apply_settings(settings)
        else:
            sim.world.apply_settings(self._before_pause)
        self._paused = value

    def _step(self, sim: Simulator, value: Any) -> None:
        if not self._paused:
            raise UserError("step: pause first")
        sim.world.tick(ANSWER)

    def _set_weather(self, sim: Simulator, value: Any) -> None:
        if not isinstance(value, str) or value not in WEATHERS:
            raise UserError(f"weather: one of {', '.join(WEATHERS)}")
        sim.world.set_weather(WEATHERS[value])
        self._weather = value

    def _obey(self, sim: Simulator) -> None:
        """Carry out what was ordered."""
        while True:
            try:
                work, done = self._orders.get_nowait()
            except queue.Empty:
                return
            try:
                work(sim)
                done.set_result(None)
            except (UserError, RuntimeError) as error:
                done.set_exception(error if isinstance(error, UserError) else UserError(str(error)))
            except Exception as error:  # whatever a page sends, the world goes on
                log.exception("an order failed")
                done.set_exception(UserError(f"the order failed: {error}"))

    def _refuse(self, why: str) -> None:
        """Answer orders while there is no world."""
        with suppress(queue.Empty):
            while True:
                self._orders.get_nowait()[1].set_exception(UserError(why))

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        own = None if self.config.server else OwnServer(self.config.town)
        try:
            while not self._stop.is_set():
                try:
                    self._attend(own)
                except (UserError, RuntimeError) as error:
                    self._say("waiting", str(error))
                except Exception as error:
                    log.exception("the live world failed")
                    self._say("waiting", f"{type(error).__name__}: {error}")
                end = time.monotonic() + AGAIN
                while time.monotonic() < end and not self._stop.is_set():
                    self._refuse("there is no world at the moment")
                    time.sleep(0.05)
        finally:
            if own is not None:
                own.stop()

    def _attend(self, own: OwnServer | None) -> None:
        """One connection, as long as it holds. Raises where it does not."""
        self._paused = self._foreign_clock = False
        config = self.config
        if own is None:
            host, port = config.address() or ("", 0)
        else:
            self._say("starting", "starting a simulator; the first start after an installation compiles for a minute")
            own.start()
            own.add_traffic(config.vehicles, config.walkers, config.seed)
            host, port = "127.0.0.1", own.port

        def there() -> bool:
            return own.alive() if own is not None else _answers((host, port))

        client = ClientConfig(host=host, port=port, delta=None, observe=True, timeout=ANSWER, startup=2.0)
        with connect(client) as sim:
            try:
                self._watch(sim, there)
            finally:
                if self._paused and there():  # time must not stand still because a page was closed
                    with suppress(RuntimeError):
                        sim.world.apply_settings(self._before_pause)

    def _await(self, sim: Simulator) -> None:
        """The next step of the world. Raises RuntimeError where none comes."""
        if self._paused:
            self._stop.wait(DELTA)
            return
        try:
            sim.world.wait_for_tick(SILENCE)
        except RuntimeError:
            # a synchronous server is silent while its client thinks; one that does not answer either is busy or gone
            self._refresh(sim)

    def _watch(self, sim: Simulator, there: Callable[[], bool]) -> None:
        """Publish states until told to stop or until the episode changes. Raises where the server is not there."""
        town = sim.map
        self.town = json.dumps(
            {"episode": sim.world.id, **shapes(RoadNetwork.parse(town.to_opendrive(), town.name.split("/")[-1]))}
        ).encode()
        crew, pace = Crew(sim), Pace()
        self._followed = 0
        looked = 0.0
        try:
            while not self._stop.is_set():
                try:
                    self._obey(sim)
                    self._await(sim)
                    if time.monotonic() - looked > REFRESH:
                        looked = time.monotonic()
                        if not there():
                            raise ServerLost("the server is gone")
                        if sim.client.get_world().id != sim.world.id:
                            return
                        self._refresh(sim)
                    self._publish(sim, crew, pace)
                    vehicle = sim.world.get_actor(self._followed) if self._followed else None
                    self.pictures.tend(sim, vehicle, self._view)
                except RuntimeError:
                    if not there():
                        raise
                    self._say("busy", "the server is busy; after an installation it compiles for a minute or so")
        finally:
            if there():
                self.pictures.close(sim)

    def _refresh(self, sim: Simulator) -> None:
        """What changes rarely."""
        settings = sim.world.get_settings()
        self._foreign_clock = bool(settings.synchronous_mode and not self._paused)
        present = sim.world.get_weather()
        if WEATHERS.get(self._weather) != present:
            self._weather = next((name for name, value in WEATHERS.items() if value == present), "")

    def _publish(self, sim: Simulator, crew: Crew, pace: Pace) -> None:
        snapshot = sim.world.get_snapshot()
        moving = crew.look(snapshot)
        vehicles = moving["vehicles"]
        if not any(row[0] == self._followed for row in vehicles):
            self._followed = crew.hero() or (int(vehicles[0][0]) if vehicles else 0)
        self._say(
            "live", "",
            town=sim.map.name.split("/")[-1], episode=sim.world.id, frame=snapshot.frame,
            time=round(snapshot.timestamp.elapsed_seconds, 2), pace=pace.of(snapshot), paused=self._paused,
            can_pause=not self._foreign_clock, weather=self._weather, weathers=list(WEATHERS), followed=self._followed,
            view=self._view, views=list(VIEWS), server=self.config.server, **moving,
        )  # fmt: skip

    def _say(self, status: str, message: str, **facts: Any) -> None:
        self.number += 1
        self.state = json.dumps({"status": status, "message": message, "number": self.number, **facts}).encode()


def _answers(address: tuple[str, int]) -> bool:
    """Somebody listens there."""
    try:
        wait_for_server(*address, PROBE_SECONDS)
    except UserError:
        return False
    return True
