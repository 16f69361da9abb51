"""GNSS positions are those that the client computes from the same map."""

from __future__ import annotations

import re

import carla
import pytest

from sim.server.geodesy import parse
from sim.server.towns import TownLibrary


@pytest.mark.parametrize("reference", ["+proj=tmerc +lat_0=47.2 +lon_0=8.6 +k=1", "+lat_0=-33.9 +lon_0=18.4", "none"])
def test_positions_agree_with_the_client(reference: str) -> None:
    text = re.sub(r"<!\[CDATA\[.*?\]\]>", f"<![CDATA[{reference}]]>", TownLibrary().load("Alder").xodr, flags=re.S)
    town = carla.Map("town", text)
    geo = parse(reference)
    for x, y, z in ((0, 0, 0), (1000, 0, 2), (-250, 4000, -3), (12.5, -0.25, 0)):
        there = town.transform_to_geolocation(carla.Location(x, y, z))
        assert geo.locate(x, y, z) == pytest.approx((there.latitude, there.longitude, there.altitude), abs=1e-9)
