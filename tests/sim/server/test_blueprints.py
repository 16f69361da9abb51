"""The blueprint library: CARLA's ids, and encodings that the client takes."""

from __future__ import annotations

from sim.server.blueprints import BY_ID, LIBRARY, WIRE


def test_library_is_complete_and_well_formed() -> None:
    assert len(BY_ID) == len(LIBRARY), "every id once"
    count = {prefix: sum(b.id.startswith(prefix) for b in LIBRARY) for prefix in ("vehicle.", "walker.", "sensor.")}
    assert count == {"vehicle.": 41, "walker.": 52, "sensor.": 18}
    for name in ("vehicle.lincoln.mkz_2020", "vehicle.audi.tt", "vehicle.audi.a2", "vehicle.toyota.prius",
                 "vehicle.gazelle.omafiets", "walker.pedestrian.0007", "static.trigger.friction",
                 "controller.ai.walker", "static.prop.streetbarrier"):  # fmt: skip
        assert name in BY_ID
    for uid, (number, name, tags, attributes) in enumerate(WIRE, 1):
        assert number == uid
        assert name.count(".") == 2
        assert tags == name.replace(".", ",")
        for key, kind, value, recommended, modifiable, restrict in attributes:
            assert key
            assert kind in (1, 2, 3, 4, 5)
            assert type(value) is str
            assert all(type(r) is str for r in recommended)
            assert type(modifiable) is bool
            assert type(restrict) is bool
            if kind == 1:
                assert value in ("true", "false")
            elif kind == 2:
                int(value)
            elif kind == 3:
                float(value)
            elif kind == 5:
                assert all(0 <= int(part) <= 255 for part in value.split(","))


def test_event_sensors_have_no_tick() -> None:
    for name in ("sensor.other.collision", "sensor.other.lane_invasion"):
        assert "sensor_tick" not in BY_ID[name].attributes
    assert "sensor_tick" in BY_ID["sensor.other.gnss"].attributes
