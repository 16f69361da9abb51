"""A health check that needs no CARLA client: does a server at this address tick?"""

from __future__ import annotations

import socket
import struct
from time import monotonic
from typing import Any

import msgpack

from contracts import UserError
from sim.server.snapshot import EPISODE
from sim.server.streams import HEADER, TOKEN, U32, WORLD


def ping(host: str, port: int, timeout: float) -> str:
    """One line about the server; raises UserError where it does not answer or does not tick.

    In synchronous mode a server ticks when its client says so; there an answer and the last snapshot are enough.
    """
    end = monotonic() + timeout
    try:
        with socket.create_connection((host, port), timeout) as rpc:
            version = _call(rpc, end, "version")
            settings = _call(rpc, end, "get_episode_settings")
            synchronous = bool(settings[0])
            (number, stream_port, *_) = TOKEN.unpack(_call(rpc, end, "get_sensor_token", WORLD)[0])
            with socket.create_connection((host, stream_port), max(end - monotonic(), 0.1)) as stream:
                stream.sendall(U32.pack(number))
                frames = [_frame(stream, end)]
                while not synchronous and frames[-1] == frames[0]:
                    frames.append(_frame(stream, end))
    except (OSError, ValueError, struct.error, IndexError, TypeError, msgpack.exceptions.UnpackException) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise UserError(f"no ticking CARLA server at {host}:{port} ({text})") from error
    mode = "synchronous: its client ticks it" if synchronous else "asynchronous"
    return f"CARLA {version} at {host}:{port}, frame {frames[-1]}, {mode}"


def _call(rpc: socket.socket, end: float, method: str, *arguments: Any) -> Any:
    rpc.sendall(bytes(msgpack.packb([0, 1, method, [[False], *arguments]])))
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 24)
    while True:
        unpacker.feed(_receive(rpc, end, 1 << 16))
        for kind, _, error, result in unpacker:
            if kind != 1 or error is not None or result[0][0] != 1:
                raise ValueError(f"{method} was refused")
            return result[0][1]


def _frame(stream: socket.socket, end: float) -> int:
    """The frame number of the next snapshot."""
    (size,) = U32.unpack(_exactly(stream, end, 4))
    if not HEADER.size + EPISODE.size <= size <= 1 << 26:
        raise ValueError("what it sends is no snapshot")
    return int(HEADER.unpack(_exactly(stream, end, size)[: HEADER.size])[1])


def _exactly(sock: socket.socket, end: float, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        parts += _receive(sock, end, count - len(parts))
    return parts


def _receive(sock: socket.socket, end: float, most: int) -> bytes:
    left = end - monotonic()
    if left <= 0:
        raise TimeoutError("it did not answer in time")
    sock.settimeout(left)
    data = sock.recv(most)
    if not data:
        raise ValueError("it closed the connection")
    return data
