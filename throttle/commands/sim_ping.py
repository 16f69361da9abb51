"""Exit 0 when a CARLA server ticks (any: ours or a real one), 2 with a line of why otherwise."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address of the server")
    parser.add_argument("--port", type=int, default=2000, help="port of its calls")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds to wait")


def run(args: Namespace) -> int:
    from sim.server.ping import ping

    print(ping(args.host, args.port, args.timeout))
    return 0
