"""Supervision of subsidies over a province of its own: three months, two cities, every person and amount by hand.

The persons are named after what they do; ``person_key`` stands for the keyed digest that the loader writes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from include.settings import PROJECT_ROOT, get_settings
from include.warehouse.connection import connect
from include.warehouse.dbt import dbt_build
from tests.databases import database, warehouse_at

DBT = PROJECT_ROOT / "dbt_project"
LINGSHAN, GUIPING = "450721", "450881"
CITY = {LINGSHAN: "450700", GUIPING: "450800"}
NAMES = {LINGSHAN: "灵山县", GUIPING: "桂平市"}
PERIODS = {"2025-11": (12, 2025), "2026-02": (3, 2026), "2026-03": (4, 2026)}
PAID = {"status": "已拨付", "payment_type": "核拨"}
APPRENTICE = {**PAID, "item": "企业新型学徒制补贴", "occupation": "焊工", "level": "中级工", "standard": 5000,
              "quantity": 1, "applied": 5000, "approved": 5000, "paid": 5000, "payee_uscc": "E1"}  # fmt: skip
INTERN = {**PAID, "item": "就业见习补贴", "standard": 1500, "quantity": 3, "applied": 4500, "approved": 4500,
          "paid": 4500, "payee_uscc": "E2"}  # fmt: skip
REVIEW = {"item": "就业见习补贴", "status": "审核中", "payee_uscc": "E7"}
# period, county, claim
CLAIMS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    # 学徒 again three months later in another city, and once more at another level, which is allowed
    ("2025-11", LINGSHAN, {**APPRENTICE, "person_key": "again-in-another-city", "applied_on": date(2025, 11, 3)}),
    ("2026-02", GUIPING, {**APPRENTICE, "person_key": "again-in-another-city", "applied_on": date(2026, 2, 3)}),
    ("2026-02", GUIPING, {**APPRENTICE, "person_key": "higher-level", "applied_on": date(2026, 2, 3)}),
    ("2026-03", GUIPING, {**APPRENTICE, "person_key": "higher-level", "level": "高级工", "standard": 6000,
                          "applied": 6000, "approved": 6000, "paid": 6000, "applied_on": date(2026, 3, 3)}),
    # the same claim approved in one month and paid in the next is no second one
    ("2025-11", LINGSHAN, {**INTERN, "person_key": "on-its-way", "status": "审核通过", "payment_type": None,
                           "paid": None, "covered_from": date(2025, 8, 1), "covered_to": date(2025, 10, 31)}),
    ("2026-02", LINGSHAN, {**INTERN, "person_key": "on-its-way",
                           "covered_from": date(2025, 8, 1), "covered_to": date(2025, 10, 31)}),
    # periods that overlap by one day, in two counties; taken back in March, so the third claim stands alone
    ("2025-11", LINGSHAN, {**INTERN, "person_key": "overlap", "covered_from": date(2025, 8, 1),
                           "covered_to": date(2025, 10, 31), "applied_on": date(2025, 11, 5)}),
    ("2026-02", GUIPING, {**INTERN, "person_key": "overlap", "covered_from": date(2025, 10, 31),
                          "covered_to": date(2026, 2, 28), "applied_on": date(2026, 2, 5)}),
    ("2026-03", LINGSHAN, {**INTERN, "person_key": "overlap", "status": "已追回", "payment_type": "追回",
                           "covered_from": date(2025, 8, 1), "covered_to": date(2025, 10, 31)}),
    ("2026-03", LINGSHAN, {**INTERN, "person_key": "overlap", "covered_from": date(2025, 9, 1),
                           "covered_to": date(2025, 10, 30), "applied_on": date(2026, 3, 5)}),
    # both sides of two rules nobody has checked: only hints
    ("2025-11", LINGSHAN, {**PAID, "item": "一次性扩岗补助", "person_key": "both", "paid": 1500}),
    ("2026-03", GUIPING, {**PAID, "item": "带动就业补贴", "person_key": "both", "paid": 2000}),
    # one class: 20 % of 10 x 5000 advanced, then settled with 4000 too little kept back
    ("2025-11", LINGSHAN, {**APPRENTICE, "payment_type": "预支", "quantity": 10, "applied": 50000, "approved": 50000,
                           "advanced": 10000, "paid": 10000, "batch_no": "1", "covered_from": date(2025, 11, 1),
                           "covered_to": date(2026, 10, 31)}),
    ("2026-02", LINGSHAN, {**APPRENTICE, "payment_type": "结算", "quantity": 10, "applied": 50000, "approved": 50000,
                           "advanced": 6000, "paid": 44000, "batch_no": "2", "covered_from": date(2025, 11, 1),
                           "covered_to": date(2026, 10, 31)}),
    # accepted on a day before the calendar: no verdict; 2026-01-05 to 2026-02-28: 19 + 16 working days, pending
    ("2026-02", LINGSHAN, {**REVIEW, "accepted_on": date(2013, 1, 7), "reviewed_on": date(2026, 2, 2),
                           "status": "审核通过", "person_key": "before-the-calendar"}),
    ("2026-02", LINGSHAN, {**REVIEW, "accepted_on": date(2026, 1, 5), "person_key": "still-in-review"}),
    # a wide ledger: nothing but the amount paid
    ("2026-02", LINGSHAN, {**PAID, "item": "公益性岗位补贴", "paid": 800, "payment_type": None, "source_column": "K"}),
    # money taken back that nobody is known to have had
    ("2026-03", LINGSHAN, {**PAID, "item": "公益性岗位补贴", "paid": 300, "payment_type": "追回", "status": "已追回"}),
)  # fmt: skip
# filed on 3 November 2025 and not begun by the end of February: 27 + 31 + 31 + 28 = 117 days
CLASS = {"filing_no": "备2025-1", "enterprise_name": "演示企业", "uscc": "E9", "occupation": "焊工", "level": "中级工",
         "filed_on": date(2025, 11, 3), "filed_persons": 10}  # fmt: skip
OF_FORM = {"subsidy_payment": {"fund": "就业补助资金", "source_column": ""}, "apprenticeship": {}}
BUDGETS = "budget_year,region_code,fund,item_code,budget_yuan,source,verified\n"


@pytest.fixture(scope="module")
def supervised(var_dir: Path) -> Iterator[str]:
    """URL of a warehouse in which the three months were built, oldest first."""
    with database("subsidies") as url:
        with warehouse_at(url):
            with connect() as conn:
                _fill(conn)
                conn.commit()
            for period in PERIODS:
                dbt_build(period)
        yield url


def _fill(conn: psycopg.Connection[Any]) -> None:
    for county, name in NAMES.items():
        _insert(conn, "intake.reporter", reporter_code=county, reporter_name=name, region_code=county,
                city_code=CITY[county], pilot_level="市级试点", valid_from=date(2022, 2, 25),
                is_sample=True)  # fmt: skip
    for period, (month, year) in PERIODS.items():
        _insert(conn, "intake.reporting_period", period=period, due_on=date(year, month, 6),
                closes_on=date(year, month, 13), state="closed")  # fmt: skip
        conn.execute(
            sql.SQL("create table raw.{} partition of raw.subsidy_payment for values in ({})").format(
                sql.Identifier(f"subsidy_payment_{period.replace('-', '_')}"), sql.Literal(period)
            )
        )
        for county in NAMES:
            _insert(conn, "intake.expected_report", period=period, reporter_code=county, form="subsidy_payment",
                    due_on=date(year, month, 6))  # fmt: skip
            rows = [claim for month_of, place, claim in CLAIMS if (month_of, place) == (period, county)]
            if rows:
                _submit(conn, "subsidy_payment", period, county, rows)
    conn.execute("create table raw.apprenticeship_2026_02 partition of raw.apprenticeship for values in ('2026-02')")
    _submit(conn, "apprenticeship", "2026-02", LINGSHAN, [CLASS])


def _submit(conn: psycopg.Connection[Any], form: str, period: str, county: str, rows: list[dict[str, Any]]) -> None:
    key = f"{form}-{period}-{county}"
    receipt = conn.execute(
        "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at, period,"
        " reporter_code, outcome, outcome_zh)"
        " values (%s, 'f.xlsx', 'folder', %s, 1, '2026-04-01 10:00+08', %s, %s, 'processed', '已处理')"
        " returning receipt_id",
        (key, key, period, county),
    ).fetchone()
    assert receipt is not None
    _insert(conn, "intake.submission", submission_id=key, receipt_id=receipt[0], form=form, period=period,
            reporter_code=county, county_code=county, version=1, sheets=["表"], received_at="2026-04-01 10:00+08",
            is_sample=True, outcome="accepted", rows_read=1, rows_accepted=1, rows_held=0, cells_read=1,
            cells_filled=1, findings_e=0, findings_r=0, findings_w=0)  # fmt: skip
    for line, claim in enumerate(rows, 1):
        place = {"submission_id": key, "sheet": "表", "source_row": line, "period": period, "county_code": county}
        _insert(conn, f"raw.{form}", **{**place, **OF_FORM[form], **claim})


def _insert(conn: psycopg.Connection[Any], table: str, **values: Any) -> None:
    conn.execute(
        sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier(*table.split(".")),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        ),
        list(values.values()),
    )


@pytest.fixture
def office(supervised: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(supervised, row_factory=dict_row) as conn:
        yield conn
        conn.rollback()


def alerts(conn: psycopg.Connection[Any], period: str, rule: str) -> list[dict[str, Any]]:
    return conn.execute(
        "select * from marts.mart_subsidy_alerts where period = %s and rule = %s order by alert_id", (period, rule)
    ).fetchall()


def lines(conn: psycopg.Connection[Any], alert: dict[str, Any]) -> list[dict[str, Any]]:
    return conn.execute(
        "select * from marts.mart_subsidy_alert_lines where period = %s and alert_id = %s order by line_no",
        (alert["period"], alert["alert_id"]),
    ).fetchall()


@pytest.mark.slow
def test_an_apprentice_is_known_again_in_another_month_and_city(office: psycopg.Connection[Any]) -> None:
    (alert,) = alerts(office, "2026-02", "apprentice_no_repeat")
    assert (alert["severity"], alert["county_code"], alert["city_code"]) == ("alert", GUIPING, "450800")
    assert (alert["claims"], alert["amount_yuan"], alert["person_key"]) == (2, 5000, "again-in-another-city")
    assert "共 2 笔，涉及 2 个县（市、区），最早一笔在 2025-11 台账" in alert["detail_zh"]
    first, second = lines(office, alert)
    assert (first["line_period"], first["county_code"], first["city_code"]) == ("2025-11", LINGSHAN, "450700")
    assert (first["is_breaking"], first["at_stake_yuan"], first["paid_yuan"]) == (False, None, 5000)
    assert (second["line_period"], second["county_code"], second["is_breaking"]) == ("2026-02", GUIPING, True)
    # the same person is seen to be the same, and no more of them
    assert first["person_mark"] == second["person_mark"] == "again-in"
    # a month that breaks nothing says nothing, and a higher level is a new training
    for period in ("2025-11", "2026-03"):
        assert alerts(office, period, "apprentice_no_repeat") == []


@pytest.mark.slow
def test_overlapping_periods_are_paid_twice_and_a_claim_on_its_way_is_not(office: psycopg.Connection[Any]) -> None:
    (alert,) = alerts(office, "2026-02", "duplicate_payment")
    assert (alert["person_key"], alert["claims"], alert["amount_yuan"]) == ("overlap", 2, 4500)
    assert [line["line_period"] for line in lines(office, alert)] == ["2025-11", "2026-02"]
    # in March the first of them is taken back: what is then paid for its months is paid once
    assert alerts(office, "2026-03", "duplicate_payment") == []


@pytest.mark.slow
def test_a_rule_nobody_has_checked_only_hints(office: psycopg.Connection[Any]) -> None:
    (alert,) = alerts(office, "2026-03", "expansion_or_driving")
    assert (alert["severity"], alert["amount_yuan"], alert["county_code"]) == ("hint", 2000, GUIPING)
    unchecked = {row["rule"] for row in _seed("subsidy_rules.csv") if row["verified"] == "0"}
    found = office.execute("select distinct rule from marts.mart_subsidy_alerts where severity = 'hint'").fetchall()
    stronger = office.execute(
        "select 1 from marts.mart_subsidy_alerts where severity <> 'hint' and rule = any(%s)", (list(unchecked),)
    ).fetchall()
    assert {row["rule"] for row in found} >= {"expansion_or_driving"} and stronger == []


@pytest.mark.slow
def test_a_settlement_keeps_back_what_was_advanced(office: psycopg.Connection[Any]) -> None:
    (alert,) = alerts(office, "2026-02", "advance_deducted")
    assert (alert["expected_value"], alert["actual_value"]) == ("应扣除预支 10000.00 元", "扣除 6000.00 元")
    assert (alert["amount_yuan"], alert["payee_uscc"], alert["claims"]) == (4000, "E1", 2)
    # 20 % to the yuan is no breach of the cap
    assert alerts(office, "2025-11", "advance_share") == []


@pytest.mark.slow
def test_a_day_outside_the_calendar_gives_no_verdict_and_is_counted(office: psycopg.Connection[Any]) -> None:
    (alert,) = alerts(office, "2026-02", "review_working_days")
    assert (alert["person_key"], alert["actual_value"]) == ("still-in-review", "至月末已 35 个工作日，未审核完成")
    row = office.execute(
        "select outside_calendar_claims, over_limit_claims from marts.mart_subsidy_disbursement"
        " where period = '2026-02' and county_code = %s and item_code = 'internship'",
        (LINGSHAN,),
    ).fetchone()
    assert row == {"outside_calendar_claims": 1, "over_limit_claims": 0}


@pytest.mark.slow
def test_a_class_that_does_not_begin_is_an_alert_like_any_other(office: psycopg.Connection[Any]) -> None:
    (alert,) = alerts(office, "2026-02", "start_days")
    assert (alert["severity"], alert["payee_uscc"], alert["amount_yuan"]) == ("alert", "E9", None)
    assert (alert["expected_value"], alert["actual_value"]) == ("备案后 60 日内", "备案至月末已 117 日仍未开班")
    (line,) = lines(office, alert)
    assert (line["form"], line["line_period"], line["source_row"]) == ("apprenticeship", "2026-02", 1)
    assert (line["person_mark"], line["applied_yuan"]) == (None, None)
    # not begun in March either: the same alert, of the same line
    (still,) = alerts(office, "2026-03", "start_days")
    assert still["alert_id"] == alert["alert_id"]


@pytest.mark.slow
def test_no_other_column_of_the_marts_holds_a_person_key(office: psycopg.Connection[Any]) -> None:
    """Readers are refused the column person_key: what it holds may not stand inside another column."""
    tables = office.execute("select tablename from pg_tables where schemaname = 'marts'").fetchall()
    found = {}
    for table in (row["tablename"] for row in tables):
        (found[table],) = office.execute(
            sql.SQL(
                "select count(*) filter (where line::text ~ %(key)s) as anywhere,"
                " count(*) filter (where (to_jsonb(line) - 'person_key')::text ~ %(key)s) as elsewhere"
                " from marts.{} as line"
            ).format(sql.Identifier(table)),
            {"key": "again-in-another-city"},
        ).fetchall()
    assert found["fct_subsidy_breach_line"]["anywhere"] > 0
    assert {table: row["elsewhere"] for table, row in found.items() if row["elsewhere"]} == {}


@pytest.mark.slow
def test_balances_are_carried_over_months_and_the_new_year(office: psycopg.Connection[Any]) -> None:
    rows = office.execute(
        "select period, outstanding_advance_yuan, paid_year_yuan from marts.fct_subsidy_balance"
        " where county_code = %s and item_code = 'apprenticeship' order by period",
        (LINGSHAN,),
    ).fetchall()
    # 10000 advanced and 5000 paid to one person in 2025; no ledger in December and January
    assert [tuple(row.values()) for row in rows] == [
        ("2025-11", Decimal(10000), Decimal(15000)),
        ("2026-02", Decimal(4000), Decimal(44000)),
        ("2026-03", Decimal(4000), Decimal(44000)),
    ]


@pytest.mark.slow
def test_regions_count_persons_once_and_money_of_a_wide_ledger(office: psycopg.Connection[Any]) -> None:
    rows = office.execute(
        "select region_code, claims, persons, applied_yuan, paid_yuan from marts.mart_subsidy_disbursement_summary"
        " where period = '2026-02' and item_code in ('internship', 'public_post') order by item_code, region_code"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("450000", 4, 4, Decimal(9000), Decimal(9000)),
        ("450700", 3, 3, Decimal(4500), Decimal(4500)),
        ("450800", 1, 1, Decimal(4500), Decimal(4500)),
        ("450000", 1, None, None, Decimal(800)),  # only what was paid is known
        ("450700", 1, None, None, Decimal(800)),
    ]
    recovered = office.execute(
        "select paid_yuan, recovered_yuan from marts.mart_subsidy_disbursement"
        " where period = '2026-03' and item_code = 'public_post'"
    ).fetchone()
    assert recovered == {"paid_yuan": None, "recovered_yuan": Decimal(300)}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["intermediate/int_subsidy_person_pair", "marts/facts/fct_subsidy_breach_line"])
def test_history_is_found_by_key_however_long_it_has_become(office: psycopg.Connection[Any], model: str) -> None:
    """With years of ledgers behind it a month's look at persons, claims and payees reads indexes, never the table."""
    office.execute(
        "insert into intermediate.int_subsidy_ledger (period, person_key, claim_key, payee_uscc, item_code,"
        " payment_type, is_granted, is_recovery, county_code, submission_id, sheet, source_row, source_column, status)"
        " select '202' || n % 5 || '-01', 'p' || n, 'k' || n, 'E' || n % 3000, 'internship', '核拨', true, false,"
        " '450721', 'old', '表', n, '', '已拨付' from generate_series(1, 60000) as n"
    )
    office.execute("analyze intermediate.int_subsidy_ledger")
    target = get_settings().var / "dbt/target/2026-03/compiled/labour_reporting/models"
    query = (target / f"{model}.sql").read_text("utf-8")
    plan = "\n".join(str(*row.values()) for row in office.execute(f"explain {query}".encode()))
    assert re.search(r"Index Scan using \S+ on int_subsidy_ledger", plan), plan
    assert not re.search(r"Seq Scan on int_subsidy_ledger", plan), plan


