"""The table of methods and the one place where a call becomes a result."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from sim.server import codec
from sim.server.errors import CallError, Gone
from sim.server.simulation import Simulation, say

Handler = Callable[..., Any]


class Style(Enum):
    """How a result is wrapped."""

    VALUE = "Response<T>"
    VOID = "Response<void>"
    BARE = "as it is"


class Method(NamedTuple):
    """A call: its handler takes the simulation and `least` to `most` arguments."""

    handler: Handler
    style: Style
    least: int
    most: int


METHODS: dict[str, Method] = {}


def method(style: Style, *names: str) -> Callable[[Handler], Handler]:
    """Enter a handler under these names (its own without any)."""

    def enter(handler: Handler) -> Handler:
        parameters = list(inspect.signature(handler).parameters.values())[1:]
        open_end = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        least = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in parameters)
        most = 32 if open_end else len(parameters)
        for name in names or (handler.__name__,):
            METHODS[name] = Method(handler, style, least, most)
        return handler

    return enter


value = method(Style.VALUE)
void = method(Style.VOID)
SCENE_CALLS: set[str] = set()
"""Calls that wait for the town's scene (see sim.server.stage)."""


def needs_scene(handler: Handler) -> Handler:
    """Enter a handler among them."""
    SCENE_CALLS.add(handler.__name__)
    return handler


def serve(sim: Simulation, name: str, arguments: list[Any]) -> Any:
    """The wrapped result of a call. Whatever goes wrong is inside it: an RPC error kills a client's Traffic Manager.

    Raises KeyError for an unknown method, which the RPC layer answers.
    """
    found = METHODS[name]
    try:
        if not found.least <= len(arguments) <= found.most:
            raise CallError(f"{name}: {found.least} arguments were expected, {len(arguments)} given")
        result = found.handler(sim, *arguments)
    except Gone as error:
        return codec.VOID_SUCCESS if found.style is Style.VOID else _failed(found.style, f"{name}: {error}")
    except CallError as error:
        return _failed(found.style, f"{name}: {error}" if str(error).startswith("Actor could") else str(error))
    except Exception as error:  # a bug of ours must not reach a client as a broken connection
        where = traceback.extract_tb(error.__traceback__)[-1]
        say(f"{name} failed: {type(error).__name__}: {error} ({where.name}, line {where.lineno} of {where.filename})")
        return _failed(found.style, f"{name}: the server could not do this ({type(error).__name__})")
    if found.style is Style.VOID:
        return codec.VOID_SUCCESS
    return codec.success(result) if found.style is Style.VALUE else result


def _failed(style: Style, text: str) -> Any:
    if style is Style.BARE:
        return []
    return codec.void_failure(text) if style is Style.VOID else codec.failure(text)
