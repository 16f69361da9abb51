"""What can be spawned: the ids of CARLA 0.9.16 with their sizes, as data.

Half extents are metres, as CARLA's bounding boxes give them (measured vehicles; rounded to centimetres).
"""

# ruff: noqa: E501 (tables)
from __future__ import annotations

from dataclasses import dataclass

from sim.world.presets import BodyType


@dataclass(frozen=True)
class VehicleModel:
    """One vehicle blueprint. `half`: half length, width, height. `mass` in kg."""

    id: str
    half: tuple[float, float, float]
    mass: float
    body: BodyType = BodyType.CAR
    base_type: str = "car"
    special_type: str = ""
    generation: int = 1
    lights: bool = True
    doors: bool = False
    wheels: int = 4
    colors: tuple[str, ...] = ("17,37,103", "255,255,255", "0,0,0", "134,134,134", "99,0,0")


_CAR, _VAN, _TRUCK, _BUS = BodyType.CAR, BodyType.VAN, BodyType.TRUCK, BodyType.BUS
_BIKE, _MOTOR = BodyType.BICYCLE, BodyType.MOTORCYCLE


def _two(
    name: str, half: tuple[float, float, float], mass: float, body: BodyType, lights: bool, *colors: str
) -> VehicleModel:
    kind = "bicycle" if body is _BIKE else "motorcycle"
    return VehicleModel(name, half, mass, body, kind, "", 1, lights, False, 2, colors)


