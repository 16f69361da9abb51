"""The rules that keep clients alive, one test each, with a bare client."""

from __future__ import annotations

import itertools
import math
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sim.server.episode import WEATHER
from sim.server.snapshot import STATE
from tests.sim.server.conftest import Bare, ServerProcess, frame_number

CAR = "vehicle.tesla.model3"
Connect = Callable[[], Bare]


def spot(bare: Bare, n: int = 0) -> tuple[float, float, float, float]:
    """x, y, z, yaw of a spawn point."""
    (x, y, z), (_, yaw, _) = bare.value("get_map_info")[1][n]
    return x, y, z, yaw


def states(payload: bytes) -> dict[int, np.void]:
    """Actor states of a snapshot by id."""
    rows = np.frombuffer(payload[48 + 36 :], STATE)
    return {int(row["id"]): row for row in rows}


def test_unknown_methods_and_wrong_arguments_are_answered(bare: Bare) -> None:
    number = bare.send("no_such_method", 1, 2)
    assert bare.receive() == (
        number, "rpclib: server could not find function 'no_such_method' with argument count 3.", None,
    )  # fmt: skip
    assert bare.call("spawn_actor", 1)[0][0] == 0
    assert bare.call("spawn_actor", [0, "vehicle.no.such", []], [[0, 0, 0], [0, 0, 0]])[0][0] == 0
    assert bare.call("set_actor_transform", 999999, [[0, 0, 0], [0, 0, 0]])[0][0] is True
    assert bare.call("set_actor_transform", "x", None)[0][0] is True
    assert bare.call("set_episode_settings", [1] * 11)[0][0] == 0
    assert bare.call("set_weather_parameters", [float("nan")] * 14)[0][0] is True
    bare.call("set_weather_parameters", [-1.0] * 9 + [0.0, 1.0, 0.03, 0.0331, 0.0])  # WeatherParameters.Default
    assert np.allclose(bare.value("get_weather_parameters"), WEATHER)
    assert bare.call("apply_batch", "x", False) == []
    assert [r[0][0] for r in bare.call("apply_batch", [[[99, [1]]], 5, [[1, [424242]]], [[2, [1]]]], False)] == [0] * 4


def test_fire_and_forget_calls_are_answered_too(bare: Bare) -> None:
    number = bare.send("clear_debug_shape", asynchronous=True)
    assert bare.receive() == (number, None, [[False]])


def test_tombstones_answer_for_destroyed_actors(bare: Bare) -> None:
    x, y, z, yaw = spot(bare)
    actor = bare.spawn(CAR, x, y, z, yaw)
    assert bare.value("destroy_actor", actor[0]) is True
    assert bare.value("get_actor_bounding_box", actor[0]) == actor[3]
    assert bare.call("set_actor_simulate_physics", actor[0], False) == [[False]]
    assert bare.call("apply_batch", [[[2, [actor[0], [0.5, 0, 0, False, False, False, 0]]]]], False) == [
        [[1, actor[0]]]
    ]
    assert bare.value("get_actors_by_id", [actor[0]]) == []
    assert bare.call("destroy_actor", actor[0])[0][0] == 0
    bare.call("load_new_episode", "", True, 65535)
    assert bare.call("get_actor_bounding_box", actor[0])[0][0] == 1, "nor do they forget with the episode"


def test_a_batch_does_what_its_commands_do_one_by_one(bare: Bare) -> None:
    bare.synchronous()
    stream = bare.subscribe(1)

    def drive(send: Callable[[list[list[Any]]], None]) -> list[bytes]:
        bare.call("load_new_episode", "", False, 65535)
        cars = [bare.spawn(CAR, *spot(bare, n)[:3], yaw=spot(bare, n)[3])[0] for n in range(3)]
        x, y, z, _ = spot(bare, 3)
        walker = bare.spawn("walker.pedestrian.0001", x, y, z + 1.0)[0]
        rows = []
        for n in range(12):
            gentle, hard = [0.4, 0.1, 0.0, False, False, False, 0], [7.0, -3.0, -1.0, False, n > 6, n > 8, 1]
            send([[2, [cars[0], hard]], [2, [cars[0], gentle]], [2, [cars[1], hard]], [8, [cars[2], [3.0, 1.0, 0.0]]],
                  [7, [walker, [[x + 9.0, y, z + 1.0], [0.0, 0.0, 0.0]], 1.0]],
                  [7, [walker, [[x + 0.3 * n, y - 0.1 * n, z + 1.0], [0.0, 200.0 + 9.0 * n, 0.0]], 0.2 * n]],
                  [2, [cars[2], [0.0, 0.5, 1.0, True, False, n > 5, -1]]]])  # fmt: skip
            frame = bare.value("tick_cue")
            while (payload := stream.frame()) is not None and frame_number(payload) < frame:
                pass
            assert payload is not None
            rows.append(b"".join(states(payload)[actor].tobytes() for actor in (*cars, walker)))
            row = states(payload)[walker]
            assert row["x"] == pytest.approx(x + 0.3 * n, abs=1e-3)
            assert math.hypot(row["vx"], row["vy"]) == pytest.approx(0.2 * n, abs=1e-3)
        return rows

    one_by_one = {2: "apply_control_to_vehicle", 8: "set_actor_target_velocity"}

    def singly(commands: list[list[Any]]) -> None:
        for kind, payload in commands:
            if kind in one_by_one:
                assert bare.call(one_by_one[kind], *payload) == [[False]]
            else:  # whole numbers are read with all checks, and alone
                (x, y, z), (_, yaw, _), speed = *payload[1], payload[2]
                assert bare.call("apply_batch", [[[kind, [payload[0], [[x, y, z], [0, yaw, 0]], speed]]]], False)

    def together(commands: list[list[Any]]) -> None:
        answers = bare.call("apply_batch", [[command] for command in commands], False)
        assert answers == [[[1, command[1][0]]] for command in commands]

    assert drive(together) == drive(singly)
    bare.asynchronous()


