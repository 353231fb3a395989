"""The analyses of one period: read what is prepared, work out, replace the period's rows in schema ``analysis``.

Nothing later than the period is read: of the period itself the accepted reports, of the months before it the marts. The
same data give the same rows, and a run takes the place of an earlier one whole.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import psycopg
from psycopg import sql

from include.analysis.cooperation import Suggestion, UnknownCityError, suggest
from include.analysis.distance import distances_m
from include.analysis.forecasting import MethodFailedError, forecast, seasonal_naive
from include.analysis.history import Reports, panels, series
from include.analysis.parameters import ParameterError, Parameters, load_parameters
from include.intake.calendar import PeriodError, check_period
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError

log = logging.getLogger(__name__)

UNCLASSIFIED_OCCUPATION = "0-00-00-00"
UNCLASSIFIED_INDUSTRY = "00"
_LOCK = "labour_reporting.analysis"


class NotPreparedError(RuntimeError):
    """Views the analyses read are missing; the message says how to set them up."""


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A row of ``analysis.shortage_series``; ``panel_shortage_now_persons`` is the last month of the series."""

    city_code: str
    industry_code: str
    status: str
    months_available: int
    months_needed: int
    panel_counties: int
    expected_counties: int
    panel_shortage_now_persons: int | None
    horizon_months: int
    interval_level: float


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """A row of ``analysis.shortage_forecast``."""

    city_code: str
    industry_code: str
    horizon_months: int
    target_period: str
    forecast_persons: int
    lower_persons: int
    upper_persons: int
    seasonal_naive_persons: int


@dataclass(frozen=True, slots=True)
class PanelRow:
    """A row of ``analysis.forecast_panel``."""

    city_code: str
    county_code: str


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """A row of ``analysis.forecast_outcome``."""

    origin_period: str
    city_code: str
    industry_code: str
    shortage_now_persons: int


def analyse(period: str) -> dict[str, Any]:
    """Work out labour cooperation, forecasts and what became of earlier forecasts, for one period.

    The views of schema ``intermediate`` must be prepared and earlier periods built; dbt builds the marts afterwards.

    Args:
        period: ``YYYY-MM``; must stand in the ledger.

    Returns:
        ``{"period", "suggestions", "series", "forecasts", "outcomes", "seconds": {"cooperation", "forecast"}}``.

    Raises:
        PeriodError: the period is not a month.
        NotPreparedError: the warehouse has not been prepared.
    """
    check_period(period)
    parameters = load_parameters()
    with connect() as conn:
        conn.execute("select pg_advisory_xact_lock(hashtext(%s))", (_LOCK,))
        _require_prepared(conn)
        began = time.monotonic()
        suggestions = _cooperation(conn, period, parameters)
        _replace(conn, "labour_cooperation", period, Suggestion, suggestions)
        middle = time.monotonic()
        reports = _reports(conn, period, parameters)
        rows, forecasts, members = _forecasts(reports, parameters)
        _replace(conn, "shortage_series", period, SeriesRow, rows)
        _replace(conn, "forecast_panel", period, PanelRow, members)
        _replace(conn, "shortage_forecast", period, ForecastRow, forecasts)
        outcomes = _outcomes(conn, reports)
        _replace(conn, "forecast_outcome", period, OutcomeRow, outcomes)
        conn.commit()
        ended = time.monotonic()
    result = {
        "period": period,
        "suggestions": len(suggestions),
        "series": len(rows),
        "forecasts": len(forecasts),
        "outcomes": len(outcomes),
        "seconds": {"cooperation": round(middle - began, 2), "forecast": round(ended - middle, 2)},
    }
    log.info("analyses of %s: %s", period, result)
    return result


def period_after(period: str, months: int) -> str:
    """The period ``months`` later, or earlier where negative."""
    index = int(period[:4]) * 12 + int(period[5:]) - 1 + months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def _require_prepared(conn: psycopg.Connection[Any]) -> None:
    needed = ("intermediate.int_labour_supply", "intermediate.int_enterprise_month", "reference.city_seats")
    for name in needed:
        row = conn.execute("select to_regclass(%s)", (name,)).fetchone()
        if row is None or row[0] is None:
            raise NotPreparedError(f"{name} does not exist: run `python -m include.warehouse.dbt <period>` first")


def _cooperation(conn: psycopg.Connection[Any], period: str, parameters: Parameters) -> list[Suggestion]:
    # Through so many views the planner expects a handful of rows where half a million come: a loop would never end.
    conn.execute("set local enable_nestloop = off")
    short = conn.execute(
        "select occupation_code, city_code, sum(shortage_now_persons)::bigint from intermediate.int_post_demand"
        " where period = %s and occupation_code <> %s and shortage_now_persons > 0 group by 1, 2",
        (period, UNCLASSIFIED_OCCUPATION),
    )
    supply = conn.execute(
        "select occupation_code, city_code, supply_kind, sum(supply_persons)::bigint"
        " from intermediate.int_labour_supply where period = %s and occupation_code <> %s group by 1, 2, 3",
        (period, UNCLASSIFIED_OCCUPATION),
    )
    seats = conn.execute("select city_code, longitude::float8, latitude::float8 from reference.city_seats")
    return suggest(
        {(occupation, city): persons for occupation, city, persons in short},
        {(occupation, city, kind): persons for occupation, city, kind, persons in supply},
        distances_m({city: (longitude, latitude) for city, longitude, latitude in seats}),
        parameters,
    )


