"""The format of docs/datasets.md: read without our code, damage is named, a writer that was killed loses nothing."""

import json
import math
import re
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from pycocotools.coco import COCO

from contracts import UserError
from sim.recorder import schema
from sim.recorder.check import problems
from sim.recorder.reader import Dataset
from sim.recorder.rows import FACING
from sim.recorder.shot import make_shot
from sim.recorder.stats import statistics
from sim.recorder.writer import EpisodeWriter, Shot, begin, finalise


def test_read_with_plain_libraries(whole):
    info = json.loads((whole / "meta/info.json").read_text())
    episodes = pq.read_table(whole / "meta/episodes.parquet").to_pylist()
    assert [e["split"] for e in episodes] == ["train", "validation", "train", "test"]
    total = 0
    for e in episodes:
        table = pq.read_table(whole / f"data/episode_{e['episode_index']:06d}.parquet")
        assert table.num_rows == e["rows"] == 16
        row = table.to_pylist()[5]
        assert math.isclose(row["timestamp"], 0.5, abs_tol=1e-4)
        assert len(row["route"]) == 128
        assert len(row["objects.centre"]) == 2 * len(row["objects.kind"])
        # the car is where the rows say: speed times time is the way between two poses
        poses, ego = np.array(table["pose"].to_pylist()), np.array(table["ego"].to_pylist())
        assert np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1) == pytest.approx(ego[1:, 0] * 0.1, abs=0.06)
        total += e["images"]
    coco = {s: COCO(str(whole / f"annotations/{s}.json")) for s in schema.SPLITS}
    assert sum(len(c.imgs) for c in coco.values()) == total == 16
    assert len({i for c in coco.values() for i in c.imgs}) == total
    boxes = 0
    for c in coco.values():
        for image in c.imgs.values():
            assert cv2.imread(str(whole / image["file_name"])).shape == (info["cameras"]["front"]["height"], 192, 3)
            tracks = cv2.imread(str(whole / image["instance"]), cv2.IMREAD_UNCHANGED)
            depth = cv2.imread(str(whole / image["depth"]), cv2.IMREAD_UNCHANGED)
            assert depth.dtype == tracks.dtype == np.uint16
            for box in c.imgToAnns[image["id"]]:
                mask = c.annToMask(box).astype(bool)
                assert (mask == (tracks == box["track_id"])).all()
                x, y, w, h = box["bbox"]
                assert mask[y : y + h, x : x + w].sum() == box["area"] == mask.sum()
                # the depth picture shows the object as far away as its box says
                camera = info["cameras"]["front"]["pose"]
                ahead = box["centre"][0] - camera[0]
                assert abs(np.median(depth[mask]) / 100 - ahead) < max(box["half_extent"]) + 1.0
                if "sign" in box:  # its type can be read from before it only
                    (x, y), yaw = box["centre"][:2], box["yaw"]
                    facing = -(x * math.cos(yaw) + y * math.sin(yaw)) / math.hypot(x, y)
                    assert (box["sign"] == "back") == (facing < FACING)
                boxes += 1
    assert boxes > 20


