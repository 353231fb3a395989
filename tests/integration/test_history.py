"""Earlier months read from the warehouse; every median is of figures that stand in the test."""

from __future__ import annotations

from typing import Any

import pandas as pd
import psycopg
import pytest
from psycopg.types.json import Jsonb

from include.quality.history import load_history
from include.warehouse.loading import load_rows

COUNTY, OTHER = "450721", "450722"
A, B, NEW = "91110000600037341L", "N2450722MF10000019", "91450721MA5000001X"


def enter(
    conn: psycopg.Connection[Any],
    period: str,
    rows: list[dict[str, Any]],
    *,
    reporter: str = COUNTY,
    version: int = 1,
    outcome: str = "accepted",
    held: list[dict[str, Any]] | None = None,
) -> None:
    """A form 1 as loading leaves it: ledger row, accepted rows, held rows."""
    submission = f"{reporter}-{period}-{version}"
    place = {"id": submission, "period": period, "reporter": reporter, "version": version, "outcome": outcome}
    conn.execute(
        "insert into intake.reporter values (%(reporter)s, %(reporter)s, %(reporter)s, '450700', '市级试点',"
        " '2022-01-01') on conflict do nothing",
        place,
    )
    conn.execute(
        """
        with receipt as (
            insert into intake.received_file
                (sha256, file_name, channel, channel_path, size_bytes, received_at, outcome, outcome_zh)
            values (%(id)s, 'a.xlsx', 'local', %(id)s, 1, '2026-04-02', 'processed', '')
            returning receipt_id
        )
        insert into intake.submission
            (submission_id, receipt_id, form, period, reporter_code, county_code, version, sheets, received_at, outcome,
             rows_read, rows_accepted, rows_held, cells_read, cells_filled, findings_e, findings_r, findings_w)
        select %(id)s, receipt_id, 'enterprise_status', %(period)s, %(reporter)s, %(reporter)s, %(version)s, '{}',
            '2026-04-02', %(outcome)s, 0, 0, 0, 0, 0, 0, 0, 0
        from receipt
        """,
        place,
    )
    for number, row in enumerate(held or []):
        conn.execute(
            "insert into intake.held_row (submission_id, sheet, source_row, row_values) values (%s, '表', %s, %s)",
            (submission, 100 + number, Jsonb(row)),
        )
    if outcome != "refused":
        key = {"submission_id": submission, "sheet": "表", "period": period, "county_code": reporter}
        frame = pd.DataFrame([key | {"source_row": 5 + number} | row for number, row in enumerate(rows)])
        load_rows(conn, "enterprise_status", frame)


def status(uscc: str, headcount: int | None, **changes: Any) -> dict[str, Any]:
    return {"uscc": uscc, "enterprise_name": uscc[:4], "industry": "农副食品加工业", "headcount": headcount} | changes


ORDINARY = ("2025-06", "2025-07", "2025-08", "2025-09", "2025-10", "2025-11")


@pytest.mark.usefixtures("warehouse")
def test_medians_and_deviations_of_an_enterprise(conn: psycopg.Connection[Any]) -> None:
    for month, headcount in zip(ORDINARY, (90, 100, 100, 104, 110, 200), strict=True):
        enter(conn, month, [status(A, headcount, shortage_now=0, wage_general=3000 if month != "2025-06" else None)])
    history = load_history(conn, "enterprise_status", "2025-12", [COUNTY])
    (row,) = history["enterprise"].to_dict("records")
    assert (row["county_code"], row["uscc"]) == (COUNTY, A)
    # 90 100 100 104 110 200: median 102; away from it 12 2 2 2 8 98, in order 2 2 2 8 12 98: median 5
    assert (row["headcount_median"], row["headcount_mad"], row["headcount_months"]) == (102, 5, 6)
    assert (row["shortage_now_median"], row["shortage_now_mad"], row["shortage_now_months"]) == (0, 0, 6)
    # a blank is not a zero: five wages are too few, and no skilled wage was ever given
    assert pd.isna(row["wage_general_median"]) and pd.isna(row["wage_skilled_months"])


