"""Form 6 (企业新型学徒制培训台账) through the whole chain: workbooks of two months in, states and the return out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from psycopg.rows import dict_row

from include.exports import apprenticeship
from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI, month_after
from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import collect
from include.pipeline.load import load_batch
from include.pipeline.validate import validate_batch
from include.settings import get_settings
from include.warehouse.connection import connect
from tests.unit.sheets import lay_out, to_xls
from tests.workbooks import arrives, uscc, write_form

pytestmark = pytest.mark.slow

COUNTY, CODE = "灵山县", "450721"
SCHOOL = "灵山县演示技工学校"


def enterprise(number: int) -> dict[str, Any]:
    return {"enterprise_name": f"灵山县演示{number}号木业有限公司", "uscc": uscc(CODE, number)}


TRAINING = enterprise(1) | {
    "filing_no": "灵学徒2026-01", "training_institution": SCHOOL, "occupation": "焊工", "level": "四级",
    "materials_on": date(2026, 3, 2), "filed_on": date(2026, 3, 20), "filed_persons": 30,
    "started_on": date(2026, 4, 1), "training_persons": 30, "left_persons": 0,
}  # fmt: skip
WAITING = enterprise(2) | {
    "filing_no": "灵学徒2026-02", "training_institution": SCHOOL, "occupation": "焊工", "level": "高级工",
    "materials_on": date(2026, 3, 2), "filed_on": date(2026, 3, 10), "filed_persons": 20,
}  # fmt: skip
UNDER_REVIEW = enterprise(3) | {
    "occupation": "没有这个工种", "level": "中级工", "materials_on": date(2026, 4, 20), "filed_persons": 10,
}  # fmt: skip
CLAIM = {
    "item": "企业新型学徒制补贴", "fund": "就业补助资金", "occupation": "焊工", "level": "中级工", "standard": 5000,
    "quantity": 30, "applied": 150000, "payment_type": "预支", "status": "已拨付", "payee_name": "演示",
}  # fmt: skip


def send(inbox: Path, period: str, form: str, rows: list[dict[str, Any]]) -> None:
    model = load_forms()[form]
    headers = [(field.group or "", field.leaf, field.name) for field in model.fields]
    write_form(inbox / period / COUNTY / f"{model.title_zh}.xlsx", model.title_zh, COUNTY, period, headers, rows)


def send_xls(inbox: Path, period: str, rows: list[dict[str, Any]]) -> None:
    """As an older program writes it: dates as texts, a column under a group of the county's own."""
    frame = (f"填报单位（盖章）：{COUNTY}人社局", f"报告期：{period[:4]}年{int(period[5:])}月")
    texts = [{name: str(one) if isinstance(one, date) else one for name, one in row.items()} for row in rows]
    layout = lay_out("apprenticeship", texts, title=f"{COUNTY}新型学徒制台账", second_row=frame)
    path = inbox / period / COUNTY / "学徒.xls"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_xls(layout))
    after = month_after(period)
    arrives(path, datetime(int(after[:4]), int(after[5:]), 2, 10, 30, tzinfo=SHANGHAI))


def build(period: str) -> dict[str, int]:
    collect()
    loaded: dict[str, int] = load_batch(validate_batch(read_pending(period, f"test-{period}")))["loaded"]
    build_marts(period)
    return loaded


def query(statement: str, *parameters: Any) -> list[dict[str, Any]]:
    with connect() as conn, conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), parameters).fetchall()


@pytest.fixture
def two_months(inbox: Path) -> Iterator[Path]:
    """April: three classes. May: the waiting one is left out, the reviewed one has its number, two have left."""
    send(inbox, "2026-04", "apprenticeship", [TRAINING, WAITING, UNDER_REVIEW])
    send(inbox, "2026-04", "subsidy_payment", [
        CLAIM | {"seq": 1, "batch_no": "灵学徒 2026-01", "payee_uscc": uscc(CODE, 1), "advanced": 31000, "paid": 31000,
                 "applied_on": date(2026, 4, 7), "paid_on": date(2026, 4, 24)},
    ])  # fmt: skip
    assert build("2026-04") == {"apprenticeship": 3, "subsidy_payment": 1}
    left = {"training_persons": 28, "left_persons": 2, "left_on": date(2026, 5, 5)}
    filed = {"filing_no": "灵学徒2026-03", "filed_on": date(2026, 5, 15)}
    send_xls(inbox, "2026-05", [TRAINING | left, UNDER_REVIEW | filed])
    send(inbox, "2026-05", "subsidy_payment", [
        CLAIM | {"seq": 1, "payee_uscc": uscc(CODE, 9), "advanced": 500, "paid": 500, "applied_on": date(2026, 5, 7)},
    ])  # fmt: skip
    assert build("2026-05") == {"apprenticeship": 2, "subsidy_payment": 1}
    yield inbox


