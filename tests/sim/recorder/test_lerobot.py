"""The LeRobot export: its files by PyArrow and json, and the whole of it by LeRobot's own reader where that is there.

LeRobot needs versions of torch and packaging that this project does not have, so it is tried in an environment of its
own, named by THROTTLE_LEROBOT_PYTHON (docs/recording.md says how to make one).
"""

import io
import json
import os
import subprocess

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from contracts import UserError
from sim.recorder import schema
from sim.recorder.lerobot import export
from sim.recorder.reader import Dataset
from throttle.cli import main

READER = """
import json, sys
from lerobot.datasets.lerobot_dataset import LeRobotDataset
root, rate = sys.argv[1], float(sys.argv[2])
data = LeRobotDataset("local/export", root=root, delta_timestamps={"action": [0.0, 1 / rate]})
item = data[1]
found = {k: list(getattr(v, "shape", ())) for k, v in item.items()}
print(json.dumps({
    "frames": len(data), "episodes": data.num_episodes, "fps": data.fps, "shapes": found, "task": item["task"],
    "state": item["observation.state"].tolist(), "action": item["action"].tolist(),
    "pixels": {k: v.mean(dim=(1, 2)).tolist() for k, v in item.items() if k.startswith("observation.images")},
    "stats": {k: sorted(v) for k, v in data.meta.stats.items()},
    "length": int(data.meta.episodes[0]["length"]), "town": data.meta.episodes[0]["town"],
    "second": len(LeRobotDataset("local/export", root=root, episodes=[1])),
}))
"""


def rows(whole, index, pictures):
    table = pq.read_table(whole / schema.data_path(index)).to_pylist()
    return [row for row in table if row["image"]] if pictures else table


@pytest.mark.parametrize("frames", ["pictures", "all"])
def test_frames_are_those_of_the_dataset(whole, tmp_path, frames, capsys):
    out, pictures = tmp_path / "lerobot", frames == "pictures"
    assert main(["data", "export", str(whole), "--out", str(out), "--frames", frames]) == 0
    assert str(out) in capsys.readouterr().out
    info = json.loads((out / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["fps"] == (2 if pictures else 10)
    assert info["splits"] == {"train": "0:2", "validation": "2:3", "test": "3:4"}
    table = pq.read_table(out / "data/chunk-000/file-000.parquet").to_pylist()
    assert [row["index"] for row in table] == list(range(info["total_frames"]))
    episodes = pq.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    of_split = Dataset(whole).of_split
    order = [k for split in schema.SPLITS for k in of_split(split)]
    assert [e["dataset_to_index"] - e["dataset_from_index"] for e in episodes] == [e["length"] for e in episodes]
    for number, (episode, index) in enumerate(zip(episodes, order)):
        mine = table[episode["dataset_from_index"] : episode["dataset_to_index"]]
        source = rows(whole, index, pictures)
        assert len(mine) == len(source)
        assert [row["next.done"] for row in mine] == [False] * (len(mine) - 1) + [True]
        for k, (row, was) in enumerate(zip(mine, source)):
            assert (row["frame_index"], row["episode_index"]) == (k, number)
            assert row["timestamp"] == pytest.approx(was["timestamp"], abs=1e-3)
            assert row["action"] == was["control"]
            assert row["observation.state"] == was["ego"]
            assert row["observation.environment_state"][:128] == was["route"]
            assert row["observation.environment_state"][128 + was["light"]] == 1.0
            assert row["plan.path"] == was["plan.path"]
            if pictures:
                name = schema.picture_path("images", "front", index, was["frame_index"])
                assert row["observation.images.front"]["bytes"] == (whole / name).read_bytes()
        for name, feature in info["features"].items():
            if feature["dtype"] == "float32" and name != "timestamp":
                assert len(mine[0][name]) == feature["shape"][0] == len(feature["names"])
    stats = json.loads((out / "meta/stats.json").read_text())
    assert stats["action"]["mean"] == pytest.approx(np.mean([row["action"] for row in table], 0), abs=1e-6)
    if pictures:
        seen = [cv2.imdecode(np.frombuffer(r["observation.images.front"]["bytes"], np.uint8), 1) for r in table]
        means = np.stack(seen).mean((0, 1, 2))[::-1] / 255
        assert np.ravel(stats["observation.images.front"]["mean"]) == pytest.approx(means, abs=1e-4)
    assert pq.read_table(io.BytesIO((out / "meta/tasks.parquet").read_bytes())).num_rows == info["total_tasks"]


def test_what_cannot_be_exported_says_so(whole, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="is there already"):
        export(Dataset(whole), tmp_path)
    data = Dataset(whole)
    monkeypatch.setitem(data.info, "image_every", 3)
    with pytest.raises(UserError, match="a whole number of frames"):
        export(data, tmp_path / "a")
    monkeypatch.setitem(data.info, "cameras", {})
    with pytest.raises(UserError, match="no colour pictures"):
        export(data, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.external
@pytest.mark.parametrize("frames", ["pictures", "all"])
def test_lerobots_own_reader(whole, tmp_path, frames):
    python = os.environ.get("THROTTLE_LEROBOT_PYTHON")
    if not python:
        pytest.skip("THROTTLE_LEROBOT_PYTHON names no Python with lerobot")
    pictures = frames == "pictures"
    total = export(Dataset(whole), tmp_path / "out", pictures)
    rate = 2 if pictures else 10
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [python, "-c", READER, str(tmp_path / "out"), str(rate)],
        capture_output=True, text=True, env=environment, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    source = rows(whole, 0, pictures)
    second = rows(whole, Dataset(whole).of_split("train")[1], pictures)
    assert (found["frames"], found["episodes"], found["fps"]) == (total, 4, rate)
    assert (found["length"], found["second"], found["town"]) == (len(source), len(second), "Alder")
    assert found["state"] == pytest.approx(source[1]["ego"], abs=1e-6)
    assert np.array(found["action"]) == pytest.approx(np.array([r["control"] for r in source[1:3]]), abs=1e-6)
    assert found["task"] == "drive along the route"
    assert found["shapes"]["observation.environment_state"] == [135]
    assert {"min", "max", "mean", "std", "count"} == set(found["stats"]["action"])
    if pictures:
        picture = cv2.imread(str(whole / schema.picture_path("images", "front", 0, source[1]["frame_index"])))
        expected = picture.mean((0, 1))[::-1] / 255
        assert found["pixels"]["observation.images.front"] == pytest.approx(expected, abs=0.01)
        assert found["shapes"]["observation.images.front"] == [3, *picture.shape[:2]]
