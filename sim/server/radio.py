"""The radio channel between two V2X antennas: path loss and fading of ETSI TR 103 257-1.

A vehicle on the way shadows by knife-edge diffraction (ITU-R P.526). Buildings do not: the server knows none.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim.server.actors import Actor
from sim.server.arguments import Pose, Vec
from sim.server.blueprints import Kind
from sim.server.rays import Rays

LIGHT = 299_792_458.0
"""m/s"""
PERMITTIVITY = 1.003
"""Of the road, relative, for the reflected ray."""
SHADOWS = {"highway": (3.3, 3.8), "rural": (4.25, 4.55), "urban": (5.2, 5.3)}
"""Standard deviation of the fading in dB: in sight, behind vehicles (the standard names none for rural: the mean)."""
ANTENNA = 0.02
"""Metres that a car's roof is taken higher."""


class Path(NamedTuple):
    """What lies between two antennas: metres, their heights above the lower one, and what stands in between as (metres
    from the sender, metres from the receiver, height of its top above the straight line, m)."""

    distance: float
    sender: float
    receiver: float
    obstacles: list[tuple[float, float, float]]

    @staticmethod
    def between(rays: Rays, sender: Pose, receiver: Pose, own: tuple[int, int]) -> Path:
        """Look from one antenna to the other, through the actors `own` that carry them."""
        a, b = Vec(sender.x, sender.y, sender.z), Vec(receiver.x, receiver.y, receiver.z)
        found = []
        for hit in rays.cast(a, b):
            actor = hit.actor
            if actor is None or actor.kind is not Kind.VEHICLE or actor.id in own:
                continue
            from_a = math.hypot(hit.point.x - a.x, hit.point.y - a.y)
            to_b = math.hypot(hit.point.x - b.x, hit.point.y - b.y)
            top = rays.top_of(actor) + ANTENNA
            found.append((max(from_a, 0.1), max(to_b, 0.1), top - hit.point.z))
        lowest = min(a.z, b.z)
        return Path(math.dist(a, b), a.z - lowest, b.z - lowest, found)


class Channel:
    """The receiver's side of the channel, from the attributes of its sensor."""

    def __init__(self, sensor: Actor) -> None:
        number = sensor.number
        self.power = number("transmit_power", 21.5)
        """dBm that it sends with."""
        self._sensitivity, self._gain = number("receiver_sensitivity", -99.0), number("combined_antenna_gain", 10.0)
        self._frequency = max(number("frequency_ghz", 5.9), 0.1)
        self._farthest = number("filter_distance", 500.0)
        scenario = sensor.attributes.get("scenario", "highway").lower()
        self._scenario = scenario if scenario in SHADOWS else "highway"
        self._geometric = sensor.attributes.get("path_loss_model", "winner").lower() == "geometric"
        self._etsi = sensor.attributes.get("use_etsi_fading", "true").lower() != "false"
        self._deviation = abs(number("custom_fading_stddev", 0.0))
        self._rng = np.random.default_rng([int(number("noise_seed", 0.0)) & 0xFFFFFFFF, sensor.id])

    def received(self, power: float, path: Path) -> float | None:
        """dBm that arrive of a message sent with `power`; None where it is not heard."""
        if path.distance >= self._farthest:
            return None
        deviation = SHADOWS[self._scenario][bool(path.obstacles)] if self._etsi else self._deviation
        fading = float(self._rng.normal(0.0, deviation)) if deviation > 0 else 0.0
        level = power + self._gain - self.loss(path) - fading
        return level if level >= self._sensitivity else None

    def loss(self, path: Path) -> float:
        """Path loss in dB without fading."""
        distance, wave = max(path.distance, 0.1), LIGHT / (self._frequency * 1e9)
        if self._geometric:
            lost = 20 * math.log10(4 * math.pi * distance / wave) if path.obstacles else two_rays(path, wave)
        elif self._scenario == "highway":
            lost = 32.4 + 20 * math.log10(distance) + 20 * math.log10(self._frequency)
        else:
            lost = 38.77 + 16.7 * math.log10(distance) + 18.2 * math.log10(self._frequency)
        return lost + max((knife_edge(*obstacle, wave) for obstacle in path.obstacles), default=0.0)


def two_rays(path: Path, wave: float) -> float:
    """Loss in dB of the direct ray and the one that the ground reflects (vertical polarisation); `wave` in m."""
    distance = max(path.distance, 0.1)
    ground = math.sqrt(max(distance**2 - (path.sender - path.receiver) ** 2, 1e-6))
    reflected = math.sqrt(distance**2 + 4 * path.sender * path.receiver)
    sine, cosine = (path.sender + path.receiver) / reflected, ground / reflected
    root = math.sqrt(max(PERMITTIVITY - cosine**2, 0.0))
    share = (sine - root) / (sine + root) if sine + root > 0 else -1.0
    phase = 2 * math.pi / wave * (distance - reflected)
    sum_ = math.hypot(1 + share * math.cos(phase), share * math.sin(phase))
    return 20 * math.log10(4 * math.pi * ground / wave / max(sum_, 1e-3))


def knife_edge(before: float, behind: float, height: float, wave: float) -> float:
    """Loss in dB over an edge `height` m above the line, `before` and `behind` m from the ends (ITU-R P.526, 4.1)."""
    v = height * math.sqrt(2 * (before + behind) / (wave * before * behind))
    if v < -0.78:
        return 0.0
    return 6.9 + 20 * math.log10(math.sqrt((v - 0.1) ** 2 + 1) + v - 0.1)
