"""Alder: a small town on a hill, with every kind of junction."""

from __future__ import annotations

from tools.towns.places import dead_end, lay, roundabout
from tools.towns.roads import Arm
from tools.towns.town import Town

D = 17.5
"""From the middle of a junction to its stop lines."""
SKEW = 22.0
"""The same where streets do not meet at right angles."""


def build() -> Town:
    """Alder, 380 x 740 m."""
    town = Town("Alder", 47.2, 8.6)
    west, mid, east = (-190.0, 0.0), (0.0, 0.0), (190.0, 0.0)
    ring, north_east = (0.0, 170.0), (190.0, 170.0)
    south, south_east = (0.0, -150.0), (190.0, -150.0)
    summit = (95.0, 315.0)
    main_w = lay(town, "Main Street", [west, mid], [], (D, D), 50)
    main_e = lay(town, "Main Street", [mid, east], [], (D, D), 50)
    oak_n = lay(town, "Oak Street", [mid, ring], [], (D, 38), 50)
    oak_s = lay(town, "Oak Street", [mid, south], [], (D, D), 50)
    mill = lay(town, "Mill Lane", [ring, (-190.0, 170.0), west], [70], (38, D), 30)
    elm = lay(
        town, "Elm Street", [ring, (75.0, 170.0), (130.0, 150.0), north_east], [50, 50], (38, SKEW), 30
    )  # fmt: skip
    birch = lay(town, "Birch Street", [north_east, east], [], (SKEW, D), 50)
    height = 9.0
    hill_w = lay(town, "Hill Road", [ring, (0.0, 315.0), summit], [55], (38, D), 50, z=(0, height))
    hill_e = lay(town, "Hill Road", [summit, (190.0, 315.0), north_east], [55], (D, SKEW), 50, z=(height, 0))
    court = lay(town, "Summit Court", [summit, (95.0, 350.0), (140.0, 420.0)], [40], (D, 0), 30, z=(height, height + 2))
    willow = lay(town, "Willow Street", [west, (-190.0, -150.0), south], [60], (D, D), 30)
    church = lay(town, "Church Street", [south, south_east], [], (D, D), 30)
    linden = lay(town, "Linden Street", [east, south_east], [], (D, D), 30)
    river = lay(
        town, "River Road", [south, (0.0, -260.0), (95.0, -290.0), (190.0, -260.0), south_east], [45, 160, 45],
        (D, D), 50,
    )  # fmt: skip
    roundabout(
        town, "Crown Circle", ring, [Arm(mill, False), Arm(elm, False), Arm(oak_n, True), Arm(hill_w, False)], 0.0
    )
    town.crossing(
        "Main and Oak", [Arm(main_w, True), Arm(main_e, False), Arm(oak_n, False), Arm(oak_s, False)],
        phases=[[0, 1], [2, 3]], crosswalks=[0, 1, 2, 3],
    )  # fmt: skip
    town.crossing(
        "Main and Birch", [Arm(main_e, True), Arm(birch, True), Arm(linden, False)],
        phases=[[1, 2], [0]], crosswalks=[0, 1, 2],
    )  # fmt: skip
    town.crossing("Main and Mill", [Arm(main_w, False), Arm(mill, True), Arm(willow, False)], signs={0: "stop"},
                  crosswalks=[0])  # fmt: skip
    town.crossing("Elm and Birch", [Arm(elm, True), Arm(birch, False), Arm(hill_e, True)], signs={0: "stop"},
                  crosswalks=[0, 1])  # fmt: skip
    four = [Arm(oak_s, True), Arm(willow, True), Arm(church, False), Arm(river, False)]
    town.crossing("Oak and Church", four, signs=dict.fromkeys(range(4), "stop"), crosswalks=[0, 1, 2, 3])
    town.crossing("Church and Linden", [Arm(church, True), Arm(linden, True), Arm(river, True)], crosswalks=[0])
    town.crossing("Summit", [Arm(hill_w, True), Arm(hill_e, False), Arm(court, False)], signs={2: "stop"})
    dead_end(town, "Summit Court", Arm(court, True))
    return town
