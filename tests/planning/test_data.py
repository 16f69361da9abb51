"""A dataset on disk comes back as it was driven; futures are where the objects went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contracts import UserError
from planning.data import Episodes, load, to_frame
from planning.scenes import Scenes


def test_what_was_written_is_read(dataset: Path, train_part: Episodes) -> None:
    found = load(dataset, "train")
    assert found.rows == train_part.rows
    assert found.period == pytest.approx(0.2)
    for name, a, b in zip(Scenes._fields, found.scenes, train_part.scenes):
        np.testing.assert_allclose(a, b, atol=1e-5, err_msg=name)
    for name in ("ids", "pose", "path", "speed", "episode", "time", "reason"):
        np.testing.assert_allclose(getattr(found, name), getattr(train_part, name), atol=1e-5, err_msg=name)
    assert found.names == train_part.names


def test_a_future_is_where_the_track_went() -> None:
    """An ego that drives a curve, another that goes straight at 3 m/s: known answers in the moving frame."""
    count, dt = 20, 0.2
    t = np.arange(count) * dt
    pose = np.stack([2 * t, 0.5 * t * t, 0.1 * t], 1).astype(np.float32)
    town = np.stack([30 + 3 * t, 4 - t], 1).astype(np.float32)
    own = to_frame(town[:, None], np.zeros((count, 3), np.float32), pose)
    objects = np.zeros((count, 32, 8), np.float32)
    ids, kind = np.full((count, 32), -1), np.full((count, 32), -1)
    place = np.where(np.arange(count) % 3 == 0, 0, 5)  # its row in the list changes
    objects[np.arange(count), place, :2] = own[:, 0]
    objects[np.arange(count), place, 4] = 0.7 - pose[:, 2]
    ids[np.arange(count), place], kind[np.arange(count), place] = 42, 0
    zeros = np.zeros(count, np.int64)
    episodes = Episodes(
        Scenes(np.zeros((count, 6), np.float32), objects, kind, np.zeros((count, 64, 2), np.float32), zeros,
               np.zeros((count, 3), np.float32)),
        ids, pose, np.zeros((count, 20, 2), np.float32), np.zeros((count, 8), np.float32), zeros,
        t.astype(np.float32), zeros, ["x"], ["r"], [1.0],
    )  # fmt: skip
    found, known, yaw = episodes.futures((1.0,), np.arange(count), 16)
    seen = known[np.arange(count), place, 0]
    assert seen.sum() == count - 5  # the last second has no future
    rows = np.flatnonzero(seen)
    wanted = to_frame(town[rows + 5][:, None], np.zeros((len(rows), 3), np.float32), pose[rows])[:, 0]
    np.testing.assert_allclose(found[rows, place[rows], 0], wanted, atol=1e-4)
    np.testing.assert_allclose(yaw[rows, place[rows], 0], 0.7 - pose[rows, 2], atol=1e-5)
    part = np.array([0, 1, 2, 5, 10])  # a recording that keeps more of some moments
    kept = replace(episodes, **{
        name: getattr(episodes, name)[part] for name in ("ids", "pose", "path", "speed", "episode", "time", "reason")
    }, scenes=episodes.scenes.take(part))  # fmt: skip
    again, known, _ = kept.futures((1.0,), np.arange(len(part)), 16)
    assert known.any((1, 2)).tolist() == [True, False, False, True, False]
    np.testing.assert_allclose(again[3, place[5], 0], found[5, place[5], 0], atol=1e-6)
    other = replace(episodes, episode=np.arange(count) // 3)
    assert not other.futures((1.0,), np.arange(count), 16)[1].any()  # never from another episode


def test_a_damaged_dataset_is_named(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no dataset"):
        load(tmp_path, "train")
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    victim = sorted((copy / "data").glob("*.parquet"))[1]
    victim.write_bytes(victim.read_bytes()[:500])
    with pytest.raises(UserError, match=victim.name):
        load(copy, "train")
