"""The scene of a town and its renderers: what all cameras, lidars and radars of a server share.

A scene takes seconds to build, and its kernels load or compile meanwhile: a thread of its own does that while the
server goes on. It begins before the first client comes (option `prepare`) or with the first sensor that needs it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numba
import numpy as np
from numpy.typing import NDArray

from sim.sensors import lidar as beams
from sim.sensors.actors import LAMP_BITS, PROP, WALKER, Actors
from sim.sensors.camera import OUTPUTS, Camera, Lens, Renderer
from sim.sensors.meshes.designs import Body, Lamp
from sim.sensors.meshes.props import paint_of, shape_of
from sim.sensors.scene.town import scene_of
from sim.sensors.weather import Weather
from sim.sensors.world_view import actors_of, lights_of
from sim.server.arguments import Pose
from sim.server.blueprints import Kind
from sim.server.landscape import things_of
from sim.server.sensors import Moment
from sim.server.town import Town
from sim.world import fields as f

KEPT = 4
"""Towns whose scenes are kept (some 250 MB each)."""
LAMP_FLAGS = ((2, Lamp.HEAD), (4, Lamp.HEAD), (8, Lamp.BRAKE), (16, Lamp.RIGHT), (32, Lamp.LEFT), (64, Lamp.REVERSE))
"""Bits of VehicleLightState and the lamps they switch on."""


Place = tuple[int, Pose, int, int, float, Lens]
"""Where cameras are the same: parent (0 none; minus its own id on a spring arm), pose (relative to the parent), width,
height, field of view, lens."""


@dataclass
class _Shared:
    """What the cameras of one place share: this tick's pictures, and what is asked for."""

    frame: int = -1
    found: dict[str, NDArray] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    expected: set[str] = field(default_factory=set)
    develop: tuple[float, float, float, float] = (0.0, 0.675, 2.2, Camera.noise)
    """Exposure, bloom, gamma and noise of the colour camera."""


