"""Perception trains: by heart, exactly again, clipped at every step, alike on one process and two."""

from __future__ import annotations

import csv
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import config, plain, run_training

from clipping import ClipConfig
from clipping.config import StrategyConfig
from clipping.testing import assert_clips, audit, scaled_losses
from contracts import UserError
from perception.config import DataConfig, ModelConfig
from perception.data import Frames
from perception.model import PerceptionNet
from perception.peers import DETECTORS, PeerDetector
from perception.perceive import load_network
from perception.target import collate
from throttle.runs import list_checkpoints
from training import Draw, load_weights


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_step_keeps_to_the_threshold(data: Path, tmp_path: Path) -> None:
    clip = ClipConfig("global_norm", threshold=0.5, subsystem="perception")
    with audit(0.5):
        result = run_training(tmp_path / "run", config(data, clip, optimizer="momentum"))
    assert result.state == "finished"
    telemetry = rows(tmp_path / "run" / "clip_perception.csv")
    assert [int(r["step"]) for r in telemetry] == [1, 2, 3, 4, 5, 6]
    assert max(float(r["norm_after"]) for r in telemetry) <= 0.5 * (1 + 1e-5)
    names = {r["name"] for r in rows(tmp_path / "run" / "metrics.csv")}
    assert {"train/loss", "train/heat", "train/semantic", "validation/map50", "validation/miou",
            "time/data_wait_share", "clip/perception/norm"} <= names  # fmt: skip


def test_one_step_of_sgd_moves_by_the_rate_times_the_threshold(data: Path, tmp_path: Path) -> None:
    runs = itertools.count()

    def loop(threshold: float, loss_scale: float) -> None:
        clip = ClipConfig(threshold=threshold, subsystem="perception")
        with scaled_losses(loss_scale):
            settings = config(data, clip, optimizer="sgd", weight_decay=0.0, steps=1)
            run_training(tmp_path / str(next(runs)), settings)

    assert_clips(loop, 0.5)


def test_backbone_and_heads_have_their_own_threshold(data: Path, tmp_path: Path) -> None:
    groups = {"*.backbone.*": StrategyConfig("global_norm", 0.2), "*.heads.*": StrategyConfig("global_norm", 0.7)}
    run_training(tmp_path / "run", config(data, ClipConfig("none", subsystem="perception", groups=groups)))
    for name, tau in (("backbone", 0.2), ("heads", 0.7)):
        (path,) = (tmp_path / "run").glob(f"clip_perception_*{name}*.csv")
        assert max(float(r["norm_after"]) for r in rows(path)) == pytest.approx(tau, rel=1e-4)


def test_a_killed_training_goes_on_to_the_last_bit(data: Path, tmp_path: Path) -> None:
    settings = config(data, steps=40, checkpoint_every=4)
    whole = run_training(tmp_path / "whole", settings)
    code = (
        "from helpers import config, run_training; from pathlib import Path; "
        f"run_training(Path({str(tmp_path / 'part')!r}), config(Path({str(data)!r}), steps=40, checkpoint_every=4))"
    )
    here = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": f"{here}:{here.parents[1]}"}
    )
    try:
        limit = time.monotonic() + 180
        while len(list_checkpoints(tmp_path / "part")) < 2 and time.monotonic() < limit:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    rest = run_training(tmp_path / "part", settings, resume=True)
    assert rest.final_weights == whole.final_weights
    assert rest.last == whole.last
    assert rows(tmp_path / "part" / "clip_perception.csv") == rows(tmp_path / "whole" / "clip_perception.csv")


def test_a_run_of_another_network_is_not_gone_on_with(data: Path, tmp_path: Path) -> None:
    run_training(tmp_path / "run", config(data, steps=2))
    before = (tmp_path / "run" / "model.json").read_text()
    with pytest.raises(UserError, match=r"^[^\n]*not the weights of this network[^\n]*$"):
        run_training(tmp_path / "run", config(data, model={"neck": 8}, steps=4), resume=True)
    assert (tmp_path / "run" / "model.json").read_text() == before
    state = load_weights(tmp_path / "run" / "best.pt")
    torch.save({n: v for n, v in state.items() if ".heads.lights." not in n}, tmp_path / "run" / "best.pt")
    with pytest.raises(UserError, match=r"not the weights of this network \(detector.heads.lights.[^\n]*train again$"):
        load_network(tmp_path / "run")


