"""A town with traffic to look at: cameras aimed by name, every sensor as an RGB picture, picture and video files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts import UserError
from sim import roads
from sim.sensors.camera import Camera, Renderer
from sim.sensors.labels import PALETTE
from sim.sensors.lidar import Lidar, Pose, RayCaster, semantic_scan
from sim.sensors.weather import Weather
from sim.sensors.world_view import VEHICLE_ID, actors_of, lights_of
from sim.world.config import WorldConfig
from sim.world.world import World

Picture = NDArray[np.uint8]
STEP = 0.05


class Stage:
    """A town with its traffic, a renderer and a clock."""

    def __init__(
        self,
        town: str,
        weather: str = "ClearNoon",
        vehicles: int = 50,
        walkers: int = 40,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.weather = Weather.named(weather)
        self.network = roads.load(town)
        self.tables = self.network.lane_tables()
        config = WorldConfig(vehicles=vehicles, walkers=walkers, egos=0, statics=0, dt=STEP)
        self.world = World(self.tables, self.network.walk_tables(), config, seed)
        self.world.reset()
        self.renderer = Renderer(self.network, seed, device=device)
        self.time = 0.0
        self._behind = 0.0
        self._caster: RayCaster | None = None
        points = np.stack([self.tables.x, self.tables.y, self.tables.z], 1)
        self._low, self._high = points.min(0), points.max(0)

    def advance(self, seconds: float) -> None:
        """Let the traffic run."""
        self._behind += seconds
        while self._behind >= STEP - 1e-6:
            self.world.step()
            self.time += STEP
            self._behind -= STEP

    def aim(self, view: str, vehicle: int, optics: Camera, share: float = 0.0) -> Camera:
        """A camera of `optics`: driver, chase or roadside of a vehicle, bird over it, or fly (`share` of the way)."""
        v = self.world.state.vehicles
        x, y, z, yaw = (float(a[0, vehicle]) for a in (v.x, v.y, v.z, v.yaw))
        c, s = np.cos(yaw), np.sin(yaw)
        if view == "driver":
            ahead = float(v.half_length[0, vehicle]) * 0.3
            high = 1.35 if v.half_height[0, vehicle] < 1.0 else 2.1
            return replace(optics, x=x + ahead * c, y=y + ahead * s, z=z + high, pitch=-0.03, yaw=yaw)
        if view == "chase":
            return replace(optics, x=x - 7.5 * c, y=y - 7.5 * s, z=z + 3.2, pitch=-0.17, yaw=yaw)
        if view == "roadside":
            at = np.array([x + 11 * c - 5.2 * s, y + 11 * s + 5.2 * c])
            return replace(
                optics, x=at[0], y=at[1], z=z + 1.75, pitch=-0.02, yaw=float(np.arctan2(y - at[1], x - at[0]))
            )
        if view == "bird":
            return replace(optics, x=x - 28 * c, y=y - 28 * s, z=z + 42.0, pitch=-0.85, yaw=yaw)
        middle, half = (self._low + self._high) / 2, (self._high - self._low) / 2
        angle = 2 * np.pi * (share * 0.6 + 0.1)
        at = middle[:2] + 0.75 * half[:2] * np.array([np.cos(angle), np.sin(angle)])
        look = middle[:2] - at
        high = 26.0 + 14.0 * np.sin(2 * np.pi * share)
        pitch = -float(np.arctan2(high, 0.6 * np.hypot(*look)))
        return replace(
            optics,
            x=at[0],
            y=at[1],
            z=float(self._high[2]) + high,
            pitch=pitch,
            yaw=float(np.arctan2(look[1], look[0])),
        )

    def picture(self, camera: Camera, sensor: str = "rgb", hide: int = -1, frame: int = 0) -> Picture:
        """What a sensor sees as RGB [H, W, 3]; `hide`: the vehicle slot that carries the camera."""
        state = self.world.state
        actors = actors_of(state, self.tables, weather=self.weather, hide=hide)
        if sensor == "lidar":
            if self._caster is None:
                self._caster = RayCaster(self.renderer.scene)
            self._caster.update(actors)
            lidar = Lidar(channels=64, range=80.0, points_per_second=640_000, upper_fov=10, lower_fov=-25)
            pose = Pose(camera.x, camera.y, camera.z + 0.8, 0.0, 0.0, camera.yaw)
            points, _ = semantic_scan(self._caster, lidar, pose, 0.1)
            return draw_points(points, camera.width, camera.height)
        previous = None
        if sensor == "flow":
            earlier = replace(actors, pose=actors.pose.copy())
            earlier.pose[:, :3] -= actors.velocity * STEP
            own = state.vehicles
            moved = STEP * float(own.speed[0, hide]) if hide >= 0 else 0.0
            back = replace(camera, x=camera.x - moved * np.cos(camera.yaw), y=camera.y - moved * np.sin(camera.yaw))
            previous = (back, earlier)
        outputs = ("semantic", "instance") if sensor == "instance" else (sensor,)
        got = self.renderer.render(
            camera, actors, self.weather, lights_of(state), outputs=outputs,
            time=self.time, frame=frame, previous=previous,
        )  # fmt: skip
        return colours(got, sensor)


def colours(got: dict[str, NDArray], sensor: str) -> Picture:
    """An output of `Renderer.render` as RGB for people: tags in CARLA's palette, depth by its logarithm."""
    if sensor == "rgb":
        return got["rgb"]
    if sensor == "semantic":
        return np.asarray(PALETTE[got["semantic"]])
    if sensor == "instance":
        ids = got["instance"].astype(np.uint32)
        mixed = ids * np.uint32(2654435761)
        tint = np.stack([(mixed >> 24) | 64, (mixed >> 16) & 255, (mixed >> 8) & 255], -1)
        return np.where(ids[..., None] > 0, tint, PALETTE[got["semantic"]] // 3).astype(np.uint8)
    if sensor == "depth":
        level = np.clip(1 + np.log(np.maximum(got["depth"], 0.1) / 1000) / 5.7, 0, 1)
        return np.repeat((level * 255).astype(np.uint8)[..., None], 3, 2)
    if sensor == "normal":
        return np.round(127.5 + 127.5 * got["normal"]).astype(np.uint8)
    flow = got["flow"]
    size = np.linalg.norm(flow, axis=-1)
    hsv = np.stack([(np.arctan2(flow[..., 1], flow[..., 0]) + np.pi) / (2 * np.pi) * 179, np.full_like(size, 255),
                    np.clip(size * 6000, 0, 255)], -1)  # fmt: skip
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def draw_points(points: NDArray[np.void], width: int, height: int, metres: float = 90.0) -> Picture:
    """Semantic lidar points from above, the sensor in the middle, forward up; actors in bright colours."""
    out = np.full((height, width, 3), 12, np.uint8)
    scale = height / metres
    u = (width / 2 + points["y"] * scale).astype(int)
    v = (height / 2 - points["x"] * scale).astype(int)
    order = np.argsort(points["z"])
    keep = order[((u >= 0) & (u < width) & (v >= 0) & (v < height))[order]]
    color = PALETTE[points["tag"][keep]].astype(float)
    moving = points["instance"][keep] < 32768
    color = np.where((moving & (points["instance"][keep] >= VEHICLE_ID))[:, None], color * 0.5 + 127, color * 0.8 + 30)
    for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)):
        out[np.minimum(v[keep] + dv, height - 1), np.minimum(u[keep] + du, width - 1)] = color.astype(np.uint8)
    return out


def save_picture(path: str | Path, picture: Picture) -> None:
    """Write a .png or .jpg; UserError where the folder cannot be written."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, 88] if str(path).lower().endswith(".jpg") else []
    if not cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]), options):
        raise UserError(f"{path}: cannot be written")


@contextmanager
def open_video(path: str | Path, width: int, height: int, fps: int) -> Iterator[Callable[[Picture], None]]:
    """A function that appends pictures to an H.264 video."""
    import imageio_ffmpeg

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, macro_block_size=2, quality=7, ffmpeg_log_level="error"
    )
    writer.send(None)
    try:
        yield lambda picture: writer.send(np.ascontiguousarray(picture))
    finally:
        writer.close()
