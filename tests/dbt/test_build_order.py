"""Months are built oldest first; whatever came in when, the marts end up as a full refresh would make them.

A warehouse of its own: the submissions of the small province arrive here one month after the other, in the wrong order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from include.pipeline.build import build_marts
from include.settings import get_settings
from include.warehouse.connection import connect
from include.warehouse.dbt import dbt_build
from tests.databases import warehouse_at
from tests.dbt.checksums import table_checksums
from tests.dbt.conftest import filled_database
from tests.dbt.province import LINGSHAN, REPORTERS

pytestmark = pytest.mark.slow

SUGAR, ALUMINIUM = "13", "32"


def arrives(period: str) -> None:
    """The month's submissions are taken in."""
    with connect() as conn:
        conn.execute("insert into intake.submission select * from kept.submission where period = %s", (period,))
        conn.execute(
            "insert into intake.sheet_layout select layout.* from kept.sheet_layout as layout"
            " inner join intake.submission as sent using (submission_id) where sent.period = %s",
            (period,),
        )


def streak(uscc: str) -> int:
    """Months the enterprise has been short in a row, by March."""
    with connect() as conn:
        row = conn.execute(
            "select short_streak_months from marts.fct_enterprise_month where period = '2026-03' and uscc = %s", (uscc,)
        ).fetchone()
    assert row is not None
    return int(row[0])


def versions(uscc: str) -> list[tuple[object, ...]]:
    """The enterprise's versions in the register, first to last."""
    with connect() as conn:
        return conn.execute(
            "select version_no, industry_code, valid_from_period, valid_to_period, is_current, first_reported_period"
            " from marts.dim_enterprise where reporter_code = %s and uscc = %s order by version_no",
            (LINGSHAN, uscc),
        ).fetchall()


@pytest.fixture(scope="module")
def warehouse_of_its_own(var_dir: Path) -> Iterator[Path]:
    """The small province with the submissions of January and February not there yet; the list of its reporters."""
    listed = var_dir / "reporters_of_the_small_province.csv"
    lines = ["reporter_code,reporter_name,region_code,city_code,pilot_level,valid_from,valid_to,is_sample"]
    lines += [f"{code},{name},{code},{city},市级试点,2022-02-25,,true" for code, name, city in REPORTERS]
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with filled_database() as url, warehouse_at(url):
        with connect() as conn:
            conn.execute("create schema kept")
            conn.execute("create table kept.submission as select * from intake.submission where period < '2026-03'")
            conn.execute(
                "create table kept.sheet_layout as"
                " select layout.* from intake.sheet_layout as layout inner join kept.submission using (submission_id)"
            )
            for table in ("sheet_layout", "submission"):
                conn.execute(
                    sql.SQL(
                        "delete from intake.{} where submission_id in (select submission_id from kept.submission)"
                    ).format(sql.Identifier(table))
                )
            # February gave one enterprise a wrong industry at first.
            conn.execute("update raw.enterprise_status set industry = '糖' where period = '2026-02' and uscc = 'E1'")
        yield listed


@pytest.fixture
def at_work(warehouse_of_its_own: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings lead to the module's warehouse and its reporters."""
    monkeypatch.setenv("REPORTERS_FILE", str(warehouse_of_its_own))
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def test_each_month_that_arrives_late_rebuilds_the_later_ones(at_work: None) -> None:
    assert build_marts("2026-03")["periods"] == ["2026-03"]
    assert streak("E1") == 1
    assert versions("E1") == [(1, ALUMINIUM, "2026-03", None, True, "2026-03")]

    arrives("2026-02")
    assert build_marts("2026-02")["periods"] == ["2026-02", "2026-03"]
    assert streak("E1") == 2

    arrives("2026-01")
    # Asked for the last month alone, the one never built comes first, and what stands between follows it.
    assert dbt_build("2026-03").earlier == ("2026-01",)
    assert build_marts("2026-01")["periods"] == ["2026-01", "2026-02", "2026-03"]
    assert streak("E1") == 3
    assert versions("E1") == [
        (1, ALUMINIUM, "2026-01", "2026-01", False, "2026-01"),
        (2, SUGAR, "2026-02", "2026-02", False, "2026-01"),
        (3, ALUMINIUM, "2026-03", None, True, "2026-01"),
    ]
    # E4's county sent nothing in February: its one version goes on.
    with connect() as conn:
        rows = conn.execute("select valid_from_period, valid_to_period from marts.dim_enterprise where uscc = 'E4'")
        assert rows.fetchall() == [("2026-01", None)]


def test_a_correction_takes_back_a_version(at_work: None) -> None:
    with connect() as conn:
        conn.execute("update raw.enterprise_status set industry = '铝' where period = '2026-02' and uscc = 'E1'")
        conn.execute(
            "update intake.submission set received_at = received_at + interval '1 hour' where period = '2026-02'"
        )
    assert build_marts("2026-02")["periods"] == ["2026-02", "2026-03"]
    assert versions("E1") == [(1, ALUMINIUM, "2026-01", None, True, "2026-01")]


def test_a_correction_loaded_but_not_built_comes_before_the_month_asked_for(at_work: None) -> None:
    """Otherwise March would look back at the February of before, and count as built from the corrected one."""
    with connect() as conn:
        conn.execute("update raw.enterprise_status set industry = '糖' where period = '2026-02' and uscc = 'E1'")
        conn.execute(
            "update intake.submission set received_at = received_at + interval '1 hour' where period = '2026-02'"
        )
    assert build_marts("2026-03")["periods"] == ["2026-02", "2026-03"]
    assert [version[1] for version in versions("E1")] == [ALUMINIUM, SUGAR, ALUMINIUM]
    assert build_marts("2026-03")["periods"] == ["2026-03"]


def test_a_full_refresh_equals_the_incremental_builds_row_for_row(at_work: None) -> None:
    with connect() as conn:
        incremental = table_checksums(conn)
        # As in a warehouse whose months were built before there were analyses.
        conn.execute("truncate analysis.labour_cooperation, analysis.shortage_series")
    assert {name.split("_")[0] for name in incremental} == {"dim", "fct", "mart"}
    assert not incremental["mart_labour_cooperation"].startswith("0:")
    assert dbt_build("2026-02", full_refresh=True).period == "2026-02"
    with connect() as conn:
        assert table_checksums(conn) == incremental
