"""The 119 bytes of an actor and the header before them, byte for byte."""

from __future__ import annotations

import struct

from sim.server import streams
from sim.server.snapshot import STATE, Snapshot


def test_vehicle_row_bytes() -> None:
    snapshot = Snapshot()
    row = snapshot.add(77)
    for value, name in enumerate(STATE.names[2:17], 1):
        snapshot.rows[name][row] = value
    union = snapshot.vehicles
    values = {"throttle": 0.25, "steer": -0.5, "brake": 0.75, "hand_brake": 1, "reverse": 0, "manual": 1, "gear": -1}
    values |= {"speed_limit": 50.0, "light_state": 2, "has_light": 1, "light_id": 9, "failure": 0}
    for name, field in values.items():
        union[name][row] = field
    _, body = snapshot.body(3, 0.0, 0.05, False)
    vehicle = struct.pack("<3f3Bif2BIB", 0.25, -0.5, 0.75, 1, 0, 1, -1, 50.0, 2, 1, 9, 0)
    assert len(vehicle) == 30
    assert body == struct.pack("<IB15f", 77, 1, *range(1, 16)) + vehicle + bytes(24)


def test_light_and_walker_row_bytes() -> None:
    snapshot = Snapshot()
    light, walker = snapshot.add(5), snapshot.add(6)
    for name, field in {
        "signal": b"952",
        "green": 10.0,
        "yellow": 3.0,
        "red": 2.0,
        "elapsed": 1.5,
        "pole": 4,
        "frozen": 1,
        "state": 2,
    }.items():
        snapshot.lights[name][light] = field
    for name, field in {"dx": 1.0, "dy": 0.0, "dz": 0.0, "speed": 1.5, "jump": 1}.items():
        snapshot.walkers[name][walker] = field
    _, body = snapshot.body(1, 0.0, 0.1, True)
    assert body[65:119] == b"952" + bytes(29) + struct.pack("<4fI2B", 10, 3, 2, 1.5, 4, 1, 2)
    assert body[119 + 65 :] == struct.pack("<4fB", 1, 0, 0, 1.5, 1) + bytes(37)


def test_headers() -> None:
    head, body = Snapshot().body(7, 12.5, 0.05, True)
    assert head == struct.pack("<QdfiiiI", 7, 12.5, 0.05, 0, 0, 0, 1)
    assert len(head) == 36
    assert body == b""
    assert streams.header(17, 4, 0.2, (1, 2, 3, 4, 5, 6)) == struct.pack("<QQd6f", 17, 4, 0.2, 1, 2, 3, 4, 5, 6)
    assert streams.token(9, 2001).hex() == "09000000d1070100" + "00" * 16


def test_rows_grow_and_move() -> None:
    snapshot = Snapshot(capacity=2)
    rows = [snapshot.add(actor) for actor in (10, 11, 12)]
    snapshot.rows["x"][rows[2]] = 5.0
    assert snapshot.remove(rows[0]) == 2, "the last row moves into the gap"
    assert snapshot.rows["id"][:2].tolist() == [12, 11]
    assert snapshot.rows["x"][0] == 5.0
    again = snapshot.add(13)
    assert again == 2
    assert snapshot.rows["x"][again] == 0.0, "nothing of an earlier actor stays"
