"""Whole workbooks through the reader: what is loaded, what is refused, what is said and about which cell."""

import random
from typing import Any

import openpyxl
import pytest
import xlwt

from include.forms.model import load_forms
from include.intake import reading as reader
from include.intake.reading import identify_workbook, read_workbook
from tests.unit.sheets import (
    CLAIM,
    ENTERPRISE,
    POST,
    REPORTERS,
    Layout,
    codes,
    lay_out,
    only_table,
    read,
    to_ods,
    to_xls,
    to_xlsx,
    with_part,
)

NAMES = [field.name for field in load_forms()["enterprise_status"].fields]


def second(**changes: Any) -> dict[str, Any]:
    return {**ENTERPRISE, "enterprise_name": "灵山陶瓷厂", "uscc": "91450721MA5K1A2B4D", **changes}


def severe(data: bytes, **options: Any) -> list[str]:
    """Codes of every E and R finding of a workbook."""
    reading = read(data, **options)
    found = [*reading.findings, *(finding for table in reading.tables for finding in table.findings)]
    return [finding.code for finding in found if finding.severity != "W"]


# ------------------------------------------------------------------------------------------------------- the layout


def test_official_layout() -> None:
    reading = read(to_xlsx(lay_out(rows=[ENTERPRISE, second(headcount=30)])))
    assert (reading.identification.period, reading.identification.reporter_code) == ("2026-10", "450721")
    assert reading.identification.forms == ["enterprise_status"] and reading.identification.is_sample is False
    (table,) = reading.tables
    assert table.template_version == "2026.1" and table.refused is False
    assert table.columns["headcount"] == [100, 30] and table.columns["skilled_total"] == [9, 9]
    assert table.columns["women"] == [None, None]
    assert table.source_rows == [5, 6] and table.sheet_of_row == ["Sheet1", "Sheet1"]
    assert table.layout["Sheet1"]["headcount"] == (12, "职工人数/合计")
    # 14 cells of 41 are filled: 13 of the enterprise and its number
    assert (table.cells_read, table.cells_filled) == (82, 28)
    assert table.findings == []


@pytest.mark.parametrize("write", [to_xls, to_ods])
def test_other_formats_read_alike(write: Any) -> None:
    layout = lay_out(rows=[ENTERPRISE, second()])
    expected = only_table(to_xlsx(layout))
    table = only_table(write(layout))
    assert table.columns == expected.columns and table.layout == expected.layout and table.findings == []


def full_width(text: str) -> str:
    """A header as counties retype it: line break in the middle, a blank, wide brackets and NBSP."""
    half = len(text) // 2
    return f" {text[:half]}\n{text[half:]}\u00a0".replace("(", "（")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shuffled_columns_with_broken_headers_load_the_same_rows(seed: int) -> None:
    groups: dict[str, list[str]] = {}
    for field in load_forms()["enterprise_status"].fields:
        groups.setdefault(field.group or field.name, []).append(field.name)
    blocks = list(groups.values())
    random.Random(seed).shuffle(blocks)
    order = [name for block in blocks for name in random.Random(seed).sample(block, len(block))]
    rows = [ENTERPRISE, second(women=12, skill_junior=4, hired=3, leavers=1, wage_general=3500.5)]
    shuffled = only_table(to_xlsx(lay_out(rows=rows, order=order, rename=full_width)))
    assert shuffled.columns == only_table(to_xlsx(lay_out(rows=rows))).columns
    assert shuffled.refused is False


def test_missing_required_header_is_named_with_the_difference() -> None:
    layout = lay_out(without=["shortage_now", "women"])
    layout.cells[2, 45] = "自设列"
    table = only_table(to_xlsx(layout))
    assert table.refused and table.columns["headcount"] == []
    finding = next(finding for finding in table.findings if finding.code == "E-HDR-001")
    assert finding.column == "shortage_now"
    assert "缺少表头：“缺工人数/当期生产缺工”" in finding.message_zh
    assert "其中/女职工" in finding.message_zh and "多出：自设列" in finding.message_zh


def test_missing_optional_header_is_null_and_said() -> None:
    table = only_table(to_xlsx(lay_out(without=["leavers"])))
    assert table.columns["leavers"] == [None]
    (finding,) = table.findings
    assert finding.code == "W-HDR-002" and "本月流失人数" in finding.message_zh


