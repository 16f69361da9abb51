"""Reads the clip telemetry that a run wrote (`clip_<subsystem>.csv` or `.parquet`), finished or still growing."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contracts import UserError

COLUMNS = ("step", "norm", "coef", "threshold", "clipped", "skipped")
ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True)
class ClipRecords:
    """One subsystem's records, oldest first, one entry a step; where a resumed run repeats steps, the last stand."""

    path: Path
    subsystem: str
    columns: dict[str, npt.NDArray[np.float64]]
    """The columns of COLUMNS, each [T]; flags are 0 or 1."""


def find(run: Path) -> list[Path]:
    """The telemetry files of a run directory (also of runs inside it), or the file itself.

    Raises UserError when there is nothing of the kind. Of a CSV and a Parquet file of one name the CSV is taken: it can
    be read while the run goes on.
    """
    if run.is_file():
        return [run]
    if not run.is_dir():
        raise UserError(f"{run}: no such run directory or file")
    found: dict[Path, Path] = {}
    for ending in reversed(ENDINGS):
        found |= {path.with_suffix(""): path for path in run.rglob(f"clip_*{ending}")}
    if not found:
        raise UserError(f"{run} holds no clip telemetry (clip_*.csv or clip_*.parquet)")
    return [found[key] for key in sorted(found)]


def read(path: Path) -> ClipRecords:
    """The records of one file. Raises UserError for a file that is something else, damaged, or has no record yet."""
    if path.suffix not in ENDINGS:
        raise UserError(f"{path}: clip telemetry is a .csv or .parquet file")
    columns = _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)
    steps = columns["step"]
    if len(steps) == 0:
        raise UserError(f"{path}: no step is recorded yet")
    # A run resumed from a checkpoint writes the steps after it again: of each step the last row stands.
    _, last = np.unique(steps[::-1], return_index=True)
    keep = len(steps) - 1 - last
    return ClipRecords(path, path.stem.removeprefix("clip_"), {name: column[keep] for name, column in columns.items()})


def _lacking(path: Path, names: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise UserError(f"{path} is not clip telemetry: it has no column {', '.join(missing)}")


def _read_csv(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not clip telemetry: it is not text") from None
    whole = text[: text.rfind("\n") + 1]  # a line still being written has no end
    rows = list(csv.reader(whole.splitlines()))
    if not rows:
        raise UserError(f"{path}: no step is recorded yet")
    header = rows[0]
    _lacking(path, header)
    places = [header.index(name) for name in COLUMNS]
    table = np.empty((len(rows) - 1, len(COLUMNS)))
    for number, row in enumerate(rows[1:]):
        try:
            if len(row) != len(header):
                raise ValueError
            table[number] = [float(row[place]) for place in places]
        except ValueError:
            raise UserError(f"{path}, line {number + 2}: not a row of clip telemetry") from None
    return {name: table[:, i] for i, name in enumerate(COLUMNS)}


def _read_parquet(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid:
        raise UserError(
            f"{path} cannot be read: damaged, or its run has not closed it yet (CSV can be read at once)"
        ) from None
    with file:
        _lacking(path, file.schema_arrow.names)
        table = file.read(columns=list(COLUMNS))
    return {name: table[name].to_numpy().astype(np.float64) for name in COLUMNS}
