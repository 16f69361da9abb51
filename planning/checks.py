"""Names of the checks that plans go through before they are driven: planning/safety.py makes them."""

from __future__ import annotations

from typing import Literal, get_args

Check = Literal["lines", "leaders", "crossers"]
CHECKS: tuple[Check, ...] = get_args(Check)
"""All of them."""