def test_ids_are_not_given_twice_and_slots_start_clean(bare: Bare) -> None:
    bare.synchronous()
    x, y, z, yaw = spot(bare)
    first = bare.spawn(CAR, x, y, z, yaw)[0]
    bare.call("apply_control_to_vehicle", first, [1.0, 0.3, 0.0, False, False, False, 0])
    for _ in range(20):
        bare.value("tick_cue")
    bare.value("destroy_actor", first)
    second = bare.spawn(CAR, x, y, z, yaw)[0]
    assert second > first
    stream = bare.subscribe(1)
    bare.value("tick_cue")
    frame = bare.value("tick_cue")
    while (payload := stream.frame()) is not None and frame_number(payload) < frame:
        pass
    assert payload is not None
    row = states(payload)[second]
    assert first not in states(payload)
    assert abs(row["x"] - x) + abs(row["y"] - y) < 1e-3, "a leftover speed would have moved it"
    assert row["vx"] == row["vy"] == row["wz"] == 0
    assert not row["union"][:15].any(), "nor are there pedals pressed"
    bare.asynchronous()


def test_the_slot_of_a_walker_starts_clean_too(bare: Bare) -> None:
    bare.synchronous()
    x, y, _, _ = spot(bare)
    places, stream = [], bare.subscribe(1)
    for _ in range(2):
        walker = bare.spawn("walker.pedestrian.0001", x, y + 6.0, 1.0)[0]
        frame = bare.value("tick_cue")
        while (payload := stream.frame()) is not None and frame_number(payload) < frame:
            pass
        assert payload is not None
        row = states(payload)[walker]
        places.append([float(row[name]) for name in ("x", "y", "z", "yaw", "vx", "vy", "wz")])
        bare.call("apply_control_to_walker", walker, [[0.0, 1.0, 0.0], 2.0, False])
        bare.call("add_actor_impulse", walker, [300.0, 0.0, 0.0])
        bare.call("set_actor_target_angular_velocity", walker, [0.0, 0.0, 500.0])
        bare.value("tick_cue")
        bare.value("destroy_actor", walker)
    assert places[0] == places[1]
    assert places[0][3:] == [0.0] * 4
    bare.asynchronous()


def test_a_tick_waits_for_the_subscriber_on_its_way(bare: Bare) -> None:
    bare.synchronous()
    x, y, z, yaw = spot(bare)
    car = bare.spawn(CAR, x, y, z, yaw)[0]
    for _ in range(20):
        sensor = bare.spawn("sensor.other.gnss", 0, 0, 1, parent=car)
        token = bare.value("get_sensor_token", struct.unpack("<I", sensor[5][:4])[0])[0]
        number, port = struct.unpack("<IH", token[:6])
        tick = bare.send("tick_cue")
        time.sleep(0.005)
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(struct.pack("<I", number))
        answered, _, result = bare.receive()
        assert answered == tick
        stream.settimeout(2)
        head = stream.recv(4 + 48, socket.MSG_WAITALL)
        assert struct.unpack_from("<Q", head, 12)[0] == result[0][1], "the first tick after listen() is not lost"
        stream.close()
    # one that never comes costs half a second, not for ever
    bare.value("get_sensor_token", struct.unpack("<I", bare.spawn("sensor.other.imu", 0, 0, 1, parent=car)[5][:4])[0])
    begin = time.monotonic()
    bare.value("tick_cue")
    assert 0.3 < time.monotonic() - begin < 3.0
    bare.asynchronous()


