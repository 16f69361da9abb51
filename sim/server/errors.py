"""What can go wrong between a client and the server."""

from __future__ import annotations


class CallError(Exception):
    """A call that cannot be done: its text goes to the caller, inside a well-formed reply."""


class Gone(CallError):
    """A call on an actor that was destroyed: changing it succeeds without effect, as its caller may not know yet."""


class WireError(Exception):
    """Bytes that are not the protocol: the connection they came on is dropped."""
