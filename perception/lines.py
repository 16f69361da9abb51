"""What a car remembers of the light and the stop sign that bind it, from picture to picture.

Both stand beside or over their stop line and leave the picture as the car comes near: what was seen is carried on by
the car's own motion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from contracts import Ego, LightState
from perception.classes import LIGHT, LIGHT_OF, SIGN
from perception.output import Detections

LOOKED_AT = 0.2
"""Score from which the running car looks at a detection."""
BINDS = 0.5
"""A light or sign binds the ego if the network is as sure as this."""
MEMORY = 0.5
"""Seconds in which what was read off a light or sign loses all but 1/e of its weight: some looks in a row must agree
before a state that is well known is given up."""
BELIEVED = 1.0
"""Evidence (how sure each look was, summed with that fading) from which a light or stop sign is believed: two or three
looks ten times a second. In a look or two a tail light is taken for a red one, a sign's back for a stop sign."""
TRUST = 0.35
"""Weight of a look's distance to the line against what was known of it; SAME: metres by which they may differ."""
SAME = 15.0
CUT = 2.0
"""Pixels from the picture's upper edge within which a light is cut off: its lower lamps may be all that shows."""
HOLD = 1.0
"""Seconds that a light stays known after it was seen last."""
NEAR, WAIT = 16.0, 4.0
"""Metres to its line within which a red or yellow light stays known for longer, and for how many seconds."""
REMEMBERED = 20.0
"""Seconds that a stop sign is remembered until its line."""
AT_LINE, STANDING = 9.0, 0.1
"""Metres to its line, from the ego's centre, and m/s at which a stop sign is honoured."""
FORGET = 5.0
"""Seconds after which a stop sign is another one."""
NO_LOOK = (0.0, math.inf)
"""How sure and how many metres to the line, where nothing that binds was seen."""


class StopLines:
    """Call `update` once a look. signs: names that the network knows. believed: evidence from which one counts."""

    def __init__(self, signs: Sequence[str], believed: float = BELIEVED) -> None:
        self._least = believed
        self._stop = signs.index("stop") if "stop" in signs else -1
        self._light, self._light_line, self._light_age = LightState.NONE, math.inf, math.inf
        self._evidence: dict[LightState, float] = {}
        self._sign_line, self._sign_age, self._sign_evidence, self._sign = math.inf, math.inf, 0.0, False
        self._honoured = math.inf  # seconds since a stop sign that was honoured was seen last

    def update(self, found: Sequence[Detections], ego: Ego, seconds: float) -> tuple[LightState, float, bool]:
        """State of the light that binds, metres from the ego's centre to the stop line, whether it is a stop sign's.

        Of a light's line and a stop sign's the nearer one counts. seconds: since the last look.
        """
        moved = max(ego.speed, 0.0) * seconds
        self._look_for_light(found, moved, seconds)
        sign_line = self._look_for_stop_sign(found, ego, moved, seconds)
        near = 0.0 < self._light_line <= NEAR and self._light in (LightState.RED, LightState.YELLOW)
        if self._light_age > (WAIT if near else HOLD) or self._light_line <= -1.0:
            self._light = LightState.NONE
        if self._light != LightState.NONE and self._light_line <= sign_line:
            return self._light, max(self._light_line, 0.0), False
        return LightState.NONE, sign_line, math.isfinite(sign_line)

    def _look_for_light(self, found: Sequence[Detections], moved: float, seconds: float) -> None:
        self._light_line -= moved
        self._light_age += seconds
        if self._light_age > WAIT or self._light_line < -1.0:
            self._evidence.clear()
        fade = math.exp(-seconds / MEMORY)
        self._evidence = {state: weight * fade for state, weight in self._evidence.items()}
        looks = []
        for objects in found:
            for sure, metres, k in _binding(objects, (objects.labels == LIGHT) & (objects.boxes[:, 1] > CUT)):
                seen = LIGHT_OF.get(int(objects.state[k]))
                if seen is not None:
                    self._evidence[seen] = self._evidence.get(seen, 0.0) + sure
                    looks.append((sure, metres))
        best, line = max(looks, key=itemgetter(0), default=NO_LOOK)
        if best > 0.0:
            if self._light_age <= WAIT and abs(line - self._light_line) <= SAME:
                line = self._light_line + TRUST * (line - self._light_line)
            self._light_line = line
            state = max(self._evidence, key=lambda state: self._evidence[state])
            if self._evidence[state] >= self._least:
                self._light = state
            self._light_age = 0.0

    def _look_for_stop_sign(self, found: Sequence[Detections], ego: Ego, moved: float, seconds: float) -> float:
        """Metres to the line of a stop sign that is to be honoured still, inf without one."""
        self._honoured += seconds
        self._sign_age += seconds
        self._sign_line -= moved
        self._sign_evidence *= math.exp(-seconds / MEMORY)
        looks = [
            (sure, metres)
            for objects in found
            for sure, metres, _ in _binding(objects, (objects.labels == SIGN) & (objects.sign == self._stop))
        ]
        best, line = max(looks, key=itemgetter(0), default=NO_LOOK)
        same = abs(line - self._sign_line) <= SAME
        if best > 0.0 and self._honoured <= FORGET:  # the same, still in the picture
            self._honoured = 0.0
            return math.inf
        if best > 0.0 and (same or not self._sign):
            self._sign_line = self._sign_line + TRUST * (line - self._sign_line) if same else line
            self._sign_age = 0.0
            self._sign_evidence += best
            self._sign |= self._sign_evidence >= self._least
        self._sign &= self._sign_age <= REMEMBERED and self._sign_line > 0.0
        if self._sign and self._sign_line <= AT_LINE and ego.speed < STANDING:
            self._honoured, self._sign_age, self._sign_evidence, self._sign = 0.0, math.inf, 0.0, False
        return self._sign_line if self._sign else math.inf


def _binding(objects: Detections, rows: NDArray[np.bool_]) -> Iterator[tuple[float, float, int]]:
    """How sure, metres to the line and row of each of `rows` that binds the ego."""
    for k in np.flatnonzero(rows & (objects.binding >= BINDS)).tolist():
        yield float(objects.binding[k] * objects.scores[k]), float(objects.stop[k]), k
