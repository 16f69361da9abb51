"""Closed loop, robustness, export and the command."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from test_model import SMALL, network

from contracts import UserError
from planning.config import NetConfig, PlanningConfig
from planning.evaluate import (
    SCORE,
    Course,
    baselines,
    course_scenes,
    drive_course,
    film,
    infractions,
    make_batch,
    robustness,
    sensitivity,
    together,
    worst,
)
from planning.export import export
from planning.model import PlanningNet
from planning.planner import BatchDriver, Planner, load_planner

COURSE = Course(towns=["Alder"], densities=[6.0], routes=3, limit=60.0)


def test_the_baselines_rank_as_they_should_and_the_worst_route_is_filmed(tmp_path: Path) -> None:
    found = {name: drive_course(name, driver, COURSE) for name, driver in baselines().items()}
    scores = {name: together(outcomes).figures()[SCORE] for name, outcomes in found.items()}
    assert scores["constant velocity"] < 0.7 * min(scores["expert"], scores["lane follower + IDM"])
    assert scores["expert"] > 60
    blind = found["constant velocity"]
    assert len(infractions(blind)) == sum(d.result.infractions for o in blind for d in o.evaluation.drives)
    outcome, world = worst(blind, 1)[0]
    lowest = min(d.row()["score/carla-lb-2.0"] for d in outcome.evaluation.drives)
    assert outcome.evaluation.drives[world].row()["score/carla-lb-2.0"] == lowest
    film(tmp_path / "film.mp4", baselines()["constant velocity"], COURSE, outcome, world, size=128, seconds=5.0)
    video = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) >= 20


def test_pedestrians_of_a_course_are_those_that_it_names() -> None:
    crowded = make_batch(Course(towns=["Alder"], routes=1, walkers=60, jaywalk=3.0), "Alder", 3.0)
    assert crowded.world.state.walkers.x.shape[1] == 60
    assert crowded.world.config.jaywalk == 3.0
    with pytest.raises(UserError, match=r"course\.walkers"):
        Course(walkers=-1)


def test_driving_again_gives_the_same_numbers() -> None:
    driver = BatchDriver(Planner(network()))
    short = Course(towns=["Alder"], densities=[6.0], routes=2, limit=8.0)
    one, two = (together(drive_course("learned", driver, short)).figures() for _ in range(2))
    assert one == two


def test_robustness_and_sensitivity_of_a_planner() -> None:
    planner = Planner(network())
    short = Course(towns=["Alder"], densities=[6.0], routes=2, limit=6.0)
    (found,) = robustness(planner, short, kinds=["position"])
    assert len(found.scores) == 6
    assert min(found.scores) <= found.area <= max(found.scores)
    scenes = course_scenes(planner, short)
    assert scenes.batch > 2
    local = sensitivity(planner, scenes)
    assert 0 < local["median"] <= local["p95"] < 100
    for parameter in planner.net.decoder.parameters():
        torch.nn.init.zeros_(parameter)  # now the plan is the route at the present speed
    assert sensitivity(planner, scenes)["p95"] < 2.5  # of 48 points 20 make the path, and 8 speeds follow one


def test_the_onnx_file_plans_as_torch_does(tmp_path: Path) -> None:
    assert export(network(), tmp_path / "planner.onnx") < 1e-4
    assert (tmp_path / "planner.onnx").stat().st_size > 10_000


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    net = PlanningNet(SMALL)
    torch.save({"state_dict": {f"net.{k}": v for k, v in net.state_dict().items()}}, tmp_path / "w.pt")
    assert isinstance(load_planner(tmp_path / "w.pt", PlanningConfig(net=SMALL)), Planner)
    with pytest.raises(UserError, match="not the weights of this network"):
        load_planner(tmp_path / "w.pt", PlanningConfig(net=NetConfig(dim=64)))


def test_the_command_evaluates_what_the_command_trained(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from throttle.cli import main

    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    options = ["--dataset", str(dataset), "--train.steps", "6", "--train.batch", "16", "--train.threads", "1",
               "--net.layers", "1", "--net.dim", "32", "--tracking.tensorboard", "false"]  # fmt: skip
    assert main(["train", "planning", *options]) == 0
    assert main(["train", "planning", "--dataset", "nowhere"]) == 2
    said = capsys.readouterr().err
    assert "next: throttle evaluate planning runs/" in said
    assert "nowhere is no dataset" in said
    drive = ["--course.towns", "[Alder]", "--course.densities", "[6]", "--course.routes", "2", "--course.limit", "8",
             "--videos", "1", "--open_loop", "50", "--tracking.tensorboard", "false"]  # fmt: skip
    assert main(["evaluate", "planning", "last", *drive]) == 0
    said = capsys.readouterr().out
    assert "lane follower + IDM" in said
    assert "open loop" in said
    (place,) = (tmp_path / "runs").iterdir()
    written = json.loads((place / "evaluation.json").read_text())
    assert {part["planner"] for part in written["closed_loop"]} >= {place.name, "expert", "constant velocity"}
    assert np.isfinite(written["open_loop"]["learned"]["pdms"])
    assert list(place.glob("worst-1-*.mp4"))
