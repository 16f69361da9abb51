"""Runs experiments: every trial is cached as a file, so that a killed run resumes and a repeated one costs nothing."""

from __future__ import annotations

import ast
import csv
import dataclasses
import functools
import hashlib
import importlib
import inspect
import json
import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from contracts import UserError
from throttle.experiments.base import Experiment, Results, Trial
from throttle.runs import write_atomic

PRESENTATION = {f"throttle.experiments.{name}" for name in ("base", "page", "report", "runner")}
WORDS_ONLY = ("sentence", "plot")  # methods that change no trial


def _meaning(source: str) -> str:
    """The syntax tree without comments and without the methods that only present results."""
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            kept = [n for n in node.body if not (isinstance(n, ast.FunctionDef) and n.name in WORDS_ONLY)]
            node.body = kept or [ast.Pass()]
    return ast.dump(tree)


def _uses(module: str) -> set[str]:
    """The modules of this package and of recipes that a module imports, itself included, however deep."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in found or name in PRESENTATION or not name.startswith(("throttle.experiments.", "throttle.recipes.")):
            continue
        found.add(name)
        tree = ast.parse(Path(inspect.getfile(importlib.import_module(name))).read_text())
        waiting += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    return found


def _data(module: str) -> list[Path]:
    """What else lies in a package's folder: data that trials read."""
    file = Path(inspect.getfile(importlib.import_module(module)))
    return sorted(f for f in file.parent.glob("*.*") if f.suffix != ".py") if file.name == "__init__.py" else []


@functools.lru_cache(maxsize=1)
def _clipping() -> str:
    """The clipping module's meaning, as it is loaded: read once, since files may change under a long run."""
    folder = Path(inspect.getfile(importlib.import_module("clipping"))).parent
    return "".join(file.name + _meaning(file.read_text()) for file in sorted(folder.rglob("*.py")))


def digest(experiment: Experiment) -> str:
    """Names a version of an experiment: its settings, its code with what it imports, and the clipping module's."""
    hashed = hashlib.sha256(json.dumps(dataclasses.asdict(experiment), sort_keys=True).encode())  # type: ignore[call-overload]
    for name in sorted(_uses(type(experiment).__module__)):
        hashed.update(
            name.encode() + _meaning(Path(inspect.getfile(importlib.import_module(name))).read_text()).encode()
        )
        for file in _data(name):
            hashed.update(file.read_bytes())
    hashed.update(_clipping().encode())
    return hashed.hexdigest()[:12]


def _trial_file(folder: Path, arm: str, seed: int, version: str) -> Path:
    slug = re.sub(r"[^A-Za-z0-9.+-]+", "_", arm).strip("_")
    return folder / "trials" / f"{slug}-seed{seed}-{version}.json"


def _read(path: Path) -> Trial | None:
    try:
        trial = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return trial if isinstance(trial, dict) else None


def _one(experiment: Experiment, arm: str, seed: int) -> Trial:
    import torch

    torch.set_num_threads(1)
    return experiment.trial(arm, seed)


def run(
    experiment: Experiment, folder: Path, seeds: int, jobs: int = 1, fresh: bool = False
) -> Iterator[tuple[int, int, Results | None]]:
    """Run what is not cached yet in `folder`; yields (done, total, results), where results come with the last one.

    jobs: processes; experiments that measure time always use one. fresh: ignore cached trials.
    """
    version = digest(experiment)
    wanted = [(arm, seed) for arm in experiment.arms for seed in range(seeds)]
    found: dict[tuple[str, int], Trial] = {}
    if not fresh:
        for arm, seed in wanted:
            if (trial := _read(_trial_file(folder, arm, seed, version))) is not None:
                found[arm, seed] = trial
    missing = [key for key in wanted if key not in found]
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    yield len(found), len(wanted), None
    for (arm, seed), trial in _trials(experiment, missing, 1 if experiment.timed else jobs):
        write_atomic(_trial_file(folder, arm, seed, version), json.dumps(trial))
        found[arm, seed] = trial
        yield len(found), len(wanted), None
    # Through JSON once, so that cached and fresh trials are the same objects.
    yield len(wanted), len(wanted), Results({key: json.loads(json.dumps(found[key])) for key in wanted})


def _trials(experiment: Experiment, keys: list[tuple[str, int]], jobs: int) -> Iterator[tuple[tuple[str, int], Trial]]:
    if jobs <= 1 or len(keys) <= 1:
        for key in keys:
            yield key, _one(experiment, *key)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_one, experiment, *key): key for key in keys}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool:
            raise UserError(
                "a process was killed (out of memory?): run the same command again, finished trials are kept"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def save(experiment: Experiment, results: Results, folder: Path, facts: dict[str, Any]) -> list[Path]:
    """Write results.csv, results.json (with `facts`: command, commit, date) and plot.png; returns their paths."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    numbers = sorted({k for t in results.trials.values() for k, v in t.items() if not isinstance(v, list)})
    table, record, picture = folder / "results.csv", folder / "results.json", folder / "plot.png"
    folder.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["experiment", "arm", "seed", *numbers])
        for (arm, seed), trial in results.trials.items():
            writer.writerow([experiment.name, arm, seed, *(trial.get(k, "") for k in numbers)])
    summary = {arm: {c: dataclasses.asdict(results.median(arm, c)) for c in experiment.columns} for arm in results.arms}
    body = {
        "experiment": experiment.name,
        "question": experiment.question,
        "sentence": experiment.sentence(results),
        "settings": dataclasses.asdict(experiment),  # type: ignore[call-overload]
        "seeds": results.seeds,
        **facts,
        "summary": summary,
        "table": {a: {c: experiment.cell(results, a, c) for c in experiment.columns} for a in results.arms},
    }
    write_atomic(record, json.dumps(finite(body), indent=1, allow_nan=False))
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    experiment.plot(results, figure)
    figure.savefig(picture, dpi=90)
    return [table, record, picture]


def finite(value: Any) -> Any:
    """The same structure with numbers that JSON cannot hold as None."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
