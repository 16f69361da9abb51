"""The `throttle` command: finds the verb and runs it; bad input is one line and exit code 2."""

from __future__ import annotations

import difflib
import errno
import importlib
import importlib.metadata
import itertools
import re
import sys
import textwrap
from argparse import Action
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter, set_parsing_settings

from contracts import UserError

VERBS: dict[str, tuple[str, str]] = {
    # verb -> (module with add_arguments(parser) and run(namespace) -> exit code, one line of help); a module may also
    # have rewrite(options) -> options, which sees the words before the parser does
    "demo": ("throttle.commands.demo", "everything below, small: record, train, compare, drive, report"),
    "info": ("throttle.commands.info", "versions, devices, caches, towns, environments"),
    "record": ("throttle.commands.record", "a dataset of an expert's drives, on our server or any CARLA one"),
    "data info": ("throttle.commands.data_info", "what a dataset holds"),
    "data check": ("throttle.commands.data_check", "whether a dataset is whole"),
    "data view": ("throttle.commands.data_view", "contact sheets, videos and rerun recordings of a dataset"),
    "data export": ("throttle.commands.data_export", "a dataset in the format of LeRobot v3"),
    "train perception": ("throttle.commands.train_perception", "pictures and lidar to a Scene, from recorded data"),
    "train planning": ("throttle.commands.train_planning", "a Scene to a Plan, from recorded driving"),
    "train control": ("throttle.commands.train_control", "a driving policy, by reinforcement in the simulator"),
    "evaluate perception": ("throttle.commands.evaluate_perception", "how well a network sees an unseen town"),
    "evaluate scenes": ("throttle.commands.evaluate_scenes", "how a perception errs, as numbers for planners"),
    "evaluate planning": ("throttle.commands.evaluate_planning", "drive a planner beside the expert and baselines"),
    "evaluate control": ("throttle.commands.evaluate_control", "drive routes that a policy was not trained on"),
    "drive": ("throttle.commands.drive", "drive routes with the whole stack, closed loop; scores, clips, report"),
    "compare perception": ("throttle.commands.compare_perception", "perception trainings: arms x seeds, a report"),
    "compare planning": ("throttle.commands.compare_planning", "the same for planning trainings"),
    "compare control": ("throttle.commands.compare_control", "the same for driving policies"),
    "tune perception": ("throttle.commands.tune_perception", "search a threshold for a perception network"),
    "tune planning": ("throttle.commands.tune_planning", "the same for a planner"),
    "tune control": ("throttle.commands.tune_control", "the same for a driving policy"),
    "report": ("throttle.commands.report", "the HTML report of comparisons, also of unfinished ones"),
    "clip explain": ("throttle.commands.clip_explain", "what a clipping threshold did to a run, in words"),
    "experiments": ("throttle.commands.experiments", "small experiments on what gradient clipping does"),
    "recipes": ("throttle.commands.recipes", "textbook networks, clipped and unclipped"),
    "sim serve": ("throttle.commands.sim_serve", "the CARLA-compatible server"),
    "sim ping": ("throttle.commands.sim_ping", "exit 0 when a CARLA server ticks"),
    "sim view": ("throttle.commands.sim_view", "a running world in a browser page: camera, map, progress of runs"),
    "sim render": ("throttle.commands.sim_render", "a picture or a video of a town from any pose"),
}

GROUPS: dict[str, tuple[str, ...]] = {
    "begin here": ("demo", "info"),
    "record": ("record", "data"),
    "train and judge": ("train", "evaluate", "drive"),
    "clipped against unclipped": ("compare", "tune", "report", "clip", "experiments", "recipes"),
    "simulator": ("sim",),
}
"""The first words of the verbs below each heading of `throttle --help`."""

MEANT = {"dataset": "data.path", "data.path": "dataset", "steps": "train.steps"}
"""Options of one verb that are asked of another, where letters do not tell."""

OUTSIDE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EMFILE,
)  # fmt: skip
"""What a disk or folder does to a program that is right: a line, not a traceback."""


def _usage(first: str = "") -> str:
    """All verbs below their headings, or those that begin with the word `first`."""
    width = max(len(v) for v in VERBS)
    lines = []
    for heading, words in GROUPS.items():
        verbs = [verb for verb in VERBS if verb.split()[0] in words and first in ("", verb.split()[0])]
        lines += [f"\n{heading}", *(f"  {verb:<{width}}  {VERBS[verb][1]}" for verb in verbs)] if verbs else []
    usage = f"usage: throttle {f'{first} ...' if first else 'VERB'} [OPTIONS]"
    return f"{usage}    (throttle VERB --help: its options)\n" + "\n".join(lines) + "\n"


