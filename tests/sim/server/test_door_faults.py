"""sim.client and servers that are not as they should be: another version, late answers, restarts between episodes."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgpack

from tests.sim.server.conftest import ServerProcess
from tests.sim.server.test_door import script

Serve = Callable[[socket.socket], None]


@contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """A port whose connections are each served by a thread."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


def test_another_version_is_one_clear_line() -> None:
    def old(connection: socket.socket) -> None:
        reader = msgpack.Unpacker(raw=False)
        while data := connection.recv(1 << 16):
            reader.feed(data)
            for _, number, _, _ in reader:
                connection.sendall(msgpack.packb([1, number, None, [[1, "0.9.13"]]]))

    text = """
import sys
from contracts import UserError
from sim.client import ClientConfig, connect
try:
    with connect(ClientConfig(port=int(sys.argv[1]), timeout=2.0, startup=5.0)):
        pass
except UserError as error:
    print("refused:", error)
"""
    with listening(old) as port, script(text, port) as process:
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "is CARLA 0.9.13, this client is 0.9.16" in out


def test_a_server_that_listens_long_before_it_answers_is_waited_for(server: ServerProcess) -> None:
    silent: list[socket.socket] = []

    def starting(near: socket.socket) -> None:
        first = near.recv(1 << 16)
        if not first:
            return  # a look whether anybody listens
        if len(silent) < 2:
            silent.append(near)
            while near.recv(1 << 16):
                pass
            return
        with socket.create_connection(("127.0.0.1", server.port)) as far:
            far.sendall(first)
            threading.Thread(target=forward, args=(far, near), daemon=True).start()
            forward(near, far)

    def forward(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)

    text = """
import sys
from sim.client import ClientConfig, connect
with connect(ClientConfig(port=int(sys.argv[1]), town="Alder", timeout=2.0, startup=30.0)) as sim:
    print("ticked", sim.tick() > 0)
"""
    with listening(starting) as port, script(text, port) as process:
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "ticked True" in out
    assert len(silent) == 2, "two connections were given up"


def test_a_late_answer_to_a_tick_is_no_second_tick(server: ServerProcess) -> None:
    late = threading.Event()

    def forward(near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", server.port))
        hold = threading.Event()

        def back() -> None:
            with suppress(OSError):
                while data := far.recv(1 << 16):
                    if hold.is_set():
                        hold.clear()
                        time.sleep(3.5)
                    near.sendall(data)

        threading.Thread(target=back, daemon=True).start()
        while data := near.recv(1 << 16):
            if b"tick_cue" in data and late.is_set():
                late.clear()
                hold.set()
            far.sendall(data)
        far.close()

    text = """
import sys
from sim.client import ClientConfig, connect
with connect(ClientConfig(port=int(sys.argv[1]), town="Alder", timeout=2.0, startup=20.0)) as sim:
    frames = [sim.tick() for _ in range(5)]
    print("READY", flush=True)
    sys.stdin.readline()
    frames += [sim.tick() for _ in range(5)]
    print(frames == list(range(frames[0], frames[0] + 10)), frames)
"""
    with listening(forward) as port, script(text, port) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().strip() == "READY"
        late.set()
        process.stdin.write("\n")
        process.stdin.flush()
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert not late.is_set(), "an answer was late"
    assert out.startswith("True"), out


RESTART = """
import os, signal, subprocess, sys
pid, log, port = sys.argv[1:]
os.kill(int(open(pid).read()), signal.SIGKILL)
words = [sys.executable, "-m", "throttle.cli", "sim", "serve", "--port", port, "--prepare", "false"]
with open(log, "w") as out:
    process = subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True)
open(pid, "w").write(str(process.pid))
"""


def test_a_server_is_restarted_between_episodes(tmp_path: Path) -> None:
    first = ServerProcess(tmp_path)
    pid, tool = tmp_path / "pid", tmp_path / "restart.py"
    pid.write_text(str(first.process.pid))
    tool.write_text(RESTART)
    command = f"{sys.executable} {tool} {pid} {tmp_path / 'second.log'} {first.port}"
    text = """
import sys
from sim.client import ClientConfig, connect
config = ClientConfig(port=int(sys.argv[1]), town="Alder", startup=90.0, restart=sys.argv[2], restart_every=2)
with connect(config) as sim:
    for town in ("Alder", "Marlin"):  # the first episode was connect's
        sim.load(town)
        sim.tick()
        print(open(sys.argv[3]).read(), sim.map.name, len(sim.world.get_actors().filter("vehicle.*")), flush=True)
        sim.spawn("vehicle.tesla.model3", sim.map.get_spawn_points()[0])
"""
    try:
        with script(text, first.port, command, pid) as process:
            out, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors
        before, after = (line.split() for line in out.strip().splitlines())
        assert before == [str(first.process.pid), "Carla/Maps/Alder", "0"]
        assert after[0] != before[0]
        assert after[1:] == ["Carla/Maps/Marlin", "0"]
    finally:
        first.process.wait(30)
        if int(pid.read_text()) != first.process.pid:
            os.kill(int(pid.read_text()), signal.SIGTERM)
