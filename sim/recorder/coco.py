"""Annotations of all episodes as one COCO file a split."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sim.recorder.schema import CATEGORIES, SPLITS


def merge(parts: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Split -> COCO content, from episodes {"summary", "images"} in their order; ids count from 1 over all splits."""
    found: dict[str, dict[str, Any]] = {
        split: {
            "info": {"description": "recorded by throttle record", "version": "1"},
            "categories": [{"id": k + 1, "name": name, "supercategory": "object"} for k, name in enumerate(CATEGORIES)],
            "images": [],
            "annotations": [],
        }
        for split in SPLITS
    }
    images = annotations = 0
    for part in parts:
        target = found[part["summary"]["split"]]
        for image in part["images"]:
            images += 1
            boxes = image["annotations"]
            target["images"].append({"id": images, **{k: v for k, v in image.items() if k != "annotations"}})
            for box in boxes:
                annotations += 1
                target["annotations"].append({"id": annotations, "image_id": images, **box})
    return found