def test_older_template_is_read_by_its_own_version() -> None:
    table = only_table(to_xlsx(lay_out(version="2022.1")))
    assert table.template_version == "2022.1" and table.findings == []
    assert table.columns["skill_master"] == [None] and table.columns["headcount"] == [100]


def test_renamed_headers_go_by_their_aliases() -> None:
    names = {"合计": "小计", "当期生产缺工": "当前缺工人数", "初级工": "五级工", "职工人数": "职工总人数"}
    table = only_table(to_xlsx(lay_out(rename=lambda text: names.get(text, text))))
    assert table.findings == [] and table.columns["headcount"] == [100] and table.columns["shortage_now"] == [5]


def test_two_columns_of_one_header() -> None:
    layout = lay_out()
    layout.cells[2, 41] = "企业名称"
    table = only_table(to_xlsx(layout))
    finding = next(finding for finding in table.findings if finding.code == "E-HDR-002")
    assert "B4、AP4" in finding.message_zh and table.refused


def test_unknown_column_with_content_is_named() -> None:
    layout = lay_out()
    layout.cells[2, 41] = "园区编号"
    layout.cells[4, 41] = "A-1"
    layout.cells[2, 42] = "空列"
    (finding,) = only_table(to_xlsx(layout)).findings
    assert (finding.code, finding.cell) == ("W-HDR-001", "AP4") and "园区编号" in finding.message_zh


def test_content_beside_the_table_is_not_dropped_silently() -> None:
    layout = lay_out()
    layout.cells[4, 43] = 77
    (finding,) = only_table(to_xlsx(layout)).findings
    assert (finding.code, finding.cell) == ("W-HDR-003", "AR5")


def test_header_with_another_unit_is_refused() -> None:
    table = only_table(to_xlsx(lay_out(rename=lambda text: text.replace("（万元）", "（元）"))))
    finding = next(finding for finding in table.findings if finding.code == "E-HDR-003")
    assert "“元”，应为“万元”" in finding.message_zh


def test_money_unit_of_the_whole_sheet_is_respected() -> None:
    second_row = ("填报单位：灵山县", "报告期：2026年10月", "单位：万元")
    table = only_table(to_xlsx(lay_out("subsidy_payment", [CLAIM], second_row=second_row)))
    assert "“万元”，应为“元”" in next(f.message_zh for f in table.findings if f.column == "applied")
    usual = (*second_row[:2], "单位：人、元")
    assert only_table(to_xlsx(lay_out("subsidy_payment", [CLAIM], second_row=usual))).findings == []


def test_three_row_header() -> None:
    layout = lay_out()
    rows = {(row + 1 if row >= 3 else row, column): value for (row, column), value in layout.cells.items()}
    # 职工人数 reaches over 其中, whose own text moves into the row between
    rows[3, layout.at["women"]] = rows.pop((2, layout.at["women"]))
    layout.cells = rows
    layout.merges = [
        (2, layout.at["headcount"], 2, layout.at["dispatched"]),
        (3, layout.at["women"], 3, layout.at["dispatched"]),
        (2, layout.at["skill_junior"], 3, layout.at["skilled_total"]),
        (2, layout.at["wage_general"], 3, layout.at["wage_skilled"]),
        (2, layout.at["shortage_now"], 3, layout.at["shortage_expansion"]),
        *((2, column, 4, column) for top, column, bottom, _ in layout.merges if bottom > top),
    ]
    table = only_table(to_xlsx(layout))
    assert table.findings == [] and table.source_rows == [6]
    assert table.columns["headcount"] == [100] and table.columns["skilled_total"] == [9]
    assert table.layout["Sheet1"]["women"] == (16, "职工人数/其中/女职工")


# --------------------------------------------------------------------------------------------------------- the rows


def test_blank_shortage_is_a_finding_and_not_zero() -> None:
    row = dict(ENTERPRISE)
    del row["shortage_now"]
    table = only_table(to_xlsx(lay_out(rows=[ENTERPRISE, row])))
    assert table.columns["shortage_now"] == [5, None]
    (finding,) = table.findings
    assert (finding.code, finding.row, finding.cell, finding.column) == ("R-VAL-001", 6, "AJ6", "shortage_now")
    assert "当期生产缺工" in finding.message_zh and table.refused is False


