"""Statistics, cache and output of the experiments."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from contracts import UserError
from throttle.experiments.base import Experiment, Results, Trial, median, short
from throttle.experiments.runner import digest, run, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Toy(Experiment):
    name: ClassVar[str] = "toy"
    question: ClassVar[str] = "Is it a toy?"
    columns: ClassVar[tuple[str, ...]] = ("value",)

    log: str = ""
    factor: float = 2.0

    @property
    def arms(self) -> tuple[str, ...]:
        return ("low", "high")

    def trial(self, arm: str, seed: int) -> Trial:
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"{arm} {seed}\n")
        value = math.inf if arm == "high" and seed == 1 else self.factor * seed + (arm == "high")
        return {"value": value, "curve": [1.0, value]}

    def sentence(self, results: Results) -> str:
        return f"low {results.median('low', 'value')}, high {results.median('high', 'value')}"

    def plot(self, results: Results, figure: Figure) -> None:
        figure.subplots().plot(results.values("low", "value"))


@dataclass(frozen=True)
class Fatal(Toy):
    """Its last trial takes its process down."""

    def trial(self, arm: str, seed: int) -> Trial:
        if (arm, seed) == ("high", 2):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().trial(arm, seed)


def finish(toy: Toy, folder: Path, seeds: int = 3, jobs: int = 1) -> Results:
    *_, (done, total, results) = run(toy, folder, seeds, jobs)
    assert done == total
    assert results is not None
    return results


def calls(toy: Toy) -> int:
    return len(Path(toy.log).read_text().splitlines())


def test_the_interval_of_the_median_is_that_of_order_statistics() -> None:
    five = median([5, 1, 4, 2, 3])
    assert (five.middle, five.low, five.high, five.coverage) == (3, 1, 5, 1 - 2 / 32)
    nine = median(range(9))
    assert (nine.middle, nine.low, nine.high) == (4, 1, 7)
    assert nine.coverage == 1 - 2 * (1 + 9) / 512
    assert median([1.0, math.nan, 2.0]).diverged == 1
    assert str(median([math.inf] * 3)) == "diverged in 3 of 3"
    assert str(median([1.0, 2.0, math.inf])) == "2 [1, inf], diverged in 1 of 3"
    assert short(0.00001234) == "1.23e-5"
    with pytest.raises(ValueError, match="at least one"):
        median([])


def test_a_killed_run_resumes_and_a_finished_one_costs_nothing(tmp_path: Path) -> None:
    toy = Toy(log=str(tmp_path / "log"))
    for done, _, _ in run(toy, tmp_path, 3):
        if done == 4:
            break
    assert calls(toy) == 4
    first = finish(toy, tmp_path)
    assert calls(toy) == 6
    again = finish(toy, tmp_path)
    assert calls(toy) == 6
    assert again.trials == first.trials
    finish(toy, tmp_path, seeds=4)
    assert calls(toy) == 8


def test_a_killed_process_is_one_clear_line_and_the_same_command_goes_on(tmp_path: Path) -> None:
    toy = Fatal(log=str(tmp_path / "log"))
    with pytest.raises(UserError, match="was killed"):
        finish(toy, tmp_path, jobs=2)
    assert finish(Toy(log=toy.log), tmp_path).seeds == [0, 1, 2]


def test_other_settings_and_damaged_files_are_run_again(tmp_path: Path) -> None:
    toy = Toy(log=str(tmp_path / "log"))
    finish(toy, tmp_path)
    other = Toy(log=toy.log, factor=3.0)
    assert digest(other) != digest(toy)
    assert finish(other, tmp_path).values("low", "value") == [0, 3, 6]
    damaged = next((tmp_path / "trials").glob(f"low-seed1-{digest(toy)}.json"))
    damaged.write_text('{"value": ')
    before = calls(toy)
    assert finish(toy, tmp_path).values("low", "value") == [0, 2, 4]
    assert calls(toy) == before + 1


def test_the_files_hold_every_trial_and_valid_json(tmp_path: Path) -> None:
    toy = Toy(log=str(tmp_path / "log"))
    results = finish(toy, tmp_path)
    table, record, picture = save(toy, results, tmp_path, {"command": "throttle experiments toy"})
    rows = list(csv.DictReader(table.open()))
    assert [(r["arm"], r["seed"], r["value"]) for r in rows[3:]] == [
        ("high", "0", "1.0"),
        ("high", "1", "inf"),
        ("high", "2", "5.0"),
    ]

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    body = json.loads(record.read_text(), parse_constant=refuse)
    assert body["command"] == "throttle experiments toy"
    assert body["summary"]["high"]["value"]["diverged"] == 1
    assert picture.read_bytes()[:4] == b"\x89PNG"
