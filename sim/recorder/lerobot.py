"""A dataset as a LeRobot v3.0 dataset, for policies and tools of that library; written with PyArrow alone.

    export(Dataset("datasets/small"), Path("datasets/small-lerobot"))

Frames are the steps that have pictures (embedded as the JPEG files that they are), or all steps where `pictures` is
False. Episodes are in the order train, validation, test, which `splits` in meta/info.json names.

Format: https://huggingface.co/docs/lerobot/lerobot-dataset-v3 (codebase_version v3.0); the real reader is tried by
tests/sim/recorder/test_lerobot.py.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts import LightState, UserError
from sim.recorder import schema
from sim.recorder.files import write_json, write_whole
from sim.recorder.reader import Dataset

VERSION = "v3.0"
CHUNK, FILE_MB = 1000, 100
"""Files of a folder; megabytes from which on a data file is not added to."""
FARTHEST_STOP = 100.0
"""Metres written where no stop line is ahead."""
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
EGO = ("speed", "acceleration", "yaw_rate", "steer", "length", "width")
CONTROL = ("throttle", "brake", "steer")
ROUTE = tuple(f"route_{axis}{k}" for k in range(schema.ROUTE_POINTS) for axis in "xy")
BINDING = (*(f"light_{state.name.lower()}" for state in LightState), "stop_distance", "stop_sign", "speed_limit")
Progress = Callable[[int, int], None]


@dataclass
class _Pixels:
    """Running sums of a camera's pixel values, 0..1, by channel."""

    count: int = 0
    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    least: NDArray[np.float64] = field(default_factory=lambda: np.ones(3))
    most: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Take in a picture [H, W, 3]."""
        mean, std = (v[:, 0] / 255.0 for v in cv2.meanStdDev(picture))
        self.count += 1
        self.total += mean
        self.squares += mean**2 + std**2
        self.least = np.minimum(self.least, picture.min((0, 1)) / 255.0)
        self.most = np.maximum(self.most, picture.max((0, 1)) / 255.0)

    def figures(self) -> dict[str, Any]:
        """As meta/stats.json has it: arrays [3, 1, 1]."""
        mean = self.total / max(self.count, 1)
        std = np.sqrt(np.maximum(self.squares / max(self.count, 1) - mean**2, 0.0))
        named = {"min": self.least, "max": self.most, "mean": mean, "std": std}
        return {k: [[[float(x)]] for x in v] for k, v in named.items()} | {"count": [self.count]}


def export(data: Dataset, out: Path, pictures: bool = True, progress: Progress = lambda done, total: None) -> int:
    """Write the dataset to the folder `out`, which must not exist; returns the number of frames.

    Raises UserError for a folder that is there, pictures that were not recorded, or a rate LeRobot cannot have.
    """
    if out.exists():
        raise UserError(f"{out} is there already; choose another folder")
    cameras = [n for n, c in data.info["cameras"].items() if "rgb" in c["outputs"]] if pictures else []
    if pictures and not cameras:
        raise UserError(f"{data.root} has no colour pictures; export all its steps with --frames all")
    rate = data.info["fps"] / (data.info["image_every"] if pictures else 1)
    if rate != round(rate):
        raise UserError(
            f"{data.root} has a picture every {1 / rate:g} s, LeRobot wants a whole number of frames a second: record "
            "with image_every 1, 2, 5 or 10, or export all steps, without pictures, with --frames all"
        )
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        frames = _write(data, temporary, cameras, pictures, int(rate), progress)
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return frames


def features_of(data: Dataset, cameras: list[str]) -> dict[str, dict[str, Any]]:
    """`features` of meta/info.json."""

    def vector(names: tuple[str, ...]) -> dict[str, Any]:
        return {"dtype": "float32", "shape": [len(names)], "names": list(names)}

    def single(dtype: str) -> dict[str, Any]:
        return {"dtype": dtype, "shape": [1], "names": None}

    info = data.info["cameras"]
    return {
        **{
            f"observation.images.{name}": {
                "dtype": "image", "shape": [info[name]["height"], info[name]["width"], 3],
                "names": ["height", "width", "channels"],
            }
            for name in cameras
        },
        "observation.state": vector(EGO),
        "observation.environment_state": vector(ROUTE + BINDING),
        "action": vector(CONTROL),
        "plan.path": vector(tuple(f"{axis}{k}" for k in range(20) for axis in "xy")),
        "plan.speed": vector(tuple(f"speed{k}" for k in range(8))),
        "perturbed": single("bool"),
        "next.done": single("bool"),
        "timestamp": single("float32"),
        **{name: single("int64") for name in ("frame_index", "episode_index", "index", "task_index")},
    }  # fmt: skip


def _order(data: Dataset) -> Iterator[tuple[str, dict[str, Any]]]:
    for split in schema.SPLITS:
        for index in data.of_split(split):
            yield split, data.episodes[index]


def _task(episode: dict[str, Any]) -> str:
    what = episode["scenario"].replace("_", " ")
    return f"drive along the route{f' ({what})' if what else ''}"


def _write(data: Dataset, root: Path, cameras: list[str], pictures: bool, rate: int, progress: Progress) -> int:
    order = list(_order(data))
    tasks = sorted({_task(episode) for _, episode in order})
    features = features_of(data, cameras)
    shape = _schema(features)
    pixels = {name: _Pixels() for name in cameras}
    numbers: dict[str, list[NDArray[np.float64]]] = {}
    entries: list[dict[str, Any]] = []
    spans: dict[str, list[int]] = {}
    file_index, total = 0, 0
    writer: pq.ParquetWriter | None = None
    for done, (split, episode) in enumerate(order):
        path = root / DATA.format(chunk_index=file_index // CHUNK, file_index=file_index % CHUNK)
        if writer is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = pq.ParquetWriter(path, shape, compression="snappy")
        columns = _columns(data, episode, cameras, pictures, rate, pixels)
        count = len(columns["timestamp"])
        columns["episode_index"] = np.full(count, done)
        columns["index"] = np.arange(total, total + count)
        columns["task_index"] = np.full(count, tasks.index(_task(episode)))
        for name, values in columns.items():
            if not name.startswith("observation.images."):
                numbers.setdefault(name, []).append(np.asarray(values, np.float64).reshape(count, -1))
        writer.write_table(_table(columns, shape))
        entries.append(
            {
                "episode_index": done, "tasks": [_task(episode)], "length": count,
                "data/chunk_index": file_index // CHUNK, "data/file_index": file_index % CHUNK,
                "dataset_from_index": total, "dataset_to_index": total + count,
                "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0,
                **{k: episode[k] for k in ("split", "town", "route", "weather", "scenario", "driving_score")},
            }
        )  # fmt: skip
        spans.setdefault(split, [done, done])[1] = done + 1
        total += count
        if path.stat().st_size > FILE_MB * 1e6:
            writer.close()
            writer, file_index = None, file_index + 1
        progress(done + 1, len(order))
    if writer is not None:
        writer.close()
    stats = {name: _figures(np.concatenate(values)) for name, values in numbers.items()}
    stats |= {f"observation.images.{name}": pixels[name].figures() for name in cameras}
    _write_meta(root, entries, tasks, stats, features, rate, total, spans)
    return total


def _columns(
    data: Dataset, episode: dict[str, Any], cameras: list[str], pictures: bool, rate: int, pixels: dict[str, _Pixels]
) -> dict[str, Any]:
    """The columns of an episode's frames, without those that number it."""
    table = data.driving(episode["episode_index"])
    if pictures:
        table = table.filter(table["image"])
    count = table.num_rows

    def fixed(name: str) -> NDArray[np.float32]:
        flat: NDArray[np.float32] = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(count, -1)

    def plain(name: str) -> NDArray[Any]:
        found: NDArray[Any] = table[name].to_numpy()
        return found

    light = np.eye(len(LightState), dtype=np.float32)[plain("light")]
    stop = np.nan_to_num(plain("stop_distance"), posinf=FARTHEST_STOP).clip(0.0, FARTHEST_STOP)
    binding = np.column_stack([light, stop, plain("stop_sign"), plain("speed_limit")])
    columns: dict[str, Any] = {}
    for name in cameras:
        files = [
            schema.picture_path("images", name, episode["episode_index"], step)
            for step in plain("frame_index").tolist()
        ]
        for path in files:
            pixels[name].add(data.rgb(path))
        columns[f"observation.images.{name}"] = [
            {"bytes": (data.root / path).read_bytes(), "path": Path(path).name} for path in files
        ]
    done = np.zeros(count, np.bool_)
    done[-1:] = True
    return columns | {
        "observation.state": fixed("ego"),
        "observation.environment_state": np.column_stack([fixed("route"), binding]).astype(np.float32),
        "action": fixed("control"),
        "plan.path": fixed("plan.path"),
        "plan.speed": fixed("plan.speed"),
        "perturbed": plain("perturbed"),
        "next.done": done,
        "timestamp": (np.arange(count) / rate).astype(np.float32),
        "frame_index": np.arange(count),
    }


