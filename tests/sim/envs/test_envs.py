"""The environments: Gymnasium's and SB3's checkers, determinism, and that single, vector and SB3 forms agree."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_sb3

import sim.envs
from contracts import UserError
from sim.envs.track_plan import LEASH, SPEED_UP, TrackPlan
from sim.world import fields as f

IDS = list(sim.envs.TASKS)
HEADINGS = ("Description", "Action Space", "Observation Space", "Rewards", "Starting State", "Episode Termination",
            "Arguments", "Version History")  # fmt: skip


def drive(steps: int, worlds: int, seed: int = 0) -> np.ndarray:
    """Actions [steps, worlds, 2] that mostly go straight on at moderate speed."""
    random = np.random.default_rng(seed)
    actions = random.normal(0, 0.2, (steps, worlds, 2)).astype(np.float32)
    actions[..., 0] += 0.35
    return np.clip(actions, -1, 1)


@pytest.mark.parametrize("id", IDS)
def test_checkers_pass_and_the_docstring_has_all_headings(id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        env = gymnasium.make(id, render_mode="rgb_array")
        check_env(env.unwrapped, skip_render_check=False)
        check_sb3(env)
    doc = type(env.unwrapped).__doc__ or ""
    found = [line.strip("# ").strip() for line in doc.splitlines() if line.strip().startswith("## ")]
    assert found == list(HEADINGS)
    env.reset(seed=1)
    for action in drive(12, 1):
        env.step(action[0])
    picture = env.render()
    assert picture.shape == (512, 512, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    env.close()


@pytest.mark.parametrize("id", IDS)
def test_single_vector_and_sb3_forms_give_the_same_numbers(id: str) -> None:
    worlds, steps, seed = 3, 120, 11
    vector = gymnasium.make_vec(id, num_envs=worlds, vectorization_mode="vector_entry_point")
    sb3 = sim.envs.make_sb3(id, worlds=worlds, seed=seed)
    singles = [gymnasium.make(id).unwrapped for _ in range(worlds)]
    obs, _ = vector.reset(seed=seed)
    assert np.array_equal(obs, sb3.reset())
    assert np.array_equal(obs, np.stack([env.reset(seed=seed + i)[0] for i, env in enumerate(singles)]))
    ended = 0
    for action in drive(steps, worlds):
        obs, reward, terminated, truncated, info = vector.step(action)
        obs3, reward3, done3, infos3 = sb3.step(action)
        assert np.array_equal(obs, obs3)
        assert np.array_equal(reward, reward3)
        assert np.array_equal(terminated | truncated, done3)
        assert vector.observation_space.contains(obs)
        for i, env in enumerate(singles):
            o, r, te, tr, one = env.step(action[i])
            assert (r, te, tr) == (float(reward[i]), bool(terminated[i]), bool(truncated[i]))
            assert r == pytest.approx(sum(one["terms"].values()), abs=1e-5)
            if te or tr:
                ended += 1
                assert np.array_equal(o, info["final_obs"][i])
                assert np.array_equal(o, infos3[i]["terminal_observation"])
                assert one["report"]["return"] == pytest.approx(infos3[i]["episode"]["r"], abs=1e-4)
                assert one["report"] == infos3[i]["report"]
                o, _ = env.reset()
            assert np.array_equal(o, obs[i])
    assert ended or id.endswith("TrackPlan-v0") or steps * 0.1 < 15


def test_gymnasium_records_a_video(tmp_path: Path) -> None:
    env = gymnasium.make("throttle/SpeedControl-v0", render_mode="rgb_array")
    env = gymnasium.wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda n: True, disable_logger=True)
    env.reset(seed=0)
    for action in drive(20, 1):
        env.step(action[0])
    env.close()
    (film,) = tmp_path.glob("*.mp4")
    video = cv2.VideoCapture(str(film))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) >= 20
    shown, frame = video.read()
    assert shown
    assert frame.shape == (512, 512, 3)


def test_same_seed_same_bytes_and_other_seed_other_route() -> None:
    def play(seed: int) -> list[np.ndarray]:
        env = sim.envs.make_sb3("throttle/Urban-v0", worlds=4, seed=seed)
        found = [env.reset()]
        for action in drive(100, 4):
            found.append(env.step(action)[0])
        return found

    first, second, other = play(5), play(5), play(50)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("id", [i for i in IDS if "TrackPlan" not in i])
def test_observation_is_that_of_the_contract(id: str) -> None:
    """What the kernel writes from the simulator's arrays equals what is encoded from a contracts.Scene."""
    from sim.envs.observation import encode_scene

    env = sim.envs.make_sb3(id, worlds=4, seed=3)
    env.reset()
    for action in drive(60, 4):
        obs = env.step(action)[0]
        for w in range(4):
            np.testing.assert_allclose(encode_scene(env.batch.scene(w).validate()), obs[w], atol=1e-6)


