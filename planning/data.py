"""Recorded driving episodes (docs/datasets.md) as arrays: scenes, what the expert planned, where objects went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts import UserError
from contracts.plan import PATH_POINTS, SPEED_STEPS
from planning.scenes import FAR, MOST_OBJECTS, OBJECT_FIELDS, Scenes, straighten
from sim.driving.expert import REASONS
from sim.recorder.reader import Dataset

COLUMNS = (
    "episode_index", "frame_index", "timestamp", "pose", "ego", "objects.kind", "objects.id", "objects.centre",
    "objects.half_extent", "objects.velocity", "objects.yaw", "route", "light", "stop_distance", "stop_sign",
    "speed_limit", "plan.path", "plan.speed", "reason",
)  # fmt: skip
F32 = NDArray[np.float32]


class Examples(NamedTuple):
    """M scenes and what to learn from them, all tensors.

    path [M, 20, 2], speed [M, 8]: the expert's plan. future [M, N, T, 2]: where each object will be at the forecast's
    times, in the ego frame of now; known [M, N, T]: whether that was seen.
    """

    scenes: Scenes
    path: Tensor
    speed: Tensor
    future: Tensor
    known: Tensor

    @property
    def rows(self) -> int:
        """M."""
        return len(self.path)

    def take(self, rows: Any) -> Examples:
        """Some of the examples."""
        return Examples(self.scenes.take(rows), *(field[rows] for field in self[1:]))


def join(parts: Sequence[Examples]) -> Examples:
    """Examples one after the other, all with as many objects and route points."""
    scenes = Scenes(*(torch.cat(fields) for fields in zip(*(part.scenes for part in parts), strict=True)))
    rest = [torch.cat(fields) for fields in zip(*(part[1:] for part in parts), strict=True)]
    return Examples(scenes, *rest)


@dataclass(frozen=True)
class Episodes:
    """The rows of some episodes, in order, as arrays.

    scenes: all 32 objects, 64 route points. ids [M, 32]: track ids, -1 beyond the last object. pose [M, 3]: x, y, yaw
    of the ego in the town. path [M, 20, 2], speed [M, 8]: the expert's plan. episode [M]: row of `towns`, `names` and
    `densities`. time [M] seconds. reason [M]: index into REASONS.
    """

    scenes: Scenes
    ids: NDArray[np.int64]
    pose: F32
    path: F32
    speed: F32
    episode: NDArray[np.int64]
    time: F32
    reason: NDArray[np.int64]
    towns: list[str]
    names: list[str]
    densities: list[float]

    @property
    def rows(self) -> int:
        """M."""
        return len(self.time)

    @property
    def period(self) -> float:
        """Seconds between two rows of an episode: their median, where a recording keeps more of some moments."""
        return float(np.median(self._steps()))

    def _steps(self) -> F32:
        """Seconds from each row to the next one of its episode."""
        steps = np.diff(self.time)[np.diff(self.episode) == 0]
        if not len(steps):
            raise UserError("the dataset has no episode of two steps")
        return steps

    def examples(self, times: Sequence[float], route_points: int) -> Examples:
        """What a training reads, with forecasts at `times` seconds."""
        future, known, _ = self.futures(times, np.arange(self.rows))
        scenes = self.scenes.narrow(MOST_OBJECTS, route_points).tensors()
        return Examples(
            Scenes(*(field.contiguous() for field in scenes)),
            torch.from_numpy(self.path),
            torch.from_numpy(self.speed),
            torch.from_numpy(future),
            torch.from_numpy(known),
        )

    def futures(
        self, times: Sequence[float], rows: NDArray[np.int64], objects: int = MOST_OBJECTS
    ) -> tuple[F32, NDArray[np.bool_], F32]:
        """Where the objects of `rows` are `times` seconds later, found by track id; unknown where no row is of then.

        Returns (place [m, N, T, 2] in the ego frame of now, known [m, N, T], yaw [m, N, T] in that frame).
        """
        count = len(rows)
        place = np.zeros((count, objects, len(times), 2), np.float32)
        yaw = np.zeros((count, objects, len(times)), np.float32)
        known = np.zeros((count, objects, len(times)), np.bool_)
        # all episodes in one line of seconds, so that the row of a moment is found by bisection
        line = self.time + 1e5 * self.episode.astype(np.float64)
        slack = 0.5 * float(self._steps().min())
        for k, t in enumerate(times):
            later = np.minimum(np.searchsorted(line, line[rows] + t - slack), self.rows - 1)
            same = np.abs(line[later] - line[rows] - t) <= slack
            for first in range(0, count, 4096):
                part = slice(first, first + 4096)
                here, there = rows[part], later[part]
                match = (self.ids[here, :objects, None] == self.ids[there][:, None, :]) & (
                    self.ids[here, :objects, None] >= 0
                )
                index = match.argmax(2)
                known[part, :, k] = match.any(2) & same[part, None]
                rows_there = np.take_along_axis(self.scenes.objects[there], index[..., None], 1)
                place[part, :, k] = to_frame(rows_there[..., :2], self.pose[there], self.pose[here])
                yaw[part, :, k] = rows_there[..., 4] + (self.pose[there, 2] - self.pose[here, 2])[:, None]
        place[~known] = 0
        return place, known, yaw


def to_frame(points: F32, source: F32, target: F32) -> F32:
    """Points [m, P, 2] in the frames of poses `source` [m, 3] (x, y, yaw), seen from the poses `target` [m, 3]."""
    cos, sin = np.cos(source[:, 2])[:, None], np.sin(source[:, 2])[:, None]
    x = points[..., 0] * cos - points[..., 1] * sin + (source[:, 0] - target[:, 0])[:, None]
    y = points[..., 0] * sin + points[..., 1] * cos + (source[:, 1] - target[:, 1])[:, None]
    cos, sin = np.cos(target[:, 2])[:, None], np.sin(target[:, 2])[:, None]
    return np.stack([x * cos + y * sin, y * cos - x * sin], -1).astype(np.float32)


def load(folder: Path | str, split: str) -> Episodes:
    """Read the episodes of a split ("train", "validation", "test") of a dataset.

    Raises UserError where the folder is no dataset, the split is empty or a file is damaged.
    """
    dataset = Dataset(folder)
    chosen = dataset.of_split(split)
    if not chosen:
        there = ", ".join(sorted({str(row["split"]) for row in dataset.episodes})) or "none"
        raise UserError(f"{folder} has no episode of the split '{split}' (there is: {there})")
    listed = {int(row["episode_index"]): row for row in dataset.episodes}
    facts = [listed[number] for number in chosen]
    table = pa.concat_tables([dataset.driving(number, list(COLUMNS)) for number in chosen]).combine_chunks()
    count = table.num_rows
    numbers = {number: row for row, number in enumerate(chosen)}
    kind = _ragged(table, "objects.kind", 1, -1)[..., 0].astype(np.int64)
    objects = np.zeros((count, MOST_OBJECTS, OBJECT_FIELDS), np.float32)
    objects[..., 0:2] = _ragged(table, "objects.centre", 2, 0)
    objects[..., 2:4] = _ragged(table, "objects.half_extent", 2, 0)
    objects[..., 4] = _ragged(table, "objects.yaw", 1, 0)[..., 0]
    objects[..., 5:7] = _ragged(table, "objects.velocity", 2, 0)
    objects[..., 7] = kind >= 0
    rules = [np.minimum(_plain(table, "stop_distance"), FAR), _plain(table, "stop_sign"), _plain(table, "speed_limit")]
    known = {name: k for k, name in enumerate(REASONS)}
    return Episodes(
        scenes=Scenes(
            ego=_fixed(table, "ego", 6),
            objects=objects,
            kind=kind,
            route=straighten(_fixed(table, "route", 128).reshape(count, -1, 2)),
            light=_plain(table, "light").astype(np.int64),
            rules=np.stack(rules, 1).astype(np.float32),
        ),
        ids=_ragged(table, "objects.id", 1, -1)[..., 0].astype(np.int64),
        pose=np.ascontiguousarray(_fixed(table, "pose", 6)[:, [0, 1, 5]]),
        path=_fixed(table, "plan.path", 2 * PATH_POINTS).reshape(count, PATH_POINTS, 2),
        speed=_fixed(table, "plan.speed", SPEED_STEPS),
        episode=np.array([numbers[int(e)] for e in _plain(table, "episode_index")], np.int64),
        time=_plain(table, "timestamp").astype(np.float32),
        reason=np.array([known.get(r, 0) for r in table["reason"].to_pylist()], np.int64),
        towns=[str(row["town"]) for row in facts],
        names=[str(row["route"]) for row in facts],
        densities=[float(row["density"]) for row in facts],
    )


def _column(table: pa.Table, name: str) -> Any:
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _plain(table: pa.Table, name: str) -> NDArray[Any]:
    return np.asarray(_column(table, name).to_numpy(zero_copy_only=False))


def _fixed(table: pa.Table, name: str, size: int) -> F32:
    values = np.asarray(_column(table, name).flatten().to_numpy(zero_copy_only=False), np.float32)
    return values.reshape(table.num_rows, size).copy()


def _ragged(table: pa.Table, name: str, width: int, fill: float) -> NDArray[Any]:
    """Lists of `width` numbers an object as [rows, MOST_OBJECTS, width], `fill` beyond each row's last."""
    column = _column(table, name)
    values = np.asarray(column.flatten().to_numpy(zero_copy_only=False))
    lengths = np.diff(np.asarray(column.offsets.to_numpy())) // width
    if len(lengths) and lengths.max() > MOST_OBJECTS:
        raise UserError(f"the dataset's column {name} holds more than {MOST_OBJECTS} objects in a row")
    there = np.arange(MOST_OBJECTS)[None, :] < lengths[:, None]
    out = np.full((len(lengths), MOST_OBJECTS, width), fill, values.dtype if len(values) else np.float32)
    out[there] = values.reshape(-1, width)
    return out