def _seed(name: str) -> list[dict[str, str]]:
    with (DBT / "seeds" / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_every_rule_has_its_model_and_its_texts_and_every_model_its_rule() -> None:
    rules = {row["rule"]: row["model"] for row in _seed("subsidy_rules.csv")}
    pieces = {path.stem for path in (DBT / "models/intermediate").glob("int_subsidy_breach_*.sql")}
    own = {rule: model for rule, model in rules.items() if model.startswith("int_subsidy_breach_")}
    assert set(own.values()) == pieces and len(own) == len(pieces)
    union = (DBT / "models/marts/facts/fct_subsidy_breach_line.sql").read_text("utf-8")
    for rule, model in own.items():
        text = (DBT / f"models/intermediate/{model}.sql").read_text("utf-8")
        assert set(re.findall(r"'(\w+)' as rule|subsidy_breach_pair\('(\w+)'", text)) <= {(rule, ""), ("", rule)}
        assert f"'{rule}'" in text and f"'{rule}'," in union
        assert f"model: {model}" in (DBT / f"models/intermediate/{model}.yml").read_text("utf-8")
    for rule, model in rules.items():
        (path,) = (DBT / "models").rglob(f"{model}.sql")
        assert f"'{rule}'" in path.read_text("utf-8"), rule
    assert {row["rule"] for row in _seed("subsidy_rule_texts.csv")} == set(rules)


def test_texts_use_only_what_an_alert_knows() -> None:
    for row in _seed("subsidy_rule_texts.csv"):
        for column in ("expected_zh", "actual_zh", "detail_zh", "mend_zh"):
            assert row[column], row
            assert set(re.findall(r"%(.)", row[column])) <= set("12345"), row
            assert re.fullmatch(r"(?:[^%]|%[1-5]\$s)*", row[column]), row


def test_both_sides_of_an_exclusion_are_items_and_differ() -> None:
    items = {row["item_code"] for row in _seed("subsidy_items.csv")}
    sides: dict[tuple[str, str], set[str]] = {}
    for row in _seed("subsidy_rule_items.csv"):
        assert row["item_code"] in items
        sides.setdefault((row["rule"], row["side"]), set()).add(row["item_code"])
    for rule in {rule for rule, _ in sides}:
        assert sides[rule, "a"] and sides[rule, "b"] and not sides[rule, "a"] & sides[rule, "b"]


def test_no_budget_is_claimed_that_nobody_has_published() -> None:
    assert (DBT / "seeds/subsidy_budgets.csv").read_text("utf-8") == BUDGETS
