"""What goes wrong in clipping, in two classes and one clear line each."""

from __future__ import annotations


class ClippingError(ValueError):
    """A bad argument: an unknown strategy, a threshold that is no threshold, an optimiser that cannot be used."""


class NonFiniteGradientError(RuntimeError):
    """Gradients with NaN or infinity: at once under the policy ``raise``, after K steps in a row under ``skip``."""
