"""A small dataset for reading tests; its maker is `small.py` beside this file."""

import importlib.util
import shutil
from pathlib import Path

import pytest


def maker():
    spec = importlib.util.spec_from_file_location("recorder_small", Path(__file__).parent / "small.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """A finished dataset; do not change it."""
    return maker().make(tmp_path_factory.mktemp("data") / "small", steps=16)


@pytest.fixture
def copied(whole, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))