def test_the_last_snapshot_comes_on_subscribing(bare: Bare) -> None:
    bare.synchronous()
    frame = bare.value("tick_cue")
    payload = bare.subscribe(1).frame()
    assert payload is not None
    assert frame_number(payload) == frame
    bare.asynchronous()


def test_streams_are_never_closed(bare: Bare) -> None:
    x, y, z, yaw = spot(bare)
    car = bare.spawn(CAR, x, y, z, yaw)[0]
    sensor = bare.spawn("sensor.other.imu", 0, 0, 1, parent=car)
    stream = bare.subscribe(struct.unpack("<I", sensor[5][:4])[0])
    unknown = bare.subscribe(123456)
    assert stream.frame() is not None
    bare.value("destroy_actor", sensor[0])
    bare.call("load_new_episode", "", True, 65535)
    time.sleep(0.3)
    while stream.frame(0.3) is not None:
        pass  # what was on its way; Subscriber fails where the server closes
    assert unknown.frame(0.3) is None
    assert bare.spawn("sensor.other.imu", 0, 0, 1)[5][:4] != sensor[5][:4], "stream numbers are not given twice"


def test_a_subscriber_that_does_not_read_slows_nobody_and_loses_whole_frames(bare: Bare) -> None:
    bare.synchronous()
    for n in range(60):
        x, y, z, yaw = spot(bare, n)
        bare.call("spawn_actor", [0, CAR, []], [[x, y, z], [0, yaw, 0]])
    slow = bare.subscribe(1)
    count = 3000  # 38 MB of snapshots
    for _ in range(count):
        bare.value("tick_cue")
    last = bare.value("tick_cue")
    frames = []
    while (payload := slow.frame(0.5)) is not None:
        assert len(payload) == len(payload[: 48 + 36]) + 119 * ((len(payload) - 84) // 119), "never part of a frame"
        frames.append(frame_number(payload))
    assert frames == sorted(set(frames))
    assert len(frames) < count, "it lost some"
    bare.value("tick_cue")
    payload = slow.frame()
    assert payload is not None
    assert frame_number(payload) == last + 1, "and is served on once it reads again"
    bare.asynchronous()


def test_frames_grow_across_episodes(bare: Bare) -> None:
    stream = bare.subscribe(1)
    seen = []
    for _ in range(3):
        bare.call("load_new_episode", "", True, 65535)
        for _ in range(3):
            payload = stream.frame()
            assert payload is not None
            episode, changed = struct.unpack_from("<Q", payload, 48)[0], struct.unpack_from("<I", payload, 80)[0]
            seen.append((frame_number(payload), episode, changed & 1))
    assert [f for f, _, _ in seen] == sorted({f for f, _, _ in seen})
    first = [seen[0][1]] + [e for (_, a, _), (_, e, _) in itertools.pairwise(seen) if e != a]
    assert len(first) >= 3
    for before, after in itertools.pairwise(seen):
        assert after[2] == (after[1] != before[1]), "the map-changed bit marks the first snapshot of an episode alone"


def test_a_vanished_client_frees_what_it_held(bare: Bare, connect: Connect, server: ServerProcess) -> None:
    earlier = connect()  # it ticked in a synchronous mode that is over, and stays
    earlier.synchronous()
    earlier.value("tick_cue")
    earlier.asynchronous()
    holder = connect()
    assert holder.value("add_traffic_manager_running", ["127.0.0.1", 8123]) is True
    holder.synchronous()
    holder.value("tick_cue")
    stream = bare.subscribe(1)
    stream.frame()
    assert stream.frame(0.3) is None, "time stands still"
    holder.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    holder.close()
    assert stream.frame() is not None
    assert stream.frame() is not None
    assert bare.value("is_traffic_manager_running", 8123) is False
    assert "left in synchronous mode" in server.log.read_text()


def test_two_clients_tick_one_world(bare: Bare, connect: Connect) -> None:
    other = connect()
    bare.synchronous()
    frames = [client.value("tick_cue") for _ in range(5) for client in (bare, other)]
    assert frames == list(range(frames[0], frames[0] + 10)), "each cue ticks once"
    assert other.value("get_episode_settings")[0] is True
    bare.asynchronous()


def test_a_tick_in_asynchronous_mode_names_a_frame_that_comes(bare: Bare) -> None:
    stream = bare.subscribe(1)
    frame = bare.value("tick_cue")
    while (payload := stream.frame()) is not None and frame_number(payload) < frame:
        pass
    assert payload is not None
