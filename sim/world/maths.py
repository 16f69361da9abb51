# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Scalar float32 functions for kernels: the same bits on every processor, and faster than the C library's.

Polynomials are those of the Cephes library (S. Moshier), single precision: errors below 2e-7 over [-pi, pi].
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])


INNER: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def kernel(function: Function) -> Function:
    """Compile for use inside other kernels (not from Python): no fastmath, C division.

    Without Numba's reference counts: kernels own no arrays, and counting every argument of every call would cost more
    than the work. So a kernel must not allocate; see `allocating_kernel`.
    """
    return cast(Function, numba.njit(**INNER, _nrt=False)(function))


def part(function: Function) -> Function:
    """As `kernel`, always made part of its caller: for what runs once a vehicle and step.

    A call passes each array as nine words; for short functions that costs more than their work.
    """
    return cast(Function, numba.njit(**INNER, _nrt=False, forceinline=True)(function))


def allocating_kernel(function: Function) -> Function:
    """As `kernel`, for functions that make arrays."""
    return cast(Function, numba.njit(**INNER)(function))


def parallel_kernel(function: Function) -> Function:
    """Compile a loop over worlds with numba.prange, to be called from Python; kept in a cache on disk.

    Numba's own cache looks at the file of the outermost function alone and would keep old code where a function that it
    calls was changed in another file. So the cache has a folder for each state of this package's sources.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())
    try:
        return cast(Function, numba.njit(cache=True, error_model="numpy", parallel=True)(function))
    finally:
        numba.config.CACHE_DIR = before


@cache
def cache_folder() -> Path:
    """Where compiled kernels are kept: below NUMBA_CACHE_DIR, else below the user's cache."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    base = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "throttle" / "kernels" / digest.hexdigest()[:16]


F = np.float32
PI = np.float32(math.pi)
TWO_PI = np.float32(2 * math.pi)
GRAVITY = np.float32(9.81)


@part
def wrap(angle: float) -> float:
    """`angle` in [-pi, pi)."""
    return angle - TWO_PI * np.floor((angle + PI) * F(0.15915494309189535))


@part
def sincos(angle: float) -> tuple[float, float]:
    """sin and cos of an angle of at most a few turns."""
    quadrant = np.floor(angle * F(0.6366197723675814) + F(0.5))
    r = angle - quadrant * F(1.5703125) - quadrant * F(4.837512969970703e-4) - quadrant * F(7.54978995489188e-8)
    z = r * r
    s = ((F(-1.9515295891e-4) * z + F(8.3321608736e-3)) * z - F(1.6666654611e-1)) * z * r + r
    c = ((F(2.443315711809948e-5) * z - F(1.388731625493765e-3)) * z + F(4.166664568298827e-2)) * z * z
    c = c - F(0.5) * z + F(1.0)
    # chosen without branches, which no processor could foresee
    turn = np.int32(quadrant)
    swap = (turn & 1) != 0
    sine = c if swap else s
    cosine = s if swap else c
    sine = -sine if (turn & 2) != 0 else sine
    cosine = -cosine if ((turn + 1) & 2) != 0 else cosine
    return sine, cosine


@part
def arctan(value: float) -> float:
    """atan."""
    size = abs(value)
    base = F(0.0)
    if size > F(2.414213562373095):
        base = F(1.5707963267948966)
        size = F(-1.0) / size
    elif size > F(0.4142135623730950):
        base = F(0.7853981633974483)
        size = (size - F(1.0)) / (size + F(1.0))
    z = size * size
    p = F(8.05374449538e-2) * z - F(1.38776856032e-1)
    p = (p * z + F(1.99777106478e-1)) * z - F(3.33329491539e-1)
    angle = base + p * z * size + size
    return angle if value >= F(0.0) else -angle


@kernel
def arctan2(y: float, x: float) -> float:
    """atan2; 0 at the origin."""
    if x > F(0.0):
        return arctan(y / x)
    if x < F(0.0):
        return arctan(y / x) + (PI if y >= F(0.0) else -PI)
    if y == F(0.0):
        return F(0.0)
    return F(0.5) * PI if y > F(0.0) else F(-0.5) * PI


@part
def clamp(value: float, low: float, high: float) -> float:
    """`value`, at least `low` and at most `high`."""
    if value < low:
        return low
    if value > high:
        return high
    return value
