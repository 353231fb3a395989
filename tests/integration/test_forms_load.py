"""Forms that are not owed, and a wide ledger, through the whole chain: files in, rows, marts and report out."""

from __future__ import annotations

import shutil
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI
from include.operate import summary
from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import collect
from include.pipeline.load import load_batch
from include.pipeline.publish import check_gate, render
from include.pipeline.validate import validate_batch
from include.warehouse.connection import connect
from include.warehouse.migrate import MIGRATIONS, migrate
from tests.workbooks import arrives, uscc, write_form

PERIOD, COUNTY, CODE = "2026-03", "灵山县", "450721"
PERSON = "11010519491231002X"  # the example number of GB 11643-1999


def query(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect() as conn:
        return conn.execute(statement, parameters).fetchall()


def send(inbox: Path, form: str, rows: list[dict[str, Any]]) -> None:
    model = load_forms()[form]
    headers = [(field.group or "", field.leaf, field.name) for field in model.fields]
    path = inbox / PERIOD / COUNTY / f"{model.title_zh}.xlsx"
    write_form(path, model.title_zh, COUNTY, PERIOD, headers, rows)


def send_wide_ledger(inbox: Path) -> None:
    """Three persons; columns H to J are the items, K the total: 500 + 300, 200, and nothing at all."""
    book = openpyxl.Workbook()
    page = book.active
    page["A1"] = f"{COUNTY}补贴资金发放台账"
    page["A2"] = "报告期：2026年3月"
    fixed = ("序号", "资金来源", "申领单位", "姓名", "身份证号", "状态", "拨付日期")
    for column, text in enumerate(fixed, start=1):
        page.cell(3, column, text)
        page.merge_cells(start_row=3, end_row=4, start_column=column, end_column=column)
    page.cell(3, 8, "拨付金额（元）")
    page.merge_cells("H3:K3")
    for column, text in enumerate(("职业培训补贴", "技能鉴定补贴", "企业特色奖补", "小计"), start=8):
        page.cell(4, column, text)
    amounts = ((500, 300, None, 800), (None, None, 200.5, 200.5), (None, None, None, None))
    for number, line in enumerate(amounts):
        known = (number + 1, "就业补助资金", "演示木业有限公司", "演示甲", PERSON, "已拨付", "2026-03-20")
        for column, value in enumerate((*known, *line), start=1):
            page.cell(5 + number, column, value)
    path = inbox / PERIOD / COUNTY / "补贴发放台账.xlsx"
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    arrives(path, datetime(2026, 4, 2, 10, 30, tzinfo=SHANGHAI))


def send_all(inbox: Path) -> None:
    send(inbox, "programme_progress", [
        {"programme": "钦政办〔2022〕22号", "indicator": "累计培训", "indicator_group": "八桂家政", "unit": "人次",
         "done_this_month": 120, "done_to_date": 1500.5, "problems": "演示数据"},
        {"programme": "钦政办〔2022〕22号", "indicator": "零工市场", "unit": "家", "done_to_date": None},
    ])  # fmt: skip
    send(inbox, "brand_registry", [
        {"brand_name": "演示米粉师傅", "category": "民生保障型", "county": COUNTY, "recognised_level": "自治区级",
         "cultivator_uscc": uscc(CODE, 1), "employed": 30, "agreement_persons": 31, "trained_person_times": 12,
         "entered_on": "2026年3月1日", "status": "在库"},
    ])  # fmt: skip
    send_wide_ledger(inbox)


def test_three_forms_go_through_the_chain(inbox: Path) -> None:
    send_all(inbox)
    collected = collect()
    assert (collected.new, collected.refused) == (3, 0)
    batch = load_batch(validate_batch(read_pending(PERIOD, "test")))
    assert batch["loaded"] == {"brand_registry": 1, "programme_progress": 2, "subsidy_payment": 3}

    assert query(
        "select source_row, indicator, indicator_group, unit, done_this_month, done_to_date"
        " from raw.programme_progress order by source_row"
    ) == [
        (5, "累计培训", "八桂家政", "人次", Decimal("120"), Decimal("1500.5")),
        (6, "零工市场", None, "家", None, None),
    ]
    assert query(
        "select recognised_level, employed, trained_person_times, entered_on::text from raw.brand_registry"
    ) == [("省级", 30, 12, "2026-03-01")]
    assert query("select source_row, source_column, item, applied, paid from raw.subsidy_payment order by 1, 2") == [
        (5, "H", "职业培训补贴", None, Decimal("500.00")),
        (5, "I", "技能鉴定补贴", None, Decimal("300.00")),
        (6, "J", "企业特色奖补", None, Decimal("200.50")),
    ]
    # personal columns lie at the same keys; one person has one key
    assert query("select source_row, source_column, person_name from restricted.subsidy_payment order by 1, 2") == [
        (5, "H", "演示甲"),
        (5, "I", "演示甲"),
        (6, "J", "演示甲"),
    ]
    assert query("select count(distinct person_key) from raw.subsidy_payment") == [(1,)]
    assert query("select source_row, source_column from intake.held_row") == [(7, "")]
    assert query("select code, cell from intake.finding where severity = 'R'") == [("R-WID-001", "H7")]
    layout = dict(
        query("select column_name, column_letter from intake.sheet_layout where position(':' in column_name) > 0")
    )
    assert layout["paid:I"] == "I" and layout["item:J"] == "J"
    warned = {code for (code,) in query("select distinct code from intake.finding where severity = 'W'")}
    assert {"W-PRG-003", "W-PRG-004", "W-BRD-001", "W-WID-001", "W-WID-002"} <= warned
    assert "W-TOT-003" not in warned

    # two of the three forms are not owed: they stand in the ledger and in no rate
    build_marts(PERIOD)
    assert query(
        "select form, is_expected, is_accepted from marts.fct_submission where reporter_code = %s order by form", CODE
    ) == [
        ("brand_registry", False, True),
        ("enterprise_status", True, False),
        ("labour_demand", True, False),
        ("programme_progress", False, True),
        ("subsidy_payment", True, True),
    ]
    assert query(
        "select expected_forms, received_forms from marts.mart_reporting_performance where reporter_code = %s", CODE
    ) == [(3, 1)]
    assert query(
        "select item, claims, applied_yuan, paid_yuan from marts.mart_subsidy_disbursement order by paid_yuan"
    ) == [
        ("未归类", 1, None, Decimal("200.50")),
        ("职业技能评价补贴", 1, None, Decimal("300.00")),
        ("职业培训补贴", 1, None, Decimal("500.00")),
    ]
    assert query("select sum(done_to_date) from staging.stg_raw__programme_progress") == [(Decimal("1500.5"),)]
    # the report reconciles against SQL of its own
    assert render(check_gate(PERIOD))
    with connect() as conn:
        rows = {row[0]: row for row in summary.reporter_rows(conn, PERIOD)}
    assert rows[COUNTY][1] == "1/3" and rows[COUNTY][3] == "部分通过 1/3"


def test_a_reporter_that_sent_only_what_it_does_not_owe_has_sent_nothing_owed(inbox: Path) -> None:
    send(
        inbox,
        "brand_registry",
        [{"brand_name": "演示品牌", "category": "民生保障型", "county": COUNTY, "status": "培育"}],
    )
    collect()
    assert load_batch(validate_batch(read_pending(PERIOD, "test")))["loaded"] == {"brand_registry": 1}
    with connect() as conn:
        rows = {row[0]: row for row in summary.reporter_rows(conn, PERIOD)}
    assert rows[COUNTY][1:4] == ("0/3", "—", "未报送")


def test_the_longer_key_reaches_partitions_that_hold_rows(scratch_database: str, tmp_path: Path) -> None:
    for path in sorted(MIGRATIONS.glob("*.sql"))[:3]:
        shutil.copy(path, tmp_path)
    key = "'s', 'Sheet1', 5, '2026-01', '450721'"
    with psycopg.connect(scratch_database) as conn:
        migrate(conn, tmp_path)
        conn.execute(
            "create table raw.subsidy_payment_2026_01 partition of raw.subsidy_payment for values in ('2026-01')"
        )
        named = "(submission_id, sheet, source_row, period, county_code"
        conn.execute(f"insert into raw.subsidy_payment {named}) values ({key})".encode())
        conn.commit()
        migrate(conn)
        assert conn.execute("select source_row, source_column from raw.subsidy_payment").fetchall() == [(5, "")]
        # a second line of the same row of the sheet, in the partition and through the parent; never the same twice
        conn.execute(f"insert into raw.subsidy_payment_2026_01 {named}, source_column) values ({key}, 'K')".encode())
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute(f"insert into raw.subsidy_payment {named}, source_column) values ({key}, 'K')".encode())
