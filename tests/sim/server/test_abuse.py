"""What no real client sends: fuzzed frames, half messages, wrong types, huge lengths, crowds. The server stays up."""

from __future__ import annotations

import random
import socket
import struct
import time

import msgpack

from sim.server.rpc import METHODS
from tests.sim.server.conftest import Bare, ServerProcess


def is_well(server: ServerProcess) -> bool:
    """It answers and ticks."""
    assert server.process.poll() is None, server.log.read_text()[-2000:]
    bare = Bare(server.port)
    stream = bare.subscribe(1)
    frames = [stream.frame() for _ in range(3)]
    bare.close()
    return None not in frames


def raw(port: int, data: bytes) -> None:
    """Send bytes, and leave or be dropped."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.settimeout(0.05)
        try:
            sock.sendall(data)
            sock.recv(1 << 16)
        except OSError:
            pass


def send_until_dropped(sock: socket.socket, data: bytes) -> bool:
    """Send `data` again and again; True once the server has dropped the connection."""
    sock.settimeout(10)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            sock.sendall(data)
        except OSError:
            return True
        time.sleep(0.001)
    return False


def junk(rng: random.Random, depth: int = 0) -> object:
    """Some value that msgpack can carry."""
    kinds = [
        lambda: rng.randint(-(2**63), 2**64 - 1), lambda: rng.choice([0, 1, 2, 40, 48, 255]), lambda: rng.random() * 10,
        lambda: rng.choice([float("nan"), float("inf"), -float("inf"), 1e308]), lambda: rng.random() < 0.5,
        lambda: None,
        lambda: "x" * rng.choice([0, 1, 5, 300]), lambda: bytes(rng.choice([0, 1, 24])),
        lambda: rng.choice(["Alder", "vehicle.tesla.model3", "role_name", "../../etc/passwd", "\0", "a" * 5000]),
        lambda: {"a": 1},
    ]  # fmt: skip
    if depth < 4:
        kinds += [lambda: [junk(rng, depth + 1) for _ in range(rng.randint(0, 8))]] * 6
    return rng.choice(kinds)()


def test_every_call_takes_any_argument(server: ServerProcess) -> None:
    """Each method with hundreds of random argument lists: always one well-formed reply, never a dropped connection."""
    rng = random.Random(5)
    bare = Bare(server.port)
    bare.call("load_new_episode", "", True, 65535)
    bare.spawn("vehicle.tesla.model3", 0.0, 500.0)
    slow = {"load_new_episode", "copy_opendrive_to_file"}
    for name in sorted(METHODS):
        for _ in range(5 if name in slow else 60):
            count = rng.randint(METHODS[name].least, METHODS[name].most)
            if rng.random() < 0.2:
                count = rng.randint(0, 8)
            number = bare.send(name, *(junk(rng) for _ in range(min(count, 9))))
            answered, error, result = bare.receive()
            assert (answered, error) == (number, None), name
            assert isinstance(result, list)
    bare.call("load_new_episode", "Alder", True, 65535)
    bare.close()
    text = server.log.read_text()
    assert "failed:" not in text, "a bug of the server: " + text[text.index("failed:") - 60 :][:500]
    assert is_well(server)


def test_fuzzed_bytes(server: ServerProcess) -> None:
    rng = random.Random(6)
    good = [
        msgpack.packb([0, 1, "version", [[False]]]),
        msgpack.packb([0, 2, "apply_batch", [[False], [[[2, [48, [0.5, 0, 0, False, False, False, 0]]]]], False]]),
        msgpack.packb([0, 3, "spawn_actor", [[False], [0, "vehicle.audi.tt", []], [[0, 0, 0], [0, 0, 0]]]]),
    ]
    for _ in range(150):
        data = bytearray(b"".join(rng.choice(good) for _ in range(3)))
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        raw(server.port, bytes(data[: rng.randint(1, len(data))]))
    for port in (server.port, server.port + 1):
        for data in (b"", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x91" * 100_000,
                     b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", rng.randbytes(5000), b"\x94\x00\x01\xa7"):  # fmt: skip
            raw(port, data)
    assert is_well(server)


def test_a_message_without_end_is_dropped_before_it_fills_memory(server: ServerProcess) -> None:
    before = server.memory()
    with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        sock.sendall(b"\x94\x00\x01\xa1a\x91\xc6\xff\xff\xff\xff")
        assert send_until_dropped(sock, bytes(1 << 20))
    assert server.memory() - before < 300 << 20
    assert is_well(server)


def test_half_a_message_waits_without_harm(server: ServerProcess) -> None:
    message = msgpack.packb([0, 9, "version", [[False]]])
    socks = []
    for n in range(1, len(message)):
        sock = socket.create_connection(("127.0.0.1", server.port), 5)
        sock.sendall(message[:n])
        socks.append((sock, message[n:]))
    assert is_well(server)
    for sock, rest in socks:
        sock.sendall(rest)
        sock.settimeout(5)
        assert sock.recv(4096) == msgpack.packb([1, 9, None, [[1, "0.9.16"]]])
        sock.close()


def test_hundreds_of_connections(server: ServerProcess) -> None:
    clients = [Bare(server.port) for _ in range(200)]
    streams = [client.subscribe(1) for client in clients[:100]]
    assert all(client.value("version") == "0.9.16" for client in clients)
    assert all(stream.frame() for stream in streams)
    for client in clients[::2]:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.send("get_actor_definitions")  # and gone before the answer
        client.close()
    for stream in streams[::2]:
        stream.sock.close()
    time.sleep(0.2)
    assert all(client.value("version") == "0.9.16" for client in clients[1::2])
    for client in clients[1::2]:
        client.close()
    assert is_well(server)


def test_a_client_that_reads_no_replies_is_dropped(server: ServerProcess) -> None:
    sock = socket.create_connection(("127.0.0.1", server.port), 5)
    call = msgpack.packb([0, 1, "get_actor_definitions", [[False]]]) * 100
    assert send_until_dropped(sock, call)
    sock.close()
    assert "does not read its replies" in server.log.read_text()
    assert is_well(server)
