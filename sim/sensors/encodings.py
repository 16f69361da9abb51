"""Outputs of the renderer as CARLA's pictures: [H, W, 4] BGRA bytes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.sensors.labels import FAR

F32 = NDArray[np.float32]


def encode_depth(depth: F32) -> NDArray[np.uint8]:
    """CARLA's depth picture [H, W, 4] BGRA: 24 bits of depth / 1000 m, red lowest."""
    value = np.clip(depth / FAR, 0, 1).astype(np.float64) * (256**3 - 1)
    code = value.astype(np.uint32)
    out = np.empty((*depth.shape, 4), np.uint8)
    out[..., 2], out[..., 1], out[..., 0], out[..., 3] = code & 255, (code >> 8) & 255, (code >> 16) & 255, 255
    return out


def encode_semantic(semantic: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """CARLA's semantic picture [H, W, 4] BGRA: the tag in red."""
    out = np.zeros((*semantic.shape, 4), np.uint8)
    out[..., 2], out[..., 3] = semantic, 255
    return out


def encode_instance(semantic: NDArray[np.uint8], instance: NDArray[np.int32]) -> NDArray[np.uint8]:
    """CARLA's instance picture [H, W, 4] BGRA: the tag in red, the id's low byte in green, its high byte in blue."""
    out = encode_semantic(semantic)
    out[..., 1], out[..., 0] = instance & 255, (instance >> 8) & 255
    return out


def encode_normal(normal: F32) -> NDArray[np.uint8]:
    """CARLA's normals picture [H, W, 4] BGRA: .5 + .5 n per axis (x red, y green, z blue)."""
    out = np.full((*normal.shape[:2], 4), 255, np.uint8)
    out[..., 2::-1] = np.round(127.5 + 127.5 * normal)
    return out


def encode_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W, 4] BGRA."""
    return cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGRA).astype(np.uint8, copy=False)
