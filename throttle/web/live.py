"""The live world behind the page: a thread that watches or runs a CARLA server and keeps the latest of it.

The page never talks to the server itself, so a hundred pages cost it no more than one, and none can stall it.
"""

from __future__ import annotations

import json
import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import carla

from contracts import UserError
from sim.client import ClientConfig, ServerLost, Simulator, connect
from sim.roads.network import RoadNetwork
from throttle.web.config import LiveConfig
from throttle.web.own import OwnServer
from throttle.web.picture import VIEWS, Picture, Pictures
from throttle.web.town import shapes
from throttle.web.traffic import populate

DELTA = 0.05
REFRESH = 1.0
"""Seconds between looks at what changes rarely: settings, weather, the episode."""
AGAIN = 1.0
"""Seconds before another try to reach the server."""
PATIENCE = 300.0
"""Seconds a server may be silent while it compiles its renderer or loads a town."""
LIGHTS = {"Green": 1, "Yellow": 2, "Red": 3}
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
        if value not in VIEWS:
            raise UserError(f"view: one of {', '.join(VIEWS)}")
        self._view = value

    def _pause(self, sim: Simulator, value: Any) -> None:
        if not isinstance(value, bool):
            raise UserError("pause: true or false")
        if self._foreign_clock:
            raise UserError("another client drives this server's time: it cannot be paused from here")
        if value == self._paused:
            return
        if self.config.server:
            settings = sim.world.get_settings()
            if value:
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
        sim.world.tick(PATIENCE)

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
                except (UserError, ServerLost, RuntimeError) as error:
                    self._say("waiting", str(error))
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
        if own is not None:
            self._say("starting", "starting a simulator; the first start after an installation compiles for a minute")
            own.start()
            with connect(ClientConfig(port=own.port, delta=DELTA, timeout=PATIENCE)) as sim:
                populate(sim, self.config.vehicles, self.config.walkers, self.config.seed)
                self._watch(sim, lambda: self._advance(sim))
            return
        host, port = self.config.address() or ("", 0)
        config = ClientConfig(host=host, port=port, delta=None, observe=True, timeout=PATIENCE, startup=2.0)
        with connect(config) as sim:
            try:
                self._watch(sim, lambda: self._await(sim))
            finally:
                if self._paused:  # time must not stand still because a page was closed
                    with suppress(RuntimeError):
                        sim.world.apply_settings(self._before_pause)

    def _advance(self, sim: Simulator) -> None:
        """Our own world's next step, at the pace of real time."""
        began = time.monotonic()
        if not self._paused:
            sim.tick()
        self._stop.wait(max(0.005, DELTA - (time.monotonic() - began)))

    def _await(self, sim: Simulator) -> None:
        """The next step of a world that somebody else runs."""
        if self._paused:
            self._stop.wait(DELTA)
            return
        try:
            sim.world.wait_for_tick(0.5)
        except RuntimeError as error:
            # silence is what a synchronous server does whose client thinks; a dead one refuses the next call
            if not sim.alive():
                raise ServerLost("the server is gone") from error

    def _watch(self, sim: Simulator, wait: Callable[[], None]) -> None:
        """Publish states until told to stop or until the episode changes."""
        town = sim.map
        self.town = json.dumps(
            {"episode": sim.world.id, **shapes(RoadNetwork.parse(town.to_opendrive(), town.name.split("/")[-1]))}
        ).encode()
        crew = _Crew(sim)
        self._followed = 0
        looked = 0.0
        speed = _Speed()
        try:
            while not self._stop.is_set():
                self._obey(sim)
                wait()
                now = time.monotonic()
                if now - looked > REFRESH:
                    looked = now
                    if sim.client.get_world().id != sim.world.id:
                        return
                    settings = sim.world.get_settings()
                    self._foreign_clock = bool(self.config.server and settings.synchronous_mode and not self._paused)
                    present = sim.world.get_weather()
                    if WEATHERS.get(self._weather) != present:
                        self._weather = next((name for name, value in WEATHERS.items() if value == present), "")
                self._publish(sim, crew, speed)
                self.pictures.tend(sim, sim.world.get_actor(self._followed) if self._followed else None, self._view)
        finally:
            self.pictures.close(sim)

    def _publish(self, sim: Simulator, crew: _Crew, speed: _Speed) -> None:
        snapshot = sim.world.get_snapshot()
        moving = crew.look(snapshot)
        vehicles = moving["vehicles"]
        if not any(row[0] == self._followed for row in vehicles):
            self._followed = crew.hero() or (int(vehicles[0][0]) if vehicles else 0)
        self._say(
            "live", "",
            town=sim.map.name.split("/")[-1], episode=sim.world.id, frame=snapshot.frame,
            time=round(snapshot.timestamp.elapsed_seconds, 2), pace=speed.of(snapshot), paused=self._paused,
            can_pause=not self._foreign_clock, weather=self._weather, weathers=list(WEATHERS), followed=self._followed,
            view=self._view, views=list(VIEWS), server=self.config.server, **moving,
        )  # fmt: skip

    def _say(self, status: str, message: str, **facts: Any) -> None:
        self.number += 1
        self.state = json.dumps({"status": status, "message": message, "number": self.number, **facts}).encode()


