"""Whole recordings through real servers: the same bytes each time, killed or not; bad input is one line."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import carla
import pytest
import yaml
from wandb.proto.wandb_internal_pb2 import Record

from contracts import UserError
from sim.recorder.check import problems
from sim.recorder.config import LidarConfig, RecordConfig, TrafficConfig
from sim.recorder.hosted import HostedServer
from sim.recorder.reader import Dataset
from sim.recorder.recording import Recording, Where
from throttle.cli import main

ROOT = Path(__file__).parents[3]


def digests(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()
    }


@pytest.mark.parametrize("driver", ["expert", pytest.param("traffic_manager", marks=pytest.mark.slow)])
def test_an_episode_of_driving(tmp_path, driver, monkeypatch, capfd):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    config = RecordConfig(
        towns=("Alder",), train=1, validation=0, test=0, seconds=6.0, cameras={}, lidar=LidarConfig(enabled=False),
        traffic=TrafficConfig(vehicles=20, walkers=10), scenarios=("hard_brake",), driver=driver,
    )  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config.to_json()))))
    out, words = tmp_path / "d", ["--workers", "1", "--runs", str(tmp_path / "runs")]
    assert main(["record", "--config", str(tmp_path / "config.yaml"), "--out", str(out), *words]) == 0
    said = capfd.readouterr().err
    first = said[: said.index("->")]
    assert all(word in first for word in ("1 of 1 episodes", "rows", "MB", "minutes"))
    assert "complete:" in said
    data = Dataset(out)
    assert list(problems(data)) == []
    (episode,) = data.episodes
    assert episode["rows"] == 60
    assert episode["ended"] == "limit"
    assert episode["scenario"] == "hard_brake"
    rows = data.driving(0).to_pylist()
    assert rows[-1]["ego"][0] > 1.0 or any(r["ego"][0] > 1.0 for r in rows)
    assert any(r["objects.kind"] for r in rows)
    assert all(r["control"] == r["applied"] for r in rows if not r["perturbed"]) == (driver == "expert")
    (artifact,) = artifacts(tmp_path / "runs")
    assert (artifact.name, artifact.type) == ("dataset-d", "dataset")
    assert artifact.description == (out / "README.md").read_text()
    assert Recording(out, config).complete
    with pytest.raises(UserError, match="another configuration"):
        Recording(out, RecordConfig(train=2))


def artifacts(folder: Path) -> list[Any]:
    """What an offline run of W&B keeps; its own process may close the file a little later than the run ends."""
    end, found = time.monotonic() + 60, []
    while not found and time.monotonic() < end:
        found = [r.artifact for r in wandb_records(folder) if r.WhichOneof("record_type") == "artifact"]
        time.sleep(0.2)
    return found


def wandb_records(folder: Path) -> list[Record]:
    """What an offline run of W&B wrote: a header of 7 bytes, then a log of records in blocks of 32 KiB (LevelDB's)."""
    (path,) = folder.rglob("*.wandb")
    data, at, found, part = path.read_bytes(), 7, [], b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        if at + 7 + size > len(data):  # not all of it is there yet
            break
        part += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(part))
            part = b""
    return found


def test_a_server_of_somebody_else_is_left_as_it_was(tmp_path):
    config = RecordConfig(
        towns=("Alder",), train=1, validation=0, test=0, seconds=2.0, cameras={}, lidar=LidarConfig(enabled=False),
        traffic=TrafficConfig(vehicles=8, walkers=4),
    )  # fmt: skip
    server = HostedServer("Alder", tmp_path)
    try:
        recording = Recording(tmp_path / "d", config, Where(host="127.0.0.1", port=server.port, workers=1))
        assert recording.run(lambda state: None, lambda: False)
        world = carla.Client("127.0.0.1", server.port, 1).get_world()
        assert not world.get_settings().synchronous_mode
        world.wait_for_tick(20.0)
        kinds = {actor.type_id.split(".")[0] for actor in world.get_actors()}
        assert kinds <= {"spectator", "traffic"}
    finally:
        server.stop()
    log = (tmp_path / "server-0.log").read_text()
    assert "is gone" not in log, "the client took its leave"
    assert "left in synchronous mode" not in log


PAUSES = """
import sys, time
from sim.client import ClientConfig, connect
with connect(ClientConfig(port=int(sys.argv[1]), town="Alder", manager_port=9900, timeout=60)) as sim:
    manager = sim.traffic_manager(1)
    for place in sim.map.get_spawn_points()[:3]:
        sim.spawn("vehicle.tesla.model3", place).set_autopilot(True, manager.get_port())
    for step in range(14):
        sim.tick()
        if step > 5:
            time.sleep(0.4)
print("done")
"""