def _schema(features: dict[str, dict[str, Any]]) -> pa.Schema:
    kinds = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}
    fields = []
    for name, feature in features.items():
        if feature["dtype"] == "image":
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        else:
            kind, width = kinds[feature["dtype"]], math.prod(feature["shape"])
            kind = pa.list_(kind, width) if width > 1 else kind
        fields.append((name, kind))
    return pa.schema(fields)


def _table(columns: dict[str, Any], shape: pa.Schema) -> pa.Table:
    arrays = []
    for column in shape:
        values = columns[column.name]
        if pa.types.is_fixed_size_list(column.type):
            flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1))
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, column.type.list_size))
        else:
            arrays.append(pa.array(values, column.type))
    return pa.Table.from_arrays(arrays, schema=shape)


def _figures(values: NDArray[np.float64]) -> dict[str, Any]:
    named = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    return {k: v.tolist() for k, v in named.items()} | {"count": [len(values)]}


def _write_meta(
    root: Path, entries: list[dict[str, Any]], tasks: list[str], stats: dict[str, Any],
    features: dict[str, dict[str, Any]], rate: int, total: int, spans: dict[str, list[int]],
) -> None:  # fmt: skip
    (root / EPISODES).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(entries), root / EPISODES)
    # the reader wants the task as the index of a pandas frame
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks)})
    about = [
        {"name": n, "field_name": n, "pandas_type": k, "numpy_type": v, "metadata": None}
        for n, k, v in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ]
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": about, "pandas_version": "2.0.0"}
    pq.write_table(table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()}), root / "meta/tasks.parquet")
    write_json(root / "meta/stats.json", stats, indent=1)
    info = {
        "codebase_version": VERSION, "robot_type": "car", "fps": rate, "features": features,
        "total_episodes": len(entries), "total_frames": total, "total_tasks": len(tasks),
        "chunks_size": CHUNK, "data_files_size_in_mb": FILE_MB, "video_files_size_in_mb": 200,
        "data_path": DATA, "video_path": None,
        "splits": {split: f"{first}:{last}" for split, (first, last) in spans.items()},
    }  # fmt: skip
    write_whole(root / "meta/info.json", (json.dumps(info, indent=1) + "\n").encode())
