"""Show a running world in a browser page on 127.0.0.1: camera and map, follow a vehicle, pause, weather.

throttle sim view                                   a world of its own, with traffic
throttle sim view --live.server 127.0.0.1:2000      a CARLA server that runs, ours or a real one
throttle sim view --runs runs                       with the progress of every run, and their reports
"""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from throttle.web.config import WebConfig


def add_arguments(parser: ArgumentParser) -> None:
    """The fields of WebConfig."""
    parser.add_class_arguments(WebConfig)


def run(arguments: Namespace) -> int:
    """Serve until Ctrl-C; exit code 0."""
    from throttle.web.serve import run as serve

    serve(WebConfig(**{name: arguments[name] for name in WebConfig.__dataclass_fields__}))
    return 0
