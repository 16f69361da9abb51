"""Errors of a perception: what is told errs as was asked for, and measuring it gives the numbers back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from contracts import LightState, UserError
from planning.config import AugmentConfig
from planning.data import Episodes
from planning.errors import GROUPS, load_errors
from planning.measure import fit
from planning.pairs import Told
from planning.perturb import augment, concerns
from planning.scenes import CONFIDENCE, Scenes
from planning.sight import ErringSight, true_scenes
from planning.tell import Teller, hidden
from sim.driving.batch import Batch, BatchConfig
from sim.driving.expert import ExpertPlanner
from sim.driving.routes import named_routes
from sim.roads import load

WORLDS = 4
ERRORS = "configs/planning/errors.yaml"


def batch(worlds: int = WORLDS) -> Batch:
    network = load("Alder")
    return Batch(network, named_routes(network, "train", worlds, 0), BatchConfig(density=9.0, walkers=60, seed=3))


@pytest.fixture(scope="module")
def routes() -> list[Told]:
    """What the expert's drives look like through the errors of the preset, and the truth."""
    steps, worlds, sight, expert = 150, batch(), ErringSight(load_errors(ERRORS), 0), ExpertPlanner()
    sight.begin(worlds)
    expert.begin(worlds)
    every = np.arange(WORLDS)
    looks = []
    for _ in range(steps):
        truth = worlds.world.truth
        numbers = truth.slot[:, 0] + 1000 * (truth.kind[:, 0] == 5) + 2000 * (truth.kind[:, 0] == 6)
        numbers = np.where(truth.kind[:, 0] < 0, -1, numbers).astype(np.int64)
        looks.append((true_scenes(worlds, every), sight.look(worlds, every), numbers))
        worlds.step(expert.plan(worlds))
    time = 0.1 * np.arange(steps)
    return [
        Told(
            *(Scenes(*(np.stack([look[which][k][w] for look in looks]) for k in range(6))) for which in (0, 1)),
            np.stack([look[2][w] for look in looks]), time,
        )
        for w in every
    ]  # fmt: skip


def test_measuring_gives_the_numbers_back(routes: list[Told], tmp_path: Path) -> None:
    wanted = load_errors(ERRORS)
    routes[0].write(tmp_path / "pairs" / "one.npz")
    again = Told.read(tmp_path / "pairs" / "one.npz")
    assert all(np.array_equal(a, b) for a, b in zip(again.told, routes[0].told, strict=True))
    found = fit(routes)
    assert found.view == pytest.approx(wanted.view, rel=0.15)
    for name in ("car", "pedestrian"):
        assert found.seen[name][1:4] == pytest.approx(wanted.seen[name][1:4], abs=0.15)
    assert found.along[1:4] == pytest.approx(wanted.along[1:4], rel=0.5)
    assert found.velocity[1:3] == pytest.approx(wanted.velocity[1:3], rel=0.6)
    assert found.false == pytest.approx(wanted.false, rel=0.5)
    assert found.confidence[0] == pytest.approx(wanted.confidence[0], abs=0.05)


