"""The real CARLA client and Traffic Manager against the server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tests.sim.server.conftest import CLIENT, ENVIRONMENT, ROOT, Bare, ServerProcess, run_client


def test_first_steps(server: ServerProcess) -> None:
    seen = run_client(server.port, "first_steps")
    assert seen["versions"] == ["0.9.16", "0.9.16"]
    assert seen["spawn_points"] > 50
    assert seen["off_lane"] < 0.5
    assert seen["off_heading"] < 2.0
    assert seen["blueprints"] > 200
    assert seen["frames"]
    assert seen["delta"] == pytest.approx(0.05)
    assert 8 < seen["moved"] < 25
    assert seen["straight"] > 0.999
    assert 7 < seen["speed"] < 20
    assert seen["throttle"] == pytest.approx(0.7)
    assert seen["gear"] >= 2
    assert 20 <= seen["speed_limit"] <= 120
    assert seen["stopped"] < 0.01
    assert seen["box"] == pytest.approx([2.40, 1.08, 0.74])
    assert seen["occupied"] == "Spawn failed because of collision at spawn position"
    assert seen["try_spawn"]
    assert seen["actors"] == ["spectator", "traffic", "vehicle"]
    assert seen["destroyed"]
    assert seen["gone"]


def test_maps(server: ServerProcess) -> None:
    seen = run_client(server.port, "maps")
    assert {"Alder", "Gridley", "Marlin"} <= set(seen["names"])
    assert seen["loaded"] == [[name, True, True] for name in seen["names"]]
    assert seen["layered"] == "Alder_Opt"
    assert "not found" in seen["unknown"]
    assert seen["same_ids"]
    assert seen["generated"] == "OpenDriveMap"
    assert seen["generated_points"] > 10
    assert "XML" in seen["broken"]
    assert seen["frames_grow"]


def test_moving_by_hand(server: ServerProcess) -> None:
    seen = run_client(server.port, "moving")
    assert seen["teleport"] < 0.1
    assert seen["velocity"] == pytest.approx(10, abs=0.3)
    assert seen["constant"] == pytest.approx(7, abs=0.01)
    assert seen["impulse"] == pytest.approx(5, abs=0.3)
    assert seen["frozen"] < 0.01
    assert seen["sprint_heavy"] < 0.5 * seen["sprint"]
    assert seen["mass_kept"] == pytest.approx(4)
    assert seen["sprint_icy"] < 0.5 * seen["sprint"]
    assert seen["ackermann"] == pytest.approx(6, abs=0.2)
    assert -10 < seen["reverse"] < -1
    assert seen["lamps"] == 2 | 8
    assert seen["telemetry_wheels"] == 4
    assert abs(seen["steer_angle"]) < 5


def test_grip(server: ServerProcess) -> None:
    seen = run_client(server.port, "grip")
    assert seen["rolling"] < 20 - 0.3 * 2 - 0.1, "wheels that roll, and the engine, take speed away"
    assert seen["sliding"] == pytest.approx(20, abs=1e-2)
    assert seen["falling"] == pytest.approx(20, abs=1e-2)
    assert seen["trigger"] == pytest.approx([3.5, 0.7, 0.7, 3.5, 0.7, 3.5])
    first, later = seen["momentary"]
    assert 0 < later <= first, "the throttle held for one tick"


def test_sensor_streams(server: ServerProcess) -> None:
    seen = run_client(server.port, "streams")
    counts = seen["counts"]
    assert counts["imu"] == counts["gnss"] == 90, "one a tick, none lost"
    assert counts["slow"] == 23, "ceil(90 x .05 / .2)"
    assert seen["exact"], "frame and time are those of the snapshot"
    assert seen["collision"] == [True, True]
    assert seen["impulse"] > 1000
    assert all(seen["obstacle"])
    assert seen["obstacle_distances"][0] == pytest.approx(11.5, abs=1)
    assert seen["obstacle_distances"] == sorted(seen["obstacle_distances"], reverse=True)
    assert seen["geo_error"] < 0.01
    assert seen["gravity"] == pytest.approx(9.81, abs=0.01)
    assert seen["compass"][0] == pytest.approx(seen["compass"][1], abs=1e-3)


def test_rendered_sensors(server: ServerProcess) -> None:
    seen = run_client(server.port, "pictures", timeout=500)
    assert len(seen["frames"]) == 15, "eleven kinds on one vehicle, four sensors on another"
    assert all(seen["frames"].values()), "one message a tick, of that tick"
    assert {1, 11, 14} <= set(seen["tags"]), "road, sky, car"
    assert 7 < seen["car_depth"] < 12
    assert seen["control"] == [[255, 0, 0]], "a car's colour in control pictures"
    assert seen["colours"] > 10
    assert seen["instances"] > 50
    assert seen["behind"]["size"] == [[80, 120], [80, 120]]
    assert seen["behind"]["colours"] > 10
    assert seen["behind"]["sees"], "the camera on the car ahead looks back at the first"
    normal, slow = seen["behind"]["brightness"]
    assert slow > 1.2 * normal, "four times the light"
    assert min(seen["behind"]["lidar_points"]) > 100
    assert min(seen["lidar_points"]) > 100
    assert seen["lidar_channels"] == 32
    assert seen["lidar_sees"]
    for name, tags in seen["shown"].items():
        assert tags, f"the lidar meets {name}"
        assert set(tags) <= set(seen["told"][name]), "an actor's tags are those that sensors show it in"
    assert seen["told"]["static.prop.vendingmachine"] == [20]
    assert seen["told"]["vehicle.kawasaki.ninja"] == [13, 18]
    assert seen["radar"] > 5
    assert all(0 < depth <= 100 for depth in seen["radar_depths"])


def test_traffic_lights(server: ServerProcess) -> None:
    seen = run_client(server.port, "lights")
    assert seen["count"] > 0
    assert seen["all_colours"]
    assert min(seen["groups"]) >= 2
    assert seen["stop_waypoints"] >= 1
    assert seen["affected"] >= 1
    assert seen["opendrive"]
    assert 1 <= seen["boxes"] <= 3
    assert seen["frozen"] == ["Red", True]
    assert seen["far"] is False
    assert seen["at"] == [True, "Red"]
    assert seen["same_light"]
    assert 0 < seen["distance"] < 9
    assert seen["turned"] == "Green"
    assert seen["green_time"] == 4.0


def test_walkers(server: ServerProcess) -> None:
    seen = run_client(server.port, "walkers")
    assert seen["moved"] == pytest.approx([0, 3], abs=0.1)
    assert seen["speed"] == pytest.approx(1.5, abs=0.01)
    assert seen["control"] == [1.5, 1.0]
    assert seen["bones"] == 4
    assert seen["yaw"] == pytest.approx(90), "it looks where it goes"
    assert seen["box"] == pytest.approx([0.19, 0.19, 0.93])
    assert seen["pushed"][0] == pytest.approx(2 - 0.6 * 9.81 * 0.05, abs=0.01), "150 N s on 75 kg, less friction"
    assert seen["pushed"][1] == pytest.approx(2**2 / (2 * 0.6 * 9.81), abs=0.06)
    assert seen["shoved"] == pytest.approx([3 - 0.6 * 9.81 * 0.05, 0.0], abs=0.01)
    assert 5 < seen["turned"] < 30
    assert seen["turning"] == [pytest.approx(29.6, abs=10), 0.0]
    assert seen["still"] == pytest.approx(0, abs=1e-3), "friction has taken it all"
    assert "does not move by physics" in seen["fixed"]
    assert seen["goal_label"] == "Sidewalk"
    assert len(seen["crowd"]) >= 4
    assert max(seen["crowd"]) == pytest.approx(14, abs=1.5), "ten seconds at 1.4 m/s"
    assert sorted(seen["crowd"])[len(seen["crowd"]) // 2] > 4, "the client's walker AI finds its way on the mesh"


def test_scene(server: ServerProcess) -> None:
    seen = run_client(server.port, "scene")
    assert seen["ray_labels"][:2] == ["Car", "Roads"]
    assert seen["ray_heights"][:2] == pytest.approx([1.48, 0.0], abs=0.02)
    assert seen["ground"][0] == "Roads"
    assert seen["ahead"] == "Car"
    assert seen["roof"][0] == "Buildings"
    assert seen["roof"][1] <= seen["roof"][2] + 0.02
    assert seen["through"] == 1, "a building once, however many of its walls lie on the way"
    assert seen["weather"] == [80, 30, -5]
    assert seen["spectator"] == [1, 2, 30]
    assert seen["boxes"] > 0
    assert seen["objects"] >= seen["names"] > seen["boxes"]
    assert seen["texture"] == "this server cannot replace textures"
    assert len(seen["vehicle_lights"]) == 1
    assert seen["layers"] == ""


def test_v2x(server: ServerProcess) -> None:
    seen = run_client(server.port, "v2x")
    assert set(seen["heard"]) == {"0", "1", "2"}
    assert seen["heard"]["2"] > seen["heard"]["0"], "one moves and speaks more often than the one that stands"
    assert [i for i in seen["ids"] if i in seen["stations"]] == seen["ids"]
    assert seen["missed"] == 0, "out of the filter's distance"
    ((tick, power, message),) = seen["said"]
    assert tick == 0, "in the tick after"
    assert -99 < power < 40
    assert message == {
        "Header": {"Protocol Version": 2, "Message ID": "CUSTOM", "Station ID": seen["ids"][0]}, "Message": "hello",
    }  # fmt: skip
    awareness = seen["last"]["Message"]["CAM Parameters"]
    assert awareness["Basic Container"]["Station Type"] == "Passenger Car"
    place = awareness["Basic Container"]["Reference Position"]
    assert [place["Latitude"] / 1e7, place["Longitude"] / 1e7] == pytest.approx(seen["place"], abs=1e-4)
    motion = awareness["High Frequency Container"]["Basic Vehicle Container High Frequency"]
    assert motion["Speed"]["Value"] / 100 == pytest.approx(seen["speed"], abs=1.0)
    assert motion["Vehicle Length"]["Value"] == 48


def test_batches(server: ServerProcess) -> None:
    seen = run_client(server.port, "batch")
    assert seen["spawned"] == seen["destroyed"] == 10
    assert seen["error"] == ["Spawn failed because of collision at spawn position"]
    assert min(seen["speeds"]) == pytest.approx(max(seen["speeds"])) == pytest.approx(5, abs=0.2)
    assert seen["mixed"] == [False, True, False, False, False, False]
    assert seen["moved"] < 0.5
    assert seen["fog"] == 128
    assert seen["left"] == 0


def test_recording_and_replay(server: ServerProcess) -> None:
    seen = run_client(server.port, "recording")
    assert "Map: Alder" in seen["info"]
    assert "vehicle.tesla.model3" in seen["info"]
    assert " v o " in seen["collisions"]
    assert "vehicle.tesla.model3" in seen["blocked"]
    assert "cannot read" in seen["missing"]
    assert seen["outside"] == [True, True], "recordings stay in their folder"
    assert seen["replayed"] == 1
    assert seen["reached"] < 0.01
    assert seen["light"] == "Off"
    assert seen["fog"] == 128
    assert seen["props"] == 1
    assert seen["left"] == 0
    assert seen["sensors"] == [[], ["sensor.camera.depth", "sensor.other.gnss"]], "with replay_sensors alone"
    assert seen["parents"], "the recorded vehicle's sensors are on the replayed one"
    assert seen["measured"] > 20
    assert seen["sensor_off"] < 1e-3, "and where they were"


def test_spring_arms(server: ServerProcess) -> None:
    seen = run_client(server.port, "arms", timeout=400)
    ghost = seen["ghost"]
    assert ghost["place"] == pytest.approx([-6, 0, 3], abs=0.01)
    assert ghost["rotation"] == pytest.approx([-26.57 + 5, 0], abs=0.01), "along the arm, turned by its own rotation"
    # three steps of an 80th of a second each; the rest loses 8 x dt of itself in each, the parent turns evenly
    rest = 0.0
    for _ in range(3):
        rest = (rest + 30) * (1 - 8 * 0.05 / 3)
    assert seen["lag"]["ghost"] == pytest.approx(90 - rest, abs=0.1)
    assert seen["lag"]["rigid"] == pytest.approx(90, abs=0.01)
    assert seen["settled"] == pytest.approx(90, abs=0.5)
    assert seen["blocked"]["ghost"] == pytest.approx(6, abs=0.01)
    assert seen["blocked"]["arm"] == pytest.approx(4 - 0.45 - 0.12, abs=0.05), "before the prop, by the probe's radius"
    assert seen["free"] == pytest.approx([-6, 0, 1.3], abs=0.01), "raised, and back when nothing stands there"
    assert seen["dug"] > seen["road"], "not under the road"
    assert seen["batch"] == pytest.approx([-6, 0, 3], abs=0.01)


def test_traffic_manager_drives(server: ServerProcess) -> None:
    seen = run_client(server.port, "traffic", "Alder", 30, 400)
    assert seen["vehicles"] == 30
    assert seen["mean_speed"] > 3
    assert seen["off_road"] <= 2


def test_a_killed_client_leaves_a_running_server(server: ServerProcess) -> None:
    with subprocess.Popen(
        [*CLIENT, "hold", str(server.port)], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        held = holder.stdout.readline()
        while not held.startswith("{"):
            held = holder.stdout.readline()
        os.kill(holder.pid, signal.SIGKILL)
    bare = Bare(server.port)
    vehicle = json.loads(held)["holding"]
    end = time.monotonic() + 5
    while bare.value("get_episode_settings")[0]:
        assert time.monotonic() < end, "synchronous mode was not released"
        time.sleep(0.05)
    assert bare.value("is_traffic_manager_running", 8000 + server.port % 1000) is False
    assert len(bare.value("get_actors_by_id", [vehicle])) == 1, "its actors stay, as in CARLA"
    frame = bare.value("tick_cue")
    assert bare.value("tick_cue") >= frame
    bare.close()
