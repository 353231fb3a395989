"""Straight-line distances between the seats of cities."""

from __future__ import annotations

import math
from collections.abc import Mapping

#: Mean radius of the Earth (IUGG), in metres.
EARTH_RADIUS_M = 6_371_008.8


def great_circle_m(longitude_a: float, latitude_a: float, longitude_b: float, latitude_b: float) -> int:
    """Great-circle distance of two points given in degrees, in whole metres (haversine formula on a sphere)."""
    lambda_a, phi_a, lambda_b, phi_b = map(math.radians, (longitude_a, latitude_a, longitude_b, latitude_b))
    half_chord = math.sin((phi_b - phi_a) / 2) ** 2
    half_chord += math.cos(phi_a) * math.cos(phi_b) * math.sin((lambda_b - lambda_a) / 2) ** 2
    return round(2 * EARTH_RADIUS_M * math.asin(math.sqrt(half_chord)))


def distances_m(seats: Mapping[str, tuple[float, float]]) -> dict[tuple[str, str], int]:
    """Metres between every two cities, both ways round and 0 to itself.

    Args:
        seats: city code to (longitude, latitude) in degrees.
    """
    return {(a, b): great_circle_m(*seats[a], *seats[b]) for a in seats for b in seats}
