"""Where figures come from: command, commit, date, versions."""

from __future__ import annotations

import datetime
import functools
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


@functools.lru_cache(maxsize=8)
def commit(*folders: str) -> str:
    """Short hash of the checked-out commit, with "+" where the code in `folders` differs from it, or "unknown"."""
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        differs = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *folders], cwd=ROOT, capture_output=True)
    except OSError:
        return "unknown"
    return head.stdout.strip() + ("+" if differs.returncode == 1 else "") if head.returncode == 0 else "unknown"


def facts(*folders: str) -> dict[str, str]:
    """For the foot of a report; ask when a program starts, while the files are those that it has loaded."""
    import torch

    return {
        "command": shlex.join(["throttle", *sys.argv[1:]]),
        "commit": commit(*folders),
        "date": datetime.date.today().isoformat(),
        "machine": f"torch {torch.__version__}, Python {platform.python_version()}, "
        f"{len(os.sched_getaffinity(0))} CPU cores",
    }