@pytest.mark.usefixtures("warehouse")
def test_five_ordinary_months_are_too_few(conn: psycopg.Connection[Any]) -> None:
    for month in ORDINARY[1:]:
        enter(conn, month, [status(A, 100)])
    history = load_history(conn, "enterprise_status", "2025-12", [COUNTY])
    assert history["enterprise"].empty
    assert history["industry"].dropna().empty


@pytest.mark.usefixtures("warehouse")
def test_spring_festival_months_are_compared_with_each_other(conn: psycopg.Connection[Any]) -> None:
    for month in (*ORDINARY, "2025-12", "2026-01"):
        enter(conn, month, [status(A, 1000)])
    for month, headcount in (("2024-02", 300), ("2025-01", 500), ("2025-02", 400)):
        enter(conn, month, [status(A, headcount)])
    spring = load_history(conn, "enterprise_status", "2026-02", [COUNTY])["enterprise"]
    # 300 400 500
    assert spring[["headcount_median", "headcount_mad", "headcount_months"]].to_numpy().tolist() == [[400, 100, 3]]
    ordinary = load_history(conn, "enterprise_status", "2026-03", [COUNTY])["enterprise"]
    assert ordinary[["headcount_median", "headcount_mad", "headcount_months"]].to_numpy().tolist() == [[1000, 0, 8]]


@pytest.mark.usefixtures("warehouse")
def test_the_newest_accepted_version_counts_and_only_of_the_reporters_at_hand(conn: psycopg.Connection[Any]) -> None:
    for month in ORDINARY:
        enter(conn, month, [status(A, 9999)], version=1)
        enter(conn, month, [status(A, 100)], version=2)
        enter(conn, month, [], version=3, outcome="refused")
        enter(conn, month, [status(B, 70)], reporter=OTHER)
    history = load_history(conn, "enterprise_status", "2025-12", [COUNTY])
    assert history["enterprise"][["uscc", "headcount_median"]].to_numpy().tolist() == [[A, 100]]
    assert history["previous"][["uscc", "headcount"]].to_numpy().tolist() == [[A, 100]]
    both = load_history(conn, "enterprise_status", "2025-12", [COUNTY, OTHER])
    assert sorted(both["enterprise"]["uscc"]) == sorted([A, B])


@pytest.mark.usefixtures("warehouse")
def test_sums_of_an_industry(conn: psycopg.Connection[Any]) -> None:
    for month, headcount in zip(ORDINARY, (10, 20, 30, 40, 50, 60), strict=True):
        # two wordings of one division, one that nobody knows
        rows = [status(A, headcount), status(B, 100, industry="13"), status(NEW, 7, industry="造船厂子")]
        enter(conn, month, rows)
    found = load_history(conn, "enterprise_status", "2025-12", [COUNTY])["industry"]
    (row,) = found.to_dict("records")
    assert (row["reporter_code"], row["division"]) == (COUNTY, "13")
    # 110 120 130 140 150 160: median 135, away from it 25 15 5 5 15 25: median 15
    assert (row["headcount_median"], row["headcount_mad"], row["headcount_months"]) == (135, 15, 6)
    assert pd.isna(row["shortage_now_median"])


@pytest.mark.usefixtures("warehouse")
def test_last_month_with_the_rows_held_back(conn: psycopg.Connection[Any]) -> None:
    enter(conn, "2025-11", [status(A, 100, revenue_wan_yuan=500.5)], held=[status(B, 5)])
    previous = load_history(conn, "enterprise_status", "2025-12", [COUNTY])["previous"].set_index("uscc")
    assert previous.loc[A, ["headcount", "revenue_wan_yuan", "is_held", "enterprise_name"]].tolist() == [
        100,
        500.5,
        False,
        "9111",
    ]
    # what was held back was sent all the same; its figures are not to be relied on
    assert bool(previous.loc[B, "is_held"]) and pd.isna(previous.loc[B, "headcount"])
    assert load_history(conn, "enterprise_status", "2025-11", [COUNTY])["previous"].empty


def test_forms_without_such_rules_have_no_history(conn: psycopg.Connection[Any]) -> None:
    assert load_history(conn, "labour_demand", "2025-12", [COUNTY]) == {}
