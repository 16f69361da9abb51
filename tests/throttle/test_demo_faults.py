"""The demonstration against what machines do: kills, no network, ports that are taken, a full and a read-only disk."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from throttle.runs import read_status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "throttle.cli", "demo", "--config", "configs/demo_small.yaml"]
KILLS = 3
"""In each stage, and before the first."""
OFFLINE = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
"""A network of its own that knows nothing but 127.0.0.1."""
PORTS = """
import socket, sys, time
for port in (2000, 2001, 2002, 8000, 8080):
    held = socket.socket()
    held.bind(("127.0.0.1", port))
    held.listen()
    globals()[f"held{port}"] = held
import subprocess
sys.exit(subprocess.call(sys.argv[1:]))
"""


def start(command: list[str], folder: Path, said: Path | None = None) -> subprocess.Popen[str]:
    """A command whose words go to `said`, else to its `stdout`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    environment.pop("WANDB_MODE", None)  # W&B's default without a key is offline
    out = said.open("w") if said else subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=out, stderr=subprocess.STDOUT)


def family(process: int) -> list[int]:
    """A process and all below it."""
    found = [process]
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            found += [p for word in (task / "children").read_text().split() for p in family(int(word))]
    return found


def stage_of(said: str) -> int:
    """The number of the stage that is at work by what a demonstration says, 0 before the first."""
    begun = re.findall(r"^(\d) of 6 .*$(?<!\(done before\))", said, re.M)
    return int(begun[-1]) if begun else 0


def name_of(process: int) -> str:
    with suppress(OSError):
        words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
        for known in ("hosted", "record", "perception", "planning", "compare", "drive", "wandb", "spawn_main"):
            if any(known in word for word in words):
                return known
        return "demo" if "demo" in words else ""
    return ""


def can_unshare() -> bool:
    return subprocess.run([*OFFLINE, "true"], capture_output=True).returncode == 0


def test_kills_at_random_without_a_network_and_with_ports_taken(tmp_path: Path) -> None:
    if not can_unshare():
        pytest.skip("needs the right to make a network of its own")
    command = [*OFFLINE, sys.executable, "-c", PORTS, *DEMO]
    chance, kinds, hits = random.Random(1), Counter[str](), Counter[int]()
    for turn in range(40):
        said = tmp_path / f"said-{turn}.txt"
        process = start(command, tmp_path, said)
        while process.poll() is None:
            time.sleep(0.1)
            if hits[stage_of(said.read_text())] == KILLS:
                continue
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(1.0, 25.0))
                break
            stage = stage_of(said.read_text())
            alive = {name_of(p): p for p in family(process.pid)[1:] if name_of(p)}  # not what holds the ports
            if alive and hits[stage] < KILLS:
                kind, victim = chance.choice(sorted(alive.items()))
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                kinds[kind] += 1
                hits[stage] += 1
        if process.returncode == 0:
            break
        assert "Traceback" not in said.read_text(), said.read_text()
    assert process.returncode == 0, said.read_text()
    assert len(kinds) >= 4, f"several kinds of processes were hit: {kinds}"
    assert len(hits) >= 5, f"in most stages: {hits}"
    folder = next((tmp_path / "runs").glob("demo-*"))
    assert set(json.loads((folder / "results.json").read_text())["stages"]) == {
        "record", "perception", "planning", "control", "drive",
    }  # fmt: skip
    arms = json.loads(next(folder.glob("drive/*/result.json")).read_text())["arms"]
    assert all(arm["figures"]["driven"] == arm["figures"]["routes"] == 1 for arm in arms.values())
    assert read_status(folder).state == "finished"
    assert (folder / "report.html").is_file()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "small", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def stage(name: str, folder: Path) -> tuple[int, str]:
    process = start([*DEMO, "--only", f"[{name}]", "--tracking.wandb", "disabled"], folder)
    said, _ = process.communicate(timeout=900)
    assert "Traceback" not in said
    return process.returncode, said


def test_full_and_read_only_disks_are_a_line_and_the_same_command_goes_on(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file, suppress(OSError):
        file.write(bytes(63 << 20))
    code, said = stage("record", small_disk)
    assert (code, "the disk lacks about" in said) == (2, True), said
    ballast.unlink()
    assert stage("record", small_disk)[0] == 0
    with ballast.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    code, said = stage("planning", small_disk)
    assert (code, "No space left on device" in said) == (2, True), said
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, said = stage("planning", small_disk)
    assert (code, "Read-only file system" in said) == (2, True), said
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    code, said = stage("planning", small_disk)
    assert code == 0, said
    assert "(done before)" not in said
    assert "(done before)" in stage("record", small_disk)[1]


def test_a_port_that_is_taken_is_a_line(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = str(held.getsockname()[1])
        process = start([sys.executable, "-m", "throttle.cli", "sim", "serve", "--port", port], tmp_path)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert said.count("\n") == 1
    assert f"127.0.0.1:{port}" in said


def test_a_server_that_is_not_there_is_a_line(tmp_path: Path) -> None:
    began = time.monotonic()
    process = start([sys.executable, "-m", "throttle.cli", "sim", "ping", "--port", "9", "--timeout", "3"], tmp_path)
    said, _ = process.communicate(timeout=120)
    assert process.returncode not in (0, 120), said
    assert "Traceback" not in said
    assert time.monotonic() - began < 60
