"""What a report says: a row for each arm and setting, verdicts in words, and one headline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from throttle.compare import statistics as s
from throttle.compare.collect import Collected, Row
from throttle.compare.verdict import Verdict, claim_words, evidence, headline, judge, number
from throttle.compare.worker import DRIVING

EVENTS = {
    "walker": "walkers", "vehicle": "vehicles", "static": "static", "red_light": "red lights",
    "stop_sign": "stop signs", "scenario_timeout": "timeouts", "yield_emergency": "not yielded",
}  # fmt: skip
"""Infractions of an evaluation, and the heads of their columns."""


@dataclass(frozen=True)
class Said:
    """One verdict in words."""

    where: str
    """The setting, where there are several; ends with a colon and a space."""
    claim: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.where}{self.claim} {self.evidence}"


@dataclass(frozen=True)
class Told:
    """One comparison, understood."""

    found: Collected
    headline: str
    said: list[Said]
    """Verdicts in words: on all settings of a metric together, then on each setting."""
    robust: list[Said]
    """The same on the scores under perturbations."""
    verdicts: list[tuple[str, Verdict]]
    """(setting, or the metric for all settings together; verdict)"""
    summary: list[dict[str, Any]]


def words(metric: str) -> str:
    """A metric as the unit of a difference."""
    return f"points of {metric.removeprefix('driving_score/')}" if metric.startswith("driving_score/") else metric


def tell(found: Collected) -> Told:
    """Judge a comparison. Settings scored by the same driving score are also judged together, stratified by setting."""
    verdicts: list[tuple[str, Verdict]] = []
    said: list[Said] = []
    heads = []
    for family, settings in found.families().items():
        metric = family.split(" in ")[0]
        groups = [(family, settings)] if len(settings) > 1 else []
        groups += [(setting, [setting]) for setting in settings]
        for n, (label, part) in enumerate(groups):
            scores = found.scores(part)
            if not scores or len(scores) < 2:
                continue
            judged = judge(scores, found.baseline, found.diverged(part))
            if n == 0:
                heads.append((judged, words(metric), label))
            where = f"All {len(part)} settings together: " if len(part) > 1 else f"{label}: "
            where = where if len(found.settings) > 1 else ""
            for verdict in judged:
                verdicts.append((label, verdict))
                proof = evidence(verdict, words(metric), _detail(found, part))
                said.append(Said(where, claim_words(verdict), proof))
    return Told(found, _headline(found, heads), said, _robust(found), verdicts, _summary(found, verdicts))


def _robust(found: Collected) -> list[Said]:
    """Verdicts on each run's mean, over perturbations, of the area under score against severity."""
    said = []
    for setting in found.settings:
        areas = {
            arm: [float(np.mean(list(r.robustness["area"].values()))) for r in found.of(arm, setting) if r.robustness]
            for arm in found.arms
        }
        scores = {arm: values for arm, values in areas.items() if values}
        if found.baseline in scores and len(scores) > 1:
            where = f"{setting}: " if len(found.settings) > 1 else ""
            for verdict in judge(scores, found.baseline):
                said.append(Said(where, claim_words(verdict), evidence(verdict, "of mean area")))
    return said


def _detail(found: Collected, settings: list[str]) -> str:
    episodes = [r.figures.get("episodes", math.nan) for r in found.rows if r.setting in settings and r.over]
    return f"{episodes[0]:.0f} episodes each" if episodes and not math.isnan(episodes[0]) else ""


def _headline(found: Collected, heads: list[tuple[list[Verdict], str, str]]) -> str:
    if not heads:
        return "Nothing can be said yet: no seed is finished in every arm."
    said = [
        headline(judged, unit) if len(heads) == 1 else f"{label}: {headline(judged, unit)}"
        for judged, unit, label in heads
    ]
    unlearned = [setting for setting in found.settings if _unlearned(found, setting)]
    if unlearned:
        where = "" if len(unlearned) == len(found.settings) else f" in {'; '.join(unlearned)}"
        said.insert(0, f"Nothing was learned{where}: no arm scored better than the untrained policy.")
    if found.missing:
        said.append(f"{len(found.missing)} of {len(found.rows)} planned runs are not over.")
    return " ".join(said)


def _unlearned(found: Collected, setting: str) -> bool:
    """Whether no arm's interval lies above what the untrained policy scored, where that is known."""
    untrained = found.references.get(setting, {}).get("untrained", {})
    arms = [runs for arm in found.arms if (runs := found.of(arm, setting))]
    if not arms or arms[0][0].metric not in untrained:
        return False
    known = untrained[arms[0][0].metric]
    return all(s.iqm_interval(s.as_scores([r.score for r in runs])).low <= known for runs in arms)


def _summary(found: Collected, verdicts: list[tuple[str, Verdict]]) -> list[dict[str, Any]]:
    rows = []
    by = {(setting, v.arm): v for setting, v in verdicts}
    for setting in found.settings:
        for arm in found.arms:
            runs = found.of(arm, setting)
            if runs:
                rows.append(_summed(setting, arm, runs, by.get((setting, arm))))
    return rows


def _summed(setting: str, arm: str, runs: list[Row], verdict: Verdict | None) -> dict[str, Any]:
    score = s.iqm_interval(s.as_scores([r.score for r in runs]))
    row: dict[str, Any] = {
        "setting": setting, "arm": arm, "n": len(runs), "score": score.value, "low": score.low, "high": score.high,
        "metric": runs[0].metric,
        "score_text": f"{number(score.value)} [{number(score.low)}, {number(score.high)}]",
        "diverged": sum(r.state == "diverged" for r in runs),
    }  # fmt: skip
    for key in ("clipped", "clip_cost", "norm_median", "norm_p90", "norm_p99", "norm_max", "threshold", "seconds"):
        row[key] = median([getattr(r, key) for r in runs])
    row["clipped_text"], row["clip_cost_text"] = percent(row["clipped"]), percent(row["clip_cost"])
    for key in ("completion", "success", "infractions_per_km", "return"):
        row[key] = median([r.figures.get(key, math.nan) for r in runs])
    if runs[0].metric == DRIVING:
        for event in EVENTS:
            row[event] = float(sum(r.figures.get(f"events/{event}", 0.0) for r in runs))
    areas = [list(r.robustness["area"].values()) for r in runs if r.robustness]
    if areas:
        row["robust_area"] = median([float(np.mean(a)) for a in areas])
        row["sensitivity"] = median([float(r.robustness["sensitivity"]) for r in runs if r.robustness])
    row["claim"] = "" if verdict is None else verdict.claim
    row["p"] = math.nan if verdict is None else verdict.p
    row["improvement"] = math.nan if verdict is None else verdict.improvement.value
    row["more_seeds"] = math.nan if verdict is None else verdict.more
    return row


def median(values: list[float]) -> float:
    """Median of those that are numbers; nan where none is."""
    kept = [v for v in values if not math.isnan(v)]
    return float(np.median(kept)) if kept else math.nan


def percent(share: float) -> str:
    """A share for people."""
    if math.isnan(share):
        return "-"
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.2g}%"
