"""A user's own code by name, `module:Name`, importable from the folder that a command is called in."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from contracts.errors import UserError


def user_module(name: str) -> ModuleType:
    """A module of the user's; raises UserError where it cannot be imported."""
    here = os.getcwd()
    if here not in sys.path:  # an installed command does not look where it is called
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever the user's module raises while it is imported
        raise UserError(f"{name} cannot be imported: {type(error).__name__}: {error}") from None


def user_object(words: str) -> Any:
    """What `module:Name` names; raises UserError where there is no such thing."""
    module, _, name = words.partition(":")
    try:
        return getattr(user_module(module), name)
    except AttributeError:
        raise UserError(f"{words}: module {module} has no {name or 'name behind the colon'}") from None
