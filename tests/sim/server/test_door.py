"""sim.client: whatever happens, the server is left as it was found; a server that dies is come back to."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts import UserError
from sim.client import ClientConfig, free_port, wait_for_server
from tests.sim.server.conftest import ENVIRONMENT, ROOT, Bare, ServerProcess

SCRIPT = """
import sys, time
from sim.client import ClientConfig, ServerLost, UserError, connect
port, how, taken = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with connect(ClientConfig(port=port, town="Alder", timeout=5.0, startup=60.0, manager_port=taken)) as sim:
    points = sim.map.get_spawn_points()
    car = sim.spawn("vehicle.tesla.model3", points[0], role_name="hero")
    imu = sim.spawn("sensor.other.imu", points[0], attach_to=car, sensor_tick=0.1)
    imu.listen(lambda data: None)
    manager = sim.traffic_manager(seed=3)
    assert manager.get_port() != taken, "another program has that port"
    car.set_autopilot(True, manager.get_port())
    frames = [sim.tick() for _ in range(20)]
    assert frames == list(range(frames[0], frames[0] + 20))
    for call in (lambda: sim.spawn("vehicle.no.such", points[1]), lambda: sim.spawn("vehicle.audi.tt", points[0]),
                 lambda: sim.spawn("vehicle.audi.tt", points[1], wings=2), lambda: sim.load("Atlantis")):
        try:
            call()
        except UserError as error:
            print("refused:", error)
    print("READY", flush=True)
    if how == "error":
        raise ValueError("a bug")
    if how == "wait":
        while True:
            sim.tick(); time.sleep(.01)
"""

LOSING = """
import sys
from pathlib import Path
from sim.client import ClientConfig, ServerLost, connect
port, flag = int(sys.argv[1]), Path(sys.argv[2])
config = ClientConfig(port=port, town="Alder", timeout=2.0, startup=90.0, retries=1)
tries = []
def episode(sim):
    tries.append(1)
    sim.spawn("vehicle.tesla.model3", sim.map.get_spawn_points()[0])
    for n in range(10):
        sim.tick()
    if len(tries) == 1:
        print("KILL", flush=True)
        while True:
            sim.tick()
    return sim.world.get_actors().filter("vehicle.*")
with connect(config) as sim:
    print("vehicles", len(sim.run(episode)), "tries", len(tries), flush=True)
"""


def script(text: str, *arguments: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.Popen(
        words, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


@pytest.mark.parametrize(("how", "code"), [("leave", 0), ("error", 1), ("wait", 143)])
def test_actors_and_settings_are_put_back(server: ServerProcess, how: str, code: int) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, script(SCRIPT, server.port, how, taken.getsockname()[1]) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith("READY"):
                break
        if how == "wait":
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    refused = [line for line in lines if line.startswith("refused")]
    for line, reason in zip(refused, ("no blueprint", "collision", "no attribute", "no map"), strict=True):
        assert reason in line
    bare = Bare(server.port)
    assert bare.value("get_episode_settings")[:3] == [False, False, [False]]
    states = bare.value("get_vehicle_light_states")
    assert states == [], "no vehicle is left"
    bare.close()


def test_a_server_that_dies_is_come_back_to(tmp_path: Path) -> None:
    first = ServerProcess(tmp_path)
    with script(LOSING, first.port, tmp_path / "flag") as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "KILL"
        first.process.kill()
        first.process.wait()
        time.sleep(0.5)
        second = ServerProcess(tmp_path, "--port", str(first.port), "--prepare", "false")
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert out.strip().endswith("vehicles 1 tries 2")
    assert "lost the CARLA server" in errors
    second.stop()


def test_bad_input_is_one_line() -> None:
    for options in ({"port": 0}, {"delta": 2.0}, {"timeout": 0.0}, {"retries": -1}, {"restart_every": 2}):
        with pytest.raises(UserError):
            ClientConfig(**options)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"no CARLA server at 127\.0\.0\.1"):
        wait_for_server("127.0.0.1", free_port(20000), 0.3)
