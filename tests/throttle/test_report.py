"""Reports: what they say, that they need no network, and that a browser shows them."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from throttle.cli import main
from throttle.compare.collect import collect
from throttle.report.build import build
from throttle.report.charts import Axis, Dots, Line, dots, lines
from throttle.report.page import page
from throttle.report.summary import tell
from throttle.runs import Run, write_atomic

sys.path.insert(0, str(Path(__file__).parent))
from compare_helpers import design

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCORES = {"none": [1.0, 2, 3, 4, 5], "global_norm=0.05": [21.0, 22, 23, 24, 25], "agc": [2.0, 3, 1, 5, 4]}


def write_comparison(folder: Path) -> Path:
    """A comparison as its runs leave it, with scores that are known: three arms, five seeds, one run diverged."""
    made = design(arms="none,global_norm=0.05,agc", seeds=[0, 1, 2, 3, 4], question='Is "a < b" & so on?')
    from throttle.compare.comparison import Comparison
    from throttle.tracking import TrackingConfig

    place = Run.create_at(folder, "comparison", made)
    comparison = Comparison(made, place, TrackingConfig(wandb="disabled"))
    for planned in comparison.planned:
        path = folder / planned.name
        path.mkdir()
        score = SCORES[planned.arm][planned.seed]
        lost = planned.arm == "none" and planned.seed == 0
        origin = "step 64: gradient of mlp_extractor.policy_net.0.weight" if lost else ""
        ended: dict[str, Any] = {
            "state": "diverged" if lost else "finished", "origin": origin, "step": 640, "seconds": 10.0,
            "clip_seconds": 0.2, "initial_weights": f"w{planned.seed}", "final_weights": planned.name,
        }  # fmt: skip
        figures = {"return": score, "episodes": 4.0}
        write_atomic(path / "result.json", json.dumps(ended))
        write_atomic(path / "evaluation.json", json.dumps({"": {"figures": figures}}))
        curve = [score / 2, score / 3, score / 4, score / 6, score / 8, score / 10]
        robust = {
            "metric": "return",
            "severities": {"sensor_noise": [0.02, 0.05, 0.1, 0.2, 0.4]},
            "curves": {"sensor_noise": curve},
            "area": {"sensor_noise": score / 3},
            "sensitivity": 0.5,
        }
        write_atomic(path / "robustness.json", json.dumps(robust))
        rows = [f"{64 * n},rollout/return,{score * n / 10}\n{64 * n},time/fps,64" for n in range(1, 11)]
        write_atomic(path / "metrics.csv", "step,name,value\n" + "\n".join(rows) + "\n")
        clip = [f"{64 * n},{n},{2 + n},{min(2 + n, 5)},1,5,{int(2 + n > 5)},0,0" for n in range(1, 11)]
        head = "timestep,step,norm,norm_after,coef,threshold,clipped,skipped,nonfinite\n"
        write_atomic(path / "clip_control.csv", head + "\n".join(clip) + "\n")
    known = {"untrained": {"": {"figures": {"return": 0.5}}}}
    write_atomic(folder / f"references-{comparison.planned[0].setting.slug}.json", json.dumps(known))
    place.finish("finished")
    return folder


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_comparison(tmp_path_factory.mktemp("runs") / "known")


def test_the_summary_says_what_the_numbers_say(comparison: Path) -> None:
    told = tell(collect(comparison))
    assert told.headline == "global_norm=0.05 scored better than none, and of agc no difference can be claimed."
    by = {row["arm"]: row for row in told.summary}
    assert by["none"]["score"] == 3.0
    assert by["global_norm=0.05"]["score"] == 23.0
    assert by["none"]["diverged"] == 1
    assert by["agc"]["claim"] == "none"
    assert by["agc"]["more_seeds"] == math.inf  # the same scores in another order
    assert by["none"]["clipped"] == 0.7
    assert by["none"]["clip_cost"] == pytest.approx(0.02)
    assert by["none"]["norm_max"] == 12.0
    assert by["global_norm=0.05"]["improvement"] == 1.0
    claims = [said.claim for said in told.said]
    assert claims[0].startswith("global_norm=0.05 is better than none. Trainings that diverged: 0 global_norm=0.05, 1")
    assert claims[1].startswith("agc against none: no difference can be claimed. The arms scored alike")
    assert told.said[0].evidence.startswith("global_norm=0.05 - none: +20.0 return, 95% interval")


def test_arms_that_learned_nothing_are_called_so(comparison: Path) -> None:
    found = collect(comparison)
    (setting,) = found.settings
    found.references[setting] = {"untrained": {"return": 20.0}}
    assert tell(found).headline.startswith("global_norm=0.05 scored better"), "one arm learned"
    found.references[setting] = {"untrained": {"return": 30.0}}
    assert tell(found).headline.startswith("Nothing was learned: no arm scored better than the untrained policy.")


class Outside(HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in ("src", "href") and value:
                (self.links if tag == "a" else self.found).append(value)


def test_the_files_hold_every_run_and_the_page_fetches_nothing(comparison: Path, tmp_path: Path) -> None:
    built = build([collect(comparison)], comparison / "report")
    text = built.files["report"].read_text()
    runs = [r.name for r in collect(comparison).rows]
    seen = Outside()
    seen.feed(text)
    assert not [link for link in seen.found if not link.startswith("data:")]
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", text)
    assert "@import" not in text
    for link in seen.links:
        if link.startswith("#run"):
            assert link[1:] in seen.ids, "every number leads to its run"
        elif not link.startswith("#"):
            assert (comparison / "report" / link).exists(), "and every run to its folder"
    assert {f"run-0-{name}" for name in runs} <= seen.ids
    assert "Is &quot;a &lt; b&quot; &amp; so on?" in text
    assert "gradient of mlp_extractor.policy_net.0.weight" in text
    robust = text[text.index("<h2>Robustness</h2>") :]
    assert "<b>global_norm=0.05 is better than none.</b> global_norm=0.05 - none: +6.67 of mean area" in robust
    assert "noise on observations: 0.02, 0.05, 0.1, 0.2, 0.4" in robust
    for name in runs:
        for file in ("evaluation.json", "result.json"):
            assert f'href="../{name}/{file}"' in text, "numbers lead to the files that they come from"
    markdown = built.files["text"].read_text()
    assert "**global_norm=0.05 scored better than none, and of agc no difference can be claimed.**" in markdown
    assert markdown.count("\n| ppo, CartPole-v1") == 3
    assert "For comparison: untrained 0.500." in markdown
    assert "- **agc against none: no difference can be claimed." in markdown
    with open(built.files["table"], newline="") as file:
        rows = list(csv.DictReader(file))
    table = pyarrow.parquet.read_table(built.files["parquet"])
    assert len(rows) == table.num_rows == 15
    assert [float(r["score"]) for r in rows] == table["score"].to_pylist()
    assert table["figure/return"].to_pylist() == table["score"].to_pylist()
    alone = build([collect(comparison)], tmp_path / "alone", links=False)
    kept = Outside()
    kept.feed(alone.files["report"].read_text())
    assert all(link.startswith("#") for link in kept.links)
    assert "../none-seed0" not in alone.files["text"].read_text()
    two = build([collect(comparison), collect(comparison)], tmp_path / "both")
    assert two.files["report"].read_text().count("<h2>Scores</h2>") == 2


def test_the_verb_reports_an_unfinished_comparison_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_comparison(tmp_path / "part")
    for seed in (1, 2, 3, 4):
        shutil.rmtree(folder / f"agc-seed{seed}")
    assert main(["report", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "4 of 15 planned runs are not over" in said
    assert "n = 1 seed an arm" in said
    assert main(["report", str(tmp_path / "nothing")]) == 2


def browse(file: Path, *options: str) -> str:
    """The page after its scripts ran, as the browser has it."""
    assert CHROMIUM
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", *options]
    done = subprocess.run([*command, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.external
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_it_sorts_it_and_lets_values_be_read(comparison: Path, tmp_path: Path) -> None:
    found = collect(comparison)
    acts = """<script>
      const errors = []; window.onerror = (m) => errors.push(m);
      addEventListener("load", () => {
        const heads = [...document.querySelectorAll("table.sortable")].at(-1).querySelectorAll("thead th");
        const score = [...heads].find((h) => h.textContent === "score");
        const column = [...heads].indexOf(score);
        score.click(); score.click();
        const rows = [...document.querySelectorAll("table.sortable")].at(-1).tBodies[0].rows;
        const figure = [...document.querySelectorAll("figure.chart")].find((f) => f.querySelector("script"));
        const svg = figure.querySelector("svg"), box = svg.getBoundingClientRect();
        svg.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width * .7, clientY: box.top + 50}));
        const tip = figure.querySelector(".tip").textContent;
        figure.querySelector(".key").click();
        const report = document.createElement("pre"); report.id = "seen";
        report.textContent = JSON.stringify({
          errors, tip, order: [...rows].map((r) => +r.cells[column].dataset.v),
          wide: document.documentElement.scrollWidth - innerWidth,
          hidden: svg.querySelector(".c0").style.display,
          paper: getComputedStyle(document.body).backgroundColor,
        });
        document.body.append(report);
      });</script></body>"""
    text = page([tell(found)], {"command": "none"}, tmp_path).replace("</body>", acts)
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")

    def seen(*options: str) -> dict[str, Any]:
        match = re.search(r'<pre id="seen">(.*?)</pre>', browse(file, *options), re.DOTALL)
        assert match
        told: dict[str, Any] = json.loads(match[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
        return told

    light = seen("--window-size=1200,900")
    assert light["errors"] == []
    assert light["order"] == sorted((v for arm in SCORES.values() for v in arm), reverse=True)
    assert "none" in light["tip"]
    assert "agc" in light["tip"]
    assert light["hidden"] == "none"
    assert light["paper"] == "rgb(255, 255, 255)"
    small = seen("--window-size=500,900", "--blink-settings=preferredColorScheme=0")
    assert small["wide"] <= 0, "nothing sticks out on a small screen"
    assert small["paper"] == "rgb(20, 23, 28)", "dark where the system is"


def test_charts_put_values_where_they_belong() -> None:
    chart = lines("a < b", [Line("arm", 1, [0, 10], [0, 100], [0, 90], [0, 110])], "steps", "score")
    assert "a &lt; b" in chart
    points = re.search(r'class="line c1" points="([^"]+)"', chart)
    assert points
    (x0, y0), (x1, y1) = (tuple(map(float, p.split(","))) for p in points[1].split())
    assert x0 == 66.0
    assert x1 == 626.0
    assert y0 == 248.0
    assert y1 == pytest.approx(12 + 236 * (1 - 100 / 125))  # the axis ends at 125
    assert lines("none", [], "x", "y") == ""
    logarithmic = Axis.over([0.02, 700.0], log=True)
    assert (logarithmic.low, logarithmic.high) == (0.01, 1000.0)
    assert logarithmic.share(0.01) == 0
    assert logarithmic.share(math.sqrt(10)) == pytest.approx(0.5)
    ticks = Axis.over([3.0, 97.0]).ticks
    assert ticks == [0, 20, 40, 60, 80, 100]
    row = Dots("arm", 1, [1.0, 2.0], ["seed 0", "seed 1"], ["#a", "#b"], 1.5, 1.0, 2.0)
    assert dots("t", [row], "score").count("<circle") == 2
    hostile = lines("t", [Line("</script><b>", 0, [0, 1], [0, 1])], "x", "y")
    assert "</script><b>" not in hostile
    assert np.isfinite(Axis.over([1.0, 1.0]).share(1.0))