VEHICLES: tuple[VehicleModel, ...] = (
    VehicleModel("vehicle.audi.a2", (1.85, 0.89, 0.77), 1130, lights=False),
    VehicleModel("vehicle.audi.etron", (2.43, 1.02, 0.82), 2490, lights=False),
    VehicleModel("vehicle.audi.tt", (2.09, 1.00, 0.69), 1410),
    VehicleModel("vehicle.bmw.grandtourer", (2.31, 1.12, 0.83), 1560, lights=False),
    VehicleModel("vehicle.carlamotors.carlacola", (2.60, 1.31, 1.23), 3500, _TRUCK, "truck"),
    VehicleModel("vehicle.carlamotors.european_hgv", (3.97, 1.45, 1.72), 9000, _TRUCK, "truck", generation=2),
    VehicleModel("vehicle.carlamotors.firetruck", (4.23, 1.45, 1.91), 12000, _TRUCK, "truck", "emergency", 2, doors=True),
    VehicleModel("vehicle.chevrolet.impala", (2.68, 1.02, 0.71), 1690, lights=False),
    VehicleModel("vehicle.citroen.c3", (1.99, 0.93, 0.81), 1140, lights=False),
    VehicleModel("vehicle.dodge.charger_2020", (2.50, 1.05, 0.77), 1850, generation=2, doors=True),
    VehicleModel("vehicle.dodge.charger_police", (2.49, 1.02, 0.77), 1920, special_type="emergency"),
    VehicleModel("vehicle.dodge.charger_police_2020", (2.62, 1.05, 0.82), 1950, _CAR, "car", "emergency", 2, doors=True),
    VehicleModel("vehicle.ford.ambulance", (3.18, 1.18, 1.22), 3900, _VAN, "van", "emergency", 2, doors=True),
    VehicleModel("vehicle.ford.crown", (2.68, 0.90, 0.79), 1860, special_type="taxi", generation=2, doors=True),
    VehicleModel("vehicle.ford.mustang", (2.36, 0.95, 0.65), 1320),
    VehicleModel("vehicle.jeep.wrangler_rubicon", (1.93, 0.95, 0.94), 1950, lights=False),
    VehicleModel("vehicle.lincoln.mkz_2017", (2.45, 1.06, 0.76), 1750),
    VehicleModel("vehicle.lincoln.mkz_2020", (2.45, 1.12, 0.74), 1750, generation=2, doors=True),
    VehicleModel("vehicle.mercedes.coupe", (2.51, 1.08, 0.83), 1700, lights=False),
    VehicleModel("vehicle.mercedes.coupe_2020", (2.34, 1.00, 0.72), 1700, generation=2, doors=True),
    VehicleModel("vehicle.mercedes.sprinter", (2.96, 0.99, 1.28), 2600, _VAN, "van", generation=2, doors=True),
    VehicleModel("vehicle.micro.microlino", (1.10, 0.74, 0.69), 535, lights=False),
    VehicleModel("vehicle.mini.cooper_s", (1.90, 0.99, 0.74), 1250, lights=False),
    VehicleModel("vehicle.mini.cooper_s_2021", (2.28, 1.05, 0.88), 1300, generation=2, doors=True),
    VehicleModel("vehicle.mitsubishi.fusorosa", (5.14, 1.97, 2.13), 7500, _BUS, "bus", generation=2),
    VehicleModel("vehicle.nissan.micra", (1.82, 0.92, 0.75), 1030, lights=False),
    VehicleModel("vehicle.nissan.patrol", (2.30, 0.97, 0.93), 2250, lights=False),
    VehicleModel("vehicle.nissan.patrol_2021", (2.78, 1.07, 1.02), 2700, generation=2, doors=True),
    VehicleModel("vehicle.seat.leon", (2.10, 0.91, 0.74), 1300, lights=False),
    VehicleModel("vehicle.tesla.cybertruck", (3.14, 1.19, 1.05), 3100, base_type="truck"),
    VehicleModel("vehicle.tesla.model3", (2.40, 1.08, 0.74), 1845),
    VehicleModel("vehicle.toyota.prius", (2.26, 1.00, 0.76), 1400, lights=False),
    VehicleModel("vehicle.volkswagen.t2", (2.24, 1.03, 1.02), 1260, _VAN, "van"),
    VehicleModel("vehicle.volkswagen.t2_2021", (2.22, 0.93, 0.99), 1260, _VAN, "van", generation=2, doors=True),
    _two("vehicle.bh.crossbike", (0.74, 0.43, 0.80), 90, _BIKE, False, "101,108,18", "16,23,1"),
    _two("vehicle.diamondback.century", (0.82, 0.19, 0.77), 90, _BIKE, False, "36,89,163", "93,93,93"),
    _two("vehicle.gazelle.omafiets", (0.92, 0.18, 0.81), 92, _BIKE, False, "0,0,0", "96,8,8"),
    _two("vehicle.harley-davidson.low_rider", (1.18, 0.38, 0.76), 380, _MOTOR, False, "10,10,10", "70,6,6"),
    _two("vehicle.kawasaki.ninja", (1.02, 0.40, 0.73), 240, _MOTOR, False, "15,96,8", "10,10,10"),
    _two("vehicle.vespa.zx125", (0.90, 0.43, 0.83), 190, _MOTOR, True, "23,88,149", "228,228,228"),
    _two("vehicle.yamaha.yzf", (1.10, 0.43, 0.80), 260, _MOTOR, True, "10,10,60", "90,10,10"),
)  # fmt: skip

WALKERS = 52
CHILDREN = frozenset({9, 10, 11, 12, 13, 14, 48, 49})
"""Numbers of the walkers that are children."""
OLD_GENERATION = 14
"""Walkers above this number belong to the second generation."""
USES_WHEELCHAIR = frozenset({15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30})

