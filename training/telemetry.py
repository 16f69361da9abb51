"""What the clipper measured, as rows of the run's CSV files."""

from __future__ import annotations

from typing import Any

FIELDS = ("norm", "norm_after", "coef", "threshold", "clipped", "skipped", "nonfinite")


def tables(subsystem: str, records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """File `clip_<subsystem>` and `clip_<subsystem>_<group>` -> a row a record of the clipper."""
    found = {f"clip_{subsystem}": _rows(records, records)}
    for name in records[0].get("groups", {}):
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in name).strip("_") or "group"
        found[f"clip_{subsystem}_{safe}"] = _rows(records, [r["groups"][name] for r in records])
    return found


def _rows(records: list[dict[str, Any]], parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "timestep": record["step"],
            "step": record["step"],
            **{f: int(part[f]) if isinstance(part[f], bool) else float(part[f]) for f in FIELDS},
        }
        for record, part in zip(records, parts)
    ]
