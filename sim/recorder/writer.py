"""Writing a dataset: steps into an episode, episodes into a recording, and the end of it.

    writer = EpisodeWriter(root, 0)
    writer.add(row, Shot(files, images))      # any number of times
    writer.commit(summary)
    finalise(root, info)                      # after the last episode

A step is safe once `add` returns: the files lie there whole and the journal names them. An episode counts once `commit`
returns. Whoever opens an `EpisodeWriter` on an episode that was cut short finds its steps in `kept`.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from sim.recorder import schema
from sim.recorder.coco import merge
from sim.recorder.files import Written, digest, digest_file, flush, write_json, write_whole
from sim.recorder.stats import statistics

Row = Mapping[str, Any]


@dataclass
class Shot:
    """What the sensors of one step gave.

    files: path below the dataset's folder -> content. images: COCO image records without ids, each with its
    `annotations` (without ids too).
    """

    files: dict[str, bytes] = field(default_factory=dict)
    images: list[dict[str, Any]] = field(default_factory=list)


class EpisodeWriter:
    """One episode. Raises OSError where the disk refuses."""

    def __init__(self, root: Path, index: int) -> None:
        self.root, self.index = root, index
        self._journal = root / schema.journal_path(index)
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        self.steps: list[dict[str, Any]] = self._read_journal()
        """Steps that are safe: {"row", "files", "images"}."""
        self.kept = len(self.steps)
        """How many of them an earlier attempt left."""
        self._rewrite()

    @property
    def committed(self) -> bool:
        """The episode is complete."""
        return (self.root / schema.data_path(self.index)).is_file()

    def _read_journal(self) -> list[dict[str, Any]]:
        """The steps up to the first whose line or files are damaged."""
        if not self._journal.is_file():
            return []
        steps = []
        for line in self._journal.read_bytes().split(b"\n")[:-1]:
            try:
                step = json.loads(line)
                whole = all(digest_file(self.root / p) == Written(*d) for p, d in step["files"].items())
            except (ValueError, KeyError, TypeError, OSError):
                break
            if not whole:
                break
            steps.append(step)
        return steps

    def _rewrite(self) -> None:
        """The journal as `steps` is; a line cut short is gone afterwards."""
        lines = b"".join(_line(step) for step in self.steps)
        write_whole(self._journal, lines)
        self._file: TextIO = open(self._journal, "a", encoding="utf-8")  # noqa: SIM115 - open as long as the episode

    def add(self, row: Row, shot: Shot | None = None) -> None:
        """Keep a step."""
        files = {}
        for path, data in (shot.files if shot else {}).items():
            files[path] = write_whole(self.root / path, data, sync=False)
        step = {"row": dict(row), "files": files, "images": shot.images if shot else []}
        self._file.write(_line(step).decode())
        self._file.flush()
        self.steps.append(step)

    def matches(self, step: int, row: Row) -> bool:
        """The kept step is this row, image or not."""
        return _line(self.steps[step]["row"]) == _line(dict(row))

    def restart(self) -> None:
        """Forget all steps."""
        self._file.close()
        for step in self.steps:
            for path in step["files"]:
                (self.root / path).unlink(missing_ok=True)
        self.steps, self.kept = [], 0
        self._rewrite()

    def commit(self, summary: Mapping[str, Any]) -> None:
        """The episode is complete: its Parquet file appears. summary: a row of schema.EPISODES."""
        files = {path: list(d) for step in self.steps for path, d in step["files"].items()}
        flush([self.root / path for path in files])
        rows = [step["row"] for step in self.steps]
        data = parquet_bytes(rows, schema.DRIVING)
        files[schema.data_path(self.index)] = list(digest(data))
        part = {
            "summary": {**summary, "rows": len(rows), "images": sum(len(s["images"]) for s in self.steps)},
            "images": [image for step in self.steps for image in step["images"]],
            "files": files,
        }
        write_json(self.root / schema.part_path(self.index), part)
        write_whole(self.root / schema.data_path(self.index), data)
        self._file.close()
        self._journal.unlink()

    def close(self) -> None:
        """Leave the episode as it is."""
        self._file.close()


def parquet_bytes(rows: Iterable[Row], columns: pa.Schema) -> bytes:
    """A Parquet file of `rows`; raises ValueError where a value does not fit its column."""
    try:
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=columns)
    except pa.ArrowInvalid as error:
        raise ValueError(f"a row does not fit the format: {error}") from error
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def begin(root: Path, info: schema.Info) -> None:
    """Make the folder of a recording. Sweeps away files that a killed process was writing."""
    for folder in ("meta/parts", "data"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for left in root.rglob(".*.tmp"):
        left.unlink()
    write_json(root / "meta/info.json", info.to_json(), indent=1)


def committed(root: Path, episodes: int) -> list[int]:
    """Episodes that count."""
    return [index for index in range(episodes) if (root / schema.data_path(index)).is_file()]


def finalise(root: Path, info: schema.Info) -> None:
    """Write annotations, episodes, statistics, info and, last, the digests; then drop the parts.

    All `info.episodes` must be committed. May be called again after it was interrupted.
    """
    digests: dict[str, list[Any]] = {}
    parts = []
    for index in range(info.episodes):
        part = json.loads((root / schema.part_path(index)).read_bytes())
        digests |= part.pop("files")
        parts.append(part)
    written: dict[str, Written] = {}
    if info.cameras:
        for split, content in merge(parts).items():
            written[f"annotations/{split}.json"] = write_json(root / f"annotations/{split}.json", content)
    table = parquet_bytes([part["summary"] for part in parts], schema.EPISODES)
    written["meta/episodes.parquet"] = write_whole(root / "meta/episodes.parquet", table)
    stats = statistics([root / schema.data_path(index) for index in range(info.episodes)])
    written["meta/stats.json"] = write_json(root / "meta/stats.json", stats, indent=1)
    written["meta/info.json"] = write_json(root / "meta/info.json", info.to_json(), indent=1)
    if (root / "README.md").is_file():
        written["README.md"] = digest_file(root / "README.md")
    digests |= {path: list(d) for path, d in written.items()}
    hashes = {path: {"sha256": d[0], "size": d[1]} for path, d in digests.items()}
    write_json(root / "meta/hashes.json", hashes, indent=0)
    shutil.rmtree(root / "meta/parts")


def size_of(root: Path) -> int:
    """Bytes of all files below `root`."""
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(root) for name in names)


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
