"""Evaluation of an oracle, of a blind baseline, of a network that knows the pictures; perturbations; ONNX; Scenes."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import painted
import pytest
import torch

from contracts import Ego, LightState, ObjectClass, UserError
from perception import binding
from perception.baseline import Blind
from perception.classes import LIGHT, SIGN
from perception.config import DataConfig, ModelConfig
from perception.data import Frames
from perception.evaluate import evaluate
from perception.export import export
from perception.latency import latency
from perception.model import PerceptionNet, nothing
from perception.output import Detections
from perception.perceive import Perceiver, load_network
from perception.perturb import SEVERITIES, perturb, perturb_lidar
from perception.robustness import robustness, sensitivity
from throttle.cli import main
from training import Draw


def frames_of(data: Path, split: str) -> Frames:
    frames = Frames(DataConfig(str(data), width=192, height=96), split)
    frames.load()
    return frames


class Oracle:
    """Says the truth, in the order in which it is asked."""

    def __init__(self, frames: Frames) -> None:
        self.frames, self.next = frames, 0

    def predict(self, images: torch.Tensor, focals: list[float]) -> list[Detections]:
        out = []
        for _ in focals:
            t = {n: v.numpy() for n, v in self.frames[Draw(self.next, None)].target.items()}
            self.next += 1
            n = len(t["labels"])
            out.append(Detections(
                t["boxes"], t["labels"], np.ones(n, np.float32), t["depth"], t["alpha"],
                np.where(t["labels"] == LIGHT, t["state"], -1), np.where(t["labels"] == SIGN, t["sign"], -1),
                t["binding"].astype(np.float32), t["stop"], np.where(t["semantic"] == 255, 0, t["semantic"]),
            ))  # fmt: skip
        return out


def test_the_truth_scores_one_and_the_blind_far_less(data: Path) -> None:
    frames = frames_of(data, "test")
    truth = evaluate("truth", Oracle(frames), frames)
    for name in ("map", "map50", "miou", "light_accuracy", "sign_accuracy"):
        assert truth.overall[name] == pytest.approx(1.0), name
    assert truth.overall["ap3d_2m"] > 0.9
    assert sum(row["objects"] for row in truth.by_distance.values()) == sum(map(len, frames.annotations))
    assert set(truth.by_weather) == {"ClearNoon", "WetNoon"}
    assert set(truth.by_town) == {"Marlin"}
    assert truth.worst[0][0] == pytest.approx(1.0)
    assert all(set(row) == {state} for state, row in truth.lights.items())
    assert truth.binding == {"none": {"none": len(frames)}}
    blind = evaluate("blind", Blind(frames_of(data, "train")), frames)
    assert blind.overall["map50"] < 0.2
    assert 0.05 < blind.overall["miou"] < 0.6
    json.dumps(truth.as_dict(), allow_nan=False)


def test_what_binds_is_counted_by_picture(data: Path) -> None:
    frames = frames_of(data, "train")
    found = Oracle(frames).predict(torch.zeros(len(frames)), [0.0] * len(frames))
    table, figures = binding.compare(found, frames)
    assert figures == {"binding_right": 1.0, "binding_false": 0.0, "line_error": pytest.approx(0.0)}
    assert all(set(row) == {said} for said, row in table.items())
    lights = [k for k in range(len(frames)) if binding.true(frames, k)[0] != "none"]
    assert sum(sum(row.values()) for said, row in table.items() if said != "none") == len(lights) >= 1
    empty = Detections(**nothing())
    one = [empty if k == lights[0] else d for k, d in enumerate(found)]
    assert binding.compare(one, frames)[1]["binding_right"] == pytest.approx(1 - 1 / len(lights))
    elsewhere = [found[lights[0]]] * len(frames)
    assert binding.compare(elsewhere, frames)[1]["binding_false"] == 1.0


def test_a_network_knows_its_pictures_by_heart(trained: Path, data: Path) -> None:
    net, _ = load_network(trained)
    seen = evaluate("heart", net, frames_of(data, "train"))
    assert seen.overall["map50"] > 0.9
    assert seen.overall["miou"] > 0.6
    assert seen.overall["light_accuracy"] == 1.0
    assert seen.overall["ap3d_2m"] > 0.7


def test_a_scene_from_the_sensors_alone(trained: Path, data: Path) -> None:
    perceiver = Perceiver(trained)
    frames = frames_of(data, "train")
    ego, route = Ego(0.0, 0.0, 0.0, 0.0), np.stack([np.arange(1.0, 41.0), np.zeros(40)], 1).astype(np.float32)
    near, objects, lights = 0, 0, 0
    for item in range(len(frames)):
        perceiver.reset()
        scan = frames.source.lidar(frames.records[item]["lidar"])
        for _ in range(2):
            scene = perceiver(frames.original(item), scan, ego, route, 13.9)
        assert scene.route is route
        truth = [a for a in frames.annotations[item] if a["category_id"] <= 6]
        for annotation in truth:
            objects += 1
            mine = scene.objects.kind == ObjectClass(annotation["category_id"] - 1)
            gap = np.linalg.norm(scene.objects.centre[mine] - np.array(annotation["centre"][:2]), axis=1)
            near += bool(len(gap) and gap.min() < 1.5)
        binding = [a["state"] for a in frames.annotations[item] if a.get("binding") and a["category_id"] == LIGHT + 1]
        if len(binding) == 1:
            lights += 1
            assert scene.light == LightState[binding[0].upper()]
            assert scene.stop_distance == pytest.approx(14.0, rel=0.25)
        if not frames.annotations[item]:
            assert len(scene.objects) == 0
            assert scene.light == LightState.NONE
            assert scene.stop_distance == math.inf
    assert near >= 0.8 * objects
    assert lights >= 1
    with pytest.raises(UserError, match="no camera 'rear'"):
        perceiver({"rear": frames.original(0)}, None, ego, route, 13.9)


def test_a_scene_needs_no_more_than_weights_and_sensors(trained: Path, data: Path, tmp_path: Path) -> None:
    """The truth cannot leak in: nothing of the dataset and of the run but the network is there."""
    for name in ("best.pt", "model.json"):
        shutil.copy(trained / name, tmp_path / name)
    assert str(data) not in (tmp_path / "model.json").read_text()
    frames = frames_of(data, "train")
    ego, route = Ego(0.0, 0.0, 0.0, 0.0), np.zeros((4, 2), np.float32)
    whole, alone = (Perceiver(p)(frames.original(0), None, ego, route, 13.9) for p in (trained, tmp_path))
    assert len(alone.objects) > 0
    assert alone.objects.centre.tolist() == whole.objects.centre.tolist()
    assert ((alone.objects.confidence > 0) & (alone.objects.confidence <= 1)).all()
    dark = Perceiver(tmp_path)(np.zeros_like(frames.original(0)), None, ego, route, 13.9)
    assert len(dark.objects) == 0


def test_onnx_says_the_same_numbers(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    net, description = load_network(trained)
    gaps = export(net, description.width, description.height, tmp_path / "net.onnx")
    assert set(gaps) == {"heat", "box", "depth", "heading", "state", "sign", "binding", "stop", "semantic"}
    assert max(gaps.values()) < 1e-3
    import onnx

    names = [i.name for i in onnx.load(str(tmp_path / "net.onnx")).graph.input]
    assert names == ["images"]


def test_perturbations_grow_and_hurt(trained: Path, data: Path) -> None:
    frames = frames_of(data, "train")
    picture = frames[Draw(0, None)].image.permute(1, 2, 0).numpy()
    for kind in SEVERITIES:
        changed = [perturb(picture, kind, s, 3) for s in range(6)]
        assert np.array_equal(changed[0], picture)
        assert np.array_equal(changed[3], perturb(picture, kind, 3, 3))
        gaps = [float(np.abs(c.astype(float) - picture).mean()) for c in changed]
        assert gaps == sorted(gaps), kind
        assert gaps[1] > 0
    points = painted.scan([])
    assert len(perturb_lidar(points, "lidar_drop", 4, 0)) == pytest.approx(0.2 * len(points), rel=0.3)
    net, _ = load_network(trained)
    curves = {c.kind: c for c in robustness(net, frames.only([0, 1, 3]))}
    assert set(curves) == {*SEVERITIES, "lidar_drop", "lidar_noise"}
    for curve in curves.values():
        assert len(curve.values["map50"]) == 6
        assert curve.values["map50"][0] == curves["noise"].values["map50"][0]
    assert curves["occlusion"].values["miou"][5] < curves["occlusion"].values["miou"][0]
    assert curves["lidar_drop"].values["map50"][5] == curves["lidar_drop"].values["map50"][0]
    assert sensitivity(net, frames, 2)["median"] > 0
    assert latency(net, frames, 3, 1)["median_ms"] > 0


@pytest.mark.slow
def test_a_segmenter_of_torchvision_is_exported_too(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    net = PerceptionNet(ModelConfig(detector="none", segmenter="lraspp"), 2).eval()
    assert export(net, 192, 96, tmp_path / "net.onnx")["semantic"] < 1e-3
    with pytest.raises(UserError, match="ssdlite cannot be exported"):
        export(PerceptionNet(ModelConfig(detector="ssdlite", segmenter="none"), 2), 192, 96, tmp_path / "no.onnx")


def test_the_verb_writes_figures_and_pictures(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = ["--tracking.wandb", "disabled", "--tracking.tensorboard", "false", "--threads", "1"]
    assert main(["evaluate", "perception", str(trained), "--split", "validation", "--worst", "2", *quiet]) == 0
    content = json.loads((trained / "evaluation.json").read_text())
    assert [r["name"] for r in content["results"]] == ["heart", "blind"]
    assert content["results"][0]["overall"]["map50"] > content["results"][1]["overall"]["map50"]
    assert len(list((trained / "worst").glob("*.jpg"))) == 2
    assert "miou" in capsys.readouterr().out
    few = ["--split", "train", "--limit", "2", "--worst", "0", "--baseline", "false"]
    assert main(["evaluate", "perception", str(trained), *few, "--robustness", *quiet]) == 0
    perturbed = json.loads((trained / "evaluation.json").read_text())["robustness"]
    assert set(perturbed["area"]) == {*SEVERITIES, "lidar_drop", "lidar_noise"}
    assert "| global_norm=10 (n 1) |" in (trained / "robustness.md").read_text()
    assert (trained / "robustness-ap3d_2m.png").exists()
    assert main(["evaluate", "perception", str(trained), "--split", "rest", *quiet]) == 2
    assert "is no split" in capsys.readouterr().err
    nothing_there = Detections(**nothing())
    assert len(nothing_there.above(0.5)) == 0


def test_pictures_to_test_with_alone_are_evaluated_without_the_baseline(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = shutil.copytree(data, tmp_path / "alone")
    content = json.loads((alone / "annotations" / "train.json").read_text())
    (alone / "annotations" / "train.json").write_text(json.dumps({**content, "images": [], "annotations": []}))
    few = ["--split", "validation", "--limit", "2", "--worst", "0", "--dataset", str(alone), "--threads", "1"]
    quiet = ["--tracking.wandb", "disabled", "--tracking.tensorboard", "false"]
    assert main(["evaluate", "perception", str(trained), *few, *quiet]) == 0
    assert "without the baseline that does not look" in capsys.readouterr().out
    assert len(json.loads((trained / "evaluation.json").read_text())["results"]) == 1
