"""The closed-loop benchmark: what is counted, and that no route is lost whatever dies."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from contracts import Ego, LightState, Objects, Plan, Scene, UserError
from planning.checks import CHECKS
from sim.driving.tracking import STANDING_BRAKE
from sim.metrics import Route, route_score
from throttle.cli import main
from throttle.drive.benchmark import figures
from throttle.drive.config import DriveConfig, Stack, jobs
from throttle.drive.episode import failed, summary
from throttle.drive.parts import checks, known_only, load_parts, move_on
from throttle.runs import find_run

ROOT = Path(__file__).parents[2]
DRIVE = [sys.executable, "-m", "throttle.cli", "drive", "--planner", "idm", "--towns", "[Alder]", "--shortest", "100",
         "--longest", "200", "--density", "0.2", "--video", "false", "--tracking.wandb", "disabled"]  # fmt: skip


def scene(centre: list[list[float]], velocity: list[list[float]], speed: float = 10.0) -> Scene:
    n, single = len(centre), np.float32
    objects = Objects(
        np.zeros(n, np.int32), np.array(centre, single).reshape(n, 2), np.ones((n, 2), single), np.zeros(n, single),
        np.array(velocity, single).reshape(n, 2), np.ones(n, single),
    )  # fmt: skip
    route = np.stack([np.arange(64), np.zeros(64)], 1).astype(single)
    return Scene(Ego(speed, 0.0, 0.0, 0.0), objects, route, LightState.RED, 30.0, False, 13.9)


def test_what_was_seen_moves_on_by_its_velocity_and_the_egos_motion() -> None:
    # an object 20 m ahead that crosses to the right at 4 m/s; the ego goes 1 m and turns 90 degrees to the right
    seen = scene([[20.0, 0.0]], [[0.0, 4.0]])
    now = scene([], [])
    moved = move_on(seen, now, 0.5, (1.0, 0.0, math.pi / 2)).validate()
    # then: at (20, 2), 19 m ahead and 2 m to the right of where the ego is now; seen after a right turn, 19 m are left
    assert moved.objects.centre[0] == pytest.approx([2.0, -19.0], abs=1e-4)
    assert moved.objects.velocity[0] == pytest.approx([4.0, 0.0], abs=1e-4)
    assert moved.objects.yaw[0] == pytest.approx(-math.pi / 2)
    assert moved.stop_distance == pytest.approx(29.0)
    assert moved.light is LightState.RED


def test_nothing_is_known_without_looking_but_ego_route_and_limit() -> None:
    truth = scene([[5.0, 0.0]], [[0.0, 0.0]])
    known = known_only(truth)
    assert len(known.objects) == 0
    assert known.light is LightState.NONE
    assert math.isinf(known.stop_distance)
    assert known.ego == truth.ego
    assert known.route is truth.route


def test_a_route_that_was_not_driven_counts_as_failed() -> None:
    config = DriveConfig(planner="idm", routes=2)
    first, second = jobs(config)
    good = {
        **failed(first, "", 0.0), **summary(Route(completion=1.0, distance=200.0, finished=True), "completed"),
        "seconds": 20.0,
    }  # fmt: skip
    assert figures([good], 1)["driving_score/carla-lb-2.0"] == 100.0
    for outcomes in ([good], [good, failed(second, "the server is gone", 0.0)]):
        got = figures(outcomes, 2)
        assert got["driving_score/carla-lb-2.0"] == 50.0
        assert got["success"] == 0.5
        assert got["completion"] == 50.0


def test_every_stack_meets_the_same_routes_and_traffic(tmp_path: Path) -> None:
    config = DriveConfig(
        perception="p", planner="l", control="c", ablation=True, routes=2, seeds=[0, 1], towns=["Marlin", "Alder"],
        others={"unclipped": Stack("p2", "l2", "c2")},
    )  # fmt: skip
    arms = config.arms()
    assert arms["stack"] == Stack("p", "l", "c")
    assert arms["true perception"] == Stack("truth", "l", "c")
    assert arms["idm planner"] == Stack("p", "idm", "c")
    assert arms["expert planner"] == Stack("truth", "expert", "c")
    assert arms["tracker control"] == Stack("p", "l", "tracker")
    assert arms["expert"] == Stack("truth", "expert", "tracker")
    assert arms["unclipped"] == Stack("p2", "l2", "c2")
    every = [(job.town, job.number, job.seed, job.weather) for job in jobs(config) if job.arm == "stack"]
    assert len(set(every)) == 8
    for arm in arms:
        assert [(j.town, j.number, j.seed, j.weather) for j in jobs(config) if j.arm == arm] == every
    assert len({job.key for job in jobs(config)}) == 8 * len(arms)
    with pytest.raises(UserError, match="the expert sees the truth"):
        Stack("p", "expert", "c")


def test_plans_are_checked_by_what_is_known_well_enough() -> None:
    assert checks(Stack(planner="l"), CHECKS) == list(CHECKS), "true Scenes: as the run says"
    assert checks(Stack("p", "l"), CHECKS) == ["lines", "leaders"]
    assert checks(Stack("p", "l"), []) == []
    assert checks(Stack("p", "l", safety=["crossers"]), CHECKS) == ["crossers"]


def test_a_learned_policy_is_held_where_the_plan_is_to_stand(tmp_path: Path) -> None:
    words = ["train", "control", "--env.id", "throttle/TrackPlan-v0", "--env.worlds", "4", "--total_steps", "200"]
    words += ["--ppo.n_steps", "25", "--ppo.batch_size", "100", "--runs", str(tmp_path), "--tracking.wandb", "disabled"]
    assert main(words) == 0
    control = load_parts(Stack("truth", "idm", str(find_run(tmp_path, "last", "control"))), 1).control
    path = np.stack([np.arange(1, 21), np.zeros(20)], 1).astype(np.float32)

    def brake(wanted: float, speed: float) -> float:
        control.begin()
        return control.act(Plan(path, np.full(8, wanted, np.float32)), scene([], [], speed)).validate().brake

    assert brake(0.0, 0.2) == STANDING_BRAKE
    assert STANDING_BRAKE not in (brake(0.0, 2.0), brake(3.0, 0.2), brake(3.0, 2.0)), "else it is the policy's own"


def test_scenarios_are_dealt_out_over_the_routes() -> None:
    config = DriveConfig(planner="idm", routes=3, seeds=[0, 1], scenarios=["", "cut_in"])
    assert {(job.number, job.scenario) for job in jobs(config)} == {(0, ""), (1, "cut_in"), (2, "")}
    for wrong in ([], ["flood"]):
        with pytest.raises(UserError, match="scenarios: "):
            DriveConfig(scenarios=wrong)


def drive(folder: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "NUMBA_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*DRIVE, "--runs", str(folder), *options], env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, cwd=folder.parent,
    )  # fmt: skip


def result(runs: Path) -> dict:
    found: dict = json.loads(next(runs.glob("*/result.json")).read_text())
    return found


def test_a_short_drive_is_judged_and_reported(tmp_path: Path) -> None:
    process = drive(tmp_path / "runs", "--routes", "1", "--seconds", "6", "--scenarios", "[hard_brake]")
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said
    assert "InMemoryMap" not in said, "what CARLA's client prints is not for the terminal"
    found = result(tmp_path / "runs")
    (route,) = found["arms"]["stack"]["routes"]
    assert route["ended"] == "limit"
    assert route["scenario"] == "hard_brake"
    assert route["seconds"] == pytest.approx(6.0, abs=0.2)
    assert 0.0 < route["completion"] < 0.9
    assert route["counts"]["distance"] > 5.0
    score = route_score(Route(**route["counts"]), "carla-lb-2.0")
    assert route["score"]["carla-lb-2.0"] == score == found["arms"]["stack"]["figures"]["driving_score/carla-lb-2.0"]
    assert set(route["latency"]) == {"planning", "control", "simulator"}
    page = next((tmp_path / "runs").glob("*/report.html")).read_text()
    assert "carla-lb-2.0" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


@pytest.mark.slow
def test_a_server_that_dies_costs_no_route_and_a_killed_benchmark_goes_on(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    process = drive(runs, "--routes", "3", "--seconds", "12", "--workers", "1")
    servers: list[int] = []
    end = time.monotonic() + 400
    while not servers or not list(runs.glob("*/routes/*/*.json")):  # the first route is done, the second under way
        assert process.poll() is None
        assert time.monotonic() < end
        servers = [c for c in children(process.pid) if b"hosted" in Path(f"/proc/{c}/cmdline").read_bytes()]
        time.sleep(0.2)
    os.kill(servers[0], signal.SIGKILL)
    while len(list(runs.glob("*/routes/*/*.json"))) < 2:
        assert process.poll() is None, "a benchmark outlives its server"
        assert time.monotonic() < end
        time.sleep(0.2)
    process.kill()
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in runs.glob("*/routes/*/*.json")}
    (run,) = runs.iterdir()
    resumed = drive(runs, "--routes", "3", "--seconds", "12", "--workers", "1", "--resume", str(run))
    said, _ = resumed.communicate(timeout=500)
    assert resumed.returncode == 0, said
    assert all(path.stat().st_mtime_ns == old for path, old in kept.items()), "what is driven is not driven again"
    figures = result(runs)["arms"]["stack"]["figures"]
    assert figures["driven"] == figures["routes"] == 3


def test_no_server_and_no_room_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = subprocess.run([*DRIVE, "--runs", str(tmp_path / "file" / "runs")], capture_output=True, text=True)
    assert blocked.returncode == 2
    assert blocked.stderr == f"throttle: {tmp_path / 'file' / 'runs'}: Not a directory\n"


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "full", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        (tmp_path / "ballast").write_bytes(b"x" * 12_000)
        full = subprocess.run([*DRIVE, "--runs", str(tmp_path / "runs")], capture_output=True, text=True)
        assert full.returncode == 2
        assert "No space left on device" in full.stderr
        assert full.stderr.count("\n") == 1
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
