"""From metres on the map to latitude and longitude, as CARLA's client computes them (spherical Mercator)."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

EARTH_RADIUS = 6378137.0


class GeoReference(NamedTuple):
    """Latitude and longitude of the map's origin, degrees."""

    latitude: float = 0.0
    longitude: float = 0.0

    def locate(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """(latitude, longitude, altitude) of a point in the CARLA frame: x east, y south, z up, metres."""
        scale = math.cos(math.radians(self.latitude)) * EARTH_RADIUS
        east = scale * math.radians(self.longitude) + x
        north = scale * math.log(math.tan(math.radians(90.0 + self.latitude) / 2)) - y
        latitude = math.degrees(2 * math.atan(math.exp(north / scale))) - 90.0
        return latitude, math.degrees(east / scale), z


def parse(text: str) -> GeoReference:
    """The origin in a PROJ text such as "+proj=tmerc +lat_0=49 +lon_0=8"; (0, 0) where it names none."""

    def value(name: str) -> float:
        found = re.search(rf"\+{name}=([-+0-9.eE]+)", text)
        try:
            number = float(found[1]) if found else 0.0
        except ValueError:
            return 0.0
        return number if math.isfinite(number) else 0.0

    latitude = value("lat_0")
    return GeoReference(latitude if abs(latitude) < 90 else 0.0, value("lon_0"))
