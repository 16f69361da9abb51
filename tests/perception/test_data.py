"""Bad data is named or counted; augmentation moves labels with the picture."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import painted
import pytest
import torch

from contracts import UserError
from perception.augment import augment
from perception.centre import CentreNet
from perception.classes import IGNORE, LIGHT, TAG_TO_TRAIN_ID, TRAIN_IDS
from perception.config import DataConfig, ModelConfig, PerceptionConfig
from perception.data import Frames
from perception.heatmap import STRIDE, losses
from training import Draw


def edit(root: Path, change: Callable[[dict[str, Any]], None], file: str = "annotations/train.json") -> None:
    content = json.loads((root / file).read_text())
    change(content)
    (root / file).write_text(json.dumps(content))


def cut(root: Path) -> None:
    path = sorted((root / "images/front/episode_000000").iterdir())[0]
    path.write_bytes(path.read_bytes()[:300])


def first(name: str, value: Any) -> Callable[[Path], None]:
    return lambda root: edit(root, lambda c: c["annotations"][0].__setitem__(name, value))


def light(content: dict[str, Any]) -> None:
    next(a for a in content["annotations"] if a["category_id"] == LIGHT + 1)["state"] = "purple"


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "damaged picture": (cut, "000000.jpg"),
    "missing mask": (lambda root: (root / "semantic/front/episode_000000/000001.png").unlink(), "000001.png"),
    "unknown class": (first("category_id", 9), "category_id 9"),
    "bad box": (first("bbox", [3, 4, 0, 10]), "bad box"),
    "unknown light state": (lambda root: edit(root, light), "purple"),
    "annotation of no picture": (first("image_id", 999), "annotation 1"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_bad_data_is_named_or_counted(kind: str, data: Path, tmp_path: Path) -> None:
    root = shutil.copytree(data, tmp_path / "data")
    DAMAGE[kind][0](root)
    config = DataConfig(str(root), width=192, height=96)
    with pytest.raises(UserError, match=DAMAGE[kind][1]):
        Frames(config, "train").load()
    frames = Frames(replace(config, damaged="skip"), "train")
    frames.load()
    assert frames.bad == {kind: 1}
    assert len(frames) == (7 if kind == "damaged picture" else 8)
    whole = Frames(replace(config, path=str(data)), "train")
    lost = sum(map(len, whole.annotations)) - sum(map(len, frames.annotations))
    assert lost >= 1 if kind == "damaged picture" else lost == (0 if kind == "missing mask" else 1)
    if kind == "missing mask":
        assert (frames[Draw(1, None)].target["semantic"] == IGNORE).all()
        assert len(frames[Draw(1, None)].target["boxes"]) == len(frames.annotations[1])


def test_what_is_no_dataset_is_one_line(data: Path, tmp_path: Path) -> None:
    root = shutil.copytree(data, tmp_path / "data")
    config = DataConfig(str(root), width=192, height=96)
    with pytest.raises(UserError, match="has no camera 'rear'"):
        Frames(replace(config, cameras=["rear"]), "train")
    edit(root, lambda c: c["categories"].pop(), "annotations/test.json")
    with pytest.raises(UserError, match="other categories"):
        Frames(config, "test")
    edit(root, lambda c: c.__setitem__("version", 2), "meta/info.json")
    with pytest.raises(UserError, match="format throttle-dataset 2"):
        Frames(config, "train")
    with pytest.raises(UserError, match="is no dataset"):
        Frames(replace(config, path=str(tmp_path)), "train")


def test_empty_pictures_and_limits(data: Path) -> None:
    config = DataConfig(str(data), width=192, height=96)
    every, some = Frames(config, "train"), Frames(replace(config, empty=False), "train")
    assert len(every) == 8
    assert len(every[Draw(2, None)].target["boxes"]) == 0
    assert len(some) == sum(1 for a in every.annotations if a)
    assert len(Frames(replace(config, limit=3), "train")) == 3


def test_labels_stay_on_what_they_name(data: Path) -> None:
    """After any augmentation of place the colours inside a box are still those of its class."""
    config = DataConfig(str(data), width=192, height=96, flip=0.5, zoom=0.6, jitter=0.0, gamma=0.0, blur=0.0)
    frames = Frames(config, "train")
    mirrored = seen = 0
    zoomed: list[float] = []
    for draw in range(40):
        sample, plain = frames[Draw(draw % 8, draw)], frames[Draw(draw % 8, None)]
        flipped = bool((sample.target["alpha"][:1] * plain.target["alpha"][:1] < 0).any())
        mirrored += flipped
        for k in range(len(sample.target["labels"])):
            left, top, right, bottom = sample.target["boxes"][k].tolist()
            x, y = round((left + right) / 2), round((top + bottom) / 2)
            label = int(sample.target["labels"][k])
            if min(right - left, bottom - top) < 6 or not (2 < x < 190 and 2 < y < 94):
                continue
            seen += 1
            wanted = TAG_TO_TRAIN_ID[painted.TAGS[label]]
            assert int(sample.target["semantic"][y, x]) == wanted
            if label < LIGHT:
                gap = sample.image[:, y, x].float() - torch.tensor(painted.COLOURS[label])
                assert gap.abs().max() < 40
        zoomed.append(float(sample.target["focal"] / plain.target["focal"]))
    assert 1 / 1.63 <= min(zoomed) < 0.8
    assert 1.25 < max(zoomed) <= 1.63
    assert mirrored > 5
    assert seen > 60


def test_augmentation_depends_on_the_seed_alone(data: Path) -> None:
    frames = Frames(DataConfig(str(data), width=192, height=96), "train")
    one, two, other = frames[Draw(0, 7)], frames[Draw(0, 7)], frames[Draw(0, 8)]
    assert torch.equal(one.image, two.image)
    assert not torch.equal(one.image, other.image)
    state = torch.get_rng_state()
    augment(one.image, one.target, frames.config, 3)
    assert torch.equal(state, torch.get_rng_state())


def test_what_is_known_of_an_object(data: Path) -> None:
    frames = Frames(DataConfig(str(data), width=384, height=96), "train")
    sample = frames[Draw(0, None)]
    annotation = frames.annotations[0][0]
    box = np.array(annotation["bbox"], float)
    assert sample.target["boxes"][0].tolist() == pytest.approx(
        [2 * box[0], box[1], 2 * (box[0] + box[2]), box[1] + box[3]]
    )
    assert float(sample.target["depth"][0]) == pytest.approx(annotation["centre"][0] - painted.POSE[0], abs=1e-4)
    assert float(sample.target["focal"]) == pytest.approx(2 * painted.FRONT.focal)
    binding = [(t["binding"][k], t["stop"][k]) for t in (frames[Draw(i, None)].target for i in range(8))
               for k in range(len(t["labels"])) if t["labels"][k] == LIGHT]  # fmt: skip
    assert {float(stop) for bound, stop in binding if bound == 1} == {14.0}
    assert all(torch.isnan(stop) for bound, stop in binding if bound == 0)


def test_what_nobody_could_see_is_ignored(data: Path, tmp_path: Path) -> None:
    root = shutil.copytree(data, tmp_path / "data")
    plain = DataConfig(str(root), width=192, height=96, zoom=0.9, flip=0.0)
    heights = [a["bbox"][3] for a in Frames(plain, "train").annotations[0]]
    edit(root, lambda c: c["annotations"][0].__setitem__("visibility", 0.2))
    low = replace(plain, least_height=(max(heights[1:]) + 0.5) / painted.FRONT.focal)
    for config, wanted in ((plain, [True] + [False] * (len(heights) - 1)), (low, [True] * len(heights))):
        frames = Frames(config, "train")
        expected = [w or h < config.least_height * painted.FRONT.focal for w, h in zip(wanted, heights)]
        assert frames.ignored(0).tolist() == expected
        assert frames[Draw(0, None)].target["ignore"].tolist() == expected
    # a zoom makes objects large enough, or too small
    frames, changed = Frames(replace(plain, least_height=np.median(heights) / painted.FRONT.focal), "train"), 0
    for seed in range(12):
        target = frames[Draw(0, seed)].target
        tall = target["boxes"][:, 3] - target["boxes"][:, 1]
        assert target["ignore"][tall < float(np.median(heights))].all()
        changed += int((~target["ignore"]).sum()) != int((~frames[Draw(0, None)].target["ignore"]).sum())
    assert changed > 0


def test_the_heat_map_is_not_judged_where_an_object_is_ignored(data: Path) -> None:
    frames = Frames(DataConfig(str(data), width=192, height=96), "train")
    target = frames[Draw(0, None)].target
    count, label = len(target["labels"]), int(target["labels"][0])
    net = CentreNet(ModelConfig(channels=[8, 8, 8, 8, 8], neck=8), len(frames.signs))
    maps = {name: value.detach() for name, value in net(torch.zeros(1, 3, 96, 192)).items()}
    row, column = [int(v) // STRIDE for v in ((target["boxes"][0, 1::2].mean()), (target["boxes"][0, 0::2].mean()))]
    found = {}
    for ignored in (False, True):
        target["ignore"] = torch.tensor([ignored] + [False] * (count - 1))
        for level in (-4.0, 4.0):
            maps["heat"][0, label, row, column] = level
            found[ignored, level] = {name: float(value) for name, value in losses(maps, [target]).items()}
    assert found[True, -4.0] == found[True, 4.0]
    assert found[False, -4.0]["heat"] > found[False, 4.0]["heat"] + 0.1
    assert found[False, 4.0]["box"] != found[True, 4.0]["box"]


def test_carla_tags_become_cityscapes_classes() -> None:
    names = {1: "road", 24: "road", 2: "sidewalk", 7: "traffic light", 12: "person", 14: "car", 19: "bicycle"}
    assert {tag: TRAIN_IDS[TAG_TO_TRAIN_ID[tag]] for tag in names} == names
    assert all(TAG_TO_TRAIN_ID[tag] == IGNORE for tag in (0, 20, 21, 22, 23, 28, 200))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DataConfig(width=100), "multiples of 32"),
        (lambda: ModelConfig(detector="fcos"), "needs model.detector centre"),
        (lambda: ModelConfig(detector="none", segmenter="none"), "nothing would be learned"),
        (lambda: ModelConfig(detector="ssdlite", segmenter="none", weights="/nowhere.pt"), "no such file"),
        (lambda: ModelConfig(channels=[8, 8]), "five multiples of 4"),
        (lambda: PerceptionConfig(seed=-1), "seed must be at least 0"),
    ],
)
def test_bad_options_are_one_line(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()
