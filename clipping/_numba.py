"""The passes themselves. Only clipping.kernels imports this module; importing it compiles or loads them.

Every pass is a C function of one argument, the address of a job: a row of 64-bit words that says where the tables lie
(see :data:`WORDS`). Any number of threads may run the same job at once: each takes the next share of it by adding to
the job's first word, so that a thread that is held up costs the others nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

# The words of a job. Addresses, unless said otherwise; "block" is a piece of one tensor, "share" some blocks in a row.
NEXT = 0  # the next share that nobody has taken (a number)
SHARES = 1  # how many there are
CUTS = 2  # int64 [shares + 1], the first block of each share
GRADS = 3  # int64 [tensors], where each tensor begins
TENSOR = 4  # int64 [blocks], the tensor of each block,
START = 5  # its first entry,
LENGTH = 6  # how many entries
BEFORE = 7  # float64 [blocks], sums of squares
AFTER = 8
COEFS = 9  # float32 [tensors]
WEIGHTS = 10  # int64 [tensors], where each weight begins; 0: measure only
LOW = 11  # two numbers in double: the bounds of a clamp, the ratio and eps of unit-wise clipping
HIGH = 12
BLOCKS = 13  # how many (a number)
WORDS = 14

# Sums may be reordered (that is what makes them fast); NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz"}
_options: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": FAST}


def _pointer_to(kind: Any) -> Any:
    @intrinsic
    def pointer(typing: Any, address: Any) -> Any:
        signature = types.CPointer(kind)(types.int64)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

        return signature, generate

    return pointer


_floats, _doubles, _words = (_pointer_to(kind) for kind in (types.float32, types.float64, types.int64))


@intrinsic
def _take(typing: Any, address: Any) -> Any:
    """The number at the address, which grows by one: no two threads get the same."""
    signature = types.int64(types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word = ir.IntType(64)
        return builder.atomic_rmw("add", builder.inttoptr(args[0], word.as_pointer()), word(1), "monotonic")

    return signature, generate


@njit(inline="always")
def _view(address: int, length: int) -> np.ndarray:
    return carray(_floats(address), (length,))


@njit(inline="always")
def _job(address: int) -> np.ndarray:
    return carray(_words(address), (WORDS,))


@njit(inline="always")
def _where(job: np.ndarray, block: int) -> int:
    """The address of a block's first entry."""
    word = job[TENSOR] + 8 * block
    tensor = carray(_words(word), (1,))[0]
    start = carray(_words(job[START] + 8 * block), (1,))[0]
    return carray(_words(job[GRADS] + 8 * tensor), (1,))[0] + 4 * start


@njit(inline="always")
def _word(address: int, index: int) -> int:
    return carray(_words(address + 8 * index), (1,))[0]


@njit(inline="always")
def _double(address: int, index: int) -> float:
    return carray(_doubles(address + 8 * index), (1,))[0]


@njit(inline="always")
def _put(address: int, index: int, value: float) -> None:
    carray(_doubles(address + 8 * index), (1,))[0] = value


# Loops run from 0 over a view: from any other start the compiler keeps a check for negative indices and does not
# vectorise (seven times slower). Squares are summed in double: as fast as reading the memory, and nothing overflows.


@njit(types.float64(types.int64, types.int64), **_options)
def _squares(address, length):  # type: ignore[no-untyped-def]
    x = _view(address, length)
    out = 0.0
    for i in range(length):
        out += np.float64(x[i]) * np.float64(x[i])
    return out


@cfunc(types.void(types.int64), **_options)
def squares(address):  # type: ignore[no-untyped-def]
    """The sum of squares of every block."""
    job = _job(address)
    while True:
        share = _take(address)
        if share >= job[SHARES]:
            return
        for b in range(_word(job[CUTS], share), _word(job[CUTS], share + 1)):
            _put(job[BEFORE], b, _squares(_where(job, b), _word(job[LENGTH], b)))


