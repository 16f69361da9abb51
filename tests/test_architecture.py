"""The house rules that a machine can check: imports run downwards, every option of the command line has an owner."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from throttle.cli import VERBS

ROOT = Path(__file__).parent.parent
ALLOWED: dict[str, set[str]] = {
    "contracts": set(),
    "clipping": set(),
    "training": {"contracts", "clipping"},
    "sim": {"contracts"},
    "perception": {"contracts", "clipping", "training", "sim"},
    "planning": {"contracts", "clipping", "training", "sim"},
    "control": {"contracts", "clipping", "sim"},
    "throttle": {"contracts", "clipping", "training", "sim", "perception", "planning", "control"},
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_run_downwards(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in sorted(imports(path) & set(ALLOWED) - {package} - ALLOWED[package])
    ]
    assert not wrong


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_there(verb: str) -> None:
    module = importlib.import_module(VERBS[verb][0])
    assert module.__doc__, "the help of a command is its module's docstring"
    assert callable(module.add_arguments)
    assert callable(module.run)
