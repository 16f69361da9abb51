"""What the runs of a comparison left on disk, as rows: with curves.py, all that a report shows comes from here."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipping.explain import explain
from contracts import UserError
from throttle.clip_records import find, read
from throttle.compare.comparison import KIND, PLAN
from throttle.compare.worker import DRIVING
from throttle.runs import read_status

Array = NDArray[np.float64]
LEADING = ("policy", "critic", "actor")
"""Of several optimisers, the one whose norms stand for a run."""
OVER = ("finished", "diverged")


@dataclass(frozen=True)
class Row:
    """One run. Numbers that it has not are nan, texts empty."""

    name: str
    arm: str
    seed: int
    algorithm: str
    task: str
    learning_rate: float
    setting: str
    state: str
    origin: str
    """Where a divergence began."""
    score: float
    """What the arms are compared by, mean over towns; higher is better."""
    metric: str
    step: int
    seconds: float
    cpu_seconds: float
    """CPU time of the training's process; nan where that was not measured."""
    clip_cost: float
    """Share of the training's time spent on measuring and clipping gradients."""
    clipped: float
    """Share of updates that were clipped or left out."""
    norm_median: float
    norm_p90: float
    norm_p99: float
    norm_max: float
    threshold: float
    """Median over the updates."""
    initial_weights: str
    final_weights: str
    figures: dict[str, float] = field(default_factory=dict)
    """Of the evaluation: town/figure, and each figure's mean over towns under its own name."""
    robustness: dict[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether the run counts: finished or diverged."""
        return self.state in OVER and not math.isnan(self.score)


@dataclass
class Collected:
    """A comparison as it lies on disk."""

    path: Path
    name: str
    question: str
    baseline: str
    created: float
    rows: list[Row]
    missing: list[str]
    """Planned runs that are not over."""
    settings: list[str]
    slugs: dict[str, str]
    references: dict[str, dict[str, dict[str, float]]]
    """setting -> untrained or constant -> figures."""

    @property
    def arms(self) -> list[str]:
        """Baseline first."""
        return sorted(dict.fromkeys(r.arm for r in self.rows), key=lambda arm: arm != self.baseline)

    def of(self, arm: str, setting: str | None = None) -> list[Row]:
        """Runs of an arm that are over, by seed; of one setting where that is given."""
        found = [r for r in self.rows if r.arm == arm and r.over and setting in (None, r.setting)]
        return sorted(found, key=lambda r: (r.setting, r.seed))

    def scores(self, settings: Sequence[str]) -> dict[str, Array]:
        """arm -> [seeds, settings] of the seeds that all arms have in all these settings; empty without one."""
        have = [
            {r.seed for r in self.rows if r.over and r.arm == arm and r.setting == setting}
            for arm in self.arms
            for setting in settings
        ]
        seeds = sorted(set.intersection(*have)) if have else []
        if not seeds:
            return {}
        by = {(r.arm, r.setting, r.seed): r.score for r in self.rows if r.over}
        return {a: np.array([[by[a, s, seed] for s in settings] for seed in seeds]) for a in self.arms}

    def diverged(self, settings: Sequence[str]) -> dict[str, int]:
        """arm -> runs that diverged."""
        return {
            arm: sum(r.state == "diverged" for r in self.rows if r.arm == arm and r.setting in settings)
            for arm in self.arms
        }

    def families(self) -> dict[str, list[str]]:
        """metric -> settings scored by it; only these may be taken together."""
        found: dict[str, list[str]] = {}
        for setting in self.settings:
            metric = next((r.metric for r in self.rows if r.setting == setting and r.over), "")
            if metric:
                key = metric if metric == DRIVING else f"{metric} in {setting}"
                found.setdefault(key, []).append(setting)
        return found


def collect(path: Path) -> Collected:
    """Read a comparison's folder. Raises UserError where it is none."""
    status = read_status(path)
    if status.kind != KIND or not (path / PLAN).is_file():
        raise UserError(f"{path} is not a comparison")
    planned = json.loads((path / PLAN).read_text(encoding="utf-8"))
    facts = _facts(path / "config.yaml")
    rows = [_row(path / p["name"], p) for p in planned]
    slugs = {p["setting"]: p["slug"] for p in planned}
    references = {}
    for setting, slug in slugs.items():
        file = path / f"references-{slug}.json"
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
            references[setting] = {name: figures_of(towns) for name, towns in found.items()}
    arms = list(dict.fromkeys(p["arm"] for p in planned))
    return Collected(
        path=path,
        name=path.name,
        question=facts.get("question") or "",
        baseline="none" if "none" in arms else arms[0],
        created=status.created,
        rows=rows,
        missing=[r.name for r in rows if not r.over],
        settings=list(slugs),
        slugs=slugs,
        references=references,
    )


def _facts(path: Path) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _row(path: Path, p: dict[str, Any]) -> Row:
    result, evaluation = _json(path / "result.json"), _json(path / "evaluation.json")
    figures = figures_of(evaluation)
    named = next((content["metric"] for content in evaluation.values() if "metric" in content), "return")
    metric = DRIVING if DRIVING in figures else named
    seconds = float(result.get("seconds", math.nan))
    return Row(
        name=p["name"], arm=p["arm"], seed=p["seed"], algorithm=p["algorithm"], task=p["task"],
        learning_rate=p["learning_rate"], setting=p["setting"],
        state=result.get("state", "missing") if evaluation else "missing",
        origin=result.get("origin", ""), score=figures.get(metric, math.nan), metric=metric,
        step=int(result.get("step", 0)), seconds=seconds, cpu_seconds=float(result.get("cpu_seconds", math.nan)),
        clip_cost=float(result.get("clip_seconds", math.nan)) / seconds if seconds > 0 else math.nan,
        initial_weights=result.get("initial_weights", ""), final_weights=result.get("final_weights", ""),
        figures=figures, robustness=_json(path / "robustness.json"), **_clipping(path),
    )  # fmt: skip


def figures_of(towns: dict[str, Any]) -> dict[str, float]:
    """town/figure for each town, and the means over towns."""
    found: dict[str, float] = {}
    several: dict[str, list[float]] = {}
    for town, content in towns.items():
        for key, value in content["figures"].items():
            number = math.nan if value is None else float(value)
            several.setdefault(key, []).append(number)
            if town:
                found[f"{town}/{key}"] = number
    return found | {key: float(np.mean(values)) for key, values in several.items()}


def _clipping(path: Path) -> dict[str, float]:
    """Share clipped (over all optimisers) and the norms of the leading one."""
    names = ("clipped", "norm_median", "norm_p90", "norm_p99", "norm_max", "threshold")
    try:
        files = find(path)
    except UserError:
        return dict.fromkeys(names, math.nan)
    told = {}
    for file in files:
        try:
            c = read(file).columns
        except UserError:
            continue  # no update yet
        told[file.stem] = explain(c["norm"], c["threshold"], c["coef"], c["clipped"] > 0, c["skipped"] > 0)
    if not told:
        return dict.fromkeys(names, math.nan)
    first = told[leading(list(told))]
    updates = sum(e.steps for e in told.values())
    share = sum(e.clipped * e.steps for e in told.values()) / updates
    return {"clipped": share, **{name: float(getattr(first, name)) for name in names[1:]}}


def leading(stems: list[str]) -> str:
    """The file whose norms stand for a run."""
    for name in LEADING:
        for stem in stems:
            if stem.endswith(f"_{name}"):
                return stem
    return stems[0]
