"""Targets against form 4, from the raw rows to the mart, in a warehouse of its own.

Three reporters, two months of the 工作进展情况表; every figure below can be worked out from ``LINES``.
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

from include.quality.rules import _targets_of
from include.warehouse.connection import connect
from include.warehouse.dbt import dbt_build
from tests.databases import database, warehouse_at

pytestmark = pytest.mark.slow

LINGSHAN, QINNAN, GUIPING = "450721", "450702", "450881"
REPORTERS = (
    (LINGSHAN, "灵山县", "450700", "自治区级试点"),
    (QINNAN, "钦南区", "450700", "市级试点"),
    (GUIPING, "桂平市", "450800", "自治区级试点"),
)
PERIODS = {"2025-11": date(2025, 12, 8), "2025-12": date(2026, 1, 9)}
GX, GX_NO = "打造“八桂系列”劳务品牌促进就业实施方案", "桂政办发〔2021〕141号"
QZ, QZ_NO = "钦州市推进“八桂系列”劳务品牌建设促进就业行动实施方案", "钦政办〔2022〕22号"
# (period, reporter, version, 项目, 指标, 分项, 单位, 本月, 累计)
LINES = (
    ("2025-11", LINGSHAN, 1, QZ, "累计培训", None, "人次", 100, 5000),
    ("2025-11", QINNAN, 1, QZ, "累计培训", None, "人次", 100, 4000),
    ("2025-11", GUIPING, 1, GX, "累计培训", "八桂家政", "人次", 1, 77),
    # replaced by the second version
    ("2025-12", LINGSHAN, 1, QZ, "累计培训", None, "人次", 9, 9),
    ("2025-12", LINGSHAN, 2, "钦政办[2022]22 号", "累计培训", "", "人 次", 1000, 6000),
    ("2025-12", LINGSHAN, 2, QZ_NO, "带动就业创业", None, "人次", 500, 3000),
    ("2025-12", LINGSHAN, 2, QZ_NO, "带动就业创业", "“八桂家政”", "人次", 200, 2000),
    ("2025-12", LINGSHAN, 2, QZ_NO, "带动就业创业", "建工", "人次", 100, 1000),
    ("2025-12", LINGSHAN, 2, QZ_NO, "带动就业创业", "八桂米粉师傅", "人", 100, 1000),
    ("2025-12", LINGSHAN, 2, QZ_NO, "拖欠农民工工资举报投诉案件结案率", None, "%", None, 99),
    ("2025-12", LINGSHAN, 2, GX_NO, "累计培训", None, "人次", None, None),
    ("2025-12", LINGSHAN, 2, "某某工程", "植树", None, "棵", 3, 3),
    ("2025-12", QINNAN, 1, QZ, "累计培训", None, "人次", 200, 6500),
    ("2025-12", QINNAN, 1, GX, "累计培训", None, "人次", 200, 9000),
    ("2025-12", QINNAN, 1, "八桂系列", "累计培训", "八桂家政", "人次", 1, 1),
)


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
    for code, name, city, pilot_level in REPORTERS:
        _insert(conn, "intake.reporter", reporter_code=code, reporter_name=name, region_code=code, city_code=city,
                pilot_level=pilot_level, valid_from=date(2022, 2, 25), is_sample=True)  # fmt: skip
    for period, due_on in PERIODS.items():
        _insert(conn, "intake.reporting_period", period=period, due_on=due_on, closes_on=due_on, state="open")
        for code, *_ in REPORTERS:
            _insert(conn, "intake.expected_report", period=period, reporter_code=code, form="enterprise_status",
                    due_on=due_on)  # fmt: skip
        conn.execute(
            sql.SQL("create table {} partition of raw.programme_progress for values in ({})").format(
                sql.Identifier("raw", f"programme_progress_{period.replace('-', '_')}"), sql.Literal(period)
            )
        )
    sent = {(period, code, version, "programme_progress") for period, code, version, *_ in LINES}
    # 灵山县 alone sent what it owed
    sent |= {("2025-12", LINGSHAN, 1, "enterprise_status")}
    for period, code, version, form in sorted(sent):
        key = f"{form}-{period}-{code}-{version}"
        row = conn.execute(
            "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at,"
            " period, reporter_code, outcome, outcome_zh)"
            " values (%s, 'f.xlsx', 'folder', %s, 1, %s, %s, %s, 'processed', '已处理') returning receipt_id",
            (key, key, PERIODS[period], period, code),
        ).fetchone()
        assert row is not None
        _insert(conn, "intake.submission", submission_id=key, receipt_id=row[0], form=form, period=period,
                reporter_code=code, county_code=code, version=version, sheets=["表"], received_at=PERIODS[period],
                is_sample=True, outcome="accepted", rows_read=9, rows_accepted=9, rows_held=0, cells_read=9,
                cells_filled=9, findings_e=0, findings_r=0, findings_w=0)  # fmt: skip
    for number, (period, code, version, programme, indicator, group, unit, month, to_date) in enumerate(LINES, 1):
        _insert(conn, "raw.programme_progress", submission_id=f"programme_progress-{period}-{code}-{version}",
                sheet="表", source_row=number, period=period, county_code=code, programme=programme,
                indicator=indicator, indicator_group=group, unit=unit, done_this_month=month,
                done_to_date=to_date)  # fmt: skip


@pytest.fixture(scope="module")
def progress(var_dir: object) -> Iterator[psycopg.Connection[Any]]:
    """A warehouse with both months built, oldest first."""
    with database("programmes") as url, warehouse_at(url):
        with connect() as conn:
            _fill(conn)
            conn.commit()
        dbt_build(max(PERIODS))  # earlier months are built first
        with connect() as conn:
            yield conn


def many(conn: psycopg.Connection[Any], query: str, *parameters: Any) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), parameters).fetchall()


def target(conn: psycopg.Connection[Any], target_id: str, region_code: str, period: str = "2025-12") -> dict[str, Any]:
    query = "select * from marts.mart_programme_progress where period = %s and target_id = %s and region_code = %s"
    (row,) = many(conn, query, period, target_id, region_code)
    return row


def test_lines_find_their_targets_or_stay_visible(progress: psycopg.Connection[Any]) -> None:
    rows = many(
        progress,
        "select source_row, target_id, match_status, unit_status from marts.fct_indicator_progress"
        " where period = '2025-12'",
    )
    found = {row["source_row"]: tuple(row.values())[1:] for row in rows}
    assert found == {
        5: ("qz_bagui_brand_2022.training", "matched", "same"),
        6: ("qz_bagui_brand_2022.employment", "matched", "same"),
        7: ("qz_bagui_brand_2022.employment.jiazheng", "matched", "same"),
        8: ("qz_bagui_brand_2022.employment.jiangong", "matched", "same"),
        9: ("qz_bagui_brand_2022.employment.mifen", "matched", "differs"),  # 人, not 人次
        10: ("qz_bagui_brand_2022.wage_arrears_settled", "matched", "same"),
        11: ("gx_bagui_brand_2021.training", "matched", "same"),
        12: (None, "programme_unknown", "no_target"),
        13: ("qz_bagui_brand_2022.training", "matched", "same"),
        14: ("gx_bagui_brand_2021.training", "matched", "same"),
        15: (None, "ambiguous", "no_target"),  # 八桂系列 stands in the titles of both documents
    }


def test_the_checker_knows_what_the_warehouse_matches(progress: psycopg.Connection[Any]) -> None:
    """W-PRG-001 is given for exactly the lines that no target was found for."""
    query = (
        "select county_code, programme_as_sent, indicator_as_sent, group_as_sent, match_status"
        " from marts.fct_indicator_progress"
    )
    for row in many(progress, query):
        *said, status = row.values()
        assert bool(_targets_of(*said)) == (status in ("matched", "repeated", "ambiguous")), said


def test_the_citys_training_at_the_due_day(progress: psycopg.Connection[Any]) -> None:
    row = target(progress, "qz_bagui_brand_2022.training", "450700")
    assert (row["done_value"], row["is_sum"], row["reporting_reporters"]) == (12500, True, 2)  # 6000 + 6500
    assert row["completion_rate"] == Decimal("1.0416666667")
    assert (row["time_elapsed_rate"], row["status"]) == (1, "done")
    # by the State Council's notices 2022 to 2025 have 249, 249, 251 and 248 working days
    assert row["window_working_days"] == row["elapsed_working_days"] == 249 + 249 + 251 + 248
    november = target(progress, "qz_bagui_brand_2022.training", "450700", "2025-11")
    assert november["window_working_days"] - november["elapsed_working_days"] == 23  # December 2025
    assert november["done_value"] == 9000
    expected = Decimal(9000) * november["window_working_days"] / november["elapsed_working_days"]
    assert november["projected_value"] == expected.quantize(Decimal("0.0001"))
    assert (november["status"], november["projection_method"]) == ("behind", "linear_working_days")


def test_a_figure_in_persons_is_no_figure_in_person_times(progress: psycopg.Connection[Any]) -> None:
    row = target(progress, "qz_bagui_brand_2022.employment.mifen", "450700")
    assert (row["done_value"], row["status"], row["missing_reason"]) == (None, "not_reported", "not_comparable")


def test_rates_of_counties_make_no_rate_of_the_city(progress: psycopg.Connection[Any]) -> None:
    row = target(progress, "qz_bagui_brand_2022.wage_arrears_settled", "450700")
    assert (row["done_value"], row["missing_reason"]) == (None, "not_additive")
    assert target(progress, "qz_bagui_brand_2022.wage_arrears_settled", LINGSHAN)["done_value"] == 99


def test_the_region_adds_up_its_cities_and_names_the_silent(progress: psycopg.Connection[Any]) -> None:
    row = target(progress, "gx_bagui_brand_2021.training", "450000")
    # 钦南区 9000; 灵山县 left its cells blank: not 0, and not the whole
    assert (row["done_value"], row["reporting_reporters"], row["silent_reporters"]) == (9000, 1, 1)
    assert (row["is_partial"], row["status"], row["projected_value"]) == (True, "incomplete", None)
    part = target(progress, "gx_bagui_brand_2021.training.jiazheng", "450000")
    assert (part["done_value"], part["status"], part["months_since_last_report"]) == (None, "not_reported", 1)


def test_the_document_contradicts_itself_and_is_shown_so(progress: psycopg.Connection[Any]) -> None:
    rows = many(
        progress,
        "select target_id, parts_target_value, total_target_value, target_difference, relation, reported_parts,"
        " parts_done_value, total_done_value, note from marts.mart_programme_consistency"
        " where period = '2025-12' and region_code = '450700' order by target_id",
    )
    employment, training = (tuple(row.values()) for row in rows)
    assert employment[1:8] == (9600, 10000, -400, "parts_below_total", 2, None, 3000)
    assert "9600" in employment[8]
    assert training[1:8] == (12000, 12000, 0, "equal", 0, None, 12500)


def test_monthly_reports_are_known_from_the_ledger(progress: psycopg.Connection[Any]) -> None:
    for place, known in (("450700", 0), ("450800", 0), ("450100", None)):  # 钦南区 owes; nobody reports for 南宁
        row = target(progress, "gx_workforce_2022.monthly_report_city", place)
        assert row["known_value"] == known
        assert row["status"] == ("not_reported" if known is None else "behind")
    assert target(progress, "gx_workforce_2022.monthly_report_pilot", LINGSHAN)["status"] == "done"
    assert target(progress, "gx_workforce_2022.monthly_report_pilot", GUIPING)["status"] == "behind"
    pilots = {
        row["region_code"]: row["done_value"]
        for row in many(
            progress,
            "select region_code, done_value from marts.mart_programme_progress"
            " where period = '2025-12' and target_id = 'gx_workforce_2022.city_pilot_county'",
        )
    }
    assert len(pilots) == 14
    assert {city for city, done in pilots.items() if done} == {"450700"}


def test_every_target_stands_where_it_is_due(progress: psycopg.Connection[Any]) -> None:
    rows = many(
        progress,
        "select scope, is_places_unknown, count(*) as places, count(distinct target_id) as targets"
        " from marts.mart_programme_progress where period = '2025-12' and is_target_place group by 1, 2",
    )
    assert {tuple(row.values())[:2]: tuple(row.values())[2:] for row in rows} == {
        ("region", False): (76, 76),
        ("each_city", False): (28, 2),
        ("each_pilot_county", False): (2, 1),
        ("each_command", False): (126, 1),  # the region, 14 cities, 111 counties
        ("each_county", True): (1, 1),  # 陕西
        ("each_key_county", True): (1, 1),
    }


def test_windows_of_2019_to_2021_count_real_working_days(progress: psycopg.Connection[Any]) -> None:
    row = target(progress, "gz_ten_projects_2020.new_farmer", "440100")
    # 250 working days in 2019 and 249 in 2020, its holidays prolonged, by the State Council's notices
    assert (row["window_working_days"], row["is_calendar_known"]) == (250 + 249, True)
    assert (row["status"], row["time_elapsed_rate"], row["region_name"]) == ("not_reported", 1, "广州市")
