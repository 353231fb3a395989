"""Labour cooperation: the transport problem by hand and against brute force, and what a city gets of it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.analysis.cooperation import UnknownCityError, suggest
from include.analysis.distance import distances_m, great_circle_m
from include.analysis.parameters import PARAMETERS, ParameterError, Parameters, load_parameters
from include.analysis.transport import cheapest_plan
from include.settings import PROJECT_ROOT

ALL = replace(load_parameters(), stopped_share=Fraction(1), half_stopped_share=Fraction(1), leavers_share=Fraction(1))
SEATS = PROJECT_ROOT / "dbt_project/seeds/city_seats.csv"


def every_plan(demand: Sequence[int], supply: Sequence[int]) -> Iterator[list[list[int]]]:
    """Every way of sending whole persons within the margins."""
    if not demand:
        yield []
        return

    def rows(left: int, offers: Sequence[int]) -> Iterator[list[int]]:
        if not offers:
            yield []
            return
        for n in range(min(left, offers[0]) + 1):
            for rest in rows(left - n, offers[1:]):
                yield [n, *rest]

    for row in rows(demand[0], supply):
        for rest in every_plan(demand[1:], [have - n for have, n in zip(supply, row, strict=True)]):
            yield [row, *rest]


def test_three_by_three_worked_out_by_hand() -> None:
    # Everybody is served by the nearest, and no supply is asked for more than it has: 200 + 300 + 300.
    plan = cheapest_plan([20, 30, 10], [20, 35, 25], [[10, 50, 60], [50, 10, 50], [60, 40, 30]])
    assert plan.tolist() == [[20, 0, 0], [0, 30, 0], [0, 0, 10]]
    # With no more than 60 offered in all, greed would send 2-2 all it wants and pay 60 for the rest.
    tight = cheapest_plan([20, 30, 10], [30, 25, 5], [[10, 50, 60], [20, 10, 50], [60, 15, 30]])
    # cost 20*10 + 10*20 + 20*10 + 5*15 + 5*30 = 825; greedy: 25 of 2-2, then 5 of 2-1, 5 of 3-3, 5 of 3-1 at 60 = 1000
    assert tight.tolist() == [[20, 0, 0], [10, 20, 0], [0, 5, 5]]


@pytest.mark.parametrize(
    ("demand", "supply"), [([0, 0], [5, 5]), ([5, 5], [0, 0]), ([], [3]), ([3], []), ([0, 4], [0, 0])]
)
def test_nothing_wanted_or_nothing_offered_sends_nobody(demand: list[int], supply: list[int]) -> None:
    plan = cheapest_plan(demand, supply, np.zeros((len(demand), len(supply)), dtype=np.int64))
    assert plan.shape == (len(demand), len(supply))
    assert plan.sum() == 0


def test_ties_go_to_the_earlier() -> None:
    assert cheapest_plan([3, 3], [3], [[7], [7]]).tolist() == [[3], [0]]
    assert cheapest_plan([3], [3, 3], [[7, 7]]).tolist() == [[3, 0]]
    assert cheapest_plan([3, 3], [3, 3], [[7, 7], [7, 7]]).tolist() == [[3, 0], [0, 3]]
    assert cheapest_plan([2, 2, 2], [3, 3], np.full((3, 2), 7)).tolist() == [[2, 0], [1, 1], [0, 2]]
    # Only the first demand is left open; the tie lies between two plans of 5 metres each.
    assert cheapest_plan([1, 1], [1, 1], [[2, 3], [2, 3]]).tolist() == [[1, 0], [0, 1]]


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[int], list[int], list[list[int]]]:
    demand = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    supply = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    distance = st.integers(0, 6)
    return demand, supply, [[draw(distance) for _ in supply] for _ in demand]


@settings(max_examples=150, deadline=None)
@given(problems())
def test_no_plan_is_better(problem: tuple[list[int], list[int], list[list[int]]]) -> None:
    demand, supply, distance = problem
    plan = cheapest_plan(demand, supply, distance)
    assert (plan >= 0).all()
    assert (plan.sum(axis=1) <= demand).all()
    assert (plan.sum(axis=0) <= supply).all()
    placed = min(sum(demand), sum(supply))
    assert plan.sum() == placed
    costs = [
        int((np.array(other).reshape(plan.shape) * distance).sum())
        for other in every_plan(demand, supply)
        if np.sum(other, dtype=int) == placed
    ]
    assert int((plan * distance).sum()) == min(costs)


def metres(**pairs: int) -> dict[tuple[str, str], int]:
    known = {(name[0], name[1]): n for name, n in pairs.items()}
    return {**known, **{(b, a): n for (a, b), n in known.items()}, **{(one, one): 0 for pair in known for one in pair}}


def test_a_city_serves_itself_before_others() -> None:
    # A lacks 10 and has 4 of its own; B lacks 3 and has 8: 3 stay, 5 are offered to A. C lacks 2, nothing is left.
    rows = suggest(
        {("welder", "A"): 10, ("welder", "B"): 3, ("welder", "C"): 2},
        {("welder", "A", "leavers"): 4, ("welder", "B", "stopped"): 6, ("welder", "B", "half_stopped"): 2},
        metres(AB=90_000, AC=50_000, BC=95_000),
        ALL,
    )
    found = {(row.city_code, row.offering_city_code): (row.suggested_persons, row.unmatched_persons) for row in rows}
    assert found == {("A", "A"): (4, 1), ("A", "B"): (5, 1), ("B", "B"): (3, 0), ("C", "C"): (0, 2)}
    from_b = next(row for row in rows if (row.city_code, row.offering_city_code) == ("A", "B"))
    assert (from_b.available_stopped_persons, from_b.available_half_stopped_persons) == (6, 2)
    assert (from_b.available_leavers_persons, from_b.available_persons) == (0, 8)
    assert (from_b.distance_km, from_b.distance_rank) == (Decimal("90.0"), 2)


def test_another_occupation_is_no_help() -> None:
    rows = suggest({("welder", "A"): 5}, {("sewer", "B", "stopped"): 50}, metres(AB=1000), ALL)
    assert [(row.offering_city_code, row.suggested_persons, row.unmatched_persons) for row in rows] == [("A", 0, 5)]


def test_a_city_without_shortage_has_no_row() -> None:
    assert suggest({("welder", "A"): 0}, {("welder", "B", "stopped"): 50}, metres(AB=1000), ALL) == []


def test_a_city_without_a_seat_is_named() -> None:
    with pytest.raises(UnknownCityError, match=r"city Z has no seat: add it to .*city_seats\.csv"):
        suggest({("welder", "A"): 5}, {("welder", "Z", "stopped"): 50}, metres(AB=1000), ALL)


def test_shares_are_exact_and_rounded_down() -> None:
    parameters = replace(ALL, stopped_share=Fraction("0.5"), half_stopped_share=Fraction("0.2"),
                         leavers_share=Fraction("0.3"))  # fmt: skip
    supply = {("o", "B", "stopped"): 7, ("o", "B", "half_stopped"): 9, ("o", "B", "leavers"): 10}
    (own, row) = suggest({("o", "A"): 99}, supply, metres(AB=1000), parameters)
    assert own.suggested_persons == 0
    # 3.5, 1.8 and exactly 3, which 10 * 0.3 as a double would also be, and 0.29999... would not
    assert (row.available_stopped_persons, row.available_half_stopped_persons) == (3, 1)
    assert (row.available_leavers_persons, row.available_persons, row.suggested_persons) == (3, 7, 7)


def test_the_order_of_the_input_does_not_matter() -> None:
    short = {("o", city): n for city, n in zip("ABCD", (9, 9, 9, 9), strict=True)}
    supply = {("o", city, "leavers"): 5 for city in "EFG"}
    flat = {(a, b): 0 if a == b else 1000 for a in "ABCDEFG" for b in "ABCDEFG"}
    turned = suggest(dict(reversed(short.items())), dict(reversed(supply.items())), flat, ALL)
    assert turned == suggest(short, supply, flat, ALL)
    assert sum(row.suggested_persons for row in turned) == 15


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.tuples(st.sampled_from("xy"), st.sampled_from("ABCD")), st.integers(0, 60)),
    st.dictionaries(
        st.tuples(st.sampled_from("xyz"), st.sampled_from("ABCDE"), st.sampled_from(["stopped", "leavers"])),
        st.integers(0, 60),
    ),
)
def test_nobody_is_sent_twice_and_nobody_gets_too_many(
    short: dict[tuple[str, str], int], supply: dict[tuple[str, str, str], int]
) -> None:
    flat = {(a, b): 1000 * abs(ord(a) - ord(b)) for a in "ABCDE" for b in "ABCDE"}
    rows = suggest(short, supply, flat, ALL)
    for (occupation, city), wanted in short.items():
        got = [row for row in rows if (row.occupation_code, row.city_code) == (occupation, city)]
        assert bool(got) == (wanted > 0)
        assert sum(row.suggested_persons for row in got) + (got[0].unmatched_persons if got else 0) == wanted
        assert [row.distance_rank for row in got] == list(range(1, len(got) + 1))
        assert [row.distance_km for row in got] == sorted(row.distance_km for row in got)
    for occupation in "xyz":
        for city in "ABCDE":
            sent = sum(
                row.suggested_persons
                for row in rows
                if (row.occupation_code, row.offering_city_code) == (occupation, city)
            )
            have = sum(n for (one, other, _), n in supply.items() if (one, other) == (occupation, city))
            assert sent <= have


def test_the_seats_are_where_they_are() -> None:
    with SEATS.open(encoding="utf-8", newline="") as handle:
        seats = {row["city_code"]: (float(row["longitude"]), float(row["latitude"])) for row in csv.DictReader(handle)}
    with (PROJECT_ROOT / "dbt_project/seeds/regions.csv").open(encoding="utf-8", newline="") as handle:
        cities = {row["region_code"] for row in csv.DictReader(handle) if row["level"] == "city"}
    assert seats.keys() == cities
    # Guangxi lies between 104.5 and 112.1 degrees east, 20.9 and 26.4 north.
    assert all(104.5 < longitude < 112.1 and 20.9 < latitude < 26.4 for longitude, latitude in seats.values())
    km = {pair: n / 1000 for pair, n in distances_m(seats).items()}
    assert km["450100", "450700"] == pytest.approx(99, abs=5)  # 南宁, 钦州: 0.834 degrees south, 0.334 east
    assert km["450100", "450300"] == pytest.approx(340, abs=5)  # 南宁, 桂林
    assert km["450100", "450300"] == km["450300", "450100"]
    assert km["450100", "450100"] == 0


def test_a_degree_of_a_great_circle() -> None:
    # 2 pi x 6371.0088 km / 360
    assert great_circle_m(0, 0, 1, 0) == 111_195
    assert great_circle_m(108, 22, 108, 23) == 111_195
    assert great_circle_m(0, 60, 180, 60) == pytest.approx(60 * 111_195, abs=10)  # over the pole


def test_parameters_are_checked(tmp_path: Path) -> None:
    text = PARAMETERS.read_text(encoding="utf-8")
    assert isinstance(load_parameters(), Parameters)
    assert load_parameters().leavers_share == Fraction(3, 10)

    def refused(old: str, new: str, message: str) -> None:
        path = tmp_path / "parameters.yaml"
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ParameterError, match=message):
            load_parameters(path)

    refused("value: 0.3", "value: 1.3", "leavers_share is a share between 0 and 1, not 1.3")
    refused("value: 24", "value: 12", "history_months_needed must lie between 24")
    refused("horizon_months:", "horizon:", "wants exactly")
    refused("value: 3\n", "value: 13\n", "horizon_months must lie between 1 and 12")
    refused("    unit: 比例\n", "", "stopped_share lacks unit")
