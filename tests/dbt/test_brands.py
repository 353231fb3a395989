"""The brand library over three months of two counties, small enough to work out by hand.

灵山县 450721
    January: 甲 100 employed, 乙 50, 丙 (培育). February: 甲 under another spelling with 80, 丙; 乙 is not in the list;
    a second version with 1 person was refused. March: 甲 70, 乙 has left the library; 丙 is not in the list.
钦南区 450702
    January: 丁 30 employed, and 甲 of 灵山县 once more with 999. February: nothing. March: an empty list.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from include.warehouse.connection import connect
from include.warehouse.dbt import dbt_build
from tests.databases import database, warehouse_at

pytestmark = pytest.mark.slow

LINGSHAN, QINNAN = "450721", "450702"
PERIODS = ("2026-01", "2026-02", "2026-03")
SELECTION = "fct_brand_month mart_brand_supervision mart_brand_coverage"
# (period, reporter, version, outcome)
SUBMISSIONS = (
    ("2026-01", LINGSHAN, 1, "accepted"),
    ("2026-02", LINGSHAN, 1, "accepted"),
    ("2026-02", LINGSHAN, 2, "refused"),
    ("2026-03", LINGSHAN, 1, "accepted_with_findings"),
    ("2026-01", QINNAN, 1, "accepted"),
    ("2026-03", QINNAN, 1, "accepted"),
)
# (period, reporter, version, name, county, status, employed, signed, times trained, led to employment)
BRANDS = (
    ("2026-01", LINGSHAN, 1, "演示甲茶工", "灵山县", "在库", 100, 600, 10, 20),
    ("2026-01", LINGSHAN, 1, "演示乙织女", "灵山", "在库", 50, 40, 0, 5),
    ("2026-01", LINGSHAN, 1, "演示丙", "本县", "培育", 5, None, 0, 40),
    ("2026-02", LINGSHAN, 1, "“演示甲 茶工”劳务品牌", "钦州市灵山县", "在库", 80, 600, 10, 0),
    ("2026-02", LINGSHAN, 1, "演示丙", "灵山县", "培育", 6, None, 3, 30),
    ("2026-02", LINGSHAN, 2, "演示甲茶工", "灵山县", "在库", 1, 1, 1, 1),
    ("2026-03", LINGSHAN, 1, "演示甲茶工", "灵山县", "在库", 70, 499, 10, 0),
    ("2026-03", LINGSHAN, 1, "演示乙织女", "灵山县", "退出", 0, 0, 0, 0),
    ("2026-01", QINNAN, 1, "演示丁家政", "钦南区", "预警", 30, 10, 0, 0),
    ("2026-01", QINNAN, 1, "演示甲茶工", "灵山县", "在库", 999, 999, 999, 999),
)
JIA, YI, BING = f"{LINGSHAN}-演示甲茶工", f"{LINGSHAN}-演示乙织女", f"{LINGSHAN}-演示丙"
DING = f"{QINNAN}-演示丁家政"


def _insert(conn: psycopg.Connection[Any], table: str, **values: Any) -> None:
    conn.execute(
        sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier(*table.split(".")),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        ),
        list(values.values()),
    )


def _fill(conn: psycopg.Connection[Any]) -> None:
    for code, name in ((LINGSHAN, "灵山县"), (QINNAN, "钦南区")):
        _insert(conn, "intake.reporter", reporter_code=code, reporter_name=name, region_code=code, city_code="450700",
                pilot_level="市级试点", valid_from=date(2022, 2, 25), is_sample=True)  # fmt: skip
    for period in PERIODS:
        _insert(conn, "intake.reporting_period", period=period, due_on=date(2026, 5, 1), closes_on=date(2026, 5, 8),
                state="open")  # fmt: skip
        conn.execute(
            sql.SQL("create table raw.{} partition of raw.brand_registry for values in ({})").format(
                sql.Identifier(f"brand_registry_{period.replace('-', '_')}"), sql.Literal(period)
            )
        )
    for period, code, version, outcome in SUBMISSIONS:
        key = f"{period}-{code}-{version}"
        receipt = conn.execute(
            "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at,"
            " period, reporter_code, outcome, outcome_zh)"
            " values (%s, 'f.xlsx', 'folder', %s, 1, '2026-04-01 10:00+08', %s, %s, 'processed', '已处理')"
            " returning receipt_id",
            (key, key, period, code),
        ).fetchone()
        assert receipt is not None
        _insert(conn, "intake.submission", submission_id=key, receipt_id=receipt[0], form="brand_registry",
                period=period, reporter_code=code, county_code=code, version=version, sheets=["表"],
                received_at="2026-04-01 10:00+08", is_sample=True, outcome=outcome, rows_read=1, rows_accepted=1,
                rows_held=0, cells_read=10, cells_filled=10, findings_e=0, findings_r=0, findings_w=0)  # fmt: skip
    for line, row in enumerate(BRANDS, 1):
        period, code, version, name, county, status, employed, signed, trained, led = row
        _insert(conn, "raw.brand_registry", submission_id=f"{period}-{code}-{version}", sheet="表", source_row=line,
                period=period, county_code=code, brand_name=name, category="民生保障型", county=county, status=status,
                recognised_level="县级", entered_on=date(2025, 11, 30), employed=employed, agreement_persons=signed,
                trained_person_times=trained, employment_driven=led)  # fmt: skip


@pytest.fixture(scope="module")
def library(var_dir: Any) -> Iterator[str]:
    """URL of a warehouse in which the three months have been built, oldest first."""
    with database("brands") as url:
        with warehouse_at(url):
            with connect() as conn:
                _fill(conn)
                conn.commit()
            dbt_build(PERIODS[0])  # the first build makes every table
            for period in PERIODS[1:]:
                dbt_build(period, select=SELECTION)
        yield url


@pytest.fixture
def marts(library: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(library, row_factory=dict_row) as conn:
        yield conn


def brand(conn: psycopg.Connection[dict[str, Any]], period: str, key: str) -> dict[str, Any]:
    query = "select * from marts.fct_brand_month where period = %s and brand_key = %s"
    row = conn.execute(query, (period, key)).fetchone()
    assert row is not None
    return row


def test_brands_of_each_month(marts: psycopg.Connection[dict[str, Any]]) -> None:
    rows = marts.execute("select period, brand_key, is_reported, last_known_status from marts.fct_brand_month")
    assert {tuple(row.values()) for row in rows} == {
        ("2026-01", JIA, True, "在库"),
        ("2026-01", YI, True, "在库"),
        ("2026-01", BING, True, "培育"),
        ("2026-01", DING, True, "预警"),
        ("2026-02", JIA, True, "在库"),
        ("2026-02", YI, False, "在库"),
        ("2026-02", BING, True, "培育"),
        ("2026-02", DING, False, "预警"),
        ("2026-03", JIA, True, "在库"),
        ("2026-03", YI, True, "退出"),
        ("2026-03", BING, False, "培育"),
        ("2026-03", DING, False, "预警"),
    }


def test_a_brand_under_another_spelling_goes_on(marts: psycopg.Connection[dict[str, Any]]) -> None:
    january, march = brand(marts, "2026-01", JIA), brand(marts, "2026-03", JIA)
    # the county's own row, not 钦南区's 999; both were sent
    assert (january["employed_persons"], january["reported_rows"], january["reporter_code"]) == (100, 2, LINGSHAN)
    assert january["employed_falling_months"] is None
    assert (march["employed_change_persons"], march["employed_change_rate"]) == (-10, Decimal("-0.125"))
    assert (march["employed_falling_months"], march["training_without_jobs_months"]) == (2, 2)
    assert (march["first_reported_in"], march["months_since_entry"]) == ("2026-01", 4)


def test_a_brand_that_sends_nothing_keeps_its_state_and_has_no_figures(
    marts: psycopg.Connection[dict[str, Any]],
) -> None:
    row = brand(marts, "2026-03", DING)
    assert (row["months_without_report"], row["last_reported_in"], row["status"]) == (2, "2026-01", None)
    assert row["employed_persons"] is None and row["submission_id"] is None
    # back after a gap: nothing to compare with, and no streak
    back = brand(marts, "2026-03", YI)
    assert (back["months_without_report"], back["previous_employed_persons"], back["untrained_months"]) == (0, None, 1)
    assert not brand(marts, "2026-01", BING)["is_county_resolved"]


def test_rules_of_each_brand(marts: psycopg.Connection[dict[str, Any]]) -> None:
    rows = marts.execute(
        "select period, brand_key, rule, suggested_status, detail_zh from marts.mart_brand_supervision where is_met"
    )
    assert {tuple(row.values())[:4] for row in rows} == {
        ("2026-01", JIA, "award_signed", "在库"),
        ("2026-02", JIA, "award_signed", "预警"),
        ("2026-02", JIA, "employed_drop", "预警"),  # 100 to 80 is the 20 % of the rule
        ("2026-02", BING, "entry_employment", "建议推荐入库"),  # 40 + 30
    }
    words = marts.execute(
        "select detail_zh from marts.mart_brand_supervision"
        " where period = '2026-02' and brand_key = %s and rule = 'employed_drop'",
        (JIA,),
    ).fetchone()
    assert words == {"detail_zh": "从业人员比上期减少20%，预警线20%"}
    # 乙 has left the library: no rule is held against it any more
    rows = marts.execute(
        "select brand_key, suggested_status from marts.mart_brand_supervision where period = '2026-03'"
    )
    assert {tuple(row.values()) for row in rows} == {(DING, "预警"), (BING, "培育"), (JIA, "在库")}


def test_coverage_has_two_denominators(marts: psycopg.Connection[dict[str, Any]]) -> None:
    rows = marts.execute(
        "select period, region_code, counties, covered_counties, reporting_counties, reporting_covered_counties,"
        " brands_in_library, brands_warned, brands_cultivating, brands_exited, brands_unreported"
        " from marts.mart_brand_coverage where region_code in ('450000', '450700', '450702', '450881')"
    )
    found = {(row["period"], row["region_code"]): tuple(row.values())[2:] for row in rows}
    assert found["2026-01", "450000"] == (111, 2, 2, 2, 3, 1, 1, 0, 0)
    assert found["2026-01", "450700"] == (4, 2, 2, 2, 3, 1, 1, 0, 0)
    assert found["2026-02", "450700"] == (4, 2, 1, 1, 3, 1, 1, 0, 2)
    # 钦南区 sent an empty list: it has reported, and 丁 is still in the library
    assert found["2026-03", "450702"] == (1, 1, 1, 1, 1, 1, 0, 0, 1)
    assert found["2026-03", "450700"] == (4, 2, 2, 2, 2, 1, 1, 1, 1)
    assert found["2026-03", "450881"] == (1, 0, 0, 0, 0, 0, 0, 0, 0)
    assert (
        marts.execute("select coverage_rate from marts.mart_brand_coverage where region_code = '450881'").fetchall()
        == [{"coverage_rate": None}] * 3
    )


def test_a_month_built_again_is_the_same(library: str, marts: psycopg.Connection[dict[str, Any]]) -> None:
    tables = ("fct_brand_month", "mart_brand_supervision", "mart_brand_coverage")

    def checksums() -> list[Any]:
        query = "select md5(string_agg(t::text, '|' order by t::text)) as sum from marts.{} as t"
        found = [marts.execute(sql.SQL(query).format(sql.Identifier(table))).fetchone() for table in tables]
        marts.rollback()
        return found

    before = checksums()
    with warehouse_at(library):
        dbt_build("2026-02", select=SELECTION)
    assert checksums() == before and None not in before
