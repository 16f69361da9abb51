"""A Traffic Manager that lost its own wake-up is woken, and nobody else is."""

from __future__ import annotations

import socket

import msgpack
import pytest

from tests.sim.server.conftest import Bare


def test_a_stalled_traffic_manager_is_woken(bare: Bare) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(8)
    port = listener.getsockname()[1]
    assert bare.value("add_traffic_manager_running", ["127.0.0.1", port]) is True
    assert bare.value("add_traffic_manager_running", ["127.0.0.1", port]) is False
    assert bare.value("destroy_traffic_manager", port) is True
    assert bare.value("is_traffic_manager_running", port) is False
    assert bare.value("add_traffic_manager_running", ["", 0]) is True  # as a client without a network announces it
    assert bare.value("is_traffic_manager_running", port) is True
    bare.synchronous()
    for _ in range(4):
        bare.value("tick_cue")
        bare.call("apply_batch", [], False)
    bare.value("tick_cue")  # and no batch: its thread sleeps
    manager, _ = listener.accept()
    manager.settimeout(3)
    data = b""
    while len(list(calls := msgpack_all(data))) < 2:
        data += manager.recv(4096)
    assert calls == [[0, 0, "set_synchronous_mode", [False]], [0, 1, "set_synchronous_mode", [True]]]
    manager.close()
    listener.accept()[0].close()  # it still sleeps: the poke, too, was lost
    for _ in range(4):
        bare.value("tick_cue")
        bare.call("apply_batch", [], False)
    bare.value("tick_cue")
    bare.value("get_vehicle_light_states")  # it has begun its step and takes its time
    listener.settimeout(1.5)
    with pytest.raises(TimeoutError):
        listener.accept()
    bare.asynchronous()
    bare.value("destroy_traffic_manager", port)


def test_a_client_that_announces_its_ticks_may_think_for_long(bare: Bare) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    assert bare.value("add_traffic_manager_running", ["127.0.0.1", port]) is True
    bare.synchronous()
    bare.call("throttle_will_announce_ticks")
    for _ in range(4):
        bare.call("throttle_tick_begins")
        bare.value("tick_cue")
        bare.call("apply_batch", [], False)
        bare.call("throttle_tick_ends")
    bare.call("throttle_tick_begins")
    bare.value("tick_cue")
    bare.call("throttle_tick_ends")  # its manager owes nothing, e.g. as it does not run in step
    listener.settimeout(2.6)
    with pytest.raises(TimeoutError):
        listener.accept()
    bare.call("throttle_tick_begins")  # and does not come out again
    listener.accept()[0].close()
    for _ in range(4):  # a client that announces nothing ticks beside one that announces and is still there
        bare.value("tick_cue")
        bare.call("apply_batch", [], False)
    bare.value("tick_cue")
    listener.accept()[0].close()
    bare.asynchronous()
    bare.value("destroy_traffic_manager", port)


def msgpack_all(data: bytes) -> list[object]:
    """The messages in `data`."""
    unpacker = msgpack.Unpacker(raw=False)
    unpacker.feed(data)
    return list(unpacker)
