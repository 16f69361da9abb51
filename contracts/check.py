"""Checks shared by the contracts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ContractError


def array(name: str, value: NDArray, shape: tuple[int | None, ...], dtype: type = np.float32) -> None:
    """Raise ContractError unless `value` is an ndarray of `dtype`, of `shape` (None is any length), all finite."""
    if not isinstance(value, np.ndarray):
        raise ContractError(f"{name}: expected a numpy array, got {type(value).__name__}")
    if value.dtype != dtype:
        raise ContractError(f"{name}: expected {np.dtype(dtype).name}, got {value.dtype.name}")
    if value.ndim != len(shape) or any(want is not None and want != got for want, got in zip(shape, value.shape)):
        wanted = "x".join("N" if n is None else str(n) for n in shape)
        raise ContractError(f"{name}: expected shape {wanted}, got {'x'.join(map(str, value.shape))}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ContractError(f"{name}: holds values that are not finite")


def number(name: str, value: float, low: float = -np.inf, high: float = np.inf) -> None:
    """Raise ContractError unless `value` is a finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise ContractError(f"{name}: expected a number, got {type(value).__name__}")
    if not np.isfinite(value) or not low <= value <= high:
        raise ContractError(f"{name}: {value} is not in [{low:g}, {high:g}]")
