"""How a perception errs: the numbers of `planning.errors`, from its looks beside the truth (planning/pairs.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from contracts import LightState, ObjectClass, UserError
from planning.errors import BOUNDS, GROUP_OF, GROUPS, RANGES, ErrorConfig
from planning.pairs import Told
from planning.scenes import CONFIDENCE, HALF_LENGTH, STOP_DISTANCE, STOP_SIGN, VX, VY, YAW
from planning.tell import hidden

GATE = (2.5, 0.15)
"""Metres, and share of the distance, within which what is told is a true object."""
EDGE = 0.95
"""Quantile of the bearings of what is told that is taken for the edge of the view."""
LEAST = 20
"""Looks at objects of a kind and range that are enough for a number of its own; else it is that of all kinds."""
SPREAD = 0.6745
"""Of a normal distribution: its median distance from 0, in standard deviations; robust against gross errors."""
SETTLED = 1.0
"""Seconds after which the velocity of an object that is told is taken to have settled."""
LAG = 0.5
"""Seconds after which it is asked what is left of an error."""
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """Rows of all true objects in all looks [R], and of false objects [G].

    route, look, number: which. kind, away (metres), bearing, covered (as `hidden`), told [R]. error [R, 6]: along and
    across the line of sight, of the velocity likewise (m/s), of the heading (radians), confidence. speed [R, 2]: true
    and told velocity along the true one, m/s. label [R]: class told. ghost [G, 7]: route, look, class, distance,
    bearing, speed, confidence.
    """

    route: NDArray[np.int64]
    look: NDArray[np.int64]
    number: NDArray[np.int64]
    kind: NDArray[np.int64]
    away: F64
    bearing: F64
    covered: NDArray[np.bool_]
    told: NDArray[np.bool_]
    error: F64
    speed: F64
    label: NDArray[np.int64]
    ghost: F64


def pairs(true: Any, told: Any, true_kind: Any, told_kind: Any) -> NDArray[np.int64]:
    """[N] which told object (row of objects [M, 8]) each true one [N, 8] is, -1 for none; walkers only walkers."""
    found = np.full(len(true), -1, np.int64)
    if len(true) and len(told):
        gap = np.linalg.norm(true[:, None, :2] - told[None, :, :2], axis=-1)
        gate = np.maximum(GATE[0], GATE[1] * np.linalg.norm(true[:, :2], axis=1))[:, None]
        walks = (true_kind == ObjectClass.PEDESTRIAN)[:, None] == (told_kind == ObjectClass.PEDESTRIAN)[None]
        cost = gap / gate + np.where(walks, 0.0, 0.5)
        rows, columns = linear_sum_assignment(np.where(gap <= gate, cost, 1e3))
        good = gap[rows, columns] <= gate[rows, 0]
        found[rows[good]] = columns[good]
    return found


def compare(routes: Sequence[Told]) -> Seen:
    """Match what was told with what was there."""
    rows: list[tuple[Any, ...]] = []
    ghosts: list[tuple[float, ...]] = []
    for r, both in enumerate(routes):
        covered = hidden(both.true)
        for m in range(len(both.time)):
            there, is_told = both.true.kind[m] >= 0, both.told.kind[m] >= 0
            true, told = both.true.objects[m][there].astype(float), both.told.objects[m][is_told].astype(float)
            kind, label = both.true.kind[m][there], both.told.kind[m][is_told]
            match = pairs(true, told, kind, label)
            for k, (j, number, hides) in enumerate(zip(match, both.ids[m][there], covered[m][there], strict=True)):
                away, bearing = float(np.hypot(*true[k, :2])), float(np.arctan2(true[k, 1], true[k, 0]))
                error, speed, as_class = [np.nan] * 6, [np.nan] * 2, -1
                if j >= 0:
                    view = true[k, :2] / max(away, 1e-3)
                    side = np.array([-view[1], view[0]])
                    gap, slip = told[j, :2] - true[k, :2], told[j, VX : VY + 1] - true[k, VX : VY + 1]
                    turn = (told[j, YAW] - true[k, YAW] + np.pi) % (2 * np.pi) - np.pi
                    error = [gap @ view, gap @ side, slip @ view, slip @ side, turn, told[j, CONFIDENCE]]
                    pace = float(np.hypot(*true[k, VX : VY + 1]))
                    speed = [pace, float(true[k, VX : VY + 1] @ told[j, VX : VY + 1]) / max(pace, 1e-3)]
                    as_class = int(label[j])
                rows.append((r, m, number, kind[k], away, bearing, hides, j >= 0, error, speed, as_class))
            for j in sorted(set(range(len(told))) - set(match.tolist())):
                place = told[j, :2]
                ghosts.append((r, m, label[j], np.hypot(*place), np.arctan2(place[1], place[0]),
                               np.hypot(*told[j, VX : VY + 1]), told[j, CONFIDENCE]))  # fmt: skip
    route, look, number, kinds, aways, bearings, covers, hits, errors, speeds, labels = zip(*rows, strict=True)
    return Seen(
        np.array(route), np.array(look), np.array(number), np.array(kinds), np.array(aways), np.array(bearings),
        np.array(covers), np.array(hits), np.array(errors, float), np.array(speeds, float), np.array(labels),
        np.array(ghosts, float).reshape(-1, 7),
    )  # fmt: skip


def deviation(values: F64) -> float:
    """Standard deviation, from the median of the absolute values less the median; 0 without values."""
    values = values[np.isfinite(values)]
    return float(np.median(np.abs(values - np.median(values))) / SPREAD) if len(values) else 0.0


def time_constant(values: F64, seen: Seen, times: Sequence[F64], lag: float = LAG) -> float:
    """Seconds in which the correlation of values [R] of one object falls to 1/e, from that at `lag`; NaN: not known."""
    known: dict[tuple[int, int, int], float] = {}
    for r, m, number, value in zip(seen.route, seen.look, seen.number, values, strict=True):
        if np.isfinite(value):
            known[int(r), int(number), int(m)] = float(value)
    one, two = [], []
    for (r, number, m), value in known.items():
        later = int(np.searchsorted(times[r], times[r][m] + lag - 1e-3))
        if (r, number, later) in known:
            one.append(value)
            two.append(known[r, number, later])
    if len(one) < LEAST:
        return 1.0
    correlation = float(np.corrcoef(one, two)[0, 1])
    return float(np.clip(-lag / np.log(np.clip(correlation, 0.05, 0.98)), 0.1, 10.0))


def fit(routes: Sequence[Told], measured: str = "") -> ErrorConfig:
    """The errors of what was told on `routes`. measured: of which perception, by which command.

    Raises UserError where too little was told to measure anything.
    """
    seen = compare(routes)
    hits = seen.told
    if hits.sum() < LEAST:
        raise UserError(f"only {int(hits.sum())} looks at objects that were told: too few to measure errors by")
    times = [both.time for both in routes]
    ranges, groups = np.digitize(seen.away, BOUNDS), GROUP_OF[seen.kind]
    view = float(np.quantile(np.abs(seen.bearing[hits & (seen.away > BOUNDS[0])]), EDGE))
    open_ = (np.abs(seen.bearing) < view) & ~seen.covered
    chances = {name: _chances(hits, open_, groups == g, ranges) for g, name in enumerate(GROUPS)}
    expected = np.array([chances[name] for name in GROUPS])[groups, ranges]
    behind = (np.abs(seen.bearing) < view) & seen.covered
    along, across, slip = seen.error[:, 0], seen.error[:, 1], seen.error[:, 2:4]
    turn = seen.error[:, 4]
    ages = _ages(seen, times)
    slips = np.where((ages > SETTLED)[:, None], slip, np.nan)
    moving = hits & (seen.speed[:, 0] > 3.0)
    half = np.full((len(ObjectClass), 2), 0.5)
    for label in range(len(ObjectClass)):
        sizes = np.concatenate([b.told.objects[b.told.kind == label] for b in routes])
        if len(sizes):
            half[label] = np.median(sizes[:, HALF_LENGTH : HALF_LENGTH + 2], axis=0)
    ghost = seen.ghost[np.abs(seen.ghost[:, 4]) < view]
    looks = sum(len(both.time) for both in routes)
    return ErrorConfig(
        measured=measured,
        view=round(view, 3),
        seen=chances,
        hidden=_short(min(hits[behind].mean() / max(expected[behind].mean(), 1e-3), 1.0)) if behind.any() else 1.0,
        seen_seconds=_short(time_constant(np.where(open_, hits - expected, np.nan), seen, times)),
        along=_by_range(along, ranges, deviation),
        nearer=_by_range(along, ranges, lambda v: float(np.nanmedian(v)) if np.isfinite(v).any() else 0.0),
        across=_by_range(across, ranges, deviation),
        place_seconds=_short(time_constant(along, seen, times)),
        velocity=_by_range(slips.T.ravel(), np.tile(ranges, 2), deviation),
        velocity_seconds=_short(time_constant(slip[:, 0], seen, times)),
        settle=_settle(ages[moving], (seen.speed[moving, 1] / seen.speed[moving, 0])),
        yaw=_short(deviation(turn[np.abs(turn) < np.pi / 2])),
        flipped=_short(float((np.abs(turn[hits]) > np.pi / 2).mean())),
        told_as={name: _told_as(seen, hits & (groups == g), g) for g, name in enumerate(GROUPS)},
        half=[[_short(v) for v in row] for row in half],
        confidence=[_short(np.nanmean(seen.error[:, 5])), _short(np.nanstd(seen.error[:, 5]))],
        false=_short(len(ghost) / looks),
        false_seconds=_short(_lasting(ghost, times)),
        false_distance=[_short(ghost[:, 3].mean()), _short(ghost[:, 3].std())] if len(ghost) else [25.0, 10.0],
        false_speed=_short(deviation(np.concatenate([ghost[:, 5], -ghost[:, 5]]))),
        false_confidence=[_short(ghost[:, 6].mean()), _short(ghost[:, 6].std())] if len(ghost) else [0.4, 0.1],
        false_kinds=[_short(v) for v in _shares(ghost[:, 2].astype(np.int64))],
        **_lines(routes),
    )


def _short(value: Any) -> float:
    return float(f"{float(value):.3g}")


def _shares(labels: NDArray[np.int64]) -> F64:
    count = np.bincount(labels, minlength=len(ObjectClass)).astype(float)
    return count / count.sum() if count.sum() else np.full(len(ObjectClass), 1.0 / len(ObjectClass))


def _told_as(seen: Seen, rows: NDArray[np.bool_], group: int) -> list[float]:
    """Shares of the classes that a group is told as; each as itself where nothing is known."""
    if rows.sum() >= LEAST:
        return [_short(v) for v in _shares(seen.label[rows])]
    mine = np.equal(GROUP_OF, group)
    return [_short(v) for v in mine / mine.sum()]


def _chances(
    hits: NDArray[np.bool_], open_: NDArray[np.bool_], mine: NDArray[np.bool_], ranges: NDArray[np.int64]
) -> list[float]:
    """By range; where there were too few looks as in the next one that has enough, 0 where none has."""
    found = []
    for k in range(RANGES):
        near = sorted(range(RANGES), key=lambda j: (abs(j - k), j))
        rows = next((r for j in near if (r := open_ & mine & (ranges == j)).sum() >= LEAST), None)
        found.append(0.0 if rows is None else _short(hits[rows].mean()))
    return found


def _by_range(values: F64, ranges: NDArray[np.int64], figure: Callable[[F64], float]) -> list[float]:
    """A figure of each range, of the whole where a range has too few values."""
    rows = [values[ranges == k] for k in range(RANGES)]
    return [_short(figure(row if np.isfinite(row).sum() >= LEAST else values)) for row in rows]


def _ages(seen: Seen, times: Sequence[F64]) -> F64:
    """[R] seconds for which each object has been told without a break, 0 where it is not told."""
    ages, since = np.zeros(len(seen.told)), dict[tuple[int, int], tuple[int, float]]()
    for row in range(len(ages)):
        r, m, key = int(seen.route[row]), int(seen.look[row]), (int(seen.route[row]), int(seen.number[row]))
        if seen.told[row]:
            last, age = since.get(key, (-2, 0.0))
            age = age + times[r][m] - times[r][m - 1] if last == m - 1 else float(times[r][1] - times[r][0])
            since[key] = m, age
            ages[row] = age
    return ages


def _settle(ages: F64, gains: F64) -> float:
    """Seconds in which the told share of the velocity grows as 1 - exp(-age / seconds), the best of some."""
    bins = np.arange(0.05, 2.0, 0.1)
    index = np.digitize(ages, bins)
    known = [(bins[k - 1] + 0.05, float(np.median(gains[index == k]))) for k in range(1, len(bins))
             if (index == k).sum() >= 5]  # fmt: skip
    if not known:
        return 0.3
    age, gain = np.array(known).T
    tried = np.geomspace(0.02, 2.0, 40)
    return _short(tried[int(np.argmin([((gain - 1.0 + np.exp(-age / s)) ** 2).sum() for s in tried]))])


def _lasting(ghost: F64, times: Sequence[F64]) -> float:
    """Mean seconds for which a false object is told; one begins where none of its class was near at the look before."""
    begun = 0
    for r, m in {(int(a), int(b)) for a, b in ghost[:, :2]}:
        now, before = (ghost[(ghost[:, 0] == r) & (ghost[:, 1] == look)] for look in (m, m - 1))
        near = np.abs(now[:, None, 3] - before[None, :, 3]) + 20.0 * np.abs(now[:, None, 4] - before[None, :, 4])
        begun += int((~((near < 4.0) & (now[:, None, 2] == before[None, :, 2])).any(1)).sum())
    period = float(np.median(np.concatenate([np.diff(t) for t in times])))
    return period * len(ghost) / max(begun, 1)


def _lines(routes: Sequence[Told]) -> dict[str, Any]:
    """The numbers of lights and stop signs."""
    true, told, place, said, signs, sign_said = (
        np.concatenate([getattr(both, who).light if what == "light" else getattr(both, who).rules[:, what]
                        for both in routes])
        for who, what in (("true", "light"), ("told", "light"), ("true", STOP_DISTANCE), ("told", STOP_DISTANCE),
                          ("true", STOP_SIGN), ("told", STOP_SIGN))
    )  # fmt: skip
    binds, ranges = true != LightState.NONE, np.digitize(place, BOUNDS)
    got = told != LightState.NONE
    off = (said - place)[binds & got & (said > 0)]
    yellow = (true == LightState.YELLOW) & got
    late = []
    for both in routes:
        for m in np.flatnonzero(np.diff(both.true.light)) + 1:
            state = both.true.light[m]
            after = both.told.light[m : m + 40]
            if state != LightState.NONE and both.true.light[m - 1] != LightState.NONE and (after == state).any():
                late.append(both.time[m + int((after == state).argmax())] - both.time[m])
    nothing = ~binds & (signs < 0.5)
    return {
        "light": _chances(got, binds, binds, ranges) if binds.any() else [1.0] * RANGES,
        "light_nearer": _short(np.median(off)) if len(off) else 0.0,
        "line": _short(deviation(off)),
        "late": _short(np.median(late)) if late else 0.3,
        "yellow_as_red": _short((told[yellow] == LightState.RED).mean()) if yellow.any() else 1.0,
        "sign": _short((sign_said[signs > 0.5] > 0.5).mean()) if (signs > 0.5).any() else 0.0,
        "false_light": _short((told[nothing] == LightState.RED).mean()) if nothing.any() else 0.0,
    }
