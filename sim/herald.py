"""Says to a server of ours when its client is in a tick; a real CARLA server knows no such call and is left alone.

The server wakes a Traffic Manager that lost its signal. It can tell a stalled one from a client that takes its time
between two ticks only if the client says which it is.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgpack

TIMEOUT = 30.0


class Herald:
    """A connection beside the client's own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = msgpack.Unpacker()

    @staticmethod
    def of(host: str, port: int) -> Herald | None:
        """A herald for the server there; None where it is not one of ours."""
        try:
            connection = socket.create_connection((host, port), TIMEOUT)
        except OSError:
            return None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        herald = Herald(connection)
        if herald._call("throttle_will_announce_ticks"):
            return herald
        herald.close()
        return None

    @contextmanager
    def tick(self) -> Iterator[None]:
        """The client ticks within this block. Waits for no answer; one word never overtakes the other."""
        self._say("throttle_tick_begins")
        try:
            yield
        finally:
            self._say("throttle_tick_ends")

    def _say(self, name: str) -> None:
        with suppress(OSError):
            self._connection.sendall(bytes(msgpack.packb([2, name, [[False, ""]]])))

    def _call(self, name: str) -> bool:
        """The server did it."""
        try:
            self._connection.sendall(bytes(msgpack.packb([0, 1, name, [[False, ""]]])))
            while data := self._connection.recv(4096):
                self._reader.feed(data)
                for answer in self._reader:
                    return isinstance(answer, list) and len(answer) == 4 and answer[2] is None
        except (OSError, ValueError, msgpack.exceptions.UnpackException):
            pass
        return False

    def close(self) -> None:
        """Announce no more."""
        with suppress(OSError):
            self._connection.close()
