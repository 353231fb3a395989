"""Analyses over three years of a few counties: what is written for a period, what it may know, what the marts show.

贵港市 450800: five counties over 38 months, a cane season in industry 13; 桂平市 missed 2026-05.
钦州市 450700: two counties; 灵山县 missed 2026-01, so that too few counties have a history.
南宁市 450100: one county that began in 2026-04.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from include.analysis.run import NotPreparedError, analyse, period_after
from include.warehouse.connection import connect
from include.warehouse.dbt import _LANDMARK, dbt_build
from tests.databases import database, warehouse_at
from tests.dbt.checksums import period_checksums

pytestmark = pytest.mark.slow

LAST = "2026-06"
PERIODS = [period_after(LAST, -back) for back in reversed(range(38))]
GUIGANG = ("450802", "450803", "450804", "450821", "450881")
CITY = {**dict.fromkeys(GUIGANG, "450800"), "450702": "450700", "450721": "450700", "450126": "450100"}
MISSING = {("2026-05", "450881"), ("2026-01", "450721")} | {(p, "450126") for p in PERIODS if p < "2026-04"}
SEASON = (120, 130, 100, 60, 40, 30, 30, 30, 40, 60, 90, 110)
TABLES = ("labour_cooperation", "shortage_series", "forecast_panel", "shortage_forecast", "forecast_outcome")
MARTS = "mart_labour_cooperation mart_forecast_accuracy mart_shortage_forecast"
# (county, enterprise, state, leavers of the last month, post, employed, short)
POSTS = (
    ("450802", "E450802", "正常", 0, "焊工", 50, 12),
    ("450803", "E450803", "停产", 0, "焊工", 8, 0),
    ("450702", "E450702", "停产", 0, "焊工", 30, 0),
    ("450721", "E450721", "正常", 10, "焊工", 60, 3),
    ("450721", "E450721", "正常", 10, "流水线普工", 40, 50),
    ("450126", "E450126", "半停产", 0, "焊工", 9, 0),
)


def insert(conn: psycopg.Connection[Any], table: str, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.Placeholder() * len(columns)),
    )
    with conn.cursor() as cursor:
        cursor.executemany(statement, [[row[column] for column in columns] for row in rows])


def fill(conn: psycopg.Connection[Any]) -> None:
    generator = np.random.default_rng(26)
    insert(conn, "intake.reporter", [
        {"reporter_code": county, "reporter_name": county, "region_code": county, "city_code": city,
         "pilot_level": "市级试点", "valid_from": date(2022, 2, 25), "is_sample": True}
        for county, city in CITY.items()
    ])  # fmt: skip
    insert(conn, "intake.reporting_period", [
        {"period": one, "due_on": f"{period_after(one, 1)}-06", "closes_on": f"{period_after(one, 1)}-13",
         "state": "closed"}
        for one in PERIODS
    ])  # fmt: skip
    insert(conn, "intake.expected_report", [
        {"period": one, "reporter_code": county, "form": "enterprise_status", "due_on": f"{period_after(one, 1)}-06"}
        for one in PERIODS
        for county in CITY
    ])  # fmt: skip
    for form in ("enterprise_status", "labour_demand"):
        for one in PERIODS:
            conn.execute(
                sql.SQL("create table raw.{} partition of raw.{} for values in ({})").format(
                    sql.Identifier(f"{form}_{one.replace('-', '_')}"), sql.Identifier(form), sql.Literal(one)
                )
            )
    for one in PERIODS:
        for county in CITY:
            if (one, county) not in MISSING:
                submit(conn, "enterprise_status", one, county)
                short = int(generator.poisson(SEASON[int(one[5:]) - 1]))
                state, leavers = next(
                    ((row[2], row[3]) for row in POSTS if row[0] == county and one == LAST), ("正常", None)
                )
                insert(conn, "raw.enterprise_status", [
                    {"submission_id": f"enterprise_status-{one}-{county}", "sheet": "表", "source_row": 1,
                     "period": one, "county_code": county, "enterprise_name": county, "uscc": f"E{county}",
                     "industry": "13", "operating_state": state, "headcount": 400, "managers": 1, "professionals": 1,
                     "workers": 398, "leavers": leavers, "shortage_now": short, "shortage_expansion": 0,
                     "training_needed": 0}
                ])  # fmt: skip
    for county in sorted({row[0] for row in POSTS}):
        submit(conn, "labour_demand", LAST, county)
    insert(conn, "raw.labour_demand", [
        {"submission_id": f"labour_demand-{LAST}-{county}", "sheet": "表", "source_row": line, "period": LAST,
         "county_code": county, "enterprise_name": name, "uscc": name, "post": post, "post_category": "技工",
         "employed": employed, "shortage_now": short, "shortage_expansion": 0}
        for line, (county, name, _, _, post, employed, short) in enumerate(POSTS, 1)
    ])  # fmt: skip


def submit(conn: psycopg.Connection[Any], form: str, period: str, county: str) -> None:
    key, received_at = f"{form}-{period}-{county}", f"{period_after(period, 1)}-03 10:00+08"
    receipt = conn.execute(
        "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at,"
        " period, reporter_code, outcome, outcome_zh)"
        " values (%s, 'f.xlsx', 'folder', %s, 1, %s, %s, %s, 'processed', '已处理') returning receipt_id",
        (key, key, received_at, period, county),
    ).fetchone()
    assert receipt is not None
    insert(conn, "intake.submission", [
        {"submission_id": key, "receipt_id": receipt[0], "form": form, "period": period, "reporter_code": county,
         "county_code": county, "version": 1, "sheets": ["表"], "received_at": received_at, "is_sample": True,
         "outcome": "accepted", "rows_read": 1, "rows_accepted": 1, "rows_held": 0, "cells_read": 1,
         "cells_filled": 1, "findings_e": 0, "findings_r": 0, "findings_w": 0}
    ])  # fmt: skip


@pytest.fixture(scope="module")
def province(var_dir: Any) -> Iterator[dict[str, Any]]:
    """The analyses of every month that has a history, and the marts of the last month."""
    with database("analysis") as url, warehouse_at(url):
        with connect() as conn:
            fill(conn)
            conn.commit()
        with connect() as conn:
            # 37 builds would take minutes: the earlier months count as built, and get what is read of them below.
            conn.execute(
                "insert into intake.model_result (period, node_id, resource_type, status, execution_s)"
                " select period, %s, 'model', 'success', 0 from intake.reporting_period where period < %s",
                (_LANDMARK, LAST),
            )
            conn.commit()
        dbt_build(LAST)
        with connect() as conn:
            conn.execute(
                """
                insert into marts.mart_labour_shortage
                select (jsonb_populate_record(template.row, to_jsonb(sums))).*
                from (
                    select period, county_code, city_code, industry_code,
                        sum(shortage_now_persons) as shortage_now_persons
                    from intermediate.int_enterprise_month
                    where period < %s
                    group by period, county_code, city_code, industry_code
                ) as sums
                cross join lateral (
                    select built as row from marts.mart_labour_shortage as built where period = %s limit 1
                ) as template
                """,
                (LAST, LAST),
            )
            conn.commit()
        summaries = {one: analyse(one) for one in PERIODS[23:]}
        dbt_build(LAST, select=MARTS)
        yield summaries


@pytest.fixture
def conn(province: dict[str, Any]) -> Iterator[psycopg.Connection[Any]]:
    with connect(row_factory=dict_row) as connection:
        yield connection
        connection.rollback()


def written(period: str) -> dict[str, list[Any]]:
    """Everything of one period in schema ``analysis``."""
    with connect() as connection:
        return {
            table: connection.execute(
                sql.SQL("select t::text from analysis.{} as t where period = %s order by 1").format(
                    sql.Identifier(table)
                ),
                (period,),
            ).fetchall()
            for table in TABLES
        }


def test_cooperation_worked_out_by_hand(conn: psycopg.Connection[Any]) -> None:
    # 焊工. 贵港 lacks 12, of its own 8 stopped x 0.5 = 4. 钦州 lacks 3; 30 stopped x 0.5 = 15, and of 10 leavers the
    # welders' 60 of 100 make 6 x 0.3 = 1: 16 less 3 leave 13. 南宁 is nearer to 贵港 and has 9 x 0.2 = 1.
    rows = conn.execute(
        "select * from marts.mart_labour_cooperation where period = %s order by city_code, distance_rank", (LAST,)
    ).fetchall()
    assert [
        (row["city_code"], row["offering_city_code"], row["suggested_persons"], row["unmatched_persons"])
        for row in rows
    ] == [
        ("450700", "450700", 3, 0),
        ("450800", "450800", 4, 0),
        ("450800", "450100", 1, 0),
        ("450800", "450700", 7, 0),
    ]
    far = rows[-1]
    assert (far["available_stopped_persons"], far["available_leavers_persons"], far["available_persons"]) == (15, 1, 16)
    assert (far["distance_km"], far["distance_rank"]) == (Decimal("159.0"), 3)
    assert {(row["label_zh"], row["is_suggestion"]) for row in rows} == {("建议", True)}
    # 流水线普工 is no occupation of the classification: 50 persons short of it are in no suggestion.
    assert {row["occupation_code"] for row in rows} == {"6-18-02-04"}


def test_three_months_of_each_series_forecast_or_not(conn: psycopg.Connection[Any]) -> None:
    rows = conn.execute(
        "select * from marts.mart_shortage_forecast where period = %s order by city_code, horizon_months", (LAST,)
    ).fetchall()
    assert [(row["city_code"], row["status"], row["target_period"]) for row in rows] == [
        (city, status, target)
        for city, status in (
            ("450100", "history_insufficient"), ("450700", "history_insufficient"), ("450800", "forecast"),
        )
        for target in ("2026-07", "2026-08", "2026-09")
    ]  # fmt: skip
    months = {row["city_code"]: (row["months_available"], row["months_needed"]) for row in rows}
    # 南宁 began in April; in 钦州 both counties are needed, and one missed January.
    assert months == {"450100": (3, 24), "450700": (5, 24), "450800": (38, 24)}
    for row in rows:
        figures = [row[name] for name in ("forecast_persons", "lower_persons", "upper_persons")]
        if row["status"] == "forecast":
            # 桂平 missed May: four counties of about 30 persons each in July and August, 40 in September
            assert (row["panel_counties"], row["expected_counties"]) == (4, 5)
            assert figures[0] == pytest.approx(4 * SEASON[int(row["target_period"][5:]) - 1], rel=0.25)
            assert 0 <= figures[1] < figures[0] < figures[2]
            assert row["interval_level"] == Decimal("0.8")
            assert row["is_better_than_naive"] == (row["mae_ratio_to_naive"] < 1)
        else:
            assert figures == [None, None, None]
            assert row["panel_shortage_now_persons"] is None


def test_the_forecasts_are_held_against_what_came(conn: psycopg.Connection[Any]) -> None:
    rows = conn.execute("select * from marts.mart_forecast_accuracy where period = %s", (LAST,)).fetchall()
    found = {(row["horizon_months"], row["method"]): row for row in rows}
    assert set(found) == {(n, method) for n in (1, 2, 3) for method in ("forecast", "seasonal_naive")}
    for horizon in (1, 2, 3):
        origin = period_after(LAST, -horizon)
        counties = [county for county in GUIGANG if origin != "2026-05" or county != "450881"]
        came = _shortage(conn, LAST, counties)
        made = conn.execute(
            "select * from analysis.shortage_forecast where period = %s and target_period = %s", (origin, LAST)
        ).fetchone()
        assert made is not None
        # The baseline of the same counties in June a year before, straight from what they sent.
        assert made["seasonal_naive_persons"] == _shortage(conn, "2025-06", counties)
        forecast, naive = found[horizon, "forecast"], found[horizon, "seasonal_naive"]
        assert forecast["absolute_error_persons"] == abs(made["forecast_persons"] - came)
        assert naive["absolute_error_persons"] == abs(made["seasonal_naive_persons"] - came)
        assert forecast["interval_coverage_rate"] == int(made["lower_persons"] <= came <= made["upper_persons"])
        assert naive["interval_coverage_rate"] is None


def _shortage(conn: psycopg.Connection[Any], period: str, counties: list[str]) -> int:
    row = conn.execute(
        "select sum(shortage_now) as persons from raw.enterprise_status where period = %s and county_code = any(%s)",
        (period, counties),
    ).fetchone()
    assert row is not None
    return int(row["persons"])


def test_a_month_with_a_missing_county_is_not_compared(province: dict[str, Any]) -> None:
    assert province["2026-05"]["outcomes"] == 0
    assert province["2026-05"]["forecasts"] == 3
    assert province["2026-04"]["outcomes"] == 3


def test_the_back_test_begins_with_the_first_forecast(province: dict[str, Any]) -> None:
    # 24 months are there in the 24th, two cities then have a history; each later month compares one horizon more.
    first = PERIODS[23]
    assert [province[period_after(first, n)]["outcomes"] for n in range(4)] == [0, 2, 4, 6]
    assert [province[period_after(first, n)]["forecasts"] for n in range(2)] == [6, 6]


def test_a_month_reads_only_its_own_partitions(conn: psycopg.Connection[Any]) -> None:
    plan = conn.execute(
        "explain select occupation_code, city_code, supply_kind, sum(supply_persons)"
        " from intermediate.int_labour_supply where period = '2026-06' and occupation_code <> 'x' group by 1, 2, 3"
    ).fetchall()
    text = " ".join(row["QUERY PLAN"] for row in plan)
    assert set(re.findall(r"labour_demand_(\d{4}_\d{2})", text)) == {"2026_06"}
    assert set(re.findall(r"enterprise_status_(\d{4}_\d{2})", text)) == {"2026_06"}


def test_a_run_again_writes_the_same(province: dict[str, Any]) -> None:
    before = written(LAST)
    assert all(before[table] for table in TABLES)
    analyse(LAST)
    assert written(LAST) == before
    with connect() as connection:
        marts = period_checksums(connection, LAST)
    dbt_build(LAST, select=MARTS)
    with connect() as connection:
        assert period_checksums(connection, LAST) == marts


def test_a_warehouse_that_is_not_prepared_is_named(var_dir: Any) -> None:
    with (
        database("bare", is_prepared=False) as url,
        warehouse_at(url),
        pytest.raises(NotPreparedError, match="does not exist: run"),
    ):
        analyse(LAST)


def test_what_comes_later_changes_nothing(province: dict[str, Any]) -> None:
    before = {one: written(one) for one in ("2026-02", "2026-03")}
    changes = (
        "update raw.enterprise_status set shortage_now = shortage_now * {} where period > '2026-03'",
        "update marts.mart_labour_shortage set shortage_now_persons = shortage_now_persons * {}"
        " where period > '2026-03'",
    )
    try:
        with connect() as connection:
            for change in changes:
                connection.execute(change.format(10).encode())
        for one, rows in before.items():
            analyse(one)
            assert written(one) == rows
        # It is a test that can fail: a change of the month itself shows.
        with connect() as connection:
            connection.execute("update raw.enterprise_status set shortage_now = 0 where period = '2026-03'")
        analyse("2026-03")
        assert written("2026-03")["shortage_forecast"] != before["2026-03"]["shortage_forecast"]
        assert written("2026-02") == before["2026-02"]
    finally:
        with connect() as connection:
            for change in changes:
                connection.execute(change.format("0.1").encode())
            connection.execute(
                "update raw.enterprise_status as sent set shortage_now = built.shortage_now_persons"
                " from marts.mart_labour_shortage as built"
                " where sent.period = '2026-03' and built.period = '2026-03' and sent.county_code = built.county_code"
            )
        analyse("2026-03")
    assert written("2026-03") == before["2026-03"]
