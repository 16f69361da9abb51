"""Every event that a driving metric counts, each brought about on purpose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from contracts import UserError
from sim.roads.tables import LaneTables, StopControl, WalkTables
from sim.world import fields as f
from sim.world.config import WorldConfig
from sim.world.presets import BodyType
from sim.world.world import World

Town = tuple[LaneTables, WalkTables]
MakeLanes = Callable[..., LaneTables]
NEVER = (
    "hit_vehicle", "hit_walker", "hit_static", "hits_forgiven", "red_light", "stop_sign", "off_road", "wrong_way",
    "deviated", "strayed", "stalled", "timeout", "yield_emergency", "scenario_timeout",
)  # fmt: skip


def alone(town: Town, worlds: int = 1, vehicles: int = 2, length: float = 300.0) -> World:
    """Egos at the start of random routes in an empty town."""
    config = WorldConfig(
        worlds=worlds, vehicles=vehicles, walkers=1, statics=1, egos=1, density=0, walker_density=0,
        route_length=length, route_points=int(length) + 10,
    )  # fmt: skip
    world = World(*town, config, seed=4)
    world.reset()
    return world


def put(world: World, along: float, offset: float = 0.0, turn: float = 0.0, speed: float = 0.0, w: int = 0) -> None:
    """Set the ego down beside its route."""
    k = int(along)
    x, y, yaw = (float(value) for value in world.state.buffers.route[w, 0, k, :3])
    x += (along - k) * np.cos(yaw) - offset * np.sin(yaw)
    y += (along - k) * np.sin(yaw) + offset * np.cos(yaw)
    world.set_pose(w, 0, x, y, 0.0, yaw + turn)
    world.state.vehicles.speed[w, 0] = speed
    world.state.egos.progress[w, 0] = k
    world.state.vehicles.wheel[w, 0] = 0.0
    # whoever sets an ego down elsewhere has its next stop line looked up again
    world.state.buffers.ei[w, f.E_STOP_POINT, 0] = -1


def glide(world: World, steps: int, brake: float = 0.0) -> None:
    """Let the egos roll along the route without steering."""
    control = np.zeros((world.config.worlds, 1, 3), np.float32)
    control[:, :, 1] = brake
    for _ in range(steps):
        world.step(control)


def counts(world: World, w: int = 0) -> dict[str, int]:
    return {name: int(getattr(world.state.egos, name)[w, 0]) for name in NEVER}


def nothing_but(world: World, *names: str, w: int = 0) -> None:
    seen = {name: n for name, n in counts(world, w).items() if n}
    assert seen == dict.fromkeys(names, 1)


@pytest.mark.parametrize("what", ["hit_vehicle", "hit_walker", "hit_static"])
@pytest.mark.parametrize("speed", [5.0, 0.0])
def test_collisions_count_once_a_contact_and_not_while_standing(make_lanes: MakeLanes, what: str, speed: float) -> None:
    config = WorldConfig(vehicles=2, walkers=1, statics=1, egos=1)
    world = World(make_lanes(1, 500.0), None, config)
    world.spawn(0, BodyType.CAR, 50.0, 0.0, 0.0, 0.0)
    world.set_velocity(0, 0, speed, 0.0)
    b = world.state.buffers
    distance = 5.5 if speed else 1.0
    if what == "hit_vehicle":
        world.spawn(0, BodyType.CAR, 50.0 + distance + 1.0, 0.0, 0.0, 0.0, f.PARKED)
    else:
        body, whole = (b.pf[0, :, 0], b.pi[0, :, 0]) if what == "hit_walker" else (b.of[0, :, 0], b.oi[0, :, 0])
        body[f.X], body[f.COS], body[f.HALF_LENGTH], body[f.HALF_WIDTH] = 50.0 + distance, 1.0, 0.4, 0.4
        whole[0] = f.PARKED
    glide(world, 8)
    nothing_but(world, what if speed else "hits_forgiven")


def lines(world: World, control: StopControl, at_least: float = 20.0) -> tuple[int, int]:
    """(world, route point) of a stop line of a kind, on a straight approach."""
    tables = world.tables
    for w in range(world.config.worlds):
        lane = world.state.buffers.route_lane[w, 0]
        for k in range(int(at_least), int(world.state.egos.route_points[w, 0]) - 12):
            if lane[k] != lane[k - 1] and tables.control[lane[k]] == control:
                yaw = world.state.buffers.route[w, 0, k - 15 : k + 3, 2]
                if np.ptp(yaw) < 0.05:
                    return w, k
    raise AssertionError(f"no {control!r} on any route")


@pytest.mark.parametrize("state", [1, 2, 3])
def test_only_red_lights_are_run(town: Town, state: int) -> None:
    world = alone(town, 24)
    w, k = lines(world, StopControl.LIGHT)
    put(world, k - 12, speed=8.0, w=w)
    world.state.signals.frozen[:] = 1
    world.state.signals.state[:] = state
    glide(world, 1)
    truth = world.observe()
    assert truth.light[w, 0] == state
    assert truth.stop_distance[w, 0] == pytest.approx(k - float(world.state.egos.along[w, 0]), abs=0.01)
    glide(world, 16)
    assert world.state.egos.along[w, 0] > k
    nothing_but(world, *(["red_light"] if state == 3 else []), w=w)


@pytest.mark.parametrize("honoured", [False, True])
def test_stop_signs_ask_for_a_standstill(town: Town, honoured: bool) -> None:
    world = alone(town, 24)
    w, k = lines(world, StopControl.STOP_SIGN)
    put(world, k - 7.5, speed=6.0, w=w)
    glide(world, 1)
    assert world.observe().stop_sign[w, 0] == 1
    if honoured:
        glide(world, 20, brake=1.0)
        assert world.observe().stop_sign[w, 0] == 0
        assert world.observe().stop_distance[w, 0] > 8 or np.isinf(world.truth.stop_distance[w, 0])
        world.state.vehicles.speed[w, 0] = 6.0
    glide(world, 16)
    assert world.state.egos.along[w, 0] > k
    nothing_but(world, *([] if honoured else ["stop_sign"]), w=w)


def straight(world: World) -> tuple[int, int]:
    """(world, route point) amid a straight piece of road without junction."""
    for w in range(world.config.worlds):
        for k in range(10, int(world.state.egos.route_points[w, 0]) - 60):
            lane = world.state.buffers.route_lane[w, 0, k : k + 40]
            bend = np.ptp(world.state.buffers.route[w, 0, k : k + 40, 2])
            if (lane == lane[0]).all() and world.tables.junction[lane[0]] < 0 and bend < 0.02:
                return w, k
    raise AssertionError("no straight road")


def test_off_road_outside_and_deviation(town: Town) -> None:
    world = alone(town, 8)
    w, k = straight(world)
    egos = world.state.egos
    half = float(world.state.buffers.route[w, 0, k, 3])
    put(world, k, offset=half + 0.3, speed=5.0, w=w)
    glide(world, 1)
    assert (egos.is_off_road[w, 0], egos.is_outside[w, 0]) == (1, 0), "within the tolerance of half a metre"
    put(world, k, offset=half + 0.8, speed=5.0, w=w)
    before = float(egos.outside[w, 0])
    glide(world, 10)
    assert egos.is_outside[w, 0] == 1
    assert egos.outside[w, 0] - before == pytest.approx(5.0, rel=0.1)
    nothing_but(world, "off_road", w=w)
    put(world, k, w=w)
    glide(world, 1)
    assert (egos.is_off_road[w, 0], egos.is_outside[w, 0]) == (0, 0)
    put(world, k, offset=31.0, w=w)
    glide(world, 1)
    assert egos.deviated[w, 0] == 1
    assert egos.off_road[w, 0] == 2


def test_a_route_ends_when_more_than_30_percent_of_it_was_driven_outside_its_lanes(town: Town) -> None:
    world = alone(town, 8)
    w, k = straight(world)
    egos = world.state.egos
    most = 0.3 * float(egos.length[w, 0])
    half = float(world.state.buffers.route[w, 0, k, 3])
    while egos.outside[w, 0] < most - 8:
        assert egos.strayed[w, 0] == 0
        put(world, k, offset=half + 0.8, speed=8.0, w=w)
        glide(world, 10)
    assert egos.strayed[w, 0] == 0
    for _ in range(2):
        put(world, k, offset=half + 0.8, speed=8.0, w=w)
        glide(world, 10)
    assert egos.outside[w, 0] > most
    nothing_but(world, "off_road", "strayed", w=w)


@pytest.mark.parametrize("passed", [True, False])
def test_a_scenario_is_passed_in_its_time_or_counted_once(town: Town, passed: bool) -> None:
    world = alone(town, 8)
    w, k = straight(world)
    egos = world.state.egos
    world.set_scenario(w, 0, k + 5, k + 30, limit=4.0)
    put(world, k, w=w)
    glide(world, 60, brake=1.0)
    assert (egos.scenario[w, 0], egos.scenario_time[w, 0]) == (1, 0.0), "its clock starts where it begins"
    put(world, k + 6, turn=np.pi, w=w)
    glide(world, 20, brake=1.0)
    assert egos.scenario[w, 0] == 2
    assert egos.is_wrong_way[w, 0] == 0, "on the other side of the road by permission"
    if passed:
        put(world, k + 31, w=w)
    glide(world, 60, brake=1.0)
    assert egos.scenario[w, 0] == 0
    assert egos.scenarios_passed[w, 0] == passed
    glide(world, 60, brake=1.0)
    nothing_but(world, *([] if passed else ["wrong_way", "scenario_timeout"]), w=w)
    with pytest.raises(UserError, match="a scenario from 10 to 9 m"):
        world.set_scenario(w, 0, 10, 9)


@pytest.mark.parametrize("state", [f.RED, f.GREEN])
def test_who_waits_at_a_red_light_is_not_in_the_way(town: Town, state: int) -> None:
    world = alone(town, 24)
    w, k = lines(world, StopControl.LIGHT, at_least=40.0)
    put(world, k - 6, w=w)
    world.state.signals.frozen[:] = 1
    world.state.signals.state[:] = state
    glide(world, 1, brake=1.0)
    x, y, yaw = (float(value) for value in world.state.buffers.route[w, 0, k - 18, :3])
    slot = world.spawn(w, BodyType.VAN, x, y, float(world.state.vehicles.z[w, 0]), yaw, f.KINEMATIC)
    world.state.vehicles.flags[w, slot] = f.EMERGENCY
    glide(world, 160, brake=1.0)
    assert world.state.egos.emergency[w, 0] != 0
    nothing_but(world, *([] if state == f.RED else ["yield_emergency"]), w=w)


@pytest.mark.parametrize("way", ["blocks", "aside", "in a queue"])
def test_an_emergency_vehicle_is_to_be_let_past(make_lanes: MakeLanes, way: str) -> None:
    config = WorldConfig(vehicles=3, walkers=0, statics=0, egos=1, density=0)
    world = World(make_lanes(1, 900.0, limit=15.0), None, config, seed=5)
    world.reset()
    egos, v = world.state.egos, world.state.vehicles

    def ride(slot: int, x: float, kind: BodyType) -> int:
        assert world.spawn(0, kind, x, 0.0, 0.0, 0.0, f.TRAFFIC) == slot
        v.lane[0, slot], v.s[0, slot] = 0, x
        return slot

    world.set_pose(0, 0, 400.0, 1.1 if way == "aside" else 0.0, 0.0, 0.0)
    duty = ride(1, 330.0, BodyType.VAN)
    v.flags[0, duty], v.wish[0, duty] = f.EMERGENCY, 1.25
    if way == "in a queue":
        v.wish[0, ride(2, 370.0, BodyType.CAR)] = 0.3
    held = 0.0
    for _ in range(300):
        world.step(np.array([[[0.0, 1.0, 0.0]]], np.float32))
        held += 0.1 * bool(egos.emergency[0, 0])
        assert not v.touch.any()
    if way == "aside":
        assert v.x[0, duty] > v.x[0, 0] + 100, "it has driven past"
        assert held < 10
    elif way == "in a queue":
        assert 390 < v.x[0, duty] < 400, "the built-in driver made way, the ego did not"
    else:
        assert v.x[0, duty] < 400
        assert held > 15
    nothing_but(world, *([] if way == "aside" else ["yield_emergency"]))


def test_wrong_way(town: Town) -> None:
    world = alone(town, 8)
    w, k = straight(world)
    put(world, k + 20, turn=np.pi, speed=5.0, w=w)
    glide(world, 5)
    nothing_but(world, "wrong_way", w=w)
    assert world.state.egos.outside[w, 0] == pytest.approx(2.5, rel=0.1)


def test_blocked_after_three_minutes(town: Town) -> None:
    world = alone(town)
    glide(world, 1799, brake=1.0)
    nothing_but(world)
    glide(world, 2, brake=1.0)
    nothing_but(world, "stalled")


def test_timeout_grows_with_progress(town: Town) -> None:
    world = alone(town, 8)
    w, k = straight(world)
    egos = world.state.egos
    assert egos.allowed[w, 0] == 300.0
    put(world, k, speed=8.0, w=w)
    glide(world, 20)
    limit = float(egos.speed_limit[w, 0])
    done = float(egos.completion[w, 0] * egos.length[w, 0])
    assert egos.allowed[w, 0] == pytest.approx(300 + done / (0.1 * limit), rel=0.05)
    egos.time[w, 0] = egos.allowed[w, 0] + 1
    glide(world, 1)
    nothing_but(world, "timeout", w=w)


def test_completion_and_speed_checks(town: Town) -> None:
    world = alone(town, vehicles=2)
    egos, v = world.state.egos, world.state.vehicles
    end = int(egos.route_points[0, 0]) - 1
    # a neighbour that is twice as fast sets the pace of the traffic
    v.mode[0, 1], v.speed[0, 1], v.lane[0, 1] = f.TRAFFIC, 10.0, -1
    for share in (0.2, 0.3, 0.55, 0.8, 0.999):
        put(world, share * end, speed=5.0)
        v.mode[0, 1] = f.ABSENT
        glide(world, 1)
    assert egos.speed_checks[0, 0] == 4
    assert egos.speed_share[0, 0] == 4.0, "without traffic there is nothing to compare with"
    assert egos.completion[0, 0] > 0.99
    assert egos.completed[0, 0] == 1
    assert egos.deviated[0, 0] == 0


def test_minimum_speed_compares_with_the_traffic_around(make_lanes: MakeLanes) -> None:
    world = World(make_lanes(2, 900.0), None, WorldConfig(vehicles=2, walkers=0, statics=0, egos=1, density=0))
    world.reset()
    egos, v = world.state.egos, world.state.vehicles
    slot = world.spawn(0, BodyType.CAR, float(v.x[0, 0]), float(7.0 - v.y[0, 0]), 0.0, 0.0, f.TRAFFIC)
    v.lane[0, slot], v.s[0, slot], v.wish[0, slot] = (0 if v.y[0, 0] > 1 else 1), v.x[0, 0], 1 / 3
    v.y[0, slot] = 3.5 * v.lane[0, slot]
    v.speed[0, slot] = 10.0
    for _ in range(250):
        v.speed[0, 0] = 5.0
        glide(world, 1)
        v.speed[0, slot], v.x[0, slot] = 10.0, v.x[0, 0]
        v.s[0, slot] = v.x[0, 0]
    assert egos.speed_checks[0, 0] >= 1
    assert egos.speed_share[0, 0] / egos.speed_checks[0, 0] == pytest.approx(0.5, abs=0.03)
