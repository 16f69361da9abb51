"""Streams: one TCP connection per subscription, on which the server pushes framed binary.

A client writes the four bytes of a stream's number and then only listens. Three rules keep clients alive:

- A connection is never closed from this side: the client would reconnect in a tight loop. Unknown numbers stay open.
- A subscriber that does not read loses whole frames, never parts of one, and never slows anybody else.
- `listen()` returns to the client's program before its connection stands, so a tick waits until the connections that
  were announced (by get_sensor_token) have arrived: see `Streams.expect` and `Streams.settled`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable
from time import monotonic

U32 = struct.Struct("<I")
HEADER = struct.Struct("<QQd6f")
TOKEN = struct.Struct("<IHBB16s")
TCP, NO_ADDRESS = 1, 0

WORLD = 1
"""The stream of world snapshots."""
BARRIER_SECONDS = 0.5
MAX_QUEUED = 16 << 20
"""Bytes that wait for one subscriber before frames are dropped; one frame is always let through to an idle one."""


def token(stream: int, port: int) -> bytes:
    """The 24 bytes that name a stream; address type 0 lets the client use the host that it called."""
    return TOKEN.pack(stream, port, TCP, NO_ADDRESS, bytes(16))


def header(sensor: int, frame: int, elapsed: float, pose: tuple[float, ...]) -> bytes:
    """The 48 bytes before a measurement: type, frame, seconds, x y z (m), pitch yaw roll (degrees) in the world."""
    return HEADER.pack(sensor, frame, elapsed, *pose)


class Subscription(asyncio.Protocol):
    """One connection."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._number = b""
        self._transport: asyncio.Transport | None = None
        self.stream: int | None = None
        self.dropped = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport; nothing is sent before the client names a stream."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=MAX_QUEUED)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._streams.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """The stream's number; what follows it is not for us."""
        if self.stream is None:
            self._number += data[:4]
            if len(self._number) >= 4:
                (self.stream,) = U32.unpack(self._number[:4])
                self._streams.join(self, self.stream)

    def eof_received(self) -> bool:
        """The client went away."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._transport = None
        self._streams.connections.discard(self)
        if self.stream is not None:
            self._streams.leave(self, self.stream)

    def send(self, frame: bytes) -> None:
        """Queue one whole frame, or drop it where the subscriber is too far behind. Never blocks."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        waiting = transport.get_write_buffer_size()
        if waiting and waiting + len(frame) > MAX_QUEUED:
            self.dropped += 1
            return
        transport.write(frame)


class Streams:
    """All subscriptions, by stream number. Numbers are never given twice in the life of the server."""

    def __init__(self) -> None:
        self._subscribers: dict[int, list[Subscription]] = {}
        self._live = {WORLD}
        self._next = WORLD + 1
        self._expected: Counter[int] = Counter()
        self._expected_until = 0.0
        self.connections: set[Subscription] = set()
        self.last_snapshot: bytes | None = None
        self.settled_callback: Callable[[], None] | None = None
        """Called when the last announced subscription has arrived."""

    def open(self) -> int:
        """A new stream."""
        number = self._next
        self._next += 1
        self._live.add(number)
        return number

    def close(self, stream: int) -> None:
        """End a stream; its connections stay open and get nothing more."""
        self._live.discard(stream)
        self._subscribers.pop(stream, None)
        self._expected.pop(stream, None)

    def wanted(self, stream: int) -> bool:
        """Somebody listens."""
        return bool(self._subscribers.get(stream))

    def push(self, stream: int, *parts: bytes) -> None:
        """Send one frame to every subscriber."""
        subscribers = self._subscribers.get(stream)
        if not subscribers and stream != WORLD:
            return
        frame = b"".join((U32.pack(sum(map(len, parts))), *parts))
        if stream == WORLD:
            self.last_snapshot = frame
        for subscription in subscribers or ():
            subscription.send(frame)

    # -- the barrier --------------------------------------------------------------------------------------------------

    def expect(self, stream: int) -> None:
        """A client asked for the stream's token: its connection is on the way."""
        if stream in self._live:
            self._expected[stream] += 1
            self._expected_until = monotonic() + BARRIER_SECONDS

    def settled(self) -> bool:
        """Every announced subscription has arrived, or had its half second."""
        if self._expected and monotonic() >= self._expected_until:
            self._expected.clear()
        return not self._expected

    def join(self, subscription: Subscription, stream: int) -> None:
        """A connection named its stream."""
        if stream not in self._live:
            return
        self._subscribers.setdefault(stream, []).append(subscription)
        if stream == WORLD and self.last_snapshot is not None:
            subscription.send(self.last_snapshot)
        if stream in self._expected:
            self._expected[stream] -= 1
            if self._expected[stream] <= 0:
                del self._expected[stream]
            if not self._expected and self.settled_callback is not None:
                self.settled_callback()

    def leave(self, subscription: Subscription, stream: int) -> None:
        """A connection is gone."""
        subscribers = self._subscribers.get(stream)
        if subscribers and subscription in subscribers:
            subscribers.remove(subscription)
