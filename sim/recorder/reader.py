"""Reading a dataset; whatever is wrong with it names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts import UserError
from sim.recorder import schema


class DatasetError(UserError):
    """The dataset is not whole, or is none."""


class Dataset:
    """A finished recording.

    info: meta/info.json. episodes: meta/episodes.parquet, a dict a row. Raises DatasetError where `root` is no
    dataset, is unfinished, or is of a format that this program does not know.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if not (self.root / "meta/info.json").is_file():
            raise DatasetError(f"{self.root} is no dataset: it has no meta/info.json")
        self.info: dict[str, Any] = self.json("meta/info.json")
        if self.info.get("format") != schema.FORMAT or self.info.get("version") != schema.VERSION:
            raise DatasetError(
                f"{self.root} has the format {self.info.get('format')} {self.info.get('version')}, "
                f"not {schema.FORMAT} {schema.VERSION}"
            )
        if not schema.is_complete(self.root):
            raise DatasetError(f"{self.root} is not finished: run the same `throttle record` again to complete it")
        self.episodes: list[dict[str, Any]] = self._table("meta/episodes.parquet", schema.EPISODES).to_pylist()

    # -- driving ------------------------------------------------------------------------------------------------------

    def of_split(self, split: str) -> list[int]:
        """Indices of a split's episodes; raises DatasetError for a name that is no split."""
        if split not in schema.SPLITS:
            raise DatasetError(f"'{split}' is no split; there are {', '.join(schema.SPLITS)}")
        return [int(row["episode_index"]) for row in self.episodes if row["split"] == split]

    def driving(self, index: int, columns: list[str] | None = None) -> pa.Table:
        """Rows of an episode, in order."""
        return self._table(schema.data_path(index), schema.DRIVING, columns)

    # -- pictures -----------------------------------------------------------------------------------------------------

    def coco(self, split: str) -> dict[str, Any]:
        """The content of annotations/<split>.json; raises DatasetError where there are no pictures."""
        self.of_split(split)
        if not self.info["cameras"]:
            raise DatasetError(f"{self.root} was recorded without cameras")
        return self.json(f"annotations/{split}.json")

    def rgb(self, path: str) -> NDArray[np.uint8]:
        """A colour picture [H, W, 3], red first."""
        return np.ascontiguousarray(self._picture(path, cv2.IMREAD_COLOR)[..., ::-1]).astype(np.uint8, copy=False)

    def labels(self, path: str) -> NDArray[Any]:
        """A semantic [H, W] uint8, instance [H, W] uint16 or depth [H, W] uint16 (centimetres) picture."""
        return self._picture(path, cv2.IMREAD_UNCHANGED)

    def lidar(self, path: str) -> NDArray[np.float32]:
        """Points [N, 4]: x, y, z in the ego frame, intensity."""
        try:
            points = np.load(self.root / path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DatasetError(f"{self.root / path}: {error}") from error
        if points.dtype != np.float32 or points.ndim != 2 or points.shape[1] != 4:
            raise DatasetError(f"{self.root / path} holds {points.dtype} {points.shape}, not float32 (N, 4)")
        return points

    # -- inside -------------------------------------------------------------------------------------------------------

    def json(self, path: str) -> Any:
        """The content of a JSON file below the dataset's folder."""
        try:
            return json.loads((self.root / path).read_bytes())
        except (OSError, ValueError) as error:
            raise DatasetError(f"{self.root / path}: {error}") from error

    def _table(self, path: str, wanted: pa.Schema, columns: list[str] | None = None) -> pa.Table:
        try:
            table = pq.read_table(self.root / path, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{self.root / path}: {' '.join(str(error).split())}") from error
        for column in wanted:
            if columns is not None and column.name not in columns:
                continue
            if column.name not in table.column_names:
                raise DatasetError(f"{self.root / path} has no column '{column.name}'")
            if table.schema.field(column.name).type != column.type:
                found = table.schema.field(column.name).type
                raise DatasetError(f"{self.root / path}: column '{column.name}' is {found}, not {column.type}")
        return table

    def _picture(self, path: str, flags: int) -> NDArray[Any]:
        try:
            data = np.frombuffer((self.root / path).read_bytes(), np.uint8)
            picture = cv2.imdecode(data, flags)
        except (OSError, cv2.error) as error:
            raise DatasetError(f"{self.root / path}: {error}") from error
        if picture is None:
            raise DatasetError(f"{self.root / path} is no picture")
        return np.asarray(picture)