def test_two_months_of_workbooks_give_states_breaches_and_the_return(
    two_months: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert query("select code from intake.finding where form = 'apprenticeship' and severity <> 'W'") == []
    columns = (
        "filing_no, state, previous_state, months_without_report, reported_period, start_by, start_over_days,"
        " leaver_report_over_days, filing_review_working_days, advanced_yuan, advance_limit_yuan"
    )
    april = query(f"select {columns} from marts.fct_apprenticeship_month where period = '2026-04' order by filed_on")
    assert [(row["filing_no"], row["state"]) for row in april] == [
        ("灵学徒2026-02", "filed"),
        ("灵学徒2026-01", "training"),
        (None, "under_review"),
    ]
    may = query(f"select {columns} from marts.fct_apprenticeship_month where period = '2026-05' order by filing_no")
    assert [tuple(row.values()) for row in may] == [
        # left on 5 May, to be reported by 20 May: eleven days over; advance 31,000 of 5,000 x 30 x 20 %
        ("灵学徒2026-01", "training", "training", 0, "2026-05", date(2026, 5, 19), 0, 11, 14,
         Decimal("31000.00"), Decimal("30000.00")),
        # not in the ledger of May; to be started by 9 May
        ("灵学徒2026-02", "start_lapsed", "filed", 1, "2026-04", date(2026, 5, 9), 22, None, 6, None, None),
        # known by its papers: 8 working days from 21 April, 9 more from 6 to 15 May (9 May worked)
        ("灵学徒2026-03", "filed", "under_review", 0, "2026-05", date(2026, 7, 14), 0, None, 17, None, None),
    ]  # fmt: skip
    breaches = query(
        "select rule, aspect, expected_value, actual_value, due_on, amount_yuan, line_period, source_row,"
        " submission_id in (select submission_id from intake.submission) as is_traced"
        " from marts.fct_apprenticeship_breach where period = '2026-05' order by rule"
    )
    assert [tuple(row.values()) for row in breaches] == [
        ("advance_share", "advance", "0.2", "0.2067", None, Decimal("1000.00"), "2026-05", 5, True),
        ("leaver_report_days", "leaver", "15", "26", date(2026, 5, 20), None, "2026-05", 5, True),
        ("start_days", "start", "60", "82", date(2026, 5, 9), None, "2026-04", 6, True),
    ]
    assert query("select rule from marts.fct_apprenticeship_breach where period = '2026-04'") == [
        {"rule": "advance_share"}
    ]
    # accepted, not owed
    assert query(
        "select is_expected, is_accepted from marts.fct_submission where form = 'apprenticeship' and period = '2026-05'"
    ) == [{"is_expected": False, "is_accepted": True}]

    assert apprenticeship.main(["--period", "2026-05"]) == 0
    assert "3 filed classes, 3 enterprises and 1 institutions of 2026; return due 2026-06-05" in capsys.readouterr().out
    folder = get_settings().outbox / "2026-05" / "企业新型学徒制"
    [path] = folder.iterdir()
    assert path.name == "企业新型学徒制实施进展情况表（截至2026年5月31日）.xlsx"
    first = hashlib.sha256(path.read_bytes()).hexdigest()
    assert apprenticeship.main(["--period", "2026-05"]) == 0
    assert hashlib.sha256(path.read_bytes()).hexdigest() == first
    the_return_can_be_read_back(path)

    assert apprenticeship.main(["--period", "2031-01"]) == 1
    assert "the warehouse holds no month 2031-01" in capsys.readouterr().err


def the_return_can_be_read_back(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["全区", "钦州市", "企业目录", "培训机构目录", "填报说明"]
    page = book["全区"]
    assert page["A1"].value == "全区企业新型学徒制实施进展情况表"
    assert page["A2"].value == "截至2026年5月31日　“本期”指上次填报以来：2025年12月至2026年5月31日"
    assert page["A3"].value == "填报期限：2026年6月5日前（星期五，工作日）"
    headers = measure_headers(page)
    total = figures(page, headers, "合计")
    assert total["备案（累计）/企业"] == 3 and total["备案（累计）/学徒"] == 60
    assert (total["班次进展/培训中"], total["班次进展/已备案未开班"], total["班次进展/其中：逾期"]) == (1, 2, 1)
    assert (total["学徒人数/在培"], total["学徒人数/中途离职"], total["学徒人数/考核合格"]) == (28, 2, None)
    assert (total["本期补贴（元）/预支"], total["补贴资金（元）/预支"]) == (31000, 31000)
    assert figures(page, headers, "钦州市") == total
    notes = [cell.value for cell in page["A"] if cell.value]
    # 31,500 yuan advanced in the ledgers, 500 of it to an enterprise without a class
    assert any("预支31,500.00元" in text and "对应到班次的预支31,000.00元" in text for text in notes)
    assert any(text.startswith("已收到1个单位2026年5月的") and "1个班次本月没有上报" in text for text in notes)
    assert any("由本系统按台账自行编排" in text for text in notes)
    assert page.freeze_panes == "B8" and page.print_title_rows == "$6:$7" and page.page_setup.paperSize == 8

    city = book["钦州市"]
    labels = [tuple(cell.value for cell in row) for row in city["A8:C12"]]
    assert labels[0][0] == "合计" and labels[1][:2] == ("灵山县", "小计")
    # by occupation code, then level; 未归类 comes first
    assert [label[1:] for label in labels[2:]] == [("未归类", "中级工"), ("焊工", "中级工"), ("焊工", "高级工")]
    listed = [[cell.value for cell in row] for row in book["企业目录"].iter_rows(min_row=7, max_row=9)]
    assert [row[0] for row in listed] == [1, 2, 3]
    assert listed[0][3:] == [
        "灵山县演示1号木业有限公司", uscc(CODE, 1), 1, "焊工（中级工）", SCHOOL, 30, 28, None, 2,
    ]  # fmt: skip
    schools = [[cell.value for cell in row] for row in book["培训机构目录"].iter_rows(min_row=7, max_row=7)]
    assert schools == [[1, SCHOOL, "灵山县", 2, 2, "焊工（中级工）、焊工（高级工）", 50, None]]


def measure_headers(page: Any) -> dict[int, str]:
    """Column -> group/header of the two header rows 6 and 7."""
    headers, group = {}, ""
    for column in range(2, page.max_column + 1):
        group = page.cell(6, column).value or group
        headers[column] = f"{group}/{page.cell(7, column).value}"
    return headers


def figures(page: Any, headers: dict[int, str], label: str) -> dict[str, Any]:
    (row,) = [cell.row for cell in page["A"] if cell.value == label]
    return {header: page.cell(row, column).value for column, header in headers.items()}
