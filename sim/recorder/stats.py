"""count, mean, std, min and max of every numeric column of the driving rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sim.recorder.schema import DRIVING


def statistics(files: list[Path]) -> dict[str, Any]:
    """Column -> {"count", "mean", "std", "min", "max"}.

    Lists of a fixed length have an entry for each place, lists of any length one for all their values. Values that
    are not finite (no stop line ahead) do not count; a column without any other has count 0 alone.
    """
    found = {}
    for column in DRIVING:
        kind = column.type
        inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) else kind
        if pa.types.is_string(inner) or column.name in ("episode_index", "frame_index"):
            continue
        width = kind.list_size if pa.types.is_fixed_size_list(kind) else 1
        values = [_values(path, column.name).reshape(-1, width) for path in files]
        found[column.name] = _summary(np.concatenate(values) if values else np.zeros((0, width)))
    return found


def _values(path: Path, column: str) -> NDArray[np.float64]:
    data = pq.read_table(path, columns=[column])[column].combine_chunks()
    if pa.types.is_list(data.type) or pa.types.is_fixed_size_list(data.type):
        data = data.flatten()
    return data.to_numpy(zero_copy_only=False).astype(np.float64)


def _summary(values: NDArray[np.float64]) -> dict[str, Any]:
    columns = [column[np.isfinite(column)] for column in values.T]
    if not all(len(column) for column in columns):
        return {"count": 0}
    figures: dict[str, list[float]] = {
        "mean": [float(c.mean()) for c in columns],
        "std": [float(c.std()) for c in columns],
        "min": [float(c.min()) for c in columns],
        "max": [float(c.max()) for c in columns],
    }
    out: dict[str, Any] = {"count": int(min(len(c) for c in columns))}
    for name, numbers in figures.items():
        out[name] = numbers if len(columns) > 1 else numbers[0]
    return out
