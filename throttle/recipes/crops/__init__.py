"""Crops that ship with the package: traffic signs and street scenes with vehicles, as the simulator's cameras see them.

`python -m tools.make_crops` renders them. Training crops are of the towns Alder and Gridley, test crops of Marlin.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]

FOLDER = Path(__file__).parent
SIGNS = ("stop", "yield", "no entry", "parking", "crossing", "30", "60", "90")
SIZES = {"signs": 32, "streets": 48}
"""Side of a crop, pixels."""
ROW = 32
"""Crops in a row of a file."""


def _pictures(name: str, count: int) -> Image:
    """The first `count` crops of a file, [count, side, side, 3] RGB."""
    sheet = cv2.imread(str(FOLDER / f"{name}.webp"), cv2.IMREAD_COLOR)
    if sheet is None:
        raise RuntimeError(f"{FOLDER / name}.webp is missing or damaged: run python -m tools.make_crops")
    side = SIZES[name.partition("-")[0]]
    rows = sheet.reshape(-1, side, ROW, side, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(rows.reshape(-1, side, side, 3)[:count, ..., ::-1])


@lru_cache(maxsize=2)
def signs(part: str) -> tuple[Image, npt.NDArray[np.int64]]:
    """Sign crops of `part` (train or test) [n, 32, 32, 3] (RGB) and classes [n], indices into SIGNS."""
    with np.load(FOLDER / "labels.npz") as tables:
        labels = tables[f"signs-{part}"]
    return _pictures(f"signs-{part}", len(labels)), labels


@lru_cache(maxsize=2)
def streets(part: str) -> tuple[Image, list[Boxes]]:
    """Street scenes of `part` (train or test) [n, 48, 48, 3] (RGB), each with its vehicles' boxes [k, 4] (left, top,
    right, bottom; px): one to three, of what is visible of each."""
    with np.load(FOLDER / "labels.npz") as tables:
        boxes, of = tables[f"streets-{part}"], tables[f"streets-{part}-of"]
    count = int(of[-1]) + 1
    return _pictures(f"streets-{part}", count), [boxes[of == k] for k in range(count)]
