"""Labour cooperation: which city's free hands could fill which city's shortage, occupation by occupation.

A city uses its own supply first; only what it does not need is offered to others. The plan then places as many persons
as possible over the least sum of persons x kilometres. It is a suggestion to talk about: nobody has been asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import floor

import numpy as np

from include.analysis.parameters import Parameters
from include.analysis.transport import cheapest_plan

STOPPED, HALF_STOPPED, LEAVERS = KINDS = ("stopped", "half_stopped", "leavers")


class UnknownCityError(ValueError):
    """A city of the reports is not among the seats; the message says where to add it."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One short city and one city that could send; the short city's own row always stands, at distance 0.

    Attributes:
        short_persons: 缺工人数 of the occupation in the short city.
        available_stopped_persons, available_half_stopped_persons, available_leavers_persons: what the offering city
            has, before its own need; estimates.
        available_persons: their sum.
        suggested_persons: persons to talk about.
        unmatched_persons: what the short city still lacks when all its suggestions come true; the same on all its rows.
        distance_km: straight line between the cities' seats.
        distance_rank: 1 for the nearest row of the short city and occupation, which is its own.
    """

    occupation_code: str
    city_code: str
    offering_city_code: str
    short_persons: int
    available_stopped_persons: int
    available_half_stopped_persons: int
    available_leavers_persons: int
    available_persons: int
    suggested_persons: int
    unmatched_persons: int
    distance_km: Decimal
    distance_rank: int


def suggest(
    short: Mapping[tuple[str, str], int],
    supply: Mapping[tuple[str, str, str], int],
    distance_m: Mapping[tuple[str, str], int],
    parameters: Parameters,
) -> list[Suggestion]:
    """Match every occupation by itself.

    Args:
        short: (occupation, city) to persons short.
        supply: (occupation, city, kind) to persons counted, before the share that is taken to be available.
        distance_m: (city, city) to metres, for all cities named in the other two.
        parameters: the shares.

    Returns:
        Rows by occupation, short city and distance. Every short city has its own row; other cities only where the plan
        sends somebody.

    Raises:
        UnknownCityError: a city has no distances.
    """
    cities = {city for _, city in short} | {city for _, city, _ in supply}
    if unknown := sorted(city for city in cities if (city, city) not in distance_m):
        raise UnknownCityError(f"city {unknown[0]} has no seat: add it to dbt_project/seeds/city_seats.csv")
    available: dict[tuple[str, str], dict[str, int]] = {}
    share = {STOPPED: parameters.stopped_share, HALF_STOPPED: parameters.half_stopped_share,
             LEAVERS: parameters.leavers_share}  # fmt: skip
    for (occupation, city, kind), persons in supply.items():
        kinds = available.setdefault((occupation, city), dict.fromkeys(KINDS, 0))
        kinds[kind] = floor(persons * share[kind])
    rows = []
    for occupation in sorted({occupation for (occupation, _), persons in short.items() if persons > 0}):
        wanted = {city: n for (one, city), n in sorted(short.items()) if one == occupation and n > 0}
        offers = {city: kinds for (one, city), kinds in sorted(available.items()) if one == occupation}
        rows += _suggest_one(occupation, wanted, offers, distance_m)
    return rows


def _suggest_one(
    occupation: str,
    wanted: Mapping[str, int],
    offers: Mapping[str, Mapping[str, int]],
    distance_m: Mapping[tuple[str, str], int],
) -> list[Suggestion]:
    total = {city: sum(kinds.values()) for city, kinds in offers.items()}
    own = {city: min(persons, total.get(city, 0)) for city, persons in wanted.items()}
    cities, senders = list(wanted), list(offers)
    plan = cheapest_plan(
        [wanted[city] - own[city] for city in cities],
        [total[city] - own.get(city, 0) for city in senders],
        np.array([[distance_m[city, sender] for sender in senders] for city in cities], dtype=np.int64),
    )
    nothing = dict.fromkeys(KINDS, 0)
    rows = []
    for i, city in enumerate(cities):
        sent = {sender: int(plan[i, j]) for j, sender in enumerate(senders) if plan[i, j] > 0}
        sent[city] = own[city]
        unmatched = wanted[city] - sum(sent.values())
        nearest_first = sorted(sent, key=lambda sender: (sender != city, distance_m[city, sender], sender))
        for rank, sender in enumerate(nearest_first, start=1):
            kinds = offers.get(sender, nothing)
            rows.append(
                Suggestion(
                    occupation_code=occupation,
                    city_code=city,
                    offering_city_code=sender,
                    short_persons=wanted[city],
                    available_stopped_persons=kinds[STOPPED],
                    available_half_stopped_persons=kinds[HALF_STOPPED],
                    available_leavers_persons=kinds[LEAVERS],
                    available_persons=total.get(sender, 0),
                    suggested_persons=sent[sender],
                    unmatched_persons=unmatched,
                    distance_km=(Decimal(distance_m[city, sender]) / 1000).quantize(Decimal("0.1")),
                    distance_rank=rank,
                )
            )
    return rows
