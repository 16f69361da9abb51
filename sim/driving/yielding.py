# Numba kernels over plain arrays: types are those of the arrays.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Yielding to forecasts of others: does one matter, where the ego waits for it, what is left where it is too late."""

from __future__ import annotations

from sim.driving.forecast import FAR, PERIOD, STEPS
from sim.driving.jit import part
from sim.driving.lines import BEFORE_LINE
from sim.driving.profile import AT, HARDEST, PACE, URGE, WALKER, meets, push


@part
def clears(low, high):
    """1 where a forecast meets the path at all."""
    for t in range(STEPS + 1):
        if high[t] > low[t] and high[t] > 0.0:
            return 1
    return 0


@part
def waits_at(low, high, pace, why, speed, half, entry, leave):
    """Where the front waits while somebody passes: before the place, at the junction's line where that lies within;
    FAR to follow who moves along the path."""
    least = FAR
    for t in range(STEPS + 1):
        if high[t] > low[t] and high[t] > 0.0:
            least = min(least, low[t])
    if why != WALKER and pace > 3.0 and speed > 3.0:
        return FAR
    at = least - (1.5 if why == WALKER else 1.0)
    if entry < FAR and entry - BEFORE_LINE > half and at > entry and least < leave + 6.0:
        at = entry - BEFORE_LINE
    return at


@part
def escape(path, speed, half, low, high, pace, others, ignored, accel, reason, why, ahead, count, place, velocity):
    """Where yielding does not avoid somebody: the better of braking hard and going through, where nothing is ahead."""
    for j in range(others):
        ignored[j] = False
    met, when = meets(place, velocity, half, low, high, pace, others, ignored, 0, 0.0)
    if met < 0 or speed < 0.5:
        return accel, reason
    best_place, best_velocity = place.copy(), velocity.copy()
    push(path, speed, -HARDEST, place, velocity)
    stops, stop_when = meets(place, velocity, half, low, high, pace, others, ignored, 0, 0.0)
    if stops < 0 or stop_when > when:
        return -HARDEST, why[met]
    push(path, speed, URGE, place, velocity)
    for t in range(STEPS + 1):
        for c in range(count):
            if place[t] + half > ahead[c, AT] + ahead[c, PACE] * t * PERIOD - 0.5:
                place[:], velocity[:] = best_place, best_velocity
                return accel, reason
    goes, _ = meets(place, velocity, half, low, high, pace, others, ignored, 0, 0.0)
    if goes < 0:
        return URGE, reason
    place[:], velocity[:] = best_place, best_velocity
    return accel, reason