def test_vague_number() -> None:
    table = only_table(to_xlsx(lay_out(rows=[second(shortage_now="约30", hired="30余")])))
    assert table.columns["shortage_now"] == [None] and table.columns["hired"] == [None]
    assert codes(table.findings) == ["W-VAL-002", "R-VAL-002"]
    assert "约30" in table.findings[1].message_zh


def with_tail(rows: list[dict[str, Any]], totals: dict[str, Any], label: str = "合  计") -> Layout:
    layout = lay_out(rows=rows)
    end = len(rows)
    layout.cells[layout.first + end, 0] = label
    for name, value in totals.items():
        layout.put(end, name, value)
    layout.cells[layout.first + end + 1, 0] = "单位负责人："
    layout.cells[layout.first + end + 1, 4] = "填表人：张三"
    layout.cells[layout.first + end + 2, 0] = "注：本表由企业填报。"
    return layout


def test_total_row_is_a_control_and_no_data() -> None:
    table = only_table(to_xlsx(with_tail([ENTERPRISE, second(headcount=30)], {"headcount": 130, "shortage_now": 10})))
    assert table.source_rows == [5, 6] and table.findings == []


def test_total_that_does_not_add_up() -> None:
    table = only_table(to_xlsx(with_tail([ENTERPRISE, second(headcount=30)], {"headcount": 131, "shortage_now": 10})))
    (finding,) = table.findings
    assert (finding.code, finding.cell) == ("W-TOT-001", "M7")
    assert "131" in finding.message_zh and "130" in finding.message_zh


def test_subtotals_control_their_own_block() -> None:
    layout = lay_out(rows=[ENTERPRISE, {"seq": "小计", "headcount": 100}, second(headcount=30)])
    layout.cells[layout.first + 3, 0] = "小  计"
    layout.put(3, "headcount", 31)
    layout.cells[layout.first + 4, 1] = "总 计"
    layout.put(4, "headcount", 130)
    table = only_table(to_xlsx(layout))
    assert table.columns["headcount"] == [100, 30]
    assert [(finding.code, finding.cell) for finding in table.findings] == [("W-TOT-001", "M8")]


def test_company_whose_name_ends_in_ji_is_data() -> None:
    table = only_table(to_xlsx(lay_out(rows=[second(enterprise_name="灵山会计有限公司")])))
    assert table.columns["enterprise_name"] == ["灵山会计有限公司"]


def test_rows_below_the_tail_are_reported() -> None:
    layout = with_tail([ENTERPRISE], {"headcount": 100})
    for name, value in second().items():
        layout.put(5, name, value)
    table = only_table(to_xlsx(layout))
    finding = next(finding for finding in table.findings if finding.severity == "E")
    assert (finding.code, finding.row) == ("E-TBL-001", 10) and "共 1 行" in finding.message_zh
    assert table.source_rows == [5]


def test_the_finding_about_the_tail_names_no_person() -> None:
    layout = with_tail([ENTERPRISE], {"headcount": 100})
    layout.cells[layout.first + 2, 0] = "填表人：李某某13800138000"
    for name, value in second().items():
        layout.put(5, name, value)
    table = only_table(to_xlsx(layout))
    finding = next(finding for finding in table.findings if finding.code == "E-TBL-001")
    assert finding.params["tail"] and "李某某" not in finding.message_zh