class _Speed:
    """Simulated seconds a second, over the last two seconds or so."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, float]] = []

    def of(self, snapshot: Any) -> float:
        """With this snapshot."""
        now = time.monotonic()
        self._marks = [m for m in self._marks if now - m[0] < 2.0] + [(now, snapshot.timestamp.elapsed_seconds)]
        first = self._marks[0]
        return round((self._marks[-1][1] - first[1]) / max(now - first[0], 1e-3), 2) if len(self._marks) > 1 else 0.0


class _Crew:
    """The actors of an episode as rows for the page; descriptions are asked for once."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._known: dict[int, Any] = {}
        self._lights: list[tuple[Any, float, float]] = []

    def hero(self) -> int:
        """The vehicle that somebody drives, 0 where none says so."""
        for number, actor in self._known.items():
            if actor.attributes.get("role_name") in ("hero", "ego", "ego_vehicle") and actor.type_id[:7] == "vehicle":
                return number
        return 0

    def look(self, snapshot: Any) -> dict[str, list[list[float]]]:
        """vehicles: id, x, y, yaw (rad), half length, half width, m/s; walkers: id, x, y; lights: x, y, LightState."""
        present = {item.id: item for item in snapshot}
        if present.keys() - self._known.keys():
            self._known = {actor.id: actor for actor in self._sim.world.get_actors()}
            lights = [a for a in self._known.values() if a.type_id == "traffic.traffic_light"]
            self._lights = [(a, *_spot(a)) for a in lights]
        vehicles, walkers = [], []
        for number, item in present.items():
            actor = self._known.get(number)
            if actor is None:
                continue
            kind = actor.type_id.split(".")[0]
            if kind not in ("vehicle", "walker"):
                continue
            pose = item.get_transform()
            row = [number, round(pose.location.x, 2), round(pose.location.y, 2)]
            if kind == "walker":
                walkers.append(row)
                continue
            half, speed = actor.bounding_box.extent, item.get_velocity().length()
            yaw = math.radians(pose.rotation.yaw)
            vehicles.append([*row, round(yaw, 3), round(half.x, 2), round(half.y, 2), round(speed, 1)])
        lights = [[x, y, LIGHTS.get(str(light.state), 0)] for light, x, y in self._lights if light.id in present]
        return {"vehicles": vehicles, "walkers": walkers, "lights": lights}


def _spot(light: Any) -> tuple[float, float]:
    """Where a light is drawn: the middle of the stretch of road that it watches."""
    place = light.get_transform().transform(light.trigger_volume.location)
    return round(place.x, 1), round(place.y, 1)
