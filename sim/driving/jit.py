"""Compiling this package's kernels: cached on disk, anew whenever a source of this package or of the world changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])
PACKAGES = ("driving", "world")


@cache
def cache_folder() -> Path:
    """Where compiled kernels are kept: Numba's own check sees only the file of the outermost function."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((Path(__file__).parents[1] / package).glob("*.py")):
            digest.update(path.read_bytes())
    base = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "throttle" / "driving" / digest.hexdigest()[:16]


def part(function: Function) -> Function:
    """Compile for use inside `entry` functions."""
    return cast(Function, numba.njit(error_model="numpy", nogil=True)(function))


def entry(function: Function, parallel: bool = False) -> Function:
    """Compile a function that Python calls and keep the machine code on disk."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())
    try:
        return cast(Function, numba.njit(cache=True, error_model="numpy", nogil=True, parallel=parallel)(function))
    finally:
        numba.config.CACHE_DIR = before


def parallel_entry(function: Function) -> Function:
    """As `entry`, for a loop with numba.prange."""
    return entry(function, parallel=True)