def test_a_fault_of_the_reader_refuses_its_file_and_quotes_no_cell(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise IndexError("450721199001011234")

    monkeypatch.setattr(reader, "_take_rows", fail)
    outcome = read(to_xlsx(lay_out()), folder="2026-10/灵山县")
    assert (codes(outcome.findings), outcome.tables) == (["E-FILE-011"], [])
    assert "IndexError" in caplog.text and "4507" not in caplog.text


def test_blank_and_numbered_rows_are_no_rows() -> None:
    rows: list[dict[str, Any]] = [ENTERPRISE, {}, {"seq": 3}, {"enterprise_name": "  "}, second()]
    assert only_table(to_xlsx(lay_out(rows=rows))).source_rows == [5, 9]


def test_column_numbers_under_the_header_are_skipped() -> None:
    numbers = {name: "甲乙"[number] if number < 2 else number - 1 for number, name in enumerate(NAMES)}
    table = only_table(to_xlsx(lay_out(rows=[numbers, ENTERPRISE])))
    assert table.source_rows == [6] and table.findings == []


def test_repeated_header_rows_are_skipped() -> None:
    leaves = {field.name: field.leaf for field in load_forms()["enterprise_status"].fields}
    assert only_table(to_xlsx(lay_out(rows=[ENTERPRISE, {**leaves, "seq": "序号"}, second()]))).source_rows == [5, 7]


def test_enterprise_merged_over_its_posts() -> None:
    follower = {name: value for name, value in POST.items() if name not in ("enterprise_name", "uscc", "county")}
    layout = lay_out("labour_demand", [POST, {**follower, "post": "钳工", "seq": ""}, {**follower, "post": "焊工"}])
    for column in (0, 1, 2, 3):
        layout.merges.append((4, column, 5, column))
    table = only_table(to_xlsx(layout))
    assert table.columns["enterprise_name"] == ["灵山糖业有限公司", "灵山糖业有限公司", None]
    assert table.columns["post"] == ["车工", "钳工", "焊工"]
    # the third row is below the merge: its blanks stay blank
    assert [(finding.code, finding.cell) for finding in table.findings] == [
        ("R-VAL-001", "B7"),
        ("R-VAL-001", "C7"),
        ("R-VAL-001", "D7"),
    ]


def test_merged_rows_in_xls_fill_down_too() -> None:
    layout = lay_out("labour_demand", [POST, {**POST, "enterprise_name": None, "post": "钳工"}])
    del layout.cells[5, 1]
    layout.merges.append((4, 1, 5, 1))
    assert only_table(to_xls(layout)).columns["enterprise_name"] == ["灵山糖业有限公司"] * 2


def test_a_number_merged_over_rows_is_not_counted_twice() -> None:
    layout = lay_out("labour_demand", [POST, {**POST, "post": "钳工", "shortage_now": None}])
    layout.merges.append((4, layout.at["shortage_now"], 5, layout.at["shortage_now"]))
    table = only_table(to_xlsx(layout))
    assert table.columns["shortage_now"] == [3, None]
    assert [(finding.code, finding.row) for finding in table.findings] == [("R-VAL-001", 6), ("R-MRG-001", 5)]


def test_what_is_left_under_a_merged_number_is_not_read() -> None:
    """A program can leave a value in a covered cell: nobody sees it, so it is no figure of the report."""
    layout = lay_out("labour_demand", [POST, {**POST, "post": "钳工"}])
    column = layout.at["planned_hires"]
    layout.cells[4, column] = 8
    data = with_part(
        to_xlsx(layout, adjust=lambda book: book.worksheets[0].cell(6, column + 1, 9)),
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(b'<mergeCells count="', b'<mergeCells count="1').replace(
            b"</mergeCells>", b'<mergeCell ref="I5:I6"/></mergeCells>'
        ),
    )
    table = only_table(data)
    assert column == 8 and table.columns["planned_hires"] == [8, None]
    assert [(finding.code, finding.cell) for finding in table.findings] == [("R-MRG-001", "I5")]


def test_a_number_merged_over_two_columns_belongs_to_neither() -> None:
    layout = lay_out(rows=[ENTERPRISE, second(women=7)])
    place = (5, layout.at["women"], 5, layout.at["local_county"])
    layout.merges.append(place)
    table = only_table(to_xlsx(layout))
    (finding,) = table.findings
    assert (finding.code, finding.cell, finding.row) == ("R-MRG-002", "Q6", 6)
    assert "女职工" in finding.message_zh and "县内户籍" in finding.message_zh


def test_a_cell_far_to_the_right_is_named_and_does_not_hide_the_header() -> None:
    layout = lay_out()
    layout.cells[4, 5_000] = "演示"
    (finding,) = only_table(to_xlsx(layout)).findings
    assert (finding.code, finding.cell) == ("W-HDR-003", "GJI5")


def test_an_enterprise_named_like_a_total_is_data_by_its_code() -> None:
    rows = [ENTERPRISE, second(enterprise_name="灵山县万象合计")]
    assert only_table(to_xlsx(lay_out(rows=rows))).columns["enterprise_name"][1] == "灵山县万象合计"


def test_a_form_on_a_sheet_named_as_a_note_is_read() -> None:
    posts = lay_out("labour_demand", [POST], sheet="说明")
    notes = Layout("填表说明", {(0, 0): "企业名称", (1, 0): "企业情况表的填报说明"})
    reading = read(to_xlsx(lay_out(), posts, notes))
    assert reading.identification.forms == ["enterprise_status", "labour_demand"] and reading.findings == []


def test_unit_of_the_group_in_the_middle_of_a_joined_header() -> None:
    layout = lay_out()
    for name, leaf in (("wage_general", "普工"), ("wage_skilled", "技工")):
        layout.cells[3, layout.at[name]] = f"月平均工资（元）{leaf}"
        layout.cells.pop((2, layout.at[name]), None)
    layout.merges = [merge for merge in layout.merges if merge[1] != layout.at["wage_general"]]
    layout.put(0, "wage_skilled", 5200)
    table = only_table(to_xlsx(layout))
    assert table.columns["wage_skilled"] == [5200.0] and table.findings == []


def test_formula_never_calculated() -> None:
    layout = with_tail([second(headcount="=N5+O5+P5")], {"headcount": "=SUM(M5:M5)"})
    table = only_table(to_xlsx(layout))
    assert table.columns["headcount"] == [None]
    assert [(finding.code, finding.cell) for finding in table.findings] == [("R-VAL-008", "M5"), ("W-TOT-002", "M6")]


def test_dates_and_money_of_the_ledger() -> None:
    rows = [
        {**CLAIM, "applied_on": "2026年10月8日", "accepted_on": 46304.0, "paid": "1,500.00元", "level": "四级工"},
        {**CLAIM, "applied_on": "10月8日", "person_id": 450721199001011234},
    ]
    table = only_table(to_xlsx(lay_out("subsidy_payment", rows, order=None)))
    assert str(table.columns["applied_on"][0]) == "2026-10-08" and str(table.columns["accepted_on"][0]) == "2026-10-09"
    assert table.columns["paid"] == [1500.0, None] and table.columns["level"] == ["中级工", None]
    assert {(finding.code, finding.cell) for finding in table.findings} == {
        ("R-VAL-006", "H6"),
        ("W-VAL-011", "U6"),
        ("W-VAL-022", "V5"),
        ("W-VAL-020", "T5"),
    }


def test_a_ledger_without_claims_is_a_true_zero_but_an_enterprise_form_is_not() -> None:
    assert codes(only_table(to_xlsx(lay_out("subsidy_payment", []))).findings) == ["W-TBL-001"]
    assert codes(only_table(to_xlsx(lay_out(rows=[]))).findings) == ["E-TBL-002"]


# --------------------------------------------------------------------------------------------------- what is hidden


def test_hidden_rows_with_data_refuse_the_form() -> None:
    def hide(book: openpyxl.Workbook) -> None:
        book.worksheets[0].row_dimensions[6].hidden = True
        book.worksheets[0].row_dimensions[20].hidden = True

    data = to_xlsx(lay_out(rows=[ENTERPRISE, second()]), adjust=hide)
    (finding,) = only_table(data).findings
    assert (finding.code, finding.row) == ("E-HID-001", 6)


def test_hidden_rows_in_xls() -> None:
    def hide(book: xlwt.Workbook) -> None:
        book.get_sheet(0).row(5).hidden = True

    assert codes(only_table(to_xls(lay_out(rows=[ENTERPRISE, second()]), adjust=hide)).findings) == ["E-HID-001"]


def test_hidden_columns_matter_only_with_data() -> None:
    def hide(book: openpyxl.Workbook) -> None:
        for letter in ("M", "Q"):
            book.worksheets[0].column_dimensions[letter].hidden = True

    (finding,) = only_table(to_xlsx(lay_out(), adjust=hide)).findings
    assert (finding.code, finding.column) == ("E-HID-002", "headcount")


def test_hidden_sheet_with_a_form() -> None:
    def hide(book: openpyxl.Workbook) -> None:
        book.worksheets[1].sheet_state = "hidden"

    data = to_xlsx(lay_out(), lay_out("labour_demand", [POST], sheet="隐藏表"), adjust=hide)
    status, demand = read(data).tables
    assert status.refused is False and codes(demand.findings) == ["E-HID-003"]


# ----------------------------------------------------------------------------------------- whole workbooks and files


def test_several_forms_and_one_form_on_several_sheets() -> None:
    data = to_xlsx(
        lay_out(sheet="企业情况表"),
        lay_out("labour_demand", [POST], sheet="需求1"),
        lay_out("labour_demand", [{**POST, "post": "钳工"}], sheet="需求2"),
        Layout("Sheet4"),
    )
    reading = read(data)
    assert reading.identification.forms == ["enterprise_status", "labour_demand"]
    demand = reading.tables[1]
    assert demand.columns["post"] == ["车工", "钳工"] and demand.sheets == ["需求1", "需求2"]
    assert demand.sheet_of_row == ["需求1", "需求2"] and demand.source_rows == [5, 5]
    assert reading.findings == []


def test_sheet_without_title_goes_by_its_headers() -> None:
    reading = read(to_xlsx(lay_out(title="附件", second_row=())), folder="2026-10/灵山县")
    assert reading.identification.forms == ["enterprise_status"]
    assert (reading.identification.period, reading.identification.reporter_code) == ("2026-10", "450721")


def test_unread_sheets_are_named() -> None:
    other = Layout("通讯录", {(0, 0): "姓名", (0, 1): "电话", (1, 0): "张三"})
    (finding,) = read(to_xlsx(lay_out(), other)).findings
    assert finding.code == "W-FILE-002" and "通讯录" in finding.message_zh


def test_workbook_without_a_form() -> None:
    reading = read(to_xlsx(Layout("通讯录", {(0, 0): "姓名"})), folder="2026-10/灵山县")
    assert codes(reading.findings) == ["W-FILE-002", "E-FILE-009"] and reading.refused
    assert reading.identification.reporter_code == "450721"


def test_meta_sheet_comes_first_and_must_not_be_contradicted() -> None:
    def meta(period: str) -> Layout:
        return Layout(
            "_meta",
            {
                (0, 0): "form",
                (0, 1): "enterprise_status",
                (1, 0): "county_code",
                (1, 1): "450721",
                (2, 0): "period",
                (2, 1): period,
            },
        )

    assert read(to_xlsx(lay_out(second_row=()), meta("2026-10"))).identification.period == "2026-10"
    assert severe(to_xlsx(lay_out(), meta("2026-09"))) == ["E-IDN-002"]


def test_period_of_sheet_and_folder_contradict() -> None:
    reading = read(to_xlsx(lay_out()), folder="2026-09/灵山县")
    (finding,) = reading.findings
    assert finding.code == "E-IDN-002" and reading.refused and reading.identification.period is None
    assert "2026年10月" in finding.message_zh and "2026年9月" in finding.message_zh


def test_sample_mark_in_title_or_tail() -> None:
    assert read(to_xlsx(lay_out(title="灵山县企业情况表（演示数据）"))).identification.is_sample
    layout = with_tail([ENTERPRISE], {})
    layout.cells[9, 0] = "注：演示数据"
    assert read(to_xlsx(layout)).identification.is_sample


def test_html_named_xls_is_still_attributed() -> None:
    page = b"<html><table><tr><td>1</td></tr></table></html>"
    reading = read_workbook(page, "灵山县企业情况表.xls", "2026-10/灵山县", REPORTERS)
    assert codes(reading.findings) == ["E-FILE-002"] and reading.tables == []
    assert (reading.identification.period, reading.identification.reporter_code) == ("2026-10", "450721")
    assert identify_workbook(page, "灵山县企业情况表.xls", "2026-10/灵山县", REPORTERS) == reading.identification


def test_markup_and_formula_texts_stay_text() -> None:
    nasty = "'; drop table raw.enterprise_status; -- <script>alert(1)</script>"
    table = only_table(to_xlsx(lay_out(rows=[second(remark=nasty, locality="+1+1")])))
    assert table.columns["remark"] == [nasty] and table.columns["locality"] == ["+1+1"]


def test_a_row_without_any_figure_is_one_problem_and_no_zero() -> None:
    """An enterprise that the template listed and nobody reported: not one problem a required column."""
    figures = ("headcount", "managers", "professionals", "workers", "shortage_now", "shortage_expansion")
    blank = dict.fromkeys((*figures, "training_needed"))
    table = only_table(to_xlsx(lay_out(rows=[ENTERPRISE, second(**blank)])))
    blanks = [(finding.code, finding.row) for finding in table.findings if finding.code[0] == "R"]
    assert blanks == [("R-ROW-001", 6)]
    assert table.columns["shortage_now"][1] is None and table.log.held == {("Sheet1", 6)}
    # one figure filled: the others are missing one by one
    table = only_table(to_xlsx(lay_out(rows=[ENTERPRISE, second(**{**blank, "headcount": 10})])))
    assert [finding.code for finding in table.findings if finding.code[0] == "R"] == ["R-VAL-001"] * 6