def _reports(conn: psycopg.Connection[Any], period: str, parameters: Parameters) -> Reports:
    periods = [period_after(period, -back) for back in reversed(range(parameters.history_months_read))]
    city_of: dict[str, str] = {}
    expected: dict[str, set[str]] = {}
    for reporter, county, city in conn.execute(
        "select expected.reporter_code, reporters.region_code, reporters.city_code"
        " from staging.stg_intake__expected_report as expected"
        " inner join staging.stg_intake__reporter as reporters using (reporter_code)"
        " where expected.period = %s and expected.form = 'enterprise_status'",
        (period,),
    ):
        city_of[county] = city
        expected.setdefault(county, set()).add(reporter)
    accepted: dict[tuple[str, str], set[str]] = {}
    for one, county, reporter in conn.execute(
        "select period, county_code, reporter_code from intermediate.int_accepted_submission"
        " where form = 'enterprise_status' and period between %s and %s",
        (periods[0], period),
    ):
        accepted.setdefault((one, county), set()).add(reporter)
    persons: dict[tuple[str, str], dict[str, int]] = {}
    for one, county, industry, short in _shortages(conn, periods):
        persons.setdefault((one, county), {})[industry] = short
    return Reports(
        periods,
        city_of,
        {county: frozenset(reporters) for county, reporters in expected.items()},
        {key: frozenset(reporters) for key, reporters in accepted.items()},
        persons,
    )


def _shortages(conn: psycopg.Connection[Any], periods: Sequence[str]) -> Iterable[tuple[str, str, str, int]]:
    yield from conn.execute(
        "select period, county_code, industry_code, sum(shortage_now_persons)::bigint"
        " from intermediate.int_enterprise_month where period = %s group by 1, 2, 3",
        (periods[-1],),
    )
    row = conn.execute("select to_regclass('marts.mart_labour_shortage')").fetchone()
    if row is not None and row[0] is not None:
        yield from conn.execute(
            "select period, county_code, industry_code, shortage_now_persons from marts.mart_labour_shortage"
            " where period >= %s and period < %s",
            (periods[0], periods[-1]),
        )


def _forecasts(reports: Reports, parameters: Parameters) -> tuple[list[SeriesRow], list[ForecastRow], list[PanelRow]]:
    rows: list[SeriesRow] = []
    forecasts: list[ForecastRow] = []
    members: list[PanelRow] = []
    level, months = float(parameters.interval_level), parameters.horizon_months
    for panel in panels(reports, parameters):
        members += [PanelRow(panel.city_code, county) for county in panel.counties]
        for one in series(reports, panel, UNCLASSIFIED_INDUSTRY):
            status = "history_insufficient"
            if one.values:
                try:
                    ahead = forecast(one.values, months, level)
                    status = "forecast"
                except MethodFailedError as error:
                    log.warning("no forecast of %s %s: %s", one.city_code, one.industry_code, error)
                    ahead, status = [], "method_failed"
                naive = seasonal_naive(one.values, months)
                forecasts += [
                    ForecastRow(
                        one.city_code,
                        one.industry_code,
                        horizon,
                        period_after(reports.periods[-1], horizon),
                        point.persons,
                        point.lower,
                        point.upper,
                        naive[horizon - 1],
                    )
                    for horizon, point in enumerate(ahead, start=1)
                ]
            rows.append(
                SeriesRow(
                    one.city_code,
                    one.industry_code,
                    status,
                    panel.months_available,
                    parameters.history_months_needed,
                    len(panel.counties),
                    panel.expected_counties,
                    one.values[-1] if one.values else None,
                    months,
                    level,
                )
            )
    return rows, forecasts, members


def _outcomes(conn: psycopg.Connection[Any], reports: Reports) -> list[OutcomeRow]:
    """What came of the forecasts made for this period, where every county of their panel is complete."""
    period = reports.periods[-1]
    panel_of: dict[tuple[str, str], list[str]] = {}
    for origin, city, county in conn.execute(
        "select panel.period, panel.city_code, panel.county_code from analysis.forecast_panel as panel"
        " where panel.period in (select period from analysis.shortage_forecast where target_period = %s)",
        (period,),
    ):
        panel_of.setdefault((origin, city), []).append(county)
    rows = []
    for origin, city, industry in conn.execute(
        "select period, city_code, industry_code from analysis.shortage_forecast where target_period = %s"
        " order by period, city_code, industry_code",
        (period,),
    ):
        counties = panel_of[origin, city]
        if all(county in reports.expected and reports.is_complete(period, county) for county in counties):
            came = sum(reports.persons[period, county].get(industry, 0) for county in counties)
            rows.append(OutcomeRow(origin, city, industry, came))
    return rows


def _replace(conn: psycopg.Connection[Any], table: str, period: str, shape: type, rows: Sequence[Any]) -> None:
    """Delete the period's rows of a table and write these, dataclasses whose fields are its other columns."""
    name = sql.Identifier("analysis", table)
    columns = [sql.Identifier("period"), *(sql.Identifier(field.name) for field in fields(shape))]
    conn.execute(sql.SQL("delete from {} where period = %s").format(name), (period,))
    statement = sql.SQL("copy {} ({}) from stdin").format(name, sql.SQL(", ").join(columns))
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row((period, *astuple(row)))


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m include.analysis.run 2026-03``: the analyses of one prepared period."""
    parser = argparse.ArgumentParser(prog="python -m include.analysis.run", description="analyses of one period")
    parser.add_argument("period", help="reporting period, e.g. 2026-10")
    try:
        print(analyse(parser.parse_args(arguments).period))
    except (
        PeriodError, NotPreparedError, UnknownCityError, ParameterError, WarehouseUnreachableError,
        EmbeddedPostgresError,
    ) as error:  # fmt: skip
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
