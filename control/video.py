"""Videos of policies at the wheel, side by side on the same route."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from contracts import UserError
from control.config import EnvConfig
from control.env import make_env
from control.evaluate import HELD_OUT_SEED, Policy

Image = NDArray[np.uint8]
CAPTION = 40
"""Height of the caption above each picture, pixels."""
HOLD = 1.0
"""Seconds that the end of a route stays in the picture."""


def frames(
    name: str,
    policy: Policy,
    config: EnvConfig,
    seed: int,
    seconds: float,
    prepare: Callable[[VecEnv], None],
    **changes: Any,
) -> Iterator[Image]:
    """Pictures of one episode, at most `seconds` long, with a caption that says who drives and how it went."""
    env = make_env(config, HELD_OUT_SEED + seed, 1, "rgb_array", **changes)
    prepare(env)
    obs: Any = env.reset()
    starts = np.ones(1, np.bool_)
    total, time, note = 0.0, 0.0, ""
    period = frame_period(env)
    try:
        while time < seconds and not note:
            try:
                picture = env.get_images()[0]
            except DependencyNotInstalled as error:
                raise UserError(f"{config.id} cannot draw itself: {error}; evaluate it with --video false") from None
            if picture is None:
                return
            yield _captioned(picture, name, f"{time:4.1f} s  return {total:.1f}")
            obs, reward, dones, infos = env.step(policy.act(obs, starts))
            starts = np.asarray(dones, np.bool_)
            total, time = total + float(reward[0]), time + period
            if starts[0]:
                report = infos[0].get("report")
                note = f"{100 * report['completion']:.0f}% of the route" if report else "episode over"
                for _ in range(round(HOLD / period)):
                    yield _captioned(picture, name, note)
    finally:
        env.close()


def frame_period(env: VecEnv) -> float:
    """Seconds between two steps; 1/30 where the environment does not say."""
    task = getattr(env.unwrapped, "task", None)
    if task is not None:
        return float(task.config.dt)
    rate = env.get_attr("metadata")[0].get("render_fps", 30)
    return 1.0 / float(rate)


def write(
    path: Path,
    policies: Mapping[str, tuple[Policy, Callable[[VecEnv], None]]],
    config: EnvConfig,
    seed: int = 0,
    seconds: float = 30.0,
    progress: Callable[[], None] = lambda: None,
    **changes: Any,
) -> None:
    """Write an mp4 of `seconds`: the policies side by side, on the same routes one after the other.

    None of the routes was trained on. A panel keeps its last picture until the others have ended the route too.
    """
    env = make_env(config, 0, 1, "rgb_array", **changes)
    fps = round(1.0 / frame_period(env))
    env.close()
    temporary = path.with_name(f".{path.name}")
    writer: Any = None
    shown, route = 0, 0
    while shown < seconds * fps:
        before = shown
        for picture in _side_by_side(policies, config, seed + route, seconds - shown / fps, changes):
            if writer is None:
                height, width = picture.shape[:2]
                writer = imageio_ffmpeg.write_frames(
                    str(temporary), (width, height), fps=fps, output_params=["-f", "mp4"], macro_block_size=2, quality=7
                )
                writer.send(None)
            writer.send(picture)
            shown += 1
            progress()
        if shown == before:  # an environment without pictures
            break
        route += 1
    if writer is not None:
        writer.close()
        os.replace(temporary, path)


def _side_by_side(
    policies: Mapping[str, tuple[Policy, Callable[[VecEnv], None]]],
    config: EnvConfig,
    seed: int,
    seconds: float,
    changes: Mapping[str, Any],
) -> Iterator[Image]:
    """All policies on one route, until the last of them has ended it."""
    panels = [frames(name, p, config, seed, seconds, prepare, **changes) for name, (p, prepare) in policies.items()]
    last: list[Image | None] = [None] * len(panels)
    while True:
        new = [next(panel, None) for panel in panels]
        if all(picture is None for picture in new):
            return
        last = [fresh if fresh is not None else old for fresh, old in zip(new, last)]
        yield np.ascontiguousarray(np.hstack([p for p in last if p is not None]))


def _captioned(picture: Image, name: str, text: str) -> Image:
    bar = np.full((CAPTION, picture.shape[1], 3), 28, np.uint8)
    cv2.putText(bar, name, (12, 27), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (245, 245, 245), 1, cv2.LINE_AA)
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0]
    place = (picture.shape[1] - width - 12, 26)
    cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (190, 200, 210), 1, cv2.LINE_AA)
    return np.vstack([bar, picture])
