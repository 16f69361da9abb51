"""Recorded once for all tests of planning."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from planning.data import Episodes

sys.path.insert(0, str(Path(__file__).parent))
from planning_helpers import recorded, write_dataset


@pytest.fixture(scope="session")
def train_part() -> Episodes:
    """Six routes of Alder, 16 s each."""
    return recorded("Alder", "train", 6, 16.0)


@pytest.fixture(scope="session")
def validation_part() -> Episodes:
    """Two other routes of Alder."""
    return recorded("Alder", "validation", 2, 12.0)


@pytest.fixture(scope="session")
def dataset(train_part: Episodes, validation_part: Episodes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both as a dataset on disk; the validation routes are the test split, too."""
    root = tmp_path_factory.mktemp("driving") / "dataset"
    write_dataset(root, [("train", train_part), ("validation", validation_part), ("test", validation_part)])
    return root
