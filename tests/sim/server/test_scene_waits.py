"""A camera's scene is built beside the ticks: nobody waits for it but those who need it."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from contracts import UserError
from sim.server.ping import ping
from tests.sim.server.conftest import ENVIRONMENT, QUICK, ROOT, Bare, ServerProcess, frame_number


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


def test_a_server_as_it_starts_by_default_has_its_scene_ready(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--port", "0")
    bare = Bare(server.port)
    pictures = bare.subscribe(stream_of(bare.spawn("sensor.camera.depth", 0.0, 0.0, 2.0)))
    asked = bare.value("tick_cue")
    first = pictures.frame(timeout=60)
    assert first is not None
    assert frame_number(first) - asked <= 5, "a scene that is built meanwhile costs a hundred ticks"
    bare.close()
    server.stop()


def test_the_command_ping_says_it_by_its_exit_code(server: ServerProcess) -> None:
    words = [sys.executable, "-m", "throttle.cli", "sim", "ping", "--timeout", "5", "--port"]
    for port, code in ((server.port, 0), (1, 2)):
        done = subprocess.run(
            [*words, str(port)], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stderr
        assert len((done.stdout if code == 0 else done.stderr).strip().splitlines()) == 1


def test_ping(server: ServerProcess, bare: Bare) -> None:
    assert "asynchronous" in ping("127.0.0.1", server.port, 5.0)
    bare.synchronous()
    bare.value("tick_cue")
    assert "synchronous: its client ticks it" in ping("127.0.0.1", server.port, 5.0)
    bare.asynchronous()
    with pytest.raises(UserError, match="no ticking CARLA server"):
        ping("127.0.0.1", 1, 0.5)
