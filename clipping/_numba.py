"""The kernels themselves. Only clipping.kernels imports this module; importing it compiles or loads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

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
def _view(address: int, length: int) -> np.ndarray:
    return carray(_pointer(address), (length,))


# Loops run from 0 over a view: from any other start the compiler keeps a check for negative indices and does not
# vectorise (seven times slower). Squares are summed in double: as fast as reading the memory, and nothing overflows.

_blocks = (_i8, _i8, _i8, _i8)
_options: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": FAST}


@njit(types.float64(types.int64, types.int64), **_options)
def _squares(address, length):  # type: ignore[no-untyped-def]
    x = _view(address, length)
    out = 0.0
    for i in range(length):
        out += np.float64(x[i]) * np.float64(x[i])
    return out


@njit(types.void(*_blocks, _f8, types.int64, types.int64), **_options)
def squares(addresses, tensor, start, length, out, first, last):  # type: ignore[no-untyped-def]
    for b in range(first, last):
        out[b] = _squares(addresses[tensor[b]] + 4 * start[b], length[b])


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


# The two below take arrays by their addresses, because numbers are cheaper to pass: they serve small networks.


@njit(types.float64(*([types.int64] * 7)), nogil=True, cache=True)
def squares_total(addresses, tensors, tensor, start, length, blocks, out):  # type: ignore[no-untyped-def]
    """`squares` and `total` over all blocks."""
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


@njit(types.void(types.int64, types.int64, types.float32), **_options)
def _scale(address, length, coef):  # type: ignore[no-untyped-def]
    x = _view(address, length)
    for i in range(length):
        x[i] *= coef


@njit(types.void(*([types.int64] * 6), types.float32), nogil=True, cache=True)
def scale_total(addresses, tensors, tensor, start, length, blocks, coef):  # type: ignore[no-untyped-def]
    """Multiply all blocks by one number."""
    where, which = carray(_words(addresses), (tensors,)), carray(_words(tensor), (blocks,))
    first, count = carray(_words(start), (blocks,)), carray(_words(length), (blocks,))
    for b in range(blocks):
        _scale(where[which[b]] + 4 * first[b], count[b], coef)


@njit(types.void(*_blocks, _f4, types.int64, types.int64), **_options)
def scale(addresses, tensor, start, length, coefs, first, last):  # type: ignore[no-untyped-def]
    # Backwards: the pass that measured ended at the last block, and what it read last is still in the cache.
    for b in range(last - 1, first - 1, -1):
        if coefs[tensor[b]] != np.float32(1.0):
            _scale(addresses[tensor[b]] + 4 * start[b], length[b], coefs[tensor[b]])


@njit(types.UniTuple(types.float64, 2)(types.int64, types.int64, types.float32, types.float32), **_options)
def _clamp(address, length, lower, upper):  # type: ignore[no-untyped-def]
    x = _view(address, length)
    before, after = 0.0, 0.0
    for i in range(length):
        v = x[i]
        # In this order a NaN stays a NaN.
        w = lower if v < lower else v
        w = upper if w > upper else w
        x[i] = w
        before += np.float64(v) * np.float64(v)
        after += np.float64(w) * np.float64(w)
    return before, after


@njit(types.void(*_blocks, _f8, _f8, types.float32, types.float32, types.int64, types.int64), **_options)
def clamp(addresses, tensor, start, length, before, after, lower, upper, first, last):  # type: ignore[no-untyped-def]
    for b in range(first, last):
        before[b], after[b] = _clamp(addresses[tensor[b]] + 4 * start[b], length[b], lower, upper)


@njit(types.UniTuple(types.float64, 2)(types.int64, types.int64, types.int64), **_options)
def _two_squares(one, other, length):  # type: ignore[no-untyped-def]
    x, y = _view(one, length), _view(other, length)
    a, b = 0.0, 0.0
    for i in range(length):
        a += np.float64(x[i]) * np.float64(x[i])
        b += np.float64(y[i]) * np.float64(y[i])
    return a, b


_rows = (_i8, _i8, _i8, _i8, _i8, _f8, _f8)


@njit(types.void(*_rows, types.float64, types.float64, types.int64, types.int64), **_options)
def units(grads, weights, tensor, start, length, before, after, ratio, eps, first, last):  # type: ignore[no-untyped-def]
    """Rows ``first`` to ``last``, one unit each: its tensor (weight's address 0: measure only), first entry, length."""
    for r in range(first, last):
        here, weight = grads[tensor[r]] + 4 * start[r], weights[tensor[r]]
        if weight == 0:
            before[r] = _squares(here, length[r])
            after[r] = before[r]
            continue
        before[r], size = _two_squares(here, weight + 4 * start[r], length[r])
        after[r] = before[r]
        norm, limit = np.sqrt(before[r]), ratio * max(np.sqrt(size), eps)
        if norm > limit:
            _scale(here, length[r], np.float32(limit / norm))
            after[r] = limit * limit
