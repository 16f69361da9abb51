"""The `throttle` command: finds the verb and runs it; bad input is one line and exit code 2."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from jsonargparse import ArgumentParser

from contracts import UserError

VERBS: dict[str, tuple[str, str]] = {
    # verb -> (module with add_arguments(parser) and run(namespace) -> exit code, one line of help)
}


def _usage() -> str:
    width = max((len(v) for v in VERBS), default=0)
    lines = [f"  {verb:<{width}}  {text}" for verb, (_, text) in VERBS.items()]
    return "usage: throttle VERB [OPTIONS]\n\n" + "\n".join(lines) + "\n\nthrottle VERB --help tells more of each.\n"


def _find(words: Sequence[str]) -> tuple[str, list[str]]:
    """Split the words into the longest known verb ("sim serve") and its options."""
    for n in (2, 1):
        verb = " ".join(words[:n])
        if verb in VERBS:
            return verb, list(words[n:])
    raise UserError(f"unknown command '{' '.join(words[:1])}'; throttle --help lists the commands")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code (0 done, 2 bad input, 130 interrupted)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage(), end="")
        return 0
    try:
        verb, options = _find(words)
        module: ModuleType = importlib.import_module(VERBS[verb][0])
        parser = ArgumentParser(prog=f"throttle {verb}", description=module.__doc__, exit_on_error=True)
        module.add_arguments(parser)
        return int(module.run(parser.parse_args(options)))
    except UserError as error:
        print(f"throttle: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("throttle: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