def _find(words: Sequence[str]) -> tuple[str, list[str]]:
    """Split the words into the longest known verb ("sim serve") and its options."""
    for n in (2, 1):
        verb = " ".join(words[:n])
        if verb in VERBS:
            return verb, list(words[n:])
    said = [word for word in words[:2] if not word.startswith("-")] or [words[0]]
    following = [verb for verb in VERBS if verb.startswith(words[0] + " ")]
    if following and len(said) < 2:
        raise UserError(f"'{words[0]}' needs one of: {', '.join(following)}")
    close = difflib.get_close_matches(" ".join(said), VERBS, n=1) or difflib.get_close_matches(words[0], VERBS, n=1)
    meant = f"did you mean '{close[0]}'?" if close else "throttle --help lists the commands"
    raise UserError(f"unknown command '{' '.join(said)}'; {meant}")


def _one_line(error: Exception, parser: ArgumentParser) -> NoReturn:
    """Raise the parser's complaint as one line, with the option that was probably meant."""
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", " ".join(str(error).split()))
    text = text.replace("typing.", "").replace("Parser key", "option")
    named = re.search(r"(?:unrecognized arguments: --([\w.-]+))|(?:Group '([\w.]+)' .*option '([\w.]+)')", text)
    if named:
        wrong = named[1] or f"{named[2]}.{named[3]}"
        known = [option[2:] for action in parser._actions for option in action.option_strings if option[:2] == "--"]
        groups = {name for name in known if any(other.startswith(f"{name}.") for other in known)}
        known = [name for name in known if name not in groups]
        close = [MEANT[wrong]] if MEANT.get(wrong) in known else difflib.get_close_matches(wrong, known, n=1)
        text += f" (did you mean '{close[0]}'?)" if close else ""
    if re.search(r"Expected a (?:tuple|list|List)", text):
        text += " (a list is written '[first, second]')"
    raise UserError(text) from error


class Help(DefaultHelpFormatter):
    """Paragraphs fill the terminal's width, lists of commands stay a command a line; nothing is said twice."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = []
        for paragraph in textwrap.dedent(text).strip().split("\n\n"):
            lined = [line.strip() for line in paragraph.splitlines()]
            for command, group in itertools.groupby(lined, lambda line: line.startswith("throttle ")):
                lines = list(group)
                parts.append("\n".join(lines) if command else textwrap.fill(" ".join(lines), width))
            parts.append("")
        return textwrap.indent("\n".join(parts).rstrip(), indent)

    def _get_type_str(self, action: Action) -> str | None:
        """None where the choices stand beside the option anyway."""
        kind = super()._get_type_str(action)
        return None if kind is None or kind == "bool" or kind.startswith("Literal[") else kind

    def _expand_help(self, action: Action) -> str:
        return super()._expand_help(action).replace(", default: )", ")").replace(" (default: )", "")


def make_parser(verb: str) -> tuple[ArgumentParser, ModuleType]:
    """The parser of a verb and the module that runs it; raises KeyError for an unknown verb."""
    module = importlib.import_module(VERBS[verb][0])
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog=f"throttle {verb}", description=module.__doc__, exit_on_error=False, allow_abbrev=False,
        formatter_class=Help,
    )  # fmt: skip
    module.add_arguments(parser)
    # (argparse's own usage would name all options, in half of the help's lines, and then list them)
    operands = [
        f"{str(a.metavar or a.dest).upper()}{'...' * (a.nargs in ('+', '*'))}"
        for a in parser._actions
        if not a.option_strings
    ]
    parser.usage = " ".join([f"throttle {verb}", *operands, "[OPTIONS]"])
    return parser, module


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code (0 done, 2 bad input, 130 interrupted).

    Dataclass options reach the command as instances, so a value that their own checks refuse stops here too.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage(), end="")
        return 0
    if words[0] == "--version":
        print(f"throttle {importlib.metadata.version('throttle-drive')}")
        return 0
    if words[1:] in (["-h"], ["--help"]) and words[0] in {verb.split()[0] for verb in VERBS if " " in verb}:
        print(_usage(words[0]), end="")
        return 0
    try:
        verb, options = _find(words)
        parser, module = make_parser(verb)
        if hasattr(module, "rewrite"):
            options = module.rewrite(options)
        try:
            arguments = parser.instantiate(parser.parse_args(options))
        except UserError:
            raise
        except (ArgumentError, ValueError) as error:  # a dataclass that refuses a value raises a ValueError
            _one_line(error, parser)
        return int(module.run(arguments))
    except UserError as error:
        print(f"throttle: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in OUTSIDE:
            raise
        print(f"throttle: {f'{error.filename}: ' if error.filename else ''}{error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("throttle: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
