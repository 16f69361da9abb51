"""`throttle data info|check|view`: what they print, the files that they write, and how they refuse."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import imageio_ffmpeg
import pytest

from sim.recorder.reader import Dataset
from sim.recorder.view import COLORS
from throttle.cli import main


def test_info_counts_what_is_there(whole, capsys):
    assert main(["data", "info", str(whole)]) == 0
    text = capsys.readouterr().out
    data = Dataset(whole)
    boxes = [b for split in ("train", "validation", "test") for b in data.coco(split)["annotations"]]
    cars = [b for b in boxes if b["category_id"] == 1]
    near = [b for b in cars if b["distance"] <= 10]
    (row,) = [line for line in text.splitlines() if "│ car " in line]
    numbers = [int(cell.replace(",", "")) for cell in row.split("│")[2:-1]]
    assert (numbers[0], numbers[-1]) == (len(near), len(cars))
    (row,) = [line for line in text.splitlines() if "│ train " in line]
    assert [cell.strip() for cell in row.split("│")[2:5]] == ["2", "32", "8"]
    assert "towns: Alder 3, Gridley 1" in text
    assert "plain traffic" in text
    cut = sum(episode["ended"] == "limit" for episode in Dataset(whole).episodes)
    assert cut
    assert f"{cut} episodes end at the recording's limit" in text


def test_check_says_whole_or_names_the_damage(copied, capsys):
    assert main(["data", "check", str(copied)]) == 0
    assert "is whole: 4 episodes, 64 rows" in capsys.readouterr().out
    picture = copied / "images/front/episode_000000/000005.jpg"
    picture.write_bytes(picture.read_bytes()[:100])
    assert main(["data", "check", str(copied)]) == 1
    assert str(picture) in capsys.readouterr().out


def test_a_contact_sheet_shows_boxes_and_masks(whole, tmp_path):
    out = tmp_path / "sheet.png"
    assert main(["data", "view", str(whole), "--out", str(out), "--count", "8", "--columns", "2"]) == 0
    sheet, data = cv2.imread(str(out))[..., ::-1], Dataset(whole)
    coco, checked = data.coco("train"), 0
    for k, image in enumerate(coco["images"]):
        y, x = (k // 2) * (image["height"] + 2), (k % 2) * (image["width"] + 2)
        tile = sheet[y : y + image["height"], x : x + image["width"]]
        plain = data.rgb(image["file_name"])
        boxes = [b for b in coco["annotations"] if b["image_id"] == image["id"] and b["category_id"] <= 6]
        for box in sorted(boxes, key=lambda b: b["distance"])[:1]:  # the nearest is drawn last
            left, top, w, h = box["bbox"]
            if top + h < image["height"]:
                assert tuple(tile[top + h, left]) == COLORS[box["category_id"] - 1]
                checked += 1
            assert (tile[top + h // 2, left + 1 : left + w] != plain[top + h // 2, left + 1 : left + w]).any()
    assert len(coco["images"]) == 8
    assert checked >= 3


def test_an_episode_as_a_video(whole, tmp_path):
    out = tmp_path / "episode.mp4"
    assert main(["data", "view", str(whole), "--episode", "2", "--out", str(out)]) == 0
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(out))
    assert frames == 16
    assert seconds == pytest.approx(1.6, abs=0.11)


def test_an_episode_for_rerun(whole, tmp_path):
    pytest.importorskip("rerun")
    out = tmp_path / "episode.rrd"
    assert main(["data", "view", str(whole), "--episode", "0", "--out", str(out)]) == 0
    viewer = str(Path(sys.executable).with_name("rerun"))
    assert subprocess.run([viewer, "rrd", "verify", str(out)], capture_output=True, timeout=60).returncode == 0
    said = subprocess.run([viewer, "rrd", "stats", str(out)], capture_output=True, text=True, timeout=60).stdout
    for entity in ("/camera", "/ego/objects", "/ego/route", "/ego/plan.path", "/speed"):
        assert entity in said


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--out", "sheet.gif"], "png"),
        (["--episode", "9"], "0 to 3"),
        (["--split", "holiday"], "holiday"),
        (["--out", "nowhere/sheet.png"], "no folder"),
        (["--count", "0"], "1..1000"),
    ],
)
def test_bad_input_is_one_line(whole, capsys, words, text):
    assert main(["data", "view", str(whole), *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert text in said[0]


def test_plain_json_holds_the_keys_of_the_format(whole):
    coco = json.loads((whole / "annotations/train.json").read_text())
    wanted = {"track_id", "centre", "half_extent", "yaw", "velocity", "distance", "visibility", "truncated", "bbox"}
    assert all(wanted <= set(box) for box in coco["annotations"])
