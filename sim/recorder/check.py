"""Integrity of a dataset: every file opened, hashed and compared with what the format says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.recorder import schema
from sim.recorder.files import digest_file
from sim.recorder.reader import Dataset, DatasetError

Progress = Callable[[int, int], None]
SAME_BEGIN, SAME_END = 5.0, 15.0
"""Metres within which two routes begin, and end, at the same place."""


def problems(data: Dataset, progress: Progress = lambda done, total: None) -> Iterator[str]:
    """One line for each thing that is wrong, with the file's path; nothing where all is well."""
    hashes: dict[str, Any] = data.json("meta/hashes.json")
    yield from _listing(data.root, hashes)
    for episode in data.episodes:
        try:
            yield from _episode(data, episode)
        except DatasetError as error:
            yield str(error)
    try:
        records = list(_records(data))
    except DatasetError as error:
        yield str(error)
        records = []
    total = len(hashes) + len(records)
    for done, (path, expected) in enumerate(sorted(hashes.items())):
        progress(done, total)
        try:
            actual = digest_file(data.root / path)
        except OSError as error:
            yield f"{data.root / path}: {error.strerror}"
            continue
        if actual.size != expected["size"]:
            yield f"{data.root / path} has {actual.size} bytes, not {expected['size']}"
        elif actual.sha256 != expected["sha256"]:
            yield f"{data.root / path} is damaged: its content is not what was recorded"
    for done, record in enumerate(records):
        progress(len(hashes) + done, total)
        yield from _image(data, record, hashes)
    progress(total, total)
    yield from _leaks(data)


def _listing(root: Path, hashes: dict[str, Any]) -> Iterator[str]:
    there = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    for path in sorted(there - set(hashes) - {"meta/hashes.json"}):
        yield f"{root / path} does not belong to the dataset"


def _episode(data: Dataset, episode: dict[str, Any]) -> Iterator[str]:
    """Row counts, numbering, list lengths, finite values of one episode."""
    index = episode["episode_index"]
    where = data.root / schema.data_path(index)
    table = data.driving(index)
    if table.num_rows != episode["rows"]:
        yield f"{where} has {table.num_rows} rows, meta/episodes.parquet says {episode['rows']}"
    if table["frame_index"].to_pylist() != list(range(table.num_rows)):
        yield f"{where}: frame_index does not count 0, 1, 2, ..."
    if set(table["episode_index"].to_pylist()) - {index}:
        yield f"{where} holds rows of another episode"
    for row in table.select(["objects.kind", *schema.PER_OBJECT]).to_pylist():
        count = len(row["objects.kind"])
        wrong = [name for name, width in schema.PER_OBJECT.items() if len(row[name]) != count * width]
        if wrong:
            yield f"{where}: {wrong[0]} has {len(row[wrong[0]])} numbers for {count} objects"
            break
    for name in ("pose", "ego", "route", "plan.path", "plan.speed", "control", "applied"):
        values = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        if not np.isfinite(values).all():
            yield f"{where}: {name} holds values that are not finite"


def _records(data: Dataset) -> Iterator[dict[str, Any]]:
    """Image records of all splits, with their annotations."""
    if not data.info["cameras"]:
        return
    for split in schema.SPLITS:
        coco = data.coco(split)
        boxes: dict[int, list[dict[str, Any]]] = {}
        for box in coco["annotations"]:
            boxes.setdefault(box["image_id"], []).append(box)
        for image in coco["images"]:
            yield {**image, "annotations": boxes.get(image["id"], [])}


def _image(data: Dataset, record: dict[str, Any], hashes: dict[str, Any]) -> Iterator[str]:
    """One moment of a camera: its files open, have its size, and agree with its annotations."""
    size = record["height"], record["width"]
    try:
        if record["file_name"] and data.rgb(record["file_name"]).shape != (*size, 3):
            yield f"{data.root / record['file_name']} is not {size[1]} x {size[0]} pixels"
        for key in ("semantic", "instance", "depth"):
            if key in record and data.labels(record[key]).shape != size:
                yield f"{data.root / record[key]} is not {size[1]} x {size[0]} pixels"
        if "lidar" in record and not np.isfinite(data.lidar(record["lidar"])).all():
            yield f"{data.root / record['lidar']} holds values that are not finite"
        if "instance" in record:
            ids, counts = np.unique(data.labels(record["instance"]), return_counts=True)
            seen = {int(i): int(n) for i, n in zip(ids, counts) if i}
            if seen != {box["track_id"]: box["area"] for box in record["annotations"]}:
                yield f"{data.root / record['instance']} and the annotations of image {record['id']} differ"
    except DatasetError as error:
        yield str(error)
    for key in ("file_name", "semantic", "instance", "depth", "lidar"):
        if record.get(key) and record[key] not in hashes:
            yield f"{data.root / record[key]} is not in meta/hashes.json"


def _leaks(data: Dataset) -> Iterator[str]:
    """Routes, and towns of the test split, are in one split only: by their names and by where they were driven."""
    splits: dict[str, set[str]] = {}
    towns: dict[str, set[str]] = {}
    for episode in data.episodes:
        splits.setdefault(episode["route"], set()).add(episode["split"])
        towns.setdefault(episode["town"], set()).add(episode["split"])
    for route, where in sorted(splits.items()):
        if len(where) > 1:
            yield f"route {route} is in the splits {', '.join(sorted(where))}"
    for town, where in sorted(towns.items()):
        if "test" in where and len(where) > 1:
            yield f"town {town} is in the splits {', '.join(sorted(where))}"
    try:
        ways = [(e, *_ends(data, e["episode_index"])) for e in data.episodes if e["ended"] == "completed" and e["rows"]]
    except DatasetError:
        return  # named already
    for (one, begin, end), (two, start, goal) in combinations(ways, 2):
        if one["split"] == two["split"] or one["town"] != two["town"]:
            continue
        if np.hypot(*(begin - start)) < SAME_BEGIN and np.hypot(*(end - goal)) < SAME_END:
            yield (
                f"episodes {one['episode_index']} ({one['split']}) and {two['episode_index']} ({two['split']}) "
                "were driven from the same place to the same place"
            )


def _ends(data: Dataset, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x, y where an episode begins and ends."""
    poses = data.driving(index, ["pose"])["pose"]
    return np.array(poses[0].as_py()[:2]), np.array(poses[-1].as_py()[:2])
