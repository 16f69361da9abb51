"""Errors of the road code."""

from contracts import UserError


class RoadError(UserError):
    """A road file that is broken or uses what is not supported; one line naming file, line and element."""


class RouteError(UserError):
    """No route leads from one pose to the other."""
