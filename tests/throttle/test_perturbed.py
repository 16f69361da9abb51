"""Arms beside one another under perturbations: what is in the page, the pictures and the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from clipping import ClipConfig
from clipping.config import StrategyConfig
from throttle.report.perturbed import Perturbed, arms, curve_table, write

FIGURES = {"map50": "mAP50", "score": "driving score"}


def run(clip: ClipConfig, base: float, rate: float = 0.003) -> Perturbed:
    falls = np.linspace(1.0, 0.5, 6)
    curve = {"map50": (base * falls).tolist(), "score": (100 * base * falls).tolist()}
    area = {"map50": 0.75 * base, "score": 75 * base}
    local = {"median": 10 * base, "p95": 20 * base}
    return Perturbed("run", clip, rate, {"curves": {"noise": curve}, "area": {"noise": area}, "sensitivity": local})


CLIPPED, BARE = ClipConfig("global_norm", threshold=10.0), ClipConfig("none")


def test_the_page_has_every_figure_of_every_arm(tmp_path: Path) -> None:
    several = [run(CLIPPED, 0.2), run(BARE, 0.4), run(CLIPPED, 0.4)]
    files = write(several, tmp_path, "3 pictures of test", FIGURES, "||a|| / ||b||")
    text = files["robustness"].read_text()
    assert "3 pictures of test. Area" in text
    assert "| mAP50, area | global_norm=10 (n 2) | none (n 1) |" in text
    assert "| unperturbed | 0.300 [0.200, 0.400] | 0.400 |" in text
    assert "| noise | 0.225 [0.150, 0.300] | 0.300 |" in text
    assert "| noise | 22.5 [15.0, 30.0] | 30.0 |" in text
    assert "| median | 3.00 [2.00, 4.00] | 4.00 |" in text
    assert "||a|| / ||b||" in text
    assert all(files[name].stat().st_size > 1000 for name in FIGURES)


def test_an_arm_is_what_was_clipped_alike() -> None:
    several = [run(CLIPPED, 0.2), run(BARE, 0.4), run(CLIPPED, 0.4), run(BARE, 0.1, 0.01)]
    assert set(arms(several)) == {"global_norm=10, lr 0.003", "none, lr 0.003", "none, lr 0.01"}
    groups = ClipConfig("none", groups={"*.heads.*": StrategyConfig("global_norm", 5.0)})
    assert set(arms([run(groups, 0.1)])) == {"none, *.heads.* global_norm=5.0"}


def test_the_table_shows_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=120).print(curve_table(run(BARE, 0.4), "score", "driving score", "{:.1f}", "change / change"))
    said = capsys.readouterr().out
    assert "run: driving score under perturbations" in said
    assert "40.0" in said
    assert "30.0" in said
    assert "change / change: median 4.00" in said
