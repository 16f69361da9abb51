"""msgpack-RPC as CARLA's client speaks it: requests in, replies out, and the encodings of its C++ types.

A request is `[0, id, method, [[asynchronous], argument...]]`, a reply `[1, id, error, result]`, messages follow one
another without a prefix. A C++ `optional` is `[false]` or `[true, value]`, a `variant` `[index, value]`. Nearly every
result is wrapped in a Response: see `success`, `failure`, `void_success` and `void_failure`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack

from sim.server.errors import WireError

MAX_MESSAGE = 64 << 20
"""Bytes of the longest message taken from a client (an OpenDRIVE map or a texture)."""
MAX_ELEMENTS = 1 << 20
"""Elements of the longest array taken from a client."""
MAX_CALL_ID = 0xFFFFFFFF


class Request(NamedTuple):
    """One call. `call_id` is None for a notification, which wants no reply."""

    call_id: int | None
    method: str
    asynchronous: bool
    arguments: list[Any]


class RequestReader:
    """Cuts a byte stream into requests, however the bytes were split; raises WireError at what is not a request."""

    def __init__(self) -> None:
        self._unpacker = msgpack.Unpacker(
            raw=False,
            unicode_errors="surrogateescape",
            strict_map_key=False,
            max_buffer_size=MAX_MESSAGE,
            max_str_len=MAX_MESSAGE,
            max_bin_len=MAX_MESSAGE,
            max_array_len=MAX_ELEMENTS,
            max_map_len=1024,
            max_ext_len=0,
        )

    def feed(self, data: bytes | memoryview) -> Iterator[Request]:
        """Yield each request that `data` completes."""
        try:
            self._unpacker.feed(data)
        except msgpack.BufferFull as error:
            raise WireError(f"a message longer than {MAX_MESSAGE} bytes") from error
        while True:
            try:
                message = self._unpacker.unpack()
            except msgpack.OutOfData:
                return
            except (ValueError, msgpack.exceptions.UnpackException, UnicodeError, RecursionError) as error:
                raise WireError(f"not msgpack ({str(error)[:80] or type(error).__name__})") from error
            yield _request(message)


def _request(message: Any) -> Request:
    if not isinstance(message, list) or len(message) not in (3, 4):
        raise WireError("a message that is neither a call nor a notification")
    if len(message) == 4 and message[0] == 0:
        _, call_id, method, arguments = message
        if type(call_id) is not int or not 0 <= call_id <= MAX_CALL_ID:
            raise WireError("a call without a number")
    elif len(message) == 3 and message[0] == 2:
        _, method, arguments = message
        call_id = None
    else:
        raise WireError("a message that is neither a call nor a notification")
    if not isinstance(method, str) or not isinstance(arguments, list):
        raise WireError("a call without method or arguments")
    meta = arguments[0] if arguments else None
    asynchronous = isinstance(meta, list) and len(meta) > 0 and meta[0] is True
    return Request(call_id, method, asynchronous, arguments[1:])


_packer = msgpack.Packer(use_bin_type=True, unicode_errors="surrogateescape")
_single_packer = msgpack.Packer(use_bin_type=True, use_single_float=True, unicode_errors="surrogateescape")


def reply(call_id: int, result: Any) -> bytes:
    """A reply that carries a result."""
    return bytes(_packer.pack([1, call_id, None, result]))


def rpc_error(call_id: int, text: str) -> bytes:
    """A reply of the RPC layer itself; a client raises without showing the text."""
    return bytes(_packer.pack([1, call_id, text, None]))


def payload(value: Any) -> bytes:
    """The msgpack body of an event stream; floats in 32 bits as CARLA sends them."""
    return bytes(_single_packer.pack(value))


def double_payload(value: Any) -> bytes:
    """As `payload` with floats in 64 bits (GNSS)."""
    return bytes(_packer.pack(value))


def success(value: Any) -> list[Any]:
    """Response<T> with a value."""
    return [[1, value]]


def failure(text: str) -> list[Any]:
    """Response<T> with an error."""
    return [[0, [text]]]


VOID_SUCCESS: list[Any] = [[False]]
"""Response<void> of a call that went well."""


def void_failure(text: str) -> list[Any]:
    """Response<void> with an error."""
    return [[True, [text]]]


def optional(value: Any) -> list[Any]:
    """A C++ optional; None is empty."""
    return [False] if value is None else [True, value]