def test_plan_observation_is_that_of_the_contract() -> None:
    from sim.envs.observation import encode_plan

    env = sim.envs.make_sb3("throttle/TrackPlan-v0", worlds=3, seed=3)
    env.reset()
    assert isinstance(env.task, TrackPlan)
    for action in drive(40, 3):
        obs = env.step(action)[0]
        for w in range(3):
            plan = env.task.plan(w)
            assert (plan.speed >= 0).all()
            np.testing.assert_allclose(encode_plan(env.batch.scene(w).ego, plan), obs[w], atol=1e-6)


def test_a_plan_waits_for_a_car_that_stands() -> None:
    env = sim.envs.make_sb3("throttle/TrackPlan-v0", worlds=8, seed=5)
    env.reset()
    assert isinstance(env.task, TrackPlan)
    speeds = []
    for _ in range(60):
        env.step(np.tile(np.float32([-1.0, 0.0]), (8, 1)))
        speeds.append(env.task.speed[:, -1].copy())
    assert np.max(speeds[30:]) <= LEASH + 2.0 * SPEED_UP + 1e-4, "the plan is that of a car at rest"
    assert np.max(speeds[30:]) > 1.0, "and still asks for a start"


def test_a_camera_observation_is_a_picture_and_what_the_car_knows() -> None:
    from sim.envs.observation import SCENE

    more = {"observation": "camera", "image_width": 64, "image_height": 40, "traffic": 0.5, "blocked": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        env = gymnasium.make("throttle/Urban-v0", **more)
        check_env(env.unwrapped, skip_render_check=True)
        check_sb3(env)
    vector = gymnasium.make_vec("throttle/Urban-v0", num_envs=2, vectorization_mode="vector_entry_point", **more)
    sb3 = sim.envs.make_sb3("throttle/Urban-v0", worlds=2, seed=4, **more)
    numbers = sim.envs.make_sb3("throttle/Urban-v0", worlds=2, seed=4, traffic=0.5)
    numbers.reset()
    one, many, same = env.reset(seed=4)[0], vector.reset(seed=4)[0], sb3.reset()
    assert env.observation_space.contains(one)
    assert vector.observation_space.contains(many)
    first = one["image"].astype(int)
    assert first.std() > 15, "a street, not a blank"
    for action in drive(15, 2):
        action[:, 0] = 0.8
        one, many, same = env.step(action[0])[0], vector.step(action)[0], sb3.step(action)[0]
        plain = numbers.step(action)[0]
    for name in ("image", "state"):
        assert np.array_equal(one[name], many[name][0])
        assert np.array_equal(many[name], same[name])
    assert np.array_equal(one["state"], np.concatenate([plain[0, SCENE["ego"]], plain[0, SCENE["route"]]]))
    assert np.abs(one["image"] - first).mean() > 5, "it has moved"
    night = gymnasium.make("throttle/Urban-v0", weather="ClearNight", **more).reset(seed=4)[0]["image"]
    assert night.mean() < first.mean() - 20


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"traffic": 2.0}, "traffic"),
        ({"dt": 0}, "dt"),
        ({"town": "Atlantis"}, "Atlantis"),
        ({"colour": 1}, "colour"),
        ({"route_length": "long"}, "route_length"),
        ({"observation": "sonar"}, "observation"),
        ({"weather": "Frogs"}, "Frogs"),
        ({"image_width": 5}, "image_width"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], word: str) -> None:
    with pytest.raises(UserError, match=word):
        sim.envs.make_sb3("throttle/Urban-v0", worlds=1, **arguments)
    with pytest.raises(UserError, match="unknown environment"):
        sim.envs.make_sb3("throttle/Rural-v0")


