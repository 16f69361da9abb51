"""Progress of everything in a folder of runs, and the pages and pictures that runs left there."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from contracts import UserError
from throttle.runs import read_status

DEPTH = ("*", "*/*", "*/*/*", "*/*/*/*")
"""Where runs lie below the folder: themselves, or as parts of a demonstration and of its comparison."""
SHOWN = {
    ".html": "text/html", ".png": "image/png", ".jpg": "image/jpeg", ".mp4": "video/mp4", ".json": "application/json",
    ".csv": "text/plain", ".yaml": "text/plain", ".log": "text/plain",
}  # fmt: skip
"""Files that the page may open, by ending."""


def progress(runs: Path, datasets: Path | None = None) -> dict[str, Any]:
    """runs: name, kind, state, step, total, message, seconds since the last sign of life, pages; newest first.

    datasets: name, town, episodes and images so far. A folder that is not there is an empty list.
    """
    found = []
    for pattern in DEPTH:
        for file in runs.glob(f"{pattern}/status.json"):
            with suppress(UserError, OSError):
                found.append(_run(runs, file.parent))
    for file in runs.glob("*/report.html"):  # of a demonstration whose stages were done one by one
        if not (file.parent / "status.json").exists():
            with suppress(OSError):
                found.append(_report(runs, file))
    found.sort(key=lambda row: row["created"], reverse=True)
    return {"runs": found[:200], "datasets": _datasets(datasets) if datasets is not None else []}


def _report(root: Path, file: Path) -> dict[str, Any]:
    written = file.stat().st_mtime
    return {
        "name": file.parent.name, "kind": "report", "state": "finished", "step": 0, "total": 0, "message": "",
        "created": written, "age": round(max(0.0, time.time() - written), 1), "took": 0.0,
        "pages": [str(file.relative_to(root))],
    }  # fmt: skip


def _run(root: Path, path: Path) -> dict[str, Any]:
    status = read_status(path)
    pages = [page for pattern in ("*.html", "report/*.html", "*.mp4", "*.png") for page in sorted(path.glob(pattern))]
    return {
        "name": str(path.relative_to(root)),
        "kind": status.kind,
        "state": status.state,
        "step": status.step,
        "total": status.total,
        "message": status.message[:300],
        "created": status.created,
        "age": round(max(0.0, time.time() - status.updated), 1),
        "took": round(max(0.0, status.updated - status.created), 1),
        "pages": [str(page.relative_to(root)) for page in pages[:12]],
    }


def _datasets(folder: Path) -> list[dict[str, Any]]:
    found = []
    for info in sorted(folder.glob("*/meta/info.json")):
        path = info.parent.parent
        with suppress(OSError, ValueError):
            facts = json.loads(info.read_text(encoding="utf-8"))
            found.append(
                {
                    "name": path.name,
                    "towns": ", ".join(facts.get("towns", [])) if isinstance(facts.get("towns"), list) else "",
                    "episodes": sum(1 for _ in path.glob("data/episode_*.parquet")),
                    "whole": (path / "meta" / "hashes.json").exists(),
                }
            )
    return found


def find_file(root: Path, name: str) -> tuple[Path, str]:
    """The file `name` below `root` and its type; raises UserError where it is elsewhere, absent or of no known type."""
    kind = SHOWN.get(Path(name).suffix.lower())
    with suppress(OSError, ValueError, RuntimeError):  # a zero byte, a name that is too long, links in a circle
        path = (root / name).resolve()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if kind is not None and not hidden and path.is_relative_to(root.resolve()) and path.is_file():
            return path, kind
    raise UserError("there is no such file")
