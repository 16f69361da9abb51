"""throttle/CarlaUrban-v0 on our server, with the real client, beside throttle/Urban-v0 with the same actions."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.sim.server.conftest import ServerProcess

COMPARE = textwrap.dedent(
    """
    import sys
    import gymnasium, numpy as np
    import sim.envs
    from sim.client import ClientConfig
    from sim.envs.action import steer_limit

    port, seed, steps = int(sys.argv[1]), 3, 80
    quiet = dict(town="Alder", route_length=250.0, time_limit=60.0)
    ours = gymnasium.make("throttle/Urban-v0", traffic=0.0, walkers=0.0, **quiet).unwrapped
    patient = ClientConfig(port=port, town=quiet.pop("town"), delta=0.1, timeout=300.0)  # the first picture compiles
    carla = gymnasium.make("throttle/CarlaUrban-v0", client=patient, traffic=0, vehicle="vehicle.nissan.patrol",
                           render_mode="rgb_array", **quiet)
    carla = carla.unwrapped
    try:
        a, b = ours.reset(seed=seed)[0], carla.reset(seed=seed)[0]
        assert np.allclose(a, b, atol=0.03), np.abs(a - b).max()
        gaps, speeds, rewards, picture = [], [], [0.0, 0.0], None
        for step in range(steps):
            # steer along the route as ours sees it, at a gentle pace
            route = ours.scene().route
            speed = ours.scene().ego.speed
            aim = route[6]
            curvature = 2 * aim[1] / (aim[0] ** 2 + aim[1] ** 2)
            share = 2.9 * curvature / 1.22 / float(steer_limit(np.float32(speed)))
            action = np.array([0.4 if speed < 6 else -0.05, np.clip(share, -1, 1)], np.float32)
            _, r, end, cut, info = ours.step(action)
            _, q, stop, late, _ = carla.step(action)
            rewards[0] += r
            rewards[1] += q
            state, around = ours.batch.world.state.vehicles, carla.surroundings()
            gaps.append(np.hypot(state.x[0, 0] - around.x, state.y[0, 0] - around.y))
            speeds.append(abs(speed - around.ego.speed))
            assert (end, cut) == (stop, late), step
            if end or cut:
                break
        picture = carla.render()
        travelled = float(ours.batch.world.state.egos.distance[0, 0])
        print(repr(dict(steps=step + 1, travelled=travelled, gap=float(max(gaps)), speed=float(max(speeds)),
                        rewards=[float(v) for v in rewards], shape=picture.shape, shades=len(np.unique(picture)))))
        again = carla.reset(seed=seed)[0]
        assert np.array_equal(b, again), np.abs(b - again).max()
    finally:
        carla.close()
    """
)


@pytest.fixture
def server(tmp_path: Path):
    process = ServerProcess(tmp_path)
    yield process
    process.stop()


def test_the_same_actions_give_the_same_drive_as_in_the_batched_environment(server: ServerProcess) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, str(server.port)], capture_output=True, text=True, timeout=580, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = ast.literal_eval(done.stdout.strip().splitlines()[-1])
    print(seen)
    assert seen["travelled"] > 40
    # a body of nearly the same size; substeps of 10 ms instead of 50 ms
    assert seen["gap"] < 0.04 * seen["travelled"], "open loop: what steers differently adds up"
    assert seen["speed"] < 0.3
    assert seen["rewards"][1] == pytest.approx(seen["rewards"][0], rel=0.2)
    assert seen["shape"] == (360, 640, 3)
    assert seen["shades"] > 50
    assert np.isfinite(seen["rewards"]).all()


DYING = textwrap.dedent(
    """
    import sys
    import gymnasium, numpy as np
    import sim.envs
    from sim.client import ClientConfig

    client = ClientConfig(port=int(sys.argv[1]), town="Alder", delta=0.1, timeout=5.0, startup=90.0)
    env = gymnasium.make("throttle/CarlaUrban-v0", client=client, traffic=0).unwrapped
    try:
        first = env.reset(seed=3)[0]
        action = np.array([0.3, 0.0], np.float32)
        for _ in range(5):
            assert not env.step(action)[3]
        print("KILL", flush=True)
        for _ in range(100_000):
            observation, reward, terminated, truncated, info = env.step(action)
            if terminated or truncated:
                break
        assert (terminated, truncated) == (False, True), "the episode is cut off, not ended"
        assert np.array_equal(env.reset(seed=3)[0], first), "and the next one is as on the server before"
        assert not env.step(action)[3]
    finally:
        env.close()
    """
)


@pytest.mark.slow
def test_a_server_that_dies_cuts_the_episode_off(tmp_path: Path) -> None:
    first = ServerProcess(tmp_path)
    words = [sys.executable, "-c", DYING, str(first.port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "KILL"
        first.process.kill()
        first.process.wait()
        second = ServerProcess(tmp_path, "--port", str(first.port), "--prepare", "false")
        _, errors = process.communicate(timeout=200)
    second.stop()
    assert process.returncode == 0, errors[-3000:]
