"""`throttle sim render` writes what was asked for, or says in one line why not."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from sim import roads
from sim.sensors.labels import PALETTE, Tag
from throttle.cli import main

FEW = ["--vehicles", "3", "--walkers", "2", "--warmup", "0.5"]


def test_a_picture_by_a_sensor_from_a_pose(tmp_path: Path) -> None:
    tables = roads.load("Alder").lane_tables()
    k = int(np.flatnonzero(tables.junction[tables.point_lane] < 0)[200])
    pose = f"{tables.x[k]:.2f},{tables.y[k]:.2f},{tables.z[k] + 12:.2f},-90,0"
    out = tmp_path / "new folder" / "down.png"
    options = [f"--pose={pose}", "--sensor", "semantic", "--size", "96x64"]
    assert main(["sim", "render", *options, "--out", str(out), *FEW]) == 0
    picture = cv2.imread(str(out))[..., ::-1]
    assert picture.shape == (64, 96, 3)
    assert (picture[32, 48] == PALETTE[Tag.ROAD]).all() or (picture[32, 48] == PALETTE[Tag.ROAD_LINE]).all()
    colours = np.unique(picture.reshape(-1, 3), axis=0).tolist()
    assert all(colour in PALETTE.tolist() for colour in colours)


def test_a_video_of_a_flight(tmp_path: Path) -> None:
    out = tmp_path / "fly.mp4"
    options = ["--view", "fly", "--weather", "CloudySunset", "--size", "160x96", "--seconds", "1", "--fps", "5"]
    assert main(["sim", "render", *options, "--out", str(out), *FEW]) == 0
    video = cv2.VideoCapture(str(out))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1].astype(int))
    assert [frame.shape for frame in frames] == [(96, 160, 3)] * 5
    assert all(np.abs(a - b).mean() > 1 for a, b in itertools.pairwise(frames))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--town", "Atlantis"], "Atlantis"),
        (["--weather", "Snow"], "Snow"),
        (["--sensor", "nose"], "nose"),
        (["--view", "moon"], "moon"),
        (["--size", "wide"], "--size wide"),
        (["--size", "2x2"], "2 x 2"),
        (["--pose", "1,2"], "--pose 1,2"),
        (["--out", "picture.tiff"], ".png, .jpg or .mp4"),
        (["--vehicle", "90"], "--vehicle"),
        (["--device", "abacus"], "device 'abacus'"),
    ],
)
def test_bad_input_is_one_line(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "render", *options]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert says in lines[0]
