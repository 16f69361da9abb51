"""States of lights are told with regard to how frequent they were in training."""

from __future__ import annotations

import torch

from perception.classes import CLASSES, LIGHT, STATES
from perception.heatmap import decode

GREEN, RED, OFF = (STATES.index(name) for name in ("green", "red", "off"))


def maps(**logits: float) -> dict[str, torch.Tensor]:
    """A light in the middle of a picture, its state's logits by name, -9 else."""
    channels = {"heat": len(CLASSES), "box": 4, "depth": 1, "heading": 2, "state": len(STATES), "sign": 3, "binding": 1,
                "stop": 1}  # fmt: skip
    found = {name: torch.zeros(1, count, 8, 8) for name, count in channels.items()}
    found["heat"] -= 9.0
    found["heat"][0, LIGHT, 4, 4] = 3.0
    found["state"] -= 9.0
    for name, value in logits.items():
        found["state"][0, STATES.index(name), 4, 4] = value
    return found


def told(shares: list[float] | None, **logits: float) -> int:
    usual = None if shares is None else torch.tensor(shares)
    (state,) = decode(maps(**logits), 0, 100.0, shares=usual)["state"].tolist()
    return int(state)


def test_a_rare_state_is_told_where_the_network_is_not_sure() -> None:
    shares = [0.1, 0.0, 0.6, 0.0, 0.3]
    assert told(None, green=1.0, red=1.2) == RED
    assert told(shares, green=1.0, red=1.2) == GREEN
    assert told(shares, green=1.0, red=2.0) == RED, "sure"


def test_a_state_that_no_light_had_is_not_told() -> None:
    assert told(None, red=1.0, off=2.0) == OFF
    assert told([0.1, 0.0, 0.6, 0.0, 0.3], red=1.0, off=2.0) == RED
