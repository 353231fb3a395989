"""Forms 4 (工作进展情况表) and 5 (劳务品牌资源库表): what is read, and what their rules say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd
import pytest

from include.forms.model import load_forms
from include.intake.values import Place, normalise
from include.quality.rules import HELPERS, policy_targets, typed
from include.quality.runner import _columns_of, _reference, examine, load_suite
from tests.unit.sheets import codes, lay_out, only_table, read, to_xlsx

QINZHOU = "钦政办〔2022〕22号"
PROGRESS: dict[str, Any] = {
    "programme": QINZHOU,
    "indicator": "累计培训",
    "indicator_group": "八桂家政",
    "unit": "人次",
    "done_this_month": 120,
    "done_to_date": 1500,
}
BRAND: dict[str, Any] = {
    "brand_name": "演示米粉师傅",
    "category": "民生保障型",
    "county": "灵山县",
    "recognised_level": "省级",
    "cultivator_name": "甲公司",
    "cultivator_uscc": "91110000600037341L",
    "employed": 30,
    "agreement_persons": 30,
    "entered_on": date(2026, 2, 28),
    "status": "在库",
}
BASE = {"programme_progress": PROGRESS, "brand_registry": BRAND}


def found(form: str, *changes: Mapping[str, Any]) -> list[tuple[int | None, str, str | None]]:
    """(row, code, column) of the findings of one submission of 灵山县 whose rows 5, 6, … are the good row, changed."""
    place = {"submission_id": "S", "sheet": "表", "county_code": "450721", "period": "2026-02"}
    rows = [BASE[form] | place | {"source_row": 5 + number} | change for number, change in enumerate(changes)]
    listed = [one.finding for one in examine(form, pd.DataFrame(rows)).findings]
    # with its only rows held back the form itself is refused too
    return [(one.row, one.code, one.column) for one in listed if one.code != "E-ALL-001"]


# ---------------------------------------------------------------------------------------------------- reading


def test_form_4_is_read_as_written() -> None:
    rows = [
        PROGRESS,
        {**PROGRESS, "indicator": "带动就业创业", "unit": "万人", "done_this_month": 0.3, "done_to_date": "1,234.5"},
        {**PROGRESS, "indicator": "零工市场", "unit": "%", "done_this_month": None, "done_to_date": None},
    ]
    reading = read(to_xlsx(lay_out("programme_progress", rows)))
    assert reading.identification.forms == ["programme_progress"]
    (table,) = reading.tables
    assert table.columns["done_this_month"] == [120.0, 0.3, None] and table.columns["unit"] == ["人次", "万人", "%"]
    assert table.columns["done_to_date"] == [1500.0, 1234.5, None]
    assert codes(table.findings) == ["W-VAL-020"] and table.refused is False


@pytest.mark.parametrize("cell", ["1.2万", "30人", "3千"])
def test_a_figure_of_form_4_is_never_scaled(cell: str) -> None:
    field = next(one for one in load_forms()["programme_progress"].fields if one.name == "done_to_date")
    result = normalise(field, [cell, "98"], Place("programme_progress", "表", 5, "累计完成", [5, 6]))
    assert result.values == {"done_to_date": [None, 98.0]}
    assert codes(result.findings)[0] == "W-VAL-003"


def test_form_4_without_its_figures_is_refused() -> None:
    table = only_table(to_xlsx(lay_out("programme_progress", [PROGRESS], without=["done_to_date"])))
    assert "E-HDR-001" in codes(table.findings)


@pytest.mark.parametrize(
    ("form", "title"),
    [("programme_progress", "灵山县专项行动工作推进情况表"), ("brand_registry", "灵山县劳务品牌名录"),
     ("brand_registry", "附件5")],
)  # fmt: skip
def test_forms_are_known_by_drifted_titles_or_by_their_headers(form: str, title: str) -> None:
    assert read(to_xlsx(lay_out(form, [BASE[form]], title=title))).identification.forms == [form]


def test_form_5_is_read() -> None:
    row = BRAND | {"recognised_level": "自治区级", "status": "已入库", "entered_on": "2026年2月28日"}
    table = only_table(to_xlsx(lay_out("brand_registry", [row])))
    assert table.findings == []
    assert {name: values[0] for name, values in table.columns.items() if values[0] is not None} == BRAND


def test_form_5_may_be_empty_and_form_4_may_not() -> None:
    assert codes(only_table(to_xlsx(lay_out("brand_registry", []))).findings) == ["W-TBL-001"]
    assert codes(only_table(to_xlsx(lay_out("programme_progress", []))).findings) == ["E-TBL-002"]


# ------------------------------------------------------------------------------------------------------ rules


@pytest.mark.parametrize("form", list(BASE))
def test_the_good_row_passes_and_suites_name_only_columns_that_exist(form: str) -> None:
    assert found(form, {}) == []
    frame = pd.DataFrame([BASE[form] | {"submission_id": "S", "sheet": "表", "source_row": 5, "period": "2026-02"}])
    columns = set(HELPERS[form](typed(form, frame), _reference()).columns)
    for rule in load_suite(form):
        assert set(_columns_of(rule)) | {rule.column} | set(rule.shows.values()) <= columns, rule.code


@pytest.mark.parametrize(
    ("change", "code", "column"),
    [
        ({"indicator": "没有这一项"}, "W-PRG-001", "indicator"),
        ({"indicator_group": "粤菜师傅"}, "W-PRG-001", "indicator"),
        ({"programme": "南粤家政"}, "W-PRG-001", "indicator"),
        ({"done_to_date": 119}, "W-PRG-002", "done_to_date"),
        ({"unit": "人"}, "W-PRG-003", "unit"),
        ({"unit": "万人次"}, "W-PRG-003", "unit"),
        ({"done_to_date": None}, "W-PRG-004", "done_to_date"),
    ],
)
def test_rules_of_form_4(change: dict[str, Any], code: str, column: str) -> None:
    assert found("programme_progress", change) == [(5, code, column)]


@pytest.mark.parametrize(("figure", "flagged"), [(0.98, True), (1, True), (1.5, False), (98, False), (0, False)])
def test_a_percentage_kept_as_a_fraction_is_asked_about(figure: float, flagged: bool) -> None:
    rate = {"indicator": "拖欠农民工工资举报投诉案件结案率", "indicator_group": None, "unit": "%"}
    given = found("programme_progress", rate | {"done_this_month": None, "done_to_date": figure})
    assert given == ([(5, "W-PRG-005", "done_to_date")] if flagged else [])


@pytest.mark.parametrize(
    "programme",
    ["“八桂系列”劳务品牌", "打造“八桂系列”劳务品牌促进就业实施方案", "桂政办发[2021]141号", "qz_bagui_brand_2022"],
)
def test_a_programme_is_known_by_title_number_or_part_of_the_title(programme: str) -> None:
    assert found("programme_progress", {"programme": programme}) == []


def test_a_total_and_its_parts_are_different_rows() -> None:
    total = {"indicator_group": None, "done_to_date": 5000}
    assert found("programme_progress", {}, total) == []
    assert found("programme_progress", {}, {"indicator": "累计 培训"}) == [
        (5, "R-PRG-001", "indicator"),
        (6, "R-PRG-001", "indicator"),
    ]


def test_targets_of_other_provinces_are_not_ours() -> None:
    # 家政服务类培训 is an indicator of Guangzhou's programme alone
    guangzhou = next(one for one in policy_targets()[0] if one.code == "gz_ten_projects_2020")
    change = {"programme": guangzhou.title_zh, "indicator": "家政服务类培训", "indicator_group": "三 南粤家政"}
    assert found("programme_progress", change) == [(5, "W-PRG-001", "indicator")]


@pytest.mark.parametrize(
    ("change", "code", "column"),
    [
        ({"cultivator_uscc": "91110000600037341X"}, "R-USC-001", "cultivator_uscc"),
        ({"cultivator_uscc": "123"}, "R-USC-002", "cultivator_uscc"),
        ({"agreement_persons": 31}, "W-BRD-001", "agreement_persons"),
        ({"status": "退出"}, "W-BRD-002", "exit_reason"),
        ({"entered_on": date(2026, 3, 1)}, "W-BRD-003", "entered_on"),
        ({"county": "浦北县"}, "W-BRD-004", "county"),
    ],
)
def test_rules_of_form_5(change: dict[str, Any], code: str, column: str) -> None:
    assert found("brand_registry", change) == [(5, code, column)]


def test_a_brand_twice_in_a_county() -> None:
    twice = found("brand_registry", {}, {"brand_name": "“演示米粉师傅”", "county": "灵山"})
    assert twice == [(5, "R-BRD-001", "brand_name"), (6, "R-BRD-001", "brand_name")]
    elsewhere = found("brand_registry", {}, {"county": "浦北县"})
    assert elsewhere == [(6, "W-BRD-004", "county")]
    assert found("brand_registry", {"status": "退出", "exit_reason": "企业注销"}) == []
