"""Errors that are meant for a person to read."""


class UserError(ValueError):
    """Bad input from outside (a file, an option, a server): one clear line, no traceback, exit code 2."""


class ContractError(ValueError):
    """A value handed between subsystems breaks its contract (shape, range, not finite)."""
