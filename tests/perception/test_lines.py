"""Lights and stop signs that leave the picture before the car is at their line."""

from __future__ import annotations

import math

import numpy as np
import pytest

from contracts import Ego, LightState
from perception.classes import LIGHT, LIGHT_OF, SIGN
from perception.lines import FORGET, StopLines
from perception.output import Detections

STATE = {state: number for number, state in LIGHT_OF.items()}


def seen(
    label: int, stop: float, state: int = -1, sign: int = -1, binding: float = 0.9, top: float = 40.0
) -> list[Detections]:
    one = np.ones(1, np.float32)
    return [
        Detections(
            np.array([[100, top, 110, 60]], np.float32), np.array([label]), 0.8 * one, 20 * one, 0 * one,
            np.array([state]), np.array([sign]), binding * one, stop * one,
        )
    ]  # fmt: skip


def driving(speed: float) -> Ego:
    return Ego(speed, 0.0, 0.0, 0.0)


def test_a_red_light_over_the_line_is_waited_for_and_a_green_one_forgotten() -> None:
    for state, wait in ((LightState.RED, True), (LightState.GREEN, False)):
        lines = StopLines(["stop"])
        for _ in range(2):
            lines.update(seen(LIGHT, 8.0, STATE[state]), driving(0.0), 0.1)
        for _ in range(10):  # 2 s later and 4 m on, out of the picture
            light, distance, _ = lines.update([], driving(2.0), 0.2)
        assert (light == LightState.RED) == wait
        assert distance == (pytest.approx(4.0) if wait else math.inf)


def test_some_looks_in_a_row_must_agree_on_another_state() -> None:
    red, green = STATE[LightState.RED], STATE[LightState.GREEN]
    lines = StopLines([])
    for _ in range(20):
        lines.update(seen(LIGHT, 15.0, red), driving(0.0), 0.1)
    told = [lines.update(seen(LIGHT, 15.0, green), driving(0.0), 0.1)[0] for _ in range(8)]
    assert told[:2] == [LightState.RED] * 2, "a lapse"
    assert told[5:] == [LightState.GREEN] * 3, "half a second is no lapse"


def test_a_single_look_at_a_light_is_not_believed() -> None:
    """A tail light is taken for a red one, now and then; so is a red one for none."""
    lines, told = StopLines([]), []
    for k in range(40):
        found = seen(LIGHT, 30.0, STATE[LightState.RED]) if k % 8 == 0 else []
        told.append(lines.update(found, driving(0.0), 0.1)[0])
    assert set(told) == {LightState.NONE}
    for _ in range(3):
        light, _, _ = lines.update(seen(LIGHT, 30.0, STATE[LightState.RED]), driving(0.0), 0.1)
    assert light == LightState.RED
    green = [lines.update(seen(LIGHT, 30.0, STATE[LightState.GREEN]), driving(0.0), 0.1)[0]]
    assert green == [LightState.RED]


def test_a_light_that_the_picture_cuts_off_says_nothing() -> None:
    """Of a red light that leaves the picture at its upper edge, the green lamp's housing is seen last."""
    lines = StopLines([])
    for _ in range(2):
        lines.update(seen(LIGHT, 8.0, STATE[LightState.RED]), driving(0.0), 0.1)
    for _ in range(20):
        told = lines.update(seen(LIGHT, 8.0, STATE[LightState.GREEN], top=0.0), driving(1.0), 0.1)
    assert told[0] == LightState.RED


def test_distances_that_jump_are_evened_out() -> None:
    lines, told = StopLines([]), []
    for k in range(40):
        jump = 6.0 if k % 2 else -6.0
        told.append(lines.update(seen(LIGHT, 50.0 - k + jump, STATE[LightState.RED]), driving(10.0), 0.1)[1])
    assert np.abs(np.array(told[5:]) - (50.0 - np.arange(5, 40))).max() < 2.5


def test_a_red_light_that_was_seen_far_away_is_not_kept() -> None:
    lines = StopLines([])
    for _ in range(2):
        lines.update(seen(LIGHT, 40.0, STATE[LightState.RED]), driving(0.0), 0.1)
    assert lines.update([], driving(0.0), 0.9)[0] == LightState.RED
    assert lines.update([], driving(0.0), 0.9)[0] == LightState.NONE


def test_a_stop_sign_out_of_the_picture_is_stopped_for_once() -> None:
    lines = StopLines(["yield", "stop"])
    told = [lines.update(seen(SIGN, metres, sign=1), driving(10.0), 0.1) for metres in (16.0, 15.0, 14.0)]
    assert told == [(LightState.NONE, math.inf, False), (LightState.NONE, 15.0, True), (LightState.NONE, 14.0, True)]
    for _ in range(8):
        _, distance, sign = lines.update([], driving(10.0), 0.1)
    assert (distance, sign) == (pytest.approx(6.0), True)
    assert lines.update([], driving(0.0), 0.1) == (LightState.NONE, math.inf, False), "it stands: honoured"
    assert lines.update(seen(SIGN, 6.0, sign=1), driving(1.0), 0.1)[2] is False, "still the same sign"
    lines.update([], driving(5.0), FORGET + 0.1)
    for _ in range(2):
        told = [lines.update(seen(SIGN, 20.0, sign=1), driving(0.0), 0.1)]
    assert told == [(LightState.NONE, 20.0, True)], "another one"


def test_a_stop_sign_seen_once_and_one_of_others_are_not_remembered() -> None:
    lines = StopLines(["yield", "stop"])
    for k in range(40):  # a back is taken for one, now and then
        assert not lines.update(seen(SIGN, 20.0, sign=1) if k % 8 == 0 else [], driving(0.0), 0.1)[2]
    for metres in (20.0, 19.0):
        assert not lines.update(seen(SIGN, metres, sign=1, binding=0.2), driving(10.0), 0.1)[2]
        assert not lines.update(seen(SIGN, metres, sign=0), driving(10.0), 0.1)[2]


def test_what_is_taken_for_a_sign_elsewhere_does_not_move_a_line() -> None:
    lines = StopLines(["stop"])
    for _ in range(3):
        lines.update(seen(SIGN, 12.0, sign=0), driving(0.0), 0.1)
    assert lines.update(seen(SIGN, 40.0, sign=0), driving(10.0), 0.1) == (LightState.NONE, pytest.approx(11.0), True)
    assert lines.update([*seen(SIGN, 2.0, sign=0, binding=0.6), *seen(SIGN, 10.0, sign=0)], driving(10.0), 0.1) == (
        LightState.NONE, pytest.approx(10.0), True,
    )  # fmt: skip


def test_a_line_that_is_passed_is_over() -> None:
    lines = StopLines(["stop"])
    for metres in (3.0, 2.0):
        lines.update(seen(SIGN, metres, sign=0), driving(10.0), 0.1)
    assert lines.update([], driving(10.0), 0.3) == (LightState.NONE, math.inf, False)


def test_a_stop_sign_is_carried_on_behind_the_line_of_a_light() -> None:
    lines = StopLines(["stop"])
    light, sign = seen(LIGHT, 12.0, STATE[LightState.RED]), seen(SIGN, 30.0, sign=0)
    told = [lines.update([*light, *sign], driving(0.0), 0.1)[0] for _ in range(3)]
    assert told[1:] == [LightState.RED] * 2, "the nearer one counts"
    for _ in range(10):
        lines.update(seen(LIGHT, 12.0, STATE[LightState.GREEN]), driving(10.0), 0.1)
    for _ in range(11):
        told = lines.update([], driving(10.0), 0.1)
    assert told == (LightState.NONE, pytest.approx(9.0), True)