def test_the_page_s_own_lines_read_it(whole):
    page = (Path(__file__).parents[3] / "docs/recording.md").read_text()
    (lines,) = re.findall(r"^With plain libraries:\n\n```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    found: dict = {}
    exec(lines.replace("datasets/small", str(whole)), found)
    assert found["mask"].sum() == found["box"]["area"] > 0
    assert found["route"].shape == (64, 2)
    # the object's own points are at its distance
    assert found["points"].shape[1] == 4
    away = np.linalg.norm(found["points"][:, :2] - found["box"]["centre"][:2], axis=1)
    assert away.min() < np.hypot(*found["box"]["half_extent"][:2]) + 0.5


def test_stats_are_those_of_the_rows(whole):
    stats = json.loads((whole / "meta/stats.json").read_text())
    speed = np.concatenate([pq.read_table(f)["ego"].to_pylist() for f in sorted((whole / "data").iterdir())])[:, 0]
    assert stats["ego"]["mean"][0] == pytest.approx(speed.mean(), rel=1e-6)
    assert stats["ego"]["max"][0] == pytest.approx(speed.max(), rel=1e-6)
    assert stats["objects.yaw"]["count"] == stats["objects.kind"]["count"]
    assert statistics([])["pose"] == {"count": 0}


def test_a_whole_dataset_has_no_problems(whole):
    assert list(problems(Dataset(whole))) == []


DAMAGE = {
    "images/front/episode_000000/000005.jpg": lambda p: p.write_bytes(p.read_bytes()[:200]),
    "depth/front/episode_000001/000010.png": lambda p: p.unlink(),
    "data/episode_000002.parquet": lambda p: p.write_bytes(b"PAR1" + p.read_bytes()[4:-20]),
    "meta/stats.json": lambda p: p.write_bytes(p.read_bytes().replace(b"mean", b"maen", 1)),
    "annotations/train.json": lambda p: p.write_text(p.read_text()[:-40]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(copied, name):
    DAMAGE[name](copied / name)
    found = list(problems(Dataset(copied)))
    assert found
    assert all(str(copied / name) in text or "train" in name for text in found)
    assert any(str(copied / name) in text for text in found)


def test_a_file_too_many_and_a_leak_are_named(copied):
    (copied / "images/front/extra.jpg").write_bytes(b"x")
    table = pq.read_table(copied / "meta/episodes.parquet").to_pylist()
    table[1]["route"] = table[0]["route"]
    (copied / "meta/episodes.parquet").unlink()
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(table, schema=schema.EPISODES), copied / "meta/episodes.parquet")
    found = "\n".join(problems(Dataset(copied)))
    assert "extra.jpg does not belong" in found
    assert "is in the splits train, validation" in found


def test_a_route_under_another_name_is_a_leak(copied):
    import pyarrow as pa

    table = pq.read_table(copied / "meta/episodes.parquet").to_pylist()
    rows = pq.read_table(copied / schema.data_path(0))
    moved = rows.set_column(0, "episode_index", pa.array([1] * rows.num_rows))
    (copied / schema.data_path(1)).unlink()
    pq.write_table(moved, copied / schema.data_path(1))
    for episode in table[:2]:
        episode["ended"] = "completed"
    pq.write_table(pa.Table.from_pylist(table, schema=schema.EPISODES), copied / "meta/episodes.parquet")
    found = "\n".join(problems(Dataset(copied)))
    assert "episodes 0 (train) and 1 (validation) were driven from the same place to the same place" in found


def test_what_is_no_dataset_says_so(tmp_path, copied):
    with pytest.raises(UserError, match="no dataset"):
        Dataset(tmp_path / "nothing")
    (copied / "meta/hashes.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        Dataset(copied)
    (copied / "meta/info.json").write_text("{")
    with pytest.raises(UserError, match=r"meta/info\.json"):
        Dataset(copied)


# -- writing ----------------------------------------------------------------------------------------------------------


def rows_of(whole: Path, index: int) -> list[dict]:
    return pq.read_table(whole / schema.data_path(index)).to_pylist()


SUMMARY = {
    "episode_index": 0, "split": "train", "town": "Alder", "route": "r", "weather": "ClearNoon", "density": 1.0,
    "scenario": "", "seed": 1, "length": 10.0, "completion": 1.0, "driving_score": 100.0, "ended": "completed",
}  # fmt: skip


def write(root: Path, rows: list[dict], start: int = 0) -> EpisodeWriter:
    writer = EpisodeWriter(root, 0)
    for row in rows[start:]:
        name = schema.lidar_path(0, row["frame_index"])
        writer.add(row, Shot({name: bytes(100 + row["frame_index"])}))
    return writer


def test_a_writer_that_was_killed_goes_on(whole, tmp_path):
    rows, info = rows_of(whole, 0), schema.Info(10.0, 5, ("Alder",), episodes=1)
    begin(tmp_path / "a", info)
    write(tmp_path / "a", rows).commit(SUMMARY)
    finalise(tmp_path / "a", info)

    root = tmp_path / "b"
    begin(root, info)
    write(root, rows[:9]).close()
    journal = root / schema.journal_path(0)
    journal.write_bytes(journal.read_bytes() + b'{"row": {"frame_index": 9, "ti')  # cut short in the middle of a line
    (root / "lidar/episode_000000/.000009.npy.tmp").write_bytes(b"half")
    (root / schema.lidar_path(0, 8)).write_bytes(b"half")  # reached the disk in part only
    begin(root, info)
    writer = EpisodeWriter(root, 0)
    assert writer.kept == 8
    assert writer.matches(3, rows[3])
    assert not writer.matches(3, rows[4])
    writer.close()
    write(root, rows, 8).commit(SUMMARY)
    finalise(root, info)
    a, b = ({p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file()} for r in (tmp_path / "a", root))
    assert a == b


def test_a_row_that_does_not_fit_is_refused(whole, tmp_path):
    rows = rows_of(whole, 0)
    rows[2]["control"] = [0.0, 1.0]
    writer = write(tmp_path, rows)
    with pytest.raises(ValueError, match="does not fit"):
        writer.commit(SUMMARY)
    assert not writer.committed


def test_a_camera_without_labels_has_no_annotations():
    from sim.recorder.shot import Picture

    camera = schema.CameraInfo((1.0, 0.0, 1.5, 0.0, 0.0, 0.0), 64, 32, 1.5, ("rgb",))
    shot = make_shot(
        3, 10, {"left": camera}, {"left": Picture(np.zeros((32, 64, 3), np.uint8))}, None, [], {"town": "T"}
    )
    assert list(shot.files) == ["images/left/episode_000003/000010.jpg"]
    assert shot.images[0]["annotations"] == []
    assert "semantic" not in shot.images[0]
