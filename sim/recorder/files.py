"""Files that are whole or absent, and the digests that say so."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

FLUSHED_AT_ONCE = 8


class Written(NamedTuple):
    """A file's digest (sha256, hexadecimal) and size in bytes."""

    sha256: str
    size: int


def digest(data: bytes) -> Written:
    """Digest of bytes."""
    return Written(hashlib.sha256(data).hexdigest(), len(data))


def digest_file(path: Path) -> Written:
    """Digest of a file's content; raises OSError."""
    total, found = 0, hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
            total += len(chunk)
    return Written(found.hexdigest(), total)


def write_whole(path: Path, data: bytes, sync: bool = True) -> Written:
    """Write under a temporary name and rename. `sync` False leaves flushing to the disk to `flush`.

    A process killed at any moment leaves the old file or the new one, never part of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)
    if sync:
        flush_one(path.parent)
    return digest(data)


def write_json(path: Path, value: Any, indent: int | None = None) -> Written:
    """Write JSON with sorted keys, so that equal values are equal bytes."""
    text = json.dumps(value, sort_keys=True, indent=indent, separators=None if indent else (",", ":"))
    return write_whole(path, text.encode() + b"\n")


def flush(paths: list[Path]) -> None:
    """Have files and their folders reach the disk."""
    # the disk takes many at once in the time of a few
    with ThreadPoolExecutor(FLUSHED_AT_ONCE) as pool:
        list(pool.map(flush_one, paths))
        list(pool.map(flush_one, sorted({path.parent for path in paths})))


def flush_one(path: Path) -> None:
    """Have a file's content, or a folder's entries, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
