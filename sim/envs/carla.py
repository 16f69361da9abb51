"""Urban driving on any CARLA server, with the observation, action and reward of throttle/Urban-v0."""

from __future__ import annotations

import queue
from typing import Any

import carla
import gymnasium
import numpy as np
from numpy.typing import NDArray

from contracts import Control, Scene, UserError
from sim.client import ClientConfig, ServerLost, Simulator
from sim.driving.carla_view import CarlaView, network_of
from sim.driving.referee import Referee
from sim.driving.route import RouteTracker
from sim.driving.surroundings import Surroundings
from sim.envs import rewards
from sim.envs.action import to_control
from sim.envs.observation import encode_scene
from sim.envs.observer import Observer
from sim.envs.single import action_space
from sim.envs.urban import make_urban, urban_terms
from sim.metrics import Route as Result
from sim.roads.routing import Route
from sim.world import fields as f
from sim.world.world import World

F32 = NDArray[np.float32]
LIFT = 0.2
"""Metres above the road at which a vehicle is spawned, as a real server wants it."""
OFF_ROUTE = 6.0
"""Metres beside the route that end an episode, as in throttle/Urban-v0."""
PICTURE = (640, 360)


class CarlaUrbanEnv(gymnasium.Env[F32, F32]):
    """
    ## Description

    `throttle/Urban-v0` on a CARLA server: drive a random route through a town with traffic (the client's Traffic
    Manager), lights and stop signs. The same observation, action and reward, so that a policy trained in the batched
    environment drives here, on `throttle sim serve` and on a real CARLA 0.9.16 alike.

    ## Action Space

    `Box(-1, 1, (2,), float32)`: pedal (above 0 throttle, below 0 brake) and steering (positive to the right, a share of
    what the tyres allow at the present speed, see `sim.envs.action`).

    ## Observation Space

    `Box(-1, 1, (SCENE_SIZE,), float32)`: a `contracts.Scene` encoded by `sim.envs.observation`.

    ## Rewards

    As `throttle/Urban-v0`: the sum of `progress`, `crash`, `red_light`, `stop_sign`, `off_road`, `comfort`, `arrival`.

    ## Starting State

    The start and the route that the seed gives in `throttle/Urban-v0` on the same town, and `traffic` vehicles at the
    server's spawn points.

    ## Episode Termination

    A collision, 6 m off the route, a red light run, 180 s without moving, or the arrival. Truncated after `time_limit`
    seconds. A server that dies in an episode is waited for (see `sim.client`) and the episode is truncated.

    ## Arguments

    `host`, `port`, `town` (None: the server's present one), `vehicle` (blueprint of the ego), `traffic` (vehicles),
    `route_length` (m), `time_limit` (s), `dt` (s), `client` (a `sim.client.ClientConfig` instead of host, port, town
    and dt).

    ## Version History

    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        render_mode: str | None = None,
        host: str = "127.0.0.1",
        port: int = 2000,
        town: str | None = None,
        vehicle: str = "vehicle.tesla.model3",
        traffic: int = 20,
        route_length: float = 250.0,
        time_limit: float = 60.0,
        dt: float = 0.1,
        client: ClientConfig | None = None,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise UserError(f"render_mode: {render_mode!r} is not one of None, 'rgb_array'")
        if not 0 <= traffic <= 500:
            raise UserError(f"traffic: {traffic} vehicles is not in [0, 500]")
        self.render_mode = render_mode
        config = client or ClientConfig(host=host, port=port, town=town, delta=dt)
        if config.delta is None:
            raise UserError("client: an environment needs a fixed step (delta)")
        self.dt, self.vehicle, self.traffic = config.delta, vehicle, traffic
        self.task = make_urban(route_length=route_length, time_limit=time_limit, dt=self.dt, traffic=0.0, walkers=0.0)
        self.observation_space = Observer(self.task).space
        self.action_space = action_space()  # type: ignore[assignment]
        self.metadata = {**self.metadata, "render_fps": round(1.0 / self.dt)}
        self._pictures: queue.Queue[Any] = queue.Queue()
        self._camera: Any = None
        self._episodes: World | None = None
        self._steps, self._limit = 0, round(time_limit / self.dt)
        self.sim = Simulator(config)
        self._seeded = False

    # -- an episode ---------------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[F32, dict[str, Any]]:
        """Start the next episode; with a seed, the first episode of that seed."""
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            start = seed if seed is not None else int(self.np_random.integers(2**31 - 1))
            self._episodes = None
            self._first = start & 0x7FFFFFFF
            self._seeded = True
        pose, route = self._draw()
        try:
            self._begin(pose, route)
        except (ServerLost, RuntimeError):
            if self.sim.alive():
                raise
            self.sim.reconnect()
            self._begin(pose, route)
        return self._observe(), {}

    def _draw(self) -> tuple[F32, Route]:
        """Pose [4] x, y, z, yaw and route of the next episode, drawn as the batched environment draws them."""
        tables = network_of(self.sim.map.to_opendrive(), self.sim.map.name.split("/")[-1]).lane_tables()
        if self._episodes is None:
            self._episodes = World(tables, None, self.task.world_config(1), self._first)
        world = self._episodes
        world.reset()
        b = world.state.buffers
        n = int(b.ei[0, f.E_ROUTE_POINTS, 0])
        points, lane = b.route[0, 0, :n], b.route_lane[0, 0, :n].copy()
        z = np.zeros(n, np.float32)  # a route's height is nowhere asked for
        kept = lane[np.r_[True, lane[1:] != lane[:-1]]]
        route = Route(points[:, 0].copy(), points[:, 1].copy(), z, points[:, 2].copy(), lane, kept, float(n - 1))
        return b.vf[0, [f.X, f.Y, f.Z, f.YAW], 0].copy(), route

    def _begin(self, pose: F32, route: Route) -> None:
        """Everything of the last episode goes; the ego, its sensors and the traffic come."""
        sim = self.sim
        sim.clear()
        x, y, z, yaw = (float(v) for v in pose)
        place = carla.Transform(carla.Location(x, y, z + LIFT), carla.Rotation(yaw=float(np.degrees(yaw))))
        self.ego = sim.spawn(self.vehicle, place, role_name="hero")
        self._view = CarlaView(sim, self.ego)
        self._tracker = RouteTracker(self._view.network, route)
        self._referee = Referee(self._tracker)
        self._spawn_traffic(x, y)
        if self.render_mode is not None:
            self._pictures = queue.Queue()
            behind = carla.Transform(carla.Location(x=-7.0, z=3.2), carla.Rotation(pitch=-12.0))
            width, height = PICTURE
            self._camera = sim.spawn(
                "sensor.camera.rgb", behind, self.ego, image_size_x=width, image_size_y=height, fov=90
            )
            self._camera.listen(self._pictures.put)
        sim.tick()
        around = self._view.look()
        self._tracker.update(around)
        self._referee.update(around)
        self._steps, self._steer, self._acceleration = 0, 0.0, 0.0
        self._along = self._tracker.along

    def _spawn_traffic(self, x: float, y: float) -> None:
        if not self.traffic:
            return
        manager = self.sim.traffic_manager(self._first)
        points = [p for p in self.sim.map.get_spawn_points() if np.hypot(p.location.x - x, p.location.y - y) > 12.0]
        random = np.random.default_rng([self._first, int(self._episodes.state.buffers.wi[0, f.W_EPISODE])])  # type: ignore[union-attr]
        library = [b for b in self.sim.world.get_blueprint_library().filter("vehicle.*")
                   if b.has_attribute("base_type") and b.get_attribute("base_type").as_str() == "car"]  # fmt: skip
        library.sort(key=lambda blueprint: str(blueprint.id))
        spawns = []
        for k in random.permutation(len(points))[: self.traffic]:
            blueprint = library[int(random.integers(len(library)))]
            autopilot = carla.command.SetAutopilot(carla.command.FutureActor, True, manager.get_port())
            spawns.append(carla.command.SpawnActor(blueprint, points[int(k)]).then(autopilot))
        answers = self.sim.client.apply_batch_sync(spawns, False)
        numbers = [answer.actor_id for answer in answers if not answer.error]
        self.sim.own(*self.sim.world.get_actors(numbers))

    def step(self, action: F32) -> tuple[F32, float, bool, bool, dict[str, Any]]:
        """Advance the server by dt."""
        before = self._around.ego.speed
        self._steps += 1
        action = np.asarray(action, np.float32)
        turned = float(np.clip(action[1], -1.0, 1.0)) - self._steer
        self._steer += turned
        control = to_control(action, before)
        try:
            self._apply(control)
            self.sim.tick()
            around = self._view.look()
        except (ServerLost, RuntimeError):
            if self.sim.alive():
                raise
            self.sim.reconnect()
            return self._last, 0.0, False, True, {"terms": {}, "report": self._report()}
        self._tracker.update(around)
        forgiven = self._referee.forgiven
        kinds = [infraction.kind for infraction in self._referee.update(around)]
        obs = self._observe(around)
        tracker = self._tracker
        gained, self._along = tracker.along - self._along, tracker.along
        acceleration = (around.ego.speed - before) / self.dt
        jerk, self._acceleration = (acceleration - self._acceleration) / self.dt, acceleration
        crashed = forgiven != self._referee.forgiven or any(kind in ("walker", "vehicle", "static") for kind in kinds)
        left = self._referee.is_off_road or tracker.deviated or abs(tracker.offset) > OFF_ROUTE
        arrived = self._referee.ended == "completed"
        terms = self._terms(around, gained, jerk, turned, crashed, kinds, left, arrived)
        terminated = bool(crashed or left or "red_light" in kinds or arrived or self._referee.ended == "blocked")
        truncated = self._steps >= self._limit and not terminated
        info: dict[str, Any] = {"terms": terms}
        if terminated or truncated:
            info["report"] = self._report()
        return obs, sum(terms.values()), terminated, truncated, info

    def _apply(self, control: Control) -> None:
        self.ego.apply_control(carla.VehicleControl(control.throttle, control.steer, control.brake))

    def _terms(
        self, around: Surroundings, gained: float, jerk: float, turned: float, crashed: bool, kinds: list[str],
        left: bool, arrived: bool,
    ) -> dict[str, float]:  # fmt: skip
        tracker, one = self._tracker, np.ones(1, np.float32)
        speed = one * around.ego.speed
        factors = rewards.factors_of(
            one * tracker.offset, speed - tracker.speed_limit, np.array([self._referee.is_outside])
        )
        terms = urban_terms(
            progress=rewards.progress_of(one * gained, one * tracker.speed_limit, self.dt) * factors,
            speed=speed,
            crashed=np.array([crashed]),
            red_light=np.array([kinds.count("red_light")]),
            stop_sign=np.array([kinds.count("stop_sign")]),
            left_road=np.array([left]),
            comfort=rewards.comfort_of(one * jerk, one * turned),
            arrived=np.array([arrived]),
        )
        return {name: float(value[0]) for name, value in terms.items()}

    def _observe(self, around: Surroundings | None = None) -> F32:
        self._around = around or self._view.look()
        self._last = encode_scene(self.scene())
        return self._last.copy()

    def _report(self) -> dict[str, Any]:
        result: Result = self._referee.result()
        return {"steps": self._steps, "seconds": self._steps * self.dt, "route": result, "ended": self._referee.ended}

    # -- looking ------------------------------------------------------------------------------------------------------

    def scene(self) -> Scene:
        """The truth as contracts.Scene."""
        return self._tracker.scene(self._around)

    def surroundings(self) -> Surroundings:
        """The truth in the town's frame."""
        return self._around

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """The picture [360, 640, 3] of a camera behind the ego at the present frame; None without a render mode."""
        if self._camera is None:
            return None
        frame = self.sim.world.get_snapshot().frame
        while True:
            image = self._pictures.get(timeout=self.sim.config.startup)
            if image.frame >= frame:
                break
        self._pictures.put(image)  # the same frame may be asked for again
        pixels = np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)
        return np.ascontiguousarray(pixels[:, :, 2::-1])

    def close(self) -> None:
        """Destroy what was spawned here and restore the server's settings."""
        self.sim.close()
