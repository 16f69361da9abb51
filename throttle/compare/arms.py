"""The arms of a comparison from short words: `none,global_norm=0.5,quantile,agc,skip=5`."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from clipping import STRATEGIES, ClipConfig, ClippingError, GradientClipper
from contracts import UserError

NUMBERS = {"quantile": "quantile", "autoclip": "percentile", "zclip": "z_threshold", "adagc": "factor"}
"""The option that a strategy's number sets, where that is not its threshold."""


@dataclass(frozen=True)
class Arm:
    """One way to clip."""

    name: str
    clip: ClipConfig

    @property
    def slug(self) -> str:
        """The name as part of a folder's name."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", self.name).strip("-")


def parse_arms(text: str, subsystem: str = "control") -> list[Arm]:
    """Arms from `[LABEL:]STRATEGY[=NUMBER][/OPTION=NUMBER...]`, separated by commas.

    The number is the strategy's own: a threshold; the quantile, percentile, z or factor of quantile, autoclip, zclip
    and adagc; LOW..HIGH for value. Options are fields of ClipConfig. `none` is truly unclipped: not even a gradient
    that is not finite is held back, though it is measured like all others.

    Raises UserError for an arm that cannot be, or two of the same name.
    """
    arms = [_parse(word.strip(), subsystem) for word in text.split(",") if word.strip()]
    if not arms:
        raise UserError("name at least one arm, for instance none,global_norm=0.5")
    for names in ([a.name for a in arms], [a.slug for a in arms]):
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise UserError(f"two arms are called '{twice}'; label one of them, for instance other:{twice}")
    return arms


def _parse(word: str, subsystem: str) -> Arm:
    label, colon, rest = word.rpartition(":")
    head, *extra = rest.split("/")
    strategy, equals, number = head.partition("=")
    if strategy not in STRATEGIES:
        raise UserError(f"arm '{word}': no strategy is called '{strategy}'; there are {', '.join(STRATEGIES)}")
    options: dict[str, Any] = {"strategy": strategy}
    if strategy == "none":
        options["nonfinite"] = "ignore"
    if equals and ".." in number:
        low, high = number.split("..", 1)
        options |= {"lower": _number(word, low), "upper": _number(word, high)}
    elif equals:
        options[NUMBERS.get(strategy, "threshold")] = _number(word, number)
    known = {f.name: f for f in dataclasses.fields(ClipConfig)}
    for part in extra:
        key, _, value = part.partition("=")
        if key not in known or key in ("strategy", "subsystem", "groups"):
            raise UserError(f"arm '{word}': clipping has no option '{key}'")
        options[key] = value if key in ("nonfinite", "measure") else _number(word, value)
    try:
        clip = ClipConfig(subsystem=subsystem, **options)
        GradientClipper.from_config(clip)
    except ClippingError as error:
        raise UserError(f"arm '{word}': {error}") from None
    if strategy == "per_sample":
        raise UserError(f"arm '{word}': per_sample clips inside the loss, which this training does not hand out")
    return Arm(label if colon else rest, clip)


def _number(word: str, text: str) -> float | int:
    try:
        return int(text) if re.fullmatch(r"-?\d+", text) and "=" in word else float(text)
    except ValueError:
        raise UserError(f"arm '{word}': '{text}' is not a number") from None