PROPS: dict[str, tuple[float, float, float]] = {
    "advertisement": (0.65, 0.15, 1.30), "atm": (0.45, 0.30, 0.85), "barbeque": (0.55, 0.35, 0.50),
    "barrel": (0.30, 0.30, 0.45), "bench01": (0.75, 0.30, 0.45), "bench02": (0.75, 0.30, 0.45),
    "bench03": (0.75, 0.30, 0.45), "bike helmet": (0.15, 0.12, 0.10), "bikeparking": (1.20, 0.35, 0.45),
    "bin": (0.30, 0.30, 0.50), "box01": (0.30, 0.30, 0.30), "box02": (0.30, 0.30, 0.30), "box03": (0.30, 0.30, 0.30),
    "briefcase": (0.22, 0.08, 0.18), "brokentile01": (0.15, 0.15, 0.02), "brokentile02": (0.15, 0.15, 0.02),
    "brokentile03": (0.15, 0.15, 0.02), "brokentile04": (0.15, 0.15, 0.02), "busstop": (2.00, 0.80, 1.35),
    "busstoplb": (2.00, 0.80, 1.35), "calibrator": (0.50, 0.05, 0.75), "chainbarrier": (0.75, 0.12, 0.45),
    "chainbarrierend": (0.12, 0.12, 0.45), "clothcontainer": (0.60, 0.55, 0.95), "clothesline": (1.20, 0.40, 0.90),
    "colacan": (0.03, 0.03, 0.06), "constructioncone": (0.17, 0.17, 0.29), "container": (1.00, 0.60, 0.65),
    "creasedbox01": (0.30, 0.30, 0.15), "creasedbox02": (0.30, 0.30, 0.15), "creasedbox03": (0.30, 0.30, 0.15),
    "dirtdebris01": (0.80, 0.80, 0.05), "dirtdebris02": (0.80, 0.80, 0.05), "dirtdebris03": (0.80, 0.80, 0.05),
    "doghouse": (0.60, 0.45, 0.50), "foodcart": (1.40, 0.85, 1.25), "fountain": (2.20, 2.20, 1.20),
    "garbage01": (0.20, 0.20, 0.08), "garbage02": (0.20, 0.20, 0.08), "garbage03": (0.20, 0.20, 0.08),
    "garbage04": (0.20, 0.20, 0.08), "garbage05": (0.20, 0.20, 0.08), "garbage06": (0.20, 0.20, 0.08),
    "gardenlamp": (0.12, 0.12, 0.40), "glasscontainer": (0.65, 0.65, 0.85), "gnome": (0.12, 0.12, 0.25),
    "guitarcase": (0.50, 0.20, 0.10), "haybale": (0.70, 0.70, 0.60), "haybalelb": (0.70, 0.70, 0.60),
    "ironplank": (0.85, 0.70, 0.02), "kiosk_01": (1.30, 1.30, 1.35), "mailbox": (0.28, 0.28, 0.60),
    "maptable": (0.60, 0.40, 0.70), "mesh": (0.50, 0.50, 0.50), "mobile": (0.04, 0.08, 0.01),
    "motorhelmet": (0.15, 0.14, 0.14), "omafiets": (0.92, 0.18, 0.55), "pergola": (2.00, 2.00, 1.30),
    "plantpot01": (0.40, 0.40, 0.45), "plantpot02": (0.40, 0.40, 0.45), "plantpot03": (0.40, 0.40, 0.45),
    "plantpot04": (0.40, 0.40, 0.45), "plantpot05": (0.40, 0.40, 0.45), "plantpot06": (0.40, 0.40, 0.45),
    "plantpot07": (0.40, 0.40, 0.45), "plantpot08": (0.40, 0.40, 0.45), "plasticbag": (0.15, 0.15, 0.18),
    "plasticchair": (0.30, 0.30, 0.42), "plastictable": (0.45, 0.45, 0.38), "platformgarbage01": (1.20, 0.80, 0.30),
    "purse": (0.15, 0.08, 0.12), "shop01": (1.20, 0.80, 1.20), "shoppingbag": (0.16, 0.10, 0.18),
    "shoppingcart": (0.45, 0.30, 0.50), "shoppingtrolley": (0.20, 0.18, 0.50), "slide": (1.60, 0.40, 1.10),
    "streetbarrier": (0.62, 0.19, 0.53), "streetfountain": (0.35, 0.35, 0.55), "streetsign": (0.35, 0.06, 1.20),
    "streetsign01": (0.35, 0.06, 1.20), "streetsign04": (0.35, 0.06, 1.20), "swing": (1.60, 0.90, 1.15),
    "swingcouch": (1.00, 0.60, 0.90), "table": (0.80, 0.50, 0.38), "trafficcone01": (0.21, 0.21, 0.35),
    "trafficcone02": (0.21, 0.21, 0.35), "trafficwarning": (1.20, 0.90, 1.60), "trampoline": (1.50, 1.50, 0.50),
    "trashbag": (0.30, 0.30, 0.30), "trashcan01": (0.32, 0.32, 0.50), "trashcan02": (0.32, 0.32, 0.50),
    "trashcan03": (0.32, 0.32, 0.50), "trashcan04": (0.32, 0.32, 0.50), "trashcan05": (0.32, 0.32, 0.50),
    "travelcase": (0.25, 0.15, 0.35), "vendingmachine": (0.50, 0.45, 0.95), "warningaccident": (0.45, 0.10, 0.55),
    "warningconstruction": (0.45, 0.10, 0.55), "wateringcan": (0.20, 0.12, 0.18),
}  # fmt: skip
"""static.prop.<name> -> half extents."""

