"""A clipping strategy that is named alone begins with its own numbers, not with those of the strategy before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from clipping.config import StrategyConfig

NUMBERS = frozenset(f.name for f in dataclasses.fields(StrategyConfig)) - {"strategy"}


def own_numbers(options: list[str]) -> list[str]:
    """The options of a training, in which a change of `clip.strategy` takes back the numbers of the strategy before.

    The trainings' default is global_norm with a threshold. Without this `--clip.strategy none` would keep that
    threshold and be refused, and `--clip.strategy agc` would take it for a ratio. What the command line or the preset
    that names the strategy sets itself stays; a strategy that needs a number and gets none is refused as ever.
    """
    given = {name.removeprefix("clip.") for name, _, _ in _named(options)} & NUMBERS
    strategy, known = "global_norm", {"threshold"}
    out = list(options)
    added = 0
    for name, value, end in _named(options):
        if name == "clip.strategy":
            clip: dict[str, Any] = {"strategy": value}
        elif name == "config":
            clip = _clip_of(value)
        else:
            continue
        mine = (set(clip) & NUMBERS) | given
        if clip.get("strategy", strategy) == strategy:
            known |= mine
            continue
        words = [word for number in sorted(known - mine) for word in (f"--clip.{number}", "null")]
        out[end + added : end + added] = words
        added += len(words)
        strategy, known = clip["strategy"], mine
    return out


def _named(options: list[str]) -> Iterator[tuple[str, str, int]]:
    """Name and value of each option, and where the words after it begin."""
    for n, word in enumerate(options):
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and equals:
            yield name, value, n + 1
        elif word.startswith("--") and n + 1 < len(options):
            yield name, options[n + 1], n + 2


def _clip_of(preset: str) -> dict[str, Any]:
    """The part `clip` of a preset; empty where there is none (what is wrong with a preset, the parser says)."""
    try:
        content = yaml.safe_load(Path(preset).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    clip = content.get("clip") if isinstance(content, dict) else None
    return clip if isinstance(clip, dict) else {}
