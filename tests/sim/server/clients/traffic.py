"""The client's Traffic Manager, and a client that holds the clock."""

from __future__ import annotations

import hashlib
import json
import math
import random
import socket
import struct
import threading
import time
from contextlib import nullcontext
from typing import Any

import carla

from sim.herald import Herald
from tests.sim.server.clients.common import car, connect, scenario


class Watch:
    """A connection of its own to the stream of snapshots, and what they were, but for frame, episode and wall time."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port + 1))
        self._sock.sendall(struct.pack("<I", 1))
        self._seen: dict[int, bytes] = {}
        threading.Thread(target=self._read, daemon=True).start()
        while not self._seen:  # the last one comes at once
            time.sleep(0.01)

    def _read(self) -> None:
        stream = self._sock.makefile("rb")
        while head := stream.read(4):
            payload = stream.read(struct.unpack("<I", head)[0])
            frame = struct.unpack_from("<Q", payload, 8)[0]
            self._seen[frame] = hashlib.sha256(payload[16:24] + payload[64:]).digest()

    def marks(self, frames: range) -> list[str]:
        """A digest of all snapshots so far, at each thousandth of these frames and at the last."""
        end = time.monotonic() + 30
        while frames[-1] not in self._seen and time.monotonic() < end:
            time.sleep(0.05)
        digest, found = hashlib.sha256(), []
        for n, frame in enumerate(frames, 1):
            digest.update(self._seen[frame])
            if n % 1000 == 0 or n == len(frames):
                found.append(digest.hexdigest())
        return found


@scenario
def traffic(port: int, town: str, count: int, ticks: int, announced: int = 0) -> dict[str, Any]:
    """Traffic Manager with `count` vehicles in synchronous mode; digests of all snapshots, one every 1,000 ticks.

    announced: ticks are announced, as sim.client does.
    """
    client, _ = connect(port)
    world = client.load_world(town, reset_settings=False)  # no time passes before the first tick
    manager = client.get_trafficmanager(8000 + port % 1000)
    manager.set_synchronous_mode(True)
    manager.set_random_device_seed(7)
    library = sorted(world.get_blueprint_library().filter("vehicle.*"), key=lambda b: b.id)
    library = [b for b in library if int(b.get_attribute("number_of_wheels")) == 4]
    points = world.get_map().get_spawn_points()
    random.Random(1).shuffle(points)
    vehicles = []
    for n, point in enumerate(points[:count]):
        vehicle = world.try_spawn_actor(library[n % len(library)], point)
        if vehicle is not None:
            vehicle.set_autopilot(True, manager.get_port())
            vehicles.append(vehicle)
    watch = Watch(port)
    first = world.get_snapshot().frame + 1
    places: dict[int, Any] = {}
    travelled = 0.0
    herald = Herald.of("127.0.0.1", port) if announced else None
    began = time.monotonic()
    for _ in range(ticks):
        with herald.tick() if herald is not None else nullcontext():
            world.tick()
        snapshot = world.get_snapshot()
        for vehicle in vehicles:
            state = snapshot.find(vehicle.id)
            if state is not None:
                now = state.get_transform().location
                before = places.get(vehicle.id, now)
                travelled += math.hypot(now.x - before.x, now.y - before.y)
                places[vehicle.id] = now
    ran = time.monotonic() - began
    town_map = world.get_map()
    alive = [v for v in vehicles if v.is_alive]
    off = sum(town_map.get_waypoint(v.get_location(), project_to_road=False) is None for v in alive)
    result = {
        "vehicles": len(vehicles),
        "marks": watch.marks(range(first, first + ticks)),
        "ticks_per_second": ticks / ran,
        "mean_speed": travelled / max(1, len(vehicles)) / (ticks * 0.05),
        "off_road": off,
    }
    manager.set_synchronous_mode(False)
    world.apply_settings(carla.WorldSettings())
    manager.shut_down()
    return result


@scenario
def hold(port: int) -> dict[str, Any]:
    """Take synchronous mode and a Traffic Manager, say so, and wait to be killed."""
    client, world = connect(port)
    manager = client.get_trafficmanager(8000 + port % 1000)
    manager.set_synchronous_mode(True)
    vehicle = car(world)
    vehicle.set_autopilot(True, manager.get_port())
    for _ in range(10):
        world.tick()
    print(json.dumps({"holding": vehicle.id}), flush=True)
    time.sleep(600)
    return {}
