"""The kernels themselves. Only clipping.kernels imports this module; importing it compiles or loads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

LANE = 1024  # entries summed in single precision (in many vector lanes) before double takes over
# Sums may be reordered (that is what makes them fast); NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz"}

_i8, _f8, _f4 = types.int64[::1], types.float64[::1], types.float32[::1]


@intrinsic
def _pointer(typing: Any, address: Any) -> Any:
    """The address as a pointer to float32."""
    signature = types.CPointer(types.float32)(types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

    return signature, generate


@njit(inline="always")
def _view(address: int, start: int, length: int) -> np.ndarray:
    return carray(_pointer(address + 4 * start), (length,))


_blocks = (_i8, _i8, _i8, _i8)
_options: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": FAST}


@njit(types.void(*_blocks, _f8, types.int64, types.int64), **_options)
def squares(addresses, tensor, start, length, out, first, last):  # type: ignore[no-untyped-def]
    for b in range(first, last):
        x = _view(addresses[tensor[b]], start[b], length[b])
        total = 0.0
        for low in range(0, length[b], LANE):
            part = np.float32(0.0)
            for i in range(low, min(low + LANE, length[b])):
                part += x[i] * x[i]
            total += np.float64(part)
        out[b] = total


@njit(types.void(*_blocks, _f8, types.int64, types.int64), **_options)
def squares_wide(addresses, tensor, start, length, out, first, last):  # type: ignore[no-untyped-def]
    for b in range(first, last):
        x = _view(addresses[tensor[b]], start[b], length[b])
        total = 0.0
        for i in range(length[b]):
            total += np.float64(x[i]) * np.float64(x[i])
        out[b] = total


@njit(types.float64(_f8), nogil=True, cache=True)
def total(parts):  # type: ignore[no-untyped-def]
    out = 0.0
    for i in range(len(parts)):
        out += parts[i]
    return out


@intrinsic
def _words(typing: Any, address: Any) -> Any:
    """The address as a pointer to int64."""
    signature = types.CPointer(types.int64)(types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

    return signature, generate


@intrinsic
def _doubles(typing: Any, address: Any) -> Any:
    """The address as a pointer to float64."""
    signature = types.CPointer(types.float64)(types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

    return signature, generate


@njit(types.float64(*([types.int64] * 7)), nogil=True, cache=True)
def squares_total(addresses, tensors, tensor, start, length, out, blocks):  # type: ignore[no-untyped-def]
    """`squares` and `total` over all blocks; the arrays by their addresses, because numbers are cheaper to pass."""
    parts = carray(_doubles(out), (blocks,))
    squares(
        carray(_words(addresses), (tensors,)),
        carray(_words(tensor), (blocks,)),
        carray(_words(start), (blocks,)),
        carray(_words(length), (blocks,)),
        parts,
        0,
        blocks,
    )
    return total(parts)


@njit(_f8(_i8, _f8, types.int64), nogil=True, cache=True)
def by_tensor(tensor, parts, count):  # type: ignore[no-untyped-def]
    out = np.zeros(count)
    for b in range(len(parts)):
        out[tensor[b]] += parts[b]
    return out


@njit(types.void(*_blocks, _f4, types.int64, types.int64), **_options)
def scale(addresses, tensor, start, length, coefs, first, last):  # type: ignore[no-untyped-def]
    for b in range(first, last):
        c = coefs[tensor[b]]
        if c != np.float32(1.0):
            x = _view(addresses[tensor[b]], start[b], length[b])
            for i in range(length[b]):
                x[i] *= c


@njit(types.void(*_blocks, _f8, _f8, types.float32, types.float32, types.int64, types.int64), **_options)
def clamp(addresses, tensor, start, length, before, after, lower, upper, first, last):  # type: ignore[no-untyped-def]
    for b in range(first, last):
        x = _view(addresses[tensor[b]], start[b], length[b])
        total_in, total_out = 0.0, 0.0
        for low in range(0, length[b], LANE):
            part_in, part_out = 0.0, np.float32(0.0)
            for i in range(low, min(low + LANE, length[b])):
                v = x[i]
                part_in += np.float64(v) * np.float64(v)  # in double: there is no second look at what was there
                # In this order a NaN stays a NaN.
                w = lower if v < lower else v
                w = upper if w > upper else w
                x[i] = w
                part_out += w * w
            total_in += part_in
            total_out += np.float64(part_out)
        before[b] = total_in
        after[b] = total_out


@njit(types.float64(types.int64, types.int64, types.int64), **_options)
def _row(address, start, length):  # type: ignore[no-untyped-def]
    """The sum of squares of one row, in double."""
    x = _view(address, start, length)
    out = 0.0
    for i in range(length):
        out += np.float64(x[i]) * np.float64(x[i])
    return out


@njit(types.void(_i8, _i8, _i8, _i8, _f8, _f8, types.float64, types.float64, types.int64, types.int64), **_options)
def units(grads, weights, start, length, before, after, ratio, eps, first, last):  # type: ignore[no-untyped-def]
    """Rows ``first`` to ``last``, one unit each: addresses of gradient and weight (0: measure only), first entry."""
    for r in range(first, last):
        norm = np.sqrt(_row(grads[r], start[r], length[r]))
        before[r] = norm * norm
        after[r] = norm * norm
        if weights[r] == 0:
            continue
        limit = ratio * max(np.sqrt(_row(weights[r], start[r], length[r])), eps)
        if norm > limit:
            coef = np.float32(limit / norm)
            x = _view(grads[r], start[r], length[r])
            for i in range(length[r]):
                x[i] *= coef
            after[r] = limit * limit
