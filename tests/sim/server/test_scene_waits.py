"""A camera's scene is built beside the ticks: nobody waits for it but those who need it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from contracts import UserError
from sim.server.ping import ping
from tests.sim.server.conftest import QUICK, Bare, ServerProcess, frame_number


def stream_of(sensor: list[object]) -> int:
    """Number of a sensor's stream."""
    return int(struct.unpack("<I", bytes(sensor[5])[:4])[0])  # type: ignore[arg-type]


def test_the_first_camera_delays_its_own_tick_alone(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, *QUICK)
    bare, other = Bare(server.port), Bare(server.port)
    clock = bare.subscribe(1)
    camera = bare.spawn("sensor.camera.depth", 0.0, 0.0, 2.0)
    frames = [clock.frame() for _ in range(3)]
    assert None not in frames, "asynchronous time goes on while the scene is built"
    bare.synchronous()
    pictures = bare.subscribe(stream_of(camera))
    number = bare.send("tick_cue")
    assert other.value("version") == "0.9.16", "other clients are served meanwhile"
    answered, error, result = bare.receive()
    assert (answered, error) == (number, None)
    first = pictures.frame(timeout=400)
    assert first is not None
    assert frame_number(first) == result[0][1], "the tick that was asked for has its picture"
    for _ in range(3):
        frame = bare.value("tick_cue")
        picture = pictures.frame()
        assert picture is not None
        assert frame_number(picture) == frame
    bare.asynchronous()
    bare.close()
    other.close()
    server.stop()


def test_ping(server: ServerProcess, bare: Bare) -> None:
    assert "asynchronous" in ping("127.0.0.1", server.port, 5.0)
    bare.synchronous()
    bare.value("tick_cue")
    assert "synchronous: its client ticks it" in ping("127.0.0.1", server.port, 5.0)
    bare.asynchronous()
    with pytest.raises(UserError, match="no ticking CARLA server"):
        ping("127.0.0.1", 1, 0.5)