@pytest.mark.parametrize("strategy", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_two_processes_learn_as_one(strategy: str, data: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": {"norm": "group"}, "steps": 2, "optimizer": "sgd"}
    one = run_training(tmp_path / "one", plain(config(data, **options)))
    two = run_training(tmp_path / "two", plain(config(data, **options, devices=2, strategy=strategy)))
    norms = [[float(r["norm"]) for r in rows(tmp_path / n / "clip_perception.csv")] for n in ("one", "two")]
    assert norms[1] == pytest.approx(norms[0], rel=1e-3)
    mine, other = load_weights(one.checkpoint), load_weights(two.checkpoint)  # type: ignore[arg-type]
    for name, value in mine.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-5)


def batch(data: Path) -> Any:
    frames = Frames(DataConfig(str(data), width=192, height=96), "train")
    return collate([frames[Draw(k, None)] for k in range(3)]), len(frames.signs)


def check_peer(data: Path, config_: ModelConfig) -> None:
    examples, signs = batch(data)
    net = PerceptionNet(config_, signs)
    losses = net(examples.images, examples.targets)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)
    found = net.eval().predict(examples.images, [96.0] * 3)
    assert len(found) == 3
    for each in found:
        assert (each.semantic is None) == (config_.segmenter == "none")
        if config_.segmenter != "none":
            assert each.semantic is not None
            assert each.semantic.shape == (96, 192)
        assert len(each.labels) == len(each.scores) == len(each.state)


def published(detector: str, path: Path) -> dict[str, torch.Tensor]:
    """A file as torchvision publishes it: of COCO's 91 classes, norms without their counts."""
    torch.manual_seed(3)
    state = DETECTORS[detector](weights=None, weights_backbone=None, num_classes=91).state_dict()
    state = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(state, path)
    return state


def check_weights(data: Path, detector: Any, path: Path) -> None:
    given = published(detector, path)
    config_ = ModelConfig(detector=detector, segmenter="none", weights=str(path))
    net = PerceptionNet(config_, 2)
    assert isinstance(net.detector, PeerDetector)
    mine = net.detector.body.state_dict()
    assert set(given) <= set(mine)
    fresh = {name for name, value in given.items() if mine[name].shape != value.shape}
    assert all(torch.equal(mine[name], value) for name, value in given.items() if name not in fresh)
    assert fresh, "the classes are others"
    assert all("cls" in name or "classification" in name or "box_predictor" in name for name in fresh), fresh
    check_peer(data, config_)


@pytest.mark.parametrize(("detector", "segmenter"), [("ssdlite", "lraspp"), ("none", "deeplabv3")])
def test_torchvision_by_config(data: Path, detector: Any, segmenter: Any) -> None:
    check_peer(data, ModelConfig(detector=detector, segmenter=segmenter))


def test_a_detector_begins_with_weights_from_a_local_file(data: Path, tmp_path: Path) -> None:
    check_weights(data, "ssdlite", tmp_path / "ssdlite.pth")


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["fcos", "retinanet", "fasterrcnn"])
def test_large_detectors_begin_with_weights_from_a_local_file(data: Path, detector: str, tmp_path: Path) -> None:
    check_weights(data, detector, tmp_path / "large.pth")


def test_a_segmenter_begins_with_weights_from_a_local_file(data: Path, tmp_path: Path) -> None:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    torch.manual_seed(0)
    given = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21)
    torch.save(given.state_dict(), tmp_path / "lraspp.pt")
    config_ = ModelConfig(detector="none", segmenter="lraspp", segmenter_weights=str(tmp_path / "lraspp.pt"))
    net = PerceptionNet(config_, 2)
    assert net.segmenter is not None
    mine = net.segmenter.body.state_dict()
    for name, value in given.state_dict().items():
        assert mine[name].shape != value.shape or torch.equal(mine[name], value)
    torch.save({"other": torch.zeros(3)}, tmp_path / "none.pt")
    with pytest.raises(UserError, match="no weight in it fits"):
        PerceptionNet(ModelConfig(detector="none", segmenter="lraspp", segmenter_weights=str(tmp_path / "none.pt")), 2)