Row = tuple[str, str, str]
"""Attribute of a sensor: id, type (bool, int, float, str), default."""

_TICK: tuple[Row, ...] = (("sensor_tick", "float", "0.0"),)
_LENS: tuple[Row, ...] = (
    ("lens_circle_falloff", "float", "5.0"), ("lens_circle_multiplier", "float", "0.0"), ("lens_k", "float", "-1.0"),
    ("lens_kcube", "float", "0.0"), ("lens_x_size", "float", "0.08"), ("lens_y_size", "float", "0.08"),
)  # fmt: skip
_IMAGE: tuple[Row, ...] = (("image_size_x", "int", "800"), ("image_size_y", "int", "600"), ("fov", "float", "90.0"))
_PHOTO: tuple[Row, ...] = (
    ("enable_postprocess_effects", "bool", "true"), ("post_process_profile", "str", ""), ("bloom_intensity", "float", "0.675"),
    ("fstop", "float", "1.4"), ("iso", "float", "100.0"), ("gamma", "float", "2.2"), ("shutter_speed", "float", "200.0"),
    ("lens_flare_intensity", "float", "0.1"), ("min_fstop", "float", "1.2"), ("blade_count", "int", "5"),
    ("exposure_mode", "str", "histogram"), ("exposure_compensation", "float", "0.0"), ("exposure_min_bright", "float", "10.0"),
    ("exposure_max_bright", "float", "12.0"), ("exposure_speed_up", "float", "3.0"), ("exposure_speed_down", "float", "1.0"),
    ("calibration_constant", "float", "16.0"), ("focal_distance", "float", "1000.0"), ("blur_amount", "float", "1.0"),
    ("blur_radius", "float", "0.0"), ("motion_blur_intensity", "float", "0.45"),
    ("motion_blur_max_distortion", "float", "0.35"), ("motion_blur_min_object_screen_size", "float", "0.1"),
    ("slope", "float", "0.88"), ("toe", "float", "0.55"), ("shoulder", "float", "0.26"), ("black_clip", "float", "0.0"),
    ("white_clip", "float", "0.04"), ("temp", "float", "6500.0"), ("tint", "float", "0.0"),
    ("chromatic_aberration_intensity", "float", "0.0"), ("chromatic_aberration_offset", "float", "0.0"),
)  # fmt: skip
_DVS: tuple[Row, ...] = (
    ("positive_threshold", "float", "0.3"), ("negative_threshold", "float", "0.3"),
    ("sigma_positive_threshold", "float", "0.0"), ("sigma_negative_threshold", "float", "0.0"),
    ("refractory_period_ns", "int", "0"), ("use_log", "bool", "true"), ("log_eps", "float", "0.001"),
)  # fmt: skip
_BEAMS: tuple[Row, ...] = (
    ("channels", "int", "32"), ("range", "float", "10.0"), ("points_per_second", "int", "56000"),
    ("rotation_frequency", "float", "10.0"), ("upper_fov", "float", "10.0"), ("lower_fov", "float", "-30.0"),
    ("horizontal_fov", "float", "360.0"),
)  # fmt: skip
_LIDAR: tuple[Row, ...] = (
    ("atmosphere_attenuation_rate", "float", "0.004"), ("dropoff_general_rate", "float", "0.45"),
    ("dropoff_intensity_limit", "float", "0.8"), ("dropoff_zero_intensity", "float", "0.4"),
    ("noise_seed", "int", "0"), ("noise_stddev", "float", "0.0"),
)  # fmt: skip
_RADAR: tuple[Row, ...] = (
    ("horizontal_fov", "float", "30.0"), ("vertical_fov", "float", "30.0"), ("range", "float", "100.0"),
    ("points_per_second", "int", "1500"), ("noise_seed", "int", "0"),
)  # fmt: skip
_GNSS: tuple[Row, ...] = (
    ("noise_seed", "int", "0"), ("noise_alt_bias", "float", "0.0"), ("noise_alt_stddev", "float", "0.0"),
    ("noise_lat_bias", "float", "0.0"), ("noise_lat_stddev", "float", "0.0"), ("noise_lon_bias", "float", "0.0"),
    ("noise_lon_stddev", "float", "0.0"),
)  # fmt: skip
_IMU: tuple[Row, ...] = (
    ("noise_seed", "int", "0"), ("noise_accel_stddev_x", "float", "0.0"), ("noise_accel_stddev_y", "float", "0.0"),
    ("noise_accel_stddev_z", "float", "0.0"), ("noise_gyro_stddev_x", "float", "0.0"),
    ("noise_gyro_stddev_y", "float", "0.0"), ("noise_gyro_stddev_z", "float", "0.0"),
    ("noise_gyro_bias_x", "float", "0.0"), ("noise_gyro_bias_y", "float", "0.0"), ("noise_gyro_bias_z", "float", "0.0"),
)  # fmt: skip
_OBSTACLE: tuple[Row, ...] = (
    ("distance", "float", "5.0"), ("hit_radius", "float", "0.5"), ("only_dynamics", "bool", "false"),
    ("debug_linetrace", "bool", "false"),
)  # fmt: skip
_RADIO: tuple[Row, ...] = (
    ("noise_seed", "int", "0"), ("frequency_ghz", "float", "5.9"), ("transmit_power", "float", "21.5"),
    ("receiver_sensitivity", "float", "-99.0"), ("combined_antenna_gain", "float", "10.0"),
    ("scenario", "str", "highway"), ("path_loss_exponent", "float", "2.7"), ("d_ref", "float", "1.0"),
    ("filter_distance", "float", "500.0"), ("use_etsi_fading", "bool", "true"),
    ("custom_fading_stddev", "float", "0.0"), ("path_loss_model", "str", "winner"),
)  # fmt: skip
_CAM: tuple[Row, ...] = (
    ("gen_cam_min", "float", "0.1"), ("gen_cam_max", "float", "1.0"), ("fixed_rate", "bool", "false"),
    *((f"noise_{what}_{part}", "float", "0.0") for what in ("lat", "lon", "alt", "head") for part in ("stddev", "bias")),
    *((f"noise_accel_stddev_{axis}", "float", "0.0") for axis in "xyz"), ("noise_yawrate_stddev", "float", "0.0"),
    ("noise_yawrate_bias", "float", "0.0"), ("noise_vel_stddev_x", "float", "0.0"),
)  # fmt: skip

