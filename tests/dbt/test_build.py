"""dbt builds the small province; every figure here can be worked out from the tables in ``province.py``."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from include.intake.calendar import PeriodError
from include.settings import get_settings
from include.warehouse.connection import connect
from include.warehouse.dbt import DbtInterrupted, DbtNotRunError, MartBuildFailed, dbt_build, prepare, run_unit_tests
from tests.databases import warehouse_at
from tests.dbt.checksums import period_checksums
from tests.dbt.province import GUIPING, LINGSHAN, QINNAN

pytestmark = pytest.mark.slow


def one(conn: psycopg.Connection[Any], query: str, *parameters: Any) -> dict[str, Any]:
    rows = many(conn, query, *parameters)
    assert len(rows) == 1, rows
    return rows[0]


def many(conn: psycopg.Connection[Any], query: str, *parameters: Any) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), parameters).fetchall()


def summary(conn: psycopg.Connection[Any], period: str, region_code: str) -> dict[str, Any]:
    query = "select * from marts.mart_labour_shortage_summary where period = %s and region_code = %s"
    return one(conn, query, period, region_code)


def test_earlier_months_never_built_are_built_first(built: dict[str, Any]) -> None:
    first, again = built["results"].values()
    assert (first.period, first.earlier) == ("2026-03", ("2026-01", "2026-02"))
    assert (again.period, again.earlier) == ("2026-03", ())


def test_a_warehouse_is_prepared_once(built: dict[str, Any]) -> None:
    # Once it was: tests/databases.py sees to it that the first time something is done.
    assert [result.prepared for result in built["results"].values()] == [False, False]
    assert prepare("2026-03") is False


def test_a_month_built_again_is_the_same(built: dict[str, Any], marts: psycopg.Connection[Any]) -> None:
    for period, before in built["checksums"].items():
        assert period_checksums(marts, period) == before
    filled = {name for name, value in built["checksums"]["2026-03"].items() if not value.startswith("0:")}
    assert filled >= {"fct_enterprise_month", "fct_industry_month", "mart_labour_shortage_summary"}


def test_province_in_march(marts: psycopg.Connection[Any]) -> None:
    row = summary(marts, "2026-03", "450000")
    assert row["level"] == "province"
    assert (row["expected_reporters"], row["covered_reporters"], row["lfl_reporters"]) == (3, 2, 1)
    assert (row["enterprises"], row["short_enterprises"], row["persistently_short_enterprises"]) == (4, 3, 1)
    assert (row["headcount_persons"], row["shortage_now_persons"], row["shortage_expansion_persons"]) == (360, 30, 35)
    assert row["shortage_rate"] == Decimal("0.0769230769")  # 30 / (360 + 30)
    assert row["short_enterprise_share"] == Decimal("0.75")
    # like for like: 灵山县 alone reported in both months, 7 + 0 + 3 against 6 + 4
    assert (row["lfl_shortage_now_persons"], row["lfl_previous_shortage_now_persons"]) == (10, 10)
    assert row["shortage_change_rate_lfl"] == 0
    # plain: 30 against 6 + 4 + 9
    assert row["previous_shortage_now_persons"] == 19
    assert row["shortage_change_rate_plain"] == Decimal("0.5789473684")
    assert (row["skilled_persons"], row["high_skilled_persons"]) == (80, 20)
    assert row["high_skilled_share"] == Decimal("0.25")
    assert row["data_maturity"] == "provisional"


def test_province_in_february_counts_the_second_version(marts: psycopg.Connection[Any]) -> None:
    row = summary(marts, "2026-02", "450000")
    assert (row["shortage_now_persons"], row["headcount_persons"]) == (19, 450)
    assert (row["lfl_shortage_now_persons"], row["lfl_previous_shortage_now_persons"]) == (19, 13)
    assert row["shortage_change_rate_lfl"] == Decimal("0.4615384615")  # 6 / 13
    assert row["shortage_change_rate_plain"] == Decimal("-0.1739130435")  # (19 - 23) / 23
    assert row["data_maturity"] == "final"


def test_the_first_month_has_nothing_to_compare_with(marts: psycopg.Connection[Any]) -> None:
    row = summary(marts, "2026-01", "450000")
    assert row["coverage_rate"] == 1
    assert row["lfl_reporters"] == 0
    for measure in ("lfl_shortage_now_persons", "previous_shortage_now_persons", "shortage_change_rate_plain"):
        assert row[measure] is None


@pytest.mark.parametrize(("period", "county"), [("2026-02", QINNAN), ("2026-03", GUIPING)])
def test_a_county_without_accepted_report_is_missing_not_zero(
    marts: psycopg.Connection[Any], period: str, county: str
) -> None:
    row = summary(marts, period, county)
    assert (row["expected_reporters"], row["covered_reporters"]) == (1, 0)
    for measure in ("enterprises", "headcount_persons", "shortage_now_persons", "shortage_rate"):
        assert row[measure] is None
    query = "select 1 from marts.mart_labour_shortage where period = %s and county_code = %s"
    assert many(marts, query, period, county) == []


def test_shortage_by_county_and_industry(marts: psycopg.Connection[Any]) -> None:
    rows = many(
        marts,
        "select county_code, industry_code, enterprises, shortage_now_persons, lfl_previous_shortage_now_persons,"
        " shortage_change_rate_lfl from marts.mart_labour_shortage where period = '2026-03'",
    )
    found = {(row["county_code"], row["industry_code"]): tuple(row.values())[2:] for row in rows}
    assert found == {
        (LINGSHAN, "32"): (1, 7, 6, Decimal("0.1666666667")),  # 铝, 1 / 6
        (LINGSHAN, "13"): (1, 0, 4, Decimal(-1)),  # 糖
        (LINGSHAN, "00"): (1, 3, 0, None),  # 机械制造 is no division: 未归类; 0 in February: no rate
        (QINNAN, "13"): (1, 20, None, None),  # nothing sent in February
    }


def test_streaks_look_into_earlier_months(marts: psycopg.Connection[Any]) -> None:
    rows = many(
        marts,
        "select uscc, short_streak_months, is_persistently_short from marts.fct_enterprise_month"
        " where period = '2026-03'",
    )
    assert {row["uscc"]: (row["short_streak_months"], row["is_persistently_short"]) for row in rows} == {
        "E1": (3, True),
        "E2": (0, False),
        "E3": (1, False),
        "E4": (1, False),  # February is missing: the run is broken, not presumed
    }


def test_submissions_expected_received_on_time(marts: psycopg.Connection[Any]) -> None:
    rows = many(
        marts,
        "select reporter_code, is_received, is_on_time, is_accepted, is_first_pass, outcome, version_count"
        " from marts.fct_submission where period = '2026-03' and form = 'enterprise_status'",
    )
    assert {row["reporter_code"]: tuple(row.values())[1:] for row in rows} == {
        # first arrival 23:30 on the due day in Beijing; accepted at the second attempt
        LINGSHAN: (True, True, True, False, "accepted", 2),
        QINNAN: (True, False, True, True, "accepted", 1),  # half an hour after midnight
        GUIPING: (True, True, False, False, "refused", 1),
    }
    february = one(
        marts,
        "select is_expected, is_received, outcome, rows_read, due_on from marts.fct_submission"
        " where period = '2026-02' and form = 'enterprise_status' and reporter_code = %s",
        QINNAN,
    )
    assert tuple(february.values()) == (True, False, "not_received", None, date(2026, 3, 6))


def test_reporting_performance(marts: psycopg.Connection[Any]) -> None:
    rows = many(
        marts,
        "select reporter_code, expected_forms, received_forms, on_time_forms, accepted_forms, first_pass_forms,"
        " findings_per_1000_cells, rank from marts.mart_reporting_performance where period = '2026-03'",
    )
    assert {row["reporter_code"]: tuple(row.values())[1:] for row in rows} == {
        LINGSHAN: (3, 3, 3, 3, 2, Decimal(5), 1),  # three findings in 600 cells
        QINNAN: (3, 1, 0, 1, 1, Decimal(5), None),
        GUIPING: (3, 1, 1, 0, 0, Decimal(10), None),
    }


def test_posts_and_wages(marts: psycopg.Connection[Any]) -> None:
    rows = many(
        marts,
        "select occupation_code, post_category, posts, enterprises, shortage_now_persons, wage_min_yuan_median,"
        " wage_max_yuan_median from marts.mart_labour_shortage_by_post where period = '2026-03'",
    )
    assert {row["occupation_code"]: tuple(row.values())[1:] for row in rows} == {
        "6-18-02-04": ("技工", 2, 1, 7, Decimal(4500), Decimal(6500)),
        "0-00-00-00": ("普工", 1, 1, 3, None, None),
    }


def test_training_needed_against_delivered(marts: psycopg.Connection[Any]) -> None:
    row = one(marts, "select * from marts.mart_training_demand where period = '2026-03'")
    assert row["occupation_code"] == "6-18-02-04"  # 焊工
    assert (row["training_level"], row["training_type"]) == ("中级工", "企业新型学徒制")
    assert (row["needed_persons"], row["needed_subsidised_persons"]) == (15, 10)
    # p1 and p2: the line taken back does not count, the settled one names nobody
    assert (row["delivered_persons"], row["gap_persons"]) == (2, 13)


def test_subsidies(marts: psycopg.Connection[Any]) -> None:
    row = one(marts, "select * from marts.mart_subsidy_disbursement where period = '2026-03'")
    assert (row["item_code"], row["item"]) == ("apprenticeship", "企业新型学徒制补贴")
    assert (row["claims"], row["persons"]) == (4, 3)
    assert (row["applied_yuan"], row["paid_yuan"], row["recovered_yuan"]) == (15000, 9600, 5000)
    assert row["advanced_yuan"] is None
    assert row["outstanding_advance_yuan"] == 600  # 1000 advanced in January, 400 deducted in March
    # 2 to 6 March: 4; 5 January to 6 March: 19 in January, 16 in February (two Saturdays worked), 5 in March
    assert (row["review_working_days_median"], row["review_working_days_max"]) == (Decimal(22), 40)
    assert row["over_limit_claims"] == 1


def test_dimensions(marts: psycopg.Connection[Any]) -> None:
    period = one(marts, "select * from marts.dim_period where period = '2026-01'")
    assert (period["period_zh"], period["previous_period"]) == ("2026年1月", "2025-12")
    assert (period["first_day"], period["last_day"]) == (date(2026, 1, 1), date(2026, 1, 31))
    reporter = one(marts, "select city_name from marts.dim_reporter where reporter_code = %s", LINGSHAN)
    assert reporter["city_name"] == "钦州市"
    assert one(marts, "select count(*) from marts.dim_region where level = 'county'")["count"] == 111
    unclassified = one(marts, "select industry_name from marts.dim_industry where industry_code = '00'")
    assert unclassified["industry_name"] == "未归类"


def test_comments_tell_the_grain(marts: psycopg.Connection[Any]) -> None:
    comment = one(marts, "select obj_description('marts.mart_labour_shortage'::regclass) as text")["text"]
    assert comment.startswith("粒度：县 × 行业 × 报告期")
    column = one(marts, "select col_description('marts.fct_submission'::regclass, 1) as text")["text"]
    assert column == "报告期（YYYY-MM）"


def test_results_are_stored(marts: psycopg.Connection[Any], built: dict[str, Any]) -> None:
    rows = many(marts, "select node_id, status from intake.model_result where period = '2026-03'")
    stored = {row["node_id"]: row["status"] for row in rows}
    assert set(stored.values()) <= {"success", "pass"}
    assert {node.node_id for node in built["results"]["again"].nodes} <= set(stored)
    assert "model.labour_reporting.mart_labour_shortage" in stored


def test_dbt_unit_tests_pass(built: dict[str, Any]) -> None:
    results = run_unit_tests("2026-03")
    assert len(results) >= 20
    assert {result.status for result in results} == {"pass"}


def test_a_rebuild_replaces_exactly_its_period(built: dict[str, Any]) -> None:
    # The only accepted reports of February are withdrawn: nothing of February may stay, nothing else may change.
    try:
        with connect() as conn:
            conn.execute("create table intake.kept as select * from intake.submission where period = '2026-02'")
            conn.execute("update intake.submission set outcome = 'refused' where period = '2026-02'")
        dbt_build("2026-02")
        with connect() as conn:
            assert period_checksums(conn, "2026-02")["fct_enterprise_month"].startswith("0:")
            assert period_checksums(conn, "2026-02")["mart_labour_shortage"].startswith("0:")
            assert period_checksums(conn, "2026-01") == built["checksums"]["2026-01"]
            assert period_checksums(conn, "2026-03") == built["checksums"]["2026-03"]
    finally:
        with connect() as conn:
            conn.execute(
                "update intake.submission as s set outcome = k.outcome from intake.kept as k"
                " where s.submission_id = k.submission_id"
            )
            conn.execute("drop table intake.kept")
    dbt_build("2026-02")
    with connect() as conn:
        assert period_checksums(conn, "2026-02") == built["checksums"]["2026-02"]


def test_a_failed_model_is_named(built: dict[str, Any]) -> None:
    # One enterprise twice in an accepted file: validation holds such rows back, and the key of the fact refuses them.
    with connect() as conn:
        conn.execute(
            "create temp table twice as select * from raw.enterprise_status where period = '2026-01' and uscc = 'E4'"
        )
        conn.execute("update twice set source_row = 900")
        conn.execute("insert into raw.enterprise_status select * from twice")
    try:
        with pytest.raises(MartBuildFailed, match=r"fct_enterprise_month \(model: .*duplicate key") as caught:
            dbt_build("2026-01")
    finally:
        with connect() as conn:
            conn.execute("delete from raw.enterprise_status where period = '2026-01' and source_row = 900")
    assert [node.name for node in caught.value.failed] == ["fct_enterprise_month"]
    assert not caught.value.is_passing
    with connect() as conn:
        # the failed model was rolled back, what hangs on it was not touched
        assert period_checksums(conn, "2026-01") == built["checksums"]["2026-01"]
        status = one(
            conn,
            "select status from intake.model_result where period = '2026-01'"
            " and node_id = 'model.labour_reporting.fct_enterprise_month'",
        )
    assert status["status"] == "error"


def test_a_period_outside_the_ledger_fails(built: dict[str, Any]) -> None:
    with pytest.raises(MartBuildFailed, match="assert_period_stands_in_ledger"):
        dbt_build("2026-09")


def test_a_wrong_period_is_refused() -> None:
    with pytest.raises(PeriodError):
        dbt_build("2026-13")


def test_a_selection_without_nodes_is_refused(built: dict[str, Any]) -> None:
    with pytest.raises(DbtNotRunError, match="selected no node"):
        dbt_build("2026-03", select="no_such_model")


def test_a_warehouse_that_is_away_is_tried_again(built: dict[str, Any]) -> None:
    with warehouse_at("postgresql://labour:secret@127.0.0.1:9/labour"), pytest.raises(DbtInterrupted):
        run_unit_tests("2026-03")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("fct_industry_month", "skilled_persons"),
        ("mart_labour_shortage", "workers_persons"),
        ("mart_labour_shortage_summary", "insured_persons"),
        ("mart_labour_shortage_by_post", "posts"),
        ("mart_training_demand", "needed_subsidised_persons"),
        ("mart_reporting_performance", "rows_held"),
    ],
)
def test_the_reconciliation_names_a_mart_that_differs_from_raw(built: dict[str, Any], table: str, column: str) -> None:
    compiled = (
        get_settings().var
        / "dbt/target/2026-03/compiled/labour_reporting/tests/assert_marts_equal_raw_totals.sql"
    ).read_text("utf-8")  # fmt: skip
    with connect() as conn:
        assert many(conn, compiled) == []
        level = " and level = 'county'" if table.endswith("summary") else ""
        county = "region_code" if level else "county_code"
        query = f"update marts.{table} set {column} = coalesce({column}, 0) + 1 where period = '2026-03'{level}"
        conn.execute(f"{query} and {county} = %s".encode(), (LINGSHAN,))
        rows = many(conn, compiled)
        assert {(row["mart"], row["county_code"], row["measure"]) for row in rows} == {(table, LINGSHAN, column)}
        conn.rollback()


def test_a_selection_leaves_the_views_alone(built: dict[str, Any], marts: psycopg.Connection[Any]) -> None:
    query = "select count(*) from information_schema.views where table_schema in ('staging', 'intermediate')"
    before = one(marts, query)
    marts.rollback()
    assert dbt_build("2026-03", select="+fct_post_demand").models == ("fct_post_demand",)
    assert one(marts, query) == before
