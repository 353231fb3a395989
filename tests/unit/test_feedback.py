"""The returned workbook is the county's own, marked and listed, and nothing in it can run."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill

from include.intake import feedback
from include.intake.feedback import (
    PROBLEM_HEADERS,
    PROBLEM_SHEET,
    Explanation,
    fixed_zip,
    neutral,
    read_explanations,
    write_receipt,
    write_returned_workbook,
)
from include.quality.findings import Finding

RED, ORANGE, YELLOW = "FFFF9B9B", "FFFFC98A", "FFFFF3A6"

FINDINGS = [
    Finding("W-IND-001", "enterprise_status", "情况表", 5, "industry", "C5", "铝厂", {"header": "所属行业"}),
    Finding("R-USC-002", "enterprise_status", "情况表", 5, "uscc", "B5", "=1+1", {"header": "统一社会信用代码"}),
    Finding("E-ALL-001", "enterprise_status", "情况表", params={"rows": 1}),
]


def county_workbook() -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "情况表"
    sheet.merge_cells("A1:D1")
    sheet["A1"] = "灵山县企业情况表"
    sheet["A1"].font = Font(name="黑体", size=20)
    for column, text in enumerate(["序号", "统一社会信用代码", "所属行业", "合计"], start=1):
        sheet.cell(4, column, text)
    sheet["A5"], sheet["B5"], sheet["C5"], sheet["D5"] = 1, "9145", "铝厂", 30
    sheet["D6"] = "=SUM(D5:D5)"
    sheet.column_dimensions["B"].width = 33
    return book


def as_bytes(book: openpyxl.Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def returned(tmp_path: Path, data: bytes, kind: str = "xlsx", findings: Any = FINDINGS, **more: Any) -> Any:
    more.setdefault("file_name", f"灵山县企业情况表.{kind or 'xlsx'}")
    path = write_returned_workbook(data, kind, findings, tmp_path / "退回.xlsx", **more)
    return openpyxl.load_workbook(path)


def listed(book: Any) -> list[list[Any]]:
    rows = [[cell.value for cell in row] for row in book[PROBLEM_SHEET].iter_rows(min_row=4)]
    assert rows[0] == list(PROBLEM_HEADERS)
    return rows[1:]


def test_the_list_comes_first_ordered_by_severity(tmp_path: Path) -> None:
    book = returned(tmp_path, as_bytes(county_workbook()), county_name="灵山县", period="2026-02", is_sample=True)
    assert book.sheetnames == [PROBLEM_SHEET, "情况表"]
    sheet = book[PROBLEM_SHEET]
    assert sheet["A1"].value == "灵山县2026年2月报表问题清单（演示数据）"
    assert "共 3 条：整表退回 1 条，本行暂扣 1 条，请核对 1 条" in sheet["A2"].value
    rows = listed(book)
    assert [(row[0], row[1], row[2], row[3], row[4]) for row in rows] == [
        (1, "整表退回", "情况表", None, None),
        (2, "本行暂扣", "情况表", "B5", "统一社会信用代码"),
        (3, "请核对", "情况表", "C5", "所属行业"),
    ]
    assert rows[1][6] == "“统一社会信用代码”填的“=1+1”不是18位"
    assert rows[1][7].startswith("请填写营业执照上的18位统一社会信用代码")
    assert [row[8] for row in rows] == [None, None, None]
    assert [row[9] for row in rows] == ["E-ALL-001", "R-USC-002", "W-IND-001"]
    assert sheet.column_dimensions["J"].hidden


def test_cells_link_to_their_place_and_the_page_fits(tmp_path: Path) -> None:
    sheet = returned(tmp_path, as_bytes(county_workbook()))[PROBLEM_SHEET]
    assert sheet["D6"].hyperlink.location == "'情况表'!B5"
    assert sheet["D6"].hyperlink.target is None
    assert sheet["D5"].hyperlink is None
    assert (sheet.page_setup.orientation, sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (
        "landscape",
        1,
        0,
    )
    assert sheet.print_title_rows == "$4:$4"
    assert sheet.freeze_panes == "A5"


def test_bad_cells_are_filled_and_commented_the_rest_keeps_its_look(tmp_path: Path) -> None:
    sheet = returned(tmp_path, as_bytes(county_workbook()))["情况表"]
    assert sheet["B5"].fill.start_color.rgb == ORANGE
    assert sheet["C5"].fill.start_color.rgb == YELLOW
    assert sheet["B5"].comment.text.startswith("【本行暂扣】“统一社会信用代码”填的“=1+1”不是18位。请填写")
    assert sheet["D5"].fill.fill_type is None
    assert sheet["A1"].font.size == 20
    assert sheet.column_dimensions["B"].width == 33
    assert sheet["D6"].value == "=SUM(D5:D5)"


def test_two_findings_in_one_cell_take_the_graver_colour(tmp_path: Path) -> None:
    again = Finding("W-IND-001", "enterprise_status", "情况表", 5, "industry", "B5", "铝", {"header": "所属行业"})
    sheet = returned(tmp_path, as_bytes(county_workbook()), findings=[again, *FINDINGS])["情况表"]
    assert sheet["B5"].fill.start_color.rgb == ORANGE
    assert "【本行暂扣】" in sheet["B5"].comment.text and "【请核对】" in sheet["B5"].comment.text


def test_a_finding_inside_a_merge_marks_the_cell_that_shows_the_value(tmp_path: Path) -> None:
    book = county_workbook()
    book.worksheets[0].merge_cells("B5:B7")
    inside = Finding("R-USC-002", "enterprise_status", "情况表", 6, "uscc", "B6", "9145", {"header": "代码"})
    sheet = returned(tmp_path, as_bytes(book), findings=[inside])["情况表"]
    assert sheet["B5"].fill.start_color.rgb == ORANGE
    assert sheet["B5"].comment is not None


def test_comments_stay_small(tmp_path: Path) -> None:
    many = [
        Finding("W-IND-001", "enterprise_status", "情况表", 5, "industry", "C5", "铝" * 300, {"header": "所属行业"})
    ] * 9
    book = returned(tmp_path, as_bytes(county_workbook()), findings=many)
    assert len(book["情况表"]["C5"].comment.text) <= 400
    assert len(listed(book)[0][5]) == 121


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+86", "'+86"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("甲公司=乙公司", "甲公司=乙公司"),
        ("\x00\x07=1", "'=1"),
        ("", ""),
    ],
)
def test_neutral(text: str, safe: str) -> None:
    assert neutral(text) == safe


def test_texts_from_the_county_never_become_formulas(tmp_path: Path) -> None:
    book = returned(tmp_path, as_bytes(county_workbook()), file_name="=cmd|' /C calc'!A0.xlsx")
    for row in book[PROBLEM_SHEET].iter_rows():
        for cell in row:
            assert cell.data_type != "f"
    assert listed(book)[1][5] == "'=1+1"


def test_formulas_that_act_and_links_to_outside_are_taken_out(tmp_path: Path) -> None:
    book = county_workbook()
    sheet = book.worksheets[0]
    acting = ["=cmd|' /C calc'!A0", '=HYPERLINK("x","y")', "=[1]Sheet1!A1", "=WEBSERVICE(A1)", "=_xlfn.CALL(A1)"]
    for row, formula in enumerate(acting, start=10):
        sheet.cell(row, 1, formula)
    sheet["B5"].hyperlink = "https://example.invalid/"
    marked = returned(tmp_path, as_bytes(book))["情况表"]
    assert [marked.cell(row, 1).value for row in range(10, 15)] == ["'" + formula for formula in acting]
    assert {marked.cell(row, 1).data_type for row in range(10, 15)} == {"s"}
    assert marked["B5"].hyperlink is None


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    data = as_bytes(county_workbook())
    first = write_returned_workbook(data, "xlsx", FINDINGS, tmp_path / "a.xlsx", file_name="a.xlsx").read_bytes()
    second = write_returned_workbook(data, "xlsx", FINDINGS[::-1], tmp_path / "b.xlsx", file_name="a.xlsx").read_bytes()
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as package:
        assert {info.date_time for info in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"2000-01-01T00:00:00Z" in package.read("docProps/core.xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.xlsx", "b.xlsx"]


def test_fixed_zip_keeps_the_content() -> None:
    data = as_bytes(county_workbook())
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(io.BytesIO(fixed_zip(data))) as new:
        assert old.namelist() == new.namelist()
        assert old.read("xl/worksheets/sheet1.xml") == new.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize("kind", ["", "xlsx"])
def test_what_cannot_be_opened_comes_back_as_the_list_alone(tmp_path: Path, kind: str) -> None:
    refused = Finding("E-FILE-004", params={"file": "灵山.xlsx"})
    book = returned(tmp_path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1junk", kind, [refused])
    assert book.sheetnames == [PROBLEM_SHEET]
    assert listed(book)[0][1:4] == ["整表退回", "整个文件", None]
    assert "未附原表" in book[PROBLEM_SHEET]["A3"].value


def test_entity_expansion_is_not_loaded(tmp_path: Path) -> None:
    data = as_bytes(county_workbook())
    hostile = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(hostile, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "xl/workbook.xml":
                content = b'<!DOCTYPE x [<!ENTITY a "b">]>' + content
            new.writestr(info, content)
    book = returned(tmp_path, hostile.getvalue(), findings=[Finding("E-FILE-008", params={"file": "a"})])
    assert book.sheetnames == [PROBLEM_SHEET]


def test_xls_comes_back_as_xlsx_with_values_merges_and_marks(tmp_path: Path) -> None:
    old = xlwt.Workbook(encoding="utf-8")
    sheet = old.add_sheet("情况表")
    sheet.write_merge(0, 0, 0, 3, "灵山县企业情况表")
    sheet.write(1, 0, "填报单位（盖章）：灵山县")
    for column, text in enumerate(["序号", "统一社会信用代码", "所属行业", "填表日期"]):
        sheet.write(3, column, text)
    style = xlwt.easyxf(num_format_str="yyyy-mm-dd")
    for column, value in enumerate([1, "9145", "=铝厂"]):
        sheet.write(4, column, value)
    sheet.write(4, 3, datetime(2026, 3, 3), style)
    buffer = io.BytesIO()
    old.save(buffer)
    marked = returned(tmp_path, buffer.getvalue(), "xls")["情况表"]
    assert [str(merge) for merge in marked.merged_cells.ranges] == ["A1:D1"]
    assert [cell.value for cell in marked[4]] == ["序号", "统一社会信用代码", "所属行业", "填表日期"]
    assert [cell.value for cell in marked[5]][:3] == [1, "9145", "'=铝厂"]
    assert marked["D5"].value == datetime(2026, 3, 3)
    assert marked["B4"].font.bold and marked["B4"].alignment.wrap_text
    assert marked["B5"].border.left.style == "thin"
    assert marked["B5"].fill.start_color.rgb == ORANGE


def test_ods_comes_back_as_xlsx(tmp_path: Path) -> None:
    document = OpenDocumentSpreadsheet()
    table = Table(name="情况表")
    for texts in [["序号", "代码", "行业", "人数"], ["1", "9145", "铝厂", "30"]]:
        row = TableRow()
        for text in texts:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=text))
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    buffer = io.BytesIO()
    document.write(buffer)
    place = Finding("R-USC-002", "enterprise_status", "情况表", 2, "uscc", "B2", "9145", {"header": "代码"})
    marked = returned(tmp_path, buffer.getvalue(), "ods", [place])["情况表"]
    assert [cell.value for cell in marked[2]] == ["1", "9145", "铝厂", "30"]
    assert marked["B2"].fill.start_color.rgb == ORANGE


def test_stored_detail_is_capped_and_the_cap_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "DETAIL_LIMIT", 2)
    book = returned(tmp_path, as_bytes(county_workbook()))
    assert len(listed(book)) == 2
    assert "共 3 条" in book[PROBLEM_SHEET]["A2"].value
    assert "只列出最要紧的前 2 条" in book[PROBLEM_SHEET]["A2"].value


def test_a_workbook_too_large_to_copy_comes_back_as_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "MAX_COPIED_SHEET_BYTES", 10)
    assert returned(tmp_path, as_bytes(county_workbook())).sheetnames == [PROBLEM_SHEET, "情况表"]
    monkeypatch.setattr(feedback, "MAX_REBUILT_CELLS", 5)
    assert returned(tmp_path, as_bytes(county_workbook())).sheetnames == [PROBLEM_SHEET]


def test_answers_are_read_and_carried_into_the_next_return(tmp_path: Path) -> None:
    book = returned(tmp_path, as_bytes(county_workbook()))
    book[PROBLEM_SHEET]["I7"] = "确为铝加工"
    book["情况表"]["D5"].comment = Comment("本县批注", "填表人")
    sent_again = as_bytes(book)
    answer = Explanation(sheet="情况表", cell="C5", code="W-IND-001", text="确为铝加工")
    assert read_explanations(sent_again, "再报.xlsx") == [answer]
    again = returned(tmp_path, sent_again, findings=[FINDINGS[0]])
    assert again.sheetnames == [PROBLEM_SHEET, "情况表"]
    assert listed(again)[0][8] == "确为铝加工"
    # the marks of the first return are gone, the county's own comment is not
    assert again["情况表"]["B5"].comment is None
    assert again["情况表"]["B5"].fill.fill_type is None
    assert again["情况表"]["C5"].comment.text.count("【请核对】") == 1
    assert again["情况表"]["D5"].comment.text == "本县批注"


def test_no_list_no_answers() -> None:
    assert read_explanations(as_bytes(county_workbook()), "a.xlsx") == []
    assert read_explanations(b"junk", "a.xlsx") == []


def test_the_county_s_own_colours_stay(tmp_path: Path) -> None:
    book = county_workbook()
    book.worksheets[0]["D5"].fill = PatternFill("solid", start_color="FF00FF00")
    assert returned(tmp_path, as_bytes(book))["情况表"]["D5"].fill.start_color.rgb == "FF00FF00"


def test_receipt(tmp_path: Path) -> None:
    path = tmp_path / "回执.xlsx"
    write_receipt(
        path, file_name="=灵山.xlsx", summary="企业情况表：35 行全部入库", county_name="灵山县", period="2026-02"
    )
    rows = [[cell.value for cell in row] for row in openpyxl.load_workbook(path).worksheets[0].iter_rows()]
    assert rows[0][0] == "报送回执"
    assert rows[1:5] == [
        ["报送单位", "灵山县"],
        ["报告期", "2026年2月"],
        ["文件", "'=灵山.xlsx"],
        ["处理结果", "企业情况表：35 行全部入库"],
    ]
    first = path.read_bytes()
    write_receipt(
        path, file_name="=灵山.xlsx", summary="企业情况表：35 行全部入库", county_name="灵山县", period="2026-02"
    )
    assert path.read_bytes() == first