SENSORS: dict[str, tuple[Row, ...]] = {
    "sensor.camera.rgb": _IMAGE + _PHOTO + _LENS + _TICK,
    "sensor.camera.depth": _IMAGE + _LENS + _TICK,
    "sensor.camera.semantic_segmentation": _IMAGE + _LENS + _TICK,
    "sensor.camera.instance_segmentation": _IMAGE + _LENS + _TICK,
    "sensor.camera.normals": _IMAGE + _LENS + _TICK,
    "sensor.camera.cosmos_visualization": _IMAGE + _LENS + _TICK,
    "sensor.camera.optical_flow": _IMAGE + _LENS + _TICK,
    "sensor.camera.dvs": _IMAGE + _DVS + _PHOTO + _LENS + _TICK,
    "sensor.lidar.ray_cast": _BEAMS + _LIDAR + _TICK,
    "sensor.lidar.ray_cast_semantic": _BEAMS + _TICK,
    "sensor.other.radar": _RADAR + _TICK,
    "sensor.other.gnss": _GNSS + _TICK,
    "sensor.other.imu": _IMU + _TICK,
    "sensor.other.obstacle": _OBSTACLE + _TICK,
    # events: upstream's own timing test counts the messages of every sensor that has a sensor_tick
    "sensor.other.collision": (),
    "sensor.other.lane_invasion": (),
    "sensor.other.rss": (),
    "sensor.other.v2x": _RADIO + _CAM,
    "sensor.other.v2x_custom": _RADIO,
}
