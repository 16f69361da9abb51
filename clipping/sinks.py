"""Where drained telemetry goes: Weights & Biases, CSV, Parquet, or any function.

A sink is written to in batches, every ``drain_every`` updates: one call to wandb costs more than a clip, so it gets one
point a batch; the files hold every update.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipping.errors import ClippingError
from clipping.telemetry import FIELDS, FLAGS, Histogram, Record


def flat(record: Record) -> dict[str, float]:
    """One record as a flat row: groups become ``group/field``, modules ``module/name``; flags become 0 or 1."""
    row = {"step": record["step"], **_numbers(record)}
    for name, group in record.get("groups", {}).items():
        row |= {f"{name}/{key}": value for key, value in _numbers(group).items()}
    row |= {f"module/{name or 'root'}": value for name, value in record.get("modules", {}).items()}
    return row


def _numbers(record: Record) -> dict[str, float]:
    return {name: int(record[name]) if name in FLAGS else record[name] for name in FIELDS}


def digest(subsystem: str, records: Sequence[Record]) -> dict[str, float]:
    """A batch as one point: ``clip/<subsystem>/{norm,norm_after,coef,threshold,fraction,skipped,nonfinite}``.

    norm, norm_after, coef and threshold are medians of the finite values, fraction is the share of clipped updates,
    skipped and nonfinite are counts, norm_max is the largest finite norm. Groups and modules follow below their names.
    """
    out = _digest(f"clip/{subsystem}", records)
    for name in records[0].get("groups", {}):
        out |= _digest(f"clip/{subsystem}/{name}", [r["groups"][name] for r in records])
    for name in records[0].get("modules", {}):
        value = _median([r["modules"][name] for r in records])
        if value is not None:
            out[f"clip/{subsystem}/module/{name or 'root'}"] = value
    return out


def _digest(prefix: str, records: Sequence[Record]) -> dict[str, float]:
    out: dict[str, float] = {}
    for name in ("norm", "norm_after", "coef", "threshold"):
        value = _median([r[name] for r in records])
        if value is not None:
            out[f"{prefix}/{name}"] = value
    finite = [r["norm"] for r in records if math.isfinite(r["norm"])]
    if finite:
        out[f"{prefix}/norm_max"] = max(finite)
    out[f"{prefix}/fraction"] = sum(r["clipped"] for r in records) / len(records)
    out[f"{prefix}/skipped"] = sum(r["skipped"] for r in records)
    out[f"{prefix}/nonfinite"] = sum(r["nonfinite"] for r in records)
    return out


def _median(values: Sequence[float]) -> float | None:
    finite = [v for v in values if math.isfinite(v)]
    return float(np.median(finite)) if finite else None


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

    def write(self, subsystem: str, records: Sequence[Record]) -> None:
        point: dict[str, Any] = dict(digest(subsystem, records))
        point[f"clip/{subsystem}/step"] = self.step() if self.step else records[-1]["step"]
        histogram = Histogram()
        histogram.add(np.array([r["norm"] for r in records]))
        counts, edges = histogram.bins()
        if len(counts):
            from wandb import Histogram as Bars

            point[f"clip/{subsystem}/norms"] = Bars(np_histogram=(counts, np.log10(edges)))
        self.run.log(point)

    def close(self) -> None:
        """The run belongs to the caller."""


class CallSink:
    """Hands each batch's digest to ``function(point, step)``: TensorBoard, MLflow, a logger of one's own."""

    def __init__(self, function: Callable[[dict[str, float], int], None]) -> None:
        self.function = function

    def write(self, subsystem: str, records: Sequence[Record]) -> None:
        self.function(digest(subsystem, records), records[-1]["step"])

    def close(self) -> None:
        """Nothing is open."""


class CsvSink:
    """Every update as a row of ``<folder>/clip_<subsystem>.csv``; appends to what is there, as after a resume."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._open: dict[str, tuple[Any, Any]] = {}

    def write(self, subsystem: str, records: Sequence[Record]) -> None:
        rows = [flat(r) for r in records]
        if subsystem not in self._open:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"clip_{_safe(subsystem)}.csv"
            fresh = not path.exists() or path.stat().st_size == 0
            file = path.open("a", newline="")
            writer = csv.DictWriter(file, list(rows[0]))
            if fresh:
                writer.writeheader()
            self._open[subsystem] = (file, writer)
        file, writer = self._open[subsystem]
        writer.writerows(rows)
        file.flush()

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

    def write(self, subsystem: str, records: Sequence[Record]) -> None:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.Table.from_pylist([flat(r) for r in records])
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
