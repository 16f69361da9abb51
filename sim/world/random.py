# Numbers in kernels are float32 and int32 scalars, which mypy does not take for float and int.
# mypy: disable-error-code="arg-type, return-value, assignment, operator, no-any-return"
"""Random numbers that are functions of their place: no hidden state, the same on any number of threads.

`key(seed, episode)` names a sequence; `uniform(key, counter, stream)` is its value at a counter (the tick) and a
stream (what it is for, and the slot). The mixing function is the 32-bit finaliser "lowbias32" found by C. Wellons.
"""

from __future__ import annotations

import numpy as np

from sim.world.maths import F, kernel, part


@part
def mix(value: int) -> int:
    """A bijection of uint32 in which every bit of the input flips half of the output's."""
    v = np.uint32(value)
    v = np.uint32(v ^ (v >> np.uint32(16)))
    v = np.uint32(v * np.uint32(0x7FEB352D))
    v = np.uint32(v ^ (v >> np.uint32(15)))
    v = np.uint32(v * np.uint32(0x846CA68B))
    return np.uint32(v ^ (v >> np.uint32(16)))


@kernel
def key(seed: int, episode: int) -> int:
    """uint32 that names the sequence of a world's episode; worlds of a batch differ in their seeds."""
    k = mix(np.uint32(seed) + np.uint32(0x9E3779B9))
    return mix(np.uint32(k ^ np.uint32(episode)) + np.uint32(0xC2B2AE35))


@part
def bits(k: int, counter: int, stream: int) -> int:
    """32 random bits."""
    return mix(np.uint32(mix(np.uint32(np.uint32(k) ^ np.uint32(counter))) + np.uint32(stream)))


@part
def uniform(k: int, counter: int, stream: int) -> float:
    """float32 in [0, 1)."""
    return F(np.uint32(bits(k, counter, stream)) >> np.uint32(8)) * F(5.9604644775390625e-08)


@part
def choice(k: int, counter: int, stream: int, n: int) -> int:
    """Integer in [0, n), n at least 1."""
    return min(np.int32(uniform(k, counter, stream) * F(n)), np.int32(n) - np.int32(1))