class Stage:
    """The scene of a town and its renderers; what the sensors of one tick share."""

    def __init__(self, town: Town) -> None:
        scene = scene_of(town.network, 0)
        self.renderer = Renderer(scene=scene)
        self.caster = beams.RayCaster(scene)
        self.fixed = beams.RayCaster(scene)
        """Of the town alone, without actors."""
        self.things = things_of(scene)
        self._town = town
        self._frame = -1
        self._cast = -1
        self._actors = Actors.of([], np.zeros((0, 6)))
        self._shared: dict[Place, _Shared] = {}

    def picture(self, place: Place, camera: Camera, outputs: tuple[str, ...], moment: Moment) -> dict[str, NDArray]:
        """At least these outputs of this tick. Cameras of one place share one pass over the scene.

        Drawn is what was asked for in this tick so far and what the cameras of the place asked for last time.
        """
        shared = self._shared.setdefault(place, _Shared())
        if shared.frame != moment.frame:
            shared.frame, shared.found = moment.frame, {}
            shared.expected, shared.asked = shared.asked, set()
        shared.asked |= set(outputs)
        if "rgb" in outputs:
            look = camera.exposure, camera.bloom, camera.gamma, camera.noise
            if shared.develop != look:
                shared.found.pop("rgb", None)
            shared.develop = look
        if not set(outputs) <= set(shared.found):
            wanted = (shared.asked | shared.expected) - set(shared.found)
            exposure, bloom, gamma, noise = shared.develop
            with all_threads():
                shared.found |= self.renderer.render(
                    replace(camera, exposure=exposure, bloom=bloom, gamma=gamma, noise=noise), self.actors(moment),
                    self.weather(moment), lights_of(moment.episode.world.state), sorted(wanted), moment.elapsed,
                    moment.episode.ticks,
                )  # fmt: skip
        return shared.found

    def actors(self, moment: Moment) -> Actors:
        """Vehicles, walkers and props of the tick, with the ids, paint and lamps of the server's actors."""
        if self._frame == moment.frame:
            return self._actors
        self._frame = moment.frame
        episode = moment.episode
        state, bodies = episode.world.state, episode.bodies
        found = actors_of(state, self._town.tables, 0, self.weather(moment))
        who = [bodies.of_vehicle.get(int(i)) for i in np.flatnonzero(state.vehicles.mode[0] != f.ABSENT)]
        who += [bodies.of_walker.get(int(i)) for i in np.flatnonzero(state.walkers.mode[0] != f.ABSENT)]
        who += [bodies.of_prop.get(int(i)) for i in np.flatnonzero(state.statics.mode[0] != f.ABSENT)]
        ids, kind, paint, lamps = found.id.copy(), found.kind.copy(), found.paint.copy(), found.lamps.copy()
        for row, actor in enumerate(who):
            if actor is None:
                continue
            ids[row] = 1 + (actor.id - 1) % 32767
            if actor.kind is Kind.PROP:
                kind[row], paint[row] = PROP + shape_of(actor.type_id), paint_of(actor.type_id)
            if actor.vehicle is not None:
                paint[row] = _paint(actor.attributes.get("color", ""), paint[row])
                for flag, lamp in LAMP_FLAGS:
                    if actor.vehicle.lights & flag:
                        lamps[row] |= LAMP_BITS[lamp]
        self._actors = replace(found, id=ids, kind=kind, paint=paint, lamps=lamps)
        return self._actors

    def rays(self, moment: Moment) -> beams.RayCaster:
        """The ray caster with this tick's actors."""
        if self._cast != moment.frame:
            self._cast = moment.frame
            self.caster.update(self.actors(moment))
        return self.caster

    def rehearse(self) -> None:
        """Use every kernel once, so that none loads or compiles in a tick."""
        people, eye = Actors.of([Body.SEDAN, WALKER], np.array([[6.0, 0.0, 0.0], [5.0, 2.0, 0.0]])), Camera(32, 18)
        lights = np.zeros(len(self._town.lights), np.int32)
        for weather in (Weather(), Weather(precipitation_deposits=80.0, wetness=80.0, sun_altitude_angle=-20.0)):
            self.renderer.render(eye, people, weather, lights, OUTPUTS, previous=(eye, people))
        self.caster.update(people)
        up, still = beams.Pose(z=2.0), np.zeros(3, np.float32)
        beams.scan(self.caster, beams.Lidar(channels=2, points_per_second=100), up, 0.1)
        beams.semantic_scan(self.caster, beams.Lidar(channels=2, points_per_second=100), up, 0.1)
        beams.radar_scan(self.caster, beams.Radar(points_per_second=100), up, 0.1, still)

    @staticmethod
    def weather(moment: Moment) -> Weather:
        """The episode's weather."""
        return Weather(*moment.episode.weather)


@contextmanager
def all_threads() -> Iterator[None]:
    """Let the renderer use every core; the world's step goes back to what it had."""
    before = numba.get_num_threads()
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    try:
        yield
    finally:
        numba.set_num_threads(before)


_KEPT: OrderedDict[Town, Future[Stage]] = OrderedDict()


def stage_of(town: Town) -> Future[Stage]:
    """The stage of a town: begun at its first use, ready some seconds later."""
    found = _KEPT.get(town)
    if found is None:
        found = _KEPT[town] = Future()
        threading.Thread(target=_build, args=(town, found), name=f"scene of {town.name}", daemon=True).start()
        if numba.threading_layer() == "workqueue":
            found.exception()  # kernels of two threads must not meet there: all wait
        while len(_KEPT) > KEPT:
            _KEPT.popitem(last=False)
    _KEPT.move_to_end(town)
    return found


def _build(town: Town, stage: Future[Stage]) -> None:
    try:
        found = Stage(town)
        found.rehearse()
    except BaseException as error:
        stage.set_exception(error)
        raise
    stage.set_result(found)


def _paint(color: str, default: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear RGB of an attribute such as "17,37,103"."""
    try:
        values = [min(max(int(part), 0), 255) / 255 for part in color.split(",")]
    except ValueError:
        return default
    if len(values) != 3:
        return default
    return np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values], np.float32)
