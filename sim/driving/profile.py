# Numba kernels over plain arrays: types are those of the arrays.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""How fast to go along the path: the expert's motion of the next seconds, played against all that binds it.

IDM (Treiber, Hennecke, Helbing 2000) towards what is ahead; stop lines; forecasts of others to which the ego yields.
The play finds the first forecast that the ego would meet; `plan_speed` in sim.driving.decide makes it yield to that and
plays again.
"""

from __future__ import annotations

import math

from sim.driving import path as p
from sim.driving.forecast import FAR, PERIOD, STEPS
from sim.driving.jit import part

URGE, COMFORT, HARDEST = 3.3, 3.2, 8.0
"""m/s^2: greatest acceleration, comfortable and hardest deceleration."""
SETTLE = 0.6
"""Seconds in which the wished speed is approached."""
TAIL = 20.0 - p.BEHIND
"""Who first comes onto the path before this u has followed the ego all along."""
HEADWAY = 1.0
"""Seconds kept to what moves ahead."""
STOP, EASE, LAG = 3.2, 0.6, 0.15
"""m/s^2 of stopping at a line, the share of it that must be needed before it brakes, seconds until the brake bites."""
CREEP = 0.5
"""Metres that are not crept forward once the ego stands."""
# columns of a constraint ahead: place (u), its speed, gap kept at rest, what it is
AT, PACE, GAP, WHY = range(4)
FREE, LEAD, LIGHT, STOP_SIGN, JUNCTION, WALKER, OBSTACLE = range(7)
"""What bounds the speed."""


@part
def idm(speed, wish, gap, leading, headway, min_gap):
    """Acceleration towards `wish` m/s behind something `gap` metres ahead that moves at `leading` m/s."""
    # the model's own term, 1 - (speed / wish)^4, takes very long over the last metres a second
    free = min(max((wish - speed) / (SETTLE * URGE), -COMFORT / URGE), 1.0)
    if gap > 500.0:
        return URGE * free
    desired = speed * headway + speed * (speed - leading) / (2.0 * math.sqrt(URGE * COMFORT))
    share = (min_gap + max(desired, 0.0)) / max(gap, 0.1)
    accel = URGE * (free - share * share)
    closing = speed - leading
    if closing > 0.0:
        needed = closing * closing / (2.0 * max(gap - 0.5 * min_gap, 0.05))
        if needed > 0.8 * COMFORT:
            accel = min(accel, -1.05 * needed)
    return accel


@part
def halt(speed, rest):
    """Acceleration that brings to rest within `rest` metres: none until EASE of STOP is needed, then evenly."""
    if rest < 0.05:
        return -max(4.0 * speed, 0.5)
    rest = max(rest - LAG * speed, 0.02)
    needed = speed * speed / (2.0 * rest)
    if needed < EASE * STOP:
        # no faster than could be stopped after the next moments
        return min(max((math.sqrt(2.0 * EASE * STOP * max(rest - CREEP, 0.0)) - speed) / 0.5, -needed), URGE)
    share = min((needed / STOP - EASE) / 0.3, 1.0)
    return (1.0 - share) * 0.5 - share * needed


@part
def bound(path, u):
    """m/s allowed at u."""
    at = min(max(u + p.BEHIND, 0.0), p.POINTS - 1.001)
    n = int(at)
    return path[n, p.BOUND] + (at - n) * (path[n + 1, p.BOUND] - path[n, p.BOUND])


@part
def play(path, speed, half, ahead, count, low, high, pace, yields, hold, why, others, place, velocity):
    """Play the ego's motion: writes u of its middle and its speed [STEPS + 1]; returns (acceleration, what bounds it).

    ahead [count, 4]: constraints that always hold. For each of `others` forecasts: low, high, pace (speed along the
    path), yields (whether the ego yields to it), hold (where its front waits meanwhile, FAR to follow it instead), why.
    """
    u, v = 0.0, speed
    place[0], velocity[0] = u, v
    first, reason = 0.0, FREE
    for t in range(STEPS):
        # what the bound will be in a moment, so that bends are entered slowly enough
        wish = min(bound(path, u), bound(path, u + v * PERIOD))
        if v > wish:
            accel = max((wish - v) / 0.4, -4.0)
        else:
            accel = idm(v, wish, 1e3, 0.0, HEADWAY, 2.0)
        now = FREE
        for c in range(count):
            gap = ahead[c, AT] + ahead[c, PACE] * t * PERIOD - u - half
            if ahead[c, WHY] == LIGHT or ahead[c, WHY] == STOP_SIGN:
                a = halt(v, gap)
            else:
                a = idm(v, wish, max(gap, 0.05), ahead[c, PACE], HEADWAY, ahead[c, GAP])
            if a < accel:
                accel, now = a, int(ahead[c, WHY])
        for j in range(others):
            if not yields[j]:
                continue
            begin, last = -1, -1
            for k in range(STEPS + 1):
                if high[j, k] > low[j, k]:
                    begin = k if begin < 0 else begin
                    last = k
            if t > last:
                continue
            if hold[j] < FAR:
                a = halt(v, hold[j] - u - half)
            else:
                k = max(t, begin)
                while k < STEPS and high[j, k] <= low[j, k]:
                    k += 1
                a = idm(v, wish, max(low[j, k] - u - half, 0.05), max(pace[j], 0.0), HEADWAY, 2.0)
            if a < accel:
                accel, now = a, why[j]
        accel = min(max(accel, -HARDEST), URGE)
        if t == 0:
            first, reason = accel, now
        after = max(v + accel * PERIOD, 0.0)
        u += 0.5 * (v + after) * PERIOD
        v = after
        place[t + 1], velocity[t + 1] = u, v
    return first, reason


@part
def push(path, speed, accel, place, velocity):
    """Play a constant acceleration (within the path's bounds where it gains speed)."""
    u, v = 0.0, speed
    place[0], velocity[0] = u, v
    for t in range(STEPS):
        a = accel
        if accel > 0.0:
            a = min(accel, (1.2 * bound(path, u) + 1.0 - v) / PERIOD)
        after = max(v + a * PERIOD, 0.0)
        u += 0.5 * (v + after) * PERIOD
        v = after
        place[t + 1], velocity[t + 1] = u, v


@part
def meets(place, velocity, half, low, high, pace, others, ignored, slack, margin):
    """(forecast, moment) that the ego meets first, (-1, STEPS + 1) for none.

    slack: moments by which a forecast may be early or late. margin: metres kept before and behind the ego. Who comes
    from behind and can brake in time follows and is not met.
    """
    found, when = -1, STEPS + 1
    for j in range(others):
        if ignored[j]:
            continue
        for t in range(STEPS + 1):
            if t >= when:
                break
            if high[j, t] > low[j, t] and high[j, t] < place[t] - half:
                # behind the ego then: it follows if it came along the ego's own way, or can brake for the ego
                if low[j, t] < TAIL:
                    break
                gap = place[t] - half - high[j, t]
                closing = pace[j] - velocity[t]
                if closing <= 0.0 or (gap > 2.0 and closing * closing / (2.0 * gap) < 2.5):
                    break
            hit = False
            for k in range(max(t - slack, 0), min(t + slack, STEPS) + 1):
                if high[j, k] > low[j, k] and (
                    low[j, k] < place[t] + half + margin and high[j, k] > place[t] - half - margin
                ):
                    hit = True
            if hit:
                found, when = j, t
                break
    return found, when