def test_a_pause_between_ticks_is_no_stall_of_the_traffic_manager(tmp_path):
    """A poke at a manager that is well gives it a step too many, and the episode cannot be repeated."""
    server = HostedServer("Alder", tmp_path)
    try:
        words = [sys.executable, "-c", PAUSES, str(server.port)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert "done" in done.stdout, done.stderr
    finally:
        server.stop()
    assert "waking" not in (tmp_path / "server-0.log").read_text()


BAD = {
    "--towns [Atlantis] --train 1 --validation 0 --test 0": "Atlantis",
    "--scenarios [flood]": "flood",
    "--cameras.front.fov 500": "fov",
    "--weathers [Snow]": "Snow",
    "--passing [bridge]": "bridge",
    "--idle -1": "idle",
    "--test_towns [Alder]": "Alder",
    "--fps 7": "fps",
    "--port 2000 --workers 2": "workers",
    "--train 90000 --image_every 1 --cameras.front.width 4096 --cameras.front.height 4096": "disk",
}


@pytest.mark.parametrize("options", BAD)
def test_bad_input_is_one_line(options, tmp_path, capsys):
    assert main(["record", *options.split(), "--out", str(tmp_path / "d")]) == 2
    text = capsys.readouterr().err.strip()
    assert BAD[options] in text
    assert "\n" not in text
    assert not (tmp_path / "d").exists()


SMALL = {
    "towns": ["Alder"], "test_towns": ["Gridley"], "train": 2, "validation": 0, "test": 1, "seconds": 8,
    "image_every": 5,
    "cameras": {
        "front": {"width": 128, "height": 64},
        "left": {"width": 96, "height": 64, "y": -0.5, "yaw": -60, "outputs": ["rgb"]},
    },
    "scenarios": ["", "obstacle"],
}  # fmt: skip


def start(config: Path, out: Path, workers: int) -> subprocess.Popen:
    words = [sys.executable, "-m", "throttle.cli", "record", "--config", str(config), "--out", str(out)]
    words += ["--workers", str(workers), "--artifact", "none"]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def children(parent: int) -> list[tuple[int, str]]:
    """(process, command) of all that descend from a process."""
    found, lines = [], subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout
    table = [line.split(None, 2) for line in lines.splitlines()[1:]]
    todo = [parent]
    while todo:
        now = todo.pop()
        for pid, ppid, command in table:
            if int(ppid) == now:
                found.append((int(pid), command))
                todo.append(int(pid))
    return found


def wait_for_pictures(out: Path, count: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + 400
    while len(list(out.glob("images/front/*/*.jpg"))) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)


def written(out: Path) -> dict[Path, int]:
    """When each picture was written, ns; lost ones are written again."""
    return {path: path.stat().st_mtime_ns for path in out.glob("images/front/*/*.jpg")}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_same_bytes_on_one_worker_on_two_and_after_kills(tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(SMALL))
    first = start(config, tmp_path / "one", 1)
    assert first.wait(900) == 0, first.stderr.read()

    out = tmp_path / "killed"
    process = start(config, out, 2)
    wait_for_pictures(out, 3, process)
    family = children(process.pid)
    process.kill()
    process.wait()
    time.sleep(1.0)
    left = [pid for pid, command in family if Path(f"/proc/{pid}").exists() and "defunct" not in command]
    assert not [p for p in left if "hosted" in Path(f"/proc/{p}/cmdline").read_text()], "servers outlive their recorder"
    before = written(out)
    kept = len(before)
    assert kept >= 3
    with pytest.raises(UserError, match="not finished"):
        Dataset(out)

    process = start(config, out, 2)
    wait_for_pictures(out, kept + 3, process)
    servers = [pid for pid, command in children(process.pid) if "sim.recorder.hosted" in command]
    again = written(out)
    os.kill(servers[0], signal.SIGKILL)
    wait_for_pictures(out, len(again) + 3, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) in (0, 130), process.stderr.read()

    process = start(config, out, 2)
    assert process.wait(900) == 0, process.stderr.read()
    assert list(problems(Dataset(out))) == []
    assert digests(out) == digests(tmp_path / "one")
    assert len(list(out.glob("images/left/*/*.jpg"))) == len(list(out.glob("images/front/*/*.jpg")))
    after = written(out)
    assert sum(after[path] != time for path, time in before.items()) <= 2, "more than the frame in each worker's hand"
    assert sum(after[path] != time for path, time in again.items()) <= 2