def test_a_drive_of_several_arms_is_measured_for_one_of_them(
    routes: list[Told], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from throttle.cli import main
    from throttle.commands.drive import KIND
    from throttle.drive.config import DriveConfig
    from throttle.runs import Run

    place = Run.create(tmp_path, "drive", KIND, DriveConfig(perception="net", planner="route", towns=["Alder"]))
    place.finish("finished")
    for arm, told in (("stack", routes[:1]), ("stack-b", routes[1:4])):
        (place.path / "routes" / arm).mkdir(parents=True)
        for number, route in enumerate(told):
            (place.path / "routes" / arm / f"Alder-{number:03d}-s0.json").write_text("{}")
            route.write(place.path / "pairs" / f"{arm}-Alder-{number:03d}-s0.npz")
    words = ["evaluate", "scenes", str(place.path)]
    assert main(words) == 0
    assert "net on test routes of Alder: 150 looks, 1 routes" in capsys.readouterr().out.replace("\n ", "")
    assert main([*words, "--arm", "stack b"]) == 0
    assert "450 looks, 3 routes" in capsys.readouterr().out
    assert main([*words, "--arm", "expert"]) == 2
    assert "no pairs of Scenes of 'expert'" in " ".join(capsys.readouterr().err.split())


def test_who_stands_behind_another_is_hidden() -> None:
    objects = np.zeros((1, 3, 8), np.float32)
    objects[0, :, :2] = (10.0, 0.0), (20.0, 0.5), (20.0, 8.0)
    objects[0, :, 2:4] = 2.2, 0.9
    scenes = Scenes(np.zeros((1, 6)), objects, np.zeros((1, 3), np.int64), None, None, None)
    assert hidden(scenes).tolist() == [[False, True, False]]
    assert not hidden(scenes._replace(kind=np.array([[-1, 0, 0]]))).any()


def test_only_objects_err_in_lessons_and_only_in_some_worlds() -> None:
    errors = load_errors(ERRORS)
    worlds, sight = batch(), ErringSight(errors, 4, share=0.5, lines=False)
    one, two = (sight.begin(worlds) or sight.look(worlds, np.arange(WORLDS)) for _ in range(2))
    true = true_scenes(worlds, np.arange(WORLDS))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))  # the same worlds, the same errors
    erring = (one.objects[..., CONFIDENCE] % 1.0 > 0).any(1)
    assert 0 < erring.sum() < WORLDS
    for told, truth in zip(one, true, strict=True):
        assert np.array_equal(told[~erring], truth[~erring])
    for name in ("ego", "route", "light", "rules"):
        assert np.array_equal(getattr(one, name), getattr(true, name))
    behind = np.abs(np.arctan2(one.objects[..., 1], one.objects[..., 0])) > errors.view + 0.3
    assert not (behind & (one.kind >= 0))[erring].any()


def test_in_training_who_concerns_the_ego_is_always_told(train_part: Episodes) -> None:
    examples = train_part.examples((1.0,), 48).take(slice(0, 64))
    errors = load_errors(ERRORS)
    config = AugmentConfig(pose=0.0, noise=0.0, erring=1.0)
    told = augment(examples, config, torch.Generator().manual_seed(1), errors).scenes
    near = concerns(examples.scenes) & (examples.scenes.kind >= 0)
    assert near.any()
    assert (told.kind[near] >= 0).all()
    assert (told.objects[near][:, CONFIDENCE] < 1).any()
    assert (told.kind[examples.scenes.kind >= 0] < 0).any()
    assert torch.equal(told.light, examples.scenes.light)
    again = augment(examples, config, torch.Generator().manual_seed(1), errors).scenes
    assert torch.equal(again.objects, told.objects)


def test_lights_are_told_late_and_yellow_as_something_else() -> None:
    errors = dataclasses.replace(load_errors(ERRORS), late=0.3, yellow_as_red=0.75, light=[1.0] * 5, light_nearer=-9.0)
    count = 400
    teller = Teller(errors, count, 1, np.random.default_rng(0))
    rules = np.tile(np.array([30.0, 0.0, 13.9], np.float32), (count, 1))
    nobody = np.zeros((count, 1, 8), np.float32), np.full((count, 1), -1)
    told = []
    for state in [LightState.GREEN] * 3 + [LightState.RED] * 8 + [LightState.YELLOW] * 8:
        light = np.full(count, int(state))
        scenes = Scenes(np.zeros((count, 6), np.float32), *nobody, np.zeros((count, 64, 2)), light, rules)
        told.append(teller.tell(scenes, np.arange(count), np.full((count, 1), -1), 0.1))
    states = np.array([scene.light for scene in told])
    assert (states[:5] == LightState.GREEN).all()  # 0.2 s after the change to red it is not told yet
    assert (states[7:11] == LightState.RED).all()
    assert not (states == LightState.YELLOW).any()
    assert (states[-1] == LightState.RED).mean() == pytest.approx(0.75, abs=0.1)
    assert told[-1].rules[:, 0].mean() == pytest.approx(21.0, abs=1.0)


@pytest.mark.parametrize("text", ["seen: {car: [1, 2]}", "nothing: 1", "[1", "view: 9", "3"])
def test_a_file_that_holds_no_errors_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "errors.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match="errors"):
        load_errors(str(file))
    with pytest.raises(UserError):
        load_errors(str(tmp_path / "none.yaml"))
    assert len(load_errors(ERRORS).seen) == len(GROUPS)
