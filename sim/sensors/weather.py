"""Weather as CARLA's WeatherParameters, and the light that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import UserError

# places in the environment array that the shader reads
SUN, SUN_LIGHT, ZENITH, HORIZON = 0, 3, 6, 9
FOG, FOG_FALLOFF, CLOUD, WET, EXPOSURE, BOUNCE, NIGHT, PUDDLES, RAIN, FOG_START, TIME, WIND, LAMPS, FOG_HERE = (
    12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24, 25, 26, 27,
)  # fmt: skip
SIZE = 32


@dataclass(frozen=True)
class Weather:
    """CARLA's fields and ranges (percent 0..100, angles in degrees as CARLA has them).

    Read by the renderer: cloudiness, precipitation, precipitation_deposits (puddles), wind_intensity (slant of the
    rain), sun_azimuth_angle (from x towards y), sun_altitude_angle, fog_density, fog_distance, fog_falloff, wetness,
    scattering_intensity, rayleigh_scattering_scale, dust_storm. `mie_scattering_scale` is kept for the protocol.
    """

    cloudiness: float = 15.0
    precipitation: float = 0.0
    precipitation_deposits: float = 0.0
    wind_intensity: float = 10.0
    sun_azimuth_angle: float = 225.0
    sun_altitude_angle: float = 42.0
    fog_density: float = 2.0
    fog_distance: float = 0.75
    fog_falloff: float = 0.1
    wetness: float = 0.0
    scattering_intensity: float = 1.0
    mie_scattering_scale: float = 0.03
    rayleigh_scattering_scale: float = 0.0331
    dust_storm: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not np.isfinite(value):
                raise UserError(f"weather: {field.name}={value} is not a finite number")

    @staticmethod
    def named(name: str) -> Weather:
        """A preset by its name (see PRESETS), any case; raises UserError for another."""
        for key, value in PRESETS.items():
            if key.lower() == name.lower():
                return value
        raise UserError(f"unknown weather '{name}'; known: {', '.join(PRESETS)}")

    @staticmethod
    def like(parameters: Any) -> Weather:
        """From a carla.WeatherParameters or anything with its attributes."""
        return Weather(**{f.name: float(getattr(parameters, f.name)) for f in fields(Weather)})

    def environment(self, time: float = 0.0) -> NDArray[np.float32]:
        """[SIZE] float32: sun, sky, fog, wetness, exposure; `time` in seconds moves the rain."""
        azimuth, altitude = np.radians(self.sun_azimuth_angle), np.radians(self.sun_altitude_angle)
        sun = np.array([np.cos(altitude) * np.cos(azimuth), np.cos(altitude) * np.sin(azimuth), np.sin(altitude)])
        degrees = self.sun_altitude_angle
        cloud = np.clip(self.cloudiness / 100, 0, 1)
        overcast = np.clip((cloud - 0.55) / 0.40, 0, 1)
        night = float(np.clip((4.0 - degrees) / 12.0, 0, 1))
        warm = np.clip(1 - degrees / 35, 0, 1) ** 1.5
        if night >= 1.0:  # the moon stands in for the sun
            sun = np.array([-0.35, 0.45, 0.82]) / np.linalg.norm([-0.35, 0.45, 0.82])
        light = np.array([1.0, 0.95 - 0.34 * warm, 0.87 - 0.60 * warm]) * 3.1
        light = light * (1 - 0.93 * overcast) * np.clip((degrees + 2) / 10, 0, 1) ** 0.7 * (1 - night)
        light = light + np.array([0.012, 0.016, 0.026]) * night * (1 - 0.8 * overcast) * (degrees < -8)
        blue = np.array([0.14, 0.30, 0.68]) * (self.rayleigh_scattering_scale / 0.0331) ** 0.2
        zenith = blue * (1 - 0.35 * warm) * (1 - overcast) + np.array([0.42, 0.46, 0.52]) * overcast
        haze = np.array([0.60, 0.73, 0.90]) * (1 - warm) + np.array([0.98, 0.62, 0.36]) * warm
        horizon = haze * (1 - overcast) + np.array([0.60, 0.63, 0.67]) * overcast
        dark = 1 - 0.35 * np.clip(self.precipitation / 100, 0, 1)
        zenith, horizon = zenith * dark, horizon * dark
        if self.dust_storm > 0:
            dust = np.clip(self.dust_storm / 100, 0, 1)
            horizon = horizon * (1 - dust) + np.array([0.72, 0.52, 0.30]) * dust
            zenith = zenith * (1 - 0.7 * dust) + np.array([0.55, 0.40, 0.24]) * 0.7 * dust
        zenith = zenith * (1 - night) + np.array([0.006, 0.010, 0.024]) * night
        horizon = horizon * (1 - night) + np.array([0.024, 0.026, 0.036]) * night
        bounce = 0.22 * (light * max(float(sun[2]), 0.12) * 0.6 + horizon * 0.8) * np.array([1.0, 0.97, 0.92])
        # CARLA's clear nights have a fog_density of 60 and are clear
        fog = np.clip(self.fog_density / 100, 0, 1)
        thick = 0.055 * fog**1.6 * (1 - 0.7 * night)
        out = np.zeros(SIZE, np.float32)
        out[SUN : SUN + 3], out[SUN_LIGHT : SUN_LIGHT + 3] = sun, light
        out[ZENITH : ZENITH + 3], out[HORIZON : HORIZON + 3] = zenith, horizon
        rain = np.clip(self.precipitation / 100, 0, 1)
        out[FOG] = 0.0006 * self.scattering_intensity + thick + 0.004 * rain + 0.02 * self.dust_storm / 100
        out[FOG_FALLOFF] = 0.01 + 0.06 * np.clip(self.fog_falloff, 0, 5)
        out[FOG_START] = max(self.fog_distance, 0.0)
        out[CLOUD] = cloud
        out[WET] = max(np.clip(self.wetness / 100, 0, 1), 0.75 * rain)
        out[PUDDLES] = np.clip(self.precipitation_deposits / 100, 0, 1)
        out[RAIN] = rain
        out[EXPOSURE] = 0.92 * (1 + 0.30 * warm + 0.35 * overcast) * (1 + 0.9 * night)
        out[BOUNCE : BOUNCE + 3] = bounce
        out[NIGHT] = night
        out[LAMPS] = np.clip((8.0 - degrees) / 4.0, 0, 1)
        out[TIME] = time
        out[WIND] = np.clip(self.wind_intensity / 100, 0, 1)
        return out


def _make_presets() -> dict[str, Weather]:
    clear = Weather()
    cloudy = replace(clear, cloudiness=60.0, fog_density=3.0)
    wet = replace(clear, wetness=50.0, precipitation_deposits=50.0)
    wet_cloudy = replace(cloudy, wetness=50.0, precipitation_deposits=50.0)
    soft = replace(
        clear, cloudiness=88.0, precipitation=25.0, precipitation_deposits=50.0, wetness=60.0, fog_density=4.0
    )
    middle = replace(soft, precipitation=60.0, precipitation_deposits=65.0, wetness=85.0, fog_density=8.0)
    hard = replace(soft, cloudiness=100.0, precipitation=100.0, precipitation_deposits=90.0, wetness=100.0,
                   fog_density=12.0, wind_intensity=60.0)  # fmt: skip
    kinds = {
        "Clear": clear, "Cloudy": cloudy, "Wet": wet, "WetCloudy": wet_cloudy, "SoftRain": soft, "MidRainy": middle,
        "HardRain": hard,
    }  # fmt: skip
    presets = {"Default": clear}
    for kind, weather in kinds.items():
        presets[f"{kind}Noon"] = weather
        presets[f"{kind}Sunset"] = replace(weather, sun_altitude_angle=9.0, sun_azimuth_angle=20.0)
        presets[f"{kind}Night"] = replace(weather, sun_altitude_angle=-60.0)
    presets["MidRainSunset"] = presets.pop("MidRainySunset")  # CARLA's own spelling
    presets["FogNoon"] = replace(clear, cloudiness=80.0, fog_density=45.0, wetness=20.0)
    presets["FogNight"] = replace(presets["FogNoon"], fog_density=95.0, sun_altitude_angle=-60.0)
    presets["DustStorm"] = replace(clear, dust_storm=100.0, cloudiness=100.0)
    return presets


PRESETS: dict[str, Weather] = _make_presets()
"""Presets under CARLA's names (ClearNoon, HardRainSunset, ...) and FogNoon, FogNight; the figures are ours."""
