"""Form 6 (企业新型学徒制培训台账): what is read, what its rules say; and the due days of the return made from it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pandas as pd
import pytest

from include.exports.apprenticeship import (
    Progress,
    due_day,
    half_year_begin,
    list_enterprises,
    list_institutions,
    lists_due,
    next_due,
    words,
)
from include.exports.apprenticeship_book import due_zh, workbook_bytes
from include.intake.headers import header_index
from include.quality.rules import HELPERS, typed
from include.quality.runner import _columns_of, _reference, examine, load_suite
from tests.unit.sheets import codes, lay_out, only_table, read, to_xls, to_xlsx

FORM = "apprenticeship"
CLASS: dict[str, Any] = {
    "filing_no": "灵学徒2026-01",
    "enterprise_name": "甲公司",
    "uscc": "91110000600037341L",
    "training_institution": "演示技工学校",
    "occupation": "焊工",
    "level": "中级工",
    "materials_on": date(2026, 1, 5),
    "filed_on": date(2026, 1, 20),
    "filed_persons": 30,
    "started_on": date(2026, 2, 2),
    "training_persons": 28,
    "left_persons": 2,
    "left_on": date(2026, 2, 5),
    "left_reported_on": date(2026, 2, 10),
}
DONE: dict[str, Any] = {"completed_on": date(2026, 2, 27), "training_persons": 0, "passed_persons": 28}


def found(*changes: Mapping[str, Any]) -> list[tuple[int | None, str, str | None]]:
    """(row, code, column) of the findings of one submission of 灵山县 whose rows 5, 6, … are the good one, changed."""
    place = {"submission_id": "S", "sheet": "表", "county_code": "450721", "period": "2026-02"}
    rows = [CLASS | place | {"source_row": 5 + number} | change for number, change in enumerate(changes)]
    listed = [one.finding for one in examine(FORM, pd.DataFrame(rows)).findings]
    # with its only rows held back the form itself is refused too
    return [(one.row, one.code, one.column) for one in listed if one.code != "E-ALL-001"]


# ---------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("write", [to_xlsx, to_xls])
def test_a_class_is_read_as_written(write: Any) -> None:
    row = CLASS | {name: str(value) for name, value in CLASS.items() if isinstance(value, date)}
    table = only_table(write(lay_out(FORM, [row | {"level": "四级/中级工", "filed_on": "2026年1月20日"}])))
    assert table.findings == []
    assert {name: values[0] for name, values in table.columns.items() if values[0] is not None} == CLASS


@pytest.mark.parametrize("title", ["灵山县新型学徒制台账", "附件6", "灵山县企业新型学徒制培训情况统计表"])
def test_it_is_known_by_drifted_titles_or_by_its_headers(title: str) -> None:
    assert read(to_xlsx(lay_out(FORM, [CLASS], title=title))).identification.forms == [FORM]


def test_headers_of_other_counties_are_known() -> None:
    other = {
        "职业（工种）": "培训工种",
        "备案材料受理日期": "材料齐备日期",
        "备案人数": "备案学徒数（人）",
        "开班日期": "开班时间",
    }
    table = only_table(to_xlsx(lay_out(FORM, [CLASS], rename=lambda text: other.get(text, text))))
    assert table.findings == [] and table.columns["filed_persons"] == [30]
    assert {"备案情况", "离职情况"} <= set(header_index(FORM).groups.values())


def test_without_its_dates_it_is_refused_and_without_a_class_it_is_not() -> None:
    assert "E-HDR-001" in codes(only_table(to_xlsx(lay_out(FORM, [CLASS], without=["filed_on"]))).findings)
    assert codes(only_table(to_xlsx(lay_out(FORM, []))).findings) == ["W-TBL-001"]


def test_a_filing_number_turned_into_a_figure_is_refused() -> None:
    table = only_table(to_xlsx(lay_out(FORM, [CLASS | {"filing_no": 450721202600000001}])))
    assert (table.columns["filing_no"], codes(table.findings)) == ([None], ["R-VAL-006"])


# ------------------------------------------------------------------------------------------------------ rules


def test_the_good_class_passes_and_the_suite_names_only_columns_that_exist() -> None:
    assert found({}) == [] and found(DONE) == []
    frame = pd.DataFrame([CLASS | {"submission_id": "S", "sheet": "表", "source_row": 5, "period": "2026-02"}])
    columns = set(HELPERS[FORM](typed(FORM, frame), _reference()).columns)
    for rule in load_suite(FORM):
        assert set(_columns_of(rule)) | {rule.column} | set(rule.shows.values()) <= columns, rule.code


@pytest.mark.parametrize(
    ("change", "code", "column"),
    [
        ({"uscc": "91110000600037341X"}, "R-USC-001", "uscc"),
        ({"uscc": "123"}, "R-USC-002", "uscc"),
        ({"level": "大师"}, "R-ENU-001", "level"),
        ({"filed_on": date(2026, 1, 4)}, "W-APP-001", "filed_on"),
        ({"started_on": date(2026, 1, 19)}, "W-APP-001", "started_on"),
        (DONE | {"completed_on": date(2026, 2, 1)}, "W-APP-001", "completed_on"),
        ({"training_persons": 29}, "W-APP-003", "filed_persons"),
        ({"left_on": None, "left_reported_on": None}, "W-APP-004", "left_on"),
        ({"left_persons": 0}, "W-APP-005", "left_persons"),
        ({"left_on": date(2026, 2, 1)}, "W-APP-006", "left_on"),
        ({"left_reported_on": date(2026, 2, 4)}, "W-APP-006", "left_reported_on"),
        ({"left_reported_on": date(2026, 3, 1)}, "W-DAT-003", "left_reported_on"),
        ({"filing_no": None}, "W-APP-008", "filing_no"),
        (
            {"passed_persons": 0} | DONE | {"training_persons": 1, "passed_persons": None},
            "W-APP-011",
            "training_persons",
        ),
        (DONE | {"completed_on": None}, "W-APP-010", "passed_persons"),
    ],
)
def test_rules_of_form_6(change: dict[str, Any], code: str, column: str) -> None:
    assert found(change) == [(5, code, column)]


def test_more_pass_than_were_filed() -> None:
    nobody_left = {"left_persons": 0, "left_on": None, "left_reported_on": None}
    assert found(DONE | nobody_left | {"passed_persons": 30}) == []
    assert found(DONE | nobody_left | {"passed_persons": 31}) == [(5, "W-APP-002", "passed_persons")]


def test_dates_may_fall_on_one_day_and_blanks_are_passed_over() -> None:
    one_day = dict.fromkeys(("materials_on", "filed_on", "started_on"), date(2026, 2, 2))
    assert found(one_day) == []
    # nothing but a start: it is held against the filing, the blank papers are no day
    assert found({"materials_on": None, "started_on": date(2026, 1, 19)}) == [(5, "W-APP-001", "started_on")]


def test_a_class_in_training_has_begun() -> None:
    idle = {"started_on": None, "left_persons": 0, "left_on": None, "left_reported_on": None}
    assert found(idle) == [(5, "W-APP-007", "training_persons")]
    assert found(idle | {"training_persons": 0}) == []


def test_a_class_without_any_date_cannot_be_judged() -> None:
    blank = {name: None for name, value in CLASS.items() if isinstance(value, date)}
    assert found(blank | {"training_persons": 0, "left_persons": 0}) == [(5, "W-APP-009", "filed_on")]


def test_a_class_stands_once() -> None:
    assert found({}, {"occupation": "钳工"}) == [(5, "R-APP-001", "filing_no"), (6, "R-APP-001", "filing_no")]
    assert found({}, {"filing_no": "灵学徒2026-02"}) == []
    waiting = {
        "filing_no": None, "filed_on": None, "started_on": None, "training_persons": 0, "left_persons": 0,
        "left_on": None, "left_reported_on": None,
    }  # fmt: skip
    assert found(waiting, waiting | {"occupation": "焊 工"}) == [
        (5, "R-APP-001", "filing_no"),
        (6, "R-APP-001", "filing_no"),
    ]
    # under review, the same training asked for on another day is another class
    assert found(waiting, waiting | {"materials_on": date(2026, 1, 6)}) == []


# ------------------------------------------------------------------------------------------- due days of the return


@pytest.mark.parametrize(
    ("period", "day"),
    [
        ("2026-05", date(2026, 6, 5)),
        ("2025-12", date(2026, 6, 5)),
        ("2026-06", date(2026, 12, 5)),
        ("2026-11", date(2026, 12, 5)),
        ("2026-12", date(2027, 6, 5)),
    ],
)
def test_the_next_due_day_follows_the_month(period: str, day: date) -> None:
    assert next_due(words()["due"]["progress"], period).day == day


def test_a_due_day_on_a_day_of_rest_says_so() -> None:
    # 5 June 2026 is a Friday; 5 December 2026 a Saturday; 5 June 2027 is not in any calendar yet
    assert due_zh(due_day(date(2026, 6, 5)), "{day_zh}") == "2026年6月5日（星期五，工作日）"
    assert due_zh(due_day(date(2026, 12, 5)), "{day_zh}") == (
        "2026年12月5日（星期六，不是工作日，请在此前最后一个工作日2026年12月4日前报送）"
    )
    assert due_zh(due_day(date(2099, 6, 5)), "{day_zh}") == (
        "2099年6月5日（星期五；2099年的放假安排尚未公布，公布后再核对）"
    )


def test_the_lists_are_those_of_the_months_own_year() -> None:
    assert lists_due(words()["due"]["lists"], "2026-05").day == date(2026, 12, 15)
    assert lists_due(words()["due"]["lists"], "2026-12").day == date(2026, 12, 15)


@pytest.mark.parametrize(
    ("period", "begins"),
    [("2026-05", "2025-12"), ("2026-01", "2025-12"), ("2026-06", "2026-06"), ("2026-11", "2026-06"),
     ("2026-12", "2026-12")],
)  # fmt: skip
def test_half_years_run_from_one_return_to_the_next(period: str, begins: str) -> None:
    assert half_year_begin(period) == begins


# ------------------------------------------------------------------------------------------------- lists and workbook


def listed_class(**changes: Any) -> dict[str, Any]:
    return {
        "county_code": "450721", "county_name": "灵山县", "city_name": "钦州市", "enterprise_name": "甲公司",
        "uscc": "U1", "training_institution": "演示技工学校", "occupation": "焊工", "level": "中级工",
        "filed_persons": 30, "training_persons": None, "passed_persons": 27, "left_persons": None,
    } | changes  # fmt: skip


def test_lists_count_an_enterprise_and_an_institution_once() -> None:
    classes = [
        listed_class(),
        listed_class(level="高级工", filed_persons=10, passed_persons=None, training_persons=9),
        listed_class(uscc="U2", enterprise_name="乙公司", training_institution=None),
        listed_class(uscc="U1", county_code="450702", county_name="钦南区"),
    ]
    enterprises = list_enterprises(classes)
    assert [(row["county_name"], row["uscc"], row["classes"]) for row in enterprises] == [
        ("灵山县", "U1", 2),
        ("灵山县", "U2", 1),
        ("钦南区", "U1", 1),
    ]
    assert enterprises[0]["trainings"] == "焊工（中级工）、焊工（高级工）"
    persons = ("filed_persons", "training_persons", "passed_persons", "left_persons")
    assert [enterprises[0][name] for name in persons] == [40, 9, 27, None]
    (school,) = list_institutions(classes)
    assert (school["places"], school["enterprises"], school["classes"]) == ("灵山县、钦南区", 1, 3)
    assert [row["number"] for row in enterprises] == [1, 2, 3]


def region(code: str, level: str, city: str | None, name: str) -> dict[str, Any]:
    figures: dict[str, Any] = dict.fromkeys((measure["column"] for measure in words()["measures"]), 1)
    money = {name: Decimal("1234.50") for name in figures if name.endswith("_yuan")}
    place = {"region_code": code, "level": level, "city_code": city, "region_name": name, "unreported_classes": 0}
    return figures | money | {"passed_persons": None} | place


def progress(**changes: Any) -> Progress:
    county = region("450721", "county", "450700", "灵山县")
    given: dict[str, Any] = {
        "period": "2026-05",
        "half_year_from": "2025-12",
        "due": next_due(words()["due"]["progress"], "2026-05"),
        "lists_due": lists_due(words()["due"]["lists"], "2026-05"),
        "regions": [
            region("450000", "province", None, "广西壮族自治区"), region("450700", "city", "450700", "钦州市"), county,
        ],
        "occupations": [county | {"occupation_name": "=焊工", "training_level": "中级工"}],
        "enterprises": list_enterprises([listed_class(enterprise_name="=HYPERLINK(1)")]),
        "institutions": [],
        "received": 1,
        "is_sample": False,
        "ledger_advanced_yuan": None,
        "ledger_paid_yuan": None,
    }  # fmt: skip
    return Progress(**(given | changes))


def test_the_workbook_is_the_same_bytes_and_marks_samples() -> None:
    assert workbook_bytes(progress()) == workbook_bytes(progress())
    plain = openpyxl.load_workbook(io.BytesIO(workbook_bytes(progress())))
    sample = openpyxl.load_workbook(io.BytesIO(workbook_bytes(progress(is_sample=True))))
    for page in plain.worksheets:
        texts = [str(cell.value) for row in page.iter_rows() for cell in row if cell.value is not None]
        assert not any("演示数据" in text for text in texts)
    for page in sample.worksheets:
        texts = [str(cell.value) for row in page.iter_rows() for cell in row if cell.value is not None]
        assert any("演示数据" in text for text in texts), page.title
        assert "演示数据" in page.oddHeader.center.text


def test_figures_are_numbers_texts_are_texts_and_blanks_are_blank() -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook_bytes(progress())))
    city = book["钦州市"]
    line = {city.cell(7, column).value: city.cell(10, column) for column in range(4, 30)}
    assert (line["考核合格"].value, line["在培"].value) == (None, 1)
    assert (line["预支未扣清"].value, line["预支未扣清"].number_format) == (1234.5, "#,##0.00")
    assert city["B10"].value == "=焊工" and city["B10"].data_type == "s"
    assert book["企业目录"]["D7"].data_type == "s"
    assert book["企业目录"]["A3"].value == "2026年目录报送期限：2026年12月15日前（星期二，工作日）"
    assert any("没有符合条件的班次" in str(cell.value) for cell in book["培训机构目录"]["A"])
    for page in book.worksheets[:-1]:
        assert page.freeze_panes and page.print_title_rows and page.page_setup.orientation == "landscape"


def test_a_month_without_a_class_gives_an_empty_return() -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook_bytes(progress(regions=[], occupations=[], enterprises=[]))))
    assert book.sheetnames == ["全区", "企业目录", "培训机构目录", "填报说明"]
