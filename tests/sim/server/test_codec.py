"""Bytes on the wire: requests in, replies out, broken input."""

from __future__ import annotations

import itertools
import random

import pytest

from sim.server import codec
from sim.server.errors import WireError

VERSION_CALL = bytes.fromhex("940001a776657273696f6e9191c2")


def read(data: bytes) -> list[codec.Request]:
    return list(codec.RequestReader().feed(data))


def test_captured_request() -> None:
    assert read(VERSION_CALL) == [codec.Request(1, "version", False, [])]


def test_requests_survive_any_split() -> None:
    import msgpack

    messages = [[0, i, "apply_batch", [[i % 2 == 0], [[2, [i, "x" * i]]], False]] for i in range(50)]
    stream = b"".join(msgpack.packb(m) for m in messages)
    whole = read(stream)
    assert [r.call_id for r in whole] == list(range(50))
    assert [r.asynchronous for r in whole] == [i % 2 == 0 for i in range(50)]
    for seed in range(5):
        rng, reader, found, at = random.Random(seed), codec.RequestReader(), [], 0
        while at < len(stream):
            step = rng.randint(1, 40)
            found += reader.feed(stream[at : at + step])
            at += step
        assert found == whole


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xc1", "not msgpack"),
        (b"\x05", "neither"),
        (b"\x94\x01\x01\xc0\xc0", "neither"),
        (b"\x94\x00\xc3\xa1a\x90", "without a number"),
        (b"\x94\x00\x01\xa1a\xc0", "without method"),
        (b"\xdd\xff\xff\xff\xff", "not msgpack"),
        (b"\x91" * 5000, "not msgpack"),
        (b"GET / HTTP/1.1\r\n\r\n", "neither"),
    ],
)
def test_what_is_not_the_protocol_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(WireError, match=text):
        read(data)


def test_a_message_without_end_is_cut_off() -> None:
    reader = codec.RequestReader()
    list(reader.feed(b"\xdb\xff\xff\xff\xff"))
    parts = [bytes(1 << 22)] * (codec.MAX_MESSAGE // (1 << 22) + 1)
    with pytest.raises(WireError, match="longer"):
        list(itertools.chain.from_iterable(reader.feed(part) for part in parts))


def test_golden_replies() -> None:
    assert codec.reply(1, codec.success("0.9.16")).hex(" ") == "94 01 01 c0 91 92 01 a6 30 2e 39 2e 31 36"
    assert codec.reply(2, codec.failure("no")).hex(" ") == "94 01 02 c0 91 92 00 91 a2 6e 6f"
    assert codec.reply(3, codec.VOID_SUCCESS).hex(" ") == "94 01 03 c0 91 91 c2"
    assert codec.reply(4, codec.void_failure("no")).hex(" ") == "94 01 04 c0 91 92 c3 91 a2 6e 6f"
    assert codec.rpc_error(5, "e").hex(" ") == "94 01 05 a1 65 c0"
    assert codec.optional(None) == [False]
    assert codec.optional(0.05) == [True, 0.05]
    assert codec.payload([1.5]).hex(" ") == "91 ca 3f c0 00 00"
    assert codec.double_payload([1.5]).hex(" ") == "91 cb 3f f8 00 00 00 00 00 00"
    assert codec.payload(b"\x01").hex(" ") == "c4 01 01"