def follow(scene_route: np.ndarray, speed: float, wish: float) -> np.ndarray:
    """A plain driver: aims at a point of the route, holds a speed."""
    from sim.envs.action import steer_limit

    ahead = scene_route[min(6, len(scene_route) - 1)]
    wheel = np.arctan2(2 * 2.9 * ahead[1], float(ahead @ ahead) + 0.1)
    steer = wheel / 1.22 / float(steer_limit(np.float32(speed)))
    return np.clip([0.4 * (wish - speed), steer], -1, 1).astype(np.float32)


def test_a_plain_driver_completes_the_lane_following_task() -> None:
    """The task can be solved, and its reward prefers driving to standing."""
    env = gymnasium.make("throttle/LaneFollow-v0", route_length=120.0).unwrapped
    returns = []
    for seed in range(4):
        env.reset(seed=seed)
        done = False
        while not done:
            scene = env.scene()
            _, _, terminated, truncated, info = env.step(follow(scene.route, scene.ego.speed, 6.0))
            done = terminated or truncated
        assert info["report"]["completion"] > 0.95, info["report"]
        returns.append(info["report"]["return"])
    env.reset(seed=0)
    standing = sum(env.step(np.array([-1, 0], np.float32))[1] for _ in range(300))
    assert min(returns) > standing + 5


def test_emergencies_hit_who_does_not_brake() -> None:
    """Three episodes in four hold a danger that a driver who never brakes runs into; the fourth lets it pass."""
    env = sim.envs.make_sb3("throttle/EmergencyBrake-v0", worlds=32, seed=0)
    env.reset()
    first: dict[int, dict[str, int]] = {}
    danger = env.task.danger.copy()  # type: ignore[attr-defined]
    for _ in range(260):
        actions = np.stack([follow(env.batch.truth.route[w, 0], env.batch.truth.ego[w, 0, 0], 9.0) for w in range(32)])
        _, _, done, infos = env.step(actions)
        for w in np.flatnonzero(done):
            first.setdefault(int(w), infos[w]["report"])
    assert len(first) == 32
    hits = {k: [r["hit_vehicle"] + r["hit_walker"] > 0 for w, r in first.items() if danger[w] == k] for k in range(4)}
    assert not any(hits[0])
    assert np.mean(hits[1] + hits[2]) > 0.8
    assert np.mean(hits[3]) > 0.3


@pytest.mark.parametrize("pedal", [-1.0, 0.25])
def test_a_blocked_lane_is_a_scenario(pedal: float) -> None:
    env = sim.envs.make_sb3("throttle/Urban-v0", worlds=16, blocked=1.0, traffic=0.3, walkers=0.0, time_limit=300.0)
    env.reset()
    task, batch = env.task, env.batch
    assert (task.blockage.place > 0).mean() > 0.5
    egos, statics = batch.world.state.egos, batch.world.state.statics
    w = int(np.flatnonzero(task.blockage.place > 0)[0])
    k = int(task.blockage.place[w])
    route = batch.world.state.buffers.route
    batch.world.set_pose(w, 0, *map(float, (*route[w, 0, k - 30, :2], 0.0, route[w, 0, k - 30, 2])))
    egos.progress[w, 0] = k - 30
    for _ in range(2):  # the first finds out where the ego is
        env.step(np.zeros((16, 2), np.float32))
    assert statics.mode[w, 0] == f.PARKED
    assert egos.scenario[w, 0] == 2
    if pedal > 0:  # it stands in the lane, and whoever drives on hits it
        for _ in range(150):
            _, _, done, infos = env.step(np.tile(np.array([pedal, 0.0], np.float32), (16, 1)))
            if done[w]:
                break
        assert infos[w]["report"]["hit_static"] == 1
    else:  # who waits for ever has not passed it in its time, and then it is gone
        egos.scenario_limit[w, 0] = 5.0
        for _ in range(60):
            env.step(np.tile(np.array([pedal, 0.0], np.float32), (16, 1)))
        assert batch.report(w)["scenario_timeout"] == 1
        assert statics.mode[w, 0] == f.ABSENT
