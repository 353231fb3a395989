"""Forecasts of made series, and what counts as a series at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.analysis.forecasting import Forecast, MethodFailedError, forecast, seasonal_naive
from include.analysis.history import Panel, Reports, panels, series
from include.analysis.parameters import load_parameters
from include.analysis.run import period_after

PARAMETERS = load_parameters()
#: What a year looks like in persons: the cane is cut from November to March.
SEASON = (120, 130, 100, 60, 40, 30, 30, 30, 40, 60, 90, 110)


def test_a_season_is_carried_on() -> None:
    ahead = forecast(SEASON * 3, 3, 0.8)
    assert [point.persons for point in ahead] == [120, 130, 100]
    assert all(point.upper - point.lower <= 2 for point in ahead)
    # April to June, of a series that ends in March
    assert [point.persons for point in forecast((SEASON * 3)[:27], 3, 0.8)] == [60, 40, 30]


def test_a_season_under_noise_is_met_better_than_by_the_baseline() -> None:
    generator = np.random.default_rng(7)
    errors = {"forecast": 0, "naive": 0}
    covered = 0
    for _ in range(40):
        values = generator.poisson(np.tile(SEASON, 4)[:39]).tolist()
        past, future = values[:36], values[36:]
        ahead, naive = forecast(past, 3, 0.8), seasonal_naive(past, 3)
        errors["forecast"] += sum(abs(point.persons - came) for point, came in zip(ahead, future, strict=True))
        errors["naive"] += sum(abs(point - came) for point, came in zip(naive, future, strict=True))
        covered += sum(point.lower <= came <= point.upper for point, came in zip(ahead, future, strict=True))
    assert errors["forecast"] < 0.9 * errors["naive"]
    assert 0.65 <= covered / 120 <= 0.95


def test_zeros_and_constants_go_on() -> None:
    assert forecast([0] * 36, 3, 0.8) == [Forecast(0, 0, 0)] * 3
    assert forecast([17] * 24, 3, 0.8) == [Forecast(17, 17, 17)] * 3


def test_a_wider_interval_for_a_higher_level() -> None:
    values = [max(0, 50 + (-1) ** n * (n % 5) * 4) for n in range(36)]
    narrow, wide = forecast(values, 3, 0.5), forecast(values, 3, 0.95)
    assert [point.persons for point in narrow] == [point.persons for point in wide]
    assert all(a.upper - a.lower < b.upper - b.lower for a, b in zip(narrow, wide, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=24, max_size=60))
def test_any_history_gives_whole_persons_never_below_zero_and_twice_the_same(values: list[int]) -> None:
    try:
        ahead = forecast(values, 3, 0.8)
    except MethodFailedError:
        return
    assert len(ahead) == 3
    assert all(0 <= point.lower <= point.persons <= point.upper for point in ahead)
    assert forecast(values, 3, 0.8) == ahead


def test_less_than_two_years_or_less_than_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="24 months"):
        forecast([5] * 23, 3, 0.8)
    with pytest.raises(ValueError, match="negative"):
        forecast([5] * 30 + [-1], 3, 0.8)


def test_a_model_that_has_lost_its_way_is_no_forecast() -> None:
    # Half of the jump between the years is taken for the season: 184 persons in a city that never lacked more than 50.
    with pytest.raises(MethodFailedError, match="after at most 50"):
        forecast([0] * 12 + [50] * 12, 3, 0.8)
    assert forecast([0] * 20 + [50] * 16, 3, 0.8)[0].persons == 46


def test_the_baseline_is_the_month_a_year_before() -> None:
    assert seasonal_naive(SEASON * 2, 3) == [120, 130, 100]
    assert seasonal_naive(list(range(24)), 12) == list(range(12, 24))


def test_months_are_counted_over_the_turn_of_the_year() -> None:
    assert period_after("2025-11", 3) == "2026-02"
    assert period_after("2026-01", -1) == "2025-12"
    assert period_after("2026-12", 0) == "2026-12"


def reports(months: int = 30, counties: int = 5, gaps: tuple[tuple[int, int], ...] = ()) -> Reports:
    """Counties k1, k2, … of city M, one reporter each, 10 short in industry 13; a gap is (months back, county)."""
    periods = [period_after("2026-06", -back) for back in reversed(range(months))]
    names = [f"k{n}" for n in range(1, counties + 1)]
    missing = {(period_after("2026-06", -back), f"k{county}") for back, county in gaps}
    sent = [(period, name) for period in periods for name in names if (period, name) not in missing]
    return Reports(
        periods,
        dict.fromkeys(names, "M"),
        {name: frozenset({name}) for name in names},
        {key: frozenset({key[1]}) for key in sent},
        {key: {"13": 10, "00": 4} for key in sent},
    )


def test_all_counties_over_all_months() -> None:
    given_reports = reports()
    (panel,) = panels(given_reports, PARAMETERS)
    assert panel == Panel("M", 30, ("k1", "k2", "k3", "k4", "k5"), 5)
    (one,) = series(given_reports, panel, "00")  # 未归类 has no future of its own
    assert (one.industry_code, one.values) == ("13", (50,) * 30)


def test_a_county_with_a_gap_is_left_out_of_all_months_and_is_no_drop() -> None:
    given_reports = reports(gaps=((3, 2),))
    (panel,) = panels(given_reports, PARAMETERS)
    assert panel == Panel("M", 30, ("k1", "k3", "k4", "k5"), 5)
    (one,) = series(given_reports, panel, "00")
    assert one.values == (40,) * 30


def test_too_few_counties_left_is_no_history() -> None:
    # 4 of 5 are needed: k1 and k2 have 3 and 11 months, so 4 counties have 11.
    given_reports = reports(gaps=((3, 1), (11, 2)))
    (panel,) = panels(given_reports, PARAMETERS)
    assert panel == Panel("M", 11, (), 5)
    (one,) = series(given_reports, panel, "00")
    assert one.values == ()


def test_a_county_missing_now_is_not_in_the_panel() -> None:
    (panel,) = panels(reports(gaps=((0, 5),)), PARAMETERS)
    assert (panel.counties, panel.months_available) == (("k1", "k2", "k3", "k4"), 30)
    (panel,) = panels(reports(gaps=((0, 5), (0, 4))), PARAMETERS)
    assert (panel.counties, panel.months_available) == ((), 0)


def test_the_window_is_that_of_the_shortest_county() -> None:
    given_reports = reports(gaps=((25, 1),))
    (panel,) = panels(given_reports, PARAMETERS)
    assert (len(panel.counties), panel.months_available) == (5, 25)


def test_a_month_is_complete_with_exactly_the_reporters_expected_now() -> None:
    complete = reports(months=1, counties=1)
    assert complete.months_complete("k1") == 1
    zone = Reports(["2026-06"], {"k1": "M"}, {"k1": frozenset({"k1", "zone"})}, complete.accepted, complete.persons)
    assert zone.months_complete("k1") == 0
    unbuilt = Reports(["2026-06"], {"k1": "M"}, complete.expected, complete.accepted, {})
    assert unbuilt.months_complete("k1") == 0


def test_an_industry_that_came_later_was_zero_before() -> None:
    given_reports = reports(months=24, counties=1)
    given_reports.persons["2026-06", "k1"]["14"] = 3  # type: ignore[index]
    (panel,) = panels(given_reports, PARAMETERS)
    assert {one.industry_code: one.values[-2:] for one in series(given_reports, panel, "00")} == {
        "13": (10, 10),
        "14": (0, 3),
    }
