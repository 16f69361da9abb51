"""Every command of the README and the pages is one that the program takes, every link leads somewhere, Python uses what
is there."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from contracts import UserError
from throttle.cli import VERBS, make_parser
from throttle.commands.train_control import find_preset

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
parser_of = functools.cache(make_parser)
OURS = ("clipping", "contracts", "control", "examples", "perception", "planning", "sim", "throttle", "training")
ELSEWHERE = (
    "clipping.md",
    "clipping-checks.md",
)  # fragments: see tests/clipping/test_docs.py
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def commands(text: str) -> list[list[str]]:
    """The words of each `throttle ...` line in the code blocks of a page."""
    found = []
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        rest = ""
        for line in block.replace("\\\n", " ").splitlines():
            for part in f"{rest}{line.strip()}".split("; "):
                rest = ""
                if part.startswith("throttle "):
                    try:
                        found.append(shlex.split(part, comments=True)[1:])
                    except ValueError:  # a quotation that goes on in the next line
                        rest = f"{part} "
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_is_one_that_throttle_takes(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, content in re.findall(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(content)
    for name in re.findall(r"\b(\w+\.pth)\b", text):  # weights that the user is to fetch
        (tmp_path / name).touch()
    (tmp_path / "runs").mkdir()
    for words in commands(text):
        verb = next((v for v in (" ".join(words[:2]), words[0]) if v in VERBS), None)
        assert verb, f"throttle {shlex.join(words)}"
        options = find_preset(words[len(verb.split()) :])
        parser, module = parser_of(verb)
        if hasattr(module, "rewrite") and "--resume" not in options:  # that reads a run, which is not here
            options = module.rewrite(options)
        try:
            parser.instantiate(parser.parse_args(options))
        except (SystemExit, UserError) as error:
            pytest.fail(f"throttle {shlex.join(words)}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def python(page: Path) -> str:
    """The Python blocks of a page, one after the other."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return "\n".join(blocks)


SNIPPETS = [page for page in PAGES if page.name not in ELSEWHERE and python(page)]


@pytest.mark.parametrize("page", SNIPPETS, ids=lambda page: page.name)
def test_the_python_of_a_page_uses_what_is_there(page: Path) -> None:
    code = python(page)
    check = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "--output-format", "concise", "-"]
    said = subprocess.run(check, input=code, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
            module = importlib.import_module(node.module)
            assert not [alias.name for alias in node.names if not hasattr(module, alias.name)], node.module