@cfunc(types.float64(types.int64, types.int64), **_options)
def total(address, length):  # type: ignore[no-untyped-def]
    """The sum of ``length`` doubles, always in the same order."""
    out = 0.0
    for i in range(length):
        out += _double(address, i)
    return out


@cfunc(types.float64(types.int64), **_options)
def squares_total(address):  # type: ignore[no-untyped-def]
    """`squares` and `total` in one call and one thread: for small networks, whose step is all calls."""
    job = _job(address)
    out = 0.0
    for b in range(job[BLOCKS]):
        part = _squares(_where(job, b), _word(job[LENGTH], b))
        _put(job[BEFORE], b, part)
        out += part
    return out


@njit(types.void(types.int64, types.int64, types.float32), **_options)
def _scale(address, length, coef):  # type: ignore[no-untyped-def]
    x = _view(address, length)
    for i in range(length):
        x[i] *= coef


@cfunc(types.void(types.int64), **_options)
def scale(address):  # type: ignore[no-untyped-def]
    """Multiply every entry by its tensor's coefficient; tensors with 1 are not touched."""
    job = _job(address)
    while True:
        share = _take(address)
        if share >= job[SHARES]:
            return
        # From the last: the pass that measured has ended there, so that it is still in the cache; and the optimiser's
        # step, which follows, begins with the first. (Worth it only where a pass has gone before: memory reads faster
        # forwards.)
        share = job[SHARES] - 1 - share
        for b in range(_word(job[CUTS], share), _word(job[CUTS], share + 1)):
            coef = carray(_floats(job[COEFS] + 4 * _word(job[TENSOR], b)), (1,))[0]
            if coef != np.float32(1.0):
                _scale(_where(job, b), _word(job[LENGTH], b), coef)


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


@cfunc(types.void(types.int64), **_options)
def clamp(address):  # type: ignore[no-untyped-def]
    """Clamp every entry; the sums of squares of every block before and after."""
    job = _job(address)
    lower, upper = np.float32(_double(address, LOW)), np.float32(_double(address, HIGH))
    while True:
        share = _take(address)
        if share >= job[SHARES]:
            return
        for b in range(_word(job[CUTS], share), _word(job[CUTS], share + 1)):
            before, after = _clamp(_where(job, b), _word(job[LENGTH], b), lower, upper)
            _put(job[BEFORE], b, before)
            _put(job[AFTER], b, after)


@njit(types.UniTuple(types.float64, 2)(types.int64, types.int64, types.int64), **_options)
def _two_squares(one, other, length):  # type: ignore[no-untyped-def]
    x, y = _view(one, length), _view(other, length)
    a, b = 0.0, 0.0
    for i in range(length):
        a += np.float64(x[i]) * np.float64(x[i])
        b += np.float64(y[i]) * np.float64(y[i])
    return a, b


@cfunc(types.void(types.int64), **_options)
def units(address):  # type: ignore[no-untyped-def]
    """Blocks that are one unit each: hold its norm to LOW times the norm of its weight, which counts as HIGH at least.

    A unit is read with its weight and scaled at once, while it is in the nearest cache.
    """
    job = _job(address)
    ratio, eps = _double(address, LOW), _double(address, HIGH)
    while True:
        share = _take(address)
        if share >= job[SHARES]:
            return
        for b in range(_word(job[CUTS], share), _word(job[CUTS], share + 1)):
            here, length = _where(job, b), _word(job[LENGTH], b)
            weight = _word(job[WEIGHTS], _word(job[TENSOR], b))
            if weight == 0:
                before = _squares(here, length)
                after = before
            else:
                before, size = _two_squares(here, weight + 4 * _word(job[START], b), length)
                after = before
                norm, limit = np.sqrt(before), ratio * max(np.sqrt(size), eps)
                if norm > limit:
                    _scale(here, length, np.float32(limit / norm))
                    after = limit * limit
            _put(job[BEFORE], b, before)
            _put(job[AFTER], b, after)
