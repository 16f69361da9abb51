"""Where drained telemetry goes: Weights & Biases, CSV, Parquet, or any function.

A sink is written to in batches, every ``drain_every`` updates: one call to wandb costs more than a clip, so it gets one
point a batch; the files hold every update.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from clipping.errors import ClippingError
from clipping.telemetry import FIELDS, FLAGS, Batch, Histogram, Record

Columns = dict[str, list[float]]


def columns(updates: Batch | Iterable[Record]) -> Columns:
    """``step`` and every column by its name (``group/field``, ``module/name``); flags are 0 or 1.

    ``updates``, at least one: a :class:`clipping.telemetry.Batch` or what ``clipper.drain()`` gives.
    """
    if not isinstance(updates, Batch):
        return _gathered(list(updates))
    table: Columns = dict(zip(updates.names(), updates.rows.t().tolist()))
    for name, values in table.items():
        if name.rpartition("/")[2] in FLAGS and not name.startswith("module/"):
            table[name] = [int(v) for v in values]
    return {"step": list(range(updates.first, updates.last + 1)), **table}


def _gathered(records: Sequence[Record]) -> Columns:
    table: Columns = {name: [float(r[name]) for r in records] for name in ("step", *FIELDS)}
    for group in records[0].get("groups", {}):
        table |= {f"{group}/{name}": [float(r["groups"][group][name]) for r in records] for name in FIELDS}
    for module in records[0].get("modules", {}):
        table[f"module/{module or 'root'}"] = [r["modules"][module] for r in records]
    return table


def digest(subsystem: str, updates: Batch | Iterable[Record]) -> dict[str, float]:
    """Updates as one point: ``clip/<subsystem>/{norm,norm_after,coef,threshold,fraction,skipped,nonfinite}``.

    norm, norm_after, coef and threshold are medians of the finite values, fraction is the share of clipped updates,
    skipped and nonfinite are counts, norm_max is the largest finite norm. Groups and modules follow below their names.
    ``updates``: as :func:`columns` takes them.
    """
    table, out = columns(updates), {}
    for name, values in table.items():
        if name.startswith("module/"):
            if (value := _median(values)) is not None:
                out[f"clip/{subsystem}/{name}"] = value
        elif name.endswith("norm_after"):  # one of the whole, one of each group
            owner = name.removesuffix("norm_after")
            out |= _digest(f"clip/{subsystem}/{owner}", {field: table[owner + field] for field in FIELDS})
    return out


def _digest(prefix: str, table: Columns) -> dict[str, float]:
    medians = {name: _median(table[name]) for name in ("norm", "norm_after", "coef", "threshold")}
    out = {f"{prefix}{name}": value for name, value in medians.items() if value is not None}
    if finite := [v for v in table["norm"] if math.isfinite(v)]:
        out[f"{prefix}norm_max"] = max(finite)
    out[f"{prefix}fraction"] = sum(table["clipped"]) / len(table["clipped"])
    out[f"{prefix}skipped"] = sum(table["skipped"])
    out[f"{prefix}nonfinite"] = sum(table["nonfinite"])
    return out


def _median(values: Sequence[float]) -> float | None:
    finite = [v for v in values if math.isfinite(v)]
    return statistics.median(finite) if finite else None


class WandbSink:
    """One ``run.log`` a batch, with a histogram of the batch's norms as ``clip/<subsystem>/norms``.

    Args:
        run: a run of wandb (or anything with ``log(dict)``).
        step: gives the x value, logged as ``clip/<subsystem>/step``; default the clipper's own count of updates.
    """

    def __init__(self, run: Any, step: Callable[[], int] | None = None) -> None:
        if not callable(getattr(run, "log", None)):
            raise ClippingError(f"WandbSink takes a run with log(), not {type(run).__name__}")
        self.run, self.step = run, step

    def write(self, subsystem: str, batch: Batch) -> None:
        point: dict[str, Any] = dict(digest(subsystem, batch))
        point[f"clip/{subsystem}/step"] = self.step() if self.step else batch.last
        histogram = Histogram()
        histogram.add(batch.rows[:, 0])
        counts, edges = histogram.bins()
        if counts:
            import numpy as np
            from wandb import Histogram as Bars

            point[f"clip/{subsystem}/norms"] = Bars(np_histogram=(np.array(counts), np.log10(edges)))
        self.run.log(point)

    def close(self) -> None:
        """The run belongs to the caller."""


class CallSink:
    """Hands each batch's digest to ``function(point, step)``: TensorBoard, MLflow, a logger of one's own."""

    def __init__(self, function: Callable[[dict[str, float], int], None]) -> None:
        self.function = function

    def write(self, subsystem: str, batch: Batch) -> None:
        self.function(digest(subsystem, batch), batch.last)

    def close(self) -> None:
        """Nothing is open."""


class CsvSink:
    """Every update as a row of ``<folder>/clip_<subsystem>.csv``; appends to what is there, as after a resume.

    Writing raises ClippingError where the file has other columns than the batch.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._open: dict[str, tuple[TextIO, list[str]]] = {}

    def write(self, subsystem: str, batch: Batch) -> None:
        table = columns(batch)
        if subsystem not in self._open:
            self._open[subsystem] = self._start(self.folder / f"clip_{_safe(subsystem)}.csv", list(table))
        file, header = self._open[subsystem]
        if header != list(table):
            raise ClippingError(f"{file.name} has other columns than this run's telemetry; give it another folder")
        csv.writer(file).writerows(zip(*table.values()))
        file.flush()

    def _start(self, path: Path, names: list[str]) -> tuple[TextIO, list[str]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size:
            with path.open(newline="") as old:
                return path.open("a", newline=""), next(csv.reader(old))
        file = path.open("w", newline="")
        csv.writer(file).writerow(names)
        return file, names

    def close(self) -> None:
        for file, _ in self._open.values():
            file.close()
        self._open = {}


class ParquetSink:
    """Every update as a row of ``<folder>/clip_<subsystem>.parquet``, a row group a batch (needs pyarrow).

    A Parquet file is readable once it is closed: use CSV for runs that are to be read while they go. The file is
    replaced if it exists.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._open: dict[str, Any] = {}

    def write(self, subsystem: str, batch: Batch) -> None:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.table(columns(batch))
        if subsystem not in self._open:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"clip_{_safe(subsystem)}.parquet"
            self._open[subsystem] = pyarrow.parquet.ParquetWriter(path, table.schema)
        self._open[subsystem].write_table(table)

    def close(self) -> None:
        for writer in self._open.values():
            writer.close()
        self._open = {}


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
