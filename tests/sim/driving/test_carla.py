"""The expert on a CARLA server of our own, through the real client: what it sees and goes round, a route to its end."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from contracts import LightState, ObjectClass
from sim.client import ClientConfig, Simulator, connect
from sim.driving.carla_view import CarlaView
from sim.driving.expert import Expert
from sim.driving.loop import drive_route, steps
from sim.driving.routes import NamedRoute, named_routes
from sim.roads import load

carla = pytest.importorskip("carla")


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    command = [sys.executable, "-m", "throttle.cli", "sim", "serve", "--port", "0"]
    environment = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        assert server.stdout is not None
        found = re.search(r":(\d+)$", server.stdout.readline().strip())
        assert found
        with connect(ClientConfig(port=int(found[1]), town="Alder")) as simulator:
            yield simulator
    finally:
        server.terminate()
        server.wait(30)


def place(sim: Simulator, named: NamedRoute, ahead: int = 0, model: str = "vehicle.tesla.model3"):  # type: ignore[no-untyped-def]
    """A car on a route's point, facing along it."""
    route = named.route
    pose = carla.Transform(
        carla.Location(float(route.x[ahead]), float(route.y[ahead]), float(route.z[ahead]) + 0.1),
        carla.Rotation(yaw=math.degrees(float(route.yaw[ahead]))),
    )
    return sim.spawn(model, pose)


def test_what_it_sees(sim: Simulator) -> None:
    named = named_routes(load("Alder"), "train", 1, seed=8)[0]
    ego, other = place(sim, named), place(sim, named, 14, "vehicle.dodge.charger_police_2020")
    walker = sim.spawn("walker.pedestrian.0001", carla.Transform(ego.get_location() + carla.Location(3, 9, 1)))
    lights = sim.world.get_actors().filter("traffic.traffic_light*")
    for light in lights:
        light.set_state(carla.TrafficLightState.Red)
        light.freeze(True)
    sim.tick()
    view = CarlaView(sim, ego, collisions=False)
    sim.tick()
    around = view.look()
    assert (around.lights == LightState.RED).all()
    assert len(around.lights) == len(view.network.lane_tables().light_x)
    seen = dict(zip(around.id.tolist(), range(len(around))))
    assert set(seen) == {other.id, walker.id}
    at = other.get_transform()
    k = seen[other.id]
    assert around.kind[k] == ObjectClass.CAR
    np.testing.assert_allclose(around.place[k, :2], [at.location.x, at.location.y], atol=0.2)
    assert around.yaw[k] == pytest.approx(math.radians(at.rotation.yaw), abs=1e-3)
    assert around.half_extent[k, 0] == pytest.approx(other.bounding_box.extent.x)
    assert around.kind[seen[walker.id]] == ObjectClass.PEDESTRIAN
    assert not around.on_duty.any(), "a police car without its blue lights is a car"
    other.set_light_state(carla.VehicleLightState(carla.VehicleLightState.Special1))
    for _ in range(21):  # lights are asked for once a second
        sim.tick()
    assert view.look().on_duty.tolist() == [n == other.id for n in around.id.tolist()]
    for light in lights:
        light.set_state(carla.TrafficLightState.Green)
    sim.destroy(walker)
    sim.tick()
    around = view.look()
    assert (around.lights == LightState.GREEN).all()
    assert set(around.id.tolist()) == {other.id}
    # and it goes round the car that stands there, for no reason that will pass
    expert, reasons = Expert(view.network, named.route), []
    for step in steps(sim, ego, view, expert, limit=25.0):
        assert not step.infractions
        reasons.append(step.decision.reason)
        if expert.tracker.along > 14.0 + 12.0:
            break
    assert expert.tracker.along > 14.0 + 12.0
    assert "lead" in reasons
    sim.load("Alder")


def test_a_route_to_its_end(sim: Simulator) -> None:
    named = min(named_routes(load("Alder"), "train", 12, seed=8), key=lambda n: n.route.length)
    ego = place(sim, named)
    manager = sim.traffic_manager(3)
    pose = ego.get_location()
    points = [p for p in sim.map.get_spawn_points() if p.location.distance(pose) > 20.0][:12]
    model = sim.world.get_blueprint_library().find("vehicle.audi.a2")
    others = [actor for p in points if (actor := sim.world.try_spawn_actor(model, p)) is not None]
    sim.own(*others)
    sim.tick()
    for actor in others:
        actor.set_autopilot(True, manager.get_port())
    view = CarlaView(sim, ego)
    referee = drive_route(sim, ego, view, Expert(view.network, named.route), limit=200.0)
    assert referee.ended == "completed"
    assert referee.infractions == []
    assert referee.result().completion == 1.0
    assert referee.result().distance == pytest.approx(named.route.length, abs=12.0)
