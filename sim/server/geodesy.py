"""From metres on the map to latitude and longitude: what the CARLA 0.9.16 client computes, so that GNSS agrees with it.

Found by comparing with carla.Map.transform_to_geolocation: a transverse Mercator projection of the sphere with scale
0.9996, of whose parameters only lat_0 and lon_0 count. It takes CARLA's y axis, which points right of x, for north, so
latitude grows with y (reported upstream as pull request 9552).
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

RADIUS = 6378137.0 * 0.9996
"""Metres, with the projection's scale in it."""


class GeoReference(NamedTuple):
    """Latitude and longitude of the map's origin, degrees; CARLA's own without a usable reference."""

    latitude: float = 42.0
    longitude: float = 2.0

    def locate(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """(latitude, longitude, altitude) of a point of the CARLA frame, metres."""
        north, east = y / RADIUS + math.radians(self.latitude), x / RADIUS
        latitude = math.asin(math.sin(north) / math.cosh(east))
        longitude = math.atan2(math.sinh(east), math.cos(north))
        return math.degrees(latitude), self.longitude + math.degrees(longitude), z


def parse(text: str) -> GeoReference:
    """The origin that a PROJ text names, such as "+proj=tmerc +lat_0=49 +lon_0=8"."""
    values = [re.search(rf"\+{name}=([-+0-9.eE]+)", text) for name in ("lat_0", "lon_0")]
    try:
        latitude, longitude = (float(found[1]) for found in values if found is not None)
    except ValueError:
        return GeoReference()
    if not (abs(latitude) <= 90 and abs(longitude) <= 360):
        return GeoReference()
    return GeoReference(latitude, longitude)
