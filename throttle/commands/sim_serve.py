"""Serve a town to CARLA clients: the real `carla` 0.9.16 client, its Traffic Manager and scripts run against it."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from sim.server.config import ServeConfig


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_class_arguments(ServeConfig)


def run(args: Namespace) -> int:
    from sim.server.serve import run as serve

    options = {name: getattr(args, name) for name in ServeConfig.__dataclass_fields__}
    serve(ServeConfig(**options))
    return 0
